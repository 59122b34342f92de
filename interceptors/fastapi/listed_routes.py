"""The routes of an application as people name them: one entry per verb, in the order of declaration."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from interceptors.describing import location, name_of
from interceptors.entry import Entry
from interceptors.fastapi.doors import entry_of
from interceptors.fastapi.found_routes import FoundRoute, applications_behind, found_routes
from interceptors.fastapi.places import router_behind
from interceptors.metadata import metadata_of
from interceptors.target import Target

__all__ = ["RouteEntry", "all_routes", "behind", "own_routes", "routes_of_others"]

_DOCUMENTATION = "fastapi.applications"
"""The module of the functions that serve FastAPI's own documentation."""


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One verb of a route."""

    verb: str
    """GET, POST ...; WEBSOCKET for a WebSocket."""
    path: str
    target: str
    chain: Entry | None
    """The door to its chain; None for a route that is not intercepted."""
    annotations: Mapping[str, Any]
    """What `@annotate` said about it."""
    place: str
    """What handles it, and where that is written."""
    is_looked_into: bool = False
    """Is something mounted there whose routes are listed, too?"""

    @property
    def title(self) -> str:
        """`GET /orders/{order_id}`."""
        return f"{self.verb} {self.path}"


def own_routes(app: FastAPI) -> Iterator[RouteEntry]:
    """FastAPI's own routes, also those of mounted applications; the documentation's and static files are none."""
    for found in all_routes(app):
        if found.is_fastapis:
            chain = _chain(found)
            target = Target.of(found.endpoint, None) if chain is None else chain.target
            place = f"{target.title}, {location(target.function)}"
            for verb in found.verbs:
                yield RouteEntry(verb, found.path, target.title, chain, target.annotations, place)


def routes_of_others(app: FastAPI) -> Iterator[RouteEntry]:
    """What answers requests besides FastAPI's own: Starlette's routes and mounts, but not those of the documentation."""
    for found in all_routes(app):
        if not found.is_fastapis and getattr(found.endpoint, "__module__", None) != _DOCUMENTATION:
            what = getattr(found.picture, "app", None) if found.endpoint is None else found.endpoint
            is_looked_into = found.endpoint is None and bool(applications_behind(found))
            for verb in found.verbs:
                annotations = metadata_of(what).annotations
                place = f"{name_of(what)}, {location(what)}"
                yield RouteEntry(verb, found.path or "/", name_of(what), None, annotations, place, is_looked_into)


def all_routes(app: FastAPI) -> Iterator[FoundRoute]:
    """Every route, those of mounted applications, too, and what is mounted."""
    left = list(found_routes(app.routes, routers=(app.router,)))
    while left:
        found = left.pop(0)
        yield found
        left[:0] = [below for each in behind(found) for below in _below(each, found.path)]


def _below(app: FastAPI, path: str) -> Iterator[FoundRoute]:
    router = router_behind(app)
    return found_routes(app.routes, path, () if router is None else (router,))


def behind(found: FoundRoute) -> Sequence[FastAPI]:
    """What has routes behind a mount."""
    return (found.endpoint is None and applications_behind(found)) or ()


def _chain(found: FoundRoute) -> Entry | None:
    """The chain of a route, also where something is wrong with it: the check says what."""
    with suppress(Exception):
        return found.entry()
    return entry_of(found.picture.dependant.call)
