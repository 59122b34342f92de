"""What a run of a handler that failed has set does not get into the answer; what layers and dependencies set does."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import BackgroundTasks, Depends, FastAPI, Response
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.background import BackgroundTask

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, Next, intercept
from interceptors.fastapi import RouteContext, controller, get, install
from tests.integration.support import app_with, ask


async def answers(ctx: InvocationContext, next: Next) -> Any:
    try:
        return await next()
    except (ValueError, TimeoutError) as error:
        return {"error": type(error).__name__}


async def retries(ctx: InvocationContext, next: Next) -> Any:
    try:
        return await next()
    except (ValueError, TimeoutError):
        return await next()


class Attempts:
    """Sets all there is to set, and fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures, self.number = failures, 0
        self.done: list[int] = []

    def run(self, response: Response, tasks: BackgroundTasks) -> Any:
        self.number += 1
        response.status_code = 201
        response.headers["x-attempt"] = str(self.number)
        response.set_cookie("attempt", str(self.number))
        response.background = BackgroundTask(self.done.append, -self.number)
        tasks.add_task(self.done.append, self.number)
        if self.number <= self.failures:
            raise ValueError
        return {"attempt": self.number}


def by_constructor(app: FastAPI, attempts: Attempts, layer: Any) -> None:
    class Base:
        def __init__(self, response: Response) -> None:
            attempts.run(response, BackgroundTasks())

    @controller()
    @intercept(layer)
    class C(Base):
        @get("/x")
        async def x(self) -> Any:
            attempts.done.append(attempts.number)
            return {"attempt": attempts.number}

    install(app, app.state.interceptors, [C])


def by_an_injected_parameter(app: FastAPI, attempts: Attempts, layer: Any) -> None:
    @app.get("/x")
    @intercept(layer)
    async def x(made: Annotated[Any, Provide["made"]], tasks: BackgroundTasks) -> Any:
        return attempts.run(made, tasks)


def by_a_dependency_that_holds_them(app: FastAPI, attempts: Attempts, layer: Any) -> None:
    class Holder:
        def __init__(self, response: Response, tasks: BackgroundTasks) -> None:
            self.both = response, tasks

    def holder(inner: Annotated[Holder, Depends(Holder)]) -> Holder:
        return inner

    @app.get("/x")
    @intercept(layer)
    def x(holder: Annotated[Holder, Depends(holder)]) -> Any:
        return attempts.run(*holder.both)


def by_bindings(app: FastAPI, attempts: Attempts, layer: Any) -> None:
    @app.get("/x")
    @intercept(layer)
    async def x(tasks: BackgroundTasks) -> Any:
        return attempts.run(InvocationBindings.response(), tasks)


class Container(containers.DeclarativeContainer):
    made = providers.Callable(lambda response: response, InvocationBindings.response)


WAYS: list[Callable[[FastAPI, Attempts, Any], None]] = [
    by_constructor,
    by_an_injected_parameter,
    by_a_dependency_that_holds_them,
    by_bindings,
]


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_a_failed_run_is_in_the_answer_of_a_layer(way: Any) -> None:
    """However the handler came by the response and the tasks."""
    attempts = Attempts(99)
    app = app_with(registry=InterceptorRegistry(Container()))
    way(app, attempts, answers)
    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json(), attempts.done) == (200, {"error": "ValueError"}, [])
    assert "x-attempt" not in answer.headers and "set-cookie" not in answer.headers


@pytest.mark.parametrize("way", WAYS)
async def test_a_retry_has_what_the_last_run_set_once(way: Any) -> None:
    """Its status, headers and cookies; its tasks, both kinds."""
    attempts = Attempts(1)
    app = app_with(registry=InterceptorRegistry(Container()))
    way(app, attempts, retries)
    answer = await ask(app, "/x")
    assert (answer.status_code, answer.json()) == (201, {"attempt": 2})
    assert answer.headers.get_list("x-attempt") == ["2"] and len(answer.headers.get_list("set-cookie")) == 1
    assert sorted(attempts.done) == [-2, 2]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("recovers", [answers, retries])
async def test_what_layers_and_dependencies_have_set_stays(recovers: Any, way: Any) -> None:
    """Before the run that failed: status, headers also of the names that the run set, cookies, tasks of both kinds."""
    attempts = Attempts(1)

    def dependency(response: Response, tasks: BackgroundTasks) -> None:
        response.headers["x-dependency"] = "1"
        response.set_cookie("dependency", "1")
        tasks.add_task(attempts.done.append, 100)

    async def outer(ctx: RouteContext, next: Next) -> Any:
        ctx.response.status_code = 202
        ctx.response.headers["x-attempt"] = "outer"
        ctx.response.background = BackgroundTask(attempts.done.append, -100)
        return await next()

    registry = InterceptorRegistry(Container())
    registry.add_global(outer)
    app = app_with(registry=registry, dependencies=[Depends(dependency)])
    way(app, attempts, recovers)
    answer = await ask(app, "/x")
    cookies = [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert answer.headers["x-dependency"] == "1"
    if recovers is answers:
        assert (answer.status_code, answer.headers.get_list("x-attempt"), cookies) == (202, ["outer"], ["dependency"])
        assert sorted(attempts.done) == [-100, 100]
    else:
        assert (answer.status_code, answer.headers.get_list("x-attempt")) == (201, ["2"])
        assert cookies == ["dependency", "attempt"] and {-2, 2, 100} <= {*attempts.done} and -1 not in attempts.done


async def test_a_run_that_is_cancelled_leaves_nothing_either() -> None:
    """By a limit of a layer, whose answer it is then."""
    app = app_with()
    done: list[int] = []

    async def limit(ctx: InvocationContext, next: Next) -> Any:
        with anyio.move_on_after(0.01):
            return await next()
        return "late"

    @app.get("/x")
    @intercept(limit)
    async def x(response: Response, tasks: BackgroundTasks) -> Any:
        response.headers["x-attempt"] = "1"
        tasks.add_task(done.append, 1)
        await anyio.sleep_forever()

    answer = await ask(app, "/x")
    assert (answer.json(), "x-attempt" in answer.headers, done) == ("late", False, [])


async def test_a_stream_that_could_not_begin_leaves_nothing() -> None:
    """What its constructor has set goes when it raises; the retry's stays."""
    attempts = Attempts(1)

    @controller()
    @intercept(retries)
    class C:
        def __init__(self, response: Response) -> None:
            attempts.run(response, BackgroundTasks())

        @get("/x")
        async def x(self) -> AsyncIterator[int]:
            yield attempts.number

    answer = await ask(app_with(C), "/x")
    assert (answer.text.strip(), answer.headers.get_list("x-attempt")) == ("2", ["2"])
    assert answer.status_code == 201 and attempts.done == [-2]


async def test_the_background_task_of_a_layer_runs_when_the_answer_is_sent() -> None:
    """`ctx.response.background`, also beside the handler's own and with a `Response`; not when the request fails."""
    ran: list[str] = []

    async def adds(ctx: RouteContext, next: Next) -> Any:
        ctx.response.background = BackgroundTask(ran.append, "layer's")
        return await next()

    app = app_with()

    @app.get("/{kind}")
    @intercept(adds)
    async def x(kind: str, tasks: BackgroundTasks) -> Any:
        tasks.add_task(ran.append, "handler's")
        if kind == "fails":
            raise ValueError
        return PlainTextResponse("x", background=BackgroundTask(ran.append, "own")) if kind == "response" else kind

    await ask(app, "/value")
    assert ran == ["handler's", "layer's"]
    ran.clear()
    await ask(app, "/response")
    assert sorted(ran) == ["handler's", "layer's", "own"]
    ran.clear()
    with pytest.raises(ValueError):
        await ask(app, "/fails")
    assert ran == []


async def test_nor_does_it_run_when_the_answer_cannot_be_made() -> None:
    """The chain has returned, and what it gave is not what the route promises, or a dependency fails when it is left."""
    ran: list[str] = []

    async def adds(ctx: RouteContext, next: Next) -> Any:
        ctx.response.background = BackgroundTask(ran.append, "layer's")
        return await next()

    async def fails_at_the_end() -> AsyncIterator[None]:
        yield
        raise ValueError

    app = app_with()

    @app.get("/wrong")
    @intercept(adds)
    async def wrong() -> int:
        return "no number"  # type: ignore[return-value]

    @app.get("/left", dependencies=[Depends(fails_at_the_end, scope="function")])
    @intercept(adds)
    async def left() -> None: ...

    with pytest.raises(ResponseValidationError):
        await ask(app, "/wrong")
    with pytest.raises(ValueError):
        await ask(app, "/left")
    assert ran == []


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 200),
        ({"status_code": 201}, 201),
        ({"response_class": RedirectResponse}, 307),
        ({"response_class": RedirectResponse, "status_code": 303}, 303),
    ],
)
@pytest.mark.parametrize("place", ["app", "controller"])
async def test_the_status_is_the_routes_before_anybody_sets_one(options: Any, status: int, place: str) -> None:
    """Layers see it before and after; a handler sees what it sees in plain FastAPI, and the answer is as without them."""
    seen: list[Any] = []

    async def looks(ctx: RouteContext, next: Next) -> Any:
        seen.append(ctx.response.status_code)
        result = await next()
        seen.append(ctx.response.status_code)
        return result

    async def x(response: Response) -> Any:
        seen.append(response.status_code)
        return "/elsewhere"

    async def method(self: Any, response: Response) -> Any:
        return await x(response)

    if place == "app":
        app = app_with()
        app.get("/x", **options)(intercept(looks)(x))
    else:
        app = app_with(controller()(type("C", (), {"method": get("/x", **options)(intercept(looks)(method))})))
    answer = await ask(app, "/x")
    assert (answer.status_code, seen) == (status, [status, None, status])


async def test_a_status_that_is_set_counts_also_if_it_is_the_routes_own() -> None:
    """With a `Response` of another status: the injected status wins if somebody set one."""

    async def sets(ctx: RouteContext, next: Next) -> Any:
        result = await next()
        if "set" in ctx.request.query_params:
            ctx.response.status_code = 200
        assert ctx.response.status_code == 200
        return result

    app = app_with()

    @app.get("/x")
    @intercept(sets)
    async def x() -> Any:
        return JSONResponse({}, 404)

    assert [(await ask(app, path)).status_code for path in ("/x", "/x?set=1")] == [404, 200]
