"""Stored events carried to workers by a taskiq broker: the row stays the truth, a message only says which one to start.

A message names a row and the attempt to make. Lost, doubled and late ones are harmless on every broker: a row that was
not started within its lease is sent again, and only the first message that names the next attempt starts it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio

from interceptors.describing import name_of
from interceptors.errors import MissingExtraError
from interceptors.events.company import Company
from interceptors.events.delivery import is_cancelled
from interceptors.events.errors import EventError
from interceptors.events.outage import Outage
from interceptors.events.outbox import Outbox
from interceptors.events.store import HandlerRows, StoredEvent
from interceptors.events.table import Claim

try:
    from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask, InMemoryBroker, TaskiqEvents, TaskiqState
except ImportError as error:
    raise MissingExtraError("interceptors.events.taskiq", "taskiq") from error

if TYPE_CHECKING:
    from interceptors.events.durable import Durable

__all__ = ["TaskiqCarrier"]

log = logging.getLogger("interceptors.events")

_TASK = "interceptors.event"
_CLOSING = 5.0
_LONGEST_SENDING = 10.0


class TaskiqCarrier:
    """Sends events that were taken, and in a worker runs those that arrive.

    `enter` and `leave` are the dispatcher's: in a worker process it is entered, without a relay, for the worker's life.
    """

    starts = False

    def __init__(
        self,
        broker: AsyncBroker,
        outbox: Outbox,
        side: "Durable",
        enter: Callable[[], Awaitable[None]],
        leave: Callable[[], Awaitable[None]],
    ) -> None:
        if not isinstance(broker, AsyncBroker):
            raise EventError(f"{name_of(broker)} is no taskiq broker; give the one of `taskiq worker app.main:broker`.")
        if _TASK in broker.local_task_registry:
            raise EventError(f"{name_of(broker)} carries the events of another dispatcher; give each its own.")
        self._broker = broker
        self._outbox = outbox
        self._side = side
        self.owner = side.deliveries.owner
        self._enter = enter
        self._leave = leave
        self._company = Company()
        self._places: anyio.Semaphore | None = None
        """In a worker: as many as there are connections for."""
        self._is_up = False
        self._times_up = 0
        self._changing = anyio.Lock()
        self._sending = Outage("Sending events to the broker")
        self._starting = Outage("Starting events in the worker")
        self._task = self._register()
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._worker_starts)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._worker_stops)

    # -- in the process with the relay ---------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Start the broker up, again after it has failed. Raises what it raises."""
        async with self._changing:
            if not self._is_up:
                self._is_up = True
                self._times_up += 1
                try:
                    await self._broker.startup()
                except BaseException:
                    await self._shut_down()  # what it has opened already would be in the way of the next time
                    raise

    def hold(
        self, lane: Sequence[StoredEvent], taken: float, is_left: Callable[[], bool]
    ) -> Callable[[], Awaitable[bool]]:
        """Take over a row, to be sent."""
        (event,) = lane
        return partial(self._send, event)

    async def _send(self, event: StoredEvent) -> bool:
        """Send a message. If the broker is down the event is due again, and no attempt is lost."""
        times_up = self._times_up
        try:
            # Some brokers wait until they are connected again. The lease must not end meanwhile.
            with anyio.fail_after(min(self._outbox.lease / 2, _LONGEST_SENDING)):
                await self._task.kiq(event.id, event.attempt)
        except (Exception, asyncio.CancelledError) as error:  # brokers raise what they like
            await self.give_back([event])
            if is_cancelled():
                raise
            self._sending.begins(error)
            await self._close(times_up)  # a connection that gave up does not come back by itself
            return False
        self._sending.ends()
        self._side.deliveries.counts["sent"] += 1
        return True

    async def close(self) -> None:
        """Shut the broker down."""
        await self._close(self._times_up)

    async def _close(self, times_up: int) -> None:
        """Unless it has been started up again since."""
        with anyio.CancelScope(shield=True):
            async with self._changing:
                if times_up == self._times_up:
                    await self._shut_down()

    async def _shut_down(self) -> None:
        if self._is_up:
            self._is_up = False
            with anyio.move_on_after(_CLOSING, shield=True):
                try:
                    if isinstance(self._broker, InMemoryBroker):  # its tasks run here, and would be cut
                        await self._broker.wait_all()
                    await self._broker.shutdown()
                except Exception as error:
                    log.debug("The broker could not be shut down", exc_info=error)

    async def give_back(self, events: Sequence[StoredEvent]) -> None:
        """Have rows be due that were not sent."""
        with anyio.move_on_after(_CLOSING, shield=True):
            for event in events:
                try:
                    async with self._side.line.transaction() as connection:
                        await self._outbox.store.put_back(connection, event, 0.0)
                except Exception as error:  # noqa: BLE001 (then it is sent again when its lease ends)
                    self._sending.begins(error)

    @property
    def in_flight(self) -> int:
        """Nothing runs in the relay's process."""
        return 0

    def busy(self, place: HandlerRows) -> set[str | None]:
        """Nothing runs here."""
        return set()

    async def settled(self) -> None:
        """There is nothing to be written."""

    # -- in the worker -------------------------------------------------------------------------------------------------

    def _register(self) -> AsyncTaskiqDecoratedTask[[int, int], Awaitable[None]]:
        async def deliver_event(row: int, attempt: int) -> None:  # taskiq takes no bound method
            await self._deliver(row, attempt)

        # Acknowledged at once: a broker that brings the message again while or after it runs would do so in vain.
        return self._broker.register_task(deliver_event, _TASK, ack_type="when_received")

    async def _deliver(self, row: int, attempt: int) -> None:
        """Start what a message names, if it was sent to be started; alone, if it ran in a process that died."""
        if not self._side.is_entered:
            log.info("A message came when the dispatcher was left: its row is sent again when its lease ends")
            return
        if self._places is None:
            self._places = anyio.Semaphore(self._side.max_running())
        async with self._places:
            await self._start_when_it_may(row, attempt)

    async def _start_when_it_may(self, row: int, attempt: int) -> None:
        async with self._company.joined():
            if await self._start(row, attempt, alone=False):
                return
        async with self._company.alone():
            await self._start(row, attempt, alone=True)

    async def _start(self, row: int, attempt: int, *, alone: bool) -> bool:
        """False if it may only start alone."""
        event: StoredEvent | Claim | None = None
        taken = 0.0
        try:
            async with self._side.line.transaction() as connection:
                taken = anyio.current_time()
                event = await self._outbox.store.start(
                    connection, self._side.places(), row, attempt, self.owner, alone=alone
                )
        except Exception as error:  # noqa: BLE001 (the relay sends it again when its lease ends)
            self._starting.begins(error)
        else:
            self._starting.ends()
        if isinstance(event, StoredEvent):
            await self._side.deliveries.hold([event], taken, lambda: True)()
        return not isinstance(event, Claim)

    async def _worker_starts(self, state: TaskiqState) -> None:
        if self._broker.is_worker_process:  # a broker in memory says it, too
            await self._enter()

    async def _worker_stops(self, state: TaskiqState) -> None:
        if self._broker.is_worker_process:
            await self._leave()
