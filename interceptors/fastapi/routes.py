"""A route class that runs the chain around function routes, and around the methods of controllers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from interceptors.calling import written
from interceptors.describing import location, name_of
from interceptors.errors import AlreadyInstalledError, WrongCallError
from interceptors.fastapi.facades import facade_of, http_facade, is_needed
from interceptors.fastapi.gates import Gate, RouteHandler, gate_of, note_handler, titled
from interceptors.fastapi.undocumented import picture_in_use
from interceptors.metadata import RegisteredAt, metadata_of
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["InterceptedRoute", "intercepted_route"]


class InterceptedRoute(APIRoute):
    """The base of the classes that `intercepted_route` makes; in their MRO it stands behind a route class of the user's.

    So what that class does around its handler is outside of the chain.
    """

    registry: InterceptorRegistry
    _is_being_made = False

    def get_route_handler(self) -> RouteHandler:
        """FastAPI's own handler, behind a gate. It is made once for each inclusion of a router."""
        picture = picture_in_use(self)
        gate = Gate(self.registry, picture)
        handler = gate.handler(super().get_route_handler, is_first=True)
        if picture is self and self._is_being_made:
            return handler  # the gate stands before its application, which costs less

        async def handle(request: Request) -> Response:
            if gate.dependant.call is not gate.entered:
                gate.enter(request.scope)
            return await handler(request)

        return handle


@written("intercepted_route(registry)", "base")
def intercepted_route(registry: InterceptorRegistry, base: type[APIRoute] = APIRoute) -> type[APIRoute]:
    """A route class for `APIRouter(route_class=...)` whose functions are intercepted; `base` is your own, if you have one.

    Raises AlreadyInstalledError if that is a route class of another registry, WrongCallError if it is none.
    """
    if not issubclass(base, APIRoute):
        raise WrongCallError(
            f"`base` takes a subclass of APIRoute, not {name_of(base)} ({location(base)}): "
            f"intercepted_route(registry, base=MyRoute)",
            base,
        )
    if issubclass(base, InterceptedRoute):
        if base.registry is not registry:
            raise AlreadyInstalledError(
                f"{base.__name__} runs the chain of another InterceptorRegistry; make it with the registry that is to be "
                f"used, and give that one the interceptors of both."
            )
        return base
    bases = (InterceptedRoute,) if issubclass(InterceptedRoute, base) else (base, InterceptedRoute)

    def init(self: Any, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        title = titled(options.get("methods") or ("GET",), path)
        registration = RegisteredAt(self, title, metadata_of(endpoint))
        handler = shown_to_fastapi(registry, endpoint, registration)
        note_handler(self, handler, registration)
        self._is_being_made = True
        bases[0].__init__(self, path, handler, **options)
        del self._is_being_made
        gate = gate_of(self)
        if gate is not None:  # a class of the user's may make its handler all by itself
            gate.stand_before(self)

    name = f"Intercepted{base.__name__}"
    return type(name, bases, {"__init__": init, "__module__": __name__, "registry": registry})


def shown_to_fastapi(registry: InterceptorRegistry, handler: object, registration: RegisteredAt) -> Any:
    """The handler itself, or a facade of it if it has parameters that FastAPI must not see."""
    if facade_of(handler) is not None or not callable(handler):
        return handler
    target = replace(Target.of(handler, None), registration=registration)
    return http_facade(registry, target) if is_needed(target) else handler
