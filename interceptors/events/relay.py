"""The relay: takes stored events that are due, and has each one run here or carried to a worker."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from interceptors.events.delivery import is_cancelled
from interceptors.events.in_process import describe
from interceptors.events.outage import Outage
from interceptors.events.outbox import Outbox
from interceptors.events.store import Known, StoredEvent, is_lost_race

__all__ = ["Carrier", "Relay"]

log = logging.getLogger("interceptors.events")

_AFTER_LOST_RACE = 0.05


class Carrier(Protocol):
    """What is done with an event that was taken."""

    starts: bool
    """Is taking an event the start of an attempt?"""

    async def ready(self) -> None:
        """Called before events are taken. Raises if they would be taken in vain."""

    async def carry(self, event: StoredEvent, taken: float) -> bool:
        """Do it. False if it makes no sense to try the next one soon."""
        ...

    async def close(self) -> None:
        """Called when no more events are taken."""


class Relay:
    """Takes what is due, at most `max_running` at once, until it is left."""

    def __init__(self, outbox: Outbox, known: Callable[[], Known], carrier: Carrier, max_running: int) -> None:
        self._outbox = outbox
        self._known = known
        self._carrier = carrier
        self._max_running = max_running
        self._outage = Outage("The relay of events")
        self._open: Counter[str] = Counter()
        self._wake = anyio.Event()
        self._changed = anyio.Event()
        self._stopped = anyio.Event()
        self._stopping = False
        self._is_blocked = False
        self._is_more = False  # more is due, perhaps, than could be taken
        self._failure: Exception | None = None
        self._taken = 0

    def wake(self) -> None:
        """Look for events now."""
        self._wake.set()

    async def run(self, left: anyio.Event, drain: float, *, once: bool = False) -> int:
        """Relay until `left` is set, or nothing is due any more, then wait up to `drain` seconds for what runs.

        Gives how many events were taken. Raises what the database raises if it is to run once, else nothing.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._take_what_is_due if once else self._take_forever, tasks, left)
            await left.wait()
            self._stopping = True
            self._wake.set()
            self._changed.set()
            with anyio.move_on_after(drain):
                await self._stopped.wait()
                await self._while_open()
            if self._open:
                log.warning("Events were cut when the relay was left, they run again: %s", describe(self._open))
            tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return self._taken

    async def _take_forever(self, tasks: TaskGroup, left: anyio.Event) -> None:
        while not self._stopping:
            self._wake = anyio.Event()  # before looking: what is stored meanwhile wakes us
            self._is_blocked = False
            try:
                await self._take(tasks)
            except (Exception, asyncio.CancelledError) as error:
                if is_cancelled():
                    raise
                if not is_lost_race(error):
                    self._outage.begins(error)
            else:
                self._outage.ends()
            with anyio.move_on_after(self._outbox.poll):
                await self._wake.wait()
        self._stopped.set()

    async def _take_what_is_due(self, tasks: TaskGroup, left: anyio.Event) -> None:
        while not self._stopping and not self._is_blocked:
            self._changed = anyio.Event()
            was_open = bool(self._open)  # it may have been in the way of others, and end while we look
            try:
                found = await self._take(tasks)
            except Exception as error:  # noqa: BLE001 (raised when what runs has ended)
                if not is_lost_race(error):
                    self._failure = error
                    break
                await anyio.sleep(_AFTER_LOST_RACE)
            else:
                if not found and not was_open:
                    break
                if not found and self._open:
                    await self._changed.wait()
        await self._while_open()
        self._stopped.set()
        left.set()

    async def _take(self, tasks: TaskGroup) -> int:
        """Start what is due and may run; gives how many were found."""
        free = self._max_running - self._open.total()
        known = self._known()
        if free == 0 or not known:
            self._is_more = bool(known)
            return 0
        await self._carrier.ready()
        taken_at = anyio.current_time()  # before the lease begins in the database: ours ends first
        taken = await self._outbox.store.take(known, free, self._outbox.lease, start=self._carrier.starts)
        self._is_more = len(taken.rows) + len(taken.died) == free
        for event in taken.died:
            log.error(
                "The event %s was started %d times in its handler %s and never ended; it is dead",
                event.name,
                event.attempt - 1,
                event.handler,
            )
            self._wake.set()  # it may have been in the way of others
        for event in taken.rows:
            self._taken += 1
            self._open[event.name] += 1
            tasks.start_soon(self._carry, event, taken_at, name=f"event {event.name}")
        if self._is_more and self._open.total() < self._max_running:  # something has ended meanwhile
            self._wake.set()
        return len(taken.rows) + len(taken.died)

    async def _carry(self, event: StoredEvent, taken_at: float) -> None:
        try:
            self._is_blocked |= not await self._carrier.carry(event, taken_at)
        finally:
            if not self._is_blocked and (event.key is not None or self._is_more):
                self._wake.set()  # there may be something that waited for this
            self._open[event.name] -= 1
            if not self._open[event.name]:
                del self._open[event.name]
            self._changed.set()

    async def _while_open(self) -> None:
        while self._open:
            self._changed = anyio.Event()
            await self._changed.wait()
