"""The routes of an application as the commands name them: one entry per verb, in the order of declaration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from interceptors.candidates import Candidate
from interceptors.describing import name_of
from interceptors.entry import Entry
from interceptors.fastapi.doors import entry_of
from interceptors.fastapi.found_routes import FoundRoute, applications_behind, found_routes, registry_of
from interceptors.fastapi.installation import installation_of
from interceptors.metadata import metadata_of
from interceptors.target import Target

__all__ = ["RouteEntry", "api_routes", "applications", "candidates_of", "chains_in", "opaque_mounts", "other_routes"]

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

    @property
    def title(self) -> str:
        """`GET /orders/{order_id}`."""
        return f"{self.verb} {self.path}"


def api_routes(app: FastAPI) -> Iterator[RouteEntry]:
    """FastAPI's own routes, also those of mounted applications; the documentation's and static files are none."""
    _adopt(app)
    for found in _all_routes(app):
        if found.is_fastapis:
            chain = _chain(found)
            target = Target.of(found.endpoint, None) if chain is None else chain.target
            for verb in found.verbs:
                yield RouteEntry(verb, found.path, target.title, chain, target.annotations)


def other_routes(app: FastAPI) -> Iterator[RouteEntry]:
    """What answers requests besides FastAPI's own: Starlette's routes and mounts, but not those of the documentation."""
    for found in _all_routes(app):
        if not found.is_fastapis and getattr(found.endpoint, "__module__", None) != _DOCUMENTATION:
            behind = getattr(found.picture, "app", None) if found.endpoint is None else found.endpoint
            for verb in found.verbs:
                yield RouteEntry(verb, found.path or "/", name_of(behind), None, metadata_of(behind).annotations)


def applications(app: FastAPI) -> Iterator[FastAPI]:
    """An application, and those on it that have a registry of their own: each makes its own check when it starts."""
    yield app
    for found in _all_routes(app):
        for behind in _behind(found):
            if isinstance(behind, FastAPI) and registry_of(behind) is not None:
                yield behind


def opaque_mounts(app: FastAPI) -> Iterator[FoundRoute]:
    """What nobody can look into: other ASGI applications, routes of other classes."""
    for found in _all_routes(app):
        if found.endpoint is None and applications_behind(found) is None:
            yield found


def chains_in(routes: Iterable[RouteEntry]) -> Iterable[Entry]:
    """The chains of some routes, each once."""
    return dict.fromkeys(route.chain for route in routes if route.chain is not None)


def candidates_of(chain: Entry | None) -> Sequence[Candidate]:
    """The list that a chain is made from. Raises UnknownKeyError."""
    return () if chain is None else chain.explain().candidates


def _adopt(app: FastAPI) -> None:
    for part in applications(app):
        installation = installation_of(part)
        if installation is not None:
            installation.adopt()


def _all_routes(app: FastAPI) -> Iterator[FoundRoute]:
    left = list(found_routes(app.routes))
    while left:
        found = left.pop(0)
        yield found
        left[:0] = [below for behind in _behind(found) for below in found_routes(behind.routes, found.path)]


def _behind(found: FoundRoute) -> Sequence[FastAPI]:
    return (found.endpoint is None and applications_behind(found)) or ()


def _chain(found: FoundRoute) -> Entry | None:
    """The chain of a route, also where something is wrong with it: the check says what."""
    with suppress(Exception):
        return found.entry()
    return entry_of(found.picture.dependant.call)
