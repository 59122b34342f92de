"""The ways to a statement: sessions, lazy loads, flushes, run_sync, savepoints, streams, on every server."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext
from tests.integration.connectors.sql_support import Database, database, db

__all__ = ["database", "db"]


def record(db: SQLConnector) -> list[Any]:
    seen: list[Any] = []

    @db.intercept
    async def note(ctx: SQLContext, next: Any) -> Any:
        await asyncio.sleep(0)
        result = await next()
        seen.append((ctx.req.kind, ctx.res.rows))
        return result

    return seen


async def test_queries_lazy_loads_and_flushes(database: Database, db: SQLConnector) -> None:
    seen = record(db)
    async with database.session() as session, session.begin():
        ann, post = database.User(), database.Post()
        ann.name, post.title = "ann", "first"
        ann.posts.append(post)
        session.add(ann)
    assert [kind for kind, _ in seen] == ["insert", "insert"]
    seen.clear()
    async with database.session() as session:
        ann = (await session.scalars(select(database.User))).one()
        titles = await session.run_sync(lambda _: [post.title for post in ann.posts])  # a lazy load
        assert (ann.name, titles) == ("ann", ["first"])
        ann.name = "eve"
        await session.commit()
    assert [kind for kind, _ in seen] == ["select", "select", "update"]
    assert seen[0][1] == [(1, "ann", None)]
    assert seen[1][1] == [(1, 1, "first")]
    assert await database.names() == ["eve"]


async def test_lazy_loads_and_entities_answered(database: Database, db: SQLConnector) -> None:
    posts = database.posts.name

    @db.before_execute
    def answer(ctx: SQLContext) -> None:
        if posts in ctx.req.sql:
            ctx.end(None, [{"title": "cached", "id": 8, "user_id": 7}])
        else:
            ctx.end(None, [{"id": 7, "name": "cached", "credit": None}])

    async with database.session() as session:
        user = (await session.scalars(select(database.User))).one()
        titles = await session.run_sync(lambda _: [post.title for post in user.posts])
        assert (user.id, user.name, titles) == (7, "cached", ["cached"])


async def test_savepoints_are_hooked_transactions_are_not(database: Database, db: SQLConnector) -> None:
    log: list[str] = []
    db.before_execute(lambda ctx: log.append(ctx.req.sql.split()[0]))
    db.after_execute_error(lambda ctx: log.append("failed"))
    async with database.session() as session, session.begin():
        await session.execute(insert(database.users), {"name": "ann"})
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                await session.execute(insert(database.users), {"name": "ann"})
        await session.execute(insert(database.users), {"name": "bob"})
    assert log == ["INSERT", "SAVEPOINT", "INSERT", "failed", "ROLLBACK", "INSERT"]
    assert await database.names() == ["ann", "bob"]


async def test_a_retry_in_a_savepoint_of_ones_own(database: Database, db: SQLConnector) -> None:
    """A failed statement spoils PostgreSQL's transaction: what runs again needs a savepoint of the application's."""
    await database.fill("ann")

    @db.after_execute_error
    def recover(ctx: SQLContext) -> None:
        ctx.end(None, 0)

    async with database.engine.begin() as connection:
        async with connection.begin_nested() as savepoint:
            assert (await connection.execute(insert(database.users), {"name": "ann"})).rowcount == 0
            await savepoint.rollback()
        await connection.execute(insert(database.users), {"name": "bob"})
    assert await database.names() == ["ann", "bob"]


async def test_streams_are_hooked_and_not_read(database: Database, db: SQLConnector) -> None:
    await database.fill("ann", "bob", "eve")
    seen: list[Any] = []
    db.after_execute(lambda ctx: seen.append((ctx.res.columns, ctx.res.rows)))
    statement = select(database.users.c.name).order_by(database.users.c.id)
    async with database.engine.connect() as connection:
        async with connection.stream(statement) as result:
            assert [row.name async for row in result] == ["ann", "bob", "eve"]
        assert seen == [(("name",), None)]

        @db.before_execute
        def answer(ctx: SQLContext) -> None:
            ctx.end(None, [{"name": "cached"}, {"name": "too"}])

        async with connection.stream(statement) as result:
            assert [row.name async for row in result] == ["cached", "too"]
        db.clear_observers()

        @db.after_execute
        def replace(ctx: SQLContext) -> None:
            ctx.res = [{"name": "replaced"}]  # type: ignore[assignment]

        async with connection.stream(statement) as result:
            assert [row.name async for row in result] == ["replaced"]
    async with database.session() as session:
        users = await session.stream_scalars(select(database.users.c.name).execution_options(yield_per=1))
        assert [name async for name in users] == ["replaced"]
    db.clear_observers()
    await database.assert_healthy()


async def test_context_variables_of_the_caller(database: Database, db: SQLConnector) -> None:
    request_id: ContextVar[int] = ContextVar("request_id")
    seen: list[int] = []
    db.before_execute(lambda ctx: seen.append(request_id.get()))

    async def one(number: int) -> None:
        request_id.set(number)
        async with database.session() as session, session.begin():
            user = database.User()
            user.name = str(number)
            session.add(user)  # flushed by the commit

    await asyncio.gather(*map(one, range(4)))
    assert sorted(seen) == [0, 1, 2, 3]


async def test_what_runs_inside_a_hooks_task_is_not_hooked(database: Database, db: SQLConnector) -> None:
    calls: list[str] = []

    @db.before_execute
    async def spawn(ctx: SQLContext) -> None:
        calls.append(ctx.req.sql)

        async def query() -> None:
            async with database.engine.connect() as connection:
                await connection.execute(text("SELECT 2"))

        await asyncio.create_task(query())

    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.execute(text("SELECT 3"))
    assert calls == ["SELECT 1", "SELECT 3"]
