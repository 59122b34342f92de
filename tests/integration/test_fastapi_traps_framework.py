"""Section 4b of the notes on FastAPI: how it works now, and what of that could break an interceptor.

What is only said of other libraries (4a) and what a call costs (4e) are no matter of a test. `Depends(provider)` is
FastAPI's own error; what we offer instead, `Provide`, is tested with the traps of dependency-injector.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket, routing
from fastapi.exceptions import FastAPIError, RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.routing import Route

from interceptors import InterceptorRegistry, InvocationContext, UnreachedRouteWarning, intercept
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, post, websocket
from tests.integration import postponed
from tests.integration.support import Next, app_with, ask, ask_quietly, layer, started


class Item(BaseModel):
    name: str


class Values(containers.DeclarativeContainer):
    repository = providers.Object("books")
    clock = providers.Object("noon")


# -- signature reading -------------------------------------------------------------------------------------------------


async def test_4b_annotations_are_evaluated_where_the_handler_was_written():
    """4b, signature reading: names that only the handler's module knows are found, behind a decorator of another too."""
    app = app_with(registry=InterceptorRegistry(Values()))
    app.post("/greet")(postponed.greet)
    app.post("/loud")(postponed.louder(postponed.greet))
    body = {"name": "hello"}
    assert (await ask(app, "/greet", "POST", json=body)).json() == "hello 7 books"
    assert (await ask(app, "/loud?number=8", "POST", json=body)).json() == "HELLO 8 BOOKS"
    assert (await ask(app, "/greet", "POST", json={})).status_code == 422


async def test_4b_a_signature_that_the_user_set_is_honoured():
    """4b, signature reading: an explicit `__signature__` of the user's is what the caller sees."""

    async def anything(**values: Any) -> Any:
        return values

    anything.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("n", inspect.Parameter.KEYWORD_ONLY, annotation="int")]
    )
    app = app_with()
    app.get("/x")(anything)
    assert (await ask(app, "/x?n=3")).json() == {"n": 3}


async def test_4b_the_return_annotation_is_the_response_model():
    """4b, signature reading: the postponed return annotation filters and documents the response."""
    app = app_with(postponed.PostponedController, registry=InterceptorRegistry(Values()))
    schema = app.openapi()["paths"]["/postponed/items"]["post"]["responses"]["200"]["content"]["application/json"]
    assert schema == {"schema": {"$ref": "#/components/schemas/Item"}}
    answer = await ask(app, "/postponed/items", "POST", json={"name": "n", "more": 1})
    assert answer.json() == {"name": "n"}


# -- how callables are classified --------------------------------------------------------------------------------------


def wrapped(function: Any) -> Any:
    """A decorator that keeps the kind of what it wraps a secret: a plain `def`."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


async def test_4b_kinds_are_seen_through_a_wrapping_def():
    """4b, classification: a coroutine or a generator behind `functools.wraps` is still one."""
    log: list[str] = []
    app = app_with()
    chain = intercept(layer(log, "ic"))

    async def one() -> int:
        return 1

    async def items() -> AsyncIterator[int]:
        yield 1
        yield 2

    def plain() -> Iterator[int]:
        yield 1
        yield 2

    for handler in (one, items, plain):
        app.get(f"/{handler.__name__}")(chain(wrapped(handler)))
    assert [(await ask(app, path)).text for path in ("/one", "/items", "/plain")] == ["1", "1\n2\n", "1\n2\n"]
    assert log == ["ic-pre", "ic-post"] * 3


async def test_4b_an_object_with_a_call_method_is_a_handler():
    """4b, classification: what FastAPI takes for an endpoint is intercepted, a callable object too."""
    log: list[str] = []

    class Handler:
        @intercept(layer(log, "ic"))
        async def __call__(self, n: int) -> int:
            return n

    app = app_with()
    app.add_api_route("/x/{n}", Handler(), name="handler")
    assert (await ask(app, "/x/4")).json() == 4
    assert log == ["ic-pre", "ic-post"]


# -- solving dependencies ----------------------------------------------------------------------------------------------


async def test_4b_the_path_decorators_dependencies_are_solved_before_any_layer():
    """4b, solving: body, then path-decorator dependencies in their order, then parameters, then the layers."""
    log: list[str] = []

    def noting(name: str) -> Any:
        async def dependency() -> str:
            log.append(name)
            return name

        return Depends(dependency)

    app = app_with()

    @app.post("/x", dependencies=[noting("first"), noting("second")])
    @intercept(layer(log, "ic"))
    async def x(item: Item, third: Annotated[str, noting("third")]) -> str:
        log.append("x")
        return third

    assert (await ask(app, "/x", "POST", content=b"{", headers={"content-type": "application/json"})).status_code == 422
    assert log == []
    await ask(app, "/x", "POST", json={"name": "n"})
    assert log == ["first", "second", "third", "ic-pre", "x", "ic-post"]


async def test_4b_a_dependency_is_solved_once_per_request():
    """4b, solving: what the dependency cache keeps for a request is the very object that the layers see."""
    made: list[object] = []

    async def thing() -> object:
        made.append(object())
        return made[-1]

    Thing = Annotated[Any, Depends(thing)]

    async def outer(thing: Thing) -> Any:
        return thing

    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.extend(ctx.args)
        return await next()

    app = app_with()

    @app.get("/x")
    @intercept(look)
    async def x(a: Thing, b: Annotated[Any, Depends(outer)]) -> bool:
        return a is b

    assert (await ask(app, "/x")).json() is True
    assert len(made) == 1
    assert seen == [made[0], made[0]]


async def test_4b_when_yield_dependencies_are_left():
    """4b, solving: "function" scope is left before the answer is sent, "request" scope after the background tasks."""
    log: list[str] = []

    def scoped(name: str) -> Any:
        async def dependency() -> AsyncIterator[None]:
            log.append(f"{name} enter")
            yield
            log.append(f"{name} exit")

        return dependency

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            log.append(message["type"])
            await send(message)

        await app(scope, receive, sending)

    app = app_with()

    @app.get("/x")
    @intercept(layer(log, "ic"))
    async def x(
        tasks: BackgroundTasks,
        a: Annotated[None, Depends(scoped("request"))],
        b: Annotated[None, Depends(scoped("function"), scope="function")],
    ) -> None:
        tasks.add_task(log.append, "task")

    await ask(recording, "/x")
    assert log == [
        "request enter",
        "function enter",
        "ic-pre",
        "ic-post",
        "function exit",
        "http.response.start",
        "http.response.body",
        "task",
        "request exit",
    ]


# -- the measured order ------------------------------------------------------------------------------------------------


class Teapot(Exception):
    """An error of the application's own."""


ORDER = {
    "/order/ok": (200, ["rh-pre", "dep-enter", "ic-pre", "x", "ic-post", "rh-post", "task", "dep-exit"]),
    "/order/http": (
        409,
        ["rh-pre", "dep-enter", "ic-pre", "x", "ic-exc HTTPException", "rh-exc HTTPException", "dep-exc", "dep-exit"],
    ),
    "/order/own": (
        418,
        ["rh-pre", "dep-enter", "ic-pre", "x", "ic-exc Teapot", "rh-exc Teapot", "dep-exc", "dep-exit", "handler"],
    ),
    "/order/ok?n=no": (422, ["rh-pre", "dep-enter", "rh-exc RequestValidationError", "dep-exc", "dep-exit"]),
    "/order/model": (
        500,
        ["rh-pre", "dep-enter", "ic-pre", "x", "ic-post", "rh-exc ResponseValidationError", "dep-exc", "dep-exit"],
    ),
}


@pytest.mark.parametrize("how", ["install", "include"])
@pytest.mark.parametrize("path", ORDER)
async def test_4b_the_order_of_ring_dependency_and_layer(path: str, how: str):
    """4b, order: outer ring, dependencies, layers, handler; a 422 runs no layer, a bad result comes after all of them."""
    log: list[str] = []

    class Ring(APIRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def ring(request: Request) -> Response:
                log.append("rh-pre")
                try:
                    response = await handler(request)
                except Exception as error:
                    log.append(f"rh-exc {type(error).__name__}")
                    raise
                log.append("rh-post")
                return response

            return ring

    async def dependency() -> AsyncIterator[None]:
        log.append("dep-enter")
        try:
            yield
        except Exception:
            log.append("dep-exc")
            raise
        finally:
            log.append("dep-exit")

    @controller(prefix="/order", route_class=Ring, dependencies=[Depends(dependency)])
    @intercept(layer(log, "ic"))
    class C:
        @get("/{what}")
        async def x(self, what: str, tasks: BackgroundTasks, n: int = 0) -> int:
            tasks.add_task(log.append, "task")
            log.append("x")
            if what == "http":
                raise HTTPException(409)
            if what == "own":
                raise Teapot
            return "no number" if what == "model" else n  # type: ignore[return-value]

    registry, app = InterceptorRegistry(), FastAPI()
    if how == "install":
        install(app, registry, controllers=[C])
    else:
        app.include_router(create_router(C, registry))

    @app.exception_handler(Teapot)
    async def handle(request: Request, error: Teapot) -> JSONResponse:
        log.append("handler")
        return JSONResponse({}, 418)

    assert ((await ask_quietly(app, path)).status_code, log) == ORDER[path]


async def test_4b_layers_see_errors_raw_and_handlers_see_what_leaves_the_chain():
    """4b, exceptions: a layer gets the very object that was raised; the application's handlers answer what is left."""
    raised, seen = Teapot("raw"), []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        try:
            return await next()
        except Teapot as error:
            seen.append(error)
            raise HTTPException(409, "translated") from error

    app = app_with()

    @app.get("/x")
    @intercept(look)
    async def x() -> None:
        raise raised

    @app.get("/y")
    async def y() -> None:
        raise raised

    @app.exception_handler(Exception)
    async def last(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(repr(error), 500)

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json()) == (409, {"detail": "translated"})
    assert seen[0] is raised
    assert (await ask_quietly(app, "/y")).text == "Teapot('raw')"


# -- the thread pool ---------------------------------------------------------------------------------------------------


async def test_4b_only_the_def_handler_is_in_a_thread():
    """4b, thread pool: a `def` handler runs in a worker thread with the layers' context, the layers in the event loop."""
    variable: ContextVar[str] = ContextVar("variable")
    where: dict[str, int] = {}
    app = app_with()

    async def set_variable(ctx: InvocationContext, next: Next) -> Any:
        variable.set("set by the layer")
        where["before"] = threading.get_ident()
        result = await next()
        where["after"] = threading.get_ident()
        return result

    @app.get("/x")
    @intercept(set_variable)
    def x() -> str:
        where["handler"] = threading.get_ident()
        return variable.get()

    assert (await ask(app, "/x")).json() == "set by the layer"
    assert where["before"] == where["after"] == threading.get_ident() != where["handler"]


async def test_4b_the_result_of_a_def_handler_is_validated_like_any():
    """4b, thread pool: an intercepted `def` handler loses neither validation nor serialisation."""
    app = app_with()

    @app.get("/x")
    def x(fail: bool = False) -> Item:
        return {"name": 1} if fail else {"name": "n", "secret": 1}  # type: ignore[return-value]

    assert (await ask(app, "/x")).json() == {"name": "n"}
    assert (await ask_quietly(app, "/x?fail=1")).status_code == 500


# -- the table of extension points -------------------------------------------------------------------------------------


async def test_4b_get_route_handler_may_be_called_again_and_again():
    """4b, `get_route_handler`: FastAPI calls it per inclusion and lazily; that runs and changes nothing."""
    log: list[str] = []
    router = APIRouter(route_class=intercepted_route(InterceptorRegistry()))

    @router.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> str:
        return "x"

    app = FastAPI()
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    app.openapi()
    for route in router.routes:
        assert isinstance(route, APIRoute)
        route.get_route_handler()
        route.get_route_handler()
    assert log == []
    assert [(await ask(app, path)).json() for path in ("/a/x", "/b/x", "/a/x")] == ["x", "x", "x"]
    assert log == ["ic-pre", "ic-post"] * 3


async def test_4b_an_endpoint_that_is_assigned_later():
    """4b, `route.endpoint`: what is put in the place of another one is called through its chain, where one is installed."""
    log: list[str] = []
    router, app = APIRouter(), app_with()

    @router.get("/x")
    async def x() -> str:
        return "first"

    @intercept(layer(log, "ic"))
    async def y() -> str:
        return "second"

    router.routes[0].endpoint = y  # type: ignore[attr-defined]
    app.include_router(router)
    assert (await ask(app, "/x")).json() == "second"
    assert log == ["ic-pre", "ic-post"]


async def test_4b_a_websockets_chain_is_in_its_endpoint():
    """4b, `APIWebSocketRoute`: FastAPI makes an included one anew, and the chain is still there."""
    log: list[str] = []

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            await socket.accept()
            await socket.send_text("hello")
            await socket.close()

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry()), prefix="/v1")
    with TestClient(app) as client, client.websocket_connect("/v1/ws") as session:
        assert session.receive_text() == "hello"
    assert log == ["ic-pre", "ic-post"]


async def test_4b_starlettes_own_routes_are_left_alone():
    """4b, `Route(middleware=)`: plain Starlette routes are not intercepted, and a global misses them with a warning."""
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(layer(log, "global"))
    app = app_with(registry=registry)

    async def plain(request: Request) -> Response:
        return PlainTextResponse("plain")

    app.router.routes.append(Route("/plain", plain))
    with pytest.warns(UnreachedRouteWarning, match="GET, HEAD /plain"):
        async with started(app) as client:
            assert (await client.get("/plain")).text == "plain"
    assert log == []


# -- keys of the scope -------------------------------------------------------------------------------------------------


async def test_4b_what_a_middleware_finds_in_the_scope():
    """4b, scope keys: after the call `route`, `endpoint` and `path_params` are there as on plain FastAPI; none on 404."""
    log: list[str] = []
    scopes: list[Any] = []

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @get("/x/{n}")
        async def x(self, n: int) -> int:
            return n

    app = app_with(C)

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        assert not {"route", "endpoint", "path_params"} & scope.keys()
        await app(scope, receive, send)
        scopes.append(scope)

    statuses = [(await ask(middleware, *asked)).status_code for asked in (("/x/1",), ("/y",), ("/x/1", "POST"))]
    assert statuses == [200, 404, 405]
    assert [scope.get("path_params") for scope in scopes] == [{"n": "1"}, None, {"n": "1"}]
    assert [getattr(scope.get("route"), "path", None) for scope in scopes] == ["/x/{n}", None, "/x/{n}"]
    assert [getattr(scope.get("endpoint"), "__name__", None) for scope in scopes] == ["x", None, "x"]
    assert log == ["ic-pre", "ic-post"]


# -- routes ------------------------------------------------------------------------------------------------------------


def shows_included_sockets() -> bool:
    """The first FastAPIs with the iterator give it nothing of a WebSocket on an included router, with us or without."""
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.add_api_websocket_route("/ws", shows_included_sockets)
    app.include_router(router)
    return [route.path for route in routing.iter_route_contexts(app.routes)] == ["/ws"]


async def test_4b_intercepted_routes_are_found_by_the_public_iterator():
    """4b, routes: `iter_route_contexts` shows every intercepted route with its name, its full path and its methods."""

    @controller(prefix="/c")
    class C:
        @get("/x")
        async def x(self) -> None: ...

        @post("/y", name="why")
        async def y(self) -> None: ...

        @websocket("/ws")
        async def ws(self) -> None: ...

    registry, app = InterceptorRegistry(), FastAPI(openapi_url=None)
    install(app, registry, controllers=[C])
    app.include_router(create_router(C, registry), prefix="/v1")
    found = [(route.path, route.methods, route.name) for route in routing.iter_route_contexts(app.routes)]
    own = [("/c/x", {"GET"}, "x"), ("/c/y", {"POST"}, "why"), ("/c/ws", None, "ws")]
    included = [(f"/v1{path}", methods, name) for path, methods, name in own]
    if not shows_included_sockets():
        included[2] = ("", set(), "")
    assert found == own + included
    assert app.url_path_for("why") == "/c/y"


@pytest.mark.parametrize("started_already", [False, True])
async def test_4b_a_route_that_is_added_after_the_inclusion(started_already: bool):
    """4b, routes: a function added to an included router is intercepted, also once the application runs."""
    log: list[str] = []
    router = APIRouter(route_class=intercepted_route(InterceptorRegistry()))
    app = FastAPI()
    app.include_router(router, prefix="/v1")

    async def x() -> str:
        return "x"

    async with started(app) as client:
        if started_already:
            assert (await client.get("/v1/x")).status_code == 404
        router.get("/x")(intercept(layer(log, "ic"))(x))
        assert (await client.get("/v1/x")).json() == "x"
    assert log == ["ic-pre", "ic-post"]


def test_4b_an_empty_prefix_with_an_empty_path():
    """4b, routes: prefix and path both empty is FastAPI's own error for a router of ours, too."""

    @controller()
    class C:
        @get("")
        async def root(self) -> None: ...

    with pytest.raises(FastAPIError, match=r"Prefix and path cannot be both empty \(path operation: root\)"):
        FastAPI().include_router(create_router(C, InterceptorRegistry()))


async def test_4b_an_empty_path_with_a_prefix():
    """4b, routes: an empty path under a prefix is the prefix itself, installed or included."""

    @controller(prefix="/c")
    class C:
        @get("")
        async def root(self) -> str:
            return "root"

    app, other = app_with(C), FastAPI()
    other.include_router(create_router(C, InterceptorRegistry()))
    assert [(await ask(a, "/c")).json() for a in (app, other)] == ["root", "root"]


# -- lifespan ----------------------------------------------------------------------------------------------------------


async def test_4b_lifespans_and_their_states_are_merged():
    """4b, lifespan: those of the application and of a controller's router both run, and both states reach the request."""
    log: list[str] = []

    def noting(name: str) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
            log.append(f"{name} up")
            yield {name: name}
            log.append(f"{name} down")

        return lifespan

    @controller(prefix="/c", lifespan=noting("router"))
    class C:
        @get("/x")
        async def x(self, request: Request) -> list[str]:
            return [request.state.app, request.state.router]

    app = FastAPI(lifespan=noting("app"))
    install(app, InterceptorRegistry(), controllers=[C])
    with TestClient(app) as client:
        assert client.get("/c/x").json() == ["app", "router"]
    assert log == ["app up", "router up", "router down", "app down"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", ["install", "include"])
def test_4b_event_handlers_still_run(how: str):
    """4b, lifespan: `on_startup` and `on_event` handlers run as on plain FastAPI (which runs a router's twice)."""
    log: list[str] = []
    events: dict[str, Any] = {
        "on_startup": [lambda: log.append("router up")],
        "on_shutdown": [lambda: log.append("router down")],
    }

    @controller(**events)
    class C:
        @get("/x")
        async def x(self) -> None: ...

    app, plain, registry = FastAPI(), FastAPI(), InterceptorRegistry()
    if how == "install":
        install(app, registry, controllers=[C])
    else:
        app.include_router(create_router(C, registry))
    plain.include_router(APIRouter(**events))
    logs: list[list[str]] = []
    for each in (app, plain):
        log.clear()
        each.on_event("startup")(lambda: log.append("app up"))
        each.on_event("shutdown")(lambda: log.append("app down"))
        with TestClient(each):
            log.append("serving")
        logs.append(list(log))
    assert logs[0] == logs[1]
    assert set(log) == {"app up", "router up", "serving", "app down", "router down"}


async def test_4b_a_middleware_cannot_be_added_after_the_start():
    """4b, lifespan: `add_middleware` after the first request is refused as ever; before it, it is around the chain."""
    log: list[str] = []
    app = app_with()

    class Middleware:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            log.append("middleware")
            await self.app(scope, receive, send)

    app.add_middleware(Middleware)

    @app.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> None: ...

    for _ in range(2):
        log.clear()
        await ask(app, "/x")
        assert log == ["middleware", "ic-pre", "ic-post"]
    with pytest.raises(RuntimeError, match="Cannot add middleware after an application has started"):
        app.add_middleware(Middleware)


# -- what is injected and what is returned ----------------------------------------------------------------------------


async def test_4b_what_was_injected_applies_to_a_returned_response():
    """4b, response object: headers, cookies, status and background tasks of the injected ones are not lost."""
    log: list[str] = []

    async def short(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "1"
        ctx.response.status_code = 202
        response = await next()
        tasks = BackgroundTasks()
        tasks.add_task(log.append, "the response's own")
        response.background = tasks
        return response

    app = app_with()

    @app.get("/x")
    @intercept(short)
    async def x(tasks: BackgroundTasks, response: Response) -> Response:
        tasks.add_task(log.append, "injected")
        response.set_cookie("a", "b")
        return PlainTextResponse("x", headers={"x-own": "1"})

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.text) == (202, "x")
    assert (answer.headers["x-layer"], answer.headers["x-own"], answer.cookies["a"]) == ("1", "1", "b")
    assert sorted(log) == ["injected", "the response's own"]


async def test_4b_http_connection_serves_both_protocols():
    """4b, `HTTPConnection`: a handler may declare it on HTTP and on a WebSocket, and OpenAPI does not show it."""

    @controller()
    class C:
        @get("/x")
        async def x(self, connection: HTTPConnection) -> str:
            return f"{type(connection).__name__} {connection.url.path}"

        @websocket("/ws")
        async def ws(self, connection: HTTPConnection, ctx: InvocationContext) -> None:
            assert isinstance(connection, WebSocket)
            assert ctx.request is connection
            await connection.accept()
            await connection.send_text(f"{type(connection).__name__} {connection.url.path}")
            await connection.close()

    app = app_with(C)
    assert (await ask(app, "/x")).json() == "Request /x"
    assert "parameters" not in app.openapi()["paths"]["/x"]["get"]
    with TestClient(app) as client, client.websocket_connect("/ws") as session:
        assert session.receive_text() == "WebSocket /ws"


async def test_4b_a_layer_that_changes_the_shape_says_so_in_the_response_model():
    """4b, envelope: FastAPI checks what leaves the chain; with `response_model=` both the answer and OpenAPI are right."""

    class Envelope(BaseModel):
        data: Item

    async def wrap(ctx: InvocationContext, next: Next) -> Any:
        return {"data": await next()}

    app = app_with()

    @app.get("/wrong")
    @intercept(wrap)
    async def wrong() -> Item:
        return Item(name="n")

    @app.get("/right", response_model=Envelope)
    @intercept(wrap)
    async def right() -> Item:
        return Item(name="n")

    with pytest.raises(ResponseValidationError):
        async with started(app) as client:
            await client.get("/wrong")
    assert (await ask(app, "/right")).json() == {"data": {"name": "n"}}
    schema = app.openapi()["paths"]["/right"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Envelope"}


async def test_4b_a_422_is_the_business_of_the_outer_ring():
    """4b, order: a layer never sees a RequestValidationError; a route class of the user's does."""
    log: list[str] = []

    class Ring(APIRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def ring(request: Request) -> Response:
                try:
                    return await handler(request)
                except RequestValidationError as error:
                    return JSONResponse({"fields": [problem["loc"][-1] for problem in error.errors()]}, 400)

            return ring

    app = FastAPI()
    app.router.route_class = Ring
    install(app, InterceptorRegistry())

    @app.get("/x")
    @intercept(layer(log, "ic"))
    async def x(n: int) -> int:
        return n

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json(), log) == (400, {"fields": ["n"]}, [])


async def test_4b_requests_in_parallel_do_not_wait_for_one_another():
    """4b, thread pool: layers hold no lock: two requests are inside the same chain at once."""
    both = asyncio.Barrier(2)
    app = app_with()

    async def meet(ctx: InvocationContext, next: Next) -> Any:
        await both.wait()
        return await next()

    @app.get("/{n}")
    @intercept(meet)
    def x(n: int) -> int:
        return n

    answers = await asyncio.wait_for(asyncio.gather(ask(app, "/1"), ask(app, "/2")), 10)
    assert [answer.json() for answer in answers] == [1, 2]
