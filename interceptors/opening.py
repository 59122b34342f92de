"""Calls whose result can be awaited or entered, as database drivers have them: `async with db.execute(sql) as cursor`."""

import inspect
from collections.abc import Coroutine, Generator, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, final

from interceptors.context import InvocationContext

__all__ = ["OpenedContext", "Opening", "await_or_enter"]


class OpenedContext(InvocationContext):
    """The context of such a call; `stack` enters what the method gives, None if that is awaited."""

    stack: AsyncExitStack | None = None


async def await_or_enter(ctx: Any, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    """How the method is called when its turn comes: what it gives is awaited or entered there, inside of the layers."""
    result = function(*args, **kwargs)
    if ctx.stack is not None:
        return await ctx.stack.enter_async_context(result)
    return await result if inspect.isawaitable(result) else result


@final
class Opening(Coroutine[Any, Any, Any]):
    """Stands for what such a method gives: a coroutine that can be entered as well, either of them once.

    The layers run around the awaiting, or around the entering: they end before the block of `async with` begins, as they
    do before the first item of a stream. What was entered is left after the block, or when a layer raises.
    """

    __slots__ = ("_call", "_stack", "_stacks", "_title")

    def __init__(self, call: Coroutine[Any, Any, Any], stacks: list[AsyncExitStack], title: str) -> None:
        self._call = call
        self._stacks = stacks  # `call` takes from it what to enter with
        self._stack = AsyncExitStack()
        self._title = title

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._call.__await__()

    async def __aenter__(self) -> Any:
        self._stacks.append(self._stack)
        try:
            return await self._call
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    def send(self, value: Any) -> Any:
        """As of a coroutine: `asyncio.create_task` takes it."""
        return self._call.send(value)

    def throw(self, *error: Any) -> Any:
        """As of a coroutine."""
        return self._call.throw(*error)

    def close(self) -> None:
        """As of a coroutine."""
        self._call.close()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"What {self._title} gives through a proxy can be awaited or entered (`async with`), and has no {name!r} before.",
            name=name,
            obj=self,
        )
