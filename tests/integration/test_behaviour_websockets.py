"""WebSocket methods: the chain runs around the whole conversation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, WebSocket, WebSocketException
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, intercept
from interceptors.fastapi import bind_request, controller, create_router, install, websocket
from tests.integration.support import Next, app_with, layer, outside


async def talk(app: Any, path: str, *messages: dict[str, Any], timeout: float = 10) -> list[dict[str, Any]]:
    """One conversation in this event loop: what the client sends, and everything that it gets."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for message in ({"type": "websocket.connect"}, *messages):
        incoming.put_nowait(message)
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [],
        "subprotocols": [],
        "client": ("test", 1),
        "server": ("test", 80),
        "state": {},
    }
    with anyio.fail_after(timeout):
        await app(scope, incoming.get, send)
    return sent


def types_of(sent: list[dict[str, Any]]) -> list[Any]:
    """What was sent, in short."""
    return [
        message.get("text") or (message["code"] if message["type"] == "websocket.close" else message["type"])
        for message in sent
    ]


@controller(prefix="/echo", tags=["echo"])
class Echo:
    """Gives back what it gets."""

    @websocket("/{room}", name="the echo")
    async def echo(self, socket: WebSocket, room: str, ctx: InvocationContext, n: int = 1) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"{room} {n} {text}")


TEXTS = ({"type": "websocket.receive", "text": "a"}, {"type": "websocket.receive", "text": "b"})
GONE = {"type": "websocket.disconnect", "code": 1000}


@pytest.mark.parametrize("how", ["install", "include"])
async def test_the_chain_is_around_the_whole_conversation(how: str):
    """A layer is entered before the handshake and left when the conversation has ended."""
    log: list[str] = []
    registry = InterceptorRegistry()

    async def around(ctx: InvocationContext, next: Next) -> Any:
        assert isinstance(ctx.request, WebSocket)
        log.append(f"before {ctx.request.application_state.name} {ctx.args['room']}")
        await next()
        log.append(f"after {ctx.request.client_state.name}")

    registry.add_global(around)
    app = FastAPI()
    if how == "install":
        install(app, registry, controllers=[Echo])
    else:
        app.include_router(create_router(Echo, registry))
    sent = await talk(app, "/echo/r?n=2", *TEXTS, GONE)
    assert types_of(sent) == ["websocket.accept", "r 2 a", "r 2 b"]
    assert log == ["before CONNECTING r", "after DISCONNECTED"]


@pytest.mark.parametrize("prefixes", [(), ("/v1",), ("/v1", "/v2")])
async def test_the_source_of_a_conversation(prefixes: tuple[str, ...]):
    """`ctx.source` has the path of this inclusion; `ctx.request` is the WebSocket and `ctx.response` is None."""

    @controller(prefix="/c")
    class C:
        @websocket("/{room}")
        async def ws(self, room: str, ctx: InvocationContext) -> None:
            await ctx.request.accept()
            value = ctx.source.value
            await ctx.request.send_json(
                [str(ctx.source), value.verb, value.path, value.operation_id, room, ctx.response, ctx.target_name]
            )
            await ctx.request.close()

    router: Any = create_router(C, InterceptorRegistry())
    for prefix in reversed(prefixes[1:]):
        outer = APIRouter(prefix=prefix)
        outer.include_router(router)
        router = outer
    app = FastAPI()
    app.include_router(router, prefix="".join(prefixes[:1]))
    path = f"{''.join(prefixes)}/c/{{room}}"
    with TestClient(app) as client, client.websocket_connect(path.format(room="r")) as session:
        answer = session.receive_json()
        assert answer[:-1] == [f"route WEBSOCKET {path}", "WEBSOCKET", path, None, "r", None]
        assert answer[-1].endswith("C.ws")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "code"),
    [(HTTPException(403, "no"), 1008), (WebSocketException(4001, "not you"), 4001), (WebSocketException(1008), 1008)],
    ids=["HTTPException", "own code", "policy"],
)
async def test_a_layer_denies_by_raising(error: Exception, code: int, late: bool):
    """A connection that is not accepted yet is closed, with the code that the exception says or 1008; nobody waits."""
    log: list[str] = []

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        raise error

    @controller()
    @intercept(layer(log, "outer"), deny)
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            log.append("handler")

    app = app_with(C)
    if late:
        app = FastAPI()
        app.include_router(create_router(C, InterceptorRegistry()), prefix="/v1")
    sent = await talk(app, "/v1/ws" if late else "/ws")
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert sent[0]["code"] == code
    assert log == ["outer-pre", f"outer-exc {type(error).__name__}"]
    assert outside()


async def test_the_handler_denies_by_raising():
    """The same holds for what the method itself or a FastAPI dependency raises."""

    async def dependency(token: Annotated[str | None, Query()] = None) -> None:
        if token is None:
            raise WebSocketException(4401)

    @controller(dependencies=[Depends(dependency)])
    class C:
        @websocket("/ws")
        async def ws(self) -> None:
            raise HTTPException(404)

    app = app_with(C)
    assert types_of(await talk(app, "/ws")) == [4401]
    assert types_of(await talk(app, "/ws?token=t")) == [1008]


@pytest.mark.parametrize(
    ("error", "code"), [(HTTPException(403), 1008), (WebSocketException(4001), 4001)], ids=["HTTPException", "own code"]
)
async def test_a_conversation_that_is_broken_off(error: Exception, code: int):
    """Raised in the midst of a conversation they close it: a response cannot be sent any more."""

    @controller()
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            await socket.accept()
            raise error

    assert types_of(await talk(app_with(C), "/ws")) == ["websocket.accept", code]


@pytest.mark.parametrize("accepted", [False, True])
async def test_other_exceptions_reach_the_server(accepted: bool):
    """What nobody answers passes through the layers, as the very object, and out of the application."""
    raised = ValueError("broken")
    log: list[str] = []

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            if accepted:
                await socket.accept()
            raise raised

    with pytest.raises(ValueError) as caught:
        await talk(app_with(C), "/ws")
    assert caught.value is raised
    assert log == ["ic-pre", "ic-exc ValueError"]


@pytest.mark.parametrize("who", ["layer", "handler"])
async def test_a_conversation_that_nobody_accepts(who: str):
    """A chain that ends with the socket not accepted closes it with 1008, once."""

    async def short(ctx: InvocationContext, next: Next) -> Any:
        return None if who == "layer" else await next()

    @controller()
    @intercept(short)
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None: ...

    assert await talk(app_with(C), "/ws") == [{"type": "websocket.close", "code": 1008, "reason": ""}]


async def test_a_conversation_that_is_refused_by_hand():
    """A handler that closes with its own code is not closed a second time, nor one that the client has left."""

    @controller()
    class C:
        @websocket("/closed")
        async def closed(self, socket: WebSocket) -> None:
            await socket.close(4000)

        @websocket("/accepted")
        async def accepted(self, socket: WebSocket) -> None:
            await socket.accept()
            await socket.close(1001)

        @websocket("/left")
        async def left(self, socket: WebSocket) -> None:
            await socket.accept()
            with pytest.raises(WebSocketDisconnect):
                await socket.receive_text()

        @websocket("/open")
        async def opened(self, socket: WebSocket) -> None:
            await socket.accept()

    app = app_with(C)
    assert types_of(await talk(app, "/closed")) == [4000]
    assert types_of(await talk(app, "/accepted")) == ["websocket.accept", 1001]
    assert types_of(await talk(app, "/left", GONE)) == ["websocket.accept"]
    assert types_of(await talk(app, "/open")) == ["websocket.accept"]


async def test_a_client_that_leaves_before_the_handshake():
    """A client that is gone while a layer looks at it is no error of ours."""

    async def look(ctx: InvocationContext, next: Next) -> Any:
        message = await ctx.request.receive()
        assert message["type"] == "websocket.connect"
        message = await ctx.request.receive()
        assert message["type"] == "websocket.disconnect"

    @controller()
    @intercept(look)
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None: ...

    sent = await talk(app_with(C), "/ws", GONE)
    assert [message["type"] for message in sent] in ([], ["websocket.close"])


async def test_validation_runs_no_layer():
    """A parameter that does not fit closes the connection before the chain, as on plain FastAPI."""
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(layer(log, "global"))
    app = app_with(Echo, registry=registry)
    assert types_of(await talk(app, "/echo/r?n=no")) == [1008]
    assert log == []


async def test_values_bindings_and_users():
    """Injection, `Depends`, bindings, the current user and nested services work in a conversation as in a request."""

    class Values(containers.DeclarativeContainer):
        word = providers.Factory(str, "w")
        path = providers.Callable(lambda request: request.url.path, InvocationBindings.request)

    async def user(connection: HTTPConnection) -> str:
        await asyncio.sleep(0)
        return connection.query_params["user"]

    registry = InterceptorRegistry(Values(), current_user=user)

    class Service:
        async def work(self) -> list[Any]:
            ctx = InvocationBindings.context()
            return [str(ctx.source), await ctx.get("shared"), await ctx.current_user(), ctx.request.url.path]

    service = registry.intercepted(Service())

    async def depend(connection: HTTPConnection) -> None:
        bind_request(connection, "dependency", "d")

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("own", "o")
        ctx.bind_request("shared", "s")
        return await next()

    @controller(dependencies=[Depends(depend)])
    @intercept(bind)
    class C:
        def __init__(self, word: Annotated[str, Provide["word"]], own: Annotated[str, Provide["own"]]) -> None:
            self.values = [word, own]

        @websocket("/ws")
        async def ws(
            self,
            socket: WebSocket,
            path: Annotated[str, Provide["path"]],
            current_user: Annotated[str, Provide["current_user"]],
            dependency: Annotated[str, Provide["dependency"]],
            n: int = 3,
        ) -> None:
            await socket.accept()
            await socket.send_json([*self.values, path, current_user, dependency, n, await service.work()])
            await socket.close()

    with TestClient(app_with(C, registry=registry)) as client:
        for name in ("a", "b"):
            with client.websocket_connect(f"/ws?user={name}") as session:
                assert session.receive_json() == ["w", "o", "/ws", name, "d", 3, ["proxy", "s", name, "/ws"]]


async def test_two_conversations_at_once():
    """Conversations that overlap keep to their own bindings."""
    both = asyncio.Barrier(2)

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind_request("who", ctx.args["who"])
        await both.wait()
        return await next()

    @controller()
    @intercept(bind)
    class C:
        @websocket("/{who}")
        async def ws(self, who: str, socket: WebSocket, bound: Annotated[str, Provide["who"]]) -> None:
            await socket.accept()
            await both.wait()
            await socket.send_text(f"{who} {bound} {await InvocationBindings.context().get('who')}")
            await socket.close()

    app = app_with(C)
    answers = await asyncio.gather(talk(app, "/a"), talk(app, "/b"))
    assert [answer[1]["text"] for answer in answers] == ["a a a", "b b b"]


async def test_dependencies_of_a_conversation():
    """`yield` dependencies, of the inclusion too, are around the chain; `dependency_overrides` reach them."""
    log: list[str] = []

    async def dependency() -> AsyncIterator[str]:
        log.append("enter")
        yield "real"
        log.append("exit")

    async def fake() -> AsyncIterator[str]:
        log.append("fake")
        yield "fake"

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket, value: Annotated[str, Depends(dependency)]) -> None:
            log.append(value)
            await socket.accept()
            await socket.close()

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry()), dependencies=[Depends(dependency)])
    await talk(app, "/ws")
    assert log == ["enter", "ic-pre", "real", "ic-post", "exit"]
    log.clear()
    app.dependency_overrides[dependency] = fake
    await talk(app, "/ws")
    assert log == ["fake", "ic-pre", "fake", "ic-post"]


async def test_a_conversation_that_is_cancelled():
    """Cancelling a conversation passes through the layers and leaves no invocation behind."""
    log: list[str] = []
    inside = asyncio.Event()

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            await socket.accept()
            inside.set()
            await socket.receive_text()

    task = asyncio.create_task(talk(app_with(C), "/ws"))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["ic-pre", "ic-exc CancelledError"]
    assert outside()


async def test_websockets_are_inherited_like_routes():
    """A WebSocket method is inherited, overridden without a decorator, and removed with None."""

    @controller(prefix="/base")
    class Base:
        @websocket("/ws")
        async def ws(self, socket: WebSocket) -> None:
            await socket.close(4001)

    class Sub(Base):
        async def ws(self, socket: WebSocket) -> None:
            await socket.close(4002)

    class Without(Base):
        ws = None

    assert [types_of(await talk(app_with(cls), "/base/ws")) for cls in (Base, Sub)] == [[4001], [4002]]
    assert app_with(Without).url_path_for("openapi") == "/openapi.json"
    assert [route.path for route in create_router(Without, InterceptorRegistry()).routes] == []  # type: ignore[attr-defined]


async def test_names_of_websockets():
    """A name is taken for links, installed and included."""
    app = app_with(Echo)
    assert app.url_path_for("the echo", room="r") == "/echo/r"
    other = FastAPI()
    other.include_router(create_router(Echo, InterceptorRegistry()), prefix="/v1")
    assert other.url_path_for("the echo", room="r") == "/v1/echo/r"
