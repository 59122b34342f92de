"""Conditions as SQL: the WHERE and ORDER BY of a query, and its page.

Comparisons are the database's own: NULL is neither equal nor unequal to anything, so `not`, `notIn`, `notLike` and
`notBetween` leave out rows where the column is NULL; whether `like` tells upper from lower case, and where NULLs are
sorted, differs between databases.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import sqlalchemy.types as sql
from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, false, not_, or_, true

from interceptors.resources.column_types import is_text
from interceptors.resources.conditions import EQUALITIES, LIKES, LISTS, PAIRS, Condition, Conditions
from interceptors.resources.description import Description
from interceptors.resources.errors import ResourceError, suggest_all
from interceptors.resources.vocabulary import ColumnType, Expression, ModelColumn, Query

__all__ = ["apply_conditions", "page_of", "where"]

_Part = tuple[str, ColumnElement[bool]]  # a condition or a group, and how it joins what precedes it
_ORDERED: tuple[type[Any], ...] = (list, tuple)
_SEVERAL: tuple[type[Any], ...] = (list, tuple, set, frozenset)
_LAST_OFFSET = 2**62  # databases count in 64 bits, and add the page to it


def apply_conditions(query: Query, conditions: Conditions, description: Description) -> Query:
    """The query with the conditions' WHERE and ORDER BY. Raises ResourceError for what a hook has written wrongly."""
    clause = where(conditions.q, description)
    return (query if clause is None else query.where(clause)).order_by(*_order(conditions, description))


def page_of(query: Query, conditions: Conditions) -> Query:
    """One page of it."""
    offset = (max(conditions.page, 1) - 1) * conditions.per_page
    return query.limit(conditions.per_page).offset(min(offset, _LAST_OFFSET))


def where(q: Sequence[object], description: Description) -> ColumnElement[bool] | None:
    """The outermost list: its entries are joined by AND, whatever their prefixes, so that each of them narrows."""
    parts = [part for entry in q if (part := _part(entry, description))]
    return and_(*(clause for _, clause in parts)) if parts else None


def _order(conditions: Conditions, description: Description) -> list[Expression]:
    order: list[Expression] = []
    for sort in conditions.sort:
        attribute = _attribute(sort.name, f"{sort!r}", description)
        direction = sort.type.upper()
        if direction not in ("ASC", "DESC"):
            raise ResourceError(f'{sort!r} of {description.resource.__qualname__}: the type is "ASC" or "DESC"')
        order.append(attribute.asc() if direction == "ASC" else attribute.desc())
    if not any(sort.name == description.key for sort in conditions.sort):
        order.append(description.key_column.asc())
    return order


def _part(entry: object, description: Description) -> _Part | None:
    if _is_list(entry):
        return _group(entry, description)
    if not isinstance(entry, Condition):
        raise ResourceError(
            f"conditions.q of {description.resource.__qualname__} has {entry!r} in it; it takes Condition objects, and "
            f"lists of them"
        )
    if entry.prefix not in ("and", "or"):
        raise ResourceError(f'{entry!r} of {description.resource.__qualname__}: the prefix is "and" or "or"')
    return entry.prefix, _comparison(entry, description)


def _is_list(entry: object) -> TypeGuard[list[object]]:
    return isinstance(entry, list)


def _group(entries: Sequence[object], description: Description) -> _Part | None:
    """One list as an OR of ANDs, with the prefix of its first element. An empty list says nothing."""
    parts = [part for entry in entries if (part := _part(entry, description))]
    if not parts:
        return None
    alternatives: list[list[ColumnElement[bool]]] = [[]]
    for place, (prefix, clause) in enumerate(parts):
        if prefix == "or" and place > 0:
            alternatives.append([])
        alternatives[-1].append(clause)
    return parts[0][0], or_(*(and_(*clauses) for clauses in alternatives))


def _comparison(condition: Condition, description: Description) -> ColumnElement[bool]:
    attribute = _attribute(condition.field, f"{condition!r}", description)
    make = _COMPARISONS.get(condition.condition)
    if make is None:
        raise ResourceError(
            f"{condition!r} of {description.resource.__qualname__}: there is no condition {condition.condition!r}."
            f"{suggest_all(condition.condition, _COMPARISONS)}"
        )
    type_ = description.column(condition.field).type
    _check_value(condition, type_)
    return make(attribute, type_, condition.value)


def _attribute(name: str, where_: str, description: Description) -> ModelColumn:
    found = description.columns.get(name)
    if found is None:
        raise ResourceError(
            f"{where_} of {description.resource.__qualname__}: {name!r} is no column of {description.name}."
            f"{suggest_all(name, description.columns)}"
        )
    return found


def _check_value(condition: Condition, type_: ColumnType) -> None:
    """What a client sends has been checked; a hook's mistake would be an odd error of the database, or an odd result."""
    value, form = condition.value, condition.condition
    if form in PAIRS:
        holds, rule = isinstance(value, _ORDERED) and len(value) == 2 and None not in value, "a list of two"
    elif form in LISTS:
        holds, rule = isinstance(value, _SEVERAL) and None not in value, "a list without None"
    elif form in LIKES:
        holds, rule = isinstance(value, str) and is_text(type_), "a text, and the column one of text"
    else:
        holds, rule = value is not None or form in EQUALITIES, "not None, which goes with equality and `not` alone"
    if not holds:
        raise ResourceError(f"{condition!r}: the value is {rule}")


# -- comparisons: (column, its type, value) ----------------------------------------------------------------------------


def _bound(type_: ColumnType, value: object, *, expanding: bool = False) -> BindParameter[Any]:
    """A parameter of the widest type of its kind: PostgreSQL would round it to the column's scale, or refuse it."""
    if isinstance(type_, sql.Integer):
        type_ = sql.BigInteger()
    elif isinstance(type_, sql.Numeric):
        type_ = sql.Numeric()
    return bindparam(None, value, type_=type_, unique=True, expanding=expanding)


def _pattern(type_: ColumnType, text: str) -> BindParameter[str]:
    """Of the column's type: a TypeDecorator has its say, as in any comparison."""
    for ordinary in (_ESCAPE, "%", "_"):
        text = text.replace(ordinary, _ESCAPE + ordinary)
    return bindparam(None, text.replace("*", "%"), type_=type_, unique=True)


def _is_in(column: ModelColumn, type_: ColumnType, value: Any) -> ColumnElement[bool]:
    return column.in_(_bound(type_, list(value), expanding=True)) if value else false()


def _is_not_in(column: ModelColumn, type_: ColumnType, value: Any) -> ColumnElement[bool]:
    return column.not_in(_bound(type_, list(value), expanding=True)) if value else true()


def _between(column: ModelColumn, type_: ColumnType, value: Any) -> ColumnElement[bool]:
    lowest, highest = (_bound(type_, each) for each in value)
    return column.between(lowest, highest)


_ESCAPE = "/"  # the backslash means something of its own in MariaDB's literals
_COMPARISONS: dict[str, Callable[[ModelColumn, ColumnType, Any], ColumnElement[bool]]] = {
    "": lambda column, type_, value: column.is_(None) if value is None else column == _bound(type_, value),
    "not": lambda column, type_, value: column.is_not(None) if value is None else column != _bound(type_, value),
    "gt": lambda column, type_, value: column > _bound(type_, value),
    "gte": lambda column, type_, value: column >= _bound(type_, value),
    "lt": lambda column, type_, value: column < _bound(type_, value),
    "lte": lambda column, type_, value: column <= _bound(type_, value),
    "like": lambda column, type_, value: column.like(_pattern(type_, value), escape=_ESCAPE),
    "notLike": lambda column, type_, value: column.not_like(_pattern(type_, value), escape=_ESCAPE),
    "iLike": lambda column, type_, value: column.ilike(_pattern(type_, value), escape=_ESCAPE),
    "notILike": lambda column, type_, value: column.not_ilike(_pattern(type_, value), escape=_ESCAPE),
    "in": _is_in,
    "notIn": _is_not_in,
    "between": _between,
    "notBetween": lambda column, type_, value: not_(_between(column, type_, value)),
}
