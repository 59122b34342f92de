"""Running the handlers of stored events, each under a lease that is renewed while it runs."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from interceptors.events.delivery import Delivery, deliver, is_cancelled
from interceptors.events.handlers import EventHandler
from interceptors.events.outage import Outage
from interceptors.events.outbox import Outbox
from interceptors.events.own_session import OwnSession, Sessions
from interceptors.events.store import StoredEvent
from interceptors.registry import InterceptorRegistry

__all__ = ["StoredDeliveries"]

log = logging.getLogger("interceptors.events")

_SHARE = 5 / 6
"""The part of a lease after which a handler is cancelled if it could not be renewed: it has the rest to end in."""
_PUTTING_BACK = 5.0
_ERROR_LENGTH = 10_000


class _TakenOverError(Exception):
    """The row is gone, or somebody else's: what the handler did in its session is rolled back."""


@dataclass(eq=False, slots=True)
class _Lease:
    event: StoredEvent
    scope: anyio.CancelScope
    """Cancels the handler, by its deadline too: nothing runs twice at the same time."""
    is_settled: bool = False


class StoredDeliveries:
    """Runs stored events; `find` gives the handler of one, and how often it may start."""

    starts = True

    def __init__(
        self,
        registry: InterceptorRegistry,
        outbox: Outbox,
        sessions: Sessions,
        find: Callable[[StoredEvent], tuple[EventHandler, int]],
    ) -> None:
        self._registry = registry
        self._outbox = outbox
        self._sessions = sessions
        self._find = find
        self._leases: set[_Lease] = set()
        self._renewing = anyio.Lock()

    async def renew(self) -> None:
        """Renew the leases of what runs, until cancelled."""
        outage = Outage("Renewing the leases of events")
        while True:
            await anyio.sleep(self._outbox.lease / 3)
            async with self._renewing:
                leases = [lease for lease in self._leases if not lease.is_settled]
                if leases:
                    started = anyio.current_time()
                    try:
                        pairs = [(lease.event.id, lease.event.attempt) for lease in leases]
                        lost = await self._outbox.store.renew(pairs, self._outbox.lease)
                    except (Exception, asyncio.CancelledError) as error:
                        if is_cancelled():
                            raise
                        outage.begins(error)  # the next renewal may succeed
                        continue
                    outage.ends()
                    for lease in leases:
                        if lease.event.id in lost:
                            lease.scope.cancel()
                        else:
                            lease.scope.deadline = self._end_of(started)

    async def ready(self) -> None:
        """It always is."""

    async def carry(self, event: StoredEvent, taken: float) -> bool:
        """Run the handler of an event whose lease has begun after `taken`. Raises nothing."""
        handler, allowed = self._find(event)
        lease = _Lease(event, anyio.CancelScope(deadline=self._end_of(taken)))
        self._leases.add(lease)
        delivery = Delivery(handler, event.event_id, event.payload, event.attempt, {})

        async def settle(own: OwnSession) -> None:
            async with self._renewing:  # a renewal must not wait for the row that is being deleted
                lease.is_settled = True
            session = own.get()
            await session.flush()
            if not await self._outbox.store.settle(session, event.id, event.attempt):
                raise _TakenOverError

        try:
            with lease.scope:
                try:
                    await deliver(self._registry, delivery, self._sessions, settle)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except _TakenOverError:
                    log.warning(
                        "The event %s was done by somebody else than %s: rolled back", event.name, event.handler
                    )
                except asyncio.CancelledError as error:
                    if not is_cancelled():  # it came out of what the handler awaited
                        await self._failed(event, error, allowed)
                    elif lease.scope.cancel_called:
                        raise
                    else:
                        await self._cut(event, allowed)
                        raise
                except BaseException as error:  # noqa: BLE001 (an attempt that failed)
                    await self._failed(event, error, allowed)
        finally:
            self._leases.discard(lease)
        if lease.scope.cancelled_caught:
            log.warning("The lease of the event %s was lost, its handler %s was cancelled", event.name, event.handler)
        return True

    async def close(self) -> None:
        """There is nothing to close."""

    def _end_of(self, taken: float) -> float:
        return taken + self._outbox.lease * _SHARE

    async def _failed(self, event: StoredEvent, error: BaseException, allowed: int) -> None:
        is_last = event.attempt >= allowed
        log.log(
            logging.ERROR if is_last else logging.WARNING,
            "The event %s failed in its handler %s, attempt %d of %d%s",
            event.name,
            event.handler,
            event.attempt,
            allowed,
            "; it is dead" if is_last else "",
            exc_info=error,
        )
        await self._put_back(event, self._outbox.delay(event.attempt), dead=is_last, error=_text(error))

    async def _cut(self, event: StoredEvent, allowed: int) -> None:
        """Have it start again soon. The last attempt is given back: it was not the handler that failed."""
        last = {"attempts": event.attempt - 1} if event.attempt >= allowed else {}
        await self._put_back(event, 0.0, **last)

    async def _put_back(self, event: StoredEvent, delay: float, **values: object) -> None:
        with anyio.move_on_after(_PUTTING_BACK, shield=True):
            try:
                await self._outbox.store.put_back(event.id, event.attempt, delay, **values)
            except Exception:
                log.exception("The event %s could not be put back: it starts again when its lease ends", event.name)


def _text(error: BaseException) -> str:
    """What databases can store of an error."""
    text = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
