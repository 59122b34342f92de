"""One delivery: the handler's chain is run in a context of its own, with a session of its own."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, final

import anyio

from interceptors.events.context import EventContext, take_delivery
from interceptors.events.handlers import EventHandler
from interceptors.events.means import Means
from interceptors.events.own_session import OwnSession
from interceptors.registry import InterceptorRegistry

__all__ = ["Delivery", "deliver", "is_cancelled", "say"]

log = logging.getLogger("interceptors.events")


@final
@dataclass(frozen=True, slots=True)
class Delivery:
    """What is delivered to whom."""

    handler: EventHandler
    event_id: str
    key: str | None
    payload: dict[str, Any]
    attempt: int
    live: Mapping[str, object]


def say(
    level: int,
    text: str,
    event_id: str,
    handler: str,
    key: str | None,
    attempt: int,
    *args: object,
    error: BaseException | None = None,
) -> None:
    """Log something about a delivery; by what the line ends with, and by its fields, the row is found."""
    fields = {"event_id": event_id, "handler": handler, "key": key, "attempt": attempt}
    whole = f"{text} [event_id=%s handler=%s key=%s attempt=%s]"
    log.log(level, whole, *args, *fields.values(), exc_info=error, extra=fields)


async def deliver(
    registry: InterceptorRegistry,
    delivery: Delivery,
    means: Means,
    finish: Callable[[OwnSession], Awaitable[None]] = OwnSession.commit,
) -> None:
    """Run the handler through its chain; its session is committed when the chain has returned, else rolled back.

    `finish` is the last to use the session, and commits it. Raises what the chain or the commit raises, and
    TimeoutError where the handler may take so long and no longer.
    """
    handler = delivery.handler
    entry = handler.entry(registry)
    arguments: dict[str, Any] = {}
    ctx = cast("EventContext", entry.context((), arguments))
    ctx.name, ctx.event_id, ctx.attempt = handler.event, delivery.event_id, delivery.attempt
    ctx.payload = delivery.payload
    timeout = means.timeout if handler.timeout is None else handler.timeout
    own = take_delivery(ctx, delivery.live, means.session(), means.threads, timeout)
    async with entry.running_as(ctx):
        try:
            arguments.update(handler.all_arguments(ctx))  # by name they are the context's
            await _in_time(entry.run(ctx), timeout, handler)
            await finish(own)
        except BaseException:
            await own.roll_back()
            raise
        finally:
            await own.close()


async def _in_time(run: Awaitable[object], seconds: float | None, handler: EventHandler) -> None:
    with anyio.move_on_after(seconds) as limit:
        await run
    if limit.cancelled_caught:
        raise TimeoutError(f"{handler.title} took longer than {seconds:g} seconds")


def is_cancelled() -> bool:
    """Is this task being cancelled by a scope around it? Not if a CancelledError only came out of what it awaited.

    That one must not leave the task: a task group that sees it ends everything.
    """
    return anyio.current_effective_deadline() == -math.inf
