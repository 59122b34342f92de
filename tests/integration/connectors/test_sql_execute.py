"""One execute of SQL: what the hooks see, in which order, and what their edits do, on every server."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from interceptors.connectors import Connector
from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext, SQLRequest, SQLResult
from tests.integration.connectors.servers import server_url
from tests.integration.connectors.sql_support import URLS, Database, database, db

__all__ = ["database", "db"]


class Boom(Exception):
    pass


def record(db: SQLConnector) -> list[SQLContext]:
    seen: list[SQLContext] = []
    db.before_execute(seen.append)
    return seen


async def scalar(database: Database, statement: Any, params: Any = None) -> Any:
    async with database.engine.connect() as connection:
        return (await connection.execute(statement, params)).scalar()


async def test_without_hooks_nothing_is_done(database: Database, db: SQLConnector, monkeypatch: Any) -> None:
    monkeypatch.setattr("interceptors.connectors.sqlalchemy.Statement", None)
    await database.fill("ann")
    assert await scalar(database, select(database.users.c.name)) == "ann"


async def test_order_of_hooks_parent_first(database: Database) -> None:
    log: list[str] = []
    base: Connector[Any, Any] = Connector(name="base")
    db = SQLConnector(database.engine, parent=base, name="db")

    def interceptor(name: str) -> Any:
        async def run(ctx: SQLContext, next: Any) -> Any:
            log.append(f"{name} in")
            result = await next()
            assert result is ctx.res
            log.append(f"{name} out")
            return result

        return run

    db.intercept(interceptor("own"))
    base.intercept(interceptor("parent"))
    for each, name in ((db, "own"), (base, "parent")):
        each.before_execute(lambda ctx, name=name: log.append(f"{name} before {ctx.connector.name}"))
        each.after_execute(lambda ctx, name=name: log.append(f"{name} after"))
    assert await scalar(database, text("SELECT 7")) == 7
    assert log == [
        "parent in",
        "own in",
        "parent before db",
        "own before db",
        "parent after",
        "own after",
        "own out",
        "parent out",
    ]


async def test_what_a_request_holds(database: Database, db: SQLConnector) -> None:
    seen = record(db)
    users = database.users
    async with database.engine.begin() as connection:
        await connection.execute(insert(users), {"name": "ann"})
        await connection.execute(insert(users), [{"name": "bob"}, {"name": "eve"}])
        await connection.execute(update(users).where(users.c.name == "bob").values(credit=1))
        await connection.execute(users.delete().where(users.c.name == "bob"))
        await connection.execute(select(users.c.id).where(users.c.name == "eve").execution_options(mark=1))
        await connection.execute(text(f"/* why */ SELECT name FROM {users.name} WHERE name = :n"), {"n": "ann"})
        await connection.exec_driver_sql(f"DELETE FROM {users.name}")
    assert [ctx.req.kind for ctx in seen] == ["insert", "insert", "update", "delete", "select", "select", "delete"]
    assert [ctx.req.many for ctx in seen] == [False, True, False, False, False, False, False]
    assert {ctx.req.dialect for ctx in seen} == {database.name}
    assert seen[0].req.params == ["ann"]
    assert seen[1].req.params == [["bob"], ["eve"]]
    assert seen[5].req.params == ["ann"]
    assert seen[6].req.params == []
    assert seen[4].options["mark"] == 1
    placeholder = {"postgresql": "$1", "mysql": "%s", "sqlite": "?"}[database.name]
    assert placeholder in seen[0].req.sql
    assert [ctx.res.rowcount for ctx in seen[2:4]] == [1, 1]
    assert seen[4].res.rows is not None
    assert seen[4].res.columns == ("id",)
    assert [ctx.res.rows for ctx in (seen[0], seen[1], seen[2], seen[3], seen[6])] == [None] * 5


async def test_edits_in_place_of_sql_and_params(database: Database, db: SQLConnector) -> None:
    await database.fill("ann", "bob")

    @db.before_execute
    async def edit(ctx: SQLContext) -> None:
        await asyncio.sleep(0)
        assert isinstance(ctx.req.params, list)
        ctx.req.params[0] = "bob"
        ctx.req.sql += " -- tagged"

    users = database.users
    statement = select(users.c.id, users.c.name).where(users.c.name == "ann")
    async with database.engine.connect() as connection:
        for _ in range(2):
            assert (await connection.execute(statement)).all() == [(2, "bob")]


async def test_a_callers_values_never_change(database: Database, db: SQLConnector) -> None:
    mine: dict[str, Any] = {"name": "ann"}
    many = [{"name": "bob"}, {"name": "eve"}]
    hook_calls: list[Any] = []

    @db.before_execute
    def edit(ctx: SQLContext) -> None:
        params: Any = ctx.req.params
        for each in params if ctx.req.many else [params]:
            each[0] = "x" + each[0]
        hook_calls.append(params)

    async with database.engine.begin() as connection:
        await connection.execute(insert(database.users), mine)
        await connection.execute(insert(database.users), many)
    assert mine == {"name": "ann"}
    assert many == [{"name": "bob"}, {"name": "eve"}]
    assert await database.names() == ["xann", "xbob", "xeve"]


async def test_lists_inside_the_values_are_the_hooks_own() -> None:
    engine = create_async_engine(server_url("postgresql", URLS["postgresql"]))
    db = SQLConnector(engine)

    @db.before_execute
    def edit(ctx: SQLContext) -> None:
        ctx.req.params[0].append(3)  # type: ignore[index]

    ids = [1, 2]
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT unnest(CAST(:ids AS integer[]))"), {"ids": ids})
        assert rows.scalars().all() == [1, 2, 3]
    assert ids == [1, 2]
    await engine.dispose()


async def test_named_params_are_a_dict(tmp_path: Any) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    db = SQLConnector(engine)
    seen = record(db)
    mine = {"a": 1}

    @db.before_execute
    def edit(ctx: SQLContext) -> None:
        ctx.req.params["a"] += 1  # type: ignore[call-overload]

    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT :a", mine)).scalar() == 2
    assert mine == {"a": 1}
    assert seen[0].req.params == {"a": 2}
    await engine.dispose()


async def test_a_replaced_request_takes_over_what_it_leaves_out(database: Database, db: SQLConnector) -> None:
    mark = {"postgresql": "$1", "mysql": "%s", "sqlite": "?"}[database.name]

    @db.before_execute
    def replace(ctx: SQLContext) -> None:
        if ctx.req.many:
            ctx.req = SQLRequest(ctx.req.sql, [["x"], ["y"]])
            assert ctx.req.many
        else:
            cast = "::integer" if database.name == "postgresql" else ""
            ctx.req = SQLRequest(f"SELECT {mark}{cast} + 1", [1])
        assert (ctx.req.dialect, ctx.req.kind) == (database.name, "insert" if ctx.req.many else "select")

    assert await scalar(database, text("SELECT 5")) == 2
    async with database.engine.begin() as connection:
        await connection.execute(insert(database.users), [{"name": "ann"}, {"name": "bob"}])
    assert await database.names() == ["x", "y"]


async def test_what_is_no_request_is_refused_in_the_hooks_line(database: Database, db: SQLConnector) -> None:
    @db.before_execute
    def replace(ctx: SQLContext) -> None:
        with pytest.raises(TypeError, match="takes a SQLRequest, not str: 'SELECT 2'"):
            ctx.req = "SELECT 2"  # type: ignore[assignment]

    assert await scalar(database, text("SELECT 5")) == 5


@pytest.mark.parametrize("how", ["end2", "end3", "observe", "results", "onion"])
async def test_an_answer_without_a_statement(database: Database, db: SQLConnector, how: str) -> None:
    later: list[str] = []
    if how == "end2":
        db.before_execute(lambda ctx: ctx.end(None, [{"name": "cached"}]))
    elif how == "end3":
        db.before_execute(lambda ctx: ctx.end(None, ctx, [{"name": "cached"}]))
    elif how == "observe":

        @db.observe("before execute")
        def cached(ctx: SQLContext, next: Any) -> None:
            asyncio.get_running_loop().call_soon(ctx.end, None, SQLResult(("name",), [("cached",)]))

    else:

        @db.intercept
        async def answer(ctx: SQLContext, next: Any) -> Any:
            if how == "results":
                ctx.results = [[{"name": "cached"}]]
                return ctx.res
            return [{"name": "cached"}]

    db.before_execute(lambda ctx: later.append("before"))
    db.after_execute(lambda ctx: later.append("after"))
    # No such table: the statement is never sent.
    assert await scalar(database, text("SELECT name FROM nowhere")) == "cached"
    assert later == []


async def test_end_with_an_error(database: Database, db: SQLConnector) -> None:
    boom = Boom()
    db.before_execute(lambda ctx: ctx.end(boom))
    db.after_execute_error(lambda ctx: pytest.fail("a before observer's error runs no error observer"))
    async with database.engine.connect() as connection:
        with pytest.raises(Boom) as caught:
            await connection.execute(text("SELECT 1"))
        assert caught.value is boom
        assert not connection.invalidated
        db.clear_observers()
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    await database.assert_healthy()


@pytest.mark.parametrize("how", ["assign", "in place", "results", "results[0]", "end", "interceptor"])
async def test_results_edited_and_replaced(database: Database, db: SQLConnector, how: str) -> None:
    await database.fill("ann", "bob")

    def change(ctx: SQLContext) -> None:
        rows = ctx.res.rows or []
        dicts = [{"name": name.upper(), "id": number} for number, name in rows]
        if how == "assign":
            ctx.res = dicts  # type: ignore[assignment]
        elif how == "in place":
            rows[:] = [[number, name.upper()] for number, name in rows]  # type: ignore[misc]
        elif how == "results":
            ctx.results = [dicts]
        elif how == "results[0]":
            ctx.results[0] = dicts
        elif how == "end":
            ctx.end(None, dicts)

    if how == "interceptor":

        @db.intercept
        async def onion(ctx: SQLContext, next: Any) -> Any:
            result = await next()
            return [dict(zip(result.columns, (number, name.upper()), strict=True)) for number, name in result.rows]
    else:
        db.after_execute(change)
    users = database.users
    async with database.engine.connect() as connection:
        result = await connection.execute(select(users.c.id, users.c.name).order_by(users.c.id))
        rows = result.all()
    assert rows == [(1, "ANN"), (2, "BOB")]
    assert rows[0]._mapping[users.c.name] == "ANN"


async def test_error_observers_see_what_the_caller_gets(database: Database, db: SQLConnector) -> None:
    await database.fill("ann")
    seen: list[Any] = []

    @db.after_execute_error
    async def see(ctx: SQLContext) -> None:
        await asyncio.sleep(0)
        seen.append((ctx.error, ctx.res))

    db.after_execute(lambda ctx: seen.append("succeeded"))
    async with database.engine.connect() as connection:
        with pytest.raises(IntegrityError) as caught:
            await connection.execute(insert(database.users), {"name": "ann"})
    assert seen == [(caught.value, None)]
    assert caught.value.__cause__ is caught.value.orig
    assert caught.value.statement
    assert "INSERT INTO" in str(caught.value)
    assert not caught.value.connection_invalidated
    db.clear_observers()
    await database.assert_healthy()


@pytest.mark.parametrize("how", ["raise", "next", "end", "interceptor"])
async def test_a_mapped_error(database: Database, db: SQLConnector, how: str) -> None:
    await database.fill("ann")
    boom = Boom()

    def raising(ctx: SQLContext) -> None:
        raise boom

    if how == "raise":
        db.after_execute_error(raising)
    elif how == "next":

        @db.observe("after execute error")
        def told(ctx: SQLContext, next: Any) -> None:
            next(boom)

    elif how == "end":
        db.after_execute_error(lambda ctx: ctx.end(boom))
    else:

        @db.intercept
        async def onion(ctx: SQLContext, next: Any) -> Any:
            try:
                return await next()
            except IntegrityError:
                raising(ctx)

    if how != "interceptor":
        db.after_execute_error(lambda ctx: pytest.fail("the rest is skipped"))
    async with database.engine.connect() as connection:
        with pytest.raises(Boom) as caught:
            await connection.execute(insert(database.users), {"name": "ann"})
    assert caught.value is boom
    driver = caught.value.__cause__
    assert isinstance(driver, database.engine.dialect.loaded_dbapi.Error)
    lines = [frame.name for frame in caught.traceback]
    assert ("raising" in lines) is (how in ("raise", "interceptor"))
    assert driver.__traceback__ is not None
    await database.assert_healthy()


async def test_recovery_from_an_error(database: Database, db: SQLConnector) -> None:
    db.after_execute_error(lambda ctx: ctx.end(None, [{"n": 3}]))
    assert await scalar(database, text("SELECT n FROM nowhere")) == 3
    await database.assert_healthy()


async def test_retry_runs_observers_and_statement_again(database: Database, db: SQLConnector) -> None:
    befores: list[str] = []
    db.before_execute(lambda ctx: befores.append(ctx.req.sql))

    @db.intercept
    async def retry(ctx: SQLContext, next: Any) -> Any:
        try:
            return await next()
        except Exception:
            assert ctx.error is not None
            ctx.req.sql = "SELECT 4"
            return await next()

    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT n FROM nowhere"))).scalar() == 4
        assert (await connection.execute(text("SELECT 9"))).scalar() == 9
    assert befores == ["SELECT n FROM nowhere", "SELECT 4", "SELECT 9"]
    await database.assert_healthy()


async def test_recovery_from_a_second_call_that_failed(database: Database, db: SQLConnector) -> None:
    @db.intercept
    async def again(ctx: SQLContext, next: Any) -> Any:
        await next()
        with pytest.raises(IntegrityError):
            await next()
        return 5

    async with database.engine.connect() as connection:
        result = await connection.execute(insert(database.users), {"id": 1, "name": "ann"})
        assert (result.rowcount, result.inserted_primary_key) == (5, (1,))


async def test_a_hook_that_queries_the_same_engine(database: Database, db: SQLConnector) -> None:
    await database.fill("ann")
    runs: list[int] = []

    @db.before_execute
    async def count(ctx: SQLContext) -> None:
        async with database.session() as session:
            runs.append(await session.scalar(select(func.count()).select_from(database.users)))

    assert await scalar(database, select(database.users.c.name)) == "ann"
    assert runs == [1]


async def test_200_concurrent_executes_do_not_mix(database: Database, db: SQLConnector) -> None:
    mark = {"postgresql": "$1", "mysql": "%s", "sqlite": "?"}[database.name]
    cast = "::integer" if database.name == "postgresql" else ""

    @db.before_execute
    async def edit(ctx: SQLContext) -> None:
        ctx.state["number"] = ctx.req.params[0]  # type: ignore[index]
        await asyncio.sleep(0.001 * (ctx.req.params[0] % 7))  # type: ignore[index]
        if ctx.req.params[0] % 5 == 0:  # type: ignore[index]
            ctx.end(None, [{"n": ctx.state["number"]}])

    @db.after_execute
    async def check(ctx: SQLContext) -> None:
        await asyncio.sleep(0)
        assert ctx.res.rows == [(ctx.state["number"],)]

    async def one(number: int) -> int:
        async with database.engine.connect() as connection:
            return (await connection.exec_driver_sql(f"SELECT {mark}{cast} AS n", (number,))).scalar_one()

    assert await asyncio.gather(*map(one, range(200))) == list(range(200))
    db.clear_observers()
    await database.assert_healthy()


async def test_hooked_before_the_first_connection(database: Database) -> None:
    engine = database.another_engine(pool_pre_ping=True)
    db = SQLConnector(engine)
    seen = record(db)
    for _ in range(2):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    assert [ctx.req.sql for ctx in seen] == ["SELECT 1", "SELECT 1"]
    await engine.dispose()


async def test_engines_with_options_are_hooked_too(database: Database, db: SQLConnector) -> None:
    seen = record(db)
    async with database.engine.execution_options(logged=True).connect() as connection:
        await connection.execute(text("SELECT 1"), execution_options={"more": 2})
    assert seen[0].options == {"logged": True, "more": 2}


async def test_listeners_of_sqlalchemy_keep_working(database: Database) -> None:
    await database.fill("ann")
    seen: list[str] = []
    sync = database.engine.sync_engine
    theirs, ours = Boom(), ValueError()

    @event.listens_for(sync, "handle_error")
    def mapped(context: Any) -> Any:
        return theirs

    @event.listens_for(sync, "before_cursor_execute", retval=True)
    def tag(connection: Any, cursor: Any, sql: str, params: Any, context: Any, many: bool) -> Any:
        return f"{sql} -- theirs", params

    db = SQLConnector(database.engine)
    db.before_execute(lambda ctx: seen.append(ctx.req.sql))
    assert await scalar(database, text("SELECT 1")) == 1
    assert seen == ["SELECT 1 -- theirs"]
    with pytest.raises(Boom) as caught:
        await scalar(database, insert(database.users), {"name": "ann"})
    assert caught.value is theirs
    db.after_execute_error(lambda ctx: ctx.end(ours))
    with pytest.raises(ValueError) as mapped_by_hook:
        await scalar(database, insert(database.users), {"name": "ann"})
    assert mapped_by_hook.value is ours


async def test_statements_without_parameters_at_all(database: Database, db: SQLConnector) -> None:
    seen = record(db)
    async with database.engine.connect() as connection:
        options = {"no_parameters": True}
        # With parameters, even none of them, MySQL's driver would want %% here.
        assert (await connection.exec_driver_sql("SELECT 'a%'", execution_options=options)).scalar() == "a%"
    assert seen[0].req.params == []


async def test_a_hook_makes_one_of_many(database: Database, db: SQLConnector) -> None:
    @db.before_execute
    def first_only(ctx: SQLContext) -> None:
        ctx.req.many, ctx.req.params = False, ctx.req.params[0]  # type: ignore[index]

    async with database.engine.begin() as connection:
        await connection.execute(insert(database.users), [{"name": "ann"}, {"name": "bob"}])
    assert await database.names() == ["ann"]


async def test_nothing_of_an_execute_stays(tmp_path: Any) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    db = SQLConnector(engine)
    contexts: list[Any] = []
    db.before_execute(lambda ctx: contexts.append(weakref.ref(ctx)))
    db.after_execute_error(lambda ctx: ctx.end(Boom()))
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(Boom):
            await connection.execute(text("SELECT n FROM nowhere"))
    gc.collect()
    assert [ref() for ref in contexts] == [None, None]
    await engine.dispose()
