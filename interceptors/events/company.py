"""What runs together, and what has to run alone, in a worker."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

__all__ = ["Company"]


class Company:
    """Many at once, or one alone: it waits for those that have joined, and those that come later wait for it."""

    def __init__(self) -> None:
        self._door = anyio.Semaphore(1)  # who wants to be alone keeps it
        self._joined = 0
        self._empty = anyio.Event()

    @asynccontextmanager
    async def joined(self) -> AsyncGenerator[None]:
        """Be one of many."""
        async with self._door:
            self._joined += 1
        try:
            yield
        finally:
            self._joined -= 1
            self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Be the only one."""
        async with self._door:
            while self._joined:
                self._empty = anyio.Event()
                await self._empty.wait()
            yield
