"""A handler of an event, however it was declared: what to call, and how to make its arguments."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias, cast, final

import anyio
import anyio.to_thread

from interceptors.context import InvocationContext, InvocationSource
from interceptors.describing import location, name_of
from interceptors.entry import Entry
from interceptors.events.context import EVENT, EventContext, EventValue, own_session_of, thread_limits_of
from interceptors.events.errors import EventError
from interceptors.kinds import is_async
from interceptors.metadata import Metadata, RegisteredAt, metadata_of
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target, is_generator

__all__ = ["ArgumentMaker", "EventHandler", "check_function", "special_arguments"]

ArgumentMaker: TypeAlias = Callable[[EventContext], dict[str, object]]
"""Makes a handler's arguments, by name, from the context. It runs with the delivery: if it raises, the delivery fails."""

_LONGEST_NAME = 255  # what an outbox stores

_SPECIAL: dict[str, Callable[[EventContext], object]] = {
    "event_id": lambda ctx: ctx.event_id,
    "attempt": lambda ctx: ctx.attempt,
    "session": lambda ctx: ctx.session,
    "database": lambda ctx: ctx.session,
    "ctx": lambda ctx: ctx,
}


def special_arguments() -> Mapping[str, Callable[[EventContext], object]]:
    """The parameters that any handler may have, by name, and what gives them."""
    return _SPECIAL


@final
@dataclass(frozen=True, eq=False)
class EventHandler:
    """One handler of one event. Raises EventError for what is no function and for numbers and names that cannot be."""

    event: str
    """The event's name."""
    name: str
    """The handler's name, in stored events and in logs: it has to stay the same from release to release."""
    function: Callable[..., object]
    arguments: ArgumentMaker
    durable: bool | None = None
    """None: as the dispatcher has it."""
    attempts: int | None = None
    """None: as the outbox has it."""
    timeout: float | None = None
    """How many seconds an attempt may take; None: as the dispatcher has it."""
    aliases: tuple[str, ...] = ()
    """Names that it had before: events that were stored under them are its own."""
    recorded: Metadata | None = None
    """What decorators had recorded on the function when it was declared; None: what they have until now."""
    _entries: dict[InterceptorRegistry, Entry] = field(
        default_factory=dict["InterceptorRegistry", "Entry"], repr=False, init=False
    )

    def __post_init__(self) -> None:
        check_function(self.function)
        if self.recorded is None:
            object.__setattr__(self, "recorded", metadata_of(self.function))
        if self.attempts is not None and self.attempts < 1:
            raise EventError(f"{self.title} has attempts={self.attempts!r}; it takes at least one.")
        if self.timeout is not None and not self.timeout > 0:
            raise EventError(f"{self.title} has timeout={self.timeout!r}; it takes seconds, more than 0.")
        if self.name in self.aliases:
            raise EventError(f"{self.title} has aliases={self.aliases!r}, with its own name: write its former names.")
        for what, name in (("event", self.event), *[("handler", each) for each in (self.name, *self.aliases)]):
            if not 0 < len(name) <= _LONGEST_NAME:
                raise EventError(f"{self.title}: the name of the {what}, {name!r}, has not 1 to {_LONGEST_NAME} signs.")

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those that it had before."""
        return self.name, *self.aliases

    @property
    def title(self) -> str:
        """For messages: its function, file and line."""
        return f"{name_of(self.function)} ({location(self.function)})"

    @cached_property
    def target(self) -> Target:
        """What its chain is wrapped around."""
        call = _call if is_async(self.function) else _call_in_thread
        name = self.function.__name__
        declared = RegisteredAt(self, f"the event {self.event!r}", self.recorded)
        return Target(name, self.function, binds=False, context_class=EventContext, finish=call, registration=declared)

    def entry(self, registry: InterceptorRegistry) -> Entry:
        """The door to its chain."""
        found = self._entries.get(registry)
        if found is None:
            found = self._entries[registry] = Entry(registry, self.target, source=self.source)
        return found

    @cached_property
    def source(self) -> InvocationSource:
        """Who starts its invocations."""
        return InvocationSource(EVENT, EventValue(self.event, self.name))

    @cached_property
    def asks_for_session(self) -> bool:
        """Has it a parameter that the session is given to by its name?"""
        return any(parameter.name in ("session", "database") for parameter in self.target.signature.visible)

    def all_arguments(self, ctx: EventContext) -> dict[str, object]:
        """The arguments, defaults filled in."""
        spec = self.target.arguments
        defaults = {name: value for name, value in spec.defaults.items() if name != spec.variable}
        return {**defaults, **self.arguments(ctx)}


def check_function(function: object) -> None:
    """Only functions handle events: a name must find them again in another process. Raises EventError."""
    title = f"{name_of(function)} ({location(function)})"
    if not inspect.isfunction(function):
        raise EventError(f"{title} is no function; write `async def handler(event: OrderPaid)` in a module.")
    if is_generator(function):
        raise EventError(f"{title} is a generator function; write it without `yield`.")


async def _call(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> object:
    try:
        return await function(*args, **kwargs)
    except BaseException:  # whatever it is: an interceptor that tries again starts with a clean session
        await own_session_of(cast("EventContext", ctx)).roll_back()
        raise


async def _call_in_thread(
    ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]
) -> object:
    return await _call(ctx, partial(_in_thread, cast("EventContext", ctx), partial(function, *args, **kwargs)), (), {})


async def _in_thread(ctx: EventContext, call: Callable[[], object]) -> object:
    """A thread cannot be stopped: whatever cancels us waits for it, but for the handler's own time."""
    threads, timeout = thread_limits_of(ctx)
    with anyio.CancelScope(shield=True), anyio.move_on_after(timeout):
        return await anyio.to_thread.run_sync(call, limiter=threads, abandon_on_cancel=True)
    raise TimeoutError(f"it took longer than {timeout:g} seconds; its thread goes on")
