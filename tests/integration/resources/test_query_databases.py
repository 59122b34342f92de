"""Query strings and relations on each database: against the model, and at the limits of what a client may say."""

import asyncio
import json
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from interceptors.resources.conditions import Condition, Conditions
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError
from interceptors.resources.filters import apply_conditions, page_of
from interceptors.resources.query_string import parse_conditions
from interceptors.resources.relations import load_relations
from tests.integration.connectors.servers import server_url
from tests.integration.connectors.sql_support import URLS
from tests.integration.resources.query_model import (
    ASKED,
    DIALECTS,
    TREES,
    Asked,
    Dialect,
    Row,
    filtered,
    ids,
    row_lists,
)
from tests.integration.resources.query_values import INTERESTING
from tests.unit.resources.query_support import Colour, Library, library

pytestmark = pytest.mark.slow


@dataclass
class Database:
    """A server with tables of this module's own, and the loop that its connections belong to."""

    name: str
    runner: asyncio.Runner
    engine: AsyncEngine
    library: Library

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.name]

    def run(self, work: Callable[[AsyncSession], Awaitable[Any]]) -> Any:
        """In a transaction that is rolled back."""

        async def done() -> Any:
            async with AsyncSession(self.engine) as session:
                return await work(session)

        return self.runner.run(done())


@pytest.fixture(scope="module", params=list(DIALECTS))
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    name: str = request.param
    url = server_url(name, URLS[name]) if name in URLS else "sqlite+aiosqlite://"
    tables = library(f"q_{os.getpid()}_{uuid.uuid4().hex[:8]}_")
    with asyncio.Runner() as runner:
        engine = create_async_engine(url)

        async def each(change: Callable[..., None]) -> None:
            async with engine.begin() as connection:
                await connection.run_sync(change)

        runner.run(each(tables.metadata.create_all))
        try:
            yield Database(name, runner, engine, tables)
        finally:
            runner.run(each(tables.metadata.drop_all))
            runner.run(engine.dispose())


async def found(session: AsyncSession, library: Library, rows: list[Row], conditions: Conditions) -> list[int]:
    if rows:
        await session.execute(insert(library.Author), rows)
    return list(await session.scalars(ids(library, conditions)))


# -- against the model -------------------------------------------------------------------------------------------------


@given(row_lists(), ASKED)
def test_a_list_is_what_the_model_says(database: Database, rows: list[Row], asked: Asked) -> None:
    """Filtered with three truth values, ordered, and cut into pages."""
    conditions = asked.conditions(database.library)
    expected = asked.expected(rows, database.dialect)
    assert database.run(lambda session: found(session, database.library, rows, conditions)) == expected


@given(row_lists(), TREES, st.integers(1, 3))
def test_what_a_hook_adds_narrows(database: Database, rows: list[Row], tree: Any, tenant: int) -> None:
    """For every `q` of a client the tenant's rows alone are left."""
    conditions = Asked(tree, [], 1, 100).conditions(database.library)
    conditions.q.append(Condition("tenant", tenant))
    own = [row["id"] for row in filtered(rows, tree, database.dialect) if row["tenant"] == tenant]
    assert database.run(lambda session: found(session, database.library, rows, conditions)) == own


# -- relations against a model -----------------------------------------------------------------------------------------

LINKS = ("books", "profile", "mentor", "pupils", "author", "tags")


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[Row]]:
    """Rows of every table, and who belongs to whom."""
    authors = range(1, draw(st.integers(1, 4)) + 1)
    books, tags = range(1, draw(st.integers(0, 5)) + 1), range(1, draw(st.integers(0, 3)) + 1)
    owner = st.none() | st.sampled_from(authors)
    pairs = draw(st.sets(st.tuples(st.sampled_from(books), st.sampled_from(tags)))) if books and tags else set()
    mentors = [None, *(draw(st.none() | st.integers(1, n - 1)) for n in authors[1:])]
    return {
        "Author": [{"id": n, "name": f"a{n}", "mentor_id": mentors[n - 1]} for n in authors],
        "Book": [{"id": n, "author_id": draw(owner), "title": draw(st.sampled_from("xyz"))} for n in books],
        "Profile": [{"id": n, "author_id": n, "text": "p"} for n in authors if draw(st.booleans())],
        "Tag": [{"id": n, "word": f"t{n}"} for n in tags],
        "pairs": [{"book_id": book, "tag_id": tag} for book, tag in sorted(pairs)],
    }


def related(graph: dict[str, list[Row]], table: str, row: Row, relation: str) -> tuple[str, list[Row]]:
    """The table and the rows of a relation, in their order."""
    if relation == "tags":
        own = {pair["tag_id"] for pair in graph["pairs"] if pair["book_id"] == row["id"]}
        return "Tag", [tag for tag in graph["Tag"] if tag["id"] in own]
    if relation == "books" and table == "Tag":
        own = {pair["book_id"] for pair in graph["pairs"] if pair["tag_id"] == row["id"]}
        return "Book", [book for book in graph["Book"] if book["id"] in own]
    if relation in ("author", "mentor"):
        key = row["author_id" if relation == "author" else "mentor_id"]
        return "Author", [author for author in graph["Author"] if author["id"] == key]
    target, column = {
        "books": ("Book", "author_id"),
        "profile": ("Profile", "author_id"),
        "pupils": ("Author", "mentor_id"),
    }[relation]
    rows = [each for each in graph[target] if each[column] == row["id"]]
    return target, sorted(rows, key=lambda each: each["title"], reverse=True) if relation == "books" else rows


Wanted = dict[str, "Wanted"]
RELATIONS = {
    "Author": ["books", "profile", "mentor", "pupils"],
    "Book": ["author", "tags"],
    "Profile": ["author"],
    "Tag": ["books"],
}
TARGETS = {
    "books": "Book",
    "profile": "Profile",
    "mentor": "Author",
    "pupils": "Author",
    "author": "Author",
    "tags": "Tag",
}


@st.composite
def wanted_by(draw: st.DrawFn, table: str = "Author", level: int = 0) -> Wanted:
    names = draw(st.lists(st.sampled_from(RELATIONS[table]), unique=True, max_size=2)) if level < 3 else []
    return {name: draw(wanted_by(TARGETS[name], level + 1)) for name in names}


def written(wanted: Wanted, separator: str = ",") -> str:
    return separator.join(name + (f"{{{written(inside, '|')}}}" if inside else "") for name, inside in wanted.items())


def expected(graph: dict[str, list[Row]], table: str, row: Row, wanted: Wanted) -> Row:
    shown = dict(row)
    for relation, inside in wanted.items():
        target, rows = related(graph, table, row, relation)
        several = [expected(graph, target, each, inside) for each in rows]
        shown[relation] = several if relation in ("books", "pupils", "tags") else next(iter(several), None)
    return shown


def same_keys(shown: Any, sample: Any) -> Any:
    """What was loaded, without the columns that the model has not."""
    if isinstance(sample, list):
        assert len(shown) == len(sample)
        return [same_keys(*pair) for pair in zip(shown, sample, strict=True)]
    if isinstance(sample, dict):
        return {name: same_keys(shown[name], each) for name, each in sample.items()}
    return shown


@given(graphs(), wanted_by())
def test_relations_are_what_the_model_says(database: Database, graph: dict[str, list[Row]], wanted: Wanted) -> None:
    """Of every direction, nested, and in their order."""
    tables = database.library

    async def loaded(session: AsyncSession) -> list[Row]:
        for name in ("Author", "Book", "Profile", "Tag", "pairs"):
            if graph[name]:
                await session.execute(
                    insert(tables.book_tags if name == "pairs" else getattr(tables, name)), graph[name]
                )
        rows = [dict(row) for row in graph["Author"]]
        sent = [("with", written(wanted))]
        conditions = parse_conditions(sent, tables.author, paging=False, sorting=False)
        await load_relations(session, tables.author, rows, conditions.with_)
        return rows

    rows = database.run(loaded)
    model = [expected(graph, "Author", row, wanted) for row in graph["Author"]]
    assert same_keys(rows, model) == model


# -- at the limits -----------------------------------------------------------------------------------------------------

VALUES: Row = {
    "text": "a",
    "small": 1,
    "whole": 1,
    "big": 1,
    "real": 0.5,
    "single": 0.5,
    "number": Decimal("1.00"),
    "flag": True,
    "blob": b"a",
    "day": date(2026, 1, 1),
    "moment": datetime(2026, 1, 1),
    "instant": datetime(2026, 1, 1, tzinfo=UTC),
    "clock": time(1),
    "span": timedelta(1),
    "key": uuid.UUID(int=1),
    "key_text": str(uuid.UUID(int=1)),
    "colour": Colour.RED,
    "word": "one",
    "data": {},
}


async def kinds_answer(session: AsyncSession, library: Library, conditions: Conditions) -> list[int]:
    """The rows of every kind that are found."""
    await session.execute(insert(library.Kinds), [{"id": 1, **VALUES}])
    query = page_of(apply_conditions(library.kinds.select, conditions, library.kinds), conditions)
    return list(await session.scalars(query.with_only_columns(library.Kinds.id)))


def accepted(description: Description, key: str, value: Any) -> bool:
    try:
        parse_conditions([("q", json.dumps({key: value}))], description, paging=False, sorting=False)
    except ApiError:
        return False
    return True


@pytest.mark.parametrize("suffix", ["", "$not", "$gt", "$lte", "$like", "$notILike", "$in", "$notBetween"])
def test_what_is_accepted_the_database_answers(database: Database, suffix: str) -> None:
    """Every odd value, with every column that takes it: numbers too large for a column, the first and the last day."""
    kinds = database.library.kinds
    for column in kinds.columns:
        values = [[each, each] if suffix in ("$in", "$notBetween") else each for each in INTERESTING]
        taken = [value for value in values if accepted(kinds, column + suffix, value)]
        q = json.dumps([{f"$or.{column}{suffix}": value} for value in taken])
        conditions = parse_conditions([("q", q)], kinds, paging=False, sorting=False)
        database.run(lambda session, each=conditions: kinds_answer(session, database.library, each))


@pytest.mark.parametrize("sign", ["", "-"])
def test_what_can_be_sorted_by_the_database_sorts_by(database: Database, sign: str) -> None:
    """Every column but JSON's."""
    sort = ",".join(sign + name for name in database.library.kinds.columns if name != "data")
    conditions = parse_conditions([("sort", sort)], database.library.kinds, paging=True, sorting=True)
    assert database.run(lambda session: kinds_answer(session, database.library, conditions)) == [1]


def equal_to_itself(column: str) -> Any:
    value = VALUES[column]
    if isinstance(value, bytes):
        return "YQ=="
    if isinstance(value, Colour):
        return value.value
    if isinstance(value, timedelta):
        return "P1D"
    return value if isinstance(value, (str, int, float)) else str(value)


@pytest.mark.parametrize("column", [name for name in VALUES if name != "data"])
def test_a_value_finds_its_row(database: Database, column: str) -> None:
    """Of every kind: what is stored equals what is sent."""
    q = json.dumps({column: equal_to_itself(column), f"{column}$in": [equal_to_itself(column)]})
    conditions = parse_conditions([("q", q)], database.library.kinds, paging=True, sorting=True)
    assert database.run(lambda session: kinds_answer(session, database.library, conditions)) == [1]


def test_the_largest_query_strings_are_answered(database: Database) -> None:
    """As many conditions, levels, values and characters as are accepted, and the last page."""
    tree: Any = [{"$or.text$like": "*%_/" * 250}] * 97
    tree += [{"$or.whole$in": [1] * 10_000}, {"$or.text": "x" * 1_000_000}]
    for _ in range(8):
        tree = [tree]
    sent = [("q", json.dumps(tree)), ("per_page", "100")]
    conditions = parse_conditions(sent, database.library.kinds, paging=True, sorting=True)
    assert database.run(lambda session: kinds_answer(session, database.library, conditions)) == [1]
    conditions = parse_conditions([("page", "9" * 1_000)], database.library.kinds, paging=True, sorting=True)
    assert database.run(lambda session: kinds_answer(session, database.library, conditions)) == []
    conditions.page = 10**30
    assert database.run(lambda session: kinds_answer(session, database.library, conditions)) == []


@given(st.text(st.characters(exclude_characters="\0*", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_every_text_finds_itself(database: Database, text: str) -> None:
    """By equality and as a pattern, whatever a database takes for a wildcard or an escape."""
    rows = [{"id": 1, "tenant": 1, "name": text}, {"id": 2, "tenant": 1, "name": f"{text}."}]
    for q, answer in (({"name": text}, [1]), ({"name$like": text}, [1]), ({"name$like": f"{text}*"}, [1, 2])):
        conditions = Asked(q, [], 1, 100).conditions(database.library)
        assert database.run(lambda session, each=conditions: found(session, database.library, rows, each)) == answer
