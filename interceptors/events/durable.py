"""The side of the dispatcher that rests on an outbox."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from interceptors.events.after_commit import call_after_commit
from interceptors.events.delivery import say
from interceptors.events.handlers import EventHandler
from interceptors.events.held import ended
from interceptors.events.listening import Listening
from interceptors.events.means import Means
from interceptors.events.one_writer import Writer
from interceptors.events.outbox import Outbox
from interceptors.events.own_connection import OwnConnection
from interceptors.events.pool import check_publisher, connections_of, engine_of, has_one_connection
from interceptors.events.relay import Carrier, Relay
from interceptors.events.store import HandlerRows, StoredEvent
from interceptors.events.stored import StoredDeliveries
from interceptors.events.storing import NewRow, add_rows, lock_key
from interceptors.events.unknown import UnknownRows
from interceptors.registry import InterceptorRegistry

__all__ = ["Durable"]

log = logging.getLogger("interceptors.events")

_LEAST_PATIENCE = 10.0
_ENDING = 5.0
"""How long the database may take to write what has ended when the dispatcher is left."""


class Durable:
    """Stores events, and relays what is stored. `relays`: whether this process is said to do so."""

    def __init__(
        self, registry: InterceptorRegistry, outbox: Outbox, means: Means, drain: float, *, relays: bool, asked: bool
    ) -> None:
        self._outbox = outbox
        self._means = means
        self._drain = drain
        self._relays_here = relays
        self._asked = asked  # for so many at once
        self._is_told = False  # that nothing relays here
        self._is_pool_told = False
        bind = outbox.sessions().get_bind(clause=outbox.table)
        means.writer = Writer() if bind.dialect.name == "sqlite" else None
        self.line = OwnConnection(outbox.sessions, outbox.table, max(outbox.lease, _LEAST_PATIENCE), means.writer)
        self.deliveries = StoredDeliveries(registry, outbox, outbox.store, self.line, means, self._find)
        self.carrier: Carrier = self.deliveries
        self._handlers: dict[tuple[str, str], EventHandler] = {}
        self._places: tuple[HandlerRows, ...] = ()
        self._relays: set[Relay] = set()
        self._relay_ended = anyio.Event()
        self.is_entered = False

    # -- handlers ------------------------------------------------------------------------------------------------------

    def add(self, handler: EventHandler) -> None:
        """Run the stored events of a handler, also of one whose events are not stored any more."""
        self._handlers |= {(handler.event, name): handler for name in handler.names}
        self._places = tuple(self._place(event, name) for event, name in self._handlers)
        self._outbox.know({place: handler.names for place, handler in self._handlers.items()})

    def _place(self, event: str, name: str) -> HandlerRows:
        handler = self._handlers[event, name]
        events = dict.fromkeys(event for event, other in self._handlers if other in handler.names)
        return HandlerRows(event, name, handler.names, tuple(events), self._allowed(handler))

    def _allowed(self, handler: EventHandler) -> int:
        return self._outbox.attempts if handler.attempts is None else handler.attempts

    def places(self) -> tuple[HandlerRows, ...]:
        """Where the rows are that can be run here."""
        return self._places

    def _find(self, event: StoredEvent) -> tuple[EventHandler, int]:
        handler = self._handlers[event.name, event.handler]
        return handler, self._allowed(handler)

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def store(
        self,
        handlers: Sequence[EventHandler],
        event_id: str,
        payload: Mapping[str, object],
        key: str | None,
        session: AsyncSession | None,
        *,
        waits: bool,
        delay: float,
    ) -> None:
        """Store an event for its handlers, in the session's transaction or in one of its own."""
        rows = [NewRow(event_id, handler.event, handler.name, key, payload) for handler in handlers]
        if session is not None:
            check_publisher(session, self._outbox.sessions, self._outbox.table)
            await self._add(session, rows, delay, waits=waits)
            call_after_commit(session, self._stored)
            return
        async with self._outbox.sessions() as own, own.begin():
            await self._add(own, rows, delay, waits=waits)
        self._stored()

    async def _add(self, session: AsyncSession, rows: Sequence[NewRow], delay: float, *, waits: bool) -> None:
        key = rows[0].key
        if waits and key is not None:
            await lock_key(session, self._outbox.table, key, self._outbox.lease)
        await add_rows(session, self._outbox.table, rows, delay)

    def _stored(self) -> None:
        for relay in self._relays:
            relay.wake()
        if self._relays_here and not self.is_entered and not self._relays and not self._is_told:
            self._is_told = True
            log.warning(
                "An event was stored, and no relay runs here that would deliver it: enter the dispatcher, "
                "FastAPI(lifespan=events.lifespan), or say that another process relays, EventDispatcher(relay=False)"
            )

    # -- for the command line ------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """What has become of stored events here."""
        counts = self.deliveries.counts
        return {name: counts[name] for name in (("sent", "died") if self._is_carried() else ("done", "failed", "died"))}

    def summary(self) -> str:
        """What is relayed, from where, and how many at once; without passwords."""
        table, handlers = self._outbox.table, len({id(handler) for handler in self._handlers.values()})
        url = self._outbox.sessions().get_bind(clause=table).engine.url.set(query={})  # passwords may stand there, too
        what = f"{handlers} {'handler' if handlers == 1 else 'handlers'} of the table {table.fullname!r}"
        how = f"up to {self.max_running()} at once{', sent to workers' if self._is_carried() else ''}"
        return f"{what} in {url.render_as_string()}, {how}"

    def _is_carried(self) -> bool:
        return self.carrier is not self.deliveries

    async def dispose(self) -> None:
        """Close the connections in the pools of handlers and outbox."""
        for sessions in dict.fromkeys((self._outbox.sessions, self._means.sessions or self._outbox.sessions)):
            engine = engine_of(sessions, self._outbox.table)
            if engine is not None:
                with anyio.move_on_after(_ENDING, shield=True):
                    await AsyncEngine(engine).dispose()

    # -- running -------------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Raises EventError if there is no table, or an older one. Says what is bounded by the pool."""
        await self._outbox.check_table()
        if has_one_connection(engine_of(self._outbox.sessions, self._outbox.table)):
            log.warning(
                "The engine of the outbox has one connection for all sessions, as SQLite in memory has, so handlers "
                "commit and roll back each other's work: use a file"
            )
        if self.max_running() < self._means.max_running and not self._is_pool_told:
            self._is_pool_told = True
            log.log(
                logging.WARNING if self._asked else logging.INFO,
                "max_running=%d, but the pool of the handlers' sessions gives %d connections: so many run at once. Make "
                "the pool larger (pool_size=, max_overflow=), or max_running smaller",
                self._means.max_running,
                self.max_running(),
            )

    def max_running(self) -> int:
        """How many deliveries run at once here: as many as there are connections for."""
        engine = engine_of(self._means.sessions or self._outbox.sessions, self._outbox.table)
        return int(min(self._means.max_running, connections_of(engine)))

    @asynccontextmanager
    async def entered(self) -> AsyncGenerator[None]:
        """Within it leases are renewed, and what is done is written."""
        self.is_entered = True
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.deliveries.renew)
                tasks.start_soon(self.deliveries.settling.run)
                yield
                with anyio.move_on_after(_ENDING, shield=True):
                    while self._relays:  # one that nobody waits for any more, having been cancelled twice
                        self._relay_ended = anyio.Event()
                        await self._relay_ended.wait()
                    await self.deliveries.settled()
                self.deliveries.settling.give_up()
                self.line.give_up()
                tasks.cancel_scope.cancel()
        finally:
            self.is_entered = False
            await self.line.close()

    async def relay_until(self, left: anyio.Event, *, once: bool = False) -> int:
        """Relay until `left` is set and what runs has ended or is cut; gives how many events were taken."""
        outbox = self._outbox
        relay = Relay(
            outbox.store,
            self.line,
            self.places,
            self.carrier,
            self.max_running(),
            self.died,
            poll=outbox.poll,
            lease=outbox.lease,
        )
        unknown = UnknownRows(outbox.table, self.line, self.places, outbox.unknown_after)
        self._relays.add(relay)
        try:
            if once:
                await unknown.look()
            async with anyio.create_task_group() as beside:
                if not once:
                    beside.start_soon(self._listen, relay)
                    beside.start_soon(unknown.watch)
                await relay.run(left, self._drain, once=once)
                beside.cancel_scope.cancel()
        finally:
            await self.carrier.close()
            self._relays.discard(relay)
            self._relay_ended.set()
        if relay.failure is not None:
            raise relay.failure
        return relay.taken

    async def _listen(self, relay: Relay) -> None:
        listening = Listening(self._outbox.table, relay.wake)
        try:
            await self.line.on_open(listening.listen)
        except Exception as error:
            log.debug("The relay's connection does not listen", exc_info=error)
        await listening.check(self.line, self._outbox.sessions)

    async def died(self, event: StoredEvent) -> None:
        """Tell of a row that cannot be handled any more, and is dead."""
        self.deliveries.counts["died"] += 1
        text = "The event %s cannot be handled by %s any more, and is dead: %s"
        say(
            logging.ERROR, text, event.event_id, event.handler, event.key, event.attempt - 1,
            event.name, event.handler, event.error,
        )  # fmt: skip
        await self._outbox.tell_dead(event, event.attempt - 1, event.error)

    async def relay(self, *, once: bool) -> int:
        """Relay until cancelled, or once."""
        left = anyio.Event()
        task = asyncio.create_task(self.relay_until(left, once=once))
        try:
            await asyncio.wait([task])
        finally:
            left.set()
            await ended(task)
        return task.result()
