"""The contexts of routes: where a request entered, and what goes into its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

from starlette.background import BackgroundTask, BackgroundTasks
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from interceptors.context import InvocationContext, InvocationSource
from interceptors.fastapi.undocumented import exit_stack, inclusion_of

__all__ = ["ROUTE", "RouteContext", "RouteValue", "WebSocketContext"]

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


class OnRoute(InvocationContext):
    """An invocation that FastAPI started. Its source is made when it is asked for: most chains never do."""

    _route: InvocationSource | None = None

    @property
    def source(self) -> InvocationSource:
        """Which route this is, in this inclusion of its router."""
        source = self._route
        if source is None:
            source = self._route = InvocationSource(ROUTE, _route_value(getattr(self.request, "scope", {})))
        return source


class WebSocketContext(OnRoute):
    """The invocation around the conversation of a WebSocket."""

    @property
    def request(self) -> WebSocket:
        """The WebSocket that was connected."""
        socket: WebSocket = super().request
        return socket

    @property
    def response(self) -> None:
        """There is none."""


class _RouteStatus(int):
    """The status of the route, as layers see it before somebody sets another one.

    For FastAPI, and for a handler, a response has no status as long as nobody has set one.
    """


class RouteContext(OnRoute):
    """The invocation of a handler of HTTP requests."""

    tasks: BackgroundTasks | None = None
    """The background tasks of the request, where the handler or a dependency asks for them."""

    @property
    def request(self) -> Request:
        """The request."""
        request: Request = super().request
        return request

    @property
    def response(self) -> Response:
        """Its status, headers, cookies and background tasks go into the answer. The status is at first the route's."""
        response: Any = super().response
        if response is not None and response.status_code is None:
            response.status_code = _RouteStatus(_status_of(route_of(self.request.scope)))
        return cast("Response", response)

    def begin_run(self) -> Callable[[], None]:
        """What a run of the handler has set on the response, and its background tasks, go with it when it fails."""
        response, tasks = self._response, self.tasks
        if response is None:  # the handler was called by somebody, and not by FastAPI
            return super().begin_run()
        if type(response.status_code) is _RouteStatus:
            response.status_code = None
        before = response.status_code, response.background, response.raw_headers.copy()
        count = 0 if tasks is None else len(tasks.tasks)

        def take_back() -> None:
            response.status_code, response.background, response.raw_headers[:] = before
            if tasks is not None:
                del tasks.tasks[count:]

        return take_back

    def settle(self) -> None:
        """The chain has returned: what is on the response now goes into the answer."""
        response = self._response
        if response is None:
            return
        if type(response.status_code) is _RouteStatus:
            response.status_code = None
        if response.background is not None:  # FastAPI drops it; it has to run when the answer is sent
            self._send_first(response.background)

    def _send_first(self, background: BackgroundTask) -> None:
        async def run(failure: type[BaseException] | None, *_: object) -> None:
            if failure is None:
                await background()

        exit_stack(self.request.scope).push_async_exit(run)


def route_of(scope: Any) -> Any:
    """What FastAPI knows of the route that a request has reached, in this inclusion of its router."""
    route, inclusion = scope.get("route"), inclusion_of(scope)
    # else it is that of a mount further out
    return inclusion if getattr(inclusion, "original_route", None) is route else route


def _status_of(route: object) -> int:
    """The status that FastAPI answers with on a route; without one, that of its response class, as in its document."""
    status: int | None = getattr(route, "status_code", None)
    if status is not None:
        return status
    response_class = getattr(route, "response_class", Response)
    parameters = signature(getattr(response_class, "value", response_class)).parameters
    default: Any = parameters["status_code"].default if "status_code" in parameters else None
    return default if isinstance(default, int) else 200


def _route_value(scope: Any) -> RouteValue:
    route = route_of(scope)
    return RouteValue(
        verb="WEBSOCKET" if scope.get("type") == "websocket" else scope.get("method", ""),
        path=getattr(route, "path", scope.get("path", "")),
        operation_id=getattr(route, "unique_id", None),
        tags=tuple(str(getattr(tag, "value", tag)) for tag in getattr(route, "tags", ())),
    )
