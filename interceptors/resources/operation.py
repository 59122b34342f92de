"""Operations: what is fixed about one route of a resource."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from interceptors.arguments import ArgumentSpec
from interceptors.resources.bodies import Body
from interceptors.resources.conditions import Conditions
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError
from interceptors.resources.names import Handler
from interceptors.resources.query_string import parse_conditions
from interceptors.resources.vocabulary import ModelColumn, Query

__all__ = ["Operation", "Parent"]


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """A row that a nested path names. `link` is the foreign key, on the next model, by which that belongs to it."""

    description: Description
    parameter: str
    relation: str
    link: ModelColumn
    """The attribute of the model further down."""
    above: "Parent | None"

    def query(self, params: Mapping[str, object]) -> Query:
        """Selects the row's key, if the row belongs to the parent above it."""
        column = self.description.key_column
        query = select(column).where(column == params[self.parameter])
        return query if self.above is None else query.where(self.above.link == params[self.above.parameter])


@dataclass(eq=False)
class Operation:
    """One route: a handler of a resource, at the top or below parents."""

    description: Description
    handler: Handler
    parents: tuple[Parent, ...]
    parameter: str
    """The name of the last path parameter."""
    in_transaction: bool
    body: Body | None
    arguments: ArgumentSpec
    """The special parameters of its hooks, as `ctx.args` has them."""
    steps: tuple[Callable[[Any], Awaitable[Response | None]], ...] = ()
    """What is awaited in its turn, with the context; a response ends the request."""

    # -- what contexts ask ---------------------------------------------------------------------------------------------

    @property
    def model(self) -> type:
        """The mapped class."""
        return self.description.model

    @property
    def relation(self) -> str | None:
        """The relationship by which the route is nested."""
        return self.parents[-1].relation if self.parents else None

    @property
    def parent_model(self) -> type | None:
        """The mapped class that the route is nested in."""
        return self.parents[-1].description.model if self.parents else None

    # -- the request ---------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Description]:
        """The path parameters, in the order of the path, with what their rows are."""
        found = {parent.parameter: parent.description for parent in self.parents}
        if self.handler not in (Handler.INSERT, Handler.PAGINATE, Handler.ALL):
            found[self.parameter] = self.description
        return found

    def parse_path(self, texts: Mapping[str, str]) -> dict[str, object]:
        """The path parameters by their columns' types. Raises ApiError."""
        found: dict[str, object] = {}
        for name, description in self.parameters.items():
            try:
                found[name] = description.key_type.validate_strings(texts[name])
            except ValueError:
                raise ApiError(f"Unacceptable parameter: {texts[name]}") from None
        return found

    def key_value(self, params: Mapping[str, object]) -> object:
        """The key of the row that the path names."""
        return params[self.parameter]

    def link_value(self, params: Mapping[str, object]) -> object:
        """The foreign key that a nested path gives; None at the top."""
        return params[self.parents[-1].parameter] if self.parents else None

    def conditions(self, request: Request) -> Conditions:
        """What the query string says. Raises ApiError."""
        paging, sorting = self.handler is Handler.PAGINATE, self.handler is not Handler.SHOW
        items = request.query_params.multi_items()
        return parse_conditions(items, self.description, paging=paging, sorting=sorting)
