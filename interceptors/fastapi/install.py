"""Putting a registry on an application, and checking at start-up that every chain is sound and every route reached."""

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.datastructures import Default
from fastapi.routing import APIRoute, APIWebSocketRoute

from interceptors.describing import location, name_of
from interceptors.errors import AlreadyInstalledError, UnreachedInterceptorError, UnreachedRouteWarning
from interceptors.fastapi.controllers import controller_options, controller_routes, create_router
from interceptors.fastapi.endpoint import endpoint_of
from interceptors.fastapi.routes import endpoint_for, intercepted_route
from interceptors.fastapi.sources import ROUTE, all_routes, mounted_routes
from interceptors.fastapi.startup import check_before_first_request, check_in_lifespan
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["check_routes", "find_problems", "install"]

_ROUTER_OPTIONS = {"default", "lifespan", "on_shutdown", "on_startup", "redirect_slashes", "routes"}


def install(app: FastAPI, registry: InterceptorRegistry, controllers: Iterable[type] = ()) -> None:
    """Put a registry on an application: controllers, and every function declared on it, before or after.

    When the application starts all chains are checked; a decorated route that no chain reaches is an
    UnreachedInterceptorError. A second call with the same registry only adds controllers.
    Raises AlreadyInstalledError if there is another registry.
    """
    installed = getattr(app.state, "interceptors", None)
    if installed is None:
        app.state.interceptors = registry
        _intercept_functions(app, registry)
        _check_at_start(app, registry)
    elif installed is not registry:
        raise AlreadyInstalledError(
            f"The application {app.title!r} has another InterceptorRegistry; install one, and give it the controllers "
            f"and global interceptors of both."
        )
    for cls in controllers:
        _add_controller(app, registry, cls)


def _intercept_functions(app: FastAPI, registry: InterceptorRegistry) -> None:
    app.router.route_class = intercepted_route(registry, app.router.route_class)
    names = [name for name in inspect.signature(APIRoute).parameters if name not in ("path", "endpoint")]
    for route in app.router.routes:
        if isinstance(route, APIRoute) and endpoint_of(route.endpoint) is None:
            options = {name: getattr(route, name) for name in names}
            if route.stream_item_type is not None:  # FastAPI reads it from the annotation only if no model is given
                options["response_model"] = Default(None)
            # In place: the route may be known to others, and a class of the user's keeps what its __init__ has made.
            route.__class__ = intercepted_route(registry, type(route))
            APIRoute.__init__(route, route.path, endpoint_for(registry, route.endpoint), **options)


def _check_at_start(app: FastAPI, registry: InterceptorRegistry) -> None:
    checked = False

    def check() -> None:
        nonlocal checked
        if not checked:
            check_routes(app, registry)
            checked = True

    check_in_lifespan(app.router, check)
    check_before_first_request(app, check)


def _add_controller(app: FastAPI, registry: InterceptorRegistry, cls: type) -> None:
    """Register a controller's routes on the application itself: FastAPI matches those of an included router twice."""
    options = controller_options(cls)
    if _ROUTER_OPTIONS & options.keys():
        app.include_router(create_router(cls, registry))
        return
    prefix = options.get("prefix", "")
    route_class = intercepted_route(registry, options.get("route_class", app.router.route_class))
    for record, endpoint in controller_routes(cls, registry):
        combined = _combined(options, record.options)
        if record.verb is None:
            dependencies, name = combined.get("dependencies"), record.options.get("name")
            app.router.add_api_websocket_route(prefix + record.path, endpoint, name, dependencies=dependencies)
        else:
            app.router.add_api_route(
                prefix + record.path, endpoint, methods=[record.verb], route_class_override=route_class, **combined
            )


def _combined(router: Mapping[str, Any], route: Mapping[str, Any]) -> dict[str, Any]:
    """A router's options and a route's, put together as FastAPI does when it includes a router."""
    combined = dict(route)
    for name in ("tags", "dependencies", "callbacks"):
        values: list[Any] = [*(router.get(name) or ()), *(route.get(name) or ())]
        if values:
            combined[name] = values
    for name in ("responses", "form_limits"):
        mapping: dict[Any, Any] = {**(router.get(name) or {}), **(route.get(name) or {})}
        if mapping:
            combined[name] = mapping
    combined["deprecated"] = route.get("deprecated") or router.get("deprecated")
    combined["include_in_schema"] = route.get("include_in_schema", True) and router.get("include_in_schema", True)
    if "default_response_class" in router:
        combined.setdefault("response_class", router["default_response_class"])
    for name in ("generate_unique_id_function", "strict_content_type", "max_body_size"):
        if name in router:
            combined.setdefault(name, router[name])
    return combined


def check_routes(app: FastAPI, registry: InterceptorRegistry) -> None:
    """Compile every chain of an application, and look for routes that none reaches.

    Raises UnreachedInterceptorError, or what is wrong with a chain; warns of plain routes that a global misses.
    """
    for problem in find_problems(app, registry):
        if not isinstance(problem, Warning):
            raise problem
        warnings.warn(problem, stacklevel=2)


def find_problems(app: FastAPI, registry: InterceptorRegistry) -> Iterator[Exception]:
    """Everything that is wrong with the chains and routes of an application; a warning comes last."""
    yield from (problem for problem in registry.problems() if not isinstance(problem, Warning))
    missed: list[str] = []
    for route in all_routes(app.routes):
        yield from _problems_of_route(route)
        if isinstance(getattr(route, "original_route", route), APIRoute | APIWebSocketRoute):
            handler = route.endpoint
            if endpoint_of(handler) is None and not any(d.skips_all for d in Target.of(handler, None).declarations):
                missed.append(f"{_title(route)} ({name_of(handler)}, {location(handler)})")
    for route in mounted_routes(app.routes):
        yield from _problems_of_route(route)
    if missed and any(entry.applies_to(ROUTE) for entry in registry.registrations.globals):
        yield UnreachedRouteWarning(
            "These functions stand on routers that run no chain, so no global interceptor reaches them: "
            f"{'; '.join(missed)}. Make the router with `route_class=intercepted_route(registry)`, or say that it is on "
            f"purpose with `@skip_interceptors()` on the function."
        )
    yield from (problem for problem in registry.problems() if isinstance(problem, Warning))


def _problems_of_route(route: Any) -> Iterator[Exception]:
    handler = getattr(route, "endpoint", None)
    endpoint = endpoint_of(handler)
    if endpoint is not None:
        yield from _problems_of(endpoint.entry.check)
    elif callable(handler) and any(found.intercepts for found in Target.of(handler, None).declarations):
        yield _unreached(route, handler)


def _problems_of(check: Callable[[], object]) -> Iterator[Exception]:
    try:
        check()
    except Exception as error:  # noqa: BLE001 (a signature or a type of the user's may raise anything)
        yield error


def _unreached(route: Any, handler: Any) -> UnreachedInterceptorError:
    if hasattr(route, "methods"):
        remedy = (
            "its router runs no chain. Make the router with `route_class=intercepted_route(registry)`, declare the "
            "function on the application, or make it a method of a controller."
        )
    else:
        remedy = "a function cannot be intercepted on a WebSocket. Make it a method of a controller with `@websocket`."
    return UnreachedInterceptorError(
        f"{name_of(handler)} ({location(handler)}) is decorated with @intercept, but {_title(route)} never reaches it: {remedy}",
        handler,
    )


def _title(route: Any) -> str:
    return f"{', '.join(sorted(getattr(route, 'methods', None) or ('WEBSOCKET',)))} {route.path}"
