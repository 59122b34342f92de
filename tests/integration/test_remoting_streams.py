"""Remoting hooks around streams and WebSockets: they run before the first item, and at connect."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

from interceptors import InterceptorRegistry
from interceptors.errors import ForgottenNextError
from interceptors.fastapi import controller, get, install, websocket
from interceptors.remoting import RemoteHooks
from tests.integration.support import ask, ask_quietly


class Refused(Exception):
    """A refusal with a status."""

    status_code = 403


class Item(BaseModel):
    """What is streamed."""

    n: int


def application(hooks: RemoteHooks, log: list[str] | None = None) -> FastAPI:
    """Streams of three kinds and a WebSocket, all hooked."""
    log = [] if log is None else log
    registry = InterceptorRegistry()
    registry.add_global(hooks)

    @controller(model="Feed")
    class C:
        @get("/items")
        async def items(self, count: int = 3, fail_at: int = -1) -> AsyncIterator[Item]:
            log.append("body")
            try:
                for n in range(count):
                    if n == fail_at:
                        raise Refused("in the middle")
                    yield Item(n=n)
            finally:
                log.append("closed")

        @get("/sync")
        def sync(self, count: int = 3) -> Iterator[Item]:
            for n in range(count):
                yield Item(n=n)

        @get("/raw")
        async def raw(self) -> StreamingResponse:
            async def parts() -> AsyncIterator[str]:
                for part in ("a", "b"):
                    yield part

            return StreamingResponse(parts(), media_type="text/plain")

        @websocket("/socket")
        async def socket(self, socket: WebSocket, name: str = "you") -> str:
            await socket.accept()
            await socket.send_text(f"hello {name}")
            if name == "nobody":
                raise Refused("nobody")
            return "over"

    app = FastAPI()
    install(app, registry, controllers=[C])
    return app


def lines(*numbers: int) -> str:
    """The stream as it is sent."""
    return "".join(f'{{"n":{n}}}\n' for n in numbers)


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/items", "/sync"])
async def test_hooks_run_before_the_first_item(path: str) -> None:
    """The result is the iterator; after hooks have run before the body starts."""
    log: list[str] = []
    hooks = RemoteHooks()
    hooks.before_remote("Feed.*", lambda ctx: log.append(f"before {ctx.method_string}"))
    hooks.after_remote(
        "Feed.*", lambda ctx: log.append(f"after {hasattr(ctx.result, '__next__' if path == '/sync' else '__anext__')}")
    )
    response = await ask(application(hooks, log), path)
    assert response.text.replace(" ", "") == lines(0, 1, 2)
    assert log[:2] == [f"before Feed.{path[1:]}", "after True"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("path", ["/items", "/sync", "/raw"])
async def test_an_error_of_a_hook_is_a_clean_status(path: str, when: str) -> None:
    """Nothing has been sent by then, also when an after hook raises; the body never runs."""
    log: list[str] = []
    hooks = RemoteHooks()

    def refuse(ctx: Any) -> None:
        raise Refused("not for you")

    (hooks.before_remote if when == "before" else hooks.after_remote)("**", refuse)
    hooks.after_remote_error("**", lambda ctx: log.append(f"error {ctx.error}"))
    response = await ask(application(hooks, log), path)
    assert (response.status_code, response.json()) == (403, {"detail": "not for you"})
    assert log == ["error not for you"]


async def test_the_applications_handler_and_http_exceptions_work_on_streams() -> None:
    """As on any other route."""
    for error, expected in [
        (HTTPException(402, "pay"), (402, {"detail": "pay"})),
        (Refused("handled"), (451, {"handled": "handled"})),
    ]:
        hooks = RemoteHooks()
        hooks.before_remote("**", lambda ctx, next, error=error: next(error))
        app = application(hooks)

        @app.exception_handler(Refused)
        async def handle(request: Request, exc: Exception) -> JSONResponse:
            return JSONResponse({"handled": str(exc)}, 451)

        response = await ask(app, "/items")
        assert (response.status_code, response.json()) == expected


async def test_an_argument_of_a_stream_is_validated() -> None:
    """What a hook assigned is converted, or a 400."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.args.update(count="2"))
    assert (await ask(application(hooks), "/items")).text.replace(" ", "") == lines(0, 1)
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.args.update(count="many"))
    assert (await ask(application(hooks), "/items")).status_code == 400


async def test_an_after_hook_may_wrap_or_replace_the_stream() -> None:
    """By an iterator around it, a list, or a response."""

    async def doubled(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
        async for item in items:
            yield Item(n=item.n * 2)

    for result, text in [
        (doubled, lines(0, 2, 4)),
        (lambda items: [Item(n=7)], lines(7)),
        (lambda items: PlainTextResponse("instead"), "instead"),
    ]:
        hooks = RemoteHooks()

        @hooks.after_remote("**")
        def replace(ctx: Any, result: Any = result) -> None:
            ctx.result = result(ctx.result)

        assert (await ask(application(hooks), "/items")).text.replace(" ", "") == text


async def test_done_answers_a_stream() -> None:
    """In a before hook: the body never runs."""
    log: list[str] = []
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.done([Item(n=1)]))
    assert (await ask(application(hooks, log), "/items")).text.replace(" ", "") == lines(1)
    assert log == []


async def test_what_is_no_stream_is_no_answer() -> None:
    """A TypeError that names the handler, as from any layer."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.done("text"))
    with pytest.raises(TypeError, match=r"C\.items gave 'str'"):
        await ask(application(hooks), "/items")


async def test_an_error_in_the_middle_of_a_stream_starts_no_hook() -> None:
    """The call is over: its status has been sent."""
    log: list[str] = []
    hooks = RemoteHooks()
    hooks.after_remote_error("**", lambda ctx: log.append("error hook"))
    with pytest.raises(Refused, match="in the middle"):
        await ask(application(hooks, log), "/items?fail_at=1")
    assert log == ["body", "closed"]


async def test_a_forgotten_next_does_not_hang_a_stream() -> None:
    """A 500 after the time limit."""
    hooks = RemoteHooks(next_timeout=0.02)
    hooks.after_remote("**", lambda ctx, next: None)
    assert (await asyncio.wait_for(ask_quietly(application(hooks), "/items"), 60)).status_code == 500
    with pytest.raises(ForgottenNextError):
        await ask(application(hooks), "/items")


# -- WebSockets --------------------------------------------------------------------------------------------------------


def talk(app: FastAPI, path: str = "/socket") -> str:
    """What the socket says first, or the code with which it is closed."""
    with TestClient(app) as client:
        try:
            with client.websocket_connect(path) as session:
                text: str = session.receive_text()
                return text
        except WebSocketDisconnect as closed:
            return f"closed {closed.code}"


def test_before_hooks_run_at_connect() -> None:
    """With the WebSocket for `ctx.req` and no response; the other hooks at the end of the conversation."""
    log: list[Any] = []
    hooks = RemoteHooks()

    @hooks.before_remote("Feed.socket")
    def before(ctx: Any) -> None:
        log.append((type(ctx.req), ctx.res, ctx.req.application_state.name))
        ctx.args["name"] = "me"

    hooks.after_remote("**", lambda ctx: log.append(ctx.result))
    assert talk(application(hooks)) == "hello me"
    assert log == [(WebSocket, None, "CONNECTING"), "over"]


def test_an_error_of_a_conversation_starts_the_error_hooks() -> None:
    """With the error."""
    log: list[str] = []
    hooks = RemoteHooks()
    hooks.after_remote_error("**", lambda ctx: log.append(str(ctx.error)))
    assert talk(application(hooks), "/socket?name=nobody") == "hello nobody"
    assert log == ["nobody"]


@pytest.mark.parametrize("error", [Refused("no"), HTTPException(403), HTTPException(500)])
def test_a_before_hook_denies_a_connection(error: Exception) -> None:
    """It is closed, so that no client waits for ever."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx, next: next(error))
    assert talk(application(hooks)) == "closed 1008"


def test_the_applications_own_handler_goes_first_on_a_websocket() -> None:
    """For the error's class, whether or not the error has a status; it gets the WebSocket and the very error."""
    for error in (Refused("no"), ValueError("no")):
        seen: list[Any] = []
        hooks = RemoteHooks()
        hooks.before_remote("**", lambda ctx, next, error=error: next(error))
        app = application(hooks)

        async def handle(connection: WebSocket, exc: Exception, seen: list[Any] = seen) -> None:
            seen.append((type(connection), exc))
            await connection.close(4003)

        app.add_exception_handler(type(error), handle)  # type: ignore[arg-type]
        assert talk(app) == "closed 4003"
        assert seen == [(WebSocket, error)]


def test_an_answer_denies_a_connection_too() -> None:
    """Nobody has accepted it."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.done("answer"))
    assert talk(application(hooks)) == "closed 1008"


def test_an_argument_that_does_not_fit_denies_a_connection() -> None:
    """As any error with a status."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.args.update(name=["no", "text"]))
    assert talk(application(hooks)) == "closed 1008"


def test_an_error_without_a_status_is_the_servers() -> None:
    """It leaves the application, which ends the connection."""
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx, next: next(ValueError("no")))
    with pytest.raises(ValueError, match="no"):
        talk(application(hooks))
