"""The side of the dispatcher that rests on an outbox."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from interceptors.events.after_commit import call_after_commit
from interceptors.events.errors import EventError
from interceptors.events.handlers import EventHandler
from interceptors.events.held import ended
from interceptors.events.outbox import Outbox
from interceptors.events.own_session import Sessions
from interceptors.events.relay import Carrier, Relay
from interceptors.events.store import Known, NewRow, StoredEvent
from interceptors.events.stored import StoredDeliveries
from interceptors.registry import InterceptorRegistry

__all__ = ["Durable"]

log = logging.getLogger("interceptors.events")


class Durable:
    """Stores events, and relays what is stored."""

    def __init__(
        self, registry: InterceptorRegistry, outbox: Outbox, sessions: Sessions, max_running: int, drain: float
    ) -> None:
        self._outbox = outbox
        self.deliveries = StoredDeliveries(registry, outbox, sessions, self._find)
        self.carrier: Carrier = self.deliveries
        self._max_running = max_running
        self._drain = drain
        self._handlers: dict[tuple[str, str], EventHandler] = {}
        self._known: dict[tuple[str, str], int] = {}
        self._relays: set[Relay] = set()

    def add(self, handler: EventHandler) -> None:
        """Run the stored events of a handler, also of one whose events are not stored any more."""
        self._handlers[handler.event, handler.name] = handler
        self._known[handler.event, handler.name] = handler.attempts or self._outbox.attempts

    def known(self) -> Known:
        """The handlers that there are here, and how often each may start."""
        return self._known

    async def store(
        self,
        handlers: Sequence[EventHandler],
        event_id: str,
        payload: Mapping[str, object],
        key: str | None,
        session: AsyncSession | None,
        *,
        waits: bool,
    ) -> None:
        """Store an event for its handlers, in the session's transaction or in one of its own."""
        rows = [NewRow(event_id, handler.event, handler.name, key, payload) for handler in handlers]
        if session is not None:
            await self._add(session, rows, waits=waits)
            call_after_commit(session, self._wake)
            return
        async with self._outbox.sessions() as own, own.begin():
            await self._add(own, rows, waits=waits)
        self._wake()

    async def _add(self, session: AsyncSession, rows: Sequence[NewRow], *, waits: bool) -> None:
        key, store = rows[0].key, self._outbox.store
        if waits and key is not None:
            await store.lock_key(session, key, self._outbox.lease)
        await store.add(session, rows)

    async def check(self) -> None:
        """Raises EventError if there is no table."""
        if not await self._outbox.store.exists():
            raise EventError(
                f"There is no table {self._outbox.table.fullname!r} in the database: create it with "
                f"`metadata.create_all`, or make a migration, `alembic revision --autogenerate`."
            )
        if self._outbox.store.has_one_connection():
            log.warning(
                "The engine of the outbox has one connection for all sessions, as SQLite in memory has, so handlers "
                "commit and roll back each other's work: use a file"
            )

    async def relay_until(self, left: anyio.Event, *, once: bool = False) -> int:
        """Relay until `left` is set and what runs has ended or is cut; gives how many events were taken."""
        relay = Relay(self._outbox, self.known, self.carrier, self._max_running)
        self._relays.add(relay)
        try:
            return await relay.run(left, self._drain, once=once)
        finally:
            self._relays.discard(relay)
            await self.carrier.close()

    async def relay(self, *, once: bool) -> int:
        """Relay until cancelled, or once."""
        left = anyio.Event()
        task = asyncio.create_task(self.relay_until(left, once=once))
        try:
            await asyncio.wait([task])
        finally:
            left.set()
            await ended(task)
        return task.result()

    def _find(self, event: StoredEvent) -> tuple[EventHandler, int]:
        place = event.name, event.handler
        return self._handlers[place], self._known[place]

    def _wake(self) -> None:
        for relay in self._relays:
            relay.wake()
