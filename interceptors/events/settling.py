"""Deleting the rows of what is done, many at once, by the relay's own connection."""

import logging
from collections.abc import Callable, Iterable

import anyio

from interceptors.events.lease import Lease
from interceptors.events.outage import Outage
from interceptors.events.own_connection import OwnConnection
from interceptors.events.sql import is_lost_race
from interceptors.events.store import Store, StoredEvent

__all__ = ["Settling"]

log = logging.getLogger("interceptors.events")

_AT_ONCE = 256
_AGAIN = 0.05


class Settling:
    """What has to be written when handlers have ended; `over` is told of each lease that has ended by that.

    `names`: all names of an event's handler, as rows of a key may be stored under several. A handler that used its session has deleted the row in it; here the next rows of the key are released.
    """

    def __init__(
        self,
        store: Store,
        line: OwnConnection,
        names: Callable[[StoredEvent], Iterable[str]],
        over: Callable[[Lease], None],
    ) -> None:
        self._store = store
        self._line = line
        self._names = names
        self._over = over
        self._done: list[Lease] = []
        self._released: list[StoredEvent] = []
        self._something = anyio.Event()
        self._nothing = anyio.Event()
        self._nothing.set()

    def settle(self, lease: Lease) -> None:
        """Have the row deleted."""
        self._done.append(lease)
        self._wake()

    def release(self, event: StoredEvent) -> None:
        """Have the next rows of an event's key looked at: the row in front of them is gone."""
        if event.key is not None:
            self._released.append(event)
            self._wake()

    def give_up(self) -> None:
        """Say what could not be written by the end."""
        if self._done:
            log.warning("%d events are done, which could not be stored: they run again", len(self._done))

    async def all_done(self) -> None:
        """Wait until nothing is left to be written."""
        await self._nothing.wait()

    async def run(self) -> None:
        """Write, until cancelled."""
        outage = Outage("Settling events")
        while True:
            await self._something.wait()
            self._something = anyio.Event()
            while self._done or self._released:
                try:
                    await self._write()
                except Exception as error:  # noqa: BLE001 (it is tried again while the leases last)
                    if not is_lost_race(error):
                        outage.begins(error)
                    self._drop_lost()
                    await anyio.sleep(_AGAIN)
                else:
                    outage.ends()
            self._nothing.set()

    def _wake(self) -> None:
        if self._nothing.is_set():
            self._nothing = anyio.Event()
        self._something.set()

    async def _write(self) -> None:
        done, released = self._done[:_AT_ONCE], self._released[:_AT_ONCE]
        gone = [*[lease.event for lease in done if not lease.is_followed], *released]
        keys = [(name, event.key) for event in gone if event.key is not None for name in self._names(event)]
        async with self._line.transaction() as connection:
            count = await self._store.settle(connection, [lease.event for lease in done]) if done else 0
            if keys:
                await self._store.release(connection, keys)
        is_lost = count < len(done)  # by one of them: what is behind any of them does not start now
        if is_lost:
            log.warning("%d of %d events were done by somebody else, too", len(done) - count, len(done))
        del self._done[: len(done)], self._released[: len(released)]
        for lease in done:
            lease.is_lost = is_lost
            self._over(lease)

    def _drop_lost(self) -> None:
        """What could not be settled in its lease is somebody else's now."""
        now = anyio.current_time()
        lost = [lease for lease in self._done if lease.scope.deadline <= now]
        self._done = [lease for lease in self._done if lease.scope.deadline > now]
        for lease in lost:
            lease.is_lost = True
            log.warning(
                "The event %s is done, which could not be stored: its handler %s runs again",
                lease.event.name,
                lease.event.handler,
            )
            self._over(lease)
