"""Events: what happened is delivered to handlers, in this process or, after a crash too, through an outbox."""

from interceptors.events.context import EventContext
from interceptors.events.dispatcher import EventDispatcher
from interceptors.events.errors import DispatcherNotRunningError, EventError, UnknownEventError
from interceptors.events.marks import event

__all__ = [
    "DispatcherNotRunningError",
    "EventContext",
    "EventDispatcher",
    "EventError",
    "UnknownEventError",
    "event",
]
