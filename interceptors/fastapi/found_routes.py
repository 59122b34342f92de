"""The routes of an application, all of them: one enumeration for the check at start-up and for the commands.

Included routers are looked into however deep they are, each inclusion on its own; mounted applications as far as their
public attributes lead to routes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.staticfiles import StaticFiles

from interceptors.describing import location, name_of
from interceptors.entry import Entry
from interceptors.fastapi.doors import entry_of
from interceptors.fastapi.gates import gate_of
from interceptors.fastapi.places import Routers, pictures_below, routers_of
from interceptors.fastapi.undocumented import original_of
from interceptors.registry import InterceptorRegistry

__all__ = ["FoundRoute", "applications_behind", "found_routes", "mounted_applications", "registry_of", "routes_of"]

_MOST_LOOKED_AT = 1000  # objects behind a mount


@dataclass(frozen=True, slots=True)
class FoundRoute:
    """One route in one place."""

    picture: Any
    """FastAPI's picture of it, or the route itself; has its path, its endpoint and its application."""
    prefix: str = ""
    """The path of the mounts that it is below."""
    routers: Routers = ()
    """The routers that it is below, the outermost first, as far as they are known."""

    @property
    def is_fastapis(self) -> bool:
        """Does FastAPI parse the request for it? Starlette's own routes, mounts and files are served as they are."""
        return isinstance(original_of(self.picture), APIRoute | APIWebSocketRoute)

    @property
    def endpoint(self) -> Any:
        """The function, the object or the class that handles its requests; None for a mount."""
        return getattr(self.picture, "endpoint", None)

    @property
    def is_documentation(self) -> bool:
        """Is it FastAPI's own, of the OpenAPI document?"""
        return str(getattr(self.endpoint, "__module__", "")).startswith("fastapi.")

    @property
    def path(self) -> str:
        """With that of the mounts around it."""
        return f"{self.prefix}{getattr(self.picture, 'path', '') or getattr(self.picture, 'host', '')}"

    @property
    def verbs(self) -> Sequence[str]:
        """GET, POST ...; WEBSOCKET for a WebSocket, MOUNT for what is mounted."""
        if self.endpoint is None:
            return ["MOUNT"]
        found = getattr(self.picture, "methods", None)
        return sorted(found) if found else ["WEBSOCKET" if not hasattr(self.picture, "methods") else "ANY"]

    @property
    def title(self) -> str:
        """`GET, HEAD /orders (show, file:line)`."""
        what = getattr(self.picture, "app", self.picture) if self.endpoint is None else self.endpoint
        return f"{', '.join(self.verbs)} {self.path} ({name_of(what)}, {location(what)})"

    @property
    def is_reached(self) -> bool:
        """Does a chain run around it? Its own, or that of another registry."""
        return self.is_fastapis and (
            gate_of(self.picture) is not None or entry_of(self.picture.dependant.call) is not None
        )

    def entry(self) -> Entry | None:
        """The chain that runs around it, whose door is put on if it is not; None if there is none.

        Raises what is wrong with it.
        """
        if not self.is_fastapis:
            return None
        gate = gate_of(self.picture)
        if gate is None:
            return entry_of(self.picture.dependant.call)
        gate.stand_below(self.routers)
        return gate.put()


def found_routes(routes: Sequence[object], prefix: str = "", routers: Routers = ()) -> Iterator[FoundRoute]:
    """The routes of an application and of the routers that it includes; mounts, but not what is in them."""
    for picture, above in pictures_below(routes, routers):
        yield FoundRoute(picture, prefix, above)


def routes_of(app: Any, prefix: str = "") -> Iterator[FoundRoute]:
    """The same of an application, or of what is mounted; of FastAPI's the router is the outermost one."""
    return found_routes(app.routes, prefix, routers_of(app))


def registry_of(app: object) -> InterceptorRegistry | None:
    """The registry that is installed on an application."""
    found = getattr(getattr(app, "state", None), "interceptors", None)
    return found if isinstance(found, InterceptorRegistry) else None


def applications_behind(found: FoundRoute) -> list[Any] | None:
    """What has routes behind a mount: an application, or what the public attributes of ASGI wrappers lead to.

    Static files are known to have none: an empty list. None if it cannot be seen.
    """
    behind: list[Any] = []
    left, seen = [getattr(found.picture, "app", found.picture)], set[int]()
    while left and len(seen) < _MOST_LOOKED_AT:
        each = left.pop()
        if id(each) in seen or not callable(each):
            continue
        seen.add(id(each))
        if isinstance(each, StaticFiles):
            return behind
        routes: Any = getattr(each, "routes", None)
        if isinstance(routes, list):
            if all(known.routes is not routes for known in behind):  # an application and its router have the same
                behind.append(each)
        elif isinstance(each, partial):
            left += [each.func, *each.args, *each.keywords.values()]
        elif isinstance(each, MethodType):
            left.append(each.__self__)
        else:
            attributes: dict[str, Any] = getattr(each, "__dict__", {})
            left += [value for name, value in attributes.items() if not name.startswith("_") or name == "__wrapped__"]
    return behind or None


def mounted_applications(found: FoundRoute) -> Iterator[tuple[str, Any]]:
    """The applications behind a mount, and behind those in them, with their paths: those that have no registry.

    One that has makes its own check.
    """
    if found.endpoint is None:
        for app in applications_behind(found) or ():
            if registry_of(app) is None:
                yield found.path, app
                for below in routes_of(app, found.path):
                    yield from mounted_applications(below)
