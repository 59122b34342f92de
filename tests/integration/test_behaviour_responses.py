"""Results that are responses, what was injected beside them, and background tasks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, OutsideInvocationError, intercept
from interceptors.fastapi import controller, get
from tests.integration.support import Next, app_with, ask, ask_quietly, outside


async def body() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


RESPONSES: dict[str, Callable[[], Response]] = {
    "plain": lambda: PlainTextResponse("text", 201, {"x-own": "1"}),
    "json": lambda: JSONResponse({"a": 1}, headers={"x-own": "1"}),
    "html": lambda: HTMLResponse("<p>", headers={"x-own": "1"}),
    "empty": lambda: Response(status_code=204),
    "redirect": lambda: RedirectResponse("/elsewhere", headers={"x-own": "1"}),
    "stream": lambda: StreamingResponse(body(), media_type="text/plain", headers={"x-own": "1"}),
    "file": lambda: FileResponse(Path(__file__).parent / "__init__.py", media_type="text/x-python"),
}


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize("who", ["handler", "layer"])
async def test_every_kind_of_response_is_sent_as_it_is(kind: str, who: str):
    """A returned `Response` of any kind, from the handler or a layer, is what plain FastAPI would send."""
    app, plain = app_with(), FastAPI()

    async def short(ctx: InvocationContext, next: Next) -> Any:
        return RESPONSES[kind]() if who == "layer" else await next()

    @app.get("/x")
    @intercept(short)
    async def intercepted() -> Any:
        return RESPONSES[kind]()

    @plain.get("/x")
    async def untouched() -> Any:
        return RESPONSES[kind]()

    found, expected = await ask(app, "/x"), await ask(plain, "/x")
    assert (found.status_code, found.content) == (expected.status_code, expected.content)
    assert found.headers.multi_items() == expected.headers.multi_items()


@pytest.mark.parametrize("kind", RESPONSES)
async def test_what_was_injected_is_put_on_a_copy(kind: str):
    """Injected headers win, cookies add, an injected status counts; the returned object is exactly as it was."""
    shared = RESPONSES[kind]()
    shared.headers["x-both"] = "own"
    shared.set_cookie("own", "1")
    before = {**vars(shared), "raw_headers": list(shared.raw_headers)}
    app = app_with()

    async def stamp(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "1"
        ctx.response.headers["x-both"] = "layer"
        ctx.response.set_cookie("layer", "1")
        ctx.response.set_cookie("layer-2", "2")
        ctx.response.status_code = 207
        result = await next()
        assert result is shared
        return result

    @app.get("/x")
    @intercept(stamp)
    async def x() -> Any:
        return shared

    answer = await ask(app, "/x")
    assert answer.status_code == 207
    assert (answer.headers["x-layer"], answer.headers.get_list("x-both")) == ("1", ["layer"])
    assert [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")] == ["own", "layer", "layer-2"]
    assert {**vars(shared), "raw_headers": shared.raw_headers} == before


async def passing(ctx: InvocationContext, next: Next) -> Any:
    return await next()


def registry_with(interceptor: Any) -> InterceptorRegistry:
    registry = InterceptorRegistry()
    registry.add_global(interceptor)
    return registry


async def test_without_an_injected_status_the_responses_own_counts():
    """Headers alone do not change the status, nor does the route's `status_code`, as on plain FastAPI."""
    app = app_with(registry=registry_with(passing))

    @app.get("/x", status_code=202)
    async def x(response: Response) -> Any:
        response.headers["x-injected"] = "1"
        return PlainTextResponse("x", 299)

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.headers["x-injected"]) == (299, "1")


async def test_with_no_layer_around_it_a_function_answers_as_on_plain_fastapi():
    """Which drops what was set on the injected response where a `Response` is returned: no layer, no difference."""
    plain, app = FastAPI(), app_with()

    async def x(response: Response) -> Any:
        response.headers["x-injected"] = "1"
        return PlainTextResponse("x", 299)

    for each in (plain, app):
        each.get("/x")(x)
    first, second = await ask(plain, "/x"), await ask(app, "/x")
    assert (first.status_code, first.headers) == (second.status_code, second.headers)


async def test_a_shared_response_under_concurrent_requests():
    """One object, many requests at once: each gets its own cookie, status and tasks."""
    ran: list[int] = []
    together = asyncio.Barrier(5)
    own = BackgroundTask(ran.append, -1)
    shared = PlainTextResponse("shared", background=own)
    app = app_with(registry=registry_with(passing))

    @app.get("/{n}")
    async def x(n: int, response: Response, tasks: BackgroundTasks) -> Any:
        await together.wait()
        response.set_cookie("n", str(n))
        response.status_code = 200 + n
        tasks.add_task(ran.append, n)
        return shared

    answers = await asyncio.gather(*(ask(app, f"/{n}") for n in range(5)))
    assert [answer.status_code for answer in answers] == [200 + n for n in range(5)]
    assert [answer.cookies["n"] for answer in answers] == [str(n) for n in range(5)]
    assert sorted(ran) == [-1] * 5 + list(range(5))
    assert (shared.background, shared.status_code, "set-cookie" in shared.headers) == (own, 200, False)


@pytest.mark.parametrize("kind", ["handler", "layer"])
async def test_both_sets_of_background_tasks_run(kind: str):
    """The tasks of the returned response and the injected ones all run, after the answer, whoever returned it."""
    log: list[str] = []

    class Own(JSONResponse):
        """A class of the user's."""

        def render(self, content: Any) -> bytes:
            return b"own"

    def make() -> Response:
        tasks = BackgroundTasks()
        tasks.add_task(log.append, "own 1")
        tasks.add_task(log.append, "own 2")
        return Own({}, background=tasks)

    async def short(ctx: InvocationContext, next: Next) -> Any:
        result = await next()
        ctx.args["tasks"].add_task(log.append, "layer")
        return make() if kind == "layer" else result

    app = app_with()

    @app.get("/x")
    @intercept(short)
    async def x(tasks: BackgroundTasks) -> Any:
        tasks.add_task(log.append, "injected")
        return make() if kind == "handler" else None

    assert (await ask(app, "/x")).text == "own"
    assert sorted(log) == ["injected", "layer", "own 1", "own 2"]
    assert log.index("own 1") < log.index("own 2")
    assert log.index("injected") < log.index("layer")


async def test_a_copy_is_of_the_same_class():
    """A route class or a middleware that asks for the class of the answer gets the one that was returned."""
    seen: list[type] = []

    class Own(PlainTextResponse):
        pass

    class Ring(APIRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def ring(request: Request) -> Response:
                response = await handler(request)
                assert isinstance(response, Own)
                seen.append(type(response))
                return response

            return ring

    @controller(route_class=Ring)
    class C:
        @get("/plain")
        async def plain(self) -> Any:
            return Own("own")

        @get("/tasks")
        async def tasks(self) -> Any:
            return Own("own", background=BackgroundTask(lambda: None))

    app = app_with(C)
    assert [(await ask(app, path)).text for path in ("/plain", "/tasks")] == ["own", "own"]
    assert [cls.__name__ for cls in seen] == ["Own", "Own"]


async def test_headers_without_a_response():
    """Headers, cookies and status on `ctx.response` go with a plain result, from layers and from dependencies."""
    app = app_with()

    async def dependency(response: Response) -> None:
        response.headers["x-dependency"] = "1"

    async def stamp(ctx: InvocationContext, next: Next) -> Any:
        result = await next()
        ctx.response.headers["x-after"] = str(result)
        ctx.response.status_code = 218
        return result

    @app.get("/x", dependencies=[Depends(dependency)])
    @intercept(stamp)
    async def x() -> int:
        return 7

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json()) == (218, 7)
    assert (answer.headers["x-dependency"], answer.headers["x-after"]) == ("1", "7")


async def test_an_error_takes_no_injected_headers():
    """What leaves the chain as an exception is answered by FastAPI's handlers alone, as on plain FastAPI."""
    app = app_with()

    async def stamp(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "1"
        return await next()

    @app.get("/x")
    @intercept(stamp)
    async def x() -> None:
        raise HTTPException(418, "teapot", {"x-error": "1"})

    answer = await ask(app, "/x")
    assert (answer.status_code, answer.headers["x-error"], "x-layer" in answer.headers) == (418, "1", False)


async def test_a_layer_turns_an_error_into_a_result():
    """A layer that catches what is raised further in may answer instead."""
    app = app_with()

    async def catch(ctx: InvocationContext, next: Next) -> Any:
        try:
            return await next()
        except ZeroDivisionError as error:
            return {"caught": str(error)}

    @app.get("/x")
    @intercept(catch)
    def x() -> Any:
        return 1 / 0

    assert (await ask(app, "/x")).json() == {"caught": "division by zero"}


# -- background tasks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["injected", "own", "sync", "failing"])
async def test_background_tasks_see_no_invocation(how: str):
    """After the invocation `InvocationBindings` raise, in every kind of background task, and in what a layer kept."""
    seen: list[Any] = []
    app = app_with()

    async def task() -> None:
        seen.append(outside())
        if how == "failing":
            raise ValueError("in the task")

    def sync_task() -> None:
        seen.append(outside())

    @app.get("/x")
    async def x(tasks: BackgroundTasks) -> Any:
        if how == "own":
            return PlainTextResponse("x", background=BackgroundTask(task))
        tasks.add_task(sync_task if how == "sync" else task)
        return None

    assert (await ask_quietly(app, "/x")).status_code == 200
    assert seen == [True]
    assert outside()


async def test_what_a_background_task_needs_is_passed_along():
    """A context that was kept can still be read; what asks for the running invocation gets an error that says so."""
    seen: list[Any] = []
    app = app_with()

    async def task(ctx: InvocationContext) -> None:
        seen.extend((ctx.request.url.path, ctx.args["n"], await ctx.current_user()))

    @app.get("/{n}")
    async def x(n: int, ctx: InvocationContext, tasks: BackgroundTasks) -> None:
        tasks.add_task(task, ctx)

    await ask(app, "/3")
    assert seen == ["/3", 3, None]
    with pytest.raises(OutsideInvocationError, match="not in background tasks or at start-up"):
        InvocationBindings.request()


async def test_yield_dependencies_see_no_invocation():
    """A `yield` dependency runs around the invocation, not in it."""
    seen: list[bool] = []
    app = app_with()

    async def dependency() -> AsyncIterator[None]:
        seen.append(outside())
        yield
        seen.append(outside())

    @app.get("/x")
    async def x(needed: Annotated[None, Depends(dependency)]) -> None:
        seen.append(outside())

    await ask(app, "/x")
    assert seen == [True, False, True]
