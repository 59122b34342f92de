"""What the SQL connector uses of SQLAlchemy although its documentation does not have it; see `interceptors.libraries`.

Tried with SQLAlchemy 2.1, and `pyproject.toml` allows no later minor version.
"""

import inspect
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine, Executable, Integer, exc, literal_column, select, util
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from interceptors.libraries import Library

__all__ = [
    "OF_LOST_CONNECTION",
    "await_",
    "compiled_of",
    "forget_columns",
    "greenlet_spawn",
    "hides_parameters",
    "is_delete",
    "is_exit_exception",
    "is_for_default",
    "is_select",
    "is_text",
    "knows_columns",
    "may_begin",
    "names_of",
    "needs_sentinels",
    "sentinels_of",
    "streams",
    "wrapped",
]

T = TypeVar("T")

_library = Library("sqlalchemy")


# -- running hooks, and judging errors ---------------------------------------------------------------------------------


class _Await(Protocol):
    def __call__(self, awaitable: Awaitable[T], /) -> T: ...


class _Spawn(Protocol):
    async def __call__(self, function: Callable[..., T], /, *args: Any) -> T: ...


# Without these no hook can be awaited in the midst of a statement, nor the driver be called by one.
await_: _Await = _library.needed(util, "await_", "await hooks")
greenlet_spawn: _Spawn = _library.needed(util, "greenlet_spawn", "call the driver")

# Without it we would take a connection for alive that SQLAlchemy discards.
is_exit_exception: Callable[[BaseException], bool] = _library.needed(util, "is_exit_exception", "judge a connection")

# Without these hooks would not see an error as SQLAlchemy raises it, or it would show what is to be hidden.
_WRAP = "give hooks the error that SQLAlchemy raises"
_wrap: Callable[..., Exception] = _library.needed(exc.DBAPIError, "instance", _WRAP)
_library.confirm(
    {"hide_parameters", "connection_invalidated", "dialect", "ismulti"} <= set(inspect.signature(_wrap).parameters),
    "DBAPIError.instance",
    _WRAP,
)


def hides_parameters(engine: Engine) -> bool:
    """Has it been made with `hide_parameters=True`?"""
    return bool(_library.needed(engine, "hide_parameters", _WRAP))


def wrapped(
    context: DefaultExecutionContext, error: Exception, sql: str, params: object, *, many: bool, lost: bool
) -> Exception:
    """What SQLAlchemy makes of an error of the driver's."""
    dialect = context.dialect
    return _wrap(
        sql,
        params,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=hides_parameters(context.engine),
        connection_invalidated=lost,
        dialect=dialect,
        ismulti=many,
    )


async def _closed() -> None:
    """A cursor of a connection that is gone is closed."""


# By this name SQLAlchemy closes an asynchronous cursor: without it, it would close one whose connection is gone.
_SOFT_CLOSE = "_async_soft_close"
with _library.importing("sqlalchemy.connectors.asyncio.AsyncAdapt_dbapi_cursor", "answer over a lost connection"):
    from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor
_library.needed(AsyncAdapt_dbapi_cursor, _SOFT_CLOSE, "answer over a lost connection")
OF_LOST_CONNECTION: dict[str, Callable[[], object]] = {"close": lambda: None, _SOFT_CLOSE: _closed}
"""What an answered cursor has of its own when its connection is gone."""


# -- which statement it is ---------------------------------------------------------------------------------------------

# Without it the dialect's own first queries would be hooked, on a connection that is not ready.
_BEGIN = "tell the dialect's own first queries from others"
_library.confirm("_allow_autobegin" in inspect.signature(Connection).parameters, "Connection._allow_autobegin", _BEGIN)


def may_begin(connection: Connection) -> bool:
    """May it begin a transaction? The one for the dialect's own first queries may not."""
    return bool(_library.needed(connection, "_allow_autobegin", _BEGIN))


# A column's default is executed on the cursor of its INSERT, before that has its text: if there always was one, the
# default's value would be taken for a new row.
_library.confirm(not hasattr(DefaultExecutionContext, "statement"), "DefaultExecutionContext", "tell column defaults")


def is_for_default(context: DefaultExecutionContext) -> bool:
    """Is it executed for the default of a column?"""
    return not hasattr(context, "statement")


# Without these hooks are told another kind of statement, and rows are read that nobody may read.
_KIND = "tell the kind of a statement"
for _name in ("isddl", "isdelete", "is_text", "_is_server_side"):
    _library.needed(DefaultExecutionContext, _name, _KIND)
_library.needed(Executable, "is_select", _KIND)


def compiled_of(context: DefaultExecutionContext) -> SQLCompiler | None:
    """The compiled statement; None for texts and DDL."""
    compiled = None if is_for_default(context) or context.isddl else context.compiled
    return cast("SQLCompiler | None", compiled)


def is_delete(context: DefaultExecutionContext) -> bool:
    """Is it a DELETE?"""
    return bool(context.isdelete)


def is_select(compiled: SQLCompiler | None) -> bool:
    """Is it a SELECT?"""
    statement: object = None if compiled is None else compiled.statement
    return isinstance(statement, Executable) and statement.is_select


def is_text(context: DefaultExecutionContext) -> bool:
    """Is it written by hand?"""
    return bool(context.is_text)


def streams(context: DefaultExecutionContext) -> bool:
    """Does the caller read its rows from the server's cursor?"""
    return bool(context._is_server_side or context.execution_options.get("stream_results", False))


# -- its columns -------------------------------------------------------------------------------------------------------

# Without this nobody knows the columns that SQLAlchemy wants, and rows are taken apart wrongly.
_COLUMNS = "know the columns of a statement"
_EXAMPLE = select(literal_column("1", Integer).label("a")).compile()
_library.confirm(
    _library.needed(_library.needed(_EXAMPLE, "_result_columns", _COLUMNS)[0], "keyname", _COLUMNS) == "a",
    "SQLCompiler._result_columns",
    _COLUMNS,
)


def names_of(compiled: SQLCompiler) -> tuple[str, ...]:
    """The columns of its result, sentinels included, by the names that the driver gives them."""
    return tuple(each.keyname for each in compiled._result_columns)


# Without this a guess at an answer's columns would be used for later executes of the same statement.
_library.needed(SQLCompiler, "_cached_metadata", "keep an answer's columns from later executes")


def knows_columns(compiled: SQLCompiler) -> bool:
    """Has SQLAlchemy kept what it made of the columns of an earlier execute?"""
    return compiled._cached_metadata is not None


def forget_columns(context: DefaultExecutionContext, compiled: SQLCompiler) -> None:
    """Have what SQLAlchemy makes of the columns of this execute used for no other."""
    mine = copy(compiled)
    mine._cached_metadata = None
    context.compiled = mine


# Without these the rows of an INSERT of many are given to the wrong objects.
_SENTINELS = "match the rows of an INSERT of many"
_library.needed(DefaultExecutionContext, "_num_sentinel_cols", _SENTINELS)
_library.needed(SQLCompiler, "_insertmanyvalues", _SENTINELS)


def sentinels_of(context: DefaultExecutionContext) -> int:
    """How many of the columns only tell rows apart."""
    return context._num_sentinel_cols


def needs_sentinels(context: DefaultExecutionContext) -> bool:
    """Are these columns ones that only the driver can give?"""
    compiled = cast("SQLCompiler", context.compiled)
    return not _library.needed(compiled._insertmanyvalues, "implicit_sentinel", _SENTINELS)
