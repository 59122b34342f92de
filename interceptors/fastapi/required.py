"""Which routes do not run a layer that the registry requires of all of them."""

from collections.abc import Hashable, Iterator

from fastapi import FastAPI

from interceptors.describing import some_of, suggest
from interceptors.errors import InterceptorError, MissingLayerError, UnknownRouteError
from interceptors.fastapi.listed_routes import RouteEntry, own_routes, routes_of_others
from interceptors.kinds import identity
from interceptors.registry import InterceptorRegistry
from interceptors.requirements import Requirement

__all__ = ["missing_layers"]


def missing_layers(
    app: FastAPI, registry: InterceptorRegistry | None, requirement: Requirement
) -> Iterator[InterceptorError]:
    """A MissingLayerError for the routes that do not run it; an UnknownRouteError for each exemption of nothing.

    UnknownKeyError for a key that is not bound. Every route counts that a lock file has.
    """
    same: Hashable = None
    try:
        if registry is not None and requirement.interceptor is not None:
            same = identity(registry.resolve(requirement.interceptor, lambda: "registry.require"))
    except InterceptorError as error:
        yield error
        return
    routes = list(_routes(app))
    names = {name for route in routes for name in (route.title, route.path)}
    for name in requirement.exempt:
        if name not in names:
            yield UnknownRouteError(
                f"registry.require exempts {name!r}, and there is no such route.{suggest(name, names)}", name
            )
    found = {route.title: _problem(route, requirement, same, is_known=registry is not None) for route in routes}
    missing = {title: problem for title, problem in found.items() if problem is not None}
    if missing:
        told = [f"{title} {problem}" for title, problem in missing.items()]
        command = f"interceptors check MODULE:APP --require {requirement.interceptor or requirement.group}"
        yield MissingLayerError(
            f"registry.require asks for {requirement.title} on every route, and {len(missing)} "
            f"{'does' if len(missing) == 1 else 'do'} not run it: {some_of(told, command)}. For such a route: "
            f"{', or '.join(requirement.remedies)}.",
            tuple(missing),
            tuple(told),
        )


def _routes(app: FastAPI) -> Iterator[RouteEntry]:
    seen: set[str] = set()
    for route in (*own_routes(app), *routes_of_others(app)):
        is_again = route.title in seen  # of two routes with one path and verb FastAPI only ever takes the first
        is_head = route.verb == "HEAD" and f"GET {route.path}" in seen
        seen.add(route.title)
        if not (is_again or is_head or route.is_looked_into):
            yield route


def _problem(route: RouteEntry, requirement: Requirement, same: Hashable, *, is_known: bool) -> str | None:
    """Why a route does not run it, with what handles it; None if it does, or is excused."""
    if {route.title, route.path} & {*requirement.exempt}:
        return None
    if requirement.unless is not None and route.annotations.get(requirement.unless):
        return None
    problem: str | None = "no chain runs there"
    if route.chain is not None and is_known:
        problem = requirement.problem(route.chain.explain(), route.chain.target, same)
    return None if problem is None else f"({route.place}): {problem}"
