"""Running the handlers of stored events, each under a lease that is renewed while it runs."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio

from interceptors.events.delivery import Delivery, deliver, is_cancelled, say
from interceptors.events.errors import GiveUp, RetryLater
from interceptors.events.handlers import EventHandler
from interceptors.events.lease import SHARE, Lease
from interceptors.events.means import Means
from interceptors.events.outage import Outage
from interceptors.events.own_connection import OwnConnection
from interceptors.events.own_session import OwnSession
from interceptors.events.settling import Settling
from interceptors.events.sql import LostRaceError, is_lost_race
from interceptors.events.store import HandlerRows, Store, StoredEvent
from interceptors.registry import InterceptorRegistry

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from interceptors.events.outbox import Outbox

__all__ = ["StoredDeliveries"]

_AFTER_LOST_RACE = 0.05
_ERROR_LENGTH = 10_000


class _TakenOverError(Exception):
    """The row is gone, or somebody else's: what the handler did in its session is rolled back."""


class StoredDeliveries:
    """Runs stored events; `find` gives the handler of one, and how often it may start."""

    starts = True

    def __init__(
        self,
        registry: InterceptorRegistry,
        outbox: "Outbox",
        store: Store,
        line: OwnConnection,
        means: Means,
        find: Callable[[StoredEvent], tuple[EventHandler, int]],
    ) -> None:
        self._registry = registry
        self._outbox = outbox
        self._store = store
        self._line = line
        self._means = means
        self._find = find
        self._leases: set[Lease] = set()
        self.owner = uuid4().hex
        self.settling = Settling(store, line, lambda event: find(event)[0].names, self._over)
        self.counts: Counter[str] = Counter()
        """How many were done, failed and died; a relay with a broker counts here what it has sent."""

    @property
    def in_flight(self) -> int:
        """How many rows are ours here."""
        return len(self._leases)

    def busy(self, place: HandlerRows) -> set[str | None]:
        """The keys of which something of this place's handler is ours here."""
        return {lease.event.key for lease in self._leases if lease.event.handler in place.names}

    async def renew(self) -> None:
        """Renew the leases of what runs, until cancelled."""
        outage = Outage("Renewing the leases of events")
        pause = self._outbox.lease / 3
        while True:
            await anyio.sleep(pause)
            pause = self._outbox.lease / 3
            if not self._leases:
                continue
            try:
                async with self._line.transaction() as connection:
                    started = anyio.current_time()
                    leases = [lease for lease in self._leases if not lease.is_in_session]
                    lost = await self._store.renew(connection, [lease.event for lease in leases]) if leases else ()
            except Exception as error:  # noqa: BLE001 (the next renewal may succeed)
                pause = self._outbox.lease / 12
                outage.begins(error)
                continue
            outage.ends()
            for lease in self._leases.intersection(leases):
                if lease.event.id in lost and not lease.is_in_session:
                    lease.scope.cancel()
                else:
                    lease.scope.deadline = self._end_of(started)

    async def ready(self) -> None:
        """It always is."""

    def hold(
        self, lane: Sequence[StoredEvent], taken: float, is_left: Callable[[], bool]
    ) -> Callable[[], Awaitable[bool]]:
        """Take over rows of one key, whose lease has begun after `taken`; gives what runs them, one after the other.

        When it `is_left` no further one is started.
        """
        leases = [
            Lease(event, anyio.CancelScope(deadline=self._end_of(taken)), is_followed=event is not lane[-1])
            for event in lane
        ]
        self._leases.update(leases)
        return partial(self._run_lane, leases, is_left)

    async def _run_lane(self, leases: list[Lease], is_left: Callable[[], bool]) -> bool:
        waiting = list(leases)
        try:
            while waiting and await self._run(waiting.pop(0)) and not is_left():
                pass
        finally:
            await self.give_back([lease.event for lease in waiting])
            for lease in waiting:
                self._over(lease)
        return True

    async def _run(self, lease: Lease) -> bool:
        """Run one handler until its row is settled. Raises nothing; False if the next one of its key may not run."""
        event, is_handed_over = lease.event, False
        try:
            with lease.scope:
                if not await self._is_delivered(lease):
                    return False
                if lease.is_in_session:
                    if not lease.is_followed:
                        self.settling.release(event)
                    return True
                self.settling.settle(lease)  # it is ours until then
                is_handed_over = True
                if event.key is not None:
                    await lease.settled.wait()
                return not lease.is_lost
            self._say(
                event, logging.WARNING, "The lease of the event %s was lost, its handler was cancelled", event.name
            )
            return False
        finally:
            if not is_handed_over:
                self._over(lease)

    async def _is_delivered(self, lease: Lease) -> bool:
        """Run the handler, and see to its row where it has failed."""
        event = lease.event
        handler, allowed = self._find(event)
        delivery = Delivery(handler, event.event_id, event.key, event.payload, event.attempt, {})
        try:
            await deliver(self._registry, delivery, self._means, partial(self._finish, lease))
        except (KeyboardInterrupt, SystemExit):
            raise
        except _TakenOverError:
            self._say(event, logging.WARNING, "The event %s was done by somebody else: rolled back", event.name)
            return False
        except asyncio.CancelledError as error:
            if not is_cancelled():  # it came out of what the handler awaited
                await self._failed(lease, allowed, error)
                return False
            if not lease.scope.cancel_called:  # the relay is left: it starts again soon
                await self._put_back(event, 0.0, is_uncounted=event.attempt - event.spared >= allowed)
            raise
        except BaseException as error:  # noqa: BLE001 (an attempt that failed)
            await self._failed(lease, allowed, error)
            return False
        self.counts["done"] += 1
        return True

    async def _finish(self, lease: Lease, own: OwnSession) -> None:
        """Delete the row in the handler's own transaction, and commit it. Without one it is done later, with others."""
        session = own.used
        if session is None or not session.in_transaction():
            return
        # Both may wait for others, and the lease is renewed meanwhile.
        await session.flush()
        connection = await session.connection(bind_arguments={"clause": self._store.table})
        lease.is_in_session = True
        if not await self._is_committed(session, connection, lease.event):
            raise _TakenOverError

    async def _is_committed(self, session: "AsyncSession", connection: "AsyncConnection", event: StoredEvent) -> bool:
        """Delete a row and commit. False if it was not ours; raises LostRaceError if that met another transaction."""
        while True:
            try:
                if not await self._store.settle(connection, [event]):
                    return False
                await session.commit()
            except Exception as error:
                if not is_lost_race(error):
                    raise
                if self._means.writer is None or not session.in_transaction():  # it is rolled back already
                    raise LostRaceError(
                        f"{error.args[0] if error.args else error!r} (at REPEATABLE READ or SERIALIZABLE a handler has to end "
                        f"within a third of the lease, {self._outbox.lease / 3:g} seconds)"
                    ) from error
            else:
                return True
            await anyio.sleep(_AFTER_LOST_RACE)  # until the lease ends

    async def _failed(self, lease: Lease, allowed: int, error: BaseException) -> None:
        event = lease.event
        if isinstance(error, LostRaceError) and event.spared < allowed:
            # Once in a while that is nobody's fault. Again and again it is: a snapshot older than the last renewal, say.
            level = logging.WARNING if event.spared else logging.INFO
            text = "The event %s met another transaction when it was to end, and starts again: %s"
            self._say(event, level, text, event.name, error)
            await self._put_back(event, self._outbox.delay(event.spared + 1), spared=event.spared + 1)
        elif isinstance(error, RetryLater):
            self._say(
                event, logging.INFO, "The event %s starts again in %g seconds: %s", event.name, error.seconds, error
            )
            await self._put_back(event, error.seconds, is_uncounted=True, error=_text(error))
        else:
            is_last = event.attempt - event.spared >= allowed or isinstance(error, GiveUp)
            self.counts["died" if is_last else "failed"] += 1
            told = "The event %s failed in its handler %s, attempt %d of %d%s"
            more = event.name, event.handler, event.attempt, allowed + event.spared, "; it is dead" if is_last else ""
            self._say(event, logging.ERROR if is_last else logging.WARNING, told, *more, error=error)
            text = _text(error)
            if is_last:
                await self._bury(lease, text)
            else:
                await self._put_back(event, self._outbox.delay(event.attempt), error=text)

    async def _bury(self, lease: Lease, error: str) -> None:
        event = lease.event
        if await self._put_back(event, 0.0, dead=True, error=error):
            self.settling.release(event)
            self._over(lease)  # whoever is told of it may take longer than a lease
            lease.scope.deadline = math.inf
            await self._outbox.tell_dead(event, event.attempt, error)

    async def give_back(self, events: Sequence[StoredEvent]) -> None:
        """Give back what was taken and not started: it is due, and no attempt was made."""
        for event in events:
            await self._put_back(event, 0.0, is_uncounted=self.starts)

    async def _put_back(
        self, event: StoredEvent, delay: float, *, is_uncounted: bool = False, **values: object
    ) -> bool:
        """Have a row be due after a delay. `is_uncounted`: the start that was counted was no attempt."""
        if is_uncounted:
            values["attempts"] = event.attempt - 1
        end = anyio.current_time() + self._outbox.lease
        while True:
            try:
                async with self._line.transaction() as connection:
                    return await self._store.put_back(connection, event, delay, **values)
            except Exception as error:  # noqa: BLE001 (it is logged)
                if not is_lost_race(error) or anyio.current_time() > end:
                    text = "The event %s could not be put back: it starts again when its lease ends"
                    self._say(event, logging.ERROR, text, event.name, error=error)
                    return False
            with anyio.CancelScope(shield=True):
                await anyio.sleep(_AFTER_LOST_RACE)

    def _over(self, lease: Lease) -> None:
        self._leases.discard(lease)
        lease.settled.set()

    async def settled(self) -> None:
        """Wait until what has ended is written."""
        await self.settling.all_done()

    async def close(self) -> None:
        """There is nothing to close."""

    def _end_of(self, taken: float) -> float:
        return taken + self._outbox.lease * SHARE

    def _say(
        self, event: StoredEvent, level: int, text: str, *args: object, error: BaseException | None = None
    ) -> None:
        handler, _ = self._find(event)
        say(level, text, event.event_id, handler.name, event.key, event.attempt, *args, error=error)


def _text(error: BaseException) -> str:
    """What databases can store of an error."""
    text = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
