"""Where a request entered: the source of a route's invocations. The one file that knows FastAPI's private keys.

Since 0.137 an included router keeps its routes, so a route object no longer knows its full path. FastAPI leaves what it
knows about this inclusion in the ASGI scope, under a key that is not documented; without it the route itself is used.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import routing

from interceptors.context import InvocationContext, InvocationSource

__all__ = ["ROUTE", "RouteContext", "RouteValue", "all_routes", "exit_stack", "mounted_routes", "route_in_use"]

ROUTE = "route"
"""The source type of every invocation that FastAPI starts."""


@dataclass(frozen=True, slots=True)
class RouteValue:
    """What `ctx.source.value` is on a route."""

    verb: str
    """GET, POST ...; WEBSOCKET for a WebSocket."""
    path: str
    """The path template of this inclusion: `/v1/orders/{order_id}`."""
    operation_id: str | None
    """The id of the operation in the OpenAPI document; None for a WebSocket."""
    tags: tuple[str, ...]
    """The tags of the operation, those of its routers included."""

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


class RouteContext(InvocationContext):
    """An invocation that FastAPI started. Its source is made when it is asked for: most chains never do."""

    _route: InvocationSource | None = None

    @property
    def source(self) -> InvocationSource:
        """Which route this is, in this inclusion of its router."""
        source = self._route
        if source is None:
            source = self._route = InvocationSource(ROUTE, _route_value(self._request.scope))
        return source


def _route_value(scope: Any) -> RouteValue:
    route = scope.get("route")
    inclusion = scope.get("fastapi", {}).get("effective_route_context")
    if getattr(inclusion, "original_route", None) is route:  # else it is that of a mount further out
        route = inclusion
    return RouteValue(
        verb="WEBSOCKET" if scope["type"] == "websocket" else scope["method"],
        path=getattr(route, "path", scope["path"]),
        operation_id=getattr(route, "unique_id", None),
        tags=tuple(str(getattr(tag, "value", tag)) for tag in getattr(route, "tags", ())),
    )


def all_routes(routes: Sequence[Any]) -> Iterator[Any]:
    """Every route of an application with its full path, those of included routers in their inclusions."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            for context in route.effective_route_contexts():
                yield context.starlette_route or context
        else:
            yield route


def mounted_routes(routes: Sequence[Any]) -> Iterator[Any]:
    """The routes below mounts, but for those of applications that have a registry of their own."""
    for route in routes:
        app = getattr(route, "app", None)
        if not hasattr(route, "endpoint") and not hasattr(getattr(app, "state", None), "interceptors"):
            below: Sequence[Any] = getattr(app, "routes", ())
            yield from all_routes(below)
            yield from mounted_routes(below)


def exit_stack(scope: Any) -> AsyncExitStack:
    """What FastAPI closes when the answer is sent or the client is gone, before it leaves the `yield` dependencies."""
    stack: AsyncExitStack = scope["fastapi_inner_astack"]
    return stack


def route_in_use(route: Any) -> Any:
    """What a route's handler is made for: while FastAPI includes a router, its picture of the route, else the route."""
    building = getattr(routing, "_effective_route_context_var", None)
    inclusion = None if building is None else building.get()
    return inclusion if getattr(inclusion, "original_route", None) is route else route
