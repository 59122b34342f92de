"""The context of one delivery of an event to one handler."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter

from interceptors.context import InvocationContext
from interceptors.events.own_session import OwnSession

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["EVENT", "EventContext", "EventValue", "live_of", "own_session_of", "take_delivery", "thread_limits_of"]

EVENT = "event"
"""The source type of every invocation that the event dispatcher starts."""


@dataclass(frozen=True, slots=True)
class EventValue:
    """What `ctx.source.value` is while an event is handled."""

    name: str
    """The event's name: `OrderPaid`, `User.on_after_insert`."""
    handler: str
    """The handler's name: `shop.mails.send_receipt`."""

    def __str__(self) -> str:
        return self.name


class EventContext(InvocationContext):
    """An event that is delivered to a handler; `args` are the handler's arguments.

    Nothing of the publisher is in it: no bindings, no context variables, and the session is its own.
    """

    belongs_to_request = False

    name: str
    """The event's name: `OrderPaid`, `User.on_after_insert`."""
    event_id: str
    """The same for every handler and every attempt: by it repeated effects are told apart."""
    attempt: int
    """Which start of this handler with this event it is, from 1."""
    payload: dict[str, Any]
    """The event as JSON values, as it was published; this delivery's own copy."""
    _live: Mapping[str, object] = MappingProxyType({})
    """Objects that exist in the publisher's process only; empty where an event was stored."""

    _own: OwnSession
    _threads: CapacityLimiter
    _timeout: float | None

    @property
    def request(self) -> Any:
        """For a resource's events in this process, a copy of the request without its body; else None."""
        return self._live.get("request")

    @property
    def session(self) -> "AsyncSession":
        """The handler's own session: opened now if it is not, committed when the chain returns, rolled back when it raises.

        Raises EventError if the dispatcher has no sessions.
        """
        return self._own.get()


def take_delivery(
    ctx: EventContext, live: Mapping[str, object], own: OwnSession, threads: CapacityLimiter, timeout: float | None
) -> OwnSession:
    """Have a context deliver these objects of the publisher's process, with this session; gives the session.

    `threads`, `timeout`: where a `def` handler runs, and how many seconds it may take.
    """
    ctx._live, ctx._own, ctx._threads, ctx._timeout = live, own, threads, timeout
    return own


def thread_limits_of(ctx: EventContext) -> tuple[CapacityLimiter, float | None]:
    """Where a `def` handler runs, and how many seconds it may take."""
    return ctx._threads, ctx._timeout


def live_of(ctx: EventContext) -> Mapping[str, object]:
    """The objects that exist in the publisher's process only."""
    return ctx._live


def own_session_of(ctx: EventContext) -> OwnSession:
    """What opens and ends the handler's session."""
    return ctx._own
