"""The query string of a list or of one row: what the client sent becomes `Conditions`, or an ApiError that says why not.

sort=a,-b    fields=a,b    with=posts{title|comments{id}},author    page=2    per_page=20
q={"name$like": "A*", "$or.age$gte": 18}    q=[{"a": 1}, {"$or.b": 2, "c$in": [3, 4]}]
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from interceptors.resources.column_types import is_comparable, is_sortable, is_text
from interceptors.resources.conditions import (
    COMPARISONS,
    EQUALITIES,
    LIKES,
    LISTS,
    PAIRS,
    Condition,
    Conditions,
    Sort,
    With,
)
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError

__all__ = ["parse_conditions"]

_FORMS = {f"${form}" if form else "": form for form in (*EQUALITIES, *COMPARISONS, *LIKES, *LISTS, *PAIRS)}
_BRACES_AND_SEPARATORS = frozenset("{}|,")
_MARKS = re.compile(r"[{}|,]|[^{}|,]+")

_Json = dict[str, "_Json"] | list["_Json"] | str | float | bool | None

_MOST_CONDITIONS = 100
_MOST_LEVELS = 10
_MOST_RELATIONS = 20
_MOST_VALUES = 10_000  # of all lists together: databases take some 32,000 parameters
_LONGEST_PATTERN = 1_000  # SQLite takes 50,000 bytes
_LAST_PAGE = 10**15


def parse_conditions(
    items: Iterable[tuple[str, str]], description: Description, *, paging: bool, sorting: bool
) -> Conditions:
    """Read the query parameters; of a repeated one the last counts. Raises ApiError, and nothing else, for what is wrong."""
    sent = dict(items)
    conditions = Conditions()
    if paging:
        conditions.page = _page(sent.get("page", "1"))
        conditions.per_page = _per_page(sent.get("per_page", "10"))
    if sorting:
        conditions.sort = _sort(sent.get("sort", ""), description)
    conditions.fields = _fields(sent.get("fields", ""), description)
    if "q" in sent:
        conditions.q = _q(sent["q"], description)
    conditions.with_ = _with(sent.get("with", ""), description)
    return conditions


def _page(text: str) -> int:
    number = _number(text)
    return 1 if number is None else min(max(number, 1), _LAST_PAGE)


def _per_page(text: str) -> int:
    number = _number(text)
    if number is None or not 1 <= number <= 100:
        raise ApiError("per_page is a number from 1 to 100")
    return number


def _number(text: str) -> int | None:
    """Digits alone: `int` would take "1_0" and refuse the 4,301st digit. More than 18 of them are as good as 10**18."""
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= 18 else 10**18


def _sort(text: str, description: Description) -> list[Sort]:
    sort: dict[str, Sort] = {}
    for item in _names(text):
        # An unescaped `+` of a URL arrives as a space, which is gone by now.
        name = item[1:] if item[0] in "+-" else item
        sort.setdefault(name, Sort(name, "DESC" if item[0] == "-" else "ASC"))
    _check_columns(sort, description)
    for name in sort:
        if not is_sortable(description.column(name).type):
            raise ApiError(f"Nothing can be sorted by {name}")
    return list(sort.values())


def _fields(text: str, description: Description) -> list[str]:
    names = _names(text)
    _check_columns((name for name in names if name != "*"), description)
    return [] if "*" in names else names


def _names(text: str) -> list[str]:
    """Comma separated, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _check_columns(names: Iterable[str], description: Description) -> None:
    """A hidden column must look like one that is not there."""
    visible = set(description.visible)
    _refuse("column", [name for name in names if name not in visible])


def _refuse(kind: str, unknown: list[str]) -> None:
    if unknown:
        raise ApiError(_shown(f"Undefined {kind} names: {', '.join(dict.fromkeys(unknown))}"))


def _shown(message: str) -> str:
    """The client's own text in an answer: not all of a megabyte, and only what UTF-8 can say."""
    cut = message if len(message) <= 300 else f"{message[:300]}..."
    return cut.encode("utf-8", "backslashreplace").decode()


# -- q -----------------------------------------------------------------------------------------------------------------


def _q(text: str, description: Description) -> list[Any]:
    try:
        tree = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError("q is not valid JSON") from None
    reader = _FilterReader(description)
    group = reader.group(tree, 1)
    _check_columns(reader.names, description)
    return [group] if group else []


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON


@dataclass(slots=True)
class _FilterReader:
    """Makes conditions of the JSON tree, and counts what it has seen."""

    description: Description
    names: list[str] = field(default_factory=list[str])
    values: int = 0

    def group(self, tree: _Json, level: int) -> list[Any]:
        """One list: of conditions for an object, of groups for an array. What is empty says nothing and is left out."""
        if level > _MOST_LEVELS:
            raise ApiError(f"q has more than {_MOST_LEVELS} levels")
        if isinstance(tree, dict):
            conditions = (self.condition(key, value) for key, value in tree.items())
            return [condition for condition in conditions if condition is not None]
        if isinstance(tree, list):
            groups = (self.group(part, level + 1) for part in tree)
            return [group for group in groups if group]
        raise ApiError("q is a JSON object, or an array of objects and arrays")

    def condition(self, key: str, value: _Json) -> Condition | None:
        """One condition; None for a column that is not there, which is reported when all of them are known."""
        prefix, name, suffix = self.split(key)
        self.names.append(name or key)
        if len(self.names) > _MOST_CONDITIONS:
            raise ApiError(f"q has more than {_MOST_CONDITIONS} conditions")
        if name not in self.description.visible:
            return None
        if suffix not in _FORMS:
            raise ApiError(_shown(f"Unknown condition: {key}"))
        form = _FORMS[suffix]
        return Condition(name, self.value(name, form, value), form, prefix)

    @staticmethod
    def split(key: str) -> tuple[str, str, str]:
        """`$or.name$gt` gives or, name, $gt. Attribute names have no dollar."""
        prefix = "or" if key.startswith("$or.") else "and"
        rest = key.removeprefix(f"${prefix}.")
        name = rest.partition("$")[0]
        return prefix, name, rest[len(name) :]

    def value(self, name: str, form: str, value: _Json) -> Any:
        """The Python value or values of what was sent."""
        if value is None:
            if form not in EQUALITIES:
                raise ApiError(f"null goes with equality and $not alone, not with {name}${form}")
            return None
        type_ = self.description.column(name).type
        if not is_comparable(type_):
            raise ApiError(f"{name} can be compared with null alone")
        if form in LISTS or form in PAIRS:
            return self.array(name, form, value)
        if form in LIKES:
            _check_pattern(name, form, value, is_text=is_text(type_))
        return self.one(name, value)

    def array(self, name: str, form: str, value: _Json) -> list[Any]:
        """The values of a JSON array."""
        if not isinstance(value, list) or (form in PAIRS and len(value) != 2):
            raise ApiError(f"{name}${form} takes an array{' of two values' if form in PAIRS else ''}")
        self.values += len(value)
        if self.values > _MOST_VALUES:
            raise ApiError(f"q has more than {_MOST_VALUES} values in arrays")
        return [self.one(name, each) for each in value]

    def one(self, name: str, value: _Json) -> Any:
        """A single value, parsed by the column's type."""
        try:
            return self.description.adapter(name).validate_python(value)
        except ValidationError as error:
            reason = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
            raise ApiError(_shown(f"Unacceptable value of {name}: {reason}")) from None


def _check_pattern(name: str, form: str, value: _Json, *, is_text: bool) -> None:
    if not is_text or not isinstance(value, str):
        raise ApiError(f"{name}${form} needs a text column and a text")
    if len(value) > _LONGEST_PATTERN:
        raise ApiError(f"{name}${form} takes no more than {_LONGEST_PATTERN} characters")


# -- with --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Name:
    """A name and what stands in its braces (None: it has none)."""

    name: str
    inside: list["_Name"] | None = None


def _with(text: str, description: Description) -> list[With]:
    reader = _WithReader()
    loads = reader.loads(_parse_with(text) if text.strip() else [], description)
    _refuse("relation", reader.relations)
    _refuse("column", reader.columns)
    return loads


def _parse_with(text: str) -> list[_Name]:
    """`posts{title|comments{id}},author` as a tree: commas outside of braces, bars inside."""
    lists: list[list[_Name]] = [[]]
    name_is_next = True
    for mark in _MARKS.findall(text):
        if mark in _BRACES_AND_SEPARATORS:
            _check_syntax(not name_is_next, mark)
            _punctuate(lists, mark)
            name_is_next = mark != "}"
        elif mark.strip():
            _check_syntax(name_is_next, mark)
            lists[-1].append(_Name(mark.strip()))
            name_is_next = False
    _check_syntax(len(lists) == 1 and not name_is_next, "its end")
    return lists[0]


def _punctuate(lists: list[list[_Name]], mark: str) -> None:
    """Open or close braces, or go on; the last of `lists` is what the innermost open braces hold."""
    if mark == "{":
        opened = lists[-1][-1]
        _check_syntax(opened.inside is None, mark)
        opened.inside = []
        lists.append(opened.inside)
        if len(lists) > _MOST_LEVELS:
            raise ApiError(f"with has more than {_MOST_LEVELS} levels")
    elif mark == "}":
        _check_syntax(len(lists) > 1, mark)
        lists.pop()
    else:
        _check_syntax(mark == ("," if len(lists) == 1 else "|"), mark)


def _check_syntax(holds: bool, unexpected: str) -> None:
    if not holds:
        raise ApiError(_shown(f"with is written posts{{title|comments{{id}}}},author; unexpected: {unexpected}"))


@dataclass(slots=True)
class _WithReader:
    """Tells relations from columns, and keeps the names that are neither."""

    columns: list[str] = field(default_factory=list[str])
    relations: list[str] = field(default_factory=list[str])
    count: int = 0

    def loads(self, names: list[_Name], description: Description) -> list[With]:
        """The relations that are named in one list."""
        loads: dict[str, With] = {}
        for each in names:
            relation = description.relations.get(each.name)
            if relation is None:
                self.relations.append(each.name)
                continue
            self.count += 1
            if each.name in loads or self.count > _MOST_RELATIONS:
                raise ApiError(f"with takes a relation once, and no more than {_MOST_RELATIONS} in all")
            loads[each.name] = self.load(each, relation.target)
        return list(loads.values())

    def load(self, relation: _Name, target: Description) -> With:
        """One relation. What stands in its braces is a column unless it is a relation or has braces itself."""
        inside = relation.inside or []
        nested = [each for each in inside if each.inside is not None or each.name in target.relations]
        columns = list(dict.fromkeys(each.name for each in inside if each not in nested))
        self.columns += [name for name in columns if name not in target.visible]
        return With(relation.name, columns, self.loads(nested, target))
