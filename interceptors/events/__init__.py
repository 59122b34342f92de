"""Events: what happened is delivered to handlers, in this process or, after a crash too, through an outbox."""

from typing import TYPE_CHECKING, Any

from interceptors.errors import IncompatibleLibraryError, MissingExtraError, WrongCallError
from interceptors.events.context import EventContext
from interceptors.events.dispatcher import EventDispatcher
from interceptors.events.errors import DispatcherNotRunningError, EventError, UnknownEventError
from interceptors.events.marks import event

if TYPE_CHECKING:
    from interceptors.events.outbox import DeadEvent, Outbox

__all__ = [
    "DeadEvent",
    "DispatcherNotRunningError",
    "EventContext",
    "EventDispatcher",
    "EventError",
    "IncompatibleLibraryError",
    "MissingExtraError",
    "Outbox",
    "UnknownEventError",
    "WrongCallError",
    "event",
]


def __getattr__(name: str) -> Any:
    """The outbox needs SQLAlchemy, which is an extra; the rest works without. Raises MissingExtraError."""
    if name not in ("DeadEvent", "Outbox"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from interceptors.events import outbox  # noqa: PLC0415

    return getattr(outbox, name)
