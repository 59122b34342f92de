"""Loads related rows as dicts: one query per relation and level, however many rows ask for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.exc import UnmappedColumnError

from interceptors.describing import location
from interceptors.resources.conditions import With
from interceptors.resources.description import Description, Relation
from interceptors.resources.errors import ApiError, ResourceError, suggest_all
from interceptors.resources.undocumented import (
    is_list,
    is_pair,
    joins_of,
    local_column,
    order_of,
    remote_column,
    secondary_of,
)
from interceptors.resources.vocabulary import Expression, ModelColumn, Relationship, Row

__all__ = ["check_relation", "load_relations"]

_MOST_ROWS = 100_000
_CHUNK = 500  # parameters of one statement: SQLite's limit was 999, and very long lists are planned badly everywhere


def check_relation(relation: Relation) -> None:
    """Raises ResourceError for a relationship that is more than an equality of two columns, which `with` cannot load."""
    found = relation.property
    if found.entity.is_aliased_class or not all(map(is_pair, joins_of(found))):
        raise ResourceError(
            f"{_place(found)} cannot be in `relations`: its rows are found by more than one equality of two columns. "
            f"Use a plain foreign key, with a `secondary` table or without."
        )
    ends = [(found.parent, local_column(found))]
    if secondary_of(found) is None:
        ends.append((found.mapper, remote_column(found)))
    for mapper, column in ends:
        if not _is_mapped(mapper, column):
            raise ResourceError(
                f"{_place(found)} cannot be in `relations`: {column} is no attribute of {mapper.class_.__name__}."
            )


async def load_relations(session: AsyncSession, description: Description, rows: list[Row], with_: list[With]) -> None:
    """Set each row's `with_` relations to dicts of every column (a list, or one or None), a row's own to change.

    Raises ApiError if that is more than 100,000 rows: `books{author{books{author{books}}}}` grows with every level.
    """
    await _Loader(session).load(description, rows, with_)


@dataclass(slots=True)
class _Loader:
    session: AsyncSession
    count: int = 0

    async def load(self, description: Description, rows: list[Row], with_: list[With]) -> None:
        """One level, and those below it."""
        for wanted in with_:
            relation = description.relations.get(wanted.name)
            if relation is None:
                raise ResourceError(
                    f"{wanted!r} of {description.resource.__qualname__}: {wanted.name!r} is not one of its `relations`."
                    f"{suggest_all(wanted.name, description.relations)}"
                )
            await self.load(relation.target, await self.related(relation, rows), wanted.with_)

    async def related(self, relation: Relation, rows: list[Row]) -> list[Row]:
        """The related rows, set on the rows that they belong to."""
        local = relation.property.parent.get_property_by_column(local_column(relation.property)).key
        found = await self.found(relation, [row[local] for row in rows])
        has_many = is_list(relation.property)
        loaded: list[Row] = []
        for row in rows:
            # Copies: two posts of one author must not share what a serializer changes.
            own = [dict(each) for each in found.get(row[local], ())[: None if has_many else 1]]
            row[relation.name] = own if has_many else next(iter(own), None)
            loaded += own
            if self.count + len(loaded) > _MOST_ROWS:
                raise ApiError(f"with asks for more than {_MOST_ROWS} rows")
        self.count += len(loaded)
        return loaded

    async def found(self, relation: Relation, keys: list[object]) -> dict[object, list[Row]]:
        """The related rows by the key that they are found by."""
        link, query = _query(relation)
        names = tuple(relation.target.columns)
        found: dict[object, list[Row]] = {}
        for chunk in _chunks([key for key in dict.fromkeys(keys) if key is not None]):
            for key, *values in await self.session.execute(query.where(link.in_(chunk))):
                found.setdefault(key, []).append(dict(zip(names, values, strict=True)))
        return found


def _chunks(keys: list[object]) -> Iterator[list[object]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def _query(relation: Relation) -> tuple[Expression | ModelColumn, Select[*tuple[Any, ...]]]:
    """The link, whose value tells whose row it is, and a select of it and the columns.

    The columns are the mapped class's attributes: loader criteria that the application adds to its queries hold here, too.
    """
    found, target = relation.property, relation.target
    columns = target.columns.values()
    secondary = secondary_of(found)
    if secondary is None:
        link: Expression | ModelColumn = getattr(
            target.model, found.mapper.get_property_by_column(remote_column(found)).key
        )
        query: Select[*tuple[Any, ...]] = select(link, *columns)
    else:
        link = remote_column(found)
        query = select(link, *columns).select_from(target.model).join(secondary, joins_of(found)[1])
    return link, query.order_by(*order_of(found), target.key_column)


def _is_mapped(mapper: Mapper[Any], column: Expression) -> bool:
    try:
        mapper.get_property_by_column(column)
    except UnmappedColumnError:
        return False
    return True


def _place(found: Relationship) -> str:
    return f"{found.parent.class_.__name__}.{found.key} ({location(found.parent.class_)})"
