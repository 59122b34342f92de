"""One execute of a SQL statement: the driver's call, and the cursor or the error that SQLAlchemy gets from it.

What SQLAlchemy is given is a DBAPI cursor in the place of the driver's (`ExecutionContext.cursor`), so that everything
that it makes of a cursor (result types, new ids, row counts) works on an answer too.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeAlias, cast, final

from sqlalchemy import Insert
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor, ExecuteStyle
from sqlalchemy.exc import InvalidRequestError

from interceptors.connectors.copies import own
from interceptors.connectors.sql import undocumented
from interceptors.connectors.sql.results import Kind, SQLRequest, SQLResult, kind_of

__all__ = ["Params", "Statement", "failed_of"]

DriverRow: TypeAlias = tuple[object, ...]
Answer: TypeAlias = dict[str, object]
"""Attributes of a cursor."""
Params: TypeAlias = Mapping[str, object] | Sequence[object]
CursorDescription: TypeAlias = Sequence[tuple[object, ...]] | None

_ANY_TYPE = {"postgresql": 1700}
"""The type code of an answer's columns, where a dialect wants one: PostgreSQL's numeric types refuse None."""

_NAMELESS = "?column?"
"""The column of an answer without rows to a text whose columns nobody knows."""


@final
class StandInCursor:
    """A cursor that answers in the place of its driver's, until it executes again."""

    def __init__(self, cursor: object) -> None:
        self._cursor = cursor
        self._answer: Answer = {}

    def answer(self, **attributes: object) -> None:
        """Give these attributes; the others stay the driver's."""
        self._answer = attributes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("execute"):  # an INSERT, after its column's default
            self._answer = {}
        answer = self._answer
        return answer[name] if name in answer else getattr(self._cursor, name)


def _fetching(rows: Sequence[DriverRow]) -> Answer:
    left = deque(rows)

    def fetchmany(size: int = 1) -> list[DriverRow]:
        return [left.popleft() for _ in range(min(size, len(left)))]

    return {
        "fetchone": lambda: left.popleft() if left else None,
        "fetchmany": fetchmany,
        "fetchall": lambda: fetchmany(len(left)),
    }


_FAILED = "interceptors_failed"
"""An attribute of ours on the context of an execution."""


def failed_of(context: object) -> "Failed | None":
    """How the statement of an execution failed, if it was hooked."""
    return getattr(context, _FAILED, None)


@final
@dataclass(frozen=True, slots=True)
class Failed:
    """How a statement failed: left on its execution context for `handle_error`."""

    judged: Exception
    """What SQLAlchemy gets to judge: the driver's error, or the hooks'."""
    traceback: TracebackType | None
    """Its own."""
    error: Exception
    """What the caller gets."""
    is_plain: bool
    """That is what SQLAlchemy would have made of the driver's error itself."""
    is_lost: bool
    """The connection cannot be used any more."""
    is_by_hook: bool
    """The driver had no part in it."""


@final
class Statement:
    """The operation of one execute: the driver's call, as often as the hooks want it."""

    def __init__(self, cursor: DBAPICursor, context: DefaultExecutionContext, sql: str) -> None:
        self.context = context
        self._cursor = cursor
        self._sql = sql
        self._is_default = undocumented.is_for_default(context)
        self._compiled = undocumented.compiled_of(context)
        self._is_text = self._is_default or undocumented.is_text(context)
        self._names = undocumented.names_of(self._compiled) if self._compiled else ()
        self._sentinels = 0 if self._is_default else undocumented.sentinels_of(context)
        self.kind: Kind = self._kind()
        self._wanted = self._names[: len(self._names) - self._sentinels]
        self.required = self._wanted
        """The columns that SQLAlchemy wants, by the names that the driver gave them."""
        self.columns = self._wanted
        """The columns that the driver gave, once it has executed."""
        self._executed: tuple[SQLResult, int | None, bool] | None = None  # the result, its row count, were rows read?
        self._description: CursorDescription = None
        self._failure: Exception | None = None  # the driver's error, if the last call failed,
        self._wrapped: Exception | None = None  # and what SQLAlchemy makes of it
        self._lost: Exception | None = None  # why the connection cannot be used any more

    def request(self, params: Params, *, many: bool) -> SQLRequest:
        """The request as the hooks get it: the values are theirs."""
        mine = [_own_params(each) for each in cast("Sequence[Params]", params)] if many else _own_params(params)
        return SQLRequest(self._sql, mine, many, self.kind, self.context.dialect.name)

    def _kind(self) -> Kind:
        context = self.context
        if not self._is_default and context.isinsert:
            return "insert"
        if not self._is_default and context.isupdate:
            return "update"
        if not self._is_default and undocumented.is_delete(context):
            return "delete"
        if undocumented.is_select(self._compiled):
            return "select"
        return kind_of(self._sql)

    # -- the operation ---------------------------------------------------------------------------------------------------

    async def __call__(self, req: SQLRequest) -> SQLResult:
        if self._lost is not None:
            raise self._lost
        self._failure = self._wrapped = self._executed = self._description = None
        self.columns = self.required = self._wanted
        try:
            return await undocumented.greenlet_spawn(self._send, req)
        except Exception as error:
            self._failure = error
            self._wrapped = self._wrap(req, error)
            if self._wrapped is error:
                raise
            raise self._wrapped from error
        except BaseException:
            self._lost = InvalidRequestError(
                "The driver was interrupted while it executed, so its connection is discarded; execute on another."
            )
            raise

    def _send(self, req: SQLRequest) -> SQLResult:
        cursor, context, dialect = self._cursor, self.context, self.context.dialect
        if req.many:
            dialect.do_executemany(cursor, req.sql, [self._for_driver(each) for each in req.params], context)
        elif req.params or not context.no_parameters:
            dialect.do_execute(cursor, req.sql, self._for_driver(req.params), context)
        else:
            dialect.do_execute_no_params(cursor, req.sql, context)
        self._description = cursor.description
        self.columns = tuple(column[0] for column in self._description or ())
        if len(self.columns) == len(self._names):
            self.required = self.columns[: len(self._wanted)]
        rows = cursor.fetchall() if self.columns and self._is_readable() else None
        rowcount: int = cursor.rowcount
        result = SQLResult(self.columns, rows, rowcount if rowcount >= 0 else None)
        self._executed = result, result.rowcount, rows is not None
        if req.sql != self._sql:
            self._protect_cache(self.columns, is_guess=False)
        return result

    def _for_driver(self, params: Any) -> Any:
        is_sequence = isinstance(cast("object", params), (list, tuple))
        return self.context.dialect.execute_sequence_format(params) if is_sequence else params

    def _is_readable(self) -> bool:
        if self._is_default:
            return True
        return not undocumented.streams(self.context) and self.kind not in ("insert", "update", "delete")

    def _wrap(self, req: SQLRequest, error: Exception) -> Exception:
        """What SQLAlchemy will make of the driver's error."""
        context, dialect = self.context, self.context.dialect
        wrapped, lost = error, undocumented.is_exit_exception(error)
        if isinstance(error, dialect.loaded_dbapi.Error):
            root = context.root_connection
            connection = None if root.closed or root.invalidated else root.connection
            lost = dialect.is_disconnect(error, connection, self._cursor)
            wrapped = undocumented.wrapped(context, error, req.sql, req.params, many=req.many, lost=lost)
        if lost:
            self._lost = wrapped
        return wrapped

    # -- what SQLAlchemy gets --------------------------------------------------------------------------------------------

    def judged(self, error: Exception) -> Exception:
        """What to raise so that SQLAlchemy can judge the connection, when the caller is to get `error`."""
        judged = error if self._failure is None else self._failure
        failed = Failed(
            judged=judged,
            traceback=judged.__traceback__,
            error=error,
            is_plain=error is self._wrapped,
            is_lost=self._lost is not None,
            is_by_hook=self._failure is None,
        )
        setattr(self.context, _FAILED, failed)
        return judged.with_traceback(error.__traceback__)  # the hooks' own lines

    def deliver(self, result: SQLResult) -> None:
        """Put a cursor with the result in the place of the driver's, unless that has it as it is."""
        context = self.context
        if self._lost is not None:
            context.root_connection.invalidate(self._failure)
        _, rowcount, was_read = self._executed or (None, None, True)
        if result.rows is None and not was_read:
            if result.rowcount != rowcount:
                self._answer({"rowcount": -1 if result.rowcount is None else result.rowcount})
            return
        rows = [tuple(row) for row in result.rows or ()]
        count = result.rowcount
        if count is None:
            count = -1 if self._executed else len(rows)
        answer: Answer = {"description": self._describe(tuple(result.columns)), "rowcount": count}
        if rows or not self._executed:
            answer["lastrowid"] = self._new_id(result.columns, rows)
        if self._lost is not None:
            answer.update(undocumented.OF_LOST_CONNECTION)
        rows = self._with_sentinels(rows)
        self._answer(answer | _fetching(rows))
        if self._names and context.execute_style is ExecuteStyle.INSERTMANYVALUES:
            self._answer_batch(rows)

    def _answer(self, answer: Answer) -> None:
        context, cursor = self.context, cast("object", self.context.cursor)
        if not isinstance(cursor, StandInCursor):
            cursor = StandInCursor(cursor)
            context.cursor = cast("DBAPICursor", cursor)
        cursor.answer(**answer)

    def _describe(self, columns: tuple[str, ...]) -> CursorDescription:
        """The description of a result with these columns; None where the statement returns no rows."""
        if self._executed and columns == self.columns:
            return self._description
        if self._is_text:
            returns_rows = self.kind in ("select", "other") or "returning" in self._sql.lower()
            columns = columns or ((_NAMELESS,) if returns_rows else ())
        elif self._names:
            columns = columns or self._wanted
            columns = (*columns, *(name for name in self._names[len(self._wanted) :] if name not in columns))
        else:
            columns = ()
        code = _ANY_TYPE.get(self.context.dialect.name)
        description = [(name, code, None, None, None, None, None) for name in columns]
        self._protect_cache(columns, is_guess=True)
        return description or None

    def _protect_cache(self, columns: tuple[str, ...], *, is_guess: bool) -> None:
        """Keep SQLAlchemy from using what it makes of these columns for later executes of the same compiled statement."""
        compiled = self._compiled
        if compiled is None or not self._names:
            return
        if columns != self._names or (is_guess and not undocumented.knows_columns(compiled)):
            undocumented.forget_columns(self.context, compiled)

    def _new_id(self, columns: Sequence[str], rows: list[DriverRow]) -> object:
        """What an answer gives as the new id, for dialects that ask the cursor for it."""
        if self.kind != "insert" or not rows:
            return None
        statement = None if self._compiled is None else self._compiled.statement
        table = statement.entity_description["table"] if isinstance(statement, Insert) else None
        key = getattr(table, "autoincrement_column", None)  # what an INSERT is into need not be a Table
        return rows[0][columns.index(key.name) if key is not None and key.name in columns else 0]

    def _answer_batch(self, rows: list[DriverRow]) -> None:
        """SQLAlchemy fetches the rows of an INSERT of many ("insertmanyvalues") from the driver's cursor."""
        context = self.context

        def fetchall_for_returning(_: object) -> list[DriverRow]:
            del context.fetchall_for_returning  # the next batch has its own
            return rows

        setattr(context, "fetchall_for_returning", fetchall_for_returning)  # noqa: B010 (for this one execute)

    def _with_sentinels(self, rows: list[DriverRow]) -> list[DriverRow]:
        """In a batch SQLAlchemy sorts the returned rows by sentinel columns, of which the hooks know nothing."""
        if not self._sentinels or (all(len(row) == len(self._names) for row in rows) and self._executed):
            return rows
        if undocumented.needs_sentinels(self.context):
            raise InvalidRequestError(
                f"SQLAlchemy matches the rows of this INSERT by {', '.join(self._names[-self._sentinels :])}, which only "
                f"the driver can give; answer INSERTs of one row (insertmanyvalues_page_size=1), or let it execute."
            )
        return [(*row[: len(self._wanted)], *[index] * self._sentinels) for index, row in enumerate(rows)]


def _own_params(params: Params) -> dict[str, object] | list[object]:
    if isinstance(params, Mapping):
        return {key: own(value, _same) for key, value in params.items()}
    return [own(value, _same) for value in params]


def _same(value: object) -> object:
    return value
