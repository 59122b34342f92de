"""What is wrong with the chains and the routes of an application; asked at its start, and by `interceptors check`."""

from collections.abc import Iterator

from fastapi import FastAPI

from interceptors.describing import some_of
from interceptors.errors import UnreachedRouteWarning
from interceptors.fastapi.found_routes import FoundRoute, mounted_applications, routes_of
from interceptors.fastapi.gates import foreign_chain
from interceptors.fastapi.required import missing_layers
from interceptors.fastapi.sources import ROUTE
from interceptors.fastapi.unreached import (
    is_on_purpose,
    unreached_class,
    unreached_elsewhere,
    unreached_in_dependencies,
    unreached_on_route,
    unreached_router,
)
from interceptors.registry import InterceptorRegistry

__all__ = ["find_problems", "problems_of_route", "unreached_functions"]

_COMMAND = "interceptors check MODULE:APP"


def find_problems(app: FastAPI, registry: InterceptorRegistry | None) -> Iterator[Exception]:
    """Everything that is wrong; a warning comes last. Without a registry only what is decorated and never reached."""
    if registry is not None:
        yield from registry.errors()
    yield from unreached_elsewhere(app)
    routes = list(routes_of(app))
    for found in routes:
        yield from problems_of_route(found, registry)
    for requirement in registry.requirements if registry is not None else ():
        yield from missing_layers(app, registry, requirement)
    if registry is not None and any(entry.applies_to(ROUTE) for entry in registry.registrations.globals):
        missed = [title for found in routes for title in unreached_functions(found)]
        if missed:
            yield UnreachedRouteWarning(
                f"No chain runs around these functions, so no global interceptor reaches them: "
                f"{some_of(missed, _COMMAND)}. Declare them on the application or on a router of it, give a mounted "
                f"application a registry with install(), or say that it is on purpose with `@skip_interceptors()` on the "
                f"function.",
                missed,
            )
    if registry is not None:
        yield from registry.oversights()


def problems_of_route(found: FoundRoute, registry: InterceptorRegistry | None) -> Iterator[Exception]:
    """What is wrong with one route, with what it depends on, and with everything that is mounted there."""
    yield from _problems_here(found, registry)
    for path, app in mounted_applications(found):
        yield from unreached_elsewhere(app)
        for below in routes_of(app, path):
            yield from _problems_here(below, None)


def _problems_here(found: FoundRoute, registry: InterceptorRegistry | None) -> Iterator[Exception]:
    try:
        entry = found.entry()
        if entry is not None and registry is not None and entry.registry is not registry:
            yield foreign_chain(found.picture)
        elif entry is not None:
            entry.check()
            if entry.target.owner is None:
                yield from unreached_class(found)
        else:
            yield from unreached_router(found)
            yield from unreached_on_route(found) if found.endpoint is not None else ()
    except Exception as error:  # noqa: BLE001 (a signature or a type of the user's may raise anything)
        yield error
    yield from unreached_in_dependencies(found)


def unreached_functions(found: FoundRoute) -> Iterator[str]:
    """The titles of a route and of those below it that run no chain, if nobody has said that it is on purpose."""
    below = (each for path, app in mounted_applications(found) for each in routes_of(app, path))
    for each in (found, *below):
        if not (each.endpoint is None or each.is_documentation or each.is_reached or is_on_purpose(each.endpoint)):
            yield each.title
