"""The routes of an application as the commands name them, with all their gates."""

from collections.abc import Iterable, Iterator, Sequence

from fastapi import FastAPI

from interceptors.candidates import Candidate
from interceptors.entry import Entry
from interceptors.fastapi.found_routes import FoundRoute, applications_behind, registry_of
from interceptors.fastapi.installation import installation_of
from interceptors.fastapi.listed_routes import RouteEntry, all_routes, behind, own_routes

__all__ = ["api_routes", "applications", "candidates_of", "chains_in", "opaque_mounts"]


def api_routes(app: FastAPI) -> Iterator[RouteEntry]:
    """FastAPI's own routes, also those of mounted applications; the documentation's and static files are none."""
    for part in applications(app):
        installation = installation_of(part)
        if installation is not None:
            installation.adopt()
    yield from own_routes(app)


def applications(app: FastAPI) -> Iterator[FastAPI]:
    """An application, and those on it that have a registry of their own: each makes its own check when it starts."""
    yield app
    for found in all_routes(app):
        for each in behind(found):
            if isinstance(each, FastAPI) and registry_of(each) is not None:
                yield each


def opaque_mounts(app: FastAPI) -> Iterator[FoundRoute]:
    """What nobody can look into: other ASGI applications, routes of other classes."""
    for found in all_routes(app):
        if found.endpoint is None and applications_behind(found) is None:
            yield found


def chains_in(routes: Iterable[RouteEntry]) -> Iterable[Entry]:
    """The chains of some routes, each once."""
    return dict.fromkeys(route.chain for route in routes if route.chain is not None)


def candidates_of(chain: Entry | None) -> Sequence[Candidate]:
    """The list that a chain is made from. Raises UnknownKeyError."""
    return () if chain is None else chain.explain().candidates
