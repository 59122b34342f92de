"""Hooks around the statements of an `AsyncEngine`: Core, `text`, the ORM's queries, lazy loads and flushes.

SQLAlchemy's dialect events hand over each statement where it would give it to the driver. There the hooks run, in the
task that executes; the operation inside them is the driver's call. What they leave is handed back as a DBAPI cursor,
or as the error that SQLAlchemy is to raise: it judges the driver's own error, and so discards dead connections as ever.
"""

from typing import TypeAlias

from interceptors.connectors.connector import AnyConnector, Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.errors import AlreadyHookedError, MissingExtraError

try:
    from sqlalchemy import event
    from sqlalchemy.engine.default import DefaultExecutionContext
    from sqlalchemy.engine.interfaces import DBAPICursor, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

    from interceptors.connectors.sql.results import SQLRequest, SQLResult, as_result, taken_over
    from interceptors.connectors.sql.statement import Params, Statement, failed_of
    from interceptors.connectors.sql.undocumented import await_, may_begin
except ImportError as error:
    raise MissingExtraError("interceptors.connectors.sqlalchemy", "sqlalchemy") from error

__all__ = ["SQLConnector", "SQLContext", "SQLRequest", "SQLResult"]

SQLContext: TypeAlias = ConnectorContext[SQLRequest, SQLResult]

_CONNECTOR = "interceptors_connector"
"""An attribute of ours on a dialect."""


class SQLConnector(Connector[SQLRequest, SQLResult]):
    """Hooks every statement on a cursor of an engine, from now on.

    Not hooked: connecting, the dialect's first queries, pre-ping, BEGIN, COMMIT and ROLLBACK. A hook that queries the
    same engine is not hooked itself, and takes a second connection from the pool.

    >>> db = SQLConnector(create_async_engine(url))
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        name: str | None = None,
        parent: AnyConnector | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        if not isinstance(engine, AsyncEngine):
            raise TypeError(
                f"{self.name} takes an AsyncEngine, not {type(engine).__name__}: use "
                f"sqlalchemy.ext.asyncio.create_async_engine."
            )
        # The events are the dialect's, which engines made with `execution_options` share with this one.
        dialect = engine.sync_engine.dialect
        other: SQLConnector | None = vars(dialect).get(_CONNECTOR)
        if other is not None:
            raise AlreadyHookedError(
                f"{engine!r} is hooked by {other.name} already; use that connector, or share hooks with parent=.",
                engine,
            )
        setattr(dialect, _CONNECTOR, self)
        self.engine = engine
        for name_of_event in ("do_execute", "do_executemany", "do_execute_no_params", "handle_error"):
            event.listen(dialect, name_of_event, getattr(self, f"_{name_of_event}"))

    def take_request(self, ctx: SQLContext, value: object) -> SQLRequest:
        """Only a SQLRequest."""
        return taken_over(value, ctx.req)

    def take_result(self, ctx: SQLContext, value: object, source: object = None) -> SQLResult:
        """A SQLResult, a list of dicts, an int (the row count), None or [] (no rows)."""
        statement = ctx.operation
        if isinstance(statement, Statement):
            return as_result(value, statement.columns, statement.required)
        return as_result(value, (), ())

    # -- the dialect's events: True takes the statement over -------------------------------------------------------------

    def _do_execute(self, cursor: DBAPICursor, sql: str, params: Params, context: DefaultExecutionContext) -> bool:
        return self.is_hooked and self._run(cursor, sql, params, context)

    def _do_executemany(self, cursor: DBAPICursor, sql: str, params: Params, context: DefaultExecutionContext) -> bool:
        return self.is_hooked and self._run(cursor, sql, params, context, many=True)

    def _do_execute_no_params(self, cursor: DBAPICursor, sql: str, context: DefaultExecutionContext) -> bool:
        return self.is_hooked and self._run(cursor, sql, (), context)

    def _run(
        self, cursor: DBAPICursor, sql: str, params: Params, context: DefaultExecutionContext, *, many: bool = False
    ) -> bool:
        if not may_begin(context.root_connection):  # the dialect's own first queries
            return False
        statement = Statement(cursor, context, sql)
        req = statement.request(params, many=many)
        error: Exception | None = None
        try:
            statement.deliver(await_(self.execute(req, statement, options=dict(context.execution_options))))
        except Exception as raised:  # noqa: BLE001 (SQLAlchemy has to see the driver's error, whatever this is)
            error = raised
        try:
            if error is not None:
                raise statement.judged(error)
        finally:
            del error  # its traceback holds this frame
        return True

    def _handle_error(self, context: ExceptionContext) -> BaseException | None:
        """What SQLAlchemy raises, when it has judged the error that `_run` raised."""
        failed = failed_of(context.execution_context)
        if failed is None or failed.judged is not context.original_exception:
            return None
        failed.judged.__traceback__ = failed.traceback
        if failed.is_by_hook:
            # A TimeoutError, too, says nothing about the connection; and if it is lost, the others of the pool are not.
            context.is_disconnect = failed.is_lost
            context.invalidate_pool_on_disconnect = False
        if failed.error is failed.judged or (failed.is_plain and getattr(context, "chained_exception", None)):
            return None
        return failed.error
