"""Something that runs from the first entering to the last leaving, in a task of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

__all__ = ["Held", "ended"]


async def ended(task: asyncio.Task[Any]) -> None:
    """Wait until a task has ended, also in a cancelled scope. Who is cancelled once more meanwhile, cancels the task."""
    with anyio.CancelScope(shield=True):
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise


class Held:
    """Runs `run(left)` in an owned task: it is to return soon after `left` is set.

    Entering and leaving may happen in different tasks, as they do in fixtures and in taskiq's worker; a task group
    may not be left in another task than it was entered in.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._times = 0
        self._left = anyio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(
        self, prepare: Callable[[], Awaitable[None]], run: Callable[[anyio.Event], Coroutine[object, None, None]]
    ) -> None:
        """Prepare and run something, if nothing runs. Raises what the preparation raises."""
        async with self._lock:
            if self._task is None or self._task.done():  # done: its event loop has ended, and it was never left
                await prepare()
                self._times = 0
                self._left = anyio.Event()
                self._task = asyncio.create_task(run(self._left))
            self._times += 1

    async def leave(self) -> None:
        """Have it end, if this is the last to leave, and wait for that. Raises what it raised."""
        with anyio.CancelScope(shield=True):
            async with self._lock:
                self._times -= 1
                if self._times == 0 and self._task is not None:
                    task, self._task = self._task, None
                    self._left.set()
                    await ended(task)
                    task.result()
