"""Generator handlers: the chain runs before the first item; a layer may deny, replace or wrap the iterator."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector.wiring import Provide
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from interceptors import (
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    Next,
    OutsideInvocationError,
    intercept,
)
from interceptors.fastapi import controller, get, install
from tests.unit.fastapi.serving import app_of, client_of, registry_of
from tests.unit.helpers import passing

EVENTS: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh_events() -> Iterator[None]:
    EVENTS.clear()
    yield
    EVENTS.clear()


def lines(text: str) -> list[Any]:
    """The items of a stream of JSON lines."""
    return [json.loads(line) for line in text.splitlines() if line]


async def layer(ctx: InvocationContext, next: Next) -> Any:
    EVENTS.append("entered")
    result = await next()
    EVENTS.append("left")
    return result


@controller()
class Streams:
    @get("/async")
    async def asynchronous(self, count: int = 2) -> AsyncIterator[int]:
        EVENTS.append("began")
        try:
            for number in range(count):
                yield number
        finally:
            EVENTS.append("closed")

    @get("/plain")
    def plain(self, count: int = 2) -> Iterator[int]:
        EVENTS.append("began")
        try:
            yield from range(count)
        finally:
            EVENTS.append("closed")


PATHS = pytest.mark.parametrize("path", ["/async", "/plain"])


def get_from(path: str, *interceptors: Any, app: FastAPI | None = None, **options: Any) -> Any:
    app = app or app_of(Streams, registry=registry_of(*interceptors))
    return client_of(app, **options).get(path)


@PATHS
def test_the_layers_end_before_the_first_item_is_made(path: str) -> None:
    """`next()` gives the iterator itself; its body runs when the items are sent."""
    answer = get_from(path, layer)

    assert lines(answer.text) == [0, 1]
    assert EVENTS == ["entered", "left", "began", "closed"]


@PATHS
def test_a_layer_may_deny_with_a_clean_status(path: str) -> None:
    """Nothing has been sent, and nothing of the handler has run."""

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        raise HTTPException(403, "denied")

    answer = get_from(path, deny)

    assert (answer.status_code, answer.json()) == (403, {"detail": "denied"})
    assert EVENTS == []


@PATHS
def test_a_wrong_parameter_runs_no_layer(path: str) -> None:
    """It is a 422, as for any handler."""
    assert get_from(f"{path}?count=many", layer).status_code == 422
    assert EVENTS == []


@PATHS
def test_arguments_can_be_changed(path: str) -> None:
    """What a layer assigns reaches the generator."""

    async def change(ctx: InvocationContext, next: Next) -> Any:
        ctx.args["count"] += 1
        return await next()

    assert lines(get_from(f"{path}?count=2", change).text) == [0, 1, 2]


@PATHS
def test_openapi_is_what_fastapi_gives(path: str) -> None:
    """Method or function, the hidden dependency shows nowhere."""

    def declare(app: FastAPI) -> None:
        @app.get("/async")
        async def asynchronous(count: int = 2) -> AsyncIterator[int]:
            yield 1

        @app.get("/plain")
        def plain(count: int = 2) -> Iterator[int]:
            yield 1

    plain, mine = FastAPI(), FastAPI()
    install(mine, registry_of(passing))
    declare(plain)
    declare(mine)

    assert mine.openapi() == plain.openapi() == app_of(Streams).openapi()
    assert client_of(mine).get(path).text == client_of(plain).get(path).text


# -- what a layer returns ----------------------------------------------------------------------------------------------


async def wrap_async(ctx: InvocationContext, next: Next) -> Any:
    items = await next()

    async def doubled() -> AsyncIterator[int]:
        try:
            async for item in items:
                yield 2 * item
        finally:
            EVENTS.append("wrapper closed")

    return doubled()


async def wrap_plain(ctx: InvocationContext, next: Next) -> Any:
    return (2 * item for item in await next())


class Numbers:
    """An iterator that is no generator."""

    def __init__(self) -> None:
        self.left = [1, 2]

    def __aiter__(self) -> "Numbers":
        return self

    async def __anext__(self) -> int:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


@pytest.mark.parametrize(
    ("path", "give", "items"),
    [
        ("/async", wrap_async, [0, 2]),
        ("/plain", wrap_plain, [0, 2]),
        ("/async", lambda: [7, 8], [7, 8]),
        ("/plain", lambda: [], []),
        ("/async", lambda: iter([7]), [7]),
        ("/plain", Numbers, [1, 2]),
    ],
    ids=["around async", "around plain", "list", "empty list", "iterator", "async iterator"],
)
def test_a_layer_may_return_an_iterator_around_it_or_another_one(path: str, give: Any, items: list[int]) -> None:
    """An asynchronous or a plain iterator, or a list."""

    async def answer(ctx: InvocationContext, next: Next) -> Any:
        return give()

    interceptor = give if give in (wrap_async, wrap_plain) else answer

    assert lines(get_from(path, interceptor).text) == items


@PATHS
@pytest.mark.parametrize("value", [5, None, "text", {"a": 1}], ids=repr)
def test_anything_else_is_a_type_error(path: str, value: Any) -> None:
    """The message names the method, what it was given, and what a layer may return."""

    async def answer(ctx: InvocationContext, next: Next) -> Any:
        return value

    name = "asynchronous" if path == "/async" else "plain"
    text = (
        f"The chain of Streams.{name} gave {type(value).__name__!r}; the handler is a generator, so a layer returns what "
        "`next()` gave, another iterator, a list or a Response."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        get_from(path, answer)


@PATHS
def test_a_layer_may_answer_with_a_response(path: str) -> None:
    """It is sent in place of the stream, with the injected headers, its own status and all tasks."""

    async def cached(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "layer"
        return JSONResponse({"cached": True}, status_code=203, background=BackgroundTask(EVENTS.append, "own task"))

    async def task(tasks: BackgroundTasks) -> None:
        tasks.add_task(EVENTS.append, "injected task")

    @controller(dependencies=[Depends(task)])
    class WithTasks(Streams): ...

    answer = get_from(path, app=app_of(WithTasks, registry=registry_of(cached)))

    assert (answer.status_code, answer.json(), answer.headers["x-layer"]) == (203, {"cached": True}, "layer")
    assert sorted(EVENTS) == ["injected task", "own task"]

    async def plainly(ctx: InvocationContext, next: Next) -> Any:
        return PlainTextResponse("plainly")

    EVENTS.clear()
    assert get_from(path, app=app_of(WithTasks, registry=registry_of(plainly))).text == "plainly"
    assert EVENTS == ["injected task"]
    EVENTS.clear()
    assert get_from(path, plainly).text == "plainly"
    assert EVENTS == []


def test_a_response_that_replaces_an_iterator_closes_it() -> None:
    """What the handler opened is closed, though nobody asks for its items."""

    async def replace(ctx: InvocationContext, next: Next) -> Any:
        items = await next()
        EVENTS.append(await anext(items))
        return PlainTextResponse("instead")

    assert get_from("/async", replace).text == "instead"
    assert EVENTS == ["began", 0, "closed"]


def test_next_called_again_gives_another_iterator() -> None:
    """Each is closed, also the one that nobody read to its end."""

    async def both(ctx: InvocationContext, next: Next) -> Any:
        first = await next()
        EVENTS.append(await anext(first))
        return await next()

    assert lines(get_from("/async", both).text) == [0, 1]
    assert EVENTS == ["began", 0, "began", "closed", "closed"]


# -- the items ---------------------------------------------------------------------------------------------------------


@PATHS
def test_the_items_are_made_inside_the_invocation(path: str) -> None:
    """What the generator calls belongs to the same request; afterwards nothing runs."""

    def ask() -> Any:
        return InvocationBindings.request().url.path

    @controller()
    class Asking:
        @get("/async")
        async def asynchronous(self) -> AsyncIterator[str]:
            yield ask()
            yield ask()

        @get("/plain")
        def plain(self) -> Iterator[str]:
            yield ask()
            yield ask()

    def look() -> Iterator[None]:
        yield
        with pytest.raises(OutsideInvocationError):
            InvocationBindings.request()

    @controller(dependencies=[Depends(look)])
    class Checked(Asking): ...

    assert lines(get_from(path, app=app_of(Checked, registry=registry_of(passing))).text) == [path, path]


def test_parameters_and_constructor_are_injected() -> None:
    """As for any handler; the controller is built when the method's turn comes."""

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("word", "bound")
        return await next()

    @controller()
    class Injected:
        def __init__(self, word: Annotated[str, Provide["word"]]) -> None:
            self.word = word

        @get("/async")
        async def asynchronous(
            self, word: Annotated[str, Provide["word"]], request: Request, ctx: InvocationContext
        ) -> AsyncIterator[Any]:
            yield self.word
            yield word
            yield request.url.path
            yield ctx.target is self

    answer = get_from("/async", app=app_of(Injected, registry=registry_of(bind)))

    assert lines(answer.text) == ["bound", "bound", "/async", True]


@pytest.mark.parametrize("path", ["/async", "/plain", "/sse"])
def test_context_variables_that_layers_set_are_seen_by_the_items(path: str) -> None:
    """As in any handler: a tracing or logging layer reaches what the generator does."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def setting(ctx: InvocationContext, next: Next) -> Any:
        variable.set("set by a layer")
        return await next()

    @controller()
    class Reading:
        @get("/async")
        async def asynchronous(self) -> AsyncIterator[str]:
            yield variable.get()
            yield variable.get()

        @get("/plain")
        def plain(self) -> Iterator[str]:
            yield variable.get()
            yield variable.get()

        @get("/sse", response_class=EventSourceResponse)
        async def sse(self) -> AsyncIterator[str]:
            yield variable.get()
            yield variable.get()

    answer = get_from(path, app=app_of(Reading, registry=registry_of(setting)))

    assert answer.text.count("set by a layer") == 2


def test_the_endpoint_of_a_stream_runs_its_chain_on_a_plain_application_too() -> None:
    """Where a library has taken it from our route: the chain still runs around it, before the first item."""
    app = app_of(Streams, registry=registry_of(layer))
    endpoint = next(route.endpoint for route in app.routes if getattr(route, "path", "") == "/async")
    plain = FastAPI()
    plain.add_api_route("/", endpoint)
    EVENTS.clear()
    expected = get_from("/async", app=app).text
    events = list(EVENTS)
    EVENTS.clear()
    assert get_from("/", app=plain).text == expected and EVENTS == events


def test_a_route_class_of_ones_own_may_answer_in_place_of_a_stream() -> None:
    """Then no layer runs, and nothing is opened."""

    class Answering(APIRoute):
        def get_route_handler(self) -> Any:
            async def answer(request: Request) -> PlainTextResponse:
                return PlainTextResponse("answered")

            return answer

    @controller(route_class=Answering)
    class Answered(Streams): ...

    assert get_from("/async", app=app_of(Answered, registry=registry_of(layer))).text == "answered"
    assert EVENTS == []


def test_server_sent_events_and_raw_streams() -> None:
    """Every kind of stream that FastAPI makes of a generator."""

    @controller()
    class Kinds:
        @get("/sse", response_class=EventSourceResponse)
        async def sse(self) -> AsyncIterator[ServerSentEvent]:
            yield ServerSentEvent(data={"a": 1}, event="hello")

        @get("/raw", response_class=StreamingResponse)
        async def raw(self) -> AsyncIterator[bytes]:
            yield b"one "
            yield b"two"

    app = app_of(Kinds, registry=registry_of(layer))
    answer = get_from("/sse", app=app)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: hello" in answer.text
    assert get_from("/raw", app=app).text == "one two"
    assert EVENTS == ["entered", "left"] * 2


def test_an_error_between_items_is_the_streams_own() -> None:
    """A layer that wants to see it returns an iterator around it."""

    async def watch(ctx: InvocationContext, next: Next) -> Any:
        items = await next()

        async def watched() -> AsyncIterator[Any]:
            try:
                async for item in items:
                    yield item
            except ZeroDivisionError:
                EVENTS.append("seen")
                raise

        return watched()

    @controller()
    class Failing:
        @get("/")
        async def fail(self) -> AsyncIterator[int]:
            yield 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        get_from("/", app=app_of(Failing, registry=registry_of(watch)))
    assert EVENTS == ["seen"]


@PATHS
def test_what_a_layer_sets_on_the_response_is_on_the_stream(path: str) -> None:
    """Headers, cookies and the status, once each; those of a dependency stay."""

    async def decorate(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "layer"
        ctx.response.set_cookie("a", "1")
        ctx.response.status_code = 206
        return await next()

    async def dependency(response: Response) -> None:
        response.headers["x-dependency"] = "dependency"

    @controller(dependencies=[Depends(dependency)])
    class Decorated(Streams): ...

    answer = get_from(path, app=app_of(Decorated, registry=registry_of(decorate)))

    assert (answer.status_code, lines(answer.text)) == (206, [0, 1])
    assert [answer.headers.get_list(name) for name in ("x-layer", "x-dependency")] == [["layer"], ["dependency"]]
    assert len(answer.headers.get_list("set-cookie")) == 1


@PATHS
def test_dependencies_with_yield_end_after_the_items(path: str) -> None:
    """What they hold open is there for the generator; they end too if a layer denies."""

    async def session() -> AsyncIterator[None]:
        EVENTS.append("opened")
        try:
            yield
        finally:
            EVENTS.append("session ended")

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        raise HTTPException(403)

    @controller(dependencies=[Depends(session)])
    class WithSession(Streams): ...

    get_from(path, app=app_of(WithSession, registry=registry_of(passing)))
    assert EVENTS == ["opened", "began", "closed", "session ended"]
    EVENTS.clear()
    assert get_from(path, app=app_of(WithSession, registry=registry_of(deny))).status_code == 403
    assert EVENTS == ["opened", "session ended"]


def test_a_response_that_cannot_be_made_leaves_nothing_open() -> None:
    """An error of the response class is raised as it is; the layers have run, and dependencies end."""

    class Broken(StreamingResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ZeroDivisionError

    async def session() -> AsyncIterator[None]:
        try:
            yield
        finally:
            EVENTS.append("session ended")

    @controller(dependencies=[Depends(session)])
    class Failing:
        @get("/", response_class=Broken)
        async def fail(self) -> AsyncIterator[bytes]:
            yield b""

    with pytest.raises(ZeroDivisionError):
        get_from("/", app=app_of(Failing, registry=registry_of(layer)))
    assert EVENTS == ["entered", "left", "session ended"]


# -- closing -----------------------------------------------------------------------------------------------------------


async def go_away(app: FastAPI, path: str, after: int) -> list[bytes]:
    """A client that disconnects once it has got `after` chunks."""
    got: list[bytes] = []
    gone = anyio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            got.append(message["body"])
            if len(got) == after:
                gone.set()
                await anyio.sleep_forever()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"count=1000000",
        "headers": [],
        "client": ("client", 1),
        "server": ("server", 80),
        "state": {},
    }
    with anyio.fail_after(5):
        await app(scope, receive, send)
    return got


@PATHS
async def test_the_iterator_is_closed_when_the_client_goes_away(path: str) -> None:
    """Its `finally` blocks run, those of what layers put around it, too."""
    assert await go_away(app_of(Streams, registry=registry_of(layer)), path, after=2)
    assert EVENTS == ["entered", "left", "began", "closed"]


async def test_what_layers_put_around_it_is_closed_first() -> None:
    """From the outside in."""
    await go_away(app_of(Streams, registry=registry_of(wrap_async)), "/async", after=2)
    assert EVENTS == ["began", "wrapper closed", "closed"]


async def test_an_iterator_that_cannot_be_closed_is_left_alone() -> None:
    """A list, or an object without `aclose`, holds nothing open."""

    async def instead(ctx: InvocationContext, next: Next) -> Any:
        return list(range(100))

    assert await go_away(app_of(Streams, registry=registry_of(instead)), "/async", after=2)


def test_an_error_in_a_layer_leaves_nothing_open() -> None:
    """A generator that was opened and never read has nothing to clean up."""

    async def fail(ctx: InvocationContext, next: Next) -> Any:
        await next()
        raise HTTPException(409, "too late")

    answer = get_from("/async", fail)

    assert (answer.status_code, EVENTS) == (409, [])


def test_functions_can_be_streams_too() -> None:
    """On the application and with what stands on the function."""
    app = FastAPI()
    install(app, InterceptorRegistry())

    @app.get("/")
    @intercept(layer)
    async def numbers(count: int = 2) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    assert lines(get_from("/?count=3", app=app).text) == [0, 1, 2]
    assert EVENTS == ["entered", "left"]
