"""`install`: a registry on an application, with controllers."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI

from interceptors.describing import location, name_of
from interceptors.errors import AlreadyInstalledError, WrongCallError
from interceptors.fastapi.controllers import controller_options, controller_routes, create_router
from interceptors.fastapi.installation import Installation, installation_of
from interceptors.fastapi.probe import probe
from interceptors.fastapi.routes import intercepted_route
from interceptors.registry import InterceptorRegistry

__all__ = ["install"]

_ROUTER_OPTIONS = {"default", "lifespan", "on_shutdown", "on_startup", "redirect_slashes", "routes"}
_UNREACHED = ("warn", "error")


def install(
    app: FastAPI,
    registry: InterceptorRegistry,
    controllers: Iterable[type] = (),
    *,
    routers: bool = True,
    unreached: str = "warn",
) -> None:
    """Put a registry on an application: around its functions and those of the routers it includes, before or after.

    `controllers`: classes whose routes are registered on it. `routers=False`: plain routers are left alone. `unreached`
    says what happens at the start for functions that nothing can reach, although a global interceptor applies to
    routes: "warn" or "error". A second call with the same registry only adds: controllers, `routers=False` and "error".

    When the application starts all chains are checked; what is decorated and never reached is an
    UnreachedInterceptorError. Raises AlreadyInstalledError if there is another registry, WrongCallError and ValueError
    for what it cannot take.
    """
    classes = _checked(app, registry, controllers, unreached)
    installation = installation_of(app)
    if installation is None:
        route_class = intercepted_route(registry, app.router.route_class)
        installation = Installation(app, registry, probe)
        app.router.route_class = route_class
    elif installation.registry is not registry:
        raise AlreadyInstalledError(
            f"The application {app.title!r} has another InterceptorRegistry; install one, and give it the controllers "
            f"and global interceptors of both."
        )
    installation.routers = installation.routers and routers
    installation.is_strict = installation.is_strict or unreached == "error"
    installation.adopt_own()
    for cls in classes:
        if cls in installation.controllers:
            message = (
                f"{name_of(cls)} ({location(cls)}) is installed on the application {app.title!r} already; give it once."
            )
            raise WrongCallError(message, cls)
        _add_controller(app, registry, cls)
        installation.controllers.add(cls)


def _checked(app: Any, registry: Any, controllers: Any, unreached: str) -> list[type]:
    """The controllers, as classes. Raises WrongCallError or ValueError that says what to write."""
    if isinstance(app, InterceptorRegistry) or isinstance(registry, FastAPI):
        raise WrongCallError("The application comes first: install(app, registry)", app)
    if not isinstance(app, FastAPI):
        raise WrongCallError(f"install takes a FastAPI application, not {app!r}: install(app, registry)", app)
    if isinstance(registry, type):
        message = f"install takes a registry, not the class {name_of(registry)}: {name_of(registry)}()"
        raise WrongCallError(message, registry)
    if not isinstance(registry, InterceptorRegistry):
        raise WrongCallError(
            f"install takes an InterceptorRegistry, not {registry!r}: install(app, registry)", registry
        )
    if isinstance(controllers, type):
        raise WrongCallError(f"`controllers` takes a list: controllers=[{name_of(controllers)}]", controllers)
    if isinstance(controllers, str) or not hasattr(controllers, "__iter__"):
        raise WrongCallError(f"`controllers` takes a list of classes, not {controllers!r}", controllers)
    classes: list[Any] = list(controllers)
    for cls in classes:
        if not isinstance(cls, type):
            raise WrongCallError(
                f"`controllers` takes classes, which are built for each request; give {name_of(cls)} and not an instance "
                f"or a function ({cls!r}). For instances of your own: create_router(cls, registry, provider=...)",
                cls,
            )
    if unreached not in _UNREACHED:
        raise ValueError(f"`unreached` is {unreached!r}; it is one of {', '.join(map(repr, _UNREACHED))}.")
    return classes


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
