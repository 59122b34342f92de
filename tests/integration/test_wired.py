"""Handlers with dependency-injector's `@inject`: layers see the values that they get, not markers."""

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, Provider, inject
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient

from interceptors import InterceptorRegistry, InvocationContext
from interceptors.fastapi import controller, get, install
from tests.integration.support import Next, ask, client_of, started


class Service:
    def __init__(self) -> None:
        self.thread = threading.get_ident()


async def made_later() -> str:
    await asyncio.sleep(0)
    return "later"


def opened(log: list[str]) -> Iterator[str]:
    log.append("open")
    yield "resource"
    log.append("close")


class Container(containers.DeclarativeContainer):
    log = providers.Object([])
    service = providers.Factory(Service)
    only = providers.Singleton(Service)
    later = providers.Coroutine(made_later)
    resource = providers.Resource(opened, log)
    limit = providers.Object(3)
    failing = providers.Object("never")


@pytest.fixture
def container() -> Iterator[Container]:
    made = Container(log=[])
    made.wire([sys.modules[__name__]])
    yield made
    made.unwire()


@inject
async def asynchronous(
    n: int,
    service: Annotated[Service, Depends(Provide[Container.service])],
    only: Service = Depends(Provide[Container.only]),
    later: str = Depends(Provide["later"]),
    factory: Any = Depends(Provider["service"]),
) -> list[Any]:
    return [n, service, only, factory().thread, later]


@inject
def synchronous(
    n: int,
    service: Annotated[Service, Depends(Provide[Container.service])],
    only: Service = Depends(Provide[Container.only]),
    factory: Any = Depends(Provider["service"]),
) -> list[Any]:
    return [n, service, only, factory().thread]


@inject
async def stream(n: int, service: Annotated[Service, Depends(Provide[Container.service])]) -> AsyncIterator[Any]:
    yield [n, service]


@controller()
class Items:
    @get("/x/{n}", response_model=None)
    @inject
    async def method(self, n: int, service: Annotated[Service, Depends(Provide[Container.service])]) -> list[Any]:
        return [n, service]


def on_application(app: FastAPI, registry: InterceptorRegistry, handler: Any) -> None:
    install(app, registry)
    app.get("/x/{n}", response_model=None)(handler)


def on_router(app: FastAPI, registry: InterceptorRegistry, handler: Any) -> None:
    router = APIRouter()
    router.get("/x/{n}", response_model=None)(handler)
    app.include_router(router)
    install(app, registry)


def on_controller(app: FastAPI, registry: InterceptorRegistry, handler: Any) -> None:
    install(app, registry, controllers=[Items])


@pytest.mark.parametrize(
    ("handler", "place"),
    [
        *((handler, place) for handler in (asynchronous, synchronous, stream) for place in (on_application, on_router)),
        (None, on_controller),
    ],
)
async def test_a_layer_sees_what_the_handler_gets(container: Container, handler: Any, place: Any) -> None:
    """The very objects, made once, of the container that is wired, whatever the registry knows of."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.args)
        result = await next()
        seen.append([item async for item in result][0] if handler is stream else result)
        return [] if handler is stream else 1

    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(look)
    place(app, registry, handler)
    assert (await ask(app, "/x/7")).status_code == 200
    args, (n, service, *others) = seen
    assert args["n"] == n == 7
    assert args["service"] is service
    assert type(service) is Service
    if others:
        assert args["only"] is others[0] is container.only()
        assert type(args["factory"]()) is Service
    assert args.get("later") == ("later" if handler is asynchronous else None)
    here = threading.get_ident()
    assert (service.thread == here) is (handler is not synchronous)


async def test_a_websocket_has_values_too(container: Container) -> None:
    """Its chain runs around the conversation."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.args["service"])
        return await next()

    @inject
    async def talk(socket: WebSocket, service: Annotated[Any, Depends(Provide["service"])]) -> None:
        await socket.accept()
        seen.append(service)
        await socket.send_json(1)

    # What is local was not there when the module was wired.
    local = sys.modules[__name__]
    vars(local)["talk"] = talk
    container.wire([local])
    del vars(local)["talk"]
    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(look)
    app.websocket("/talk")(talk)
    install(app, registry)
    with TestClient(app) as client, client.websocket_connect("/talk") as socket:
        assert socket.receive_json() == 1
    assert seen[0] is seen[1]
    assert type(seen[0]) is Service


@inject
async def closed_after(
    log: Annotated[list[str], Depends(Provide[Container.log])],
    resource: Annotated[str, Depends(Closing[Provide[Container.resource]])],
    unknown: Annotated[Any, Depends(Provide["unknown"])] = None,
) -> str:
    log.append(resource)
    return type(unknown).__name__


@pytest.mark.parametrize("layers", [0, 1])
async def test_what_only_the_wrapper_can_do_is_left_to_it(container: Container, layers: int) -> None:
    """Closing after the handler, and what the container has no provider for: as without us."""
    app, registry, seen = FastAPI(), InterceptorRegistry(), []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.args["log"])
        return await next()

    for _ in range(layers):
        registry.add_global(look)
    app.get("/x")(closed_after)
    before = await ask(app, "/x")
    install(app, registry)
    after = await ask(app, "/x")
    assert (after.status_code, after.text) == (before.status_code, before.text)
    assert container.log() == ["open", "resource", "close"] * 2
    assert seen == [container.log()] * layers


async def test_what_a_layer_puts_there_is_what_the_handler_gets(container: Container) -> None:
    """And a provider that a test overrides is overridden, at every request anew."""
    app, registry = FastAPI(), InterceptorRegistry()

    async def double(ctx: InvocationContext, next: Next) -> Any:
        ctx.args["limit"] *= 2
        return await next()

    registry.add_global(double)
    app.get("/x")(limited)
    install(app, registry)
    async with started(app), client_of(app) as client:
        assert (await client.get("/x")).json() == 6
        with container.limit.override(5):
            assert (await client.get("/x")).json() == 10
        container.unwire()  # then FastAPI and the handler have what they have without us: a marker
        container.wire([sys.modules[__name__]])
        assert (await client.get("/x")).json() == 6


async def fails() -> str:
    raise LookupError("no such thing")


@pytest.mark.parametrize("order", ["later first", "failing first"])
async def test_what_cannot_be_made_leaves_nothing_that_nobody_awaits(container: Container, order: str) -> None:
    """The handler is not called, and Python has nothing to warn of."""
    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(passing)
    app.get("/x")(needing_two if order == "later first" else needing_two_the_other_way)
    install(app, registry)
    with container.failing.override(providers.Coroutine(fails)):
        with pytest.raises(LookupError, match="no such thing"):
            await ask(app, "/x")
        gc.collect()


@inject
async def needing_two(
    later: Annotated[str, Depends(Provide[Container.later])],
    failing: Annotated[str, Depends(Provide[Container.failing])],
) -> None:
    raise AssertionError


@inject
async def needing_two_the_other_way(
    failing: Annotated[str, Depends(Provide[Container.failing])],
    later: Annotated[str, Depends(Provide[Container.later])],
) -> None:
    raise AssertionError


async def passing(ctx: InvocationContext, next: Next) -> Any:
    return await next()


@inject
async def limited(limit: Annotated[int, Depends(Provide[Container.limit])]) -> int:
    return limit
