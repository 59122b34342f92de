"""What is decorated and never reached, wherever FastAPI and Starlette call functions without a chain."""

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from fastapi import APIRouter

from interceptors.describing import location, name_of
from interceptors.errors import UnreachedInterceptorError
from interceptors.fastapi.found_routes import FoundRoute
from interceptors.fastapi.places import router_behind
from interceptors.fastapi.undocumented import dependencies_of, is_included, pictures_of, router_of
from interceptors.kinds import is_interceptor_class
from interceptors.metadata import class_levels, functions_in, records_behind

__all__ = [
    "is_decorated",
    "is_on_purpose",
    "unreached_class",
    "unreached_elsewhere",
    "unreached_in_dependencies",
    "unreached_on_route",
    "unreached_router",
]

_ROUTER = "make the router with `route_class=intercepted_route(registry)`"


def is_decorated(thing: object) -> bool:
    """Has somebody put interceptors on it, or on something behind it?"""
    return any(record.intercepts for _, _, record in records_behind(thing))


def is_on_purpose(thing: object) -> bool:
    """Does `@skip_interceptors()` say that nothing is to run around it?"""
    return any(record.skips_all for _, _, record in records_behind(thing))


def unreached_on_route(found: FoundRoute) -> Iterator[Exception]:
    """The handler of a route around which no chain runs; of an endpoint class of Starlette's, also its methods."""
    endpoint = found.endpoint
    if is_decorated(endpoint):
        yield _error(endpoint, found.title.partition(" (")[0], _remedy(found))
    elif isinstance(endpoint, type):
        for name, method in _methods(endpoint):
            if is_decorated(method):
                yield _error(method, f"{found.title} ({name})", _remedy(found))


def unreached_class(found: FoundRoute) -> Iterator[Exception]:
    """A decorated class around the function of a route, which FastAPI calls by itself: the class is no more than its place."""
    cls = _class_around(inspect.unwrap(found.endpoint))
    for holder, recorded in class_levels(cls) if cls is not None else ():
        if recorded.intercepts:
            yield UnreachedInterceptorError(
                f"{name_of(holder)} ({location(holder)}) is decorated with @intercept, and that is never reached by "
                f"{found.title}: FastAPI calls the function by itself. Make the class a controller, "
                f"`@controller()` with `@get(...)` of interceptors.fastapi, or decorate the function.",
                holder,
            )


def _class_around(function: object) -> type | None:
    """The class in which a function is written, if that can be found by its name and still has it."""
    path, _, name = getattr(function, "__qualname__", "").rpartition(".")
    if not (isinstance(function, FunctionType) and path):
        return None
    first, *others = path.split(".")
    found = function.__globals__.get(first)
    for each in others:
        found = getattr(found, each, None)
    return found if isinstance(found, type) and function in functions_in(vars(found).get(name)) else None


def unreached_router(found: FoundRoute) -> Iterator[Exception]:
    """Decorated routers around a route around which no chain runs, or around what is mounted there."""
    for router in filter(is_decorated, () if found.is_documentation else found.routers):
        yield UnreachedInterceptorError(
            f"The router of {found.title} is decorated with @intercept, and that is never reached: no chain runs there. "
            f"Call install(app, registry) on its application, without routers=False, and declare the functions with FastAPI.",
            router,
        )


def _remedy(found: FoundRoute) -> str:
    if not found.is_fastapis:
        return "Starlette calls it without a chain. Declare the function with FastAPI, or make it a method of a controller."
    return (
        "no chain runs there. Call install(app, registry) on its application, make the router with "
        "`route_class=intercepted_route(registry)`, or make it a method of a controller."
    )


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        yield from ((name, each) for name, each in vars(base).items() if callable(each) and not isinstance(each, type))


def unreached_in_dependencies(found: FoundRoute) -> Iterator[Exception]:
    """Functions that a route uses in `Depends` or `Security`, at whatever depth."""
    left = list(found.picture.dependant.dependencies) if found.is_fastapis else []
    while left:
        dependant = left.pop()
        left += dependant.dependencies
        yield from _wrong_dependency(dependant.call, f"{found.title} uses it")


_DEPENDENCY = (
    "FastAPI calls dependencies without a chain. Put the interceptor on the function of the route, on its controller, or "
    "on its router."
)


def _wrong_dependency(call: object, where: str) -> Iterator[Exception]:
    if is_decorated(call):
        yield _error(call, f"{where} as a dependency", _DEPENDENCY)
    elif is_interceptor_class(call):
        name = name_of(call)
        yield UnreachedInterceptorError(
            f"{name} ({location(call)}) is an interceptor, and {where} as a dependency: FastAPI makes an object of it, and "
            f"its `intercept` never runs. Write `@intercept({name})` on the function, or registry.add_global({name}).",
            call,
        )


def unreached_elsewhere(app: object) -> Iterator[Exception]:
    """Functions that an application calls besides its routes: dependencies of routers, handlers of errors, middleware."""
    router = router_behind(app)
    if router is not None:
        for owner, depends in _dependencies(router):
            yield from _wrong_dependency(depends.dependency, f"{owner} has it")
    for what, function in _functions(app, router):
        if is_decorated(function):
            yield _error(
                function, f"it is {what}", "it is called without a chain. Call what needs one with registry.invoke."
            )


def _dependencies(router: APIRouter) -> Iterator[tuple[str, Any]]:
    """Those of a router and of what it includes; a route that has them says so itself, files of a frontend do not."""
    yield from (("the router", each) for each in router.dependencies)
    left: list[Any] = list(router.routes)
    while left:
        included = left.pop()
        if is_included(included):
            yield from (("the inclusion of a router", each) for each in dependencies_of(included))
            yield from (("the router", each) for each in router_of(included).dependencies)
            left += pictures_of(included)


def _functions(app: object, router: object) -> Iterator[tuple[str, Any]]:
    handlers: dict[Any, Any] = getattr(app, "exception_handlers", {})
    yield from (("a handler of exceptions", each) for each in handlers.values())
    for middleware in getattr(app, "user_middleware", ()):
        cls, args, kwargs = middleware
        yield from (("middleware", each) for each in (cls, *args, *kwargs.values()) if callable(each))
        if isinstance(cls, type):
            yield from ((f"a method of middleware ({name})", method) for name, method in _methods(cls))
    overrides: dict[Any, Any] = getattr(app, "dependency_overrides", {})
    yield from (("a dependency that stands for another", each) for each in overrides.values())
    for name in ("on_startup", "on_shutdown"):
        yield from ((f"called at {name}", each) for each in getattr(router, name, ()))
    for name in ("lifespan_context", "default"):
        yield f"the `{name}` of the application", getattr(router, name, None)


def _error(thing: object, where: str, why: str) -> UnreachedInterceptorError:
    return UnreachedInterceptorError(
        f"{name_of(thing)} ({location(thing)}) is decorated with @intercept, and that is never reached: {where}, and {why}",
        thing,
    )
