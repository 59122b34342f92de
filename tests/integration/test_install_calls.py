"""`install` called wrongly says how it is written; routes that come, or change, after the start are never served bare."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from interceptors import (
    AlreadyInstalledError,
    InterceptorRegistry,
    UnknownKeyError,
    UnreachedInterceptorError,
    WrongCallError,
    intercept,
)
from interceptors.fastapi import controller, get, install, intercepted_route
from tests.unit.helpers import passing


@controller(prefix="/x")
class Items:
    @get("")
    async def index(self) -> str:
        return "index"


WRONG: dict[str, tuple[Any, str]] = {
    "swapped": (lambda app, registry: install(registry, app), r"application comes first: install\(app, registry\)"),
    "no application": (lambda app, registry: install(app.router, registry), "takes a FastAPI application, not"),
    "a class for a registry": (lambda app, registry: install(app, InterceptorRegistry), r"InterceptorRegistry\(\)"),
    "no registry": (lambda app, registry: install(app, {}), "takes an InterceptorRegistry, not {}"),
    "one controller": (lambda app, registry: install(app, registry, Items), r"controllers=\[Items\]"),
    "a text": (lambda app, registry: install(app, registry, "Items"), "takes a list of classes, not 'Items'"),
    "a number": (lambda app, registry: install(app, registry, 3), "takes a list of classes, not 3"),
    "an instance": (lambda app, registry: install(app, registry, [Items()]), "give Items and not an instance"),
    "twice": (lambda app, registry: install(app, registry, [Items, Items]), "give it once"),
    "a router class": (lambda app, registry: intercepted_route(app), r"Write `intercepted_route\(registry\)`"),
}


@pytest.mark.parametrize("way", WRONG)
def test_a_wrong_call_says_what_to_write(way: str) -> None:
    call, message = WRONG[way]
    with pytest.raises(WrongCallError, match=message):
        call(FastAPI(), InterceptorRegistry())


def test_another_word_for_unreached_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`unreached` is 'ignore'; it is one of"):
        install(FastAPI(), InterceptorRegistry(), unreached="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def deny(ctx: Any, next: Any) -> Any:
    raise PermissionError


@intercept(deny)
async def decorated(request: Any) -> Any:
    return PlainTextResponse("served")


async def late() -> str:
    return "late"


async def bare(request: Any) -> Any:
    return PlainTextResponse("bare")


def app_with(registry: InterceptorRegistry) -> FastAPI:
    app = FastAPI()
    install(app, registry)

    @app.get("/first")
    async def first() -> str:
        return "first"

    return app


class Switch(BaseRoute):
    """A route of somebody's own, which has others."""

    def __init__(self, *routes: BaseRoute) -> None:
        self.routes = list(routes)

    def matches(self, scope: Any) -> Any:
        return self.routes[0].matches(scope)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.routes[0].handle(scope, receive, send)

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    "kind", ["function", "class", "below a mount", "in a mounted application", "of a class of one's own"]
)
def test_a_decorated_route_of_starlette_s_that_comes_later_is_refused_and_the_others_go_on(kind: str) -> None:
    app, mounted = app_with(InterceptorRegistry()), Starlette(routes=[Route("/bare", bare)])
    app.mount("/mounted", mounted)

    class Endpoint(HTTPEndpoint):
        @intercept(deny)
        async def get(self, request: Any) -> Any:
            return PlainTextResponse("served")

    with TestClient(app) as client:
        assert client.get("/first").json() == "first"
        if kind == "function":
            app.router.routes.append(Route("/late", decorated))
        elif kind == "class":
            app.router.routes.append(Route("/late", Endpoint))
        elif kind == "of a class of one's own":
            app.router.routes.append(Switch(Route("/late", decorated)))
        elif kind == "below a mount":
            app.mount("/late", Starlette(routes=[Route("/", decorated)]))
        else:
            mounted.routes.append(Route("/late", decorated))
        path = {"below a mount": "/late/", "in a mounted application": "/mounted/late"}.get(kind, "/late")
        with pytest.raises(UnreachedInterceptorError, match="decorated|Endpoint"):
            client.get(path)
        assert client.get("/first").json() == "first"


def test_what_else_is_wrong_with_a_route_that_comes_later_is_raised_by_itself() -> None:
    """At each request, until it is repaired: nobody refuses the route for good."""
    registry = InterceptorRegistry()
    app = app_with(registry)
    with TestClient(app) as client:
        app.get("/late")(intercept("key")(late))
        for _ in range(2):
            with pytest.raises(UnknownKeyError, match="No key 'key' is bound"):
                client.get("/late")
            assert client.get("/first").json() == "first"
        registry.bind("key", passing)
        assert client.get("/late").json() == "late"


def test_a_route_of_another_registry_that_comes_later_is_refused() -> None:
    app = app_with(InterceptorRegistry())
    with TestClient(app) as client:
        assert client.get("/first").json() == "first"
        other = intercepted_route(InterceptorRegistry())
        app.router.add_api_route("/late", lambda: "late", route_class_override=other)
        with pytest.raises(AlreadyInstalledError, match="another InterceptorRegistry"):
            client.get("/late")
        assert client.get("/first").json() == "first"
