"""Where a route stands: which routers are around it."""

from collections.abc import Iterator, Sequence

from fastapi import APIRouter
from starlette.types import Scope

from interceptors.fastapi.undocumented import Picture, is_included, original_of, pictures_of, router_of, shown

__all__ = ["Routers", "pictures_below", "router_behind", "routers_above", "routers_of"]

Routers = tuple[APIRouter, ...]
"""The routers that a route is below, the outermost first."""


def pictures_below(routes: Sequence[object], routers: Routers) -> Iterator[tuple[Picture, Routers]]:
    """The pictures of routes, those of included routers too, however deep, with the routers that each is below."""
    for route in routes:
        if is_included(route):
            yield from pictures_below(pictures_of(route), (*routers, router_of(route)))
        else:
            yield shown(route), routers


def router_behind(app: object) -> APIRouter | None:
    """The router of an application of FastAPI's, or the router that is served by itself."""
    found = app if isinstance(app, APIRouter) else getattr(app, "router", None)
    return found if isinstance(found, APIRouter) else None


def routers_of(app: object) -> Routers:
    """The same as the outermost of the routers that a route of it is below; empty if it has none of FastAPI's."""
    router = router_behind(app)
    return () if router is None else (router,)


def routers_above(picture: Picture, scope: Scope) -> Routers:
    """The routers that the route of a request is below, for one of whose application nobody has told us.

    Those of what is mounted, too; none are known behind an ASGI application that cannot be looked into.
    """
    left: list[object] = [scope.get("app", scope.get("router"))]
    while left:
        router = router_behind(left.pop())
        for each, routers in pictures_below(router.routes, (router,)) if router is not None else ():
            if each is picture or original_of(each) is picture:
                return routers
            if not hasattr(each, "endpoint"):
                left.append(getattr(each, "app", None))
    return ()
