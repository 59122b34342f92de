"""WebSocket methods: the chain runs around the whole conversation; a client is never left waiting."""

import re
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import Depends, HTTPException, WebSocket, WebSocketException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from interceptors import InterceptorRegistry, InvalidTargetError, InvocationContext, Next, UnknownKeyError, intercept
from interceptors.fastapi import bind_request, controller, create_router, get, websocket
from tests.unit.fastapi.serving import app_of, client_of, registry_of
from tests.unit.helpers import place

EVENTS: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh_events() -> Any:
    EVENTS.clear()
    yield
    EVENTS.clear()


async def layer(ctx: InvocationContext, next: Next) -> Any:
    EVENTS.append("entered")
    try:
        return await next()
    finally:
        EVENTS.append("left")


@controller()
class Talk:
    @websocket("/echo/{name}")
    async def echo(self, socket: WebSocket, name: str, greeting: str = "hello") -> None:
        await socket.accept()
        await socket.send_text(f"{greeting} {name}")
        EVENTS.append(await socket.receive_text())

    @websocket("/never")
    async def never(self, socket: WebSocket) -> None:
        EVENTS.append("never accepted")


def test_the_chain_runs_around_the_whole_conversation() -> None:
    """A layer is entered before the socket is accepted and left when the method ends."""
    with client_of(app_of(Talk, registry=registry_of(layer))).websocket_connect("/echo/x") as socket:
        assert socket.receive_text() == "hello x"
        assert EVENTS == ["entered"]
        socket.send_text("said")
    assert EVENTS == ["entered", "said", "left"]


def test_the_context_has_the_websocket_for_its_request() -> None:
    """There is no response; arguments are what FastAPI parsed, the socket among them, and can be changed."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx.request is ctx.args["socket"], ctx.response, ctx.args.names, ctx.target_name))
        ctx.args["greeting"] = "changed"
        return await next()

    with client_of(app_of(Talk, registry=registry_of(look))).websocket_connect("/echo/x") as socket:
        assert socket.receive_text() == "changed x"
        socket.send_text("bye")

    assert seen == [(True, None, ("socket", "name", "greeting"), "Talk.echo")]


def test_a_conversation_that_nobody_accepted_is_closed() -> None:
    """By a method that forgets to, or a layer that answers itself: the client gets 1008 and does not wait."""

    async def answer(ctx: InvocationContext, next: Next) -> None:
        return None

    for interceptors in ((), (answer,)):
        client = client_of(app_of(Talk, registry=registry_of(*interceptors)))
        with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/never"):
            pass
        assert caught.value.code == 1008


@pytest.mark.parametrize(
    ("error", "code"),
    [(HTTPException(403), 1008), (WebSocketException(4001), 4001)],
    ids=["HTTPException", "WebSocketException"],
)
def test_a_layer_denies_by_raising(error: Exception, code: int) -> None:
    """Before the socket is accepted the client is refused, with the code that FastAPI gives or 1008."""

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        raise error

    client = client_of(app_of(Talk, registry=registry_of(deny)), raise_server_exceptions=False)
    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/echo/x"):
        pass
    assert caught.value.code == code
    assert EVENTS == []


@pytest.mark.parametrize(
    ("detail", "reason"),
    [("no more", "no more"), (None, "Conflict"), ({"no": "text"}, ""), ("ä" * 100, "ä" * 61)],
    ids=["text", "none", "object", "long"],
)
@pytest.mark.parametrize("accepted", [False, True])
def test_an_http_exception_closes_the_conversation(accepted: bool, detail: Any, reason: str) -> None:
    """It cannot be answered: the client gets 1008, with as much of a text for a detail as goes over the wire."""

    @controller()
    class Failing:
        @websocket("/")
        async def talk(self, socket: WebSocket) -> None:
            if accepted:
                await socket.accept()
            raise HTTPException(409, detail)

    client = client_of(app_of(Failing, registry=registry_of(layer)))
    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/") as socket:
        socket.receive_text()

    assert (caught.value.code, caught.value.reason) == (1008, reason)
    assert EVENTS == ["entered", "left"]


def test_other_errors_pass_through() -> None:
    """The server sees what a method raises, as without a chain."""

    @controller()
    class Failing:
        @websocket("/")
        async def talk(self, socket: WebSocket) -> None:
            raise ZeroDivisionError

    client = client_of(app_of(Failing, registry=registry_of(layer)))
    with pytest.raises(ZeroDivisionError), client.websocket_connect("/"):
        pass
    assert EVENTS == ["entered", "left"]


def test_a_websocket_method_has_to_be_async() -> None:
    """A `def` could not talk; it is refused where the routes are made, with its place."""

    @controller()
    class Plain:
        @websocket("/")
        def talk(self, socket: WebSocket) -> None: ...

    text = f"Plain.talk ({place(Plain.talk)}) handles a WebSocket, so it has to be `async def`."
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
        create_router(Plain, InterceptorRegistry())
    assert caught.value.target is Plain.talk


def test_a_method_may_ask_for_the_connection() -> None:
    """FastAPI has one place for an `HTTPConnection`; the method's own is used."""

    @controller()
    class Own:
        @websocket("/ws")
        async def talk(self, connection: HTTPConnection, socket: WebSocket) -> None:
            await socket.accept()
            await socket.send_json([connection is socket, connection.url.path])

        @get("/http")
        async def show(self, connection: HTTPConnection) -> str:
            return connection.url.path

    client = client_of(app_of(Own, registry=registry_of(layer)))
    with client.websocket_connect("/ws") as socket:
        assert socket.receive_json() == [True, "/ws"]
    assert client.get("/http").json() == "/http"


def test_a_handler_that_leaves_the_socket_to_a_dependency() -> None:
    """The layers have it for their request all the same."""

    async def say(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")

    async def handler(said: Annotated[None, Depends(say)], name: str) -> None:
        EVENTS.append(name)

    async def look(ctx: InvocationContext, next: Next) -> Any:
        EVENTS.append((type(ctx.request), ctx.request.url.path, ctx.args.names))
        return await next()

    app = app_of(registry=registry_of(look))
    app.websocket("/{name}")(handler)
    with client_of(app).websocket_connect("/x") as socket:
        assert socket.receive_text() == "hello"
    assert EVENTS == [(WebSocket, "/x", ("said", "name")), "x"]


def test_parameters_and_constructor_are_injected() -> None:
    """Markers and the context; a dependency may bind for the conversation."""

    async def authenticate(connection: HTTPConnection) -> None:
        bind_request(connection, "current_user", "alice")

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("word", f"bound for {await ctx.current_user()}")
        return await next()

    @controller(dependencies=[Depends(authenticate)])
    @intercept(bind)
    class Injected:
        def __init__(self, word: Annotated[str, Provide["word"]]) -> None:
            self.word = word

        @websocket("/")
        async def talk(
            self, socket: WebSocket, ctx: InvocationContext, user: Annotated[str, Provide["current_user"]]
        ) -> None:
            await socket.accept()
            await socket.send_json([self.word, user, ctx.args.names])

    with client_of(app_of(Injected)).websocket_connect("/") as socket:
        assert socket.receive_json() == ["bound for alice", "alice", ["socket"]]


def test_a_wrong_chain_is_found_at_start_up() -> None:
    """As for any route."""

    @controller()
    class Asks:
        @websocket("/")
        @intercept("nowhere")
        async def talk(self, socket: WebSocket) -> None: ...

    with pytest.raises(UnknownKeyError), client_of(app_of(Asks)):
        pass
