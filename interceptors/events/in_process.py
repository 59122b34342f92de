"""Delivery in this process: one owned task for each handler of an event, so many at once, the others in order."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from interceptors.events.delivery import Delivery, is_cancelled, say

__all__ = ["InProcess", "describe"]

log = logging.getLogger("interceptors.events")


class InProcess:
    """Deliveries that wait and run. One runner starts them, so they inherit its context variables, no publisher's."""

    def __init__(self, deliver: Callable[[Delivery], Awaitable[None]], max_running: int) -> None:
        self._deliver = deliver
        self._put, self._take = anyio.create_memory_object_stream[tuple[Delivery, float]](math.inf)
        self._slots = anyio.Semaphore(max_running)
        self._open: Counter[str] = Counter()
        self._idle = anyio.Event()
        self._idle.set()

    def put(self, delivery: Delivery, delay: float = 0.0) -> None:
        """Have something delivered, after everything that was put before, or that is put in `delay` seconds.

        Never waits, never drops.
        """
        if self._idle.is_set():
            self._idle = anyio.Event()
        self._open[delivery.handler.event] += 1
        self._put.send_nowait((delivery, delay))

    async def run(self, tasks: TaskGroup) -> None:
        """Start what is put, in order, until cancelled."""
        async for delivery, delay in self._take:
            if delay > 0:
                tasks.start_soon(self._put_later, delivery, delay, name=f"event {delivery.handler.event}, later")
                continue
            await self._slots.acquire()
            tasks.start_soon(self._run, delivery, name=f"event {delivery.handler.event}")

    async def _put_later(self, delivery: Delivery, delay: float) -> None:
        await anyio.sleep(delay)
        self._put.send_nowait((delivery, 0.0))

    def close(self) -> None:
        """Nothing is put any more."""
        self._put.close()
        self._take.close()

    async def drain(self, seconds: float) -> None:
        """Wait until nothing runs or waits, also for what is put meanwhile. Warns of what the time was too short for."""
        with anyio.move_on_after(seconds):
            while self._open:
                await self._idle.wait()
        if self._open:
            log.warning("Events were cut when the dispatcher was left: %s", describe(self._open))

    async def _run(self, delivery: Delivery) -> None:
        handler = delivery.handler
        try:
            await self._deliver(delivery)
        except (KeyboardInterrupt, SystemExit):
            raise
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            self._failed("The event %s was cancelled in its handler %s", delivery, error)
        except BaseException as error:  # noqa: BLE001 (it is logged)
            self._failed("The event %s failed in its handler %s", delivery, error)
        finally:
            self._slots.release()
            self._open[handler.event] -= 1
            if not self._open[handler.event]:
                del self._open[handler.event]
            if not self._open:
                self._idle.set()

    def _failed(self, text: str, delivery: Delivery, error: BaseException) -> None:
        handler = delivery.handler
        names = delivery.event_id, handler.name, delivery.key, delivery.attempt
        say(logging.ERROR, text, *names, handler.event, handler.name, error=error)


def describe(counts: Counter[str]) -> str:
    """`OrderPaid (3), User.on_after_insert (1)`"""
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
