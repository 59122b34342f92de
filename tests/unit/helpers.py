"""What the unit tests share: interceptors that note what happens, and tests that run on both event loops."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import Parameter
from typing import Any

import anyio
import pytest

from interceptors import InterceptorRegistry


def recording(name: str, events: list[str]) -> Callable[..., Awaitable[Any]]:
    """An interceptor called `name` that notes `>name` when it is entered and `<name` when it is left, however that is."""

    async def interceptor(ctx: Any, next: Any) -> Any:
        events.append(f">{name}")
        try:
            return await next()
        finally:
            events.append(f"<{name}")

    interceptor.__name__ = interceptor.__qualname__ = name
    return interceptor


async def passing(ctx: Any, next: Any) -> Any:
    """An interceptor that does nothing."""
    return await next()


def names(registry: InterceptorRegistry, *args: Any) -> list[str]:
    """The names of the interceptors that run, as `registry.explain` tells them."""
    return [candidate.name for candidate in registry.explain(*args).chain]


def place(thing: Any) -> str:
    """`file:line` of a function or a class, found by other means than the library's."""
    if isinstance(thing, type):
        return f"{inspect.getfile(thing)}:{inspect.findsource(thing)[1] + 1}"
    return f"{thing.__code__.co_filename}:{thing.__code__.co_firstlineno}"


def on_both_backends(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an `async def` test on asyncio and on trio, each time in an event loop of its own."""

    def run(backend: str, **fixtures: Any) -> None:
        anyio.run(partial(test, **fixtures), backend=backend)

    run.__name__, run.__qualname__, run.__doc__, run.__module__ = (
        test.__name__,
        test.__qualname__,
        test.__doc__,
        test.__module__,
    )
    own = [Parameter("backend", Parameter.POSITIONAL_OR_KEYWORD), *inspect.signature(test).parameters.values()]
    run.__signature__ = inspect.Signature(own)
    run.pytestmark = list(getattr(test, "pytestmark", []))
    return pytest.mark.parametrize("backend", ["asyncio", "trio"])(run)


async def call(
    function: Callable[..., Any],
    *args: Any,
    bind: Mapping[str, Any] | None = None,
    registry: InterceptorRegistry | None = None,
    request: Any = None,
    **kwargs: Any,
) -> Any:
    """Call a function through a chain whose outermost layer binds `bind`."""

    async def binding(ctx: Any, next: Any) -> Any:
        for key, value in (bind or {}).items():
            ctx.bind(key, value)
        return await next()

    class Holder:
        target = staticmethod(function)

    registry = registry or InterceptorRegistry()
    registry.add_global(binding)
    return await registry.invoke(Holder, "target", *args, request=request, **kwargs)


class Worker:
    """A layer that awaits every `next` in one task, which the first request has started and whose context it has for ever."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    async def work(self) -> None:
        while True:
            next, done = await self.queue.get()
            try:
                done.set_result(await next())
            except Exception as error:
                done.set_exception(error)

    async def intercept(self, ctx: Any, next: Any) -> Any:
        if self.task is None:
            self.task = asyncio.create_task(self.work())
        done = asyncio.get_running_loop().create_future()
        await self.queue.put((next, done))
        return await done
