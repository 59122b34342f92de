"""Whatever tasks the layers of a chain await `next()` in, everything further in is of the same request.

A chain is generated of layers that await it themselves, or hand it to a task of theirs, of another request, or of nobody. Several
requests go through it, one after the other or at once. The model is one line: what anybody sees is the request that it began with.
"""

import asyncio
import contextvars
from typing import Annotated, Any

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from hypothesis import given
from hypothesis import strategies as st

from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, compose, intercept

KINDS = ("awaits", "returns", "task", "detached", "worker", "elsewhere", "proxied", "by hand", "twice")


class Request:
    def __init__(self, number: int) -> None:
        self.scope: dict[str, Any] = {}
        self.number = number


async def user_of(request: Request) -> int:
    await asyncio.sleep(0)
    return request.number


async def slowly(**given: Any) -> list[Any]:
    await asyncio.sleep(0)
    return [*given.values(), InvocationBindings.request()]


def hidden() -> Request:
    return InvocationBindings.request()


class Container(containers.DeclarativeContainer):
    slow = providers.Coroutine(slowly, request=InvocationBindings.request)
    every = providers.List(InvocationBindings.request, providers.Callable(hidden), slow)


class Other:
    async def run(self, what: Any) -> Any:
        return await what()


async def seen(ctx: InvocationContext) -> list[Any]:
    """What one sees of the request, by number."""
    await asyncio.sleep(0)
    first, second, (third, fourth) = await ctx.get("every")
    asked = (
        first,
        second,
        third,
        fourth,
        InvocationBindings.request(),
        InvocationBindings.context().request,
        ctx.request,
    )
    return [await ctx.current_user(), InvocationBindings.current_user(), *(request.number for request in asked)]


class Chains:
    """Makes layers, and ends the tasks that they have started."""

    def __init__(self) -> None:
        self.registry = InterceptorRegistry(Container(), current_user=user_of)
        self.workers: list[asyncio.Task[None]] = []
        self.found: list[tuple[int, list[Any]]] = []

    def layer(self, kind: str) -> Any:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        proxied = InterceptorRegistry().intercepted(Other())

        async def work() -> None:
            while True:
                next, done = await queue.get()
                try:
                    done.set_result(await next())
                except Exception as error:
                    done.set_exception(error)

        async def hand_over(ctx: InvocationContext, next: Any) -> Any:
            match kind:
                case "returns":
                    return next()
                case "task":
                    return await asyncio.ensure_future(next())
                case "detached":
                    return await asyncio.create_task(next(), context=contextvars.Context())
                case "worker":
                    # One for each layer and request, as several may wait for one another, but of the first one's context.
                    self.workers.append(self.context.run(asyncio.create_task, work()))
                    done = asyncio.get_running_loop().create_future()
                    await queue.put((next, done))
                    return await done
                case "elsewhere":
                    return await InterceptorRegistry().invoke(Other(), "run", next, request=Request(-1))
                case "proxied":
                    return await proxied.run(next)
                case "by hand":
                    return await compose(self.layer("detached"), self.layer("proxied"))(ctx, next)
                case _:
                    return (await asyncio.gather(next(), next()))[0]

        async def awaits(ctx: InvocationContext, next: Any) -> Any:
            self.found.append((ctx.request.number, await seen(ctx)))
            return await next()

        return awaits if kind == "awaits" else hand_over

    def target(self, kinds: list[str]) -> Any:
        class Target:
            @intercept(*map(self.layer, kinds))
            async def call(
                _,
                ctx: InvocationContext,
                user: Annotated[Any, Provide["current_user"]],
                every: Annotated[Any, Provide["every"]],
            ) -> None:
                service = self.registry.intercepted(Service())
                self.found.append((ctx.request.number, [user, every[0].number, *await seen(ctx), *await service.ask()]))

        class Service:
            async def ask(_, ctx: InvocationContext) -> Any:
                return await seen(ctx)

        return Target()

    async def run(self, kinds: list[str], requests: int, at_once: bool) -> None:
        async def begin(ctx: InvocationContext, next: Any) -> Any:
            self.context = contextvars.copy_context()  # of an invocation that is there as long as all others
            return await next()

        class First:
            @intercept(begin)
            async def call(_) -> None:
                calls = [
                    self.registry.invoke(target, "call", request=Request(number)) for number in range(1, requests + 1)
                ]
                if at_once:
                    await asyncio.gather(*calls)
                else:
                    for call in calls:
                        await call

        target = self.target(kinds)
        await self.registry.invoke(First(), "call", request=Request(-2))
        for worker in self.workers:
            worker.cancel()


@given(st.lists(st.sampled_from(KINDS), max_size=5), st.integers(1, 3), st.booleans())
def test_everybody_further_in_sees_the_request_of_the_invocation(
    kinds: list[str], requests: int, at_once: bool
) -> None:
    """By what is injected, by `ctx`, by `InvocationBindings`, in layers, in the target, and in what it calls."""
    chains = Chains()
    asyncio.run(chains.run([*kinds, "awaits"], requests, at_once))

    assert {number for number, _ in chains.found} == set(range(1, requests + 1))
    assert all(set(found) == {number} for number, found in chains.found)
