"""One delivery: the handler's chain is run in a context of its own, with a session of its own."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, final

import anyio

from interceptors.events.context import EventContext, take_delivery
from interceptors.events.handlers import EventHandler
from interceptors.events.own_session import OwnSession, Sessions
from interceptors.registry import InterceptorRegistry

__all__ = ["Delivery", "deliver", "is_cancelled"]


@final
@dataclass(frozen=True, slots=True)
class Delivery:
    """What is delivered to whom."""

    handler: EventHandler
    event_id: str
    payload: dict[str, Any]
    attempt: int
    live: Mapping[str, object]


async def deliver(
    registry: InterceptorRegistry,
    delivery: Delivery,
    sessions: Sessions | None,
    before_commit: Callable[[OwnSession], Awaitable[None]] | None = None,
) -> None:
    """Run the handler through its chain; its session is committed when the chain has returned, else rolled back.

    `before_commit` is the last to use the session. Raises what the chain or the commit raises.
    """
    handler = delivery.handler
    entry = handler.entry(registry)
    arguments: dict[str, Any] = {}
    ctx = cast("EventContext", entry.context((), arguments))
    ctx.name, ctx.event_id, ctx.attempt = handler.event, delivery.event_id, delivery.attempt
    ctx.payload = delivery.payload
    own = take_delivery(ctx, delivery.live, OwnSession(sessions))
    async with entry.running_as(ctx):
        try:
            arguments.update(handler.all_arguments(ctx))  # by name they are the context's
            await entry.run(ctx)
            if before_commit is not None:
                await before_commit(own)
            await own.commit()
        except BaseException:
            await own.roll_back()
            raise
        finally:
            await own.close()


def is_cancelled() -> bool:
    """Is this task being cancelled by a scope around it? Not if a CancelledError only came out of what it awaited.

    That one must not leave the task: a task group that sees it ends everything.
    """
    return anyio.current_effective_deadline() == -math.inf
