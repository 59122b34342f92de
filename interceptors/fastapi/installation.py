"""A registry on an application: it reaches the routes there are, hears of those that come later, and checks them all."""

import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from operator import is_
from typing import Any, NamedTuple, final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from interceptors.describing import location, name_of
from interceptors.errors import AlreadyInstalledError, UnreachedInterceptorError, UnreachedRouteWarning
from interceptors.fastapi.found_routes import found_routes, mounted_applications, routes_of
from interceptors.fastapi.gates import adopt, gate_of
from interceptors.fastapi.places import Routers, routers_of
from interceptors.fastapi.problems import find_problems, problems_of_route
from interceptors.fastapi.startup import check_in_lifespan
from interceptors.fastapi.undocumented import is_included, router_of, shown, watch
from interceptors.registry import InterceptorRegistry

__all__ = ["Installation", "installation_of"]

_WATCHED = "__interceptors_installation__"


def installation_of(app: object) -> "Installation | None":
    """What `install` has put on an application."""
    found = getattr(getattr(app, "state", None), "interceptors_installation", None)
    return found if isinstance(found, Installation) else None


@final
class Installation:
    """What `install` puts on an application. It only adds: to the router's own stack, and to the lifespan.

    A router that has its own way to call its routes, as Cadwyn's, may pass its stack by; there it is a middleware.
    """

    def __init__(self, app: FastAPI, registry: InterceptorRegistry, probe: Callable[[], Awaitable[None]]) -> None:
        self.app = app
        self.registry = registry
        self._probe = probe
        self.routers = True
        """Are the functions of included routers reached?"""
        self.is_strict = False
        """Is it an error that a function cannot be reached, and not a warning?"""
        self.controllers: set[type] = set()
        self.is_checked = False
        """Has the check at the start been made, and found nothing wrong?"""
        self._known: list[Any] = [None]  # the routes of the application as they were when it was last looked at
        self._mounts: list[_Mounted] = []
        app.state.interceptors = registry
        app.state.interceptors_installation = self
        if type(app.router).__call__ is APIRouter.__call__:
            app.router.middleware_stack = self._guard(app.router.middleware_stack)
        elif app.middleware_stack is None:
            app.add_middleware(self._guard)
        else:
            raise UnreachedInterceptorError(
                f"Call install(app, registry) before the first request: {name_of(type(app.router))} "
                f"({location(type(app.router))}), the application's router, calls its routes in its own way, and what "
                f"looks after them there can only be put on an application that has not started.",
                app.router,
            )
        check_in_lifespan(app.router, self.check)

    # -- reaching ------------------------------------------------------------------------------------------------------

    def adopt_own(self) -> None:
        """Give the routes that stand on the application itself their gates.

        At once: a library may take them from here to an application that knows nothing of us.
        """
        self._adopt(route for route in self.app.router.routes if not is_included(route))

    def adopt(self) -> None:
        """The same for all there are, those of included routers, too; at the start, when they are complete."""
        self._adopt(self.app.router.routes)

    def _adopt(self, routes: Iterable[object]) -> None:
        for route in routes:
            if isinstance(route, APIRoute | APIWebSocketRoute):
                adopt(self.registry, route, (self.app.router,))
            elif is_included(route):
                self._watch(route, partial(self._look, (self.app.router, router_of(route))))

    def _watch(self, included: object, look: Callable[[list[object]], None]) -> None:
        if getattr(included, _WATCHED, None) is not self:
            setattr(included, _WATCHED, self)
            watch(included, look)

    def _look(self, routers: Routers, candidates: list[Any]) -> None:
        """FastAPI has made pictures of a router's routes: at first, and whenever a route was added."""
        for candidate in candidates:
            if is_included(candidate):
                self._watch(candidate, partial(self._look, (*routers, router_of(candidate))))
            elif hasattr(picture := shown(candidate), "dependant") and (self.routers or gate_of(picture) is not None):
                adopt(self.registry, picture, routers)
        self._refuse_wrong(candidates, self.registry, routers)

    def _look_below(self, routers: Routers, candidates: list[Any]) -> None:
        """The same in an application that is mounted, and has no registry."""
        for candidate in filter(is_included, candidates):
            self._watch(candidate, partial(self._look_below, (*routers, router_of(candidate))))
        self._refuse_wrong(candidates, None, routers)

    # -- checking ------------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Make the checks of the application's start. Raises the first that is wrong; a warning comes last."""
        await self._probe()
        self.adopt()
        for problem in find_problems(self.app, self.registry):
            if not isinstance(problem, Warning):
                raise problem
            if isinstance(problem, UnreachedRouteWarning) and self.is_strict:
                raise UnreachedInterceptorError(str(problem), problem.functions)
            warnings.warn(problem, stacklevel=2)
        self._note_routes()
        self.is_checked = True

    def _guard(self, stack: ASGIApp) -> Any:
        """Check before the first request where no lifespan has; and the routes that have come since, before they match."""
        router, known, mounts = self.app.router, self._known, self._mounts

        def guard(scope: Scope, receive: Receive, send: Send) -> Any:
            # At every request. By identity: a route that is equal to one of ours has another handler, and no gate.
            routes = router.routes
            if len(routes) == len(known) and all(map(is_, routes, known)) and not (mounts and _have_changed(mounts)):
                return stack(scope, receive, send)
            if not self.is_checked and scope["type"] != "lifespan":
                return check_first(scope, receive, send)
            if self.is_checked:
                self._look_again()
            return stack(scope, receive, send)

        async def check_first(scope: Scope, receive: Receive, send: Send) -> None:
            await self.check()
            await stack(scope, receive, send)

        return guard

    def _look_again(self) -> None:
        """Routes have come or gone since the check: a wrong one is refused whenever it is matched, the others go on."""
        before = set(map(id, self._known))
        new = [route for route in self.app.router.routes if id(route) not in before]
        self._adopt(new)
        changed = [mount.picture for mount in self._mounts if _have_changed([mount])]
        self._refuse_wrong([*new, *changed], self.registry, (self.app.router,))
        self._note_routes()

    def _note_routes(self) -> None:
        self._known[:] = self.app.router.routes
        self._mounts[:] = [
            _Mounted(found.picture, app, list(app.routes))
            for found in routes_of(self.app)
            for _, app in mounted_applications(found)
        ]
        for mount in self._mounts:
            for included in filter(is_included, mount.routes):
                self._watch(included, partial(self._look_below, (*routers_of(mount.app), router_of(included))))

    def _refuse_wrong(self, routes: Sequence[object], registry: InterceptorRegistry | None, routers: Routers) -> None:
        """Those that have come since the check; what was wrong then has stopped the start."""
        for found in found_routes(routes, routers=routers) if self.is_checked else ():
            for problem in problems_of_route(found, registry):
                if isinstance(problem, UnreachedInterceptorError | AlreadyInstalledError):
                    _refuse(found.picture, problem)
                    break


class _Mounted(NamedTuple):
    """What is mounted, and which routes it had when we last looked."""

    picture: Any
    app: Any
    routes: list[Any]


def _have_changed(mounts: Iterable[_Mounted]) -> bool:
    return any(len(m.app.routes) != len(m.routes) or not all(map(is_, m.app.routes, m.routes)) for m in mounts)


def _refuse(picture: Any, error: Exception) -> None:
    """Raise an error whenever a route is reached. What else is wrong with one is raised there by itself."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise error.with_traceback(None)

    gate = gate_of(picture)
    if gate is not None:
        gate.refuse(error)
    elif hasattr(picture, "app"):
        picture.app = refuse
    else:  # a route of somebody else's
        picture.handle = refuse
