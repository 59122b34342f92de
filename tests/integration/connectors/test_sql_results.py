"""What stands for a result of SQL, and what SQLAlchemy's caller gets from it, on every server."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Sequence, String, Table, func, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm.exc import FlushError

from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext, SQLResult
from tests.integration.connectors.sql_support import Database, database, db

__all__ = ["database", "db"]


def answer(db: SQLConnector, value: Any) -> None:
    db.clear_observers()
    db.before_execute(lambda ctx: ctx.end(None, value))


@pytest.mark.parametrize("value", [None, [], 0, (), SQLResult(rowcount=0)])
async def test_no_rows(database: Database, db: SQLConnector, value: Any) -> None:
    answer(db, value)
    users = database.users
    async with database.engine.connect() as connection:
        result = await connection.execute(select(users.c.id, users.c.name))
        assert list(result.keys()) == ["id", "name"]
        assert (result.rowcount, result.all()) == (0, [])
        assert (await connection.execute(text("SELECT a FROM nowhere"))).all() == []
        assert (await connection.execute(text("SELECT a FROM nowhere"))).scalar_one_or_none() is None
        assert (await connection.execute(text("SHOW nothing"))).mappings().all() == []
        assert (await connection.execute(update(users).values(name="x"))).rowcount == 0
        assert not (await connection.execute(text("UPDATE nowhere SET a = 1"))).returns_rows
        assert (await connection.execute(text("UPDATE nowhere SET a = 1 RETURNING a"))).all() == []
        assert (await connection.exec_driver_sql("SELECT a FROM nowhere")).all() == []


async def test_end_without_arguments_and_a_row_count(database: Database, db: SQLConnector) -> None:
    db.before_execute(lambda ctx: ctx.end())
    async with database.engine.connect() as connection:
        assert (await connection.execute(select(database.users))).all() == []
        answer(db, 5)
        result = await connection.execute(update(database.users).values(name="x"))
        assert (result.rowcount, result.returns_rows) == (5, False)
        assert (await connection.execute(text("DELETE FROM nowhere"))).rowcount == 5
        result = await connection.execute(select(database.users))
        assert (result.rowcount, result.all()) == (5, [])
        result = await connection.execute(insert(database.users), [{"name": "ann"}, {"name": "bob"}])
        assert result.rowcount == 5
    assert await database.names() == []


async def test_ddl_can_be_answered(database: Database, db: SQLConnector) -> None:
    answer(db, None)
    async with database.engine.begin() as connection:
        await connection.run_sync(database.users.drop)
    db.clear_observers()
    assert await database.names() == []


async def test_dicts_in_any_order_and_types(database: Database, db: SQLConnector) -> None:
    rows = [{"credit": Decimal("1.50"), "name": "ann", "id": 1}, {"id": 2, "name": "bob", "credit": None}]
    users = database.users
    async with database.engine.connect() as connection:
        for _ in range(2):
            answer(db, rows)
            result = await connection.execute(select(users))
            assert result.rowcount == 2
            assert [tuple(row) for row in result] == [(1, "ann", Decimal("1.50")), (2, "bob", None)]
            # SQLAlchemy remembers a statement's columns: an answer's must not be remembered for real ones, or vice versa.
            db.clear_observers()
            assert (await connection.execute(select(users))).all() == []
    assert rows[0] == {"credit": Decimal("1.50"), "name": "ann", "id": 1}


async def test_a_first_answer_spoils_no_later_result(database: Database, db: SQLConnector) -> None:
    users = database.users
    statement = select(users.c.name, (func.coalesce(users.c.credit, 2)).label("credit"))
    answer(db, [{"name": "x", "credit": Decimal(1), "extra": "y"}])
    async with database.engine.connect() as connection:
        (row,) = (await connection.execute(statement)).all()
        assert (row.name, row.extra, row._mapping[users.c.name]) == ("x", "y", "x")
        answer(db, [{"credit": Decimal(1), "name": "x"}])
        assert (await connection.execute(statement)).all() == [("x", 1)]
        db.clear_observers()
        await connection.execute(insert(users), {"name": "ann"})
        assert (await connection.execute(statement)).all() == [("ann", 2)]


async def test_edited_sql_with_other_columns_spoils_no_later_result(database: Database, db: SQLConnector) -> None:
    await database.fill("ann")
    users = database.users
    statement = select(users.c.id, users.c.name)

    @db.before_execute
    def turn_round(ctx: SQLContext) -> None:
        ctx.req.sql = f"SELECT name, id, 5 AS five FROM {users.name}"

    async with database.engine.connect() as connection:
        (row,) = (await connection.execute(statement)).all()
        assert (row._mapping[users.c.id], row._mapping[users.c.name], row.five) == (1, "ann", 5)
        db.clear_observers()
        assert (await connection.execute(statement)).all() == [(1, "ann")]


async def test_after_hooks_add_and_drop_columns_of_text(database: Database, db: SQLConnector) -> None:
    @db.after_execute
    def change(ctx: SQLContext) -> None:
        ctx.res = [{"b": 2, "c": 3}]  # type: ignore[assignment]

    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1 AS a"))).mappings().all() == [{"b": 2, "c": 3}]
        db.clear_observers()

        @db.after_execute
        def none(ctx: SQLContext) -> None:
            assert ctx.res.columns == ("a",)
            ctx.res = None  # type: ignore[assignment]
            assert ctx.res == SQLResult(("a",), (), 0)

        result = await connection.execute(text("SELECT 1 AS a"))
        assert (list(result.keys()), result.all()) == (["a"], [])
        db.clear_observers()

        @db.after_execute
        def in_place(ctx: SQLContext) -> None:
            ctx.res.rows = None

        assert (await connection.execute(text("SELECT 1 AS a"))).all() == []


async def test_text_with_columns(database: Database, db: SQLConnector) -> None:
    statement = text("SELECT 1 AS a, 2 AS b").columns(Column("a", Integer), Column("b", Integer))
    async with database.engine.connect() as connection:
        answer(db, [{"b": 4, "a": 3}])
        assert (await connection.execute(statement)).all() == [(3, 4)]
        db.clear_observers()
        assert (await connection.execute(statement)).all() == [(1, 2)]


async def test_a_result_can_be_kept_and_given_again(database: Database, db: SQLConnector) -> None:
    await database.fill("ann")
    kept: dict[str, SQLResult] = {}

    @db.before_execute
    def cached(ctx: SQLContext) -> None:
        if ctx.req.sql in kept:
            ctx.end(None, kept[ctx.req.sql])

    @db.after_execute
    def keep(ctx: SQLContext) -> None:
        kept[ctx.req.sql] = ctx.res

    for _ in range(3):
        async with database.engine.connect() as connection:
            assert (await connection.execute(select(database.users.c.name))).all() == [("ann",)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "not bool"),
        ("x", "not str: 'x'"),
        ([("ann",)], "not list"),
        ([{"nam": "ann"}], "columns name, nam, not nam"),
        ([{"name": "ann"}, {"name": "bob", "id": 1}], "columns name, not name, id"),
        (SQLResult(("a", "b"), [(1, 2)]), "lacks name"),
    ],
)
async def test_refused_in_the_hooks_own_line(database: Database, db: SQLConnector, value: Any, message: str) -> None:
    @db.before_execute
    def wrong(ctx: SQLContext) -> None:
        for assign in (lambda: ctx.end(None, value), lambda: setattr(ctx, "res", value)):
            with pytest.raises(TypeError, match=message):
                assign()

    @db.after_execute
    def also(ctx: SQLContext) -> None:
        with pytest.raises(TypeError, match=message):
            ctx.results[0] = value

    async with database.engine.connect() as connection:
        assert (await connection.execute(select(database.users.c.name))).all() == []


# -- INSERT, UPDATE, DELETE ---------------------------------------------------------------------------------------------


async def test_the_insert_of_a_flush_answered(database: Database, db: SQLConnector) -> None:
    answer(db, [{"id": 41}])
    async with database.session() as session:
        ann = database.User()
        ann.name = "ann"
        session.add(ann)
        await session.flush()
        assert ann.id == 41
        answer(db, 1)
        given = database.User()
        given.id, given.name = 42, "bob"
        session.add(given)
        await session.flush()
        assert await session.get(database.User, 42) is given
        given.name = "eve"
        await session.flush()
        await session.delete(given)
        await session.commit()
    assert await database.names() == []


async def test_the_insert_of_many_answered(database: Database, db: SQLConnector) -> None:
    calls: list[str] = []

    @db.before_execute
    def each(ctx: SQLContext) -> None:
        count = sum(value in ("ann", "bob") for value in ctx.req.params)
        first = 70 + len(calls)
        calls.extend(["row"] * count)
        ctx.end(None, [{"id": first + number} for number in range(count)])

    users = database.users
    async with database.session() as session:
        people = [database.User(), database.User()]
        for person, name in zip(people, ("ann", "bob"), strict=True):
            person.name = name
        session.add_all(people)
        await session.flush()
        assert [person.id for person in people] == [70, 71]
        ids = await session.scalars(
            insert(users).returning(users.c.id, sort_by_parameter_order=True), [{"name": "ann"}]
        )
        assert ids.all() == [72]
    assert await database.names() == []


async def test_an_insert_without_the_new_id_is_an_error_of_the_orm(database: Database, db: SQLConnector) -> None:
    answer(db, 1)
    async with database.session() as session:
        ann = database.User()
        ann.name = "ann"
        session.add(ann)
        with pytest.raises(FlushError, match="NULL identity key|did not produce"):
            await session.flush()
    db.clear_observers()
    await database.assert_healthy()


async def test_new_ids_of_core(database: Database, db: SQLConnector) -> None:
    async with database.engine.connect() as connection:
        answer(db, [{"id": 9}])
        result = await connection.execute(insert(database.users), {"name": "ann"})
        assert result.inserted_primary_key == (9,)
        if database.name != "postgresql":
            answer(db, [{"name": "ann", "id": 10}])
            result = await connection.execute(insert(database.users), {"name": "ann"})
            assert result.inserted_primary_key == (10,)
        answer(db, [{"x": 10}])
        await connection.execute(text("INSERT INTO nowhere VALUES (1)"))
    assert await database.names() == []


async def test_after_hooks_of_inserts_and_updates(database: Database, db: SQLConnector) -> None:
    users = database.users
    async with database.engine.begin() as connection:
        result = await connection.execute(insert(users).returning(users.c.id, users.c.name), {"name": "ann"})
        assert result.all() == [(1, "ann")]
        seen: list[SQLResult] = []
        db.after_execute(lambda ctx: seen.append(ctx.res))
        result = await connection.execute(insert(users).returning(users.c.name), {"name": "bob"})
        assert result.all() == [("bob",)]
        assert (seen[0].columns, seen[0].rows) == (("name",), None)

        @db.after_execute
        def count(ctx: SQLContext) -> None:
            ctx.res = 7  # type: ignore[assignment]

        result = await connection.execute(insert(users).returning(users.c.name), {"name": "eve"})
        assert result.all() == [("eve",)]
        result = await connection.execute(update(users).where(users.c.name == "eve").values(credit=1))
        assert result.rowcount == 7
        result = await connection.execute(insert(users), {"name": "joe"})
        assert result.inserted_primary_key == (4,)
        db.clear_observers()

        @db.after_execute
        def unknown(ctx: SQLContext) -> None:
            ctx.res.rowcount = None

        result = await connection.execute(update(users).where(users.c.name == "eve").values(credit=1))
        assert result.rowcount == -1
        db.clear_observers()

        @db.after_execute
        def rows(ctx: SQLContext) -> None:
            ctx.res = [{"name": "other"}]  # type: ignore[assignment]

        result = await connection.execute(insert(users).returning(users.c.name), {"name": "moe"})
        assert result.all() == [("other",)]
        db.clear_observers()

        @db.after_execute
        def nothing(ctx: SQLContext) -> None:
            ctx.res = []  # type: ignore[assignment]

        result = await connection.execute(insert(users).returning(users.c.name), {"name": "zoe"})
        assert result.all() == []
        result = await connection.execute(users.delete().where(users.c.name == "zoe"))
        assert result.rowcount == 0
    assert await database.names() == ["ann", "bob", "eve", "joe", "moe"]


async def test_a_batch_matched_by_a_sentinel(database: Database, db: SQLConnector) -> None:
    """Rows that SQLAlchemy matches by a value of the client's: only the driver's rows have it."""
    keyed = Table(
        f"k_{database.users.name}",
        database.metadata,
        Column("id", String(36), primary_key=True),
        Column("n", Integer, server_default="5"),
    )
    async with database.engine.begin() as connection:
        await connection.run_sync(keyed.create)
    statement = insert(keyed).returning(keyed.c.n, sort_by_parameter_order=True)
    rows = [{"id": "b"}, {"id": "a"}]
    async with database.engine.begin() as connection:
        if database.name != "sqlite":
            answer(db, [{"n": 1}, {"n": 2}])
            with pytest.raises(InvalidRequestError, match="matches the rows of this INSERT by id"):
                await connection.execute(statement, rows)
            answer(db, [{"n": 1}])
        else:
            answer(db, [{"n": 1, "id": "b"}])
        db.clear_observers()

        @db.after_execute
        def again(ctx: SQLContext) -> None:
            ctx.res = SQLResult(ctx.res.columns, [(8, "a"), (9, "b")])

        if database.name != "sqlite":
            assert (await connection.execute(statement, rows)).all() == [(9,), (8,)]


async def test_a_default_that_sqlalchemy_executes_first(database: Database, db: SQLConnector) -> None:
    """It runs on the cursor of its INSERT, and its value is read from there."""
    default: Any = select(func.abs(-11)).scalar_subquery()
    if database.name == "postgresql":
        default = Sequence(f"s_{database.users.name}", metadata=database.metadata)
    first = 1 if database.name == "postgresql" else 11
    keyed = Table(
        f"d_{database.users.name}",
        database.metadata,
        Column("id", Integer, default=default, primary_key=True),
        Column("name", String(20)),
        implicit_returning=False,
    )
    async with database.engine.begin() as connection:
        await connection.run_sync(keyed.create)
        kinds: list[tuple[str, Any]] = []
        db.after_execute(lambda ctx: kinds.append((ctx.req.kind, ctx.res.rows)))
        result = await connection.execute(insert(keyed), {"name": "ann"})
        assert result.inserted_primary_key == (first,)
        assert kinds == [("select", [(first,)]), ("insert", None)]

        @db.before_execute
        def answered(ctx: SQLContext) -> None:
            if ctx.req.kind == "select":
                ctx.end(None, [{"id": 77}])

        result = await connection.execute(insert(keyed), {"name": "bob"})
        assert result.inserted_primary_key == (77,)
        db.clear_observers()
        assert (await connection.execute(select(keyed.c.id).order_by(keyed.c.id))).scalars().all() == [first, 77]
