"""What can be wrong with events.

EventError (InterceptorError)
|- UnknownEventError (LookupError)             an event that nobody handles is published
`- DispatcherNotRunningError (RuntimeError)    nothing runs that could deliver
"""

from collections.abc import Iterable, Sequence

from interceptors.describing import nearest, suggest
from interceptors.errors import InterceptorError

__all__ = ["DispatcherNotRunningError", "EventError", "UnknownEventError"]


class EventError(InterceptorError):
    """Something about an event, its handlers or their delivery is wrong; raised where it is declared."""


class UnknownEventError(EventError, LookupError):
    """No handler takes the event `name`; `nearest` are the names that look alike."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        known = list(known)
        self.nearest: Sequence[str] = nearest(name, known)
        super().__init__(
            f"No handler takes the event {name!r}.{suggest(name, known)} Declare one with `@events.on({name})`, and import its module."
        )


class DispatcherNotRunningError(EventError, RuntimeError):
    """The dispatcher has not been entered, or has been left."""
