"""The life cycles of requests to resources: the actions of each handler, and between them the points of hooks and events."""

from collections.abc import Awaitable, Callable
from inspect import Parameter
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from interceptors.arguments import ArgumentSpec
from interceptors.resources import actions
from interceptors.resources.context import ResourceContext, operation_of, work_of
from interceptors.resources.description import Description
from interceptors.resources.names import SPECIAL, Handler
from interceptors.resources.operation import Operation

__all__ = ["LIFE_CYCLES", "Action", "OperationStep", "arguments_of", "perform", "points_of", "prepare"]

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


def arguments_of(description: Description, handler: Handler) -> ArgumentSpec:
    """The special parameters of all hooks of a handler."""
    names = dict.fromkeys(name for point in points_of(handler) for name in SPECIAL[point])
    title = f"{description.resource.__name__}.{handler.method}"
    return ArgumentSpec(title, [Parameter(name, Parameter.KEYWORD_ONLY) for name in names])


async def prepare(operation: Operation, ctx: ResourceContext, request: Request) -> None:
    """What an interceptor finds before `next()`. Raises ApiError and InvalidBody."""
    ctx.params = operation.parse_path(request.path_params)
    if operation.handler is Handler.INSERT:
        await actions.take_body(ctx)
        return
    query = operation.description.select
    if operation.parents:
        query = query.where(operation.parents[-1].link == operation.link_value(ctx.params))
    ctx.query = work_of(ctx).first_query = query
    if not operation.handler.is_write:
        ctx.conditions = operation.conditions(request)


async def perform(ctx: ResourceContext) -> Any:
    """The handler: hooks, events and actions in their order. Gives the row, the rows, or a hook's response."""
    for step in operation_of(ctx).steps:
        response = await step(ctx)
        if response is not None:
            return response
    return ctx.item if ctx.result is None else ctx.result
