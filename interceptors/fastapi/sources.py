"""Where a request entered: the source of a route's invocations."""

from dataclasses import dataclass
from typing import Any

from interceptors.context import InvocationContext, InvocationSource
from interceptors.fastapi.undocumented import inclusion_of

__all__ = ["ROUTE", "RouteContext", "RouteValue"]

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
            source = self._route = InvocationSource(ROUTE, _route_value(getattr(self.request, "scope", {})))
        return source


def _route_value(scope: Any) -> RouteValue:
    route = scope.get("route")
    inclusion = inclusion_of(scope)
    if getattr(inclusion, "original_route", None) is route:  # else it is that of a mount further out
        route = inclusion
    return RouteValue(
        verb="WEBSOCKET" if scope.get("type") == "websocket" else scope.get("method", ""),
        path=getattr(route, "path", scope.get("path", "")),
        operation_id=getattr(route, "unique_id", None),
        tags=tuple(str(getattr(tag, "value", tag)) for tag in getattr(route, "tags", ())),
    )
