"""What a query string means, written down a second time: rows are dicts, and SQL's unknown is None."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Select

from interceptors.resources.conditions import Conditions
from interceptors.resources.filters import apply_conditions, page_of
from interceptors.resources.query_string import parse_conditions
from tests.unit.resources.query_support import Library

Row = dict[str, Any]
Truth = bool | None


@dataclass(frozen=True)
class Dialect:
    """Where databases differ."""

    like_ignores_case: bool = False
    nulls_last: bool = False


DIALECTS = {"sqlite": Dialect(like_ignores_case=True), "postgresql": Dialect(nulls_last=True), "mysql": Dialect()}


# -- the model ---------------------------------------------------------------------------------------------------------


def negated(truth: Truth) -> Truth:
    return None if truth is None else not truth


def all_of(truths: list[Truth]) -> Truth:
    return False if False in truths else None if None in truths else True


def any_of(truths: list[Truth]) -> Truth:
    return True if True in truths else None if None in truths else False


def split(key: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"(\$or\.|\$and\.)?(\w+)(\$\w+)?", key)
    assert found
    return found[1] or "$and.", found[2], found[3] or ""


def pruned(tree: Any) -> Any:
    """Without what is empty; None if that is all of it."""
    if isinstance(tree, dict):
        return tree or None
    return [part for part in map(pruned, tree) if part is not None] or None


def first_prefix(tree: Any) -> str:
    while isinstance(tree, list):
        tree = tree[0]
    return split(next(iter(tree)))[0]


def holds(tree: Any, row: Row, dialect: Dialect) -> Truth:
    """Is the tree, which has nothing empty in it, true of the row?"""
    if isinstance(tree, dict):
        elements = [(split(key)[0], compared(key, value, row, dialect)) for key, value in tree.items()]
    else:
        elements = [(first_prefix(part), holds(part, row, dialect)) for part in tree]
    return joined(elements)


def joined(elements: list[tuple[str, Truth]]) -> Truth:
    """Split at the last OR: what stands after it is an AND."""
    for place in range(len(elements) - 1, 0, -1):
        if elements[place][0] == "$or.":
            return any_of([joined(elements[:place]), all_of([truth for _, truth in elements[place:]])])
    return all_of([truth for _, truth in elements])


def python_value(column: str, sent: Any) -> Any:
    if column == "credit":
        return Decimal(str(sent))
    return date.fromisoformat(sent) if column == "born" else sent


def compared(key: str, sent: Any, row: Row, dialect: Dialect) -> Truth:
    _, column, suffix = split(key)
    cell = row[column]
    if sent is None:
        return (cell is None) != (suffix == "$not")
    if sent == [] and suffix in ("$in", "$notIn"):
        return suffix == "$notIn"
    if cell is None:
        return None
    if suffix in ("$like", "$notLike", "$iLike", "$notILike"):
        ignores_case = suffix in ("$iLike", "$notILike") or dialect.like_ignores_case
        pattern = ".*".join(map(re.escape, sent.split("*")))
        found = re.fullmatch(pattern, cell, re.DOTALL | (re.IGNORECASE if ignores_case else 0)) is not None
        return found != (suffix in ("$notLike", "$notILike"))
    if isinstance(sent, list):
        values = [python_value(column, each) for each in sent]
        if suffix in ("$in", "$notIn"):
            return (cell in values) == (suffix == "$in")
        return (values[0] <= cell <= values[1]) == (suffix == "$between")
    value = python_value(column, sent)
    tests: dict[str, Callable[[], bool]] = {
        "": lambda: cell == value,
        "$not": lambda: cell != value,
        "$gt": lambda: cell > value,
        "$gte": lambda: cell >= value,
        "$lt": lambda: cell < value,
        "$lte": lambda: cell <= value,
    }
    return tests[suffix]()


def filtered(rows: list[Row], tree: Any, dialect: Dialect) -> list[Row]:
    wanted = pruned(tree)
    return [row for row in rows if wanted is None or holds(wanted, row, dialect) is True]


def ordered(rows: list[Row], sort: list[str], dialect: Dialect) -> list[Row]:
    """Stable sorts, the least important first; NULL is the smallest, or the largest."""
    found = sorted(rows, key=lambda row: row["id"])
    for item in reversed(sort):
        column, descending = item.lstrip("+-"), item.startswith("-")
        nulls = [row for row in found if row[column] is None]
        others = sorted((row for row in found if row[column] is not None), key=lambda row: row[column])
        if descending:  # without turning equals round
            others = sorted(others, key=lambda row: row[column], reverse=True)
        found = others + nulls if dialect.nulls_last != descending else nulls + others
    return found


# -- what is tried -----------------------------------------------------------------------------------------------------

TEXTS = st.text("aAbB%_/*\\'é ", max_size=4)
AGES = st.integers(-3, 3) | st.sampled_from([2**31, -(2**63), 2**63 - 1])
DATES = st.dates(date(1999, 12, 30), date(2000, 1, 2))
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "id": st.integers(0, 8),
    "tenant": st.integers(1, 3),
    "name": TEXTS,
    "age": AGES,
    "active": st.booleans(),
    "credit": st.sampled_from(["0.1", 0.5, "1.005", "-2", 1e20, 1, "1.01", "99999999.99"]),
    "born": DATES.map(str),
}
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "tenant": st.integers(1, 3),
    "name": st.none() | TEXTS,
    "age": st.none() | st.integers(-3, 3),
    "active": st.none() | st.booleans(),
    "credit": st.none() | st.sampled_from(["0.10", "0.50", "1.00", "1.01", "-2.00", "99999999.99"]).map(Decimal),
    "born": st.none() | DATES,
    "secret": st.none() | TEXTS,
}


@st.composite
def row_lists(draw: st.DrawFn) -> list[Row]:
    rows = draw(st.lists(st.fixed_dictionaries(CELLS), max_size=8))
    return [{"id": number, **row} for number, row in enumerate(rows, 1)]


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, Any]:
    """A key and a value."""
    column = draw(st.sampled_from(list(COLUMNS)))
    values = COLUMNS[column]
    forms: list[tuple[str, st.SearchStrategy[Any]]] = [
        ("", values | st.none()),
        ("$not", values | st.none()),
        *((suffix, values) for suffix in ("$gt", "$gte", "$lt", "$lte")),
        *((suffix, st.lists(values, max_size=3)) for suffix in ("$in", "$notIn")),
        *((suffix, st.lists(values, min_size=2, max_size=2)) for suffix in ("$between", "$notBetween")),
    ]
    if column == "name":
        forms += [(suffix, values) for suffix in ("$like", "$notLike", "$iLike", "$notILike") * 2]
    suffix, value = draw(st.sampled_from(forms))
    return draw(st.sampled_from(["", "", "$and.", "$or.", "$or."])) + column + suffix, draw(value)


OBJECTS = st.lists(conditions(), max_size=4).map(dict)
TREES = st.recursive(OBJECTS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
SORTS = st.lists(
    st.tuples(st.sampled_from(["", "-", "+"]), st.sampled_from(list(COLUMNS))),
    max_size=3,
    unique_by=lambda each: each[1],
).map(lambda items: [sign + column for sign, column in items])


@dataclass(frozen=True)
class Asked:
    """A query string of a list of authors."""

    q: Any
    sort: list[str]
    page: int
    per_page: int

    def conditions(self, library: Library) -> Conditions:
        sent = {
            "q": json.dumps(self.q),
            "sort": ",".join(self.sort),
            "page": str(self.page),
            "per_page": str(self.per_page),
        }
        return parse_conditions(sent.items(), library.author, paging=True, sorting=True)

    def expected(self, rows: list[Row], dialect: Dialect) -> list[int]:
        found = ordered(filtered(rows, self.q, dialect), self.sort, dialect)
        start = (self.page - 1) * self.per_page
        return [row["id"] for row in found[start : start + self.per_page]]


ASKED = st.builds(Asked, TREES, SORTS, st.integers(1, 2), st.integers(3, 10))


def ids(library: Library, conditions: Conditions) -> Select[Any]:
    """The keys of the authors on the page."""
    query = page_of(apply_conditions(library.author.select, conditions, library.author), conditions)
    return query.with_only_columns(library.Author.id)
