"""Query strings against a model, and against whoever writes them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, delete, insert, update

from interceptors.resources.conditions import Condition, Conditions, With
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError
from interceptors.resources.filters import apply_conditions, page_of
from interceptors.resources.query_string import parse_conditions
from tests.integration.resources.query_model import (
    ASKED,
    COLUMNS,
    DIALECTS,
    TREES,
    Asked,
    Row,
    filtered,
    ids,
    row_lists,
)
from tests.integration.resources.query_values import INTERESTING
from tests.unit.resources.query_support import LIBRARY

SQLITE = DIALECTS["sqlite"]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    LIBRARY.metadata.create_all(engine)
    with engine.connect() as made:
        made.execute(insert(LIBRARY.Kinds), [{"id": 1, "text": "a"}, {"id": 2, "text": None}])
        yield made
    engine.dispose()


def fill(connection: Connection, rows: list[Row]) -> None:
    connection.execute(delete(LIBRARY.Author))
    if rows:
        connection.execute(insert(LIBRARY.Author), rows)


def found(connection: Connection, conditions: Conditions) -> list[int]:
    return list(connection.scalars(ids(LIBRARY, conditions)))


# -- against the model -------------------------------------------------------------------------------------------------


@given(row_lists(), ASKED)
def test_a_list_is_what_the_model_says(connection: Connection, rows: list[Row], asked: Asked) -> None:
    """Filtered with three truth values, ordered, and cut into pages."""
    fill(connection, rows)
    assert found(connection, asked.conditions(LIBRARY)) == asked.expected(rows, SQLITE)


@given(
    row_lists(), TREES, st.integers(1, 3), st.sampled_from(["and", "or"]), st.sampled_from(["first", "last", "where"])
)
def test_what_a_hook_adds_narrows(
    connection: Connection, rows: list[Row], tree: Any, tenant: int, prefix: str, place: str
) -> None:
    """For every `q` of a client the tenant's rows alone are left, however a hook says it."""
    fill(connection, rows)
    conditions = Asked(tree, [], 1, 100).conditions(LIBRARY)
    query = LIBRARY.author.select
    if place == "where":
        query = query.where(LIBRARY.Author.tenant == tenant)
    else:
        conditions.q.insert(0 if place == "first" else len(conditions.q), Condition("tenant", tenant, "", prefix))
    query = apply_conditions(query, conditions, LIBRARY.author).with_only_columns(LIBRARY.Author.id)
    own = [row["id"] for row in filtered(rows, tree, SQLITE) if row["tenant"] == tenant]
    assert list(connection.scalars(query)) == own


# -- against the client ------------------------------------------------------------------------------------------------

NAMES = ["page", "per_page", "sort", "fields", "q", "with"]
SUFFIXES = ["", "", "$not", "$gt", "$lte", "$like", "$notILike", "$in", "$notIn", "$between", "$notBetween", "$x", "$"]


def keys(description: Description) -> st.SearchStrategy[str]:
    prefixes = st.sampled_from(["", "", "$or.", "$and.", "$"])
    return st.tuples(
        prefixes, st.sampled_from([*description.columns] * 3 + ["zzz", ""]), st.sampled_from(SUFFIXES)
    ).map("".join)


def trees(description: Description) -> st.SearchStrategy[Any]:
    values = st.sampled_from(INTERESTING) | st.integers() | st.floats() | st.text(max_size=5) | st.dates().map(str)
    leaves = st.dictionaries(keys(description), values | st.lists(values, max_size=3), max_size=2)
    return st.recursive(leaves, lambda inner: st.lists(inner | values, max_size=3), max_leaves=4)


def marked(names: list[str]) -> st.SearchStrategy[str]:
    """Texts of these words and of what has a meaning between them."""
    return st.lists(st.sampled_from([*names, *"{{}}|,,-+ *"]) | st.text(max_size=2), max_size=9).map("".join)


def query_strings(description: Description) -> st.SearchStrategy[list[tuple[str, str]]]:
    words = marked([*description.columns, *description.relations])
    texts = st.text() | words | st.sampled_from([each for each in INTERESTING if isinstance(each, str)])
    json_texts = trees(description).map(json.dumps)
    one = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), json_texts if name == "q" else texts))
    return st.lists(one | st.tuples(st.sampled_from(NAMES), texts), max_size=4)


@given(st.data())
def test_no_query_string_is_a_server_error(connection: Connection, data: st.DataObject) -> None:
    """It is refused with a text that can be sent, or the database answers."""
    description = data.draw(st.sampled_from([LIBRARY.kinds, LIBRARY.kinds, LIBRARY.author]))
    sent = data.draw(query_strings(description))
    try:
        conditions = parse_conditions(sent, description, paging=True, sorting=True)
    except ApiError as error:
        assert error.status == 400
        error.message.encode()
        return
    query = page_of(apply_conditions(description.select, conditions, description), conditions)
    connection.execute(query.with_only_columns(description.key_column)).all()


@given(st.sampled_from(INTERESTING), st.sampled_from([*LIBRARY.kinds.columns]), st.sampled_from(SUFFIXES))
def test_no_value_is_a_server_error(connection: Connection, value: Any, column: str, suffix: str) -> None:
    """The same with one condition, of every column."""
    for each in (value, [value, value]):
        try:
            conditions = parse_conditions(
                [("q", json.dumps({column + suffix: each}))], LIBRARY.kinds, paging=False, sorting=False
            )
        except ApiError:
            continue
        connection.execute(apply_conditions(LIBRARY.kinds.select, conditions, LIBRARY.kinds)).all()


# -- hidden columns ----------------------------------------------------------------------------------------------------

AUTHOR_WORDS = [*LIBRARY.author.columns, *LIBRARY.author.relations]


def columns_are_visible(loads: list[With], description: Description) -> None:
    for load in loads:
        target = description.relations[load.name].target
        assert set(load.fields) <= set(target.visible)
        columns_are_visible(load.with_, target)


@given(row_lists(), st.lists(st.text(max_size=3), min_size=8, max_size=8), query_strings(LIBRARY.author))
def test_hidden_columns_decide_nothing(
    connection: Connection, rows: list[Row], secrets: list[str], sent: list[tuple[str, str]]
) -> None:
    """Whatever is asked, the rows and their order are the same for other values of a hidden column."""
    try:
        conditions = parse_conditions(sent, LIBRARY.author, paging=True, sorting=True)
    except ApiError:
        return
    fill(connection, rows)
    before = found(connection, conditions)
    for row, secret in zip(rows, secrets, strict=False):
        connection.execute(update(LIBRARY.Author).where(LIBRARY.Author.id == row["id"]).values(secret=secret))
    assert found(connection, conditions) == before
    assert "secret" not in conditions.fields
    columns_are_visible(conditions.with_, LIBRARY.author)


@given(
    st.sampled_from(["sort", "fields", "q", "with"]),
    st.sampled_from(list(COLUMNS)),
    st.sampled_from(SUFFIXES),
    st.data(),
)
def test_a_hidden_column_looks_like_one_that_is_not_there(parameter: str, other: str, suffix: str, data: Any) -> None:
    """The refusal differs in the name alone."""
    value = data.draw(st.sampled_from(INTERESTING))

    def refusal(name: str) -> str:
        text = {
            "sort": f"-{name},{other}",
            "fields": f"{other},{name}",
            "q": json.dumps([{other: None}, {f"$or.{name}{suffix}": value}]),
            "with": f"mentor{{{other}|{name}}}",
        }[parameter]
        with pytest.raises(ApiError) as raised:
            parse_conditions([(parameter, text)], LIBRARY.author, paging=True, sorting=True)
        return raised.value.message

    assert refusal("secret").replace("secret", "zzz") == refusal("zzz") == "Undefined column names: zzz"
