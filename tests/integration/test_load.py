"""A thousand requests at once: nothing mixes, nothing leaks, whatever fails or is cancelled on the way."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Annotated, Any
from weakref import ref

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, intercept
from interceptors.context import innermost
from interceptors.fastapi import bind_request, controller, create_router, get, install, intercepted_route
from tests.integration.support import Next, client_of, dead, outside

pytestmark = pytest.mark.slow

REQUESTS = 1000
ROUTES = ("/c/async", "/c/sync", "/v1/c/async", "/function", "/router", "/c/items", "/response")
STEPS = ("user", "layer", "inner layer", "handler", "service", "nested service", "after")
ENDS = {"cancel": None, "error": 500, "http": 418}


class Broken(Exception):
    """An error of the application's own."""


class Load:
    """What happens to each request, decided beforehand by the seed."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.fates: list[tuple[str, str] | None] = [
            (chance.choice(STEPS), chance.choice(tuple(ENDS))) if chance.random() < 0.4 else None
            for _ in range(REQUESTS)
        ]
        self.paths = [chance.choice(ROUTES) for _ in range(REQUESTS)]
        self.pauses = chance
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.references: list[ref[Any]] = []
        self.arrived = 0
        self.all_here = asyncio.Event()
        self.background: list[int] = []

    async def step(self, name: str, number: int) -> None:
        """Lose the processor a few times; fail or be cancelled here, if that is this request's fate."""
        for _ in range(self.pauses.randrange(3)):
            await asyncio.sleep(0)
        fate = self.fates[number]
        if fate is not None and fate[0] == name:
            if fate[1] == "cancel":
                self.tasks[number].cancel()
                await asyncio.sleep(0)
            elif fate[1] == "error":
                raise Broken(number)
            else:
                raise HTTPException(418, str(number))

    def keep(self, thing: Any) -> None:
        """Look out for what stays alive."""
        self.references.append(ref(thing))


def number_of(request: Request) -> int:
    return int(request.headers["x-number"])


class Audit:
    """Made from the invocation by the container."""

    def __init__(self, request: Request, user: int, context: InvocationContext) -> None:
        self.facts = [number_of(request), user, context.state.get("number", user)]


class Container(containers.DeclarativeContainer):
    audit = providers.Factory(
        Audit, InvocationBindings.request, InvocationBindings.current_user, InvocationBindings.context
    )


def build(load: Load) -> FastAPI:
    """An application in which every way of passing something to a call passes the request's own number."""

    async def find_user(request: Request) -> int:
        await load.step("user", number_of(request))
        return number_of(request)

    registry = InterceptorRegistry(Container(), current_user=find_user)

    async def everywhere(ctx: InvocationContext) -> list[int]:
        """The number as it is found by all the ways there are."""
        running = InvocationBindings.context()
        assert running is ctx
        return [
            number_of(ctx.request),
            number_of(InvocationBindings.request()),
            await ctx.get("shared"),
            await ctx.get("from dependency"),
            await ctx.current_user(),
            *(await ctx.get("audit")).facts,
        ]

    class Nested:
        async def work(self, number: int) -> list[int]:
            ctx = InvocationBindings.context()
            load.keep(ctx)
            await load.step("nested service", number)
            return [*await everywhere(ctx), ctx.args["number"], ctx.state["number"]]

    nested = registry.intercepted(Nested())

    class Service:
        async def work(self, number: int) -> list[int]:
            ctx = InvocationBindings.context()
            ctx.bind("own", number)
            found = await everywhere(ctx)
            await load.step("service", number)
            both = await asyncio.gather(nested.work(number), nested.work(number))
            found += [*await nested.work(number), *await everywhere(ctx)]
            return [*found, *both[0], *both[1], await ctx.get("own"), ctx.state["number"]]

    service = registry.intercepted(Service())

    async def outer(ctx: InvocationContext, next: Next) -> Any:
        load.keep(ctx)
        number = number_of(ctx.request)
        ctx.state["number"] = number
        if ctx.source.type == "route":
            ctx.bind("own", number)
            ctx.bind_request("shared", number)
            await load.step("layer", number)
        result = await next()
        if ctx.source.type == "route":
            await load.step("after", number)
        assert await ctx.get("own", default=number) == number
        return result

    class Inner:
        def __init__(self, own: Annotated[int, Provide["own"]], audit: Annotated[Audit, Provide["audit"]]) -> None:
            self.numbers = [own, *audit.facts]

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            load.keep(self)
            await load.step("inner layer", self.numbers[0])
            ctx.args["numbers"] = [*ctx.args["numbers"], *self.numbers]
            return await next()

    registry.add_global(outer)

    async def arrive(request: Request) -> AsyncIterator[list[int]]:
        number = number_of(request)
        bind_request(request, "from dependency", number)
        load.arrived += 1
        if load.arrived == REQUESTS:
            load.all_here.set()
        await load.all_here.wait()
        yield [number]
        assert outside()

    Numbers = Annotated[list[int], Depends(arrive)]
    Own = Annotated[int, Provide["own"]]

    async def collect(ctx: InvocationContext, numbers: list[int], own: int) -> list[int]:
        await load.step("handler", own)
        found = [*numbers, own, ctx.state["number"], *await everywhere(ctx), *await service.work(own)]
        return [*found, *await everywhere(ctx)]  # the invocation is this one again

    @controller(prefix="/c")
    @intercept(Inner)
    class C:
        def __init__(self, own: Own, audit: Annotated[Audit, Provide["audit"]]) -> None:
            load.keep(self)
            self.numbers = [own, *audit.facts]

        @get("/async")
        async def asynchronous(self, ctx: InvocationContext, numbers: Numbers, own: Own, tasks: BackgroundTasks) -> Any:
            tasks.add_task(after, own)
            return [*self.numbers, *await collect(ctx, numbers, own)]

        @get("/sync")
        def sync(self, ctx: InvocationContext, numbers: Numbers, own: Own) -> Any:
            assert InvocationBindings.context() is ctx
            return [*self.numbers, *numbers, own, number_of(InvocationBindings.request()), ctx.state["number"]]

        @get("/items")
        async def items(self, ctx: InvocationContext, numbers: Numbers, own: Own) -> AsyncIterator[int]:
            for number in [*self.numbers, *numbers, own]:
                await asyncio.sleep(0)
                assert InvocationBindings.context() is ctx
                yield number
            for number in await service.work(own):
                yield number

    async def after(number: int) -> None:
        assert outside()
        load.background.append(number)

    app = FastAPI()
    install(app, registry, controllers=[C])
    app.include_router(create_router(C, registry), prefix="/v1")
    router = APIRouter(route_class=intercepted_route(registry))

    @app.get("/function")
    @router.get("/router")
    @intercept(Inner)
    async def function(ctx: InvocationContext, numbers: Numbers, own: Own) -> Any:
        return await collect(ctx, numbers, own)

    @app.get("/response")
    @intercept(Inner)
    def response(ctx: InvocationContext, numbers: Numbers, own: Own) -> Iterator[int]:
        for number in [*numbers, own, number_of(InvocationBindings.request())]:
            yield number

    app.include_router(router)

    @app.exception_handler(Broken)
    async def broken(request: Request, error: Broken) -> JSONResponse:
        return JSONResponse({"detail": str(error.args[0])}, 500)

    return app


def numbers_in(answer: Any) -> set[int]:
    """Every number of an answer, a list or a stream."""
    if answer.headers["content-type"] == "application/jsonl":
        return {int(line) for line in answer.text.splitlines()}
    return set(answer.json())


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_thousand_requests_at_once(seed: int):
    """Each answer holds its own number only, by every way; afterwards no task, no context and no invocation is left."""
    load = Load(seed)
    app = build(load)
    before = asyncio.all_tasks()
    async with client_of(app, raise_app_exceptions=False) as client:
        for number in range(REQUESTS):
            headers = {"x-number": str(number)}
            load.tasks[number] = asyncio.create_task(client.get(load.paths[number], headers=headers))
        await asyncio.wait(load.tasks.values())
        outcomes: Counter[str] = Counter()
        for number, task in load.tasks.items():
            outcomes[check(load, number, task)] += 1
        assert load.arrived == REQUESTS
        assert outcomes["answered"] > REQUESTS / 2
        assert min(outcomes[end] for end in ENDS) > REQUESTS / 50
        assert len(set(load.background)) == len(load.background) > 0
    load.tasks.clear()
    del task
    assert asyncio.all_tasks() == before
    assert innermost() is None
    assert outside()
    assert len(load.references) > REQUESTS
    assert dead(load.references)


def check(load: Load, number: int, task: "asyncio.Task[Any]") -> str:
    """How a request ended, which has to be its fate, if it came to it."""
    fate, path = load.fates[number], load.paths[number]
    calls_services = path not in {"/c/sync", "/response"}
    met = fate is not None and (calls_services or fate[0] not in {"handler", "service", "nested service"})
    met = met and not (fate[0] == "handler" and path == "/c/items")
    if met and fate[1] == "cancel":
        assert task.cancelled(), (number, fate, path)
        return "cancel"
    if met and path == "/c/items" and fate[0] in {"service", "nested service"}:
        with suppress(Exception):  # in the midst of the stream: the connection breaks off
            task.result()
        return fate[1]
    answer = task.result()
    if met:
        assert (answer.status_code, answer.json()) == (ENDS[fate[1]], {"detail": str(number)}), (fate, path)
        return fate[1]
    assert answer.status_code == 200, (number, fate, path, answer.text)
    assert numbers_in(answer) == {number}, (number, path)
    return "answered"
