"""A `Response` that leaves a chain is never modified: a copy gets the injected headers, status and tasks."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, Response
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse

from interceptors import InvocationContext, Next, intercept
from interceptors.fastapi import controller, get
from tests.unit.fastapi.serving import app_of, client_of


async def decorate(ctx: InvocationContext, next: Next) -> Any:
    """Sets on the injected response what a test may look for."""
    ctx.response.headers["x-layer"] = "layer"
    ctx.response.headers["x-both"] = "layer"
    ctx.response.set_cookie("a", "1")
    return await next()


def answer_of(give: Any, layer: Any = decorate) -> Any:
    @controller()
    @intercept(layer)
    class Controller:
        @get("/", response_model=None)
        async def show(self) -> Any:
            return give()

    return client_of(app_of(Controller), follow_redirects=False).get("/")


def test_the_injected_headers_are_added_and_win() -> None:
    """Headers of the response stay unless the injected response has the same one; `Set-Cookie` adds."""

    def give() -> Response:
        response = PlainTextResponse("text", headers={"x-both": "response", "x-own": "response"})
        response.set_cookie("b", "2")
        return response

    answer = answer_of(give)

    assert (answer.status_code, answer.text) == (200, "text")
    assert (answer.headers["x-own"], answer.headers["x-layer"], answer.headers["x-both"]) == (
        "response",
        "layer",
        "layer",
    )
    assert {cookie.partition(";")[0] for cookie in answer.headers.get_list("set-cookie")} == {"a=1", "b=2"}
    assert answer.headers["content-length"] == "4"


@pytest.mark.parametrize("is_gone", [True, False])
async def test_the_task_of_the_injected_response_runs_when_the_answer_is_sent(is_gone: bool) -> None:
    """And not if the answer could not be sent, as Starlette does with that of a response."""
    ran: list[str] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.background = BackgroundTask(ran.append, "task")
        return await next()

    @controller()
    @intercept(layer)
    class Controller:
        @get("/")
        async def show(self) -> None:
            ran.append("shown")

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        if is_gone:
            raise OSError
        ran.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    with pytest.raises(OSError) if is_gone else nullcontext():
        await app_of(Controller)(scope, receive, send)
    assert ran == ["shown"] + ([] if is_gone else ["http.response.start", "http.response.body", "task"])


def test_a_shared_response_is_never_modified() -> None:
    """The same object may be returned again and again: it collects nothing."""
    shared = JSONResponse({"a": 1}, status_code=201, background=None)
    before = (list(shared.raw_headers), shared.status_code, shared.background)
    count = 0

    async def different(ctx: InvocationContext, next: Next) -> Any:
        nonlocal count
        count += 1
        ctx.response.headers[f"x-{count}"] = "set"
        ctx.response.status_code = 200 + count
        return await next()

    _ = shared.headers  # a view of them that Starlette keeps
    for number in (1, 2):
        answer = answer_of(lambda: shared, different)
        assert answer.status_code == 200 + number
        assert [name for name in answer.headers if name.startswith("x-")] == [f"x-{number}"]
        assert answer.json() == {"a": 1}
    assert (list(shared.raw_headers), shared.status_code, shared.background) == before


@pytest.mark.parametrize("status", [None, 202])
def test_the_injected_status_counts_if_one_was_set(status: int | None) -> None:
    """Else the response's own."""

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        if status is not None:
            ctx.response.status_code = status
        return await next()

    assert answer_of(lambda: PlainTextResponse("x", status_code=418), layer).status_code == (status or 418)


def test_a_layer_may_answer_with_a_response() -> None:
    """What a layer returns gets the injected headers like any other; what a layer changes on its own stays."""

    async def deny(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-denied"] = "yes"
        return RedirectResponse("/login")

    answer = answer_of(lambda: None, deny)

    assert (answer.status_code, answer.headers["location"], answer.headers["x-denied"]) == (307, "/login", "yes")


def test_responses_of_every_class_are_merged(tmp_path: Path) -> None:
    """Streams and files, too."""
    file = tmp_path / "file.txt"
    file.write_text("from a file")

    async def items() -> AsyncIterator[bytes]:
        yield b"from "
        yield b"a stream"

    for give, text in (
        (lambda: FileResponse(file), "from a file"),
        (lambda: StreamingResponse(items()), "from a stream"),
    ):
        answer = answer_of(give)
        assert (answer.text, answer.headers["x-layer"]) == (text, "layer")


def test_both_sets_of_background_tasks_run() -> None:
    """The injected ones first, then the response's own, each once for each request, the shared response unchanged."""
    ran: list[str] = []
    shared = PlainTextResponse("shared", background=BackgroundTask(ran.append, "own"))
    requests = 0

    @controller()
    class Controller:
        @get("/", response_model=None)
        async def show(self, tasks: BackgroundTasks) -> Response:
            nonlocal requests
            requests += 1
            tasks.add_task(ran.append, f"injected {requests}")
            return shared

        @get("/plain", response_model=None)
        async def plain(self) -> Response:
            return shared

        @get("/without", response_model=None)
        async def without(self, tasks: BackgroundTasks) -> Response:
            tasks.add_task(ran.append, "injected")
            return PlainTextResponse("text")

    client = client_of(app_of(Controller))
    for _ in range(2):
        assert client.get("/").text == "shared"
    assert ran == ["injected 1", "own", "injected 2", "own"]
    ran.clear()
    client.get("/plain")
    assert ran == ["own"]
    ran.clear()
    client.get("/without")
    assert ran == ["injected"]
    assert type(shared) is PlainTextResponse
    assert isinstance(shared.background, BackgroundTask)


def test_a_response_with_tasks_of_its_own_keeps_its_class() -> None:
    """What is sent in its place is of the same class, by name and by `isinstance`; that class is made once."""
    sent: list[Any] = []
    ran: list[str] = []

    class MyResponse(PlainTextResponse): ...

    class Looking(APIRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def look(request: Any) -> Any:
                sent.append(await handler(request))
                return sent[-1]

            return look

    @controller(route_class=Looking)
    class Controller:
        @get("/", response_model=None)
        async def show(self) -> Response:
            return MyResponse("text", background=BackgroundTask(ran.append, "ran"))

    client = client_of(app_of(Controller))
    for _ in range(2):
        assert client.get("/").text == "text"

    assert ran == ["ran", "ran"]
    assert isinstance(sent[0], MyResponse)
    assert (type(sent[0]).__name__, type(sent[0]).__module__) == ("MyResponse", __name__)
    assert type(sent[0]) is type(sent[1])
