"""Hooks that complete twice, late or never, over HTTP: each request has one answer, soon, and no error is lost."""

import asyncio
import time
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from interceptors import InterceptorRegistry
from interceptors.errors import DoubleCompletionWarning, ForgottenNextError
from interceptors.fastapi import controller, get, install
from interceptors.remoting import RemoteHooks
from tests.integration.support import ask, ask_quietly, client_of, served
from tests.unit.remoting.support import warned


class Forbidden(Exception):
    """A refusal."""

    status_code = 403


def application(hooks: RemoteHooks, log: list[str]) -> FastAPI:
    """One route; the log tells whether a call was let through."""
    registry = InterceptorRegistry()
    registry.add_global(hooks)

    @controller(model="Order")
    class C:
        @get("/")
        async def find(self, wait: float = 0) -> str:
            log.append("method")
            await asyncio.sleep(wait)
            return "found"

    app = FastAPI()
    install(app, registry, controllers=[C])
    return app


@pytest.fixture
def log() -> list[str]:
    """What happened."""
    return []


@pytest.fixture
def hooks() -> RemoteHooks:
    """Hooks with a short time limit."""
    return RemoteHooks(next_timeout=0.05)


# -- never -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after", "error"])
async def test_a_forgotten_next_is_a_500_after_the_time_limit(hooks: RemoteHooks, log: list[str], when: str) -> None:
    """It does not hang, and the log of the server has the error that names the hook."""

    def forgetful(ctx: Any, next: Any) -> None: ...

    if when == "error":
        hooks.before_remote("**", lambda ctx, next: next(Forbidden("no")))
    {"before": hooks.before_remote, "after": hooks.after_remote, "error": hooks.after_remote_error}[when](
        "**", forgetful
    )
    app = application(hooks, log)
    before = time.monotonic()
    response = await asyncio.wait_for(ask_quietly(app, "/"), 60)
    assert time.monotonic() - before > 0.04
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert log == (["method"] if when == "after" else [])
    with pytest.raises(ForgottenNextError, match="forgetful") as caught:
        await ask(app, "/")
    assert isinstance(caught.value.__cause__, Forbidden if when == "error" else type(None))


async def test_the_application_may_handle_it(hooks: RemoteHooks, log: list[str]) -> None:
    """It is a TimeoutError."""
    hooks.before_remote("**", lambda ctx, next: None)
    app = application(hooks, log)

    @app.exception_handler(TimeoutError)
    async def handle(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({"handled": True}, 504)

    assert (await ask(app, "/")).status_code == 504


async def test_other_requests_do_not_wait(hooks: RemoteHooks, log: list[str]) -> None:
    """While one hook is waited for."""
    hooks = RemoteHooks(next_timeout=0.3)

    @hooks.before_remote("**")
    def sometimes(ctx: Any, next: Any) -> None:
        if "bad" not in ctx.req.query_params:
            next()

    async with client_of(application(hooks, log), raise_app_exceptions=False) as client:
        bad = asyncio.create_task(client.get("/?bad=1"))
        await asyncio.sleep(0.01)
        assert (await client.get("/")).status_code == 200
        assert not bad.done()
        assert (await bad).status_code == 500


# -- late --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["task", "callback"])
@pytest.mark.parametrize(("error", "status"), [(None, 200), (Forbidden("late"), 403)])
async def test_next_may_come_later(
    hooks: RemoteHooks, log: list[str], way: str, error: Exception | None, status: int
) -> None:
    """From another task and from a callback of the loop."""
    tasks: list[Any] = []

    async def work(next: Any) -> None:
        await asyncio.sleep(0.01)
        next(error)

    @hooks.before_remote("**")
    def hook(ctx: Any, next: Any) -> None:
        if way == "task":
            tasks.append(asyncio.create_task(work(next)))
        else:
            asyncio.get_running_loop().call_later(0.01, next, error)

    assert (await ask(application(hooks, log), "/")).status_code == status
    assert log == (["method"] if error is None else [])


async def test_next_after_the_time_limit_is_too_late(hooks: RemoteHooks, log: list[str]) -> None:
    """The answer was given; the warning names the hook, and its cause is the error that came too late."""
    late = Forbidden("too late")
    given = asyncio.Event()

    @hooks.before_remote("**")
    def hook(ctx: Any, next: Any) -> None:
        def give() -> None:
            next(late)
            given.set()

        asyncio.get_running_loop().call_later(0.1, give)

    with warned() as caught:
        assert (await ask_quietly(application(hooks, log), "/")).status_code == 500
        await given.wait()
    assert [warning.category for warning in caught] == [DoubleCompletionWarning]
    assert caught[0].message.__cause__ is late  # type: ignore[union-attr]
    assert log == []


# -- twice -------------------------------------------------------------------------------------------------------------


def next_then_raise(ctx: Any, next: Any) -> None:
    """Has to refuse."""
    next()
    raise Forbidden("no")


async def async_next_then_raise(ctx: Any, next: Any) -> None:
    """Has to refuse, though late."""
    await next()
    await asyncio.sleep(0.01)
    raise Forbidden("no")


def done_then_raise(ctx: Any, next: Any) -> None:
    """Has to refuse, though answered."""
    ctx.done("answer")
    raise Forbidden("no")


def promise_that_raises(ctx: Any, next: Any) -> Any:
    """Has to refuse: the promise is the hook."""
    return async_next_then_raise(ctx, next)


@pytest.mark.parametrize("hook", [next_then_raise, async_next_then_raise, done_then_raise, promise_that_raises])
async def test_an_error_after_next_lets_nothing_through(hooks: RemoteHooks, log: list[str], hook: Any) -> None:
    """`next(); raise Forbidden`: 403, and the method has not run."""
    hooks.before_remote("**", hook)
    response = await ask(application(hooks, log), "/")
    assert (response.status_code, response.json()) == (403, {"detail": "no"})
    assert log == []


async def test_completing_twice_answers_once(hooks: RemoteHooks, log: list[str]) -> None:
    """The method runs once, later hooks run once, and each request warns once."""

    @hooks.before_remote("**")
    def twice(ctx: Any, next: Any) -> None:
        next()
        next()

    hooks.before_remote("**", lambda ctx: log.append("second hook"))
    app = application(hooks, log)
    with warned() as caught:
        for _ in range(3):
            assert (await ask(app, "/")).json() == "found"
    assert log == ["second hook", "method"] * 3
    assert [warning.category for warning in caught] == [DoubleCompletionWarning] * 3


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["before hook", "waiting for next", "method", "after hook"])
async def test_cancellation_passes(log: list[str], where: str) -> None:
    """Nothing is swallowed, no error hook runs, and no later hook."""
    hooks = RemoteHooks()
    reached = asyncio.Event()

    async def waits(ctx: Any) -> None:
        reached.set()
        try:
            await asyncio.sleep(60)
        finally:
            log.append("left")

    if where == "before hook":
        hooks.before_remote("**", waits)
    elif where == "waiting for next":
        hooks.before_remote("**", lambda ctx, next: reached.set())
    elif where == "after hook":
        hooks.after_remote("Order.*", waits)
    else:
        hooks.before_remote("**", lambda ctx: reached.set())
    hooks.after_remote("**", lambda ctx: log.append("after hook"))
    hooks.after_remote_error("**", lambda ctx: log.append("error hook"))
    task = asyncio.create_task(ask(application(hooks, log), "/?wait=60" if where == "method" else "/"))
    await reached.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    expected = {
        "before hook": ["left"],
        "waiting for next": [],
        "method": ["method"],
        "after hook": ["method", "left"],
    }
    assert log == expected[where]


async def test_a_time_limit_of_the_callers_passes(hooks: RemoteHooks, log: list[str]) -> None:
    """`asyncio.timeout` in a layer outside cuts a slow hook off, and is a TimeoutError there."""

    @hooks.before_remote("**")
    async def slow(ctx: Any) -> None:
        await asyncio.sleep(60)

    async def limit(ctx: Any, next: Any) -> Any:
        try:
            async with asyncio.timeout(0.02):
                return await next()
        except TimeoutError:
            return "timed out"

    registry = InterceptorRegistry(ordered_groups=("outer", "remoting"))
    registry.add_global(hooks, group="remoting")
    registry.add_global(limit, group="outer")
    app = FastAPI()
    install(app, registry)

    @app.get("/")
    async def find() -> None:
        log.append("method")

    hooks.after_remote_error("**", lambda ctx: log.append("error hook"))
    assert (await ask(app, "/")).json() == "timed out"
    assert log == []


async def test_on_a_real_server_nothing_hangs(hooks: RemoteHooks, log: list[str]) -> None:
    """A forgotten `next`, a late one and a refusal after `next`, by a server on a socket."""

    @hooks.before_remote("**")
    def hook(ctx: Any, next: Any) -> None:
        way = ctx.req.query_params["way"]
        if way == "late":
            asyncio.get_running_loop().call_later(0.01, next)
        elif way == "refuse":
            next()
            raise Forbidden("no")

    async with served(application(hooks, log)) as port:
        statuses = [await fetch(port, f"/?way={way}") for way in ("late", "refuse", "never", "late")]
    assert statuses == [200, 403, 500, 200]
    assert log == ["method", "method"]


async def fetch(port: int, path: str) -> int:
    """One plain request; its status."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return int(answer.split()[1])
