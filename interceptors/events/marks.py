"""`@event`: what a function in an event file says about its delivery. It only records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from interceptors.calling import check_words, written
from interceptors.events.handlers import check_function

__all__ = ["EventOptions", "event", "event_options"]

F = TypeVar("F", bound=Callable[..., object])

_ATTRIBUTE = "__interceptors_event__"


@dataclass(frozen=True, slots=True)
class EventOptions:
    """How a handler is delivered to; None is the dispatcher's and the outbox's own way."""

    durable: bool | None = None
    attempts: int | None = None
    timeout: float | None = None
    name: str | None = None
    aliases: tuple[str, ...] = ()


@written("@event(durable=False)", "durable", "attempts", "timeout", "name")
def event(
    *,
    durable: bool | None = None,
    attempts: int | None = None,
    timeout: float | None = None,
    name: str | None = None,
    aliases: Sequence[str] = (),
) -> Callable[[F], F]:
    """Say how an event function of a resource is delivered to: stored or not, how often and how long it may run.

    `name`, `aliases`: how stored events find it, and names that it had before. Raises EventError for what is no function.

    >>> @event(durable=False)
    ... async def on_after_insert(item): ...
    """
    options = EventOptions(durable, attempts, timeout, name, check_words(aliases, "aliases"))

    def record(function: F) -> F:
        check_function(function)
        setattr(function, _ATTRIBUTE, options)
        return function

    return record


def event_options(function: object) -> EventOptions:
    """What `@event` recorded on a function."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, EventOptions) else EventOptions()
