"""Events: what happened is delivered to handlers, in this process or, after a crash too, through an outbox."""

from typing import TYPE_CHECKING, Any

from interceptors.errors import IncompatibleLibraryError, MissingExtraError, WrongCallError
from interceptors.events.context import EventContext
from interceptors.events.dispatcher import EventDispatcher
from interceptors.events.errors import DispatcherNotRunningError, EventError, GiveUp, RetryLater, UnknownEventError
from interceptors.events.marks import event

if TYPE_CHECKING:
    from interceptors.events.outbox import DeadEvent, HandlerStatus, Outbox, OutboxRow

__all__ = [
    "DeadEvent",
    "DispatcherNotRunningError",
    "EventContext",
    "EventDispatcher",
    "EventError",
    "GiveUp",
    "HandlerStatus",
    "IncompatibleLibraryError",
    "MissingExtraError",
    "Outbox",
    "OutboxRow",
    "RetryLater",
    "UnknownEventError",
    "WrongCallError",
    "event",
]


def __getattr__(name: str) -> Any:
    """The outbox needs SQLAlchemy, which is an extra; the rest works without. Raises MissingExtraError."""
    if name not in ("DeadEvent", "HandlerStatus", "Outbox", "OutboxRow"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from interceptors.events import outbox  # noqa: PLC0415

    return getattr(outbox, name)
