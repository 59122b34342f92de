"""A router is decorated as a class is: what is declared on it stands for all its functions and controllers."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from interceptors import (
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    InvocationContext,
    UnreachedInterceptorError,
    annotate,
    global_interceptor,
    intercept,
    skip_interceptors,
)
from interceptors.cli.routes import api_routes, candidates_of
from interceptors.fastapi import controller, create_router, get, install, intercepted_route
from tests.integration.support import Next, ask, started

Layer = Callable[[InvocationContext, Next], Any]


def layer(name: str, log: list[str]) -> Layer:
    async def run(ctx: InvocationContext, next: Next) -> Any:
        log.append(name)
        return await next()

    return run


def application(log: list[str], **options: Any) -> tuple[FastAPI, InterceptorRegistry]:
    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(layer("global", log))
    install(app, registry, **options)
    return app, registry


def function() -> Any:
    async def handler() -> str:
        return "in"

    return handler


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


async def test_the_layers_of_each_place_from_the_outside_in() -> None:
    """The application's own router first, then each router around; a route has those of the place where it is included."""
    log: list[str] = []
    app, _ = application(log)
    shared, closed = APIRouter(), APIRouter(prefix="/closed")
    shared.get("/x")(function())
    shared.websocket("/ws")(talk)
    closed.include_router(shared)
    app.include_router(shared, prefix="/open")
    app.include_router(closed)
    app.get("/own")(intercept(layer("own", log))(function()))
    intercept(layer("inner", log))(shared)
    intercept(layer("outer", log))(closed)
    intercept(layer("application", log))(app.router)
    expected = {
        "/open/x": ["global", "application", "inner"],
        "/closed/x": ["global", "application", "outer", "inner"],
        "/own": ["global", "application", "own"],
    }
    with TestClient(app) as client:
        for path, layers in expected.items():
            assert client.get(path).json() == "in"
            assert log == layers
            log.clear()
        for prefix in ("/open", "/closed"):
            with client.websocket_connect(f"{prefix}/ws"):
                pass
            assert log == expected[f"{prefix}/x"]
            log.clear()


async def test_a_controller_that_does_not_inherit_stays_below_its_routers() -> None:
    """It starts afresh among the layers of its base classes: a router that guards it is not its base."""
    log: list[str] = []
    app, registry = application(log)

    @intercept(layer("base", log))
    class Base: ...

    @controller()
    @intercept(layer("class", log), inherit=False)
    class C(Base):
        @get("/x")
        async def x(self) -> str:
            return "in"

    router = intercept(layer("router", log))(APIRouter())
    router.include_router(create_router(C, registry))
    app.include_router(router)
    assert (await ask(app, "/x")).json() == "in"
    assert log == ["global", "router", "class"]


async def test_what_a_router_skips_and_annotates() -> None:
    """It leaves out what is further out; the annotations of what is further in count more."""
    log: list[str] = []
    app, _ = application(log)
    auth = layer("auth", log)

    async def note(ctx: InvocationContext, next: Next) -> Any:
        log.append(str(dict(ctx.annotations)))
        return await next()

    outer, inner = APIRouter(), APIRouter(prefix="/inner")
    annotate(a="outer", b="outer")(intercept(auth, note)(outer))
    annotate(b="inner")(skip_interceptors(auth)(inner))
    inner.get("/x")(function())
    inner.get("/y")(annotate(a="own")(skip_interceptors("global")(function())))
    inner.get("/z")(skip_interceptors()(function()))
    outer.include_router(inner)
    app.include_router(outer)
    for path, layers in (
        ("x", ["global", "{'a': 'outer', 'b': 'inner'}"]),
        ("y", ["global", "{'a': 'own', 'b': 'inner'}"]),
        ("z", []),
    ):
        assert (await ask(app, f"/inner/{path}")).json() == "in"
        assert log == layers
        log.clear()


async def test_without_a_registry_on_the_application_routers_are_found_when_they_are_reached() -> None:
    """An intercepted router knows its registry; what it is included in is looked for then."""
    log: list[str] = []
    registry = InterceptorRegistry()
    app, outer, inner = FastAPI(), APIRouter(prefix="/outer"), APIRouter(route_class=intercepted_route(registry))
    inner.get("/x")(function())
    outer.include_router(intercept(layer("inner", log))(inner))
    app.include_router(intercept(layer("outer", log))(outer))
    for _ in range(2):
        assert (await ask(app, "/outer/x")).json() == "in"
        assert log == ["outer", "inner"]
        log.clear()


async def test_a_router_that_is_decorated_late_is_obeyed() -> None:
    """From the next request on, also where its chains have run already."""
    log: list[str] = []
    app, _ = application(log)
    router = APIRouter()
    router.get("/x")(function())
    app.include_router(router)
    assert (await ask(app, "/x")).json() == "in"
    intercept(layer("late", log))(router)
    log.clear()
    assert (await ask(app, "/x")).json() == "in"
    assert log == ["global", "late"]


async def answer(request: Request) -> Response:
    return PlainTextResponse("in")


@pytest.mark.parametrize(
    ("place", "routers"),
    [
        (lambda app, router: app.include_router(router), False),
        (lambda app, router: app.mount("/mounted", router), True),
        (lambda app, router: (router.add_route("/y", answer), app.include_router(router)), True),
        (lambda app, router: (router.mount("/files", StaticFiles(directory=".")), app.include_router(router)), True),
    ],
    ids=["routers=False", "mounted", "a route of Starlette's", "files"],
)
async def test_a_decorated_router_that_no_chain_reaches_stops_the_start(place: Any, routers: bool) -> None:
    """Its guard would stand there for nothing."""
    app, _ = application([], routers=routers)
    router = intercept(layer("guard", []))(APIRouter())
    router.get("/x")(function())
    place(app, router)
    with pytest.raises(UnreachedInterceptorError, match="The router of .* is decorated with @intercept"):
        async with started(app):
            pass


def test_what_can_be_decorated() -> None:
    """A router and what derives from it; an application is not, and no router is a global interceptor."""

    class Mine(APIRouter): ...

    for router in (APIRouter(), Mine()):
        assert intercept(layer("x", []))(router) is router
    with pytest.raises(InvalidTargetError, match="FastAPI"):
        intercept(layer("x", []))(FastAPI())
    with pytest.raises(InvalidInterceptorError):
        global_interceptor()(APIRouter())


async def test_who_asks_for_the_chain_before_the_first_request_changes_nothing() -> None:
    """`explain` and `check` know the routers of a route, also where no registry is installed."""
    log: list[str] = []
    app, inner = FastAPI(), APIRouter(prefix="/x", route_class=intercepted_route(InterceptorRegistry()))
    inner.get("")(function())
    app.include_router(intercept(layer("router", log))(inner))
    (route,) = api_routes(app)
    assert [candidate.level for candidate in candidates_of(route.chain)] == ["class"]
    assert (await ask(app, "/x")).json() == "in"
    assert log == ["router"]


async def test_an_intercepted_router_that_is_mounted_has_its_own_layers() -> None:
    """Also where no registry is installed; behind a function only what the registry has is known."""
    log: list[str] = []
    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(layer("global", log))
    for path in ("/seen", "/unseen"):
        router = intercept(layer(path, log))(APIRouter(route_class=intercepted_route(registry)))
        router.get("/x")(function())
        app.mount(path, router if path == "/seen" else lambda *call, router=router: router(*call))
    assert (await ask(app, "/seen/x")).json() == "in"
    assert (await ask(app, "/unseen/x")).json() == "in"
    assert log == ["global", "/seen", "global"]


async def test_a_route_that_comes_late_below_a_mount_has_the_layers_of_its_routers() -> None:
    """Nobody has installed a registry on the mounted application: what it includes is looked at when routes come."""
    log: list[str] = []
    app, registry = application(log)
    mounted, outer = FastAPI(), APIRouter(prefix="/outer")
    inner = APIRouter(route_class=intercepted_route(registry))
    intercept(layer("outer", log))(outer)
    outer.include_router(inner)
    mounted.include_router(outer)
    app.mount("/mounted", mounted)
    async with started(app) as client:
        assert (await client.get("/mounted/outer/x")).status_code == 404
        inner.get("/x")(function())
        assert (await client.get("/mounted/outer/x")).json() == "in"
    assert log == ["global", "outer"]
