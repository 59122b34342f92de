"""A route class that runs the chain around function routes, and around the methods of controllers."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from interceptors.fastapi.endpoint import endpoint_of, http_endpoint, route_target
from interceptors.fastapi.streams import opening_streams, stream_endpoint, stream_target
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target, is_generator

__all__ = ["InterceptedRoute", "endpoint_for", "intercepted_route"]


class InterceptedRoute(APIRoute):
    """The base of the classes that `intercepted_route` makes; in their MRO it stands behind a route class of the user's.

    So what that class does around its handler is outside of the chain, for streams, too.
    """

    registry: InterceptorRegistry

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler; it calls this once per inclusion of a router, so there are no side effects."""
        handler = super().get_route_handler()
        info = endpoint_of(self.endpoint)
        return opening_streams(handler) if info is not None and is_generator(info.target.function) else handler


def intercepted_route(registry: InterceptorRegistry, base: type[APIRoute] = APIRoute) -> type[APIRoute]:
    """A route class for `APIRouter(route_class=...)` whose functions are intercepted; `base` is your own, if you have one."""
    if issubclass(base, InterceptedRoute) and base.registry is registry:
        return base
    bases = (InterceptedRoute,) if issubclass(InterceptedRoute, base) else (base, InterceptedRoute)

    def init(self: Any, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        bases[0].__init__(self, path, endpoint_for(registry, endpoint), **options)

    name = f"Intercepted{base.__name__}"
    return type(name, bases, {"__init__": init, "__module__": __name__, "registry": registry})


def endpoint_for(registry: InterceptorRegistry, handler: Any) -> Callable[..., Any]:
    """The function that runs the chain around a handler, by its kind; a function of ours is left as it is."""
    if endpoint_of(handler) is not None:
        result: Callable[..., Any] = handler
        return result
    target = handler if isinstance(handler, Target) else Target.of(handler, None)
    if is_generator(target.function):
        return stream_endpoint(registry, stream_target(target))
    return http_endpoint(registry, route_target(target))
