"""Making a SQL connector, and the value forms of requests and results, without a server."""

import importlib
import sys
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from interceptors.connectors import Connector
from interceptors.connectors.copies import own
from interceptors.connectors.sql.results import as_result, kind_of
from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext, SQLRequest, SQLResult
from interceptors.errors import AlreadyHookedError, MissingExtraError


@pytest.fixture
def engine() -> AsyncEngine:
    return create_async_engine("sqlite+aiosqlite://")


def test_its_name_and_engine(engine: AsyncEngine) -> None:
    db = SQLConnector(engine)
    assert (db.name, db.engine) == ("SQLConnector", engine)


def test_only_an_async_engine(engine: AsyncEngine) -> None:
    message = r"takes an AsyncEngine, not \w+: use sqlalchemy.ext.asyncio.create_async_engine"
    for other in (engine.sync_engine, create_engine("sqlite://"), AsyncSession(engine), None):
        with pytest.raises(TypeError, match=message):
            SQLConnector(other)  # type: ignore[arg-type]


def test_one_connector_for_an_engine(engine: AsyncEngine) -> None:
    event.listen(engine.sync_engine, "do_execute", lambda *arguments: None)  # another library's
    SQLConnector(engine, name="first")
    for same in (engine, engine.execution_options(a=1)):
        with pytest.raises(AlreadyHookedError, match=r"hooked by first already; .*parent=") as caught:
            SQLConnector(same)
        assert caught.value.client is same
    SQLConnector(create_async_engine("sqlite+aiosqlite://"))


def test_without_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("interceptors.connectors.sqlalchemy", "interceptors.connectors.sql.statement"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[sqlalchemy\]'"):
        importlib.import_module("interceptors.connectors.sqlalchemy")


async def test_called_by_hand_it_is_a_connector_as_any(engine: AsyncEngine) -> None:
    base: Connector[Any, Any] = Connector()
    db = SQLConnector(engine, parent=base)

    async def operation(req: SQLRequest) -> SQLResult:
        return SQLResult(("sql",), [(req.sql,)])

    assert await db.execute(SQLRequest("a"), operation) == SQLResult(("sql",), [("a",)])

    @base.before_execute
    def edit(ctx: SQLContext) -> None:
        ctx.req = SQLRequest("b", kind="select", dialect="x", many=True)
        assert ctx.req == SQLRequest("b", [], True, "select", "x")

    assert await db.execute(SQLRequest("a"), operation) == SQLResult(("sql",), [("b",)])
    base.after_execute(lambda ctx: ctx.end(None, [{"n": 1}]))
    assert await db.execute(SQLRequest("a"), operation) == SQLResult(("n",), [(1,)], 1)


def test_a_result_has_lists_of_tuples() -> None:
    assert SQLResult() == SQLResult((), [], None)
    result = SQLResult(["a", "b"], ([1, 2] for _ in range(2)))
    assert (result.columns, result.rows, result.rowcount) == (("a", "b"), [(1, 2), (1, 2)], None)
    assert SQLResult((), None, 3).rows is None
    with pytest.raises(TypeError, match="has 1 values for 2 columns"):
        SQLResult(("a", "b"), [(1,)])
    with pytest.raises(TypeError, match="for dicts assign the list of dicts itself"):
        SQLResult(("a",), [{"a": 1}])  # type: ignore[list-item]


def test_columns_of_a_result_in_the_statements_order() -> None:
    wanted = ("id", "name")
    assert as_result(SQLResult(("name", "id"), [("ann", 1)]), wanted, wanted) == SQLResult(wanted, [(1, "ann")])
    extra = as_result(SQLResult(("x", "name", "id"), [(0, "ann", 1)]), wanted, wanted)
    assert extra == SQLResult(("id", "name", "x"), [(1, "ann", 0)])
    by_place = SQLResult(("ID", "NAME"), [(1, "ann")])
    assert as_result(by_place, wanted, wanted) is by_place
    assert as_result(SQLResult((), [(1, "ann")]), wanted, wanted) == SQLResult(wanted, [(1, "ann")])
    with pytest.raises(TypeError, match="columns id, name; this result lacks name"):
        as_result(SQLResult(("id",), [(1,)]), wanted, wanted)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", "select"),
        ("  -- select\n/* insert ' */ insert INTO t", "insert"),
        ("(SELECT 1) UNION (SELECT 2)", "select"),
        ("update t set a = 1", "update"),
        ("Delete from t", "delete"),
        ("WITH a AS (SELECT ')' , \"(\", `(`) UPDATE t", "update"),
        ("with recursive delete_me (x) as (select 1) select x from delete_me", "select"),
        ("WITH a AS (SELECT 1)", "other"),
        ("SAVEPOINT s", "other"),
        ("", "other"),
    ],
)
def test_kinds(sql: str, kind: str) -> None:
    assert kind_of(sql) == kind


def test_own_copies_what_can_be_edited() -> None:
    marker = object()
    value = [{"a": [1, (2, [3])]}, marker]
    copied = own(value, lambda other: other)
    assert copied == value
    assert copied[0] is not value[0]
    copied[0]["a"][1][1].append(4)
    assert value == [{"a": [1, (2, [3])]}, marker]
