"""Generator handlers: JSON lines, server-sent events and raw streams behind a chain."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import EventSourceResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.sse import ServerSentEvent

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, intercept
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, post
from tests.integration.support import Next, app_with, ask, layer, outside, served

KINDS: dict[str, dict[str, Any]] = {
    "jsonl": {},
    "sse": {"response_class": EventSourceResponse},
    "raw": {"response_class": StreamingResponse},
}


def sent(kind: str, *items: str) -> str:
    """How the items look on the wire."""
    line = {"jsonl": '"{}"\n', "sse": 'data: "{}"\n\n', "raw": "{}"}[kind]
    return "".join(line.format(item) for item in items)


def stream(kind: str, handler: Any, *layers: Any, registry: InterceptorRegistry | None = None) -> FastAPI:
    """An application with one stream behind layers."""
    app = app_with(registry=registry)
    app.get("/x", **KINDS[kind])(intercept(*layers)(handler))
    return app


def letters() -> Callable[[], AsyncIterator[str]]:
    """A fresh handler that gives a and b."""

    async def letters() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    return letters


# -- what a layer gets and may give ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_next_gives_the_iterator_itself(kind: str):
    """`next()` gives the generator that the handler made, before its first item, and layers end before it starts."""
    log: list[str] = []
    made: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        made.append(await next())
        log.append("layer ends")
        return made[-1]

    async def handler() -> AsyncIterator[str]:
        log.append("generator starts")
        yield "a"

    answer = await ask(stream(kind, handler, look), "/x")
    assert answer.text == sent(kind, "a")
    assert log == ["layer ends", "generator starts"]
    assert made[0].ag_code is handler.__code__


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sync", [False, True])
async def test_a_layer_denies_before_the_first_item(kind: str, sync: bool):
    """An HTTPException from a layer is its clean status, before and after `next()`, and no line of the handler runs."""
    log: list[str] = []

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        if "late" in ctx.request.query_params:
            await next()
        raise HTTPException(403, "no", {"x-why": "because"})

    async def asynchronous() -> AsyncIterator[str]:
        log.append("started")
        yield "a"

    def synchronous() -> Iterator[str]:
        log.append("started")
        yield "a"

    app = stream(kind, synchronous if sync else asynchronous, deny)
    for path in ("/x", "/x?late=1"):
        answer = await ask(app, path)
        assert (answer.status_code, answer.json(), answer.headers["x-why"]) == (403, {"detail": "no"}, "because")
    assert log == []


@pytest.mark.parametrize("kind", KINDS)
async def test_layers_wrap_the_items(kind: str):
    """Each layer may return an iterator around that of the layer inside; the outermost one is what is sent."""

    def wrapping(mark: str) -> Any:
        async def wrap(ctx: InvocationContext, next: Next) -> Any:
            items = await next()

            async def wrapped() -> AsyncIterator[str]:
                async for item in items:
                    yield f"{mark}{item}"
                yield f"{mark}end"

            return wrapped()

        return wrap

    answer = await ask(stream(kind, letters(), wrapping("1"), wrapping("2")), "/x")
    assert answer.text == sent(kind, "12a", "12b", "12end", "1end")


INSTEAD: dict[str, Callable[[], Any]] = {
    "list": lambda: ["c", "d"],
    "iterator": lambda: iter(["c", "d"]),
    "generator": lambda: (item for item in ("c", "d")),
    "async iterator": lambda: AsyncList(["c", "d"]),
}


class AsyncList:
    """An async iterator that is no generator."""

    def __init__(self, items: list[str]) -> None:
        self.items = list(items)

    def __aiter__(self) -> "AsyncList":
        return self

    async def __anext__(self) -> str:
        if not self.items:
            raise StopAsyncIteration
        return self.items.pop(0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("instead", INSTEAD)
async def test_something_else_to_iterate_over(instead: str, kind: str):
    """A list or another iterator takes the place of the handler's, which never starts."""
    log: list[str] = []

    async def replace(ctx: InvocationContext, next: Next) -> Any:
        if "call" in ctx.request.query_params:
            await next()
        return INSTEAD[instead]()

    async def handler() -> AsyncIterator[str]:
        log.append("started")
        yield "a"

    app = stream(kind, handler, replace)
    assert [(await ask(app, path)).text for path in ("/x", "/x?call=1")] == [sent(kind, "c", "d")] * 2
    assert log == []


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_list(kind: str):
    """No items are no error."""

    async def nothing(ctx: InvocationContext, next: Next) -> Any:
        return []

    answer = await ask(stream(kind, letters(), nothing), "/x")
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_response_instead(kind: str):
    """A `Response` instead is the answer: its body, status and type, with what was injected, and it stays untouched."""
    log: list[str] = []
    shared = JSONResponse({"cached": True}, 203, {"x-own": "1"})
    before = dict(vars(shared)), list(shared.raw_headers)

    async def replace(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "1"
        ctx.response.set_cookie("c", "1")
        return shared

    async def handler(tasks: BackgroundTasks) -> AsyncIterator[str]:
        log.append("started")
        yield "a"

    async def task(tasks: BackgroundTasks) -> None:
        tasks.add_task(log.append, "task")

    app = app_with()
    app.get("/x", dependencies=[Depends(task)], **KINDS[kind])(intercept(replace)(handler))
    for _ in range(2):
        answer = await ask(app, "/x")
        assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (
            203,
            {"cached": True},
            "application/json",
        )
        assert (answer.headers["x-own"], answer.headers["x-layer"], answer.cookies["c"]) == ("1", "1", "1")
    assert log == ["task", "task"]
    assert (vars(shared), shared.raw_headers) == before


@pytest.mark.parametrize(
    "result", [None, 7, "text", {"a": 1}, (1, 2), letters()], ids=lambda result: type(result).__name__
)
@pytest.mark.parametrize("kind", KINDS)
async def test_anything_else_is_a_type_error(kind: str, result: Any):
    """What cannot be iterated over as items is a TypeError before anything is sent, that says what a layer returns."""

    async def replace(ctx: InvocationContext, next: Next) -> Any:
        return result

    async def handler() -> AsyncIterator[str]:
        yield "a"

    with pytest.raises(TypeError) as caught:
        await ask(stream(kind, handler, replace), "/x")
    assert str(caught.value).endswith(
        f"handler gave {type(result).__name__!r}; the handler is a generator, so a layer returns what `next()` gave, "
        "another iterator, a list or a Response."
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_layer_may_look_at_the_first_item(kind: str):
    """A layer may take the first item itself and deny because of it, or give it on."""

    async def peek(ctx: InvocationContext, next: Next) -> Any:
        items = await next()
        first = await anext(items)
        if "deny" in ctx.request.query_params:
            raise HTTPException(404, first)

        async def again() -> AsyncIterator[str]:
            yield first
            async for item in items:
                yield item

        return again()

    app = stream(kind, letters(), peek)
    assert (await ask(app, "/x")).text == sent(kind, "a", "b")
    answer = await ask(app, "/x?deny=1")
    assert (answer.status_code, answer.json()) == (404, {"detail": "a"})


@pytest.mark.parametrize("kind", KINDS)
async def test_a_generator_that_was_begun_and_is_denied_is_closed(kind: str):
    """A layer that has taken an item and raises leaves no open generator behind the answer."""
    log: list[str] = []

    async def peek(ctx: InvocationContext, next: Next) -> Any:
        items = await next()
        kept.append(items)  # the garbage collector does not do it
        await anext(items)
        raise HTTPException(404)

    async def handler() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            log.append("closed")

    kept: list[Any] = []
    assert (await ask(stream(kind, handler, peek), "/x")).status_code == 404
    assert log == ["closed"]


# -- closing -----------------------------------------------------------------------------------------------------------


async def gone(port: int, path: str, wanted: bytes) -> None:
    """Ask over a socket, read until the first item has come, and hang up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    await asyncio.wait_for(reader.readuntil(wanted), 60)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_iterator_is_closed_when_the_client_goes_away(kind: str):
    """Over a real socket: client gone, the wrapper and the generator are closed, then the `yield` dependency is left."""
    log: list[str] = []
    closed = asyncio.Event()

    async def dependency() -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("dependency left")
            closed.set()

    async def wrap(ctx: InvocationContext, next: Next) -> Any:
        items = await next()

        async def wrapped() -> AsyncIterator[str]:
            try:
                async for item in items:
                    yield item
            finally:
                log.append("wrapper closed")

        return wrapped()

    async def handler(needed: Annotated[None, Depends(dependency)]) -> AsyncIterator[str]:
        try:
            while True:
                yield "first"
                await asyncio.sleep(0)
        finally:
            log.append("generator closed")

    async with served(stream(kind, handler, wrap)) as port:
        await gone(port, "/x", b"first")
        await asyncio.wait_for(closed.wait(), 60)
    assert sorted(log[:2]) == ["generator closed", "wrapper closed"]
    assert log[2:] == ["dependency left"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_generator_that_waits_is_closed_too(kind: str):
    """A handler that waits for something when the client goes away is cancelled where it waits."""
    log: list[str] = []
    closed = asyncio.Event()

    async def handler() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        finally:
            log.append("closed")
            closed.set()

    async with served(stream(kind, handler, layer([], "ic"))) as port:
        await gone(port, "/x", b"first")
        await asyncio.wait_for(closed.wait(), 60)
    assert log == ["cancelled", "closed"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sync_generator_is_closed_in_a_thread(kind: str):
    """A `def` generator is run and closed in worker threads when the client goes away."""
    threads: list[int] = []
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def handler() -> Iterator[str]:
        try:
            while True:
                yield "first"
        finally:
            threads.append(threading.get_ident())
            loop.call_soon_threadsafe(closed.set)

    async with served(stream(kind, handler, layer([], "ic"))) as port:
        await gone(port, "/x", b"first")
        await asyncio.wait_for(closed.wait(), 60)
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrapper_that_stops_early_closes_the_generator(kind: str):
    """A layer that sends only some of the items leaves nothing open behind it."""
    log: list[str] = []

    async def first_only(ctx: InvocationContext, next: Next) -> Any:
        items = await next()

        async def first() -> AsyncIterator[str]:
            yield await anext(items)

        return first()

    async def handler() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            log.append("closed")

    assert (await ask(stream(kind, handler, first_only), "/x")).text == sent(kind, "a")
    assert log == ["closed"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrapper_that_fails_while_it_is_closed(kind: str):
    """The generator is closed although the wrapper around it raises when it is closed."""
    log: list[str] = []

    async def wrap(ctx: InvocationContext, next: Next) -> Any:
        items = await next()

        async def failing() -> AsyncIterator[str]:
            try:
                yield await anext(items)
                yield await anext(items)
            finally:
                log.append("wrapper fails")
                raise ValueError("while closing")

        return failing()

    async def handler() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            log.append("generator closed")
            closed.set()

    closed = asyncio.Event()
    async with served(stream(kind, handler, wrap)) as port:
        await gone(port, "/x", b"first")
        await asyncio.wait_for(closed.wait(), 60)
    assert sorted(log) == ["generator closed", "wrapper fails"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_that_ends_by_itself_is_closed_once(kind: str):
    """Where everything is sent the generator has ended, and nothing happens to it a second time."""
    log: list[str] = []

    async def handler() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            log.append("ended")

    assert (await ask(stream(kind, handler, layer(log, "ic")), "/x")).text == sent(kind, "a")
    assert log == ["ic-pre", "ic-post", "ended"]


@pytest.mark.parametrize("kind", KINDS)
async def test_next_twice_makes_two_generators(kind: str):
    """`next()` again gives a fresh iterator; both are closed in the end."""
    log: list[str] = []

    async def again(ctx: InvocationContext, next: Next) -> Any:
        first = await next()
        assert await anext(first) == "a"
        return await next()

    async def handler() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            log.append("closed")

    assert (await ask(stream(kind, handler, again), "/x")).text == sent(kind, "a", "b")
    assert log == ["closed", "closed"]


# -- inside the generator ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sync", [False, True])
async def test_the_invocation_is_there_inside_the_generator(kind: str, sync: bool):
    """`InvocationBindings` work for every item, services called from there belong to the request; afterwards not."""
    registry = InterceptorRegistry(current_user=lambda request: "alice")
    seen: list[Any] = []

    class Service:
        async def work(self) -> str:
            ctx = InvocationBindings.context()
            return f"{ctx.request.url.path} {await ctx.current_user()} {await ctx.get('bound')}"

    service = registry.intercepted(Service())

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind_request("bound", "b")
        await ctx.current_user()
        return await next()

    async def asynchronous() -> AsyncIterator[str]:
        for _ in range(2):
            yield f"{InvocationBindings.request().url.path} {await service.work()}"

    def synchronous() -> Iterator[str]:
        for _ in range(2):
            yield f"{InvocationBindings.request().url.path} /x {InvocationBindings.current_user()} b"

    async def task() -> None:
        seen.append(outside())

    async def after(tasks: BackgroundTasks) -> AsyncIterator[None]:
        tasks.add_task(task)
        yield
        seen.append(outside())

    app = app_with(registry=registry)
    handler = intercept(bind)(synchronous if sync else asynchronous)
    app.get("/x", dependencies=[Depends(after)], **KINDS[kind])(handler)
    assert (await ask(app, "/x")).text == sent(kind, "/x /x alice b", "/x /x alice b")
    assert seen == [True, True]
    assert outside()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("value", ["layer", None])
async def test_a_variable_that_a_layer_sets_is_seen_by_the_generator(kind: str, sync: bool, value: str | None):
    """A context variable that a layer sets is set inside the generator, for every item, as it is inside any handler."""
    variable: ContextVar[str | None] = ContextVar("variable", default="nothing")

    async def set_variable(ctx: InvocationContext, next: Next) -> Any:
        variable.set(value)
        return await next()

    async def asynchronous() -> AsyncIterator[str]:
        yield str(variable.get())
        yield str(variable.get())

    def synchronous() -> Iterator[str]:
        yield str(variable.get())
        yield str(variable.get())

    app = stream(kind, synchronous if sync else asynchronous, set_variable)
    assert (await ask(app, "/x")).text == sent(kind, str(value), str(value))


@pytest.mark.parametrize("kind", KINDS)
async def test_two_streams_at_once(kind: str):
    """Streams that are sent at the same time keep to their own invocation."""
    both = asyncio.Barrier(2)

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind_request("who", ctx.request.query_params["who"])
        return await next()

    async def handler() -> AsyncIterator[str]:
        for _ in range(3):
            await both.wait()
            yield await InvocationBindings.context().get("who")

    app = stream(kind, handler, bind)
    answers = await asyncio.wait_for(asyncio.gather(ask(app, "/x?who=a"), ask(app, "/x?who=b")), 10)
    assert [answer.text for answer in answers] == [sent(kind, *"aaa"), sent(kind, *"bbb")]


async def test_values_and_arguments_of_a_generator():
    """Injected parameters, `Depends`, arguments that a layer changes, and a controller that is injected, all as usual."""

    class Values(containers.DeclarativeContainer):
        word = providers.Factory(str, "w")

    async def double(ctx: InvocationContext, next: Next) -> Any:
        assert ctx.args.names == ("n", "needed")
        ctx.args["n"] *= 2
        return await next()

    async def needed() -> str:
        return "needed"

    @controller()
    class C:
        def __init__(self, word: Annotated[str, Provide["word"]]) -> None:
            self.word = word

        @get("/x")
        @intercept(double)
        async def x(
            self,
            n: int,
            request: Request,
            ctx: InvocationContext,
            word: Annotated[str, Provide["word"]],
            needed: Annotated[str, Depends(needed)],
        ) -> AsyncIterator[Any]:
            for value in (n, request.url.path, str(ctx.source), word, self.word, needed):
                yield value

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry(Values())), prefix="/v1")
    answer = await ask(app, "/v1/x?n=2")
    assert answer.text == '4\n"/v1/x"\n"route GET /v1/x"\n"w"\n"w"\n"needed"\n'


# -- the response around the items -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_injected_headers_status_and_tasks(kind: str):
    """Headers, cookies, status and tasks that a dependency, a layer or the handler's layers set are on the stream."""
    log: list[str] = []

    async def dependency(response: Response, tasks: BackgroundTasks) -> None:
        response.headers["x-dependency"] = "1"
        response.headers["x-both"] = "dependency"
        tasks.add_task(log.append, "task")

    async def stamp(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "1"
        ctx.response.headers["x-both"] = "layer"
        ctx.response.set_cookie("a", "1")
        ctx.response.set_cookie("b", "2")
        ctx.response.status_code = 206
        return await next()

    app = app_with()
    app.get("/x", dependencies=[Depends(dependency)], status_code=202, **KINDS[kind])(intercept(stamp)(letters()))
    answer = await ask(app, "/x")
    assert (answer.status_code, answer.text) == (206, sent(kind, "a", "b"))
    assert (answer.headers["x-dependency"], answer.headers["x-layer"]) == ("1", "1")
    assert answer.headers.get_list("x-both") == ["layer"]
    assert dict(answer.cookies) == {"a": "1", "b": "2"}
    assert len(answer.headers.get_list("content-type")) == (kind != "raw")
    assert log == ["task"]


class Ring(APIRoute):
    """A route class of the user's: notes when it is entered and left, and sets a header."""

    log: list[str]

    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def ring(request: Request) -> Response:
            self.log.append("ring-pre")
            try:
                response = await handler(request)
            except HTTPException as error:
                self.log.append("ring-exc")
                return PlainTextResponse(f"ring saw {error.detail}", error.status_code)
            response.headers["x-ring"] = "1"
            self.log.append("ring-post")
            return response

        return ring


@pytest.mark.parametrize("kind", KINDS)
async def test_a_route_class_of_ones_own_is_outside_the_chain(kind: str):
    """The outer ring is around the layers of a stream, too: entered before and left after them, its headers are sent."""
    log: list[str] = []

    class Mine(Ring):
        pass

    Mine.log = log

    async def dependency(response: Response) -> None:
        response.headers["x-dependency"] = "1"

    app = FastAPI()
    app.router.route_class = intercepted_route(InterceptorRegistry(), base=Mine)
    handler = intercept(layer(log, "ic"))(letters())
    app.get("/x", dependencies=[Depends(dependency)], **KINDS[kind])(handler)
    answer = await ask(app, "/x")
    assert answer.text == sent(kind, "a", "b")
    assert (answer.headers["x-ring"], answer.headers.get_list("x-dependency")) == ("1", ["1"])
    assert log == ["ring-pre", "ic-pre", "ic-post", "ring-post"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_route_class_of_ones_own_sees_the_denial(kind: str):
    """What a layer raises before a stream reaches the outer ring, as it does for any handler."""
    log: list[str] = []

    class Mine(Ring):
        pass

    Mine.log = log

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        raise HTTPException(403, "no")

    app = FastAPI()
    app.router.route_class = intercepted_route(InterceptorRegistry(), base=Mine)
    app.get("/x", **KINDS[kind])(intercept(deny)(letters()))
    answer = await ask(app, "/x")
    assert (answer.status_code, answer.text) == (403, "ring saw no")
    assert log == ["ring-pre", "ring-exc"]


@pytest.mark.parametrize("kind", ["jsonl", "raw"])
async def test_a_route_class_of_ones_own_may_read_the_stream(kind: str):
    """An outer ring that reads the body, to log it or to make a tag of it, gets the items: it does not wait for ever."""

    class Reading(APIRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def reading(request: Request) -> Response:
                response: Any = await handler(request)
                body = "".join(
                    [part if isinstance(part, str) else part.decode() async for part in response.body_iterator]
                )
                return PlainTextResponse(f"read {body}")

            return reading

    app = FastAPI()
    app.router.route_class = intercepted_route(InterceptorRegistry(), base=Reading)
    app.get("/x", **KINDS[kind])(intercept(layer([], "ic"))(letters()))
    answer = await asyncio.wait_for(ask(app, "/x"), 60)
    assert answer.text == f"read {sent(kind, 'a', 'b')}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", ["ok", "denied", "422", "error"])
async def test_yield_dependencies_of_a_stream(kind: str, outcome: str):
    """They are entered before the layers, see what the layers raise, and are left after the last item."""
    log: list[str] = []

    async def dependency() -> AsyncIterator[None]:
        log.append("enter")
        try:
            yield
        except Exception as error:
            log.append(type(error).__name__)
            raise
        finally:
            log.append("exit")

    async def maybe(ctx: InvocationContext, next: Next) -> Any:
        log.append("layer")
        if outcome == "denied":
            raise HTTPException(403)
        return await next()

    async def handler(n: int = 0) -> AsyncIterator[str]:
        log.append("item")
        yield "a"
        if outcome == "error":
            raise ValueError

    app = app_with()
    app.get("/x", dependencies=[Depends(dependency)], **KINDS[kind])(intercept(maybe)(handler))
    if outcome == "error":
        with pytest.raises((ValueError, ExceptionGroup)):
            await ask(app, "/x")
        assert log[:3] == ["enter", "layer", "item"]
        assert log[-1] == "exit"
        return
    answer = await ask(app, "/x?n=no" if outcome == "422" else "/x")
    expected: dict[str, Any] = {
        "ok": (200, ["enter", "layer", "item", "exit"]),
        "denied": (403, ["enter", "layer", "HTTPException", "exit"]),
        "422": (422, ["enter", "RequestValidationError", "exit"]),
    }
    assert (answer.status_code, log) == expected[outcome]


async def test_server_sent_events_are_sent_as_they_are():
    """`ServerSentEvent` items keep their fields behind a layer, and models are validated and serialised."""

    async def handler() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data={"n": 1}, event="first", id="1", retry=5)
        yield ServerSentEvent(raw_data="raw", comment="note")

    async def plain() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data={"n": 1}, event="first", id="1", retry=5)
        yield ServerSentEvent(raw_data="raw", comment="note")

    untouched = FastAPI()
    untouched.get("/x", **KINDS["sse"])(plain)
    found, expected = await ask(stream("sse", handler, layer([], "ic")), "/x"), await ask(untouched, "/x")
    assert (found.text, dict(found.headers)) == (expected.text, dict(expected.headers))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_is_the_same_with_and_without_layers(kind: str):
    """Body, status and headers of an intercepted stream are those of plain FastAPI."""
    untouched = FastAPI()
    untouched.get("/x", status_code=201, **KINDS[kind])(letters())
    app = app_with()
    app.get("/x", status_code=201, **KINDS[kind])(intercept(layer([], "ic"))(letters()))
    found, expected = await ask(app, "/x"), await ask(untouched, "/x")
    assert (found.status_code, found.text) == (expected.status_code, expected.text)
    assert found.headers.multi_items() == expected.headers.multi_items()


async def test_items_are_sent_as_they_come():
    """Over a real socket: the first item arrives while the handler still waits with the second."""
    go_on = asyncio.Event()

    async def handler() -> AsyncIterator[str]:
        yield "first"
        await go_on.wait()
        yield "second"

    async with served(stream("jsonl", handler, layer([], "ic"))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b'"first"\n'), 60)
        assert b"second" not in head
        go_on.set()
        assert b'"second"' in await asyncio.wait_for(reader.read(), 60)
        writer.close()
        await writer.wait_closed()


async def test_a_stream_of_an_included_router_and_a_body():
    """A generator method with a body, included with a prefix: parsed, intercepted and streamed."""
    log: list[str] = []

    @controller(prefix="/c")
    @intercept(layer(log, "ic"))
    class C:
        @post("/x")
        async def x(self, numbers: list[int]) -> AsyncIterator[int]:
            for number in numbers:
                yield number

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry()), prefix="/v1")
    assert (await ask(app, "/v1/c/x", "POST", json=[1, 2])).text == "1\n2\n"
    assert (await ask(app, "/v1/c/x", "POST", json="no")).status_code == 422
    assert log == ["ic-pre", "ic-post"]


async def test_a_function_before_the_installation():
    """A generator function declared on the application before `install` is intercepted as a stream."""
    log: list[str] = []
    app = FastAPI()
    app.get("/x")(intercept(layer(log, "ic"))(letters()))
    install(app, InterceptorRegistry())
    assert (await ask(app, "/x")).text == sent("jsonl", "a", "b")
    assert log == ["ic-pre", "ic-post"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_chain_of_a_stream(kind: str):
    """A request that is cancelled while a layer waits leaves nothing behind: layer, dependency and invocation end."""
    log: list[str] = []
    inside = asyncio.Event()

    async def dependency() -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("dependency left")

    async def wait(ctx: InvocationContext, next: Next) -> Any:
        inside.set()
        try:
            await anyio.sleep_forever()
        finally:
            log.append("layer left")

    app = app_with()
    app.get("/x", dependencies=[Depends(dependency)], **KINDS[kind])(intercept(wait)(letters()))
    before = asyncio.all_tasks()
    task = asyncio.create_task(ask(app, "/x"))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["layer left", "dependency left"]
    assert asyncio.all_tasks() == before
    assert outside()
