"""What start-up has read of a resource: the mapped class's columns, key and relationships, and the class's options."""

import inspect as inspect_
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Column, inspect, select
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper, undefer

from interceptors.describing import location
from interceptors.resources.column_types import value_type
from interceptors.resources.errors import ResourceError, suggest_all
from interceptors.resources.undocumented import is_deferred, is_one_to_many, kind_of, pairs_of
from interceptors.resources.vocabulary import Adapter, Expression, ModelColumn, Query, Relationship, Row

__all__ = ["Description", "Relation", "is_model", "kebab_case", "plural", "snake_case"]


def is_model(given: object) -> bool:
    """Is it a class of pydantic models?"""
    return isinstance(given, type) and issubclass(given, BaseModel)


def snake_case(name: str) -> str:
    """`ExamLesson_id` and `examLessonId` give `exam_lesson_id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def kebab_case(name: str) -> str:
    """`ExamLesson` gives `exam-lesson`."""
    return snake_case(name).replace("_", "-")


def plural(word: str) -> str:
    """The English plural of a regular noun, whose singular ends the word: `category` gives `categories`."""
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """A relationship of a model, with the resource of its other end."""

    name: str
    property: Relationship
    target: "Description"


@dataclass(eq=False)
class Description:
    """A resource class and its model. `model` is a mapped class with a single-column primary key."""

    resource: type
    model: type
    hidden: frozenset[str] = frozenset()
    """Columns that never leave."""
    relations: dict[str, Relation] = field(default_factory=dict[str, Relation])
    """What a client may load with `with`; filled in when every resource is known."""
    serializer: Callable[[Row, Any], Row] | None = None
    """Makes of a row what clients see."""
    adapters: dict[str, Adapter] = field(default_factory=dict[str, Adapter])
    """What parses the values of columns."""
    models: dict[object, type[BaseModel]] = field(default_factory=dict[object, type[BaseModel]])
    """The schemas made for it, by what they are for: each is one component of the OpenAPI document."""

    @property
    def name(self) -> str:
        """The model's name: `User`."""
        return self.model.__name__

    def option(self, name: str) -> Any:
        """An option of the resource's class as it stands there: a function stays a function."""
        found = inspect_.getattr_static(self.resource, name)
        return found.__func__ if isinstance(found, staticmethod) else found

    def place(self, option: str) -> str:
        """Where an option is set, for messages: `UserResource.fillable (app/resources.py:12)`."""
        return f"{self.resource.__qualname__}.{option} ({location(self.resource)})"

    @cached_property
    def mapper(self) -> Mapper[Any]:
        """SQLAlchemy's description. Raises ResourceError for what is no mapped class."""
        model: Any = self.model
        try:
            mapper: Any = inspect(model)
        except NoInspectionAvailable:
            mapper = None
        if not getattr(mapper, "is_mapper", False):
            raise ResourceError(
                f"{self.place('model')} is {self.model!r}, which is no mapped class of SQLAlchemy's: model = User"
            )
        found: Mapper[Any] = mapper
        return found

    @cached_property
    def columns(self) -> Mapping[str, ModelColumn]:
        """Every column attribute by its name, in the mapper's order, expressions (`column_property`) included."""
        return {attribute.key: getattr(self.model, attribute.key) for attribute in self.mapper.column_attrs}

    @cached_property
    def writable(self) -> frozenset[str]:
        """The attributes that stand for a column of a table."""
        return frozenset(a.key for a in self.mapper.column_attrs if isinstance(a.columns[0], Column))

    @cached_property
    def visible(self) -> tuple[str, ...]:
        """The columns that a client may see and name."""
        return tuple(name for name in self.columns if name not in self.hidden)

    @cached_property
    def key(self) -> str:
        """The attribute that is the primary key. Raises ResourceError for a composite one."""
        columns = self.mapper.primary_key
        if len(columns) != 1:
            raise ResourceError(
                f"{self.name}, the model of {self.resource.__qualname__} ({location(self.resource)}), has a composite "
                f"primary key ({', '.join(c.name for c in columns)}); a resource needs a key of one column."
            )
        return str(self.mapper.get_property_by_column(columns[0]).key)

    @property
    def key_column(self) -> ModelColumn:
        """The primary key."""
        return self.columns[self.key]

    def column(self, name: str) -> Column[Any]:
        """The table's column behind an attribute (or the expression)."""
        found: Any = self.mapper.column_attrs[name].columns[0]
        return found  # type: ignore[no-any-return]  # SQLAlchemy does not type the list's items

    def adapter(self, name: str) -> Adapter:
        """Parses the values of a column. Made at first use: that takes longer than the rest of a request."""
        found = self.adapters.get(name)
        if found is None:
            found = self.adapters[name] = TypeAdapter(value_type(self.column(name).type))
        return found

    @property
    def key_type(self) -> Adapter:
        """Parses a path parameter."""
        return self.adapter(self.key)

    @cached_property
    def select(self) -> Query:
        """`select(Model)`, as hooks get it."""
        return select(self.model)

    @cached_property
    def loading(self) -> tuple[Any, ...]:
        """The options with which a row comes whole, deferred columns too."""
        return (undefer("*"),) if any(is_deferred(a) for a in self.mapper.column_attrs) else ()

    def relationship(self, name: str, option: str) -> Relationship:
        """A relationship that an option names. Raises ResourceError for an unknown one."""
        found = self.mapper.relationships.get(name)
        if found is None:
            raise ResourceError(
                f"{self.place(option)} names {name!r}, which is no "
                f"relationship of {self.name}.{suggest_all(name, self.mapper.relationships.keys())}"
            )
        return found

    def nested_columns(self, name: str) -> tuple[Expression, Expression]:
        """The two columns of a one-to-many relationship that can have nested routes. Raises ResourceError."""
        found = self.relationship(name, "nested")
        pairs = pairs_of(found)
        if not is_one_to_many(found) or len(pairs) != 1:
            raise ResourceError(
                f"{self.place('nested')} names {name!r}, which is {kind_of(found)} over {len(pairs)} column "
                f"pair(s); nested routes need a one-to-many relationship over one foreign key."
            )
        return pairs[0]

    def check_columns(self, names: Iterable[str], option: str) -> None:
        """Raises ResourceError for a name that is no column attribute."""
        for name in names:
            if name not in self.columns:
                raise ResourceError(
                    f"{self.place(option)} names {name!r}, which is no "
                    f"column of {self.name}.{suggest_all(name, self.columns)}"
                )
