"""SQLite has one writer: deliveries and the relay take turns at it, instead of locking each other out.

Waiting for SQLite's own lock is not in turn, and ends in "database is locked".
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["Writer"]

_READING = ("SELECT", "PRAGMA", "EXPLAIN")


class Writer:
    """Whose turn it is to write in this process."""

    def __init__(self) -> None:
        self._place = anyio.Semaphore(1)  # no lock: a session may be used in several tasks

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a turn."""
        async with self._place:
            yield

    def take_turns(self, session: AsyncSession) -> None:
        """Have each transaction of a session wait for its turn before it writes, and give it back when it ends."""
        turns = _Turns(self._place)
        event.listen(session.sync_session, "after_begin", turns.begun)
        event.listen(session.sync_session, "after_transaction_end", turns.ended)


class _Turns:
    def __init__(self, place: anyio.Semaphore) -> None:
        self._place = place
        self._is_ours = False

    def begun(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", self._executing)

    def ended(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None and self._is_ours:
            self._is_ours = False
            self._place.release()

    def _executing(self, connection: Connection, cursor: object, statement: str, *others: object) -> None:
        if not self._is_ours and not statement.lstrip().upper().startswith(_READING):
            driver = connection.connection.dbapi_connection
            driver.run_async(lambda _: self._place.acquire())  # type: ignore[union-attr]
            self._is_ours = True
