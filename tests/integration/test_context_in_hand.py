"""Over HTTP: whoever awaits a request's `next()`, everything further in is that request's."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, Provider, provided
from fastapi import BackgroundTasks, Request, WebSocket
from fastapi.testclient import TestClient

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, UserNotResolvedError, intercept
from interceptors.fastapi import controller, get, websocket
from tests.integration.support import app_with, client_of
from tests.unit.helpers import Worker


async def user_of(request: Any) -> Any:
    await asyncio.sleep(0)
    return request.headers.get("x-user")


def hidden() -> Any:
    return InvocationBindings.request().headers["x-user"]


async def slow(user: Any) -> Any:
    await asyncio.sleep(0)
    return [user, hidden()]


class Container(containers.DeclarativeContainer):
    pair = providers.List(InvocationBindings.current_user, providers.Callable(hidden))
    slow = providers.Coroutine(slow, user=InvocationBindings.current_user)


class Detached:
    """A new task of an empty context awaits it."""

    task = None

    async def intercept(self, ctx: Any, next: Any) -> Any:
        return await asyncio.create_task(next(), context=contextvars.Context())


class Meanwhile:
    """It is awaited within an invocation of another request."""

    task = None

    async def intercept(self, ctx: Any, next: Any) -> Any:
        return await InterceptorRegistry(current_user=lambda request: "eve").invoke(
            self, "work", next, request=Request({"type": "http", "headers": [(b"x-user", b"eve")]})
        )

    async def work(self, what: Any) -> Any:
        await InvocationBindings.context().current_user()
        return await what()


User = Annotated[Any, Provide["current_user"]]


class Service:
    async def who(self, user: User, hidden: Annotated[Any, Provide["request", provided().headers["x-user"]]]) -> Any:
        return [user, hidden]


def made(layer: Any, registry: InterceptorRegistry) -> type:
    service = registry.intercepted(Service())

    async def of_a_layer(ctx: InvocationContext, next: Any) -> Any:
        found = [await ctx.current_user(), *await ctx.get("pair"), *await ctx.get("slow"), hidden()]
        return [*set(found), *await next()]

    @controller()
    @intercept(layer)
    class Users:
        def __init__(self, pair: Annotated[Any, Provide["pair"]]) -> None:
            self.pair = pair

        @get("/constructor")
        async def by_constructor(self) -> Any:
            return self.pair

        @get("/bindings")
        async def by_bindings(self, ctx: InvocationContext) -> Any:
            await ctx.current_user()
            return [InvocationBindings.current_user(), hidden()]

        @get("/thread")
        def in_a_thread(self, slow: Annotated[Any, Provide["slow"]]) -> Any:
            return [*slow, InvocationBindings.current_user()]

        @get("/handed-out")
        async def handed_out(
            self, user: User, pair: Annotated[Any, Provider["pair"]], slow: Annotated[Any, Provider["slow"]]
        ) -> Any:
            return [*pair(), *await slow()]

        @get("/proxy")
        async def by_proxy(self) -> Any:
            return [*await service.who(), *await registry.invoke(Service(), "who")]

        @get("/layer")
        @intercept(of_a_layer)
        async def by_layer(self, ctx: InvocationContext) -> Any:
            return await asyncio.gather(ctx.current_user(), service.who())

        @get("/stream")
        async def stream(self, slow: Annotated[Any, Provide["slow"]]) -> AsyncIterator[Any]:
            yield [*slow, *self.pair, hidden(), *await service.who()]

        @websocket("/websocket")
        async def talk(self, socket: WebSocket, user: User) -> None:
            await socket.accept()
            await socket.send_json([user, *self.pair, hidden(), *await service.who()])
            await socket.close()

    return Users


def flat(found: Any) -> set[Any]:
    return {each for one in found for each in (flat(one) if isinstance(one, list) else [one])}


@pytest.mark.parametrize("hands_over", [Worker, Detached, Meanwhile])
@pytest.mark.parametrize("path", ["constructor", "bindings", "thread", "handed-out", "proxy", "layer", "stream"])
async def test_everything_further_in_is_of_the_request(path: str, hands_over: Any) -> None:
    """What is injected, what is asked for, what is called: three users, one after the other, and at once."""
    layer, registry = hands_over(), InterceptorRegistry(Container(), current_user=user_of)
    app = app_with(made(layer, registry), registry=registry)

    async with client_of(app) as client:

        async def ask(user: str) -> None:
            answer = await client.get(f"/{path}", headers={"x-user": user})
            assert (answer.status_code, flat(answer.json() if path != "stream" else [answer.json()])) == (200, {user})

        for user in ("admin", "eve", "ada"):
            await ask(user)
        await asyncio.gather(*map(ask, ("ada", "admin", "eve", "ada")))
    if layer.task is not None:
        layer.task.cancel()


@pytest.mark.parametrize("hands_over", [Detached, Meanwhile])
def test_so_it_is_in_a_websocket(hands_over: Any) -> None:
    """The conversation is awaited elsewhere."""
    registry = InterceptorRegistry(Container(), current_user=user_of)
    app = app_with(made(hands_over(), registry), registry=registry)

    with TestClient(app) as client:
        for user in ("admin", "ada"):
            with client.websocket_connect("/websocket", headers={"x-user": user}) as socket:
                assert flat(socket.receive_json()) == {user}


async def test_a_provider_that_is_handed_out_may_be_called_in_the_background() -> None:
    """It stands for the invocation that it was given to, also when that has ended."""
    found: list[Any] = []

    @controller()
    class Users:
        @get("/")
        async def show(self, tasks: BackgroundTasks, user: User, pair: Annotated[Any, Provider["pair"]]) -> None:
            tasks.add_task(lambda: found.append(pair()))

    app = app_with(Users, registry=InterceptorRegistry(Container(), current_user=user_of))
    async with client_of(app) as client:
        for user in ("admin", "ada"):
            await client.get("/", headers={"x-user": user})
    assert found == [["admin", "admin"], ["ada", "ada"]]


@pytest.mark.parametrize("shape", ["Provide", "service", "provider"])
async def test_a_current_user_that_asks_for_itself_is_told(shape: str) -> None:
    """It does not hang: a parameter of a service, the service through a proxy, a provider of the user's own."""

    class Asks:
        async def who(self, user: User) -> Any:
            return user

    async def ask(request: Any) -> Any:
        service = asking.intercepted(Asks())
        return await (service.who() if shape == "service" else asking.invoke(Asks(), "who"))

    asking = InterceptorRegistry(current_user=ask)
    if shape == "provider":
        asking = InterceptorRegistry(current_user=providers.Coroutine(ask, InvocationBindings.request))

    @controller()
    class Users:
        @get("/")
        async def show(self, user: User) -> Any:
            return user

    async with asyncio.timeout(10), client_of(app_with(Users, registry=asking)) as client:
        with pytest.raises(UserNotResolvedError, match="asks for the current user, which it is called to find"):
            await client.get("/")
