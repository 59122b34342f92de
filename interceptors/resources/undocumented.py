"""What resources use of SQLAlchemy although its documentation does not have it; see `interceptors.libraries`.

Tried with SQLAlchemy 2.1, and `pyproject.toml` allows no later minor version.
"""

from collections.abc import Iterable
from typing import Any, cast

import sqlalchemy.types as sql
from sqlalchemy import BinaryExpression, Column, ColumnElement, FromClause, Integer, literal_column
from sqlalchemy.orm import ColumnProperty, RelationshipDirection, RelationshipProperty

from interceptors.libraries import Library, declares
from interceptors.resources.vocabulary import ColumnType, Expression, Relationship

__all__ = [
    "decorated_type",
    "enum_values",
    "is_deferred",
    "is_list",
    "is_one_to_many",
    "is_pair",
    "joins_of",
    "kind_of",
    "local_column",
    "order_of",
    "pairs_of",
    "remote_column",
    "secondary_of",
]

_library = Library("sqlalchemy")


# -- relationships -----------------------------------------------------------------------------------------------------

# Without these nobody knows by which columns a relationship's rows are found: other people's rows would be answered.
_RELATED = "find the rows of a relationship"
for _name in (
    "direction", "local_columns", "local_remote_pairs", "order_by", "primaryjoin", "remote_side", "secondary",
    "secondaryjoin", "synchronize_pairs",
):  # fmt: skip
    _library.confirm(declares(RelationshipProperty, _name), f"RelationshipProperty.{_name}", _RELATED)

_EXAMPLE: Any = literal_column("1", Integer) == literal_column("2", Integer)
for _name in ("left", "operator", "right"):
    _library.needed(_EXAMPLE, _name, _RELATED)
_EQUALITY: object = _EXAMPLE.operator


def joins_of(found: Relationship) -> list[ColumnElement[bool]]:
    """The conditions by which its rows are found: with a secondary table two, else one."""
    joins = [found.primaryjoin]
    if found.secondary is not None:
        joins.append(cast("ColumnElement[bool]", found.secondaryjoin))
    return joins


def is_pair(clause: ColumnElement[bool]) -> bool:
    """Is it an equality of two columns?"""
    if not isinstance(clause, BinaryExpression):
        return False
    return clause.operator is _EQUALITY and isinstance(clause.left, Column) and isinstance(clause.right, Column)


def secondary_of(found: Relationship) -> FromClause | None:
    """The table between the two, if there is one."""
    return found.secondary


def local_column(found: Relationship) -> Expression:
    """The column of the row that asks."""
    return next(iter(found.local_columns))


def remote_column(found: Relationship) -> Expression:
    """The column that is equal to it: the related row's, or the secondary table's."""
    return next(iter(found.synchronize_pairs))[1] if found.secondary is not None else next(iter(found.remote_side))


def pairs_of(found: Relationship) -> list[tuple[Expression, Expression]]:
    """Which local column is equal to which remote one."""
    return list(found.local_remote_pairs or ())


def is_one_to_many(found: Relationship) -> bool:
    """Has one row many of them, each with a foreign key?"""
    return found.direction is RelationshipDirection.ONETOMANY


def kind_of(found: Relationship) -> str:
    """For messages: `onetomany`."""
    return found.direction.name.lower()


def order_of(found: Relationship) -> tuple[Expression, ...]:
    """What its rows are ordered by."""
    order: Any = found.order_by
    return tuple(cast("Iterable[Expression]", order or ()))


def is_list(found: Relationship) -> bool:
    """Has a row a list of them, or one at most?"""
    return bool(_library.needed(found, "uselist", _RELATED))


# -- columns -----------------------------------------------------------------------------------------------------------

# Without it a row would come without its deferred columns, and an answer would load each by itself.
_library.confirm(
    ColumnProperty(literal_column("1", Integer), deferred=True).deferred, "ColumnProperty.deferred", "load a row whole"
)


def is_deferred(attribute: ColumnProperty[Any]) -> bool:
    """Is it loaded only when it is asked for?"""
    return attribute.deferred


# Without these a client could send what a column does not take.
_TYPE = "know which values a column takes"
_ENUM: Any = sql.Enum("a", "b")
_library.confirm(list(_library.needed(_ENUM, "enums", _TYPE)) == ["a", "b"], "Enum.enums", _TYPE)
_library.needed(_ENUM, "enum_class", _TYPE)
_library.confirm(declares(sql.TypeDecorator, "impl_instance"), "TypeDecorator.impl_instance", _TYPE)


def enum_values(type_: sql.Enum) -> Any:
    """The class of an enumeration, or its values."""
    return type_.enum_class or tuple(type_.enums)


def decorated_type(type_: sql.TypeDecorator[Any]) -> ColumnType:
    """The type that the database has."""
    return type_.impl_instance
