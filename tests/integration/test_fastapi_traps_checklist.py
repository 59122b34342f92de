"""Section 6 of the notes on FastAPI: the checklist, item by item."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, Response
from fastapi.responses import EventSourceResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware
from typing_extensions import TypeAliasType

from interceptors import Chain, InterceptorRegistry, InvocationBindings, InvocationContext, intercept, skip_interceptors
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, post
from tests.integration.support import Next, app_with, ask, ask_quietly, layer, outside, started

# -- inclusion and inheritance -----------------------------------------------------------------------------------------


async def test_6_the_same_router_twice_with_two_prefixes():
    """6, inclusion: two levels deep and twice over, each inclusion has its own path, and the chain runs once for each."""
    log: list[str] = []

    @controller(prefix="/c")
    @intercept(layer(log, "ic"))
    class C:
        @get("/{n}")
        async def show(self, n: int, ctx: InvocationContext) -> str:
            return f"{ctx.source} {n}"

    router = create_router(C, InterceptorRegistry())
    middle, app = APIRouter(), FastAPI()
    middle.include_router(router, prefix="/one")
    middle.include_router(router, prefix="/two")
    app.include_router(middle, prefix="/v1")
    app.include_router(router)
    answers = [(await ask(app, f"{prefix}/c/3")).json() for prefix in ("/v1/one", "/v1/two", "")]
    assert answers == [f"route GET {prefix}/c/{{n}} 3" for prefix in ("/v1/one", "/v1/two", "")]
    assert log == ["ic-pre", "ic-post"] * 3


async def test_6_mixins_and_shared_methods():
    """6, inheritance: a mixin's method runs each subclass's own chain, around each subclass's own instance."""
    log: list[str] = []

    class Countable:
        items: int

        @get("/count")
        @intercept(layer(log, "mixin"))
        async def count(self) -> int:
            return self.items

    @controller(prefix="/a")
    @intercept(layer(log, "a"))
    class A(Countable):
        items = 1

    @controller(prefix="/b")
    @intercept(layer(log, "b"))
    class B(Countable):
        items = 2

    app = app_with(A, B)
    assert [(await ask(app, path)).json() for path in ("/a/count", "/b/count")] == [1, 2]
    assert log == ["a-pre", "mixin-pre", "mixin-post", "a-post", "b-pre", "mixin-pre", "mixin-post", "b-post"]


# -- context variables -------------------------------------------------------------------------------------------------


async def test_6_a_variable_that_a_def_handler_sets_is_lost():
    """6, context: a `def` handler works on a copy of the context: it sees what a layer set, the layer not what it sets."""
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    app = app_with()

    async def around(ctx: InvocationContext, next: Next) -> Any:
        variable.set("layer")
        return [await next(), variable.get()]

    @app.get("/sync")
    @intercept(around)
    def sync() -> Any:
        seen = variable.get()
        variable.set("handler")
        return seen

    @app.get("/async")
    @intercept(around)
    async def asynchronous() -> Any:
        seen = variable.get()
        variable.set("handler")
        return seen

    assert (await ask(app, "/sync")).json() == ["layer", "layer"]
    assert (await ask(app, "/async")).json() == ["layer", "handler"]


async def test_6_a_base_http_middleware_outside():
    """6, context: what a layer sets is not seen by a `BaseHTTPMiddleware`, what it does to the response is."""
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    seen: list[Any] = []
    app = app_with()

    class Middleware(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            variable.set("middleware")
            response = await call_next(request)
            seen.extend((variable.get(), response.headers["x-layer"], outside()))
            return response

    app.add_middleware(Middleware)

    async def around(ctx: InvocationContext, next: Next) -> Any:
        seen.append(variable.get())
        variable.set("layer")
        ctx.response.headers["x-layer"] = "1"
        return await next()

    @app.get("/x")
    @intercept(around)
    async def x() -> None: ...

    assert (await ask(app, "/x")).headers["x-layer"] == "1"
    assert seen == ["middleware", "middleware", "1", True]


# -- streams -----------------------------------------------------------------------------------------------------------


def numbers() -> Any:
    """A generator handler of three items, a fresh one as decorators write on it."""

    async def numbers(fail_at: int) -> AsyncIterator[Any]:
        for number in range(3):
            if number == fail_at:
                raise ValueError(number)
            yield f"{number}\n"

    return numbers


STREAMS: dict[str, dict[str, Any]] = {
    "jsonl": {},
    "sse": {"response_class": EventSourceResponse},
    "raw": {"response_class": StreamingResponse},
}


@pytest.mark.parametrize("kind", STREAMS)
async def test_6_a_stream_of_each_kind_can_be_denied(kind: str):
    """6, streams: JSON lines, server-sent events and raw streams are all denied before the first item."""

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        raise HTTPException(403, "no")

    app = app_with()
    app.get("/x", **STREAMS[kind])(intercept(deny)(numbers()))
    answer = await ask(app, "/x?fail_at=0")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (
        403,
        "application/json",
        {"detail": "no"},
    )


@pytest.mark.parametrize("kind", STREAMS)
async def test_6_an_exception_in_the_middle_of_a_stream(kind: str):
    """6, streams: the layer around the items sees the very error, once, and the error reaches the server."""
    seen: list[Any] = []

    async def watch(ctx: InvocationContext, next: Next) -> Any:
        items = await next()
        seen.append("after")

        async def watched() -> AsyncIterator[Any]:
            try:
                async for item in items:
                    yield item
            except ValueError as error:
                seen.append(error.args)
                raise
            finally:
                seen.append("end")

        return watched()

    app = app_with()
    app.get("/x", **STREAMS[kind])(intercept(watch)(numbers()))
    async with started(app) as client:
        with pytest.raises((ValueError, ExceptionGroup)) as caught:
            await client.get("/x?fail_at=1")
    error: Any = caught.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert (type(error), error.args) == (ValueError, (1,))
    assert seen == ["after", (1,), "end"]


@pytest.mark.parametrize("kind", STREAMS)
async def test_6_the_after_phase_runs_once(kind: str):
    """6, streams: what stands behind `next()` runs exactly once, what wraps the items ends exactly once."""
    log: list[str] = []

    async def wrap(ctx: InvocationContext, next: Next) -> Any:
        items = await next()
        log.append("after")

        async def wrapped() -> AsyncIterator[Any]:
            async for item in items:
                yield item
            log.append("end")

        return wrapped()

    app = app_with()
    app.get("/x", **STREAMS[kind])(intercept(wrap)(numbers()))
    assert (await ask(app, "/x")).status_code == 422
    assert log == []
    answer = await ask(app, "/x?fail_at=7")
    expected = {
        "jsonl": '"0\\n"\n"1\\n"\n"2\\n"\n',
        "sse": 'data: "0\\n"\n\ndata: "1\\n"\n\ndata: "2\\n"\n\n',
        "raw": "0\n1\n2\n",
    }
    assert (answer.text, log) == (expected[kind], ["after", "end"])


# -- responses ---------------------------------------------------------------------------------------------------------


async def test_6_a_handler_that_returns_a_response():
    """6, responses: injected headers, status and background tasks apply although the handler returns its own."""
    log: list[str] = []
    app = app_with()

    async def stamp(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-stamp"] = "layer"
        ctx.response.status_code = 203
        return await next()

    @app.get("/x")
    @intercept(stamp)
    async def x(tasks: BackgroundTasks) -> Response:
        tasks.add_task(log.append, "injected")
        own = BackgroundTasks()
        own.add_task(log.append, "own")
        return JSONResponse([1], headers={"x-own": "handler", "x-stamp": "handler"}, background=own)

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json()) == (203, [1])
    assert (answer.headers["x-stamp"], answer.headers["x-own"]) == ("layer", "handler")
    assert sorted(log) == ["injected", "own"]


@pytest.mark.parametrize("value", [None, {}, [], 0, "", False], ids=repr)
@pytest.mark.parametrize("kind", ["async", "sync", "method"])
async def test_6_a_falsy_short_circuit_is_a_result(value: Any, kind: str):
    """6, short circuits: `None`, `{}`, `[]`, `0`, `""` and `False` are answers like any; the handler does not run."""
    ran: list[str] = []

    async def short(ctx: InvocationContext, next: Next) -> Any:
        return value

    @controller()
    class C:
        @get("/method")
        @intercept(short)
        async def method(self) -> Any:
            ran.append("method")

    app = app_with(C)

    @app.get("/async")
    @intercept(short)
    async def asynchronous() -> Any:
        ran.append("async")

    @app.get("/sync")
    @intercept(short)
    def sync() -> Any:
        ran.append("sync")

    answer = await ask(app, f"/{kind}")
    assert (answer.status_code, answer.json(), ran) == (200, value, [])


async def test_6_empty_lists_are_explicit():
    """6, overrides: an empty chain, an empty `@intercept()` and an empty stream are allowed and change nothing."""
    log: list[str] = []

    async def nothing(ctx: InvocationContext, next: Next) -> Any:
        return []

    @controller(tags=[], dependencies=[])
    @intercept(layer(log, "class"))
    class C:
        @get("/kept", tags=[], dependencies=[])
        @intercept()
        async def kept(self) -> str:
            return "kept"

        @get("/fresh")
        @intercept(inherit=False)
        @skip_interceptors()
        async def fresh(self) -> str:
            return "fresh"

        @get("/chain")
        @intercept(Chain([]))
        async def chain(self) -> str:
            return "chain"

        @get("/stream")
        @intercept(nothing)
        async def stream(self) -> AsyncIterator[int]:
            yield 1

    app = app_with(C)
    expected = {"/kept": '"kept"', "/fresh": '"fresh"', "/chain": '"chain"', "/stream": ""}
    assert {path: (await ask(app, path)).text for path in expected} == expected
    assert log == ["class-pre", "class-post"] * 3


# -- exceptions --------------------------------------------------------------------------------------------------------


class Item(BaseModel):
    n: int


async def test_6_which_exceptions_the_layers_see():
    """6, exceptions: HTTPException and groups are seen; a 422 and a bad response model are outside the layers."""
    log: list[str] = []
    app = app_with()
    app.router.route_class = intercepted_route(app.state.interceptors)

    @app.get("/{what}")
    @intercept(layer(log, "ic"))
    async def x(what: str, n: int = 0) -> Item:
        if what == "http":
            raise HTTPException(404)
        if what == "group":
            async with anyio.create_task_group() as group:
                group.start_soon(fail)
        return "bad" if what == "bad" else Item(n=n)  # type: ignore[return-value]

    async def fail() -> None:
        raise ValueError("in a task group")

    async def outcome(path: str) -> tuple[int, list[str]]:
        log.clear()
        return (await ask_quietly(app, path)).status_code, list(log)

    assert await outcome("/ok") == (200, ["ic-pre", "ic-post"])
    assert await outcome("/ok?n=no") == (422, [])
    assert await outcome("/http") == (404, ["ic-pre", "ic-exc HTTPException"])
    assert await outcome("/group") == (500, ["ic-pre", "ic-exc ExceptionGroup"])
    assert await outcome("/bad") == (500, ["ic-pre", "ic-post"])


async def test_6_a_cancellation_passes_through():
    """6, exceptions: a cancelled request reaches handler and layers as CancelledError, and nothing swallows it."""
    log: list[str] = []
    inside = asyncio.Event()
    app = app_with()

    @app.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> None:
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(ask(app, "/x"))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["ic-pre", "ic-exc CancelledError"]
    assert outside()


async def test_6_a_base_exception_passes_through():
    """6, exceptions: what is no Exception reaches the server as the object it is."""

    class Stop(BaseException):
        pass

    log: list[str] = []
    raised = Stop()
    app = app_with()

    @app.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> None:
        raise raised

    with pytest.raises(Stop) as caught:
        await ask(app, "/x")
    assert caught.value is raised
    assert log == ["ic-pre", "ic-exc Stop"]


# -- signatures --------------------------------------------------------------------------------------------------------

Word = TypeAliasType("Word", Annotated[str, Provide["word"]])
Size = TypeAliasType("Size", int)


async def test_6_aliases_of_types():
    """6, signatures: a `type` alias may stand for a marker and for what FastAPI parses."""
    app = app_with()

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("word", "bound")
        return await next()

    @app.get("/x")
    @intercept(bind)
    async def x(size: Size, word: Word) -> Any:
        return [size, word]

    assert (await ask(app, "/x?size=3")).json() == [3, "bound"]


async def test_6_parameters_that_can_only_be_positional():
    """6, signatures: positional-only parameters, with and without injected ones between them, get their own values."""

    @controller()
    class C:
        @get("/plain")
        async def plain(self, a: int, b: int = 2, /, c: int = 3) -> Any:
            return [a, b, c]

        @get("/mixed")
        async def mixed(self, a: int, request: Request, b: int = 2, /, *, c: int = 3) -> Any:
            return [a, request.url.path, b, c]

        @get("/sync")
        def sync(self, a: int, ctx: InvocationContext, /) -> Any:
            return [a, ctx.method_name]

    app = app_with(C)
    assert (await ask(app, "/plain?a=1&c=9")).json() == [1, 2, 9]
    assert (await ask(app, "/mixed?a=1&b=5")).json() == [1, "/mixed", 5, 3]
    assert (await ask(app, "/sync?a=1")).json() == [1, "sync"]


async def test_6_a_parameter_named_request_is_the_users():
    """6, signatures: `request`, `response` and `context` are names like any if their types are not the special ones."""

    @controller()
    class C:
        @post("/x")
        async def x(me, request: Item, response: int, context: str) -> Any:
            return [request.n, response, context]

    answer = await ask(app_with(C), "/x?response=2&context=c", "POST", json={"n": 1})
    assert answer.json() == [1, 2, "c"]


# -- isolation ---------------------------------------------------------------------------------------------------------


async def test_6_nested_invocations_restore_the_outer_context():
    """6, isolation: after a nested invocation, also one that failed, the outer one is current again."""
    registry = InterceptorRegistry()

    class Service:
        async def work(self, fail: bool) -> str:
            assert InvocationBindings.context().target_name == "Service.work"
            if fail:
                raise ValueError
            return "done"

    service = registry.intercepted(Service())
    app = app_with(registry=registry)

    @app.get("/x")
    async def x(ctx: InvocationContext) -> list[Any]:
        seen = [InvocationBindings.context() is ctx, await service.work(False), InvocationBindings.context() is ctx]
        with pytest.raises(ValueError):
            await service.work(True)
        return [*seen, InvocationBindings.context() is ctx]

    assert (await ask(app, "/x")).json() == [True, "done", True, True]
    assert outside()


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_6_background_tasks_do_not_keep_the_invocation(kind: str):
    """6, isolation: a background task runs after the invocation: there is none in it, in the loop or in a thread."""
    seen: list[bool] = []
    app = app_with()

    async def asynchronous() -> None:
        seen.append(outside())

    def sync() -> None:
        seen.append(outside())

    @app.get("/x")
    async def x(tasks: BackgroundTasks) -> None:
        assert not outside()
        tasks.add_task(asynchronous if kind == "async" else sync)

    await ask(app, "/x")
    assert seen == [True]


# -- next() ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [0, 1, 2, 3])
async def test_6_next_called_any_number_of_times(times: int):
    """6, next: each call runs everything further in again, whole, on the same instance, with the arguments as they are."""
    log: list[str] = []
    instances: set[int] = set()

    async def repeat(ctx: InvocationContext, next: Next) -> Any:
        results = []
        for n in range(times):
            ctx.args["n"] = n
            results.append(await next())
        return results

    @controller()
    @intercept(repeat, layer(log, "inner"))
    class C:
        def __init__(self) -> None:
            log.append("built")

        @get("/{n}")
        async def show(self, n: int) -> Any:
            instances.add(id(self))
            return n

    assert (await ask(app_with(C), "/9")).json() == list(range(times))
    assert log.count("inner-pre") == log.count("inner-post") == times
    assert log.count("built") == len(instances) == min(times, 1)


async def test_6_next_called_after_the_chain_has_ended():
    """6, next: a layer that kept `next` may call it later: it runs again, with this request's arguments."""
    kept: list[Any] = []
    app = app_with()

    async def keep(ctx: InvocationContext, next: Next) -> Any:
        kept.append(next)
        return await next()

    @app.get("/{n}")
    @intercept(keep)
    async def x(n: int) -> int:
        return n

    await ask(app, "/1")
    await ask(app, "/2")
    assert [await next() for next in kept] == [1, 2]


async def test_6_next_called_concurrently():
    """6, next: concurrent calls are independent, each a run of its own."""
    both = asyncio.Barrier(2)
    app = app_with()

    async def race(ctx: InvocationContext, next: Next) -> Any:
        return await asyncio.gather(next(), next())

    @app.get("/{n}")
    @intercept(race)
    async def x(n: int) -> Any:
        await both.wait()
        return n

    assert (await asyncio.wait_for(ask(app, "/4"), 60)).json() == [4, 4]


# -- what is not routed ------------------------------------------------------------------------------------------------


async def test_6_layers_do_not_run_for_404_405_and_options():
    """6, 404/405/OPTIONS: no route, no layer, globals neither; a middleware of the application sees them all."""
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(layer(log, "global"))
    app = app_with(registry=registry)
    seen: list[int] = []

    class Middleware(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            response = await call_next(request)
            seen.append(response.status_code)
            return response

    app.add_middleware(Middleware)

    @app.get("/x")
    async def x() -> None: ...

    for path, verb in (("/y", "GET"), ("/x", "POST"), ("/x", "OPTIONS"), ("/x", "HEAD")):
        await ask(app, path, verb)
    assert (seen, log) == ([404, 405, 405, 405], [])
    await ask(app, "/x")
    assert (seen[-1], log) == (200, ["global-pre", "global-post"])


async def test_6_a_route_may_answer_options_and_head_itself():
    """6, OPTIONS: what is declared as a route has its chain, whatever the verb."""
    log: list[str] = []
    app = app_with()

    @app.options("/x")
    @app.head("/x")
    @intercept(layer(log, "ic"))
    async def x() -> Response:
        return PlainTextResponse("", headers={"allow": "HEAD, OPTIONS"})

    assert [(await ask(app, "/x", verb)).headers["allow"] for verb in ("HEAD", "OPTIONS")] == ["HEAD, OPTIONS"] * 2
    assert log == ["ic-pre", "ic-post"] * 2


# -- mounts ------------------------------------------------------------------------------------------------------------


async def test_6_a_mounted_application_has_its_own_chains_and_overrides():
    """6, mounts: a sub-application's registry, overrides and user are its own, and the outer globals are not in it."""
    log: list[str] = []

    def build(name: str) -> FastAPI:
        registry = InterceptorRegistry(current_user=lambda request: f"{name} user")
        registry.add_global(layer(log, name))

        @controller()
        class C:
            @get("/x")
            async def x(self, ctx: InvocationContext) -> Any:
                return [name, await ctx.current_user(), str(ctx.source)]

        app = FastAPI()
        install(app, registry, controllers=[C])
        return app

    app, sub = build("outer"), build("sub")
    app.mount("/sub", sub)
    async with started(app) as client:
        assert (await client.get("/x")).json() == ["outer", "outer user", "route GET /x"]
        assert log == ["outer-pre", "outer-post"]
        log.clear()
        assert (await client.get("/sub/x")).json() == ["sub", "sub user", "route GET /x"]
        assert log == ["sub-pre", "sub-post"]
