"""The event dispatcher: what is published reaches its handlers, in this process or through the outbox."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

import anyio
from pydantic import BaseModel

from interceptors.calling import check_words, written
from interceptors.describing import location, name_of
from interceptors.events.declared import argument_maker, check_delay, check_key, event_name, snapshot
from interceptors.events.delivery import Delivery, deliver
from interceptors.events.errors import DispatcherNotRunningError, EventError, UnknownEventError
from interceptors.events.handlers import EventHandler, check_function
from interceptors.events.held import Held
from interceptors.events.in_process import InProcess, log
from interceptors.events.means import Means
from interceptors.events.own_session import Sessions
from interceptors.events.stored_names import stored_name
from interceptors.registry import InterceptorRegistry

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from interceptors.events.durable import Durable
    from interceptors.events.outbox import Outbox

__all__ = ["EventDispatcher"]

F = TypeVar("F", bound=Callable[..., Any])

_MAX_RUNNING = 100


class EventDispatcher:
    """Takes events and runs their handlers, each through the chain of `registry`. Used with asyncio.

    `sessions`: makes the handlers' sessions (an `async_sessionmaker`); the outbox's if left out.
    `outbox`: stores what is published, so that it survives; without it everything is delivered in this process.
    `broker`: a taskiq broker that carries what is stored to workers.
    `relay`: run a relay while the dispatcher is entered; False says that another process does.
    `max_running`: how many deliveries run at once (100), with an outbox no more than the pool of the handlers' sessions
    has connections; the rest waits. `timeout`: after how many seconds a handler is cancelled that says nothing of its
    own. `drain`: how many seconds leaving waits for what runs.
    """

    def __init__(
        self,
        registry: InterceptorRegistry,
        *,
        sessions: Sessions | None = None,
        outbox: "Outbox | None" = None,
        broker: Any = None,
        relay: bool = True,
        max_running: int | None = None,
        timeout: float | None = None,
        drain: float = 10.0,
    ) -> None:
        if broker is not None and outbox is None:
            raise EventError(
                "A broker carries what an outbox stores: EventDispatcher(registry, outbox=Outbox(...), broker=...)."
            )
        running = _MAX_RUNNING if max_running is None else max_running
        if running < 1 or not drain >= 0 or not (timeout is None or timeout > 0):
            raise ValueError(
                f"{max_running=}, {drain=}, {timeout=}: at least 1, at least 0 seconds, more than 0 seconds"
            )
        self._registry = registry
        self._outbox = outbox
        self._broker = broker
        sessions = outbox.sessions if sessions is None and outbox is not None else sessions
        self._means = Means(sessions, running, timeout)
        self._asked_for_so_many = max_running is not None
        self._relays = relay
        self._drain = drain
        self._end = 0.0  # when draining is over
        self._handlers: dict[str, list[EventHandler]] = {}
        self._classes: dict[str, type[BaseModel]] = {}
        self._in_process: InProcess | None = None
        self._held = Held()
        self._side = None if outbox is None else self._with_outbox(outbox)

    # -- declaring -----------------------------------------------------------------------------------------------------

    @written("@events.on(OrderPaid)", "durable", "attempts", "timeout", "name")
    def on(
        self,
        event: type[BaseModel],
        *,
        durable: bool | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """Declare a handler of an event; the function stays what it is.

        `durable=False` keeps it in this process although there is an outbox; `attempts`: how often it may start, if
        not as often as the outbox says; `timeout`: after how many seconds an attempt has failed; `name`: how stored
        events find it, `module.qualname` if left out; `aliases`: names that it had before, under which events may still
        be stored. Raises EventError for a signature, an event or options that cannot work.
        """
        event_is = event_name(event)

        def declare(function: F) -> F:
            known = self._classes.get(event_is, event)
            if known is not event:
                raise EventError(
                    f"{name_of(event)} ({location(event)}) and {name_of(known)} ({location(known)}) are both called "
                    f"{event_is!r}; give one an `event_name: ClassVar[str]`."
                )
            check_function(function)
            self.add(
                EventHandler(
                    event_is,
                    name or stored_name(function),
                    function,
                    argument_maker(event, function),
                    durable,
                    attempts,
                    timeout,
                    check_words(aliases, "aliases"),
                )
            )
            self._classes[event_is] = event
            return function

        return declare

    def add(self, handler: EventHandler) -> None:
        """For parts that declare handlers in a way of their own: add one. Raises EventError for what this dispatcher cannot do."""
        if handler.durable and self._outbox is None:
            raise EventError(
                f"{handler.title} is durable, but there is no outbox: EventDispatcher(registry, outbox=Outbox(...))."
            )
        if handler.asks_for_session and self._means.sessions is None:
            raise EventError(
                f"{handler.title} takes a session, but there are none: EventDispatcher(registry, sessions=...)."
            )
        others = self._handlers.setdefault(handler.event, [])
        for other in others:
            both = [each for each in handler.names if each in other.names]
            if both:
                raise EventError(
                    f"{handler.title} and {other.title} both handle {handler.event!r} as {both[0]!r}; give one another "
                    f"`name=`, or take it out of its `aliases=`."
                )
        if self._in_process is not None:
            handler.entry(self._registry).check()
        others.append(handler)
        if self._side is not None:
            self._side.add(handler)

    def _has(self, name: str) -> bool:
        """Does any handler take the event of this name?"""
        return bool(self._handlers.get(name))

    def stores(self, handler: EventHandler) -> bool:
        """Are the events that are stored at all stored for this handler, too?"""
        return self._outbox is not None and handler.durable is not False

    # -- for the command line ------------------------------------------------------------------------------------------

    @property
    def outbox(self) -> "Outbox | None":
        """Where events are stored, if anywhere."""
        return self._outbox

    @property
    def counts(self) -> dict[str, int]:
        """How many stored events were `done` in this process until now, how often one has `failed`, and how many have `died`.

        With a broker, whose workers run them: how many were `sent`, and have `died` on the way.
        """
        return {} if self._side is None else self._side.counts()

    async def dispose(self) -> None:
        """Close the connections in the pools of the sessions; the engines can be used again, also in another loop."""
        if self._side is not None:
            await self._side.dispose()

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(
        self,
        event: BaseModel,
        *,
        session: "AsyncSession | None" = None,
        key: str | None = None,
        delay: float | None = None,
    ) -> str:
        """Hand an event to its handlers, `delay` seconds from now or from the commit; gives its id.

        With a `session` it happens with the session's outermost commit, and not at all if what was done there is
        rolled back. Stored events of one `key` are handled one after the other, in the order of their commits. For that
        on PostgreSQL publishers of a key wait for each other's commits, at most a lease long: so publish with the
        `session` that you are in, and several keys always in the same order.
        Raises UnknownEventError if nobody handles it, DispatcherNotRunningError, and EventError.
        """
        check_key(key)
        check_delay(delay)
        name = event_name(type(event))
        if not self._has(name):
            raise UnknownEventError(name, self._handlers)
        known = self._classes.get(name)
        if known is not type(event):
            raise EventError(
                f"{name_of(type(event))} ({location(type(event))}) is not the event that is handled as {name!r}: that "
                f"is {name_of(known)} ({location(known)})."
            )
        return await self.emit(name, snapshot(event), session=session, key=key, delay=delay or 0.0)

    async def emit(
        self,
        name: str,
        payload: Mapping[str, object],
        *,
        session: "AsyncSession | None" = None,
        key: str | None = None,
        live: Mapping[str, object] = MappingProxyType({}),
        durable: bool = True,
        waits: bool = True,
        delay: float = 0.0,
    ) -> str:
        """For parts with events of their own: hand JSON values to the handlers of a name, if any; gives the event's id.

        `live`: objects for handlers in this process. `durable=False`: in this process and at once. `waits=False`: the
        publisher has locked what the key stands for, so that it need not wait for others who publish it.
        """
        try:
            text = json.dumps(payload, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise EventError(f"The event {name!r} cannot be written as JSON: {error}") from error
        event_id = uuid4().hex
        handlers = self._handlers.get(name, ())
        stored = [handler for handler in handlers if durable and self.stores(handler)]
        here = [handler for handler in handlers if handler not in stored]
        if here:
            self._running(name)
        if stored and self._side is not None:
            await self._side.store(stored, event_id, json.loads(text), key, session, waits=waits, delay=delay)
        if here:
            put = partial(self._put, here, event_id, key, text, live, delay)
            if session is not None and durable:
                from interceptors.events.after_commit import call_after_commit  # noqa: PLC0415 (needs SQLAlchemy)

                call_after_commit(session, put)
            else:
                put()
        return event_id

    def _running(self, name: str) -> InProcess:
        if self._in_process is None:
            raise DispatcherNotRunningError(
                f"The event {name!r} cannot be delivered: enter the dispatcher first, `async with events:` or "
                f"FastAPI(lifespan=events.lifespan)."
            )
        return self._in_process

    def _put(
        self,
        handlers: list[EventHandler],
        event_id: str,
        key: str | None,
        text: str,
        live: Mapping[str, object],
        delay: float,
    ) -> None:
        """Queue it for each handler, which gets a copy of its own."""
        if self._in_process is None:  # left between publishing and the commit, which nothing may disturb any more
            name = handlers[0].event
            log.error("The event %s was committed after the dispatcher was left: it is not delivered", name)
            return
        for handler in handlers:
            self._in_process.put(Delivery(handler, event_id, key, json.loads(text), 1, live), delay)

    # -- running -------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._enter(relays=self._relays)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._held.leave()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """A lifespan for FastAPI: `FastAPI(lifespan=events.lifespan)`."""
        async with self:
            yield

    async def relay(self, *, once: bool = False, started: Callable[[str], object] | None = None) -> int:
        """Deliver what is stored until cancelled, then wait `drain` seconds for what runs; gives how many it started.

        `once`: what is due now, and what becomes due by that. `started`: called when it begins, with what it is that is
        relayed, from where, and how many at once. Raises EventError without an outbox.
        """
        if self._side is None:
            raise EventError("There is nothing to relay without an outbox: EventDispatcher(registry, outbox=...).")
        await self._enter(relays=False)
        try:
            if started is not None:
                started(self._side.summary())
            return await self._side.relay(once=once)
        finally:
            await self._held.leave()

    def _with_outbox(self, outbox: "Outbox") -> "Durable":
        from interceptors.events.durable import Durable  # noqa: PLC0415 (needs SQLAlchemy)

        asked = self._asked_for_so_many
        side = Durable(self._registry, outbox, self._means, self._drain, relays=self._relays, asked=asked)
        if self._broker is not None:
            from interceptors.events.taskiq import TaskiqCarrier  # noqa: PLC0415 (needs taskiq)

            enter = partial(self._enter, relays=False)
            side.carrier = TaskiqCarrier(self._broker, outbox, side, enter, self._held.leave)
        return side

    async def _enter(self, *, relays: bool) -> None:
        await self._held.enter(self._prepare, partial(self._run, relays=relays))

    async def _prepare(self) -> None:
        """What has to be right before anything runs."""
        for handlers in self._handlers.values():
            for handler in handlers:
                handler.entry(self._registry).check()
        if self._side is not None:
            await self._side.check()
        self._in_process = InProcess(self._deliver, self._means.max_running)

    async def _run(self, left: anyio.Event, *, relays: bool) -> None:
        in_process = self._running("")
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(in_process.run, tasks)
                side = nullcontext() if self._side is None else self._side.entered()
                async with side, anyio.create_task_group() as until_left:
                    if self._side is not None and relays:
                        until_left.start_soon(self._side.relay_until, left)
                    await left.wait()
                    self._end = anyio.current_time() + self._drain
                await in_process.drain(max(self._end - anyio.current_time(), 0.0))
                self._in_process = None
                tasks.cancel_scope.cancel()
        finally:
            self._in_process = None
            in_process.close()

    async def _deliver(self, delivery: Delivery) -> None:
        await deliver(self._registry, delivery, self._means)
