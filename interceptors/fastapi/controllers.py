"""Controllers: classes whose methods are routes, each called through its chain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar

from fastapi import APIRouter, params
from fastapi.datastructures import Default
from fastapi.routing import APIRoute
from fastapi.utils import generate_unique_id
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan

from interceptors.calling import written
from interceptors.decorators import annotate
from interceptors.describing import check_name, location, name_of
from interceptors.errors import InvalidTargetError, WrongCallError
from interceptors.fastapi.doors import entry_of
from interceptors.fastapi.facades import http_facade, socket_facade
from interceptors.fastapi.probe import probe
from interceptors.fastapi.routes import intercepted_route
from interceptors.fastapi.startup import check_in_lifespan
from interceptors.fastapi.verbs import RouteRecord, given, routes_of
from interceptors.generics import TypeNames, names_of_function
from interceptors.kinds import is_provider
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["controller", "controller_options", "controller_routes", "create_router"]

T = TypeVar("T")

_ATTRIBUTE = "__interceptors_controller__"


@written('@controller(prefix="/orders")', "prefix", "model")
def controller(
    *,
    prefix: str = "",
    model: str | None = None,
    tags: list[str | Enum] | None = None,
    dependencies: Sequence[params.Depends] | None = None,
    default_response_class: type[Response] = Default(JSONResponse),  # noqa: B008 (FastAPI's own way to tell "not given")
    responses: dict[int | str, dict[str, Any]] | None = None,
    callbacks: list[BaseRoute] | None = None,
    routes: list[BaseRoute] | None = None,
    redirect_slashes: bool = True,
    default: ASGIApp | None = None,
    dependency_overrides_provider: Any | None = None,
    route_class: type[APIRoute] = APIRoute,
    on_startup: Sequence[Callable[[], Any]] | None = None,
    on_shutdown: Sequence[Callable[[], Any]] | None = None,
    lifespan: Lifespan[Any] | None = None,
    deprecated: bool | None = None,
    include_in_schema: bool = True,
    generate_unique_id_function: Callable[[APIRoute], str] = Default(generate_unique_id),  # noqa: B008
    strict_content_type: bool = Default(True),
    max_body_size: int | None = None,
    form_limits: Mapping[str, int] | None = None,
) -> Callable[[type[T]], type[T]]:
    """Make a class a controller. The keyword arguments are those of `APIRouter`.

    A subclass inherits them; what it gives itself replaces the base's, but `dependencies` add up.
    `model` names the model for remoting hooks. Raises ValueError for a prefix that FastAPI will not take, or a model that is no name.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"The prefix {prefix!r} has to start with '/' and must not end with '/'.")
    if model is not None:
        check_name(model, "model", segments=1)
    options = given(controller, locals(), "model")

    def decorate(cls: type[T]) -> type[T]:
        if not isinstance(cls, type):
            raise InvalidTargetError(
                f"@controller cannot be used on {name_of(cls)} ({location(cls)}); mark a class.", cls
            )
        setattr(cls, _ATTRIBUTE, options)
        return cls if model is None else annotate(remote_model=model)(cls)

    return decorate


@written("create_router(OrderController, registry)")
def create_router(cls: type, registry: InterceptorRegistry, provider: object = None) -> APIRouter:
    """A router with the routes of a controller, for `app.include_router`.

    The instance comes from `provider` (a dependency-injector provider), else the class is called with its injected
    parameters. When the application starts the controller's chains are checked.
    Raises InvalidTargetError if the class is no controller, and WrongCallError for what is no provider.
    """
    options = controller_options(cls)
    if not (provider is None or is_provider(provider)):
        raise WrongCallError(
            f"`provider` takes a provider of dependency-injector, not {provider!r}: provider=providers.Factory({cls.__name__})",
            provider,
        )
    options["route_class"] = intercepted_route(registry, options.get("route_class", APIRoute))
    router = APIRouter(**options)
    added = list(controller_routes(cls, registry, provider))

    async def check() -> None:
        await probe()
        for entry in filter(None, (entry_of(function) for _, function in added)):
            entry.check()

    check_in_lifespan(router, check)
    for record, endpoint in added:
        if record.verb is None:
            router.add_api_websocket_route(record.path, endpoint, **record.options)
        else:
            router.add_api_route(record.path, endpoint, methods=[record.verb], **record.options)
    return router


def controller_options(cls: type) -> dict[str, Any]:
    """What `@controller` was given, along the MRO. Raises InvalidTargetError if the class is no controller."""
    found: list[Mapping[str, Any]] = [
        vars(base)[_ATTRIBUTE] for base in reversed(cls.__mro__) if _ATTRIBUTE in vars(base)
    ]
    if not found:
        raise InvalidTargetError(f"{name_of(cls)} ({location(cls)}) is no controller; mark it with @controller().", cls)
    merged: dict[str, Any] = {}
    for options in found:
        dependencies = [*merged.get("dependencies", ()), *options.get("dependencies", ())]
        merged |= options
        if dependencies:
            merged["dependencies"] = dependencies
    return merged


def controller_routes(
    cls: type, registry: InterceptorRegistry, provider: object = None
) -> Iterator[tuple[RouteRecord, Callable[..., Any]]]:
    """The routes of a controller with a fresh endpoint each: the class's own first, then its bases'."""
    for name, records in _methods(cls):
        target = Target.method(cls, name, provider=provider, builds=True)
        names = names_of_function(target.function, cls)
        for record in records:
            facade = socket_facade if record.verb is None else http_facade
            yield replace(record, options=_substituted(record.options, names)), facade(registry, target)


def _substituted(options: Mapping[str, Any], names: TypeNames) -> Mapping[str, Any]:
    """The options of a route with the type variables of a generic base class substituted: `response_model=list[T]`."""
    substituted = dict(options)
    if "response_model" in options:
        substituted["response_model"] = names.substitute(options["response_model"])
    if options.get("responses"):
        substituted["responses"] = {
            status: {**answer, "model": names.substitute(answer["model"])} if "model" in answer else answer
            for status, answer in options["responses"].items()
        }
    return substituted


def _methods(cls: type) -> Iterator[tuple[str, tuple[RouteRecord, ...]]]:
    """Each method with routes, where its routes were declared: an override without a decorator keeps its base's place."""
    seen: set[str] = set()
    for base in cls.__mro__:
        for name, attribute in vars(base).items():
            records = routes_of(attribute)
            if records and name not in seen:
                seen.add(name)
                if getattr(cls, name) is not None:  # `name = None` removes a base's routes
                    yield name, records
