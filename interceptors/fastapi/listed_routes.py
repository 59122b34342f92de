"""The routes of an application as people name them: one entry per verb, in the order of declaration."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from interceptors.describing import location, name_of
from interceptors.entry import Entry
from interceptors.fastapi.doors import entry_of
from interceptors.fastapi.found_routes import FoundRoute, applications_behind, routes_of
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
    handler: object
    """What handles it."""
    is_looked_into: bool = False
    """Is something mounted there whose routes are listed, too?"""

    @property
    def title(self) -> str:
        """`GET /orders/{order_id}`."""
        return f"{self.verb} {self.path}"

    @property
    def place(self) -> str:
        """What handles it, and where that is written: for messages, as it may read source files."""
        return f"{self.target}, {location(self.handler)}"


def own_routes(app: FastAPI) -> Iterator[RouteEntry]:
    """FastAPI's own routes, also those of mounted applications; the documentation's and static files are none."""
    for found in all_routes(app):
        if found.is_fastapis:
            chain = _chain(found)
            target = Target.of(found.endpoint, None) if chain is None else chain.target
            for verb in found.verbs:
                yield RouteEntry(verb, found.path, target.title, chain, target.annotations, target.function)


def routes_of_others(app: FastAPI) -> Iterator[RouteEntry]:
    """What answers requests besides FastAPI's own: Starlette's routes and mounts, but not those of the documentation."""
    for found in all_routes(app):
        if not found.is_fastapis and getattr(found.endpoint, "__module__", None) != _DOCUMENTATION:
            what = getattr(found.picture, "app", None) if found.endpoint is None else found.endpoint
            annotations, is_looked_into = metadata_of(what).annotations, bool(behind(found))
            for verb in found.verbs:
                yield RouteEntry(verb, found.path or "/", name_of(what), None, annotations, what, is_looked_into)


def all_routes(app: FastAPI) -> Iterator[FoundRoute]:
    """Every route, those of mounted applications, too, and what is mounted."""
    left = list(routes_of(app))
    while left:
        found = left.pop(0)
        yield found
        left[:0] = [below for each in behind(found) for below in routes_of(each, found.path)]


def behind(found: FoundRoute) -> Sequence[FastAPI]:
    """What has routes behind a mount."""
    return (found.endpoint is None and applications_behind(found)) or ()


def _chain(found: FoundRoute) -> Entry | None:
    """The chain of a route, also where something is wrong with it: the check says what."""
    with suppress(Exception):
        return found.entry()
    return entry_of(found.picture.dependant.call)
