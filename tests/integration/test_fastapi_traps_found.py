"""Sections 5.2, 5.3 and "Found while proving the design" of the notes on FastAPI.

5.2 is about packaging. What the built wheel holds is checked by `make wheel`, and that tests run against it is the CI's
business; here only the configuration that decides it.
"""

import asyncio
import re
import threading
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import fastapi
import httpx2
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi import WebSocket as Socket
from fastapi.responses import EventSourceResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, intercept
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, websocket
from tests.integration import postponed
from tests.integration.support import Next, app_with, ask, ask_quietly, layer

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())

# -- 5.2 ---------------------------------------------------------------------------------------------------------------


def test_5_2_the_wheel_holds_the_library_alone():
    """5.2: hatchling is told which package to ship, so neither `app` nor `tests` end up in site-packages."""
    assert CONFIG["build-system"] == {"requires": ["hatchling>=1.27"], "build-backend": "hatchling.build"}
    assert CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["interceptors"]}


def test_5_2_the_sdist_takes_nothing_that_lies_around():
    """5.2: the source distribution lists what it takes, each from the top level."""
    include = CONFIG["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert set(include) >= {"/interceptors", "/tests", "/README.md", "/LICENSE"}
    assert all(path.startswith("/") and "*" not in path for path in include)


# -- 5.3 ---------------------------------------------------------------------------------------------------------------


async def test_5_3_1_the_layer_runs_once_however_deep_the_inclusion():
    """5.3, 1: included routes used to be rebuilt and wrapped again; one request runs a function's layer exactly once."""
    log: list[str] = []
    router = APIRouter(route_class=intercepted_route(InterceptorRegistry()))

    @router.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> None: ...

    middle, app = APIRouter(), FastAPI()
    middle.include_router(router)
    app.include_router(middle)
    await ask(app, "/x")
    assert log == ["ic-pre", "ic-post"]


async def test_5_3_1_a_route_class_that_is_ours_already_wraps_nothing_again():
    """5.3, 1: making the route class of a route class, and passing one of our endpoints on, adds no second chain."""
    log: list[str] = []
    registry = InterceptorRegistry()
    once = intercepted_route(registry)
    assert intercepted_route(registry, base=once) is once
    router, again = APIRouter(route_class=once), APIRouter(route_class=intercepted_route(registry))

    @router.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> None: ...

    again.add_api_route("/y", router.routes[0].endpoint)  # type: ignore[attr-defined]
    app = FastAPI()
    app.include_router(again)
    await ask(app, "/y")
    assert log == ["ic-pre", "ic-post"]


async def test_5_3_2_a_global_reaches_the_routes_of_included_routers():
    """5.3, 2: `app.routes` is no list of routes, and globals reach nested routers all the same, added late or early."""
    log: list[str] = []
    registry = InterceptorRegistry()

    @controller(prefix="/c")
    class C:
        @get("/x")
        async def x(self) -> None: ...

    outer, app = APIRouter(prefix="/outer"), FastAPI()
    outer.include_router(create_router(C, registry))
    app.include_router(outer)
    registry.add_global(layer(log, "global"))
    await ask(app, "/outer/c/x")
    assert log == ["global-pre", "global-post"]


async def test_5_3_3_no_chain_is_built_in_get_route_handler():
    """5.3, 3: asking a route for its handler, which FastAPI does again at the first request, resolves no key."""
    registry = InterceptorRegistry()
    router = APIRouter(route_class=intercepted_route(registry))

    @router.get("/x")
    @intercept("later")
    async def x() -> str:
        return "x"

    app = FastAPI()
    app.include_router(router)
    router.routes[0].get_route_handler()  # type: ignore[attr-defined]
    app.openapi()
    log: list[str] = []
    registry.bind("later", layer(log, "later"))
    assert (await ask(app, "/x")).json() == "x"
    assert log == ["later-pre", "later-post"]


async def test_5_3_4_postponed_annotations_are_read_through_a_wrapper():
    """5.3, 4: a handler of a module with postponed annotations answers no 422 for what its own module knows."""

    class Values(containers.DeclarativeContainer):
        repository = providers.Object("books")

    registry = InterceptorRegistry(Values())
    router, app = APIRouter(route_class=intercepted_route(registry)), FastAPI()
    router.post("/loud")(postponed.louder(postponed.greet))
    app.include_router(router)
    assert (await ask(app, "/loud", "POST", json={"name": "hello"})).json() == "HELLO 7 BOOKS"


@pytest.mark.parametrize("where", ["app before", "app after", "router"])
async def test_5_3_5_intercept_above_the_route_decorator(where: str):
    """5.3, 5: metadata is read when the chain is computed, so `@intercept` above `@router.get` runs."""
    log: list[str] = []
    registry, app = InterceptorRegistry(), FastAPI()
    if where == "app after":
        install(app, registry)
    router: Any = APIRouter(route_class=intercepted_route(registry)) if where == "router" else app

    @intercept(layer(log, "ic"))
    @router.get("/x")
    async def x() -> None: ...

    if where == "app before":
        install(app, registry)
    if where == "router":
        app.include_router(router)
    await ask(app, "/x")
    assert log == ["ic-pre", "ic-post"]


def test_5_3_6_the_test_client_is_httpx2():
    """5.3, 6: tests bring httpx2, which Starlette's test client is built on without a warning; users need neither."""
    names = {
        group: {re.split(r"[^a-z0-9-]", line)[0] for line in lines}
        for group, lines in CONFIG["project"]["optional-dependencies"].items()
    }
    assert "httpx2" in names["dev"]
    assert not any(line.startswith("httpx") for line in CONFIG["project"]["dependencies"])
    assert issubclass(TestClient, httpx2.Client)


async def test_5_3_7_sync_handlers_generators_and_websockets():
    """5.3, 7: a `def` handler goes to the thread pool, a generator is not awaited, a WebSocket takes its own path."""
    log: list[str] = []
    threads: list[int] = []

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @get("/sync")
        def sync(self) -> str:
            threads.append(threading.get_ident())
            return "sync"

        @get("/items")
        def items(self) -> Iterator[str]:
            threads.append(threading.get_ident())
            yield "item"

        @websocket("/ws")
        async def ws(self, socket: Socket) -> None:
            await socket.accept()
            await socket.send_text("ws")
            await socket.close()

    app = app_with(C)
    assert [(await ask(app, path)).text for path in ("/sync", "/items")] == ['"sync"', '"item"\n']
    assert threading.get_ident() not in threads
    with TestClient(app) as client, client.websocket_connect("/ws") as session:
        assert session.receive_text() == "ws"
    assert log == ["ic-pre", "ic-post"] * 3


# -- Found: one name per special type ----------------------------------------------------------------------------------


async def test_found_request_and_response_are_given_to_every_parameter_that_wants_them():
    """Found, special types: the handler's own `Request` and `Response` do not disappear, nor do second ones."""

    @controller()
    class C:
        @get("/x")
        async def x(self, one: Request, answer: Response, two: Request, other: Response) -> Any:
            answer.headers["x-one"] = "1"
            other.headers["x-two"] = "2"
            return [one is two, answer is other, one.url.path]

        @get("/items")
        async def items(self, req: Request, res: Response) -> AsyncIterator[str]:
            yield req.url.path

    app = app_with(C)
    answer = await ask(app, "/x")
    assert answer.json() == [True, True, "/x"]
    assert (answer.headers["x-one"], answer.headers["x-two"]) == ("1", "2")
    assert (await ask(app, "/items")).text == '"/items"\n'


def test_found_a_websocket_has_its_own_and_ours():
    """Found, special types: the method's own `WebSocket` is there beside ours, an `HTTPConnection` is shared."""

    @controller()
    class C:
        @websocket("/own")
        async def own(self, mine: Socket, ctx: InvocationContext) -> None:
            await mine.accept()
            await mine.send_json([ctx.request.url.path, ctx.response is None])
            await mine.close()

        @websocket("/connection")
        async def connection(self, mine: HTTPConnection, socket: Socket, ctx: InvocationContext) -> None:
            await socket.accept()
            await socket.send_json([mine.url.path, ctx.request is mine])
            await socket.close()

        @websocket("/none")
        async def none(self, ctx: InvocationContext) -> None:
            await ctx.request.accept()
            await ctx.request.send_json([ctx.request.url.path])
            await ctx.request.close()

    with TestClient(app_with(C)) as client:
        for path, expected in {
            "/own": ["/own", True],
            "/connection": ["/connection", True],
            "/none": ["/none"],
        }.items():
            with client.websocket_connect(path) as session:
                assert session.receive_json() == expected


# -- Found: functions declared on the application before ---------------------------------------------------------------


class Item(BaseModel):
    n: int


async def test_found_a_stream_declared_before_the_installation_keeps_its_item_type():
    """Found, re-made routes: items of a stream are still validated, filtered and documented after `install`."""
    app = FastAPI()

    @app.get("/items")
    async def items(bad: bool = False) -> AsyncIterator[Item]:
        yield {"n": 1, "secret": 2}  # type: ignore[misc]
        if bad:
            yield {"n": "no number"}  # type: ignore[misc]

    before = app.openapi()
    install(app, InterceptorRegistry())
    app.openapi_schema = None
    assert app.openapi() == before
    assert (await ask(app, "/items")).text == '{"n":1}\n'
    with pytest.raises((fastapi.exceptions.ResponseValidationError, ExceptionGroup)):
        await ask(app, "/items?bad=1")


async def test_found_a_route_that_was_re_made_is_the_same_object():
    """Found, re-made routes: whoever holds the route still does, and what its class added to it is still there."""
    app = FastAPI()

    class Mine(fastapi.routing.APIRoute):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.note = f"made for {self.path}"

    app.router.route_class = Mine

    @app.get("/x", status_code=201, name="ex", response_model_exclude={"n"})
    async def x() -> Item:
        return Item(n=1)

    route = app.router.routes[-1]
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(layer(log, "global"))
    install(app, registry)
    assert app.router.routes[-1] is route
    assert isinstance(route, Mine)
    assert (route.note, route.name, route.status_code) == ("made for /x", "ex", 201)
    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json(), log) == (201, {}, ["global-pre", "global-post"])


# -- Found: generators -------------------------------------------------------------------------------------------------


async def test_found_a_generators_parameters_are_parsed_before_its_chain():
    """Found, generators: a 422 runs no layer and no line of the generator; every kind of parameter is parsed."""
    log: list[str] = []
    app = app_with()

    async def needed(x_needed: Annotated[str, Header()]) -> str:
        return x_needed

    @app.post("/{p}")
    @intercept(layer(log, "ic"))
    async def items(
        p: int,
        q: int,
        one: Annotated[Item, Body()],
        two: Annotated[Item, Body()],
        head: Annotated[str, Depends(needed)],
        d: int = 5,
    ) -> AsyncIterator[Any]:
        log.append("generator")
        for value in (p, q, one.n, two.n, head, d):
            yield value

    body = {"one": {"n": 3}, "two": {"n": 4}}
    refused = await ask(app, "/1?q=no", "POST", json={"one": {"n": "no"}})
    assert (refused.status_code, log) == (422, [])
    assert [problem["loc"] for problem in refused.json()["detail"]] == [
        ["header", "x-needed"],
        ["query", "q"],
        ["body", "one", "n"],
        ["body", "two"],
    ]
    answer = await ask(app, "/1?q=2", "POST", json=body, headers={"x-needed": "h"})
    assert answer.text == '1\n2\n3\n4\n"h"\n5\n'
    assert log == ["ic-pre", "ic-post", "generator"]


@pytest.mark.parametrize(
    "options", [{}, {"response_class": EventSourceResponse}, {"response_class": StreamingResponse}]
)
async def test_found_a_response_from_the_chain_is_the_answer(options: dict[str, Any]):
    """Found, generators: a `Response` in place of the stream goes out as it is, and the generator never starts."""
    log: list[str] = []
    app = app_with()

    async def short(ctx: InvocationContext, next: Next) -> Any:
        await next()
        ctx.response.headers["x-layer"] = "1"
        return JSONResponse({"short": True}, 206)

    @app.get("/x", **options)
    @intercept(short)
    async def x(tasks: BackgroundTasks) -> AsyncIterator[str]:
        log.append("generator")
        yield "item"

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (
        206,
        {"short": True},
        "application/json",
    )
    assert (answer.headers["x-layer"], log) == ("1", [])


# -- Found: shared responses -------------------------------------------------------------------------------------------


async def test_found_a_shared_response_runs_each_requests_own_tasks():
    """Found, shared responses: three requests that return one object run task 0, 1 and 2; the object stays as it was."""
    ran: list[int] = []
    shared = PlainTextResponse("shared")
    before = dict(vars(shared)), list(shared.raw_headers)
    app = app_with()
    app.state.interceptors.add_global(layer([], "global"))

    @app.get("/{n}")
    async def x(n: int, tasks: BackgroundTasks, response: Response) -> Response:
        tasks.add_task(ran.append, n)
        response.set_cookie("n", str(n))
        response.status_code = 200 + n
        return shared

    answers = [await ask(app, f"/{n}") for n in range(3)]
    assert ran == [0, 1, 2]
    assert [answer.status_code for answer in answers] == [200, 201, 202]
    assert [answer.headers.get_list("set-cookie") for answer in answers] == [
        [f"n={n}; Path=/; SameSite=lax"] for n in range(3)
    ]
    assert (vars(shared), shared.raw_headers) == before


# -- Found: WebSockets -------------------------------------------------------------------------------------------------


def test_found_a_websocket_that_nobody_accepts_is_closed():
    """Found, WebSockets: a handler that returns without accepting does not let the client wait: it is closed with 1008."""

    @controller()
    class C:
        @websocket("/ws")
        async def ws(self) -> None: ...

    with TestClient(app_with(C)) as client, pytest.raises(WebSocketDisconnect) as caught:
        with client.websocket_connect("/ws"):
            pass
    assert caught.value.code == 1008


# -- Found: dependency-injector ----------------------------------------------------------------------------------------


async def test_found_the_current_user_never_makes_a_provider_asynchronous():
    """Found, dependency-injector: a provider on the current user works with an async and then with a known user."""

    class Audit:
        def __init__(self, user: Any) -> None:
            self.user = user

    class Container(containers.DeclarativeContainer):
        audit = providers.Factory(Audit, InvocationBindings.current_user)

    async def user(request: Request) -> str:
        await asyncio.sleep(0)
        return request.query_params["user"]

    container = Container()
    app = app_with(registry=InterceptorRegistry(container, current_user=user))

    async def known(ctx: InvocationContext, next: Next) -> Any:
        if "known" in ctx.request.query_params:
            ctx.bind_request("current_user", "known")
        return await next()

    @app.get("/x")
    @intercept(known)
    async def x(audit: Annotated[Audit, Provide["audit"]]) -> str:
        return audit.user

    paths = ("/x?user=a", "/x?known=1", "/x?user=b", "/x?known=1")
    assert [(await ask(app, path)).json() for path in paths] == ["a", "known", "b", "known"]
    assert not InvocationBindings.current_user.is_async_mode_enabled()


async def test_found_a_provider_on_the_class_is_the_containers_own():
    """Found, dependency-injector: a provider named on the class means the copy of the registry's container, everywhere."""
    log: list[str] = []

    class Layer:
        def __init__(self, name: str) -> None:
            self.name = name

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            log.append(self.name)
            return await next()

    class User:
        def __init__(self, name: str) -> None:
            self.name = name

    class Container(containers.DeclarativeContainer):
        name = providers.Object("class")
        layer = providers.Factory(Layer, name)
        user = providers.Factory(User, name)

    @controller()
    class C:
        def __init__(self, name: Annotated[str, Provide[Container.name]]) -> None:
            self.name = name

        @get("/x")
        @intercept(Container.layer)
        async def x(self, name: Annotated[str, Provide[Container.name]], ctx: InvocationContext) -> Any:
            return [self.name, name, (await ctx.current_user()).name]

    container = Container(name=providers.Object("instance"))
    registry = InterceptorRegistry(container, current_user=Container.user)
    registry.add_global(Container.layer, key="global")
    assert (await ask(app_with(C, registry=registry), "/x")).json() == ["instance"] * 3
    assert log == ["instance"]


# -- Found: signatures -------------------------------------------------------------------------------------------------


async def test_found_one_name_that_does_not_exist_spoils_no_other_annotation():
    """Found, signatures: each annotation is evaluated on its own, so a `TYPE_CHECKING` name leaves the others typed."""

    class Values(containers.DeclarativeContainer):
        repository = providers.Object("books")
        clock = providers.Object("noon")

    app = app_with(postponed.PostponedController, registry=InterceptorRegistry(Values()))
    operation = app.openapi()["paths"]["/postponed/stream"]["get"]
    assert [parameter["schema"]["type"] for parameter in operation["parameters"]] == ["integer"]
    assert (await ask(app, "/postponed/stream?count=2")).text == '{"name":"books 0"}\n{"name":"books 1"}\n'
    assert (await ask(app, "/postponed/stream?count=x")).status_code == 422
    with TestClient(app) as client, client.websocket_connect("/postponed/socket") as session:
        assert session.receive_text() == "books"


async def test_found_a_local_class_under_postponed_annotations_fails_as_on_plain_fastapi():
    """Found, signatures: what plain FastAPI cannot evaluate we cannot either: the same answer, or the same error."""

    async def outcome(app: FastAPI) -> Any:
        try:
            app.post("/x")(postponed.local_handler())
            return (await ask_quietly(app, "/x", "POST", json={"n": 1})).json()
        except Exception as error:
            return type(error)

    assert await outcome(app_with()) == await outcome(FastAPI())


@pytest.mark.parametrize("kind", ["async", "sync", "layer"])
async def test_found_stop_iteration_becomes_a_runtime_error(kind: str):
    """Found, PEP 479: a StopIteration from handler or layer is a RuntimeError, never a call that just ends."""
    app = app_with()

    async def stop(ctx: InvocationContext, next: Next) -> Any:
        if kind == "layer":
            raise StopIteration
        return await next()

    @app.get("/async")
    @app.get("/layer")
    @intercept(stop)
    async def asynchronous() -> None:
        raise StopIteration

    @app.get("/sync")
    @intercept(stop)
    def sync() -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await ask(app, f"/{kind}")


async def test_found_a_denied_stream_is_a_clean_403_for_sync_generators_too():
    """Found, generators: a sync generator is denied before its first line, and runs in a thread when it is not."""
    threads: list[int] = []

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        if "deny" in ctx.request.query_params:
            raise HTTPException(403)
        return await next()

    app = app_with()

    @app.get("/x")
    @intercept(deny)
    def x() -> Iterator[int]:
        threads.append(threading.get_ident())
        yield 1

    assert ((await ask(app, "/x?deny=1")).status_code, threads) == (403, [])
    assert (await ask(app, "/x")).text == "1\n"
    assert threads
    assert threading.get_ident() not in threads
