"""Wrappers that hide what they were put around, as dishka's do: what is declared there runs once, or is refused."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from interceptors import (
    InterceptorRegistry,
    InvocationContext,
    Next,
    UnreachedInterceptorError,
    annotate,
    intercept,
    skip_interceptors,
)
from interceptors.fastapi import controller, create_router, get, install, intercepted_route
from tests.integration.support import ask


def named(function: Any) -> Any:
    """Puts something around a function that has its names and its signature, and no `__wrapped__`."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(wrapper, name, getattr(function, name))
    wrapper.__signature__ = inspect.signature(function)
    return wrapper


def kept(function: Any) -> Any:
    """The same of one that keeps the function as an attribute, and has it in no closure."""

    class Call:
        async def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

    def wrap(call: Any) -> Any:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        return wrapper

    wrapper = wrap(Call())
    for name in ("__module__", "__name__", "__qualname__"):
        setattr(wrapper, name, getattr(function, name))
    wrapper.__signature__ = inspect.signature(function)
    wrapper.original = function
    return wrapper


def nameless(function: Any) -> Any:
    """The same of one that says nothing of the function but its signature."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    wrapper.__signature__ = inspect.signature(function)
    return wrapper


def route_class(wrap: Callable[[Any], Any]) -> type[APIRoute]:
    """It puts a wrapper around each handler."""

    class Wrapping(APIRoute):
        def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
            super().__init__(path, wrap(endpoint), **options)

    return Wrapping


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def registry(ran: list[str]) -> InterceptorRegistry:
    """One layer around everything."""
    registry = InterceptorRegistry()
    registry.add_global(layer(ran, "global"), group="global")
    return registry


def layer(ran: list[str], name: str) -> Any:
    async def noting(ctx: InvocationContext, next: Next) -> Any:
        ran.append(f"{name} {dict(ctx.annotations)}" if ctx.annotations else name)
        return await next()

    return noting


@pytest.mark.parametrize("wrap", [named, kept])
@pytest.mark.parametrize("place", ["function", "before", "route class", "intercepted", "method"])
async def test_what_is_recorded_on_a_function_counts(
    wrap: Any, place: str, ran: list[str], registry: InterceptorRegistry
) -> None:
    """Layers and annotations, whether a decorator or a route class has put the wrapper around it."""
    app, router = FastAPI(), APIRouter()

    @annotate(role="admin")
    @intercept(layer(ran, "own"))
    async def show(number: int) -> int:
        return number

    @annotate(role="admin")
    @intercept(layer(ran, "own"))
    async def method(self: Any, number: int) -> int:
        return number

    if place == "before":
        app.get("/{number}")(wrap(show))
    if place == "method":
        install(app, registry, [controller()(type("Items", (), {"show": get("/{number}")(wrap(method))}))])
    else:
        install(app, registry)
    if place == "function":
        router.get("/{number}")(wrap(show))
    elif place == "route class":
        router = APIRouter(route_class=route_class(wrap))
        router.get("/{number}")(show)
    elif place == "intercepted":
        router = APIRouter(route_class=intercepted_route(registry, route_class(wrap)))
        router.get("/{number}")(show)
    app.include_router(router)
    assert (await ask(app, "/7")).json() == 7
    assert ran == ["global {'role': 'admin'}", "own {'role': 'admin'}"]


async def test_a_skip_counts(ran: list[str], registry: InterceptorRegistry) -> None:
    """Otherwise what is public would be guarded."""
    app = FastAPI()
    install(app, registry)

    @app.get("/")
    @named
    @skip_interceptors(group="global")
    async def show() -> int:
        return 1

    assert (await ask(app, "/")).json() == 1
    assert ran == []


async def test_a_function_of_the_same_code_is_none_that_is_wrapped(
    ran: list[str], registry: InterceptorRegistry
) -> None:
    """It has the same names, and is another function that this one calls."""

    def calling(inner: Any) -> Any:
        async def show() -> Any:
            return None if inner is None else await inner()

        return show

    app = FastAPI()
    install(app, registry)
    app.get("/")(calling(intercept(layer(ran, "own"))(calling(None))))
    assert (await ask(app, "/")).json() is None
    assert ran == ["global"]


async def test_a_route_class_of_ours_knows_what_it_was_given(ran: list[str], registry: InterceptorRegistry) -> None:
    """Whatever the class below it has put around that."""
    app, router = FastAPI(), APIRouter(route_class=intercepted_route(registry, route_class(nameless)))
    install(app, registry)
    router.get("/{number}")(show_with(ran))
    app.include_router(router)
    assert (await ask(app, "/7")).json() == 7
    assert ran == ["global", "own"]


def show_with(ran: list[str]) -> Any:
    @intercept(layer(ran, "own"))
    async def show(number: int) -> int:
        return number

    return show


def items(ran: list[str], **options: Any) -> type:
    @controller(**options)
    class Items:
        @get("/{number}")
        @intercept(layer(ran, "own"))
        async def show(self, number: int) -> int:
            return number

    return Items


@pytest.mark.parametrize("wrap", [named, kept, nameless])
@pytest.mark.parametrize("place", ["application", "router"])
async def test_what_stands_for_a_method_runs_the_layers_once(
    wrap: Any, place: str, ran: list[str], registry: InterceptorRegistry
) -> None:
    """Also where a route class hides it."""
    app = FastAPI()
    if place == "application":
        app.router.route_class = route_class(wrap)
        install(app, registry, [items(ran)])
    else:
        install(app, registry)
        app.include_router(create_router(items(ran, route_class=route_class(wrap)), registry))
    assert (await ask(app, "/7")).json() == 7
    assert ran == ["global", "own"]


@pytest.mark.parametrize("wrap", [named, nameless])
@pytest.mark.parametrize("place", ["application", "router"])
async def test_a_decorated_router_above_it_is_refused(
    wrap: Any, place: str, ran: list[str], registry: InterceptorRegistry
) -> None:
    """What stands for the method runs its chain, and knows of no router: an authorization there would be passed by."""
    app, declared = FastAPI(), intercept(layer(ran, "router"))
    if place == "application":
        declared(app.router).route_class = route_class(wrap)
        install(app, registry, [items(ran)])
    else:
        install(app, registry)
        app.include_router(declared(create_router(items(ran, route_class=route_class(wrap)), registry)))
    with pytest.raises(UnreachedInterceptorError, match="Decorate the controller"):
        await ask(app, "/7")
    assert ran == []
