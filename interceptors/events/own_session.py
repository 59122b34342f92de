"""The session of one delivery: opened when it is first used, ended with the delivery, never anybody else's."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from interceptors.events.errors import EventError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from interceptors.events.one_writer import Writer

__all__ = ["OwnSession", "Sessions"]

Sessions: TypeAlias = Callable[[], Any]
"""What makes sessions: an `async_sessionmaker`."""

_CLOSING = 5.0
"""How long ending a session may take when nobody waits for it any more: a dead connection must not hold us."""


class OwnSession:
    """One delivery's session. What ends it is shielded, so that a cancelled delivery gives its connection back."""

    __slots__ = ("_sessions", "_writer", "used")

    def __init__(self, sessions: Sessions | None, writer: "Writer | None" = None) -> None:
        self._sessions = sessions
        self._writer = writer
        self.used: AsyncSession | None = None

    def get(self) -> "AsyncSession":
        """The session, made now if it is asked for the first time."""
        session = self.used
        if session is None:
            if self._sessions is None:
                raise EventError("There are no sessions: EventDispatcher(registry, sessions=async_sessionmaker(...)).")
            session = self.used = self._sessions()
            if self._writer is not None:
                self._writer.take_turns(session)
        return session

    async def commit(self) -> None:
        """Make lasting what was done in it, if anything was."""
        if self.used is not None:
            await self.used.commit()

    async def roll_back(self) -> None:
        """Undo what was done in it; it can be used again."""
        if self.used is not None:
            with anyio.move_on_after(_CLOSING, shield=True):
                await self.used.rollback()

    async def close(self) -> None:
        """Give its connection back."""
        if self.used is not None:
            with anyio.move_on_after(_CLOSING, shield=True):
                await self.used.close()
