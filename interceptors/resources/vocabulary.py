"""What SQLAlchemy's generic classes are called here: whatever a model maps them to."""

from typing import Any, TypeAlias

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import QueryableAttribute, RelationshipProperty
from sqlalchemy.types import TypeEngine

__all__ = ["Adapter", "ColumnType", "Expression", "ModelColumn", "Query", "Relationship", "Row"]

Adapter: TypeAlias = TypeAdapter[Any]
"""Parses values of a column."""
ModelColumn: TypeAlias = QueryableAttribute[Any]
"""A column of a model."""
ColumnType: TypeAlias = TypeEngine[Any]
"""What a column of a table holds."""
Expression: TypeAlias = ColumnElement[Any]
"""A column, or what is made of one."""
Query: TypeAlias = Select[Any]
"""A SELECT of rows of a model."""
Relationship: TypeAlias = RelationshipProperty[Any]
"""How rows of a model are related to others."""
Row: TypeAlias = dict[str, Any]
"""A row: its columns by name, and later what was loaded with it."""
