"""What goes wrong between the application and its database, and that the pool is healthy afterwards."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext
from interceptors.errors import ForgottenNextError
from tests.integration.connectors.sql_support import Database, database, db

pytestmark = pytest.mark.slow

__all__ = ["database", "db"]

SLEEP = {"postgresql": "SELECT pg_sleep(30)", "mysql": "SELECT SLEEP(30)"}
WHO = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


WITH_A_BACKEND = pytest.mark.parametrize("database", list(KILL), indirect=True)  # SQLite has none


class Boom(Exception):
    pass


def slow(database: Database) -> Any:
    if database.name == "sqlite":
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT max(i) FROM n"
        )
        return text(endless)
    return text(SLEEP[database.name])


async def kill(database: Database, number: int) -> None:
    await asyncio.sleep(0.3)
    other = database.another_engine()
    async with other.connect() as connection:
        await connection.execute(text(KILL[database.name].format(number)))
    await other.dispose()


async def killed(database: Database, connection: Any) -> Any:
    """Execute something slow whose backend is killed meanwhile."""
    number = (await connection.execute(text(WHO[database.name]))).scalar()
    killing = asyncio.create_task(kill(database, number))
    try:
        return await connection.execute(slow(database))
    finally:
        await killing


@WITH_A_BACKEND
@pytest.mark.parametrize("how", ["as it is", "mapped", "interceptor"])
async def test_a_backend_killed_while_a_statement_runs(database: Database, db: SQLConnector, how: str) -> None:
    errors: list[Any] = []
    boom = Boom()

    @db.after_execute_error
    async def see(ctx: SQLContext) -> None:
        errors.append(ctx.error)
        if how == "mapped":
            raise boom

    @db.intercept
    async def onion(ctx: SQLContext, next: Any) -> Any:
        try:
            return await next()
        except DBAPIError as error:
            if how == "interceptor":
                raise boom from error
            raise

    async with database.engine.connect() as connection:
        with pytest.raises(DBAPIError if how == "as it is" else Boom) as caught:
            await killed(database, connection)
        assert connection.invalidated
    (error,) = errors
    assert error.connection_invalidated
    assert caught.value is (error if how == "as it is" else boom)
    assert isinstance(caught.value.__cause__, database.engine.dialect.loaded_dbapi.Error)
    await database.assert_healthy()


@WITH_A_BACKEND
@pytest.mark.parametrize("how", ["recover", "retry"])
async def test_a_lost_connection_is_discarded_whatever_hooks_do(database: Database, db: SQLConnector, how: str) -> None:
    tries: list[Any] = []

    @db.intercept
    async def onion(ctx: SQLContext, next: Any) -> Any:
        for _ in range(3):
            try:
                return await next()
            except DBAPIError as error:
                tries.append(error)
        if how == "recover":
            return [{"n": 5}]
        raise tries[-1]

    async with database.engine.connect() as connection:
        if how == "recover":
            assert (await killed(database, connection)).scalar() == 5
        else:
            with pytest.raises(DBAPIError) as caught:
                await killed(database, connection)
            assert caught.value is tries[0]
        assert len(set(map(id, tries))) == 1  # running again on a lost connection gives its error again
        assert connection.invalidated
        with pytest.raises(PendingRollbackError):
            await connection.execute(text("SELECT 1"))
    await database.assert_healthy()


async def test_a_refused_connection_runs_no_hooks() -> None:
    engine = create_async_engine("postgresql+asyncpg://postgres@127.0.0.1:1/test")
    db = SQLConnector(engine)
    runs: list[Any] = []
    db.before_execute(runs.append)
    db.after_execute_error(runs.append)
    with pytest.raises(OSError):
        async with engine.connect():
            pass
    assert runs == []
    await engine.dispose()


async def test_an_exhausted_pool_in_a_hook(database: Database) -> None:
    engine = database.another_engine(pool_size=1, max_overflow=0, pool_timeout=0.2)
    db = SQLConnector(engine)
    failed: list[Any] = []

    @db.before_execute
    async def query(ctx: SQLContext) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 2"))

    db.after_execute_error(failed.append)
    async with engine.connect() as connection:
        with pytest.raises(PoolTimeoutError):
            await connection.execute(text("SELECT 1"))
        with pytest.raises(PoolTimeoutError):
            async with engine.connect():
                pass
        db.clear_observers()
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    assert failed == []
    await engine.dispose()


async def test_cancelled_while_a_hook_awaits(database: Database, db: SQLConnector) -> None:
    reached = asyncio.Event()
    later: list[Any] = []

    @db.before_execute
    async def wait(ctx: SQLContext) -> None:
        reached.set()
        await asyncio.sleep(30)

    db.before_execute(later.append)
    db.after_execute_error(later.append)

    async def query() -> None:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    task = asyncio.create_task(query())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert later == []
    db.clear_observers()
    await database.assert_healthy()


async def test_cancelled_while_the_driver_executes(database: Database, db: SQLConnector) -> None:
    failed: list[Any] = []
    db.after_execute_error(failed.append)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), database.engine.connect() as connection:
            await connection.execute(slow(database))
    assert failed == []
    await database.assert_healthy()


@pytest.mark.parametrize("how", ["raise", "retry", "answer"])
async def test_a_time_out_of_an_interceptor(database: Database, db: SQLConnector, how: str) -> None:
    """The driver was interrupted within its protocol: its connection must not be used again, by nobody."""

    @db.intercept
    async def limited(ctx: SQLContext, next: Any) -> Any:
        try:
            async with asyncio.timeout(0.2):
                return await next()
        except TimeoutError:
            if how == "raise":
                raise
            if how == "retry":
                ctx.req.sql = "SELECT 1"
                return await next()
            return [{"n": 6}]

    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        if how == "answer":
            assert (await connection.execute(slow(database))).scalar() == 6
        else:
            expected = TimeoutError if how == "raise" else InvalidRequestError
            with pytest.raises(expected) as caught:
                await connection.execute(slow(database))
            assert how == "raise" or "interrupted" in str(caught.value)
        assert connection.invalidated
    await database.assert_healthy()


async def test_a_time_out_in_a_hook_leaves_the_connection(database: Database) -> None:
    db = SQLConnector(database.engine, next_timeout=0.05)
    runs: list[Any] = []

    @db.observe("before execute")
    def forgetful(ctx: SQLContext, next: Any) -> None:
        runs.append(ctx)
        if len(runs) > 1:
            next()

    async with database.engine.connect() as connection:
        with pytest.raises(ForgottenNextError):
            await connection.execute(text("SELECT 1"))
        assert not connection.invalidated
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    await database.assert_healthy()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # of these drivers only asyncpg has one
async def test_a_drivers_own_time_out(database: Database) -> None:
    engine = database.another_engine(connect_args={"command_timeout": 0.2})
    db = SQLConnector(engine)
    errors: list[Any] = []
    db.after_execute_error(lambda ctx: errors.append(ctx.error))
    async with engine.connect() as connection:
        with pytest.raises(TimeoutError) as caught:
            await connection.execute(slow(database))
        assert errors == [caught.value]
        assert connection.invalidated
    async with engine.connect() as connection:
        db.after_execute_error(lambda ctx: ctx.end(None, [{"n": 1}]))
        assert (await connection.execute(slow(database))).scalar() == 1
        assert connection.invalidated
    await engine.dispose()


async def test_an_after_hook_that_fails(database: Database, db: SQLConnector) -> None:
    await database.fill("ann")
    boom = Boom()
    db.after_execute(lambda ctx: ctx.end(boom))
    db.after_execute_error(lambda ctx: pytest.fail("an after observer's error runs no error observer"))
    async with database.engine.begin() as connection:
        with pytest.raises(Boom) as caught:
            await connection.execute(select(database.users))
        assert caught.value is boom
        assert caught.value.__cause__ is None
        assert not connection.invalidated
        with pytest.raises(Boom):
            await connection.execute(database.users.insert(), {"name": "bob"})
    assert await database.names() == ["ann", "bob"]  # it had been executed
    db.clear_observers()
    await database.assert_healthy()


async def test_a_hooks_statement_fails_on_another_connection(database: Database, db: SQLConnector) -> None:
    @db.before_execute
    async def query(ctx: SQLContext) -> None:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT n FROM nowhere"))

    async with database.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="nowhere"):
            await connection.execute(text("SELECT 1"))
        assert not connection.invalidated
        db.clear_observers()
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    await database.assert_healthy()
