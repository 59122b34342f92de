"""Operations: what is fixed about one route of a resource, its steps compiled when the router is made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any, TypeAlias

from sqlalchemy import Select, select
from starlette.requests import Request
from starlette.responses import Response

from interceptors.arguments import ArgumentSpec
from interceptors.resources import actions
from interceptors.resources.bodies import Body
from interceptors.resources.conditions import Conditions
from interceptors.resources.context import ResourceContext
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError
from interceptors.resources.names import SPECIAL, Handler
from interceptors.resources.query_string import parse_conditions

__all__ = ["LIFE_CYCLES", "Operation", "OperationStep", "Parent", "points_of"]

Action: TypeAlias = Callable[[ResourceContext], Awaitable[None]]
OperationStep: TypeAlias = Callable[[ResourceContext], Awaitable[Response | None]]
"""What is awaited in its turn; a response ends the request."""

LIFE_CYCLES: dict[Handler, tuple[str | Action, ...]] = {
    Handler.INSERT: (actions.find_parents, "before_insert", actions.insert_row, "after_insert"),
    Handler.PAGINATE: (actions.find_parents, "before_paginate", actions.find_page, "after_paginate"),
    Handler.ALL: (actions.find_parents, "before_all", actions.find_all, "after_all"),
    Handler.SHOW: (actions.find_parents, "before_show", actions.find_one, "after_show"),
    Handler.UPDATE: (
        actions.find_parents,
        "before_update_query",
        actions.find_by_key,
        "after_update_query",
        actions.take_body,
        "before_update",
        actions.update_row,
        "after_update",
    ),
    Handler.PATCH: (
        actions.find_parents,
        "before_patch_query",
        actions.find_by_key,
        "after_patch_query",
        actions.take_body,
        "before_patch",
        actions.update_row,
        "after_patch",
    ),
    Handler.DELETE: (
        actions.find_parents,
        "before_delete_query",
        actions.find_by_key,
        "after_delete_query",
        "before_delete",
        actions.delete_row,
        "after_delete",
    ),
}
"""The steps of each handler: names are where a hook runs, and the event of the same name right after it."""


def points_of(handler: Handler) -> tuple[str, ...]:
    """Where the hooks and events of a handler run."""
    return tuple(step for step in LIFE_CYCLES[handler] if isinstance(step, str))


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """A row that a nested path names. `link` is the foreign key, on the next model, by which that belongs to it."""

    description: Description
    parameter: str
    relation: str
    link: Any
    """The attribute of the model further down."""
    above: "Parent | None"

    def query(self, params: Mapping[str, Any]) -> Select[Any]:
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
    steps: tuple[OperationStep, ...] = ()
    arguments: ArgumentSpec = field(init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys(name for point in points_of(self.handler) for name in SPECIAL[point])
        title = f"{self.description.resource.__name__}.{self.handler.method}"
        self.arguments = ArgumentSpec(title, [Parameter(name, Parameter.KEYWORD_ONLY) for name in names])

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

    def parse_path(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The path parameters by their columns' types. Raises ApiError."""
        found: dict[str, Any] = {}
        for name, description in self.parameters.items():
            try:
                found[name] = description.key_type.validate_strings(texts[name])
            except ValueError:
                raise ApiError(f"Unacceptable parameter: {texts[name]}") from None
        return found

    def key_value(self, params: Mapping[str, Any]) -> Any:
        """The key of the row that the path names."""
        return params[self.parameter]

    def link_value(self, params: Mapping[str, Any]) -> Any:
        """The foreign key that a nested path gives; None at the top."""
        return params[self.parents[-1].parameter] if self.parents else None

    async def prepare(self, ctx: ResourceContext, request: Request) -> None:
        """What an interceptor finds before `next()`. Raises ApiError and InvalidBody."""
        ctx.params = self.parse_path(request.path_params)
        if self.handler is Handler.INSERT:
            await actions.take_body(ctx)
            return
        query = self.description.select
        if self.parents:
            query = query.where(self.parents[-1].link == self.link_value(ctx.params))
        ctx.query = ctx._first_query = query
        if not self.handler.is_write:
            ctx.conditions = self.conditions(request)

    def conditions(self, request: Request) -> Conditions:
        """What the query string says. Raises ApiError."""
        paging, sorting = self.handler is Handler.PAGINATE, self.handler is not Handler.SHOW
        items = request.query_params.multi_items()
        return parse_conditions(items, self.description, paging=paging, sorting=sorting)

    async def perform(self, ctx: ResourceContext) -> Any:
        """The handler: hooks, events and actions in their order. Gives the row, the rows, or a hook's response."""
        for step in self.steps:
            response = await step(ctx)
            if response is not None:
                return response
        return ctx.item if ctx.result is None else ctx.result
