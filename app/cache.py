"""Answers worth keeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakValueDictionary

from cashews import Cache

TTL_SECONDS = 300
# `None`, `0` and an empty list are answers too.
_NOTHING: Final = object()


class AnswerCache:
    """Keeps answers in memory until something they depend on changes."""

    def __init__(self) -> None:
        self._cache = Cache()
        # Without a check interval no background task runs: size and age bound the memory.
        self._cache.setup("mem://", size=1_000, check_interval=0)
        self._edition = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, key: str, make: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """Give the answer and whether it was known; concurrent callers of one key make it once."""
        # The edition is read before the answer is made: one made from old data is stored where nobody looks any more.
        key = f"{self._edition}:{key}"
        async with self._locks.setdefault(key, asyncio.Lock()):
            value = await self._cache.get(key, default=_NOTHING)
            if value is not _NOTHING:
                return value, True
            value = await make()
            await self._cache.set(key, value, expire=TTL_SECONDS)
            return value, False

    def forget(self) -> None:
        """Forget all answers."""
        self._edition += 1
