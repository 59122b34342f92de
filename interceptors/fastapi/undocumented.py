"""What we use of FastAPI and Starlette although their documentation does not have it; see `interceptors.libraries`.

*A picture* is what FastAPI knows about a route in one place: the route itself where it stands on an application, else
what FastAPI makes of it for each inclusion of its router (an "effective route context"; of a WebSocket, a route of its
own). Everything is looked for on examples, half a millisecond at the import; whether it also *does* what it did is seen
by `interceptors.fastapi.probe`.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from contextvars import ContextVar
from copy import copy
from typing import Any

from fastapi import APIRouter, FastAPI, params, routing
from fastapi.dependencies import models
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse
from starlette.responses import JSONResponse
from starlette.types import Scope

from interceptors.libraries import Library

__all__ = [
    "Picture",
    "dependencies_of",
    "describe_as",
    "exit_stack",
    "handlers_in",
    "inclusion_of",
    "is_async_generator",
    "is_coroutine",
    "is_generator",
    "is_included",
    "is_stream",
    "original_of",
    "picture_in_use",
    "pictures_of",
    "reading",
    "router_of",
    "shown",
    "stream_of",
    "watch",
    "without_body",
    "without_stream",
]

_library = Library("fastapi")
_confirm, _needed = _library.confirm, _library.needed

Picture = Any
"""An APIRoute, an APIWebSocketRoute, or FastAPI's picture of one; the class of that is not documented."""


# Without this a handler would be made for the route as it stands on its router, and not for its inclusion.
_in_use: ContextVar[Any] = _needed(routing, "_effective_route_context_var", "make the handler of an included route")


async def _endpoint() -> None: ...


def _examples() -> tuple[Any, Any, Any, Any]:
    """A route, an included router, and FastAPI's pictures of a route and of a WebSocket in it."""
    inner, outer = APIRouter(), APIRouter()
    inner.add_api_route("/", _endpoint)
    inner.add_api_websocket_route("/", _endpoint)
    outer.include_router(inner, prefix="/example")
    [included] = outer.routes
    route, socket = _needed(included, "effective_candidates", _REACH)()
    return inner.routes[0], included, route, socket


_REACH = "reach the functions of included routers"
try:
    _route, _included, _picture, _socket = _examples()
except (AttributeError, TypeError, ValueError) as error:
    raise _library.incompatible(f"APIRouter.include_router ({error})", _REACH) from error

# -- included routers --------------------------------------------------------------------------------------------------

# Without these nothing below an included router is found: every chain there would be lost without a word.
_needed(_included, "original_router", _REACH)
_needed(_needed(_included, "include_context", _REACH), "dependencies", "find decorated dependencies of an inclusion")
# An object that takes no attributes could not tell us of the pictures that FastAPI makes anew when a route is added.
_confirm(hasattr(_included, "__dict__"), "_IncludedRouter.__dict__", "hear of routes that are added to a router")
_Included: type[object] = _included.__class__


def is_included(route: object) -> bool:
    """Is it a router that another one includes?"""
    return isinstance(route, _Included)


def pictures_of(included: Any) -> list[Any]:
    """The pictures of the routes of an included router, and the routers that it includes."""
    found: list[Any] = included.effective_candidates()
    return found


def router_of(included: Any) -> APIRouter:
    """The router that is included."""
    router: APIRouter = included.original_router
    return router


def dependencies_of(included: Any) -> Sequence[params.Depends]:
    """What this inclusion and the routers around it add to the dependencies of the router."""
    found: Sequence[params.Depends] = included.include_context.dependencies
    return found


def watch(included: Any, look: Callable[[list[object]], None]) -> None:
    """Show `look` all pictures of an included router before FastAPI matches any of them; again when they are made anew.

    The included router belongs to one inclusion alone, so no other application is told.
    """
    make = included.effective_candidates
    known: list[Any] | None = None

    def pictures() -> list[Any]:
        nonlocal known
        found: list[Any] = make()
        if found is not known:
            look(found)
            known = found
        return found

    included.effective_candidates = pictures


# -- pictures ----------------------------------------------------------------------------------------------------------

# Without these there is no place for a door: FastAPI calls `dependant.call` with what it has parsed.
for _each in (_route, _picture, _needed(_socket, "starlette_route", "intercept WebSockets")):
    _needed(_each, "dependant", "run a chain around a function")
    _needed(_each, "app", "serve a route")
    _needed(_each, "endpoint", "find what is decorated")
_needed(_picture, "original_route", "make the handler of a route")
_Dependant: Any = _needed(models, "Dependant", "make the response of a stream")
_needed(_route.dependant, "call", "run a chain around a function")
_needed(_route.dependant, "dependencies", "find decorated dependencies")
_needed(_route.dependant, "path", "make the response of a stream")
# Without these a layer has no request and no response.
for _name in (
    "request_param_name",
    "response_param_name",
    "websocket_param_name",
    "http_connection_param_name",
    "background_tasks_param_name",
):
    _needed(_route.dependant, _name, "give a chain its request and response")
# Without these the stream of a generator cannot be made of what its chain gives.
for _name in ("is_json_stream", "response_class", "stream_item_field", "body_field"):
    _needed(_picture, _name, "make the response of a stream")
    _needed(_route, _name, "make the response of a stream")
_needed(_route.dependant, "body_params", "leave the body of a request to resources")


def original_of(picture: Picture) -> Any:
    """The route that somebody declared."""
    return getattr(picture, "original_route", picture)


def shown(candidate: object) -> Any:
    """What has the path, the endpoint and the application of a picture: of everything but an APIRoute a route of its own."""
    route = getattr(candidate, "starlette_route", None)
    if route is None:
        return candidate
    route.original_route = original_of(candidate)
    return route


def picture_in_use(route: APIRoute) -> Picture:
    """What a route's handler is being made for: its picture while FastAPI includes its router, else the route."""
    picture = _in_use.get()
    return picture if getattr(picture, "original_route", None) is route else route


@contextmanager
def reading(picture: Picture, route: APIRoute) -> Generator[None]:
    """Let FastAPI read the picture when it makes a handler for the route in the block."""
    token = _in_use.set(None if picture is route else picture)
    try:
        yield
    finally:
        _in_use.reset(token)


def is_stream(picture: Picture) -> bool:
    """Does FastAPI iterate over what the function gives, and send the items one by one?"""
    call, response_class = picture.dependant.call, getattr(picture.response_class, "value", picture.response_class)
    if isinstance(response_class, type) and issubclass(response_class, EventSourceResponse):
        return True
    return bool(picture.is_json_stream or is_generator(call) or is_async_generator(call))


def without_stream(picture: Picture, route: APIRoute) -> Picture:
    """The picture for a handler whose function answers with a response, although the route is that of a generator."""
    changed = copy(picture)
    changed.original_route = route
    changed.response_class, changed.is_json_stream, changed.stream_item_field = JSONResponse, False, None
    return changed


def stream_of(picture: Picture, route: APIRoute, call: Callable[..., object], request_name: str) -> Picture:
    """The picture for a handler that only makes the response of a stream: of what `call` gives for the request."""
    changed = copy(picture)
    changed.original_route = route
    changed.dependant = _Dependant(call=call, path=picture.dependant.path, request_param_name=request_name)
    changed.body_field = None
    return changed


def without_body(picture: Picture, route: APIRoute) -> Picture:
    """The picture for a handler that does not read the body which is documented."""
    changed = copy(picture)
    changed.original_route = route
    changed.body_field, changed.dependant = None, copy(picture.dependant)
    changed.dependant.body_params = []
    return changed


# -- kinds of functions ------------------------------------------------------------------------------------------------

# Without these we would call a handler in another way than FastAPI does: in no thread, or without awaiting it.
is_coroutine: Callable[[Any], bool] = _needed(models, "_is_coroutine_callable", "call a handler as FastAPI does")
is_generator: Callable[[Any], bool] = _needed(models, "_is_gen_callable", "call a handler as FastAPI does")
is_async_generator: Callable[[Any], bool] = _needed(models, "_is_async_gen_callable", "call a handler as FastAPI does")

# Without these the texts of validation errors name our file, and not that of the handler.
_contexts: dict[int, Any] = _needed(routing, "_endpoint_context_cache", "name the handler in validation errors")
_context_of: Callable[[Any], Any] = _needed(
    routing, "_extract_endpoint_context", "name the handler in validation errors"
)


def describe_as(function: object, handler: object) -> None:
    """Let FastAPI say that `handler` is the function, where it says in which file and line an endpoint is."""
    _contexts[id(function)] = dict(_context_of(handler))


# -- applications ------------------------------------------------------------------------------------------------------

_app = FastAPI(openapi_url=None)
# Without these nothing is checked when an application starts, and no route that is added later.
for _name in ("lifespan_context", "middleware_stack"):
    _needed(_app.router, _name, "check an application")


def _goes_through_stack(router: Any) -> bool:
    """Does a router call its stack?"""
    calls: list[Any] = []

    async def stack(*call: object) -> None:
        calls.append(call)

    router.middleware_stack = stack
    with suppress(StopIteration):
        router({"type": "http"}, None, None).send(None)
    return bool(calls)


_confirm(_goes_through_stack(APIRouter()), "Router.middleware_stack", "check an application")
# Without it functions that are declared on an application after `install` have parameters of ours for the client's.
_needed(_app.router, "route_class", "intercept the functions of an application")
# Without these what is decorated there, and never reached, would be passed over.
for _name in ("exception_handlers", "user_middleware"):
    _needed(_app, _name, "find what is decorated and called without a chain")
for _name in ("dependencies", "on_startup", "on_shutdown", "default"):
    _needed(_app.router, _name, "find what is decorated and called without a chain")


# -- scopes ------------------------------------------------------------------------------------------------------------


def inclusion_of(scope: Scope) -> Any:
    """FastAPI's picture of the route that a request has reached, with its full path; None if it knows of none.

    Without it `ctx.source` would have the path as it stands on the router; the probe sees that it is there.
    """
    found: Mapping[str, Any] = scope.get("fastapi", {})
    return found.get("effective_route_context")


def handlers_in(scope: Scope) -> Mapping[Any, Any]:
    """The application's handlers of exceptions by their class; none where a router is served by itself.

    Without it an error that carries a status would get past the application's own handler; the probe sees that they
    are there.
    """
    handlers: Mapping[Any, Any] = scope.get("starlette.exception_handlers", ({}, {}))[0]
    return handlers


def exit_stack(scope: Scope) -> AsyncExitStack:
    """What FastAPI closes when the answer is sent or the client is gone, before it leaves the `yield` dependencies.

    Without it the iterator of a stream would stay open when the client goes away; a KeyError says so.
    """
    stack: AsyncExitStack = scope["fastapi_inner_astack"]
    return stack
