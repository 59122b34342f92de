"""The routes of an application as the commands name them: one entry per verb, in the order of declaration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import Mount

from interceptors.candidates import Candidate
from interceptors.fastapi.endpoint import Endpoint, endpoint_of
from interceptors.fastapi.sources import all_routes
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["RouteEntry", "api_routes", "applications", "candidates_of", "endpoints_of", "registry_of"]


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One verb of a route."""

    verb: str
    """GET, POST ...; WEBSOCKET for a WebSocket."""
    path: str
    target: str
    endpoint: Endpoint | None
    """What of ours FastAPI calls; None for a route that is not intercepted."""
    annotations: Mapping[str, Any]
    """What `@annotate` said about it."""

    @property
    def title(self) -> str:
        """`GET /orders/{order_id}`."""
        return f"{self.verb} {self.path}"


def api_routes(routes: Sequence[Any], prefix: str = "") -> Iterator[RouteEntry]:
    """FastAPI's own routes, also those of mounted applications; the documentation's and static files are none."""
    for route in all_routes(routes):
        if isinstance(getattr(route, "original_route", route), APIRoute | APIWebSocketRoute):
            endpoint = endpoint_of(route.endpoint)
            target = Target.of(route.endpoint, None) if endpoint is None else endpoint.target
            for verb in _verbs(route):
                yield RouteEntry(verb, prefix + route.path, target.title, endpoint, target.annotations)
        elif isinstance(route, Mount):
            yield from api_routes(route.routes, prefix + route.path)


def applications(app: FastAPI) -> Iterator[FastAPI]:
    """An application and those that are mounted on it: each makes its own check when it starts."""
    yield app
    for route in all_routes(app.routes):
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            yield from applications(route.app)


def registry_of(app: FastAPI) -> InterceptorRegistry | None:
    """The registry that is installed on an application."""
    registry: InterceptorRegistry | None = getattr(app.state, "interceptors", None)
    return registry


def endpoints_of(entries: Iterable[RouteEntry]) -> Iterable[Endpoint]:
    """What of ours is behind some routes, each once."""
    return dict.fromkeys(entry.endpoint for entry in entries if entry.endpoint is not None)


def candidates_of(endpoint: Endpoint | None) -> Sequence[Candidate]:
    """The list that a chain is made from. Raises UnknownKeyError."""
    return () if endpoint is None else endpoint.explain().candidates


def _verbs(route: Any) -> list[str]:
    return sorted(getattr(route, "methods", None) or ["WEBSOCKET"])
