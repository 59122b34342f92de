"""The ten facts at the top of the notes on FastAPI: what each of them could break, and does not.

Fact 10 (what a layer costs) is measured in `benchmarks/`; here only its reason is tested, that a layer is nothing but a
call in the same task.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, AsyncClient
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, intercept
from interceptors.fastapi import bind_request, controller, create_router, get, install, intercepted_route, websocket
from tests.integration import postponed
from tests.integration.support import Next, app_with, ask, client_of, layer, started

# -- Fact 1: FastAPI reads an endpoint's signature late, and again for each inclusion --------------------------------


async def test_fact_1_two_classes_that_share_a_method():
    """Fact 1: each class has an endpoint of its own for a method that both inherit."""

    class Base:
        @get("/who")
        async def who(self, n: int = 0) -> str:
            return f"{type(self).__name__} {n}"

    @controller(prefix="/a")
    class A(Base):
        pass

    @controller(prefix="/b")
    class B(Base):
        pass

    registry = InterceptorRegistry()
    app = FastAPI()
    app.include_router(create_router(A, registry))
    app.include_router(create_router(B, registry))
    assert [(await ask(app, path)).json() for path in ("/a/who?n=1", "/b/who?n=2", "/a/who")] == ["A 1", "B 2", "A 0"]


async def test_fact_1_the_users_function_is_never_touched():
    """Fact 1: nothing of what FastAPI has to see is written on the handler itself."""

    async def show(n: int) -> int:
        return n

    before = (dict(vars(show)), show.__code__, dict(show.__annotations__), show.__defaults__)
    app = app_with()
    app.get("/show/{n}")(show)

    @controller(prefix="/c")
    class C:
        handler = get("/show/{n}")(staticmethod(show))

    declared = dict(vars(show))
    install(app, app.state.interceptors, controllers=[C])
    assert [(await ask(app, path)).json() for path in ("/show/1", "/c/show/2")] == [1, 2]
    assert not before[0]
    assert vars(show) == declared
    assert not {"__signature__", "__wrapped__"} & declared.keys()
    assert (show.__code__, show.__annotations__, show.__defaults__) == before[1:]


# -- Fact 2: which hooks of a route survive an inclusion --------------------------------------------------------------


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
async def test_fact_2_the_chain_survives_inclusion(levels: int):
    """Fact 2: the chain runs exactly once, however deep the router is included."""
    log: list[str] = []

    @controller(prefix="/c")
    @intercept(layer(log, "class"))
    class C:
        @get("/x")
        @intercept(layer(log, "method"))
        async def x(self) -> str:
            log.append("x")
            return "x"

        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            log.append("ws")
            await socket.accept()
            await socket.close()

    router: Any = create_router(C, InterceptorRegistry())
    for level in range(levels):
        outer = APIRouter(prefix=f"/l{level}")
        outer.include_router(router)
        router = outer
    app = FastAPI()
    app.include_router(router)
    prefix = "".join(f"/l{level}" for level in reversed(range(levels)))
    assert (await ask(app, f"{prefix}/c/x")).json() == "x"
    assert log == ["class-pre", "method-pre", "x", "method-post", "class-post"]
    log.clear()
    with TestClient(app) as client, client.websocket_connect(f"{prefix}/c/ws") as session:
        assert session.receive()["type"] == "websocket.close"
    assert log == ["class-pre", "ws", "class-post"]


@pytest.mark.parametrize("included", [False, True])
async def test_fact_2_the_hooks_of_a_base_route_class_are_kept(included: bool):
    """Fact 2: `get_route_handler`, `handle` and `matches` of the user's route class run around the chain."""
    log: list[str] = []

    class Mine(APIRoute):
        def matches(self, scope: Any) -> Any:
            found = super().matches(scope)
            if found[0].value == 2:
                log.append("matches")
            return found

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            log.append("handle")
            await super().handle(scope, receive, send)

        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def noting(request: Request) -> Any:
                log.append("handler")
                return await handler(request)

            return noting

    route_class = intercepted_route(InterceptorRegistry(), base=Mine)
    app = FastAPI()
    router = APIRouter(route_class=route_class) if included else app.router
    if not included:
        app.router.route_class = route_class

    @router.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> str:
        return "x"

    if included:
        app.include_router(router)
    assert (await ask(app, "/x")).json() == "x"
    assert [entry for entry in log if entry != "matches"] == ["handle", "handler", "ic-pre", "ic-post"]
    assert log[0] == "matches"


# -- Fact 3: the path of an inclusion ---------------------------------------------------------------------------------


async def test_fact_3_the_source_knows_the_path_of_this_inclusion():
    """Fact 3: `scope["route"].path` has lost the prefixes; `ctx.source` has them all."""

    @controller(prefix="/orders")
    class Orders:
        @get("/{order_id}")
        async def show(self, order_id: int, ctx: InvocationContext, request: Request) -> list[str]:
            return [ctx.source.value.path, str(ctx.source), request.scope["route"].path]

    inner, app = APIRouter(prefix="/shop"), FastAPI()
    inner.include_router(create_router(Orders, InterceptorRegistry()))
    app.include_router(inner, prefix="/v1")
    assert (await ask(app, "/v1/shop/orders/7")).json() == [
        "/v1/shop/orders/{order_id}",
        "route GET /v1/shop/orders/{order_id}",
        "/orders/{order_id}",
    ]


# -- Fact 4: generator handlers ---------------------------------------------------------------------------------------


async def deny(ctx: InvocationContext, next: Next) -> Any:
    raise HTTPException(403, "not you")


@pytest.mark.parametrize("kind", ["jsonl", "raw", "sync"])
async def test_fact_4_a_layer_denies_a_stream_with_a_clean_status(kind: str):
    """Fact 4: the layers run before the generator exists, so a denial is no 200 with a broken body."""
    begun: list[str] = []
    app = app_with()

    @app.get("/jsonl")
    @intercept(deny)
    async def jsonl() -> AsyncIterator[int]:
        begun.append("jsonl")
        yield 1

    @app.get("/raw", response_class=StreamingResponse)
    @intercept(deny)
    async def raw() -> AsyncIterator[bytes]:
        begun.append("raw")
        yield b"1"

    @app.get("/sync")
    @intercept(deny)
    def sync() -> Iterator[int]:
        begun.append("sync")
        yield 1

    answer = await ask(app, f"/{kind}")
    assert (answer.status_code, answer.json(), begun) == (403, {"detail": "not you"}, [])


async def test_fact_4_a_layer_around_a_generator_does_not_empty_it():
    """Fact 4: an intercepted generator stays a generator; a wrapping coroutine gave 200 with an empty body."""
    log: list[str] = []
    app = app_with()

    @app.get("/numbers")
    @intercept(layer(log, "ic"))
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    answer = await ask(app, "/numbers")
    assert (answer.status_code, answer.text) == (200, "0\n1\n2\n")
    assert log == ["ic-pre", "ic-post"]


# -- Fact 5: a timeout around a `def` handler -------------------------------------------------------------------------


async def test_fact_5_a_def_handler_is_not_abandoned():
    """Fact 5: a scope that a layer cancels while a `def` handler runs lets it finish: nothing is lost, nothing raised."""
    app = app_with()
    seen: list[bool] = []

    async def impatient(ctx: InvocationContext, next: Next) -> Any:
        with anyio.CancelScope() as scope:
            ctx.state["cancel"] = scope.cancel
            result = await next()
        seen.extend((scope.cancel_called, scope.cancelled_caught))
        return result

    @app.get("/late")
    @intercept(impatient)
    def late(ctx: InvocationContext) -> str:
        anyio.from_thread.run_sync(ctx.state["cancel"])
        return "late"

    assert (await ask(app, "/late")).json() == "late"
    assert seen == [True, False]


async def test_fact_5_an_async_handler_is():
    """Fact 5: the same scope around an `async def` handler ends it at its next `await`."""
    app = app_with()

    async def impatient(ctx: InvocationContext, next: Next) -> Any:
        with anyio.CancelScope() as scope:
            ctx.state["cancel"] = scope.cancel
            return await next()
        raise HTTPException(504, "too slow")

    @app.get("/late")
    @intercept(impatient)
    async def late(ctx: InvocationContext) -> str:
        ctx.state["cancel"]()
        await anyio.lowlevel.checkpoint()
        return "late"

    answer = await ask(app, "/late")
    assert (answer.status_code, answer.json()) == (504, {"detail": "too slow"})


# -- Fact 6: no thread for what is built per request ------------------------------------------------------------------


async def test_fact_6_controllers_interceptors_and_values_are_built_in_the_event_loop():
    """Fact 6: no constructor and no provider costs a hop into the thread pool, as `Depends(cls)` does."""
    threads: dict[str, int] = {}

    def note(name: str) -> str:
        threads[name] = threading.get_ident()
        return name

    class Container(containers.DeclarativeContainer):
        value = providers.Factory(note, "provider")

    class Layer:
        def __init__(self, value: Annotated[str, Provide["value"]]) -> None:
            note("interceptor")

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return await next()

    @controller()
    @intercept(Layer)
    class C:
        def __init__(self, value: Annotated[str, Provide["value"]]) -> None:
            note("controller")

        @get("/x")
        def x(self, value: Annotated[str, Provide["value"]]) -> str:
            return note("handler")

    async with started(app_with(C, registry=InterceptorRegistry(Container()))) as client:
        assert (await client.get("/x")).json() == "handler"
    handler = threads.pop("handler")
    assert set(threads) == {"provider", "interceptor", "controller"}
    assert set(threads.values()) == {threading.get_ident()}
    assert handler != threading.get_ident()


# -- Fact 7: postponed annotations and markers ------------------------------------------------------------------------


class Values(containers.DeclarativeContainer):
    repository = providers.Object("books")
    clock = providers.Object("noon")


async def test_fact_7_postponed_markers_are_values():
    """Fact 7: under postponed annotations a handler gets the value, never the `Provide` marker."""
    app = app_with(postponed.PostponedController, registry=InterceptorRegistry(Values()))
    answer = await ask(app, "/postponed/markers/n?number=3")
    assert answer.json() == {
        "name": "n",
        "values": ["books"] * 7 + ["noon"],
        "number": 3,
        "path": "/postponed/markers/n",
    }
    assert answer.headers["x-context"] == "PostponedController.markers"


# -- Fact 8: overriding a provider is process-wide ---------------------------------------------------------------------


async def test_fact_8_concurrent_requests_bind_their_own_values():
    """Fact 8: what a request binds is its own, also where both are in the middle of their chains."""
    both = asyncio.Barrier(2)

    class Container(containers.DeclarativeContainer):
        path = providers.Callable(lambda request: request.url.path, InvocationBindings.request)

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("value", ctx.args["who"])
        ctx.bind_request("shared", ctx.args["who"])
        await both.wait()
        return await next()

    app = app_with(registry=InterceptorRegistry(Container()))

    @app.get("/{who}")
    @intercept(bind)
    async def show(
        who: str,
        value: Annotated[str, Provide["value"]],
        shared: Annotated[str, Provide["shared"]],
        path: Annotated[str, Provide["path"]],
    ) -> list[str]:
        return [who, value, shared, path]

    answers = await asyncio.gather(ask(app, "/a"), ask(app, "/b"))
    assert [answer.json() for answer in answers] == [["a", "a", "a", "/a"], ["b", "b", "b", "/b"]]


# -- Fact 9: context-local providers ----------------------------------------------------------------------------------


async def test_fact_9_a_context_local_singleton_is_one_object_per_request():
    """Fact 9: everything injected in a request is resolved in its own task, so it shares context-local objects."""

    class Session:
        pass

    class Container(containers.DeclarativeContainer):
        session = providers.ContextLocalSingleton(Session)

    Mine = Annotated[Session, Provide["session"]]
    seen: list[list[Session]] = []

    class Layer:
        def __init__(self, session: Mine) -> None:
            self.session = session

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            seen.append([self.session, await ctx.get("session")])
            return await next()

    @controller()
    @intercept(Layer)
    class C:
        def __init__(self, session: Mine) -> None:
            self.session = session

        @get("/x")
        def x(self, session: Mine) -> None:
            seen[-1].extend((self.session, session))

    app = app_with(C, registry=InterceptorRegistry(Container()))
    await asyncio.create_task(ask(app, "/x"))
    await asyncio.create_task(ask(app, "/x"))
    first, second = map(set, seen)
    assert (len(first), len(second), first & second) == (1, 1, set())


async def test_fact_9_a_resource_is_shared_by_concurrent_requests():
    """Fact 9: a `Resource` is injected as it is and left open; two requests at once do not close it for one another."""
    both = asyncio.Barrier(2)
    log: list[str] = []

    def opened() -> Iterator[str]:
        log.append("opened")
        yield "connection"
        log.append("closed")

    class Container(containers.DeclarativeContainer):
        connection = providers.Resource(opened)

    container = Container()
    app = app_with(registry=InterceptorRegistry(container))

    @app.get("/x")
    async def x(connection: Annotated[str, Provide["connection"]]) -> str:
        await both.wait()
        return connection

    answers = await asyncio.gather(ask(app, "/x"), ask(app, "/x"))
    assert [answer.json() for answer in answers] == ["connection", "connection"]
    assert log == ["opened"]
    container.shutdown_resources()
    assert log == ["opened", "closed"]


def test_fact_9_a_chain_runs_on_trio():
    """Fact 9: where providers are synchronous nothing of an HTTP call needs asyncio."""
    log: list[str] = []

    class Container(containers.DeclarativeContainer):
        value = providers.Factory(lambda: "v")

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        def __init__(self, value: Annotated[str, Provide["value"]]) -> None:
            self.value = value

        @get("/async")
        async def asynchronous(self, ctx: InvocationContext) -> Any:
            return [self.value, await ctx.current_user()]

        @get("/sync")
        def synchronous(self) -> str:
            return self.value

        @get("/stream")
        async def stream(self) -> AsyncIterator[str]:
            yield self.value

    async def user(request: Request) -> str:
        await anyio.lowlevel.checkpoint()
        return "alice"

    async def main() -> list[str]:
        app = app_with(C, registry=InterceptorRegistry(Container(), current_user=user))
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            return [(await client.get(path)).text for path in ("/async", "/sync", "/stream")]

    assert anyio.run(main, backend="trio") == ['["v","alice"]', '"v"', '"v"\n']
    assert log == ["ic-pre", "ic-post"] * 3


# -- Fact 10: what a layer is ------------------------------------------------------------------------------------------


async def test_fact_10_a_layer_is_a_call_in_the_handlers_task():
    """Fact 10: layers and handler run in one task and one thread, whatever a `BaseHTTPMiddleware` outside does."""
    tasks: dict[str, Any] = {}
    app = app_with()

    async def note(ctx: InvocationContext, next: Next) -> Any:
        tasks["layer"] = asyncio.current_task(), threading.get_ident()
        return await next()

    class Middleware(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            tasks["middleware"] = asyncio.current_task(), threading.get_ident()
            return await call_next(request)

    app.add_middleware(Middleware)

    @app.get("/x")
    @intercept(note, note)
    async def x() -> None:
        tasks["handler"] = asyncio.current_task(), threading.get_ident()

    await ask(app, "/x")
    assert tasks["layer"] == tasks["handler"]
    assert tasks["middleware"][0] is not tasks["handler"][0]


async def test_fact_8_a_dependency_binds_for_the_request_it_belongs_to():
    """Fact 8: what a FastAPI dependency knows goes with `bind_request`, and is there for this request only."""
    app = app_with()

    async def token(request: Request) -> None:
        if "who" in request.query_params:
            bind_request(request, "who", request.query_params["who"])

    router = APIRouter(route_class=intercepted_route(app.state.interceptors))

    @router.get("/x")
    async def x(ctx: InvocationContext) -> Any:
        return await ctx.get("who", default="nobody")

    app.include_router(router, dependencies=[Depends(token)])
    async with client_of(app) as client:
        paths = ("/x?who=a", "/x", "/x?who=b")
        assert [(await client.get(path)).json() for path in paths] == ["a", "nobody", "b"]
    with pytest.raises(TypeError, match="bind_request takes the Request or the WebSocket first, not 'no request'"):
        bind_request("no request", "key", "value")
