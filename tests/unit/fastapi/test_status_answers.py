"""Errors that carry their own HTTP status: an answer of that status, where remoting hooks have marked them."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

from interceptors import InvocationContext, Next
from interceptors.carried_status import mark_status
from interceptors.fastapi import controller, get, websocket
from tests.unit.fastapi.serving import app_of, client_of, registry_of


class Refused(Exception):
    def __init__(self, status: Any, detail: Any = None) -> None:
        super().__init__("text of the error")
        self.status_code = status
        if detail is not None:
            self.detail = detail


async def marking(ctx: InvocationContext, next: Next) -> Any:
    """What the remoting interceptor does with an error that leaves it."""
    try:
        return await next()
    except Exception as error:
        mark_status(error)
        raise


def app_that_fails(error: Exception, *interceptors: Any, **options: Any) -> FastAPI:
    @controller()
    class Failing:
        @get("/method")
        async def method(self) -> None:
            raise error

        @get("/stream")
        async def stream(self) -> AsyncIterator[int]:
            yield 1

        @websocket("/ws")
        async def talk(self, socket: WebSocket) -> None:
            raise error

    async def fail_stream(ctx: InvocationContext, next: Next) -> Any:
        if ctx.method_name == "stream":
            raise error
        return await next()

    return app_of(Failing, registry=registry_of(*interceptors, fail_stream), **options)


PATHS = pytest.mark.parametrize("path", ["/method", "/stream"])


@PATHS
def test_a_marked_error_is_an_answer_of_its_status(path: str) -> None:
    """With its `detail`, else its text."""
    for error, detail in ((Refused(409), "text of the error"), (Refused(404, {"a": [1, None]}), {"a": [1, None]})):
        answer = client_of(app_that_fails(error, marking)).get(path)
        assert (answer.status_code, answer.json()) == (error.status_code, {"detail": detail})


@PATHS
def test_an_error_that_nobody_marked_passes_through(path: str) -> None:
    """The `status_code` of some library's error is none of ours."""
    error = Refused(409)
    with pytest.raises(Refused) as caught:
        client_of(app_that_fails(error)).get(path)
    assert caught.value is error


@PATHS
def test_a_handler_of_the_application_for_the_error_comes_first(path: str) -> None:
    """Also one for its base; the error itself reaches it."""
    app = app_that_fails(Refused(409), marking)

    @app.exception_handler(Refused)
    async def handle(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"handled": str(error)}, status_code=418)

    answer = client_of(app).get(path)

    assert (answer.status_code, answer.json()) == (418, {"handled": "text of the error"})


def test_a_detail_that_json_cannot_hold_is_shown_as_python_does() -> None:
    """The client gets its status all the same; what can be encoded is."""
    thing = object()
    detail = {"when": date(2026, 1, 2), "bad": thing, "list": [1, float("nan"), (thing,)], 5: "number"}
    answer = client_of(app_that_fails(Refused(422, detail), marking)).get("/method")

    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        {"when": "2026-01-02", "bad": repr(thing), "list": [1, "nan", [repr(thing)]], "5": "number"},
    )


@pytest.mark.parametrize("detail", ["too late", {"no": "text"}], ids=["text", "object"])
def test_a_websocket_that_fails_so_is_closed(detail: Any) -> None:
    """Nobody can answer there: it is closed with 1008, and a text for a detail is the reason."""
    client = client_of(app_that_fails(Refused(409, detail), marking))
    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/ws"):
        pass
    assert (caught.value.code, caught.value.reason) == (1008, detail if isinstance(detail, str) else "")
