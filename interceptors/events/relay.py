"""The relay: takes stored events that are due, and has each one run here or carried to a worker."""

import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from interceptors.events.in_process import describe
from interceptors.events.outage import Outage
from interceptors.events.own_connection import OwnConnection
from interceptors.events.sql import is_lost_race
from interceptors.events.store import HandlerRows, Store, StoredEvent, Taken

__all__ = ["Carrier", "Relay"]

log = logging.getLogger("interceptors.events")

_AGAIN = 1.0
"""When to look again where the database could not be asked."""
_SOON = 0.05
"""When to look again where somebody else was quicker."""
_READ = 250
"""How many rows are read where many are found that may not start."""


class Carrier(Protocol):
    """What is done with events that were taken."""

    starts: bool
    """Is taking an event the start of an attempt?"""
    owner: str
    """The name of this process, for rows that run here."""

    @property
    def in_flight(self) -> int:
        """How many rows are ours in this process."""
        ...

    def busy(self, place: HandlerRows) -> set[str | None]:
        """The keys of which something of this place's handler is ours here."""
        ...

    async def ready(self) -> None:
        """Called before events are taken. Raises if they would be taken in vain."""

    def hold(
        self, lane: Sequence[StoredEvent], taken: float, is_left: Callable[[], bool]
    ) -> Callable[[], Awaitable[bool]]:
        """Take over events of one key; gives what does them, until `is_left`.

        That is False if it makes no sense to try more soon.
        """
        ...

    async def give_back(self, events: Sequence[StoredEvent]) -> None:
        """Have events be due that were taken too late."""

    async def settled(self) -> None:
        """Wait until what has ended is written."""

    async def close(self) -> None:
        """Called when nothing runs any more."""


class Relay:
    """Takes what is due, at most `max_running` at once, until it is left."""

    def __init__(
        self,
        store: Store,
        line: OwnConnection,
        places: Callable[[], tuple[HandlerRows, ...]],
        carrier: Carrier,
        max_running: int,
        died: Callable[[StoredEvent], Awaitable[None]],
        *,
        poll: float,
        lease: float,
    ) -> None:
        self._store = store
        self._line = line
        self._places = places
        self._carrier = carrier
        self._max_running = max_running
        self._died = died
        self._poll = poll
        self._lease = lease
        self._outage = Outage("The relay of events")
        self._open: Counter[str] = Counter()
        self._wake = anyio.Event()
        self._changed = anyio.Event()
        self._stopped = anyio.Event()
        self._stopping = False
        self._is_blocked = False
        self._reads_much = False  # rows were found that stand behind others
        self._suspect_at: HandlerRows | None = None  # where there is a row that has to start alone
        self._quiet_until = 0.0  # nothing starts before while anything runs: a suspect is to be alone
        self._turn = 0
        self._next_due: float | None = None
        self.failure: Exception | None = None
        self.taken = 0
        """How many events were taken."""

    def wake(self) -> None:
        """Look for events now."""
        self._wake.set()

    async def run(self, left: anyio.Event, drain: float, *, once: bool = False) -> None:
        """Relay until `left` is set, or nothing is due any more, then wait up to `drain` seconds for what runs.

        Raises nothing; what the database raised while it ran once is the `failure`.
        """
        # What runs is cut first: looking may wait for it, on SQLite, and is never cut.
        async with anyio.create_task_group() as looking, anyio.create_task_group() as running:
            looking.start_soon(self._look_once if once else self._look_forever, running, left)
            await left.wait()
            self._stopping = True
            self._wake.set()
            self._changed.set()
            with anyio.move_on_after(drain):
                await self._stopped.wait()
                await self._while_open()
            if self._open:
                log.warning("Events were cut when the relay was left, they run again: %s", describe(self._open))
            self._line.hurry()
            running.cancel_scope.cancel()

    def _is_left(self) -> bool:
        return self._stopping

    def _ends_lanes(self) -> bool:
        # A suspect waits for what runs, which may be the first of many of its key.
        return self._stopping or self._suspect_at is not None

    async def _look_forever(self, running: TaskGroup, left: anyio.Event) -> None:
        while not self._stopping:
            self._wake = anyio.Event()  # before looking: what is stored meanwhile wakes us
            self._is_blocked = False
            pause = self._poll
            try:
                if await self._look(running):
                    pause = 0.0
                elif self._next_due is not None:
                    pause = min(self._poll, max(self._next_due, _SOON if self._next_due <= 0 else 0.001))
            except Exception as error:  # noqa: BLE001 (the next look may succeed)
                if is_lost_race(error):
                    pause = _SOON
                else:
                    pause = min(self._poll, _AGAIN)
                    self._outage.begins(error)
            else:
                self._outage.ends()
            with anyio.move_on_after(self._poll if self._is_blocked else pause):
                await self._wake.wait()
        self._stopped.set()

    async def _look_once(self, running: TaskGroup, left: anyio.Event) -> None:
        while not self._stopping and not self._is_blocked:
            self._changed = anyio.Event()
            was_open = bool(self._open)  # it may have been in the way of others, and end while we look
            try:
                found = await self._look(running)
            except Exception as error:  # noqa: BLE001 (raised when what runs has ended)
                if not is_lost_race(error):
                    self.failure = error
                    break
                await anyio.sleep(_SOON)
            else:
                if not found and not was_open and not self._carrier.in_flight:
                    break
                if not found and self._open:
                    await self._changed.wait()
                elif not found:
                    await self._carrier.settled()
        await self._while_open()
        self._stopped.set()
        left.set()

    async def _look(self, running: TaskGroup) -> bool:
        """Start what is due and may run. Is there more to be looked at?"""
        places = self._places()
        free = self._max_running - self._open.total()
        self._next_due = None
        if free <= 0 or not places:
            return False
        if self._carrier.in_flight and anyio.current_time() < self._quiet_until:
            return False
        await self._carrier.ready()
        async with self._line.transaction(writes=False) as connection:
            due = await self._store.next_due(connection, places)
        self._next_due = min((seconds for seconds in due if seconds is not None), default=None)
        ready = [place for place, seconds in zip(places, due, strict=True) if seconds is not None and seconds <= 0]
        if self._suspect_at is not None:
            return await self._look_for_suspect(self._suspect_at, running)
        self._turn += 1
        found = False
        for number in range(len(ready)):
            place = ready[(self._turn + number) % len(ready)]  # none is always the last
            share = math.ceil((self._max_running - self._open.total()) / (len(ready) - number))
            if share > 0 and not self._is_left():
                taken = await self._take(place, share, running)
                found |= bool(taken.lanes or taken.died or taken.put_behind)
        return found or self._may_start_suspect()

    def _may_start_suspect(self) -> bool:
        return self._suspect_at is not None and not self._carrier.in_flight

    async def _look_for_suspect(self, place: HandlerRows, running: TaskGroup) -> bool:
        """Start one row that was running when its process died: alone, if what else runs has ended in time."""
        self._suspect_at = None
        is_alone = not self._carrier.in_flight
        taken = await self._take(place, 1, running, for_suspect=True)
        self._quiet_until = anyio.current_time() + self._lease if is_alone and taken.lanes else 0.0
        return True

    async def _take(self, place: HandlerRows, limit: int, running: TaskGroup, *, for_suspect: bool = False) -> Taken:
        carrier = self._carrier
        async with self._line.transaction() as connection:
            started = anyio.current_time()  # before the lease begins in the database: ours ends first
            taken = await self._store.take(
                connection,
                place,
                limit,
                reads=_READ if self._reads_much or for_suspect else limit,
                busy=carrier.busy(place),
                starts=carrier.starts,
                for_suspect=for_suspect,
                owner=carrier.owner,
            )
        self._reads_much = taken.put_behind > 0 or taken.suspects >= limit
        if taken.suspects and self._suspect_at is None:
            self._suspect_at = place
            self._quiet_until = anyio.current_time() + self._lease
        self.taken += len(taken.died)
        for event in taken.died:  # beside the others: whoever is told of it may take a while
            self._start(running, event.name, partial(self._tell, event))
        if self._is_left():
            await carrier.give_back([event for lane in taken.lanes for event in lane])
            return taken
        for lane in taken.lanes:
            self.taken += len(lane)
            self._start(running, lane[0].name, carrier.hold(lane, started, self._ends_lanes))
        return taken

    async def _tell(self, event: StoredEvent) -> bool:
        await self._died(event)
        return True

    def _start(self, running: TaskGroup, name: str, carry: Callable[[], Awaitable[bool]]) -> None:
        self._open[name] += 1
        running.start_soon(self._carry, name, carry, name=f"event {name}")

    async def _carry(self, name: str, carry: Callable[[], Awaitable[bool]]) -> None:
        try:
            self._is_blocked |= not await carry()
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
            if not self._is_blocked:
                self._wake.set()  # there is a place, and there may be something that waited for this
            self._changed.set()

    async def _while_open(self) -> None:
        while self._open:
            self._changed = anyio.Event()
            await self._changed.wait()
