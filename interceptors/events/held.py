"""Something that runs from the first entering to the last leaving, in a task of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

__all__ = ["Held"]


class Held:
    """Runs `run(left)` in an owned task: it is to return soon after `left` is set.

    Entering and leaving may happen in different tasks, as they do in fixtures and in taskiq's worker; a task group
    may not be left in another task than it was entered in.
    """

    def __init__(
        self, prepare: Callable[[], Awaitable[None]], run: Callable[[anyio.Event], Coroutine[Any, Any, None]]
    ) -> None:
        self._prepare = prepare
        self._run = run
        self._lock = anyio.Lock()
        self._times = 0
        self._left = anyio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Prepare and start it, if it does not run. Raises what the preparation raises."""
        async with self._lock:
            if self._task is None:
                await self._prepare()
                self._left = anyio.Event()
                self._task = asyncio.create_task(self._run(self._left))
            self._times += 1

    async def leave(self) -> None:
        """Have it end, if this is the last to leave, and wait for that. One that is cancelled meanwhile ends it hard."""
        with anyio.CancelScope(shield=True):
            async with self._lock:
                self._times -= 1
                if self._times == 0 and self._task is not None:
                    task, self._task = self._task, None
                    self._left.set()
                    try:
                        await asyncio.wait([task])
                    except asyncio.CancelledError:
                        task.cancel()
                        raise
                    task.result()
