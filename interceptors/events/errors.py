"""What can be wrong with events.

EventError (InterceptorError)
|- UnknownEventError (LookupError)             an event that nobody handles is published
`- DispatcherNotRunningError (RuntimeError)    nothing runs that could deliver
"""

from collections.abc import Iterable, Sequence

from interceptors.describing import nearest, suggest
from interceptors.errors import InterceptorError

__all__ = ["DispatcherNotRunningError", "EventError", "GiveUp", "RetryLater", "UnknownEventError"]


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


class GiveUp(Exception):  # noqa: N818 (a handler says what is to happen)
    """Raised by a handler of stored events: trying again is no use. The event is dead at once, with what is said here.

    >>> raise GiveUp("no such address")
    """


class RetryLater(Exception):  # noqa: N818 (a handler says what is to happen)
    """Raised by a handler of stored events: start again in so many seconds, and do not count this attempt.

    Raises ValueError for less than 0 seconds.
    """

    def __init__(self, seconds: float, why: str = "") -> None:
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"RetryLater({seconds!r}): write how many seconds to wait")
        self.seconds = seconds
        super().__init__(why or f"again in {seconds:g} seconds")
