"""The transactional outbox: a table in which events wait, in the very transaction that they tell of."""

import inspect
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

from interceptors.describing import suggest
from interceptors.errors import MissingExtraError
from interceptors.events.errors import EventError
from interceptors.events.own_session import Sessions

try:
    from sqlalchemy import MetaData, false, true
    from sqlalchemy import inspect as inspect_database

    from interceptors.events.operations import (
        Change,
        DeadEvent,
        HandlerStatus,
        OutboxOperations,
        OutboxRow,
        Selection,
        State,
    )
    from interceptors.events.store import Store, StoredEvent
    from interceptors.events.table import outbox_table
except ImportError as error:
    raise MissingExtraError("interceptors.events.Outbox", "sqlalchemy") from error

__all__ = ["DeadEvent", "HandlerStatus", "Outbox", "OutboxRow"]

log = logging.getLogger("interceptors.events")

_Ids: TypeAlias = list[int]  # in the class `list` is a method
_Dead: TypeAlias = list[DeadEvent]
_Rows: TypeAlias = list[OutboxRow]


class Outbox:
    """Stores events in a table of your database, on PostgreSQL, MariaDB from 10.6, MySQL from 8 and SQLite.

    `sessions`: an `async_sessionmaker`, by which handlers reach it. `metadata`: gets the table, for `create_all` and
    Alembic. `attempts`: how often a handler may start with an event. Before the n-th time again it waits a random time of
    up to `backoff * 2**(n-1)` seconds, at most `max_backoff`. `lease`: after how many seconds an event is started again
    whose process has died; it is renewed while a handler runs. `poll`: how often a relay looks for what others have
    stored; on PostgreSQL it hears of it. `unknown_after`: after how many seconds a relay says that rows wait for a
    handler that it does not know. `on_dead`: called, or awaited, with each `DeadEvent`.

    A relay has one connection of its own beside the pool. On SQLite a handler should not write and then wait: nobody else
    can write meanwhile, the renewal of leases neither.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        metadata: MetaData,
        table: str = "interceptors_outbox",
        attempts: int = 30,
        backoff: float = 1.0,
        max_backoff: float = 300.0,
        lease: float = 30.0,
        poll: float = 1.0,
        unknown_after: float = 300.0,
        on_dead: Callable[[DeadEvent], object] | None = None,
    ) -> None:
        if attempts < 1 or not backoff >= 0 or not max_backoff >= 0 or not lease > 0 or not poll > 0:
            raise ValueError(
                f"{attempts=}, {backoff=}, {max_backoff=}, {lease=}, {poll=}: at least one attempt, no negative "
                f"backoff, and lease and poll above 0 seconds"
            )
        if not unknown_after > 0:
            raise ValueError(f"{unknown_after=}: above 0 seconds")
        self.sessions = sessions
        self.table = outbox_table(metadata, table)
        self.attempts = attempts
        self.lease = lease
        self.poll = poll
        self.unknown_after = unknown_after
        self.store = Store(self.table, lease)
        """The statements of relays, for the dispatcher."""
        self._operations = OutboxOperations(sessions, self.table, self.store)
        self._backoff = backoff
        self._max_backoff = max_backoff
        self._on_dead = on_dead

    # -- looking -------------------------------------------------------------------------------------------------------

    async def pending(self) -> int:
        """How many deliveries wait or run; the dead ones do not count."""
        return await self._operations.count(self.table.c.dead == false())

    async def status(self) -> list[HandlerStatus]:
        """How many rows there are of each event and handler, by state; handlers without any are left out."""
        return await self._operations.status()

    async def list(
        self,
        handler: str | None = None,
        state: State | None = None,
        key: str | None = None,
        limit: int | None = 100,
        after: int | None = None,
    ) -> list[OutboxRow]:
        """Rows by id, at most `limit` (None: all), those after an id."""
        conditions = [] if after is None else [self.table.c.id > after]
        conditions += [] if handler is None else [self.table.c.handler == handler]
        conditions += [] if key is None else [self.table.c.key == key]
        return await self._operations.rows(conditions, state, limit)

    async def dead(self) -> _Dead:
        """What was tried as often as allowed, in the order of publishing."""
        found = await self._operations.rows([self.table.c.dead == true()], None, None)
        return [
            DeadEvent(row.event_id, row.name, row.handler, row.key, row.attempts, row.error, row.payload)
            for row in found
        ]

    # -- changing ------------------------------------------------------------------------------------------------------

    @overload
    async def revive(self, *, ids: Sequence[int]) -> _Ids: ...
    @overload
    async def revive(
        self,
        event_id: str | None = None,
        *,
        ids: None = None,
        handler: str | None = None,
        key: str | None = None,
        older_than: float | None = None,
        all: bool = False,
    ) -> int: ...
    async def revive(
        self,
        event_id: str | None = None,
        *,
        ids: Sequence[int] | None = None,
        handler: str | None = None,
        key: str | None = None,
        older_than: float | None = None,
        all: bool = False,
    ) -> int | _Ids:
        """Have dead rows tried again, as often as if they were new, and those that wait to be tried again at once.

        Which: of an event, by their ids, of a handler, of a key, older than so many seconds, or all. Gives how many it
        were, with `ids` which. Raises ValueError if nothing is said.
        """
        done = await self._operations.revive(Selection(event_id, ids, handler, key, older_than, all))
        return len(done) if ids is None else done

    @overload
    async def discard(self, *, ids: Sequence[int]) -> _Ids: ...
    @overload
    async def discard(
        self,
        event_id: str | None = None,
        *,
        ids: None = None,
        handler: str | None = None,
        key: str | None = None,
        older_than: float | None = None,
        all: bool = False,
    ) -> int: ...
    async def discard(
        self,
        event_id: str | None = None,
        *,
        ids: Sequence[int] | None = None,
        handler: str | None = None,
        key: str | None = None,
        older_than: float | None = None,
        all: bool = False,
    ) -> int | _Ids:
        """Delete dead rows, chosen as for `revive`; by their ids whatever does not run.

        Gives how many it were, with `ids` which. Raises ValueError if nothing is said.
        """
        selection = Selection(event_id, ids, handler, key, older_than, all)
        conditions = [*selection.where(self.table), self._operations.discardable(selection)]
        done = await self._operations.discard(conditions)
        return len(done) if ids is None else done

    async def replay(self, ids: Sequence[int]) -> _Ids:
        """Store the events of these rows once more, each for the row's handler and under a new `event_id`; gives which."""
        return await self._operations.replay(ids)

    async def reassign(self, handler: str, to: str) -> int:
        """Give all rows of a handler that do not run to another one; gives how many.

        Raises EventError if handlers are declared here and `to` is none of them, or handles other events.
        """
        known = {name for _, name in self._operations.known}
        if known and to not in known:
            raise EventError(f"No handler is called {to!r} here.{suggest(to, known)}")
        others = [event for event in await self._operations.events_of(handler) if (event, to) not in self.known]
        if known and others:
            raise EventError(f"{to!r} does not handle {', '.join(others)}: its rows would wait for ever.")
        return len(await self._operations.reassign(handler, to))

    async def purge(self, older_than: float = 0.0) -> int:
        """Delete the dead rows that were stored more than so many seconds ago; gives how many."""
        return await self.discard(older_than=older_than)

    # -- for the command line ------------------------------------------------------------------------------------------

    @property
    def known(self) -> frozenset[tuple[str, str]]:
        """The (event, name) that are handled in this process, each alias a name."""
        return frozenset(self._operations.known)

    async def chosen(self, selection: Selection, change: Change | None = None, limit: int | None = None) -> _Rows:
        """The rows of a selection by id; with a `change` those to which it could be made now."""
        return await self._operations.rows(self._operations.conditions(selection, change), None, limit)

    async def counted(self, selection: Selection, change: Change | None = None) -> dict[str, int]:
        """How many rows of each handler these are."""
        return await self._operations.by_handler(self._operations.conditions(selection, change))

    # -- for the dispatcher --------------------------------------------------------------------------------------------

    def know(self, handlers: Mapping[tuple[str, str], tuple[str, ...]]) -> None:
        """These (event, name) are handled in this process, by handlers with these names."""
        self._operations.known |= handlers

    async def check_table(self) -> None:
        """Raises EventError if there is no table, or one of an older release."""
        async with self._operations.transaction() as session:
            connection = await session.connection()

            def columns_of(sync: Any) -> set[str] | None:
                inspector = inspect_database(sync)
                if not inspector.has_table(self.table.name, self.table.schema):
                    return None
                return {column["name"] for column in inspector.get_columns(self.table.name, self.table.schema)}

            there = await connection.run_sync(columns_of)
        if there is None:
            raise EventError(
                f"There is no table {self.table.fullname!r} in the database: create it with "
                f"`metadata.create_all`, or make a migration, `alembic revision --autogenerate`."
            )
        missing = [column.name for column in self.table.columns if column.name not in there]
        if missing:
            raise EventError(
                f"The table {self.table.fullname!r} has no column {', '.join(missing)}: it is of an older release; make a "
                f"migration, `alembic revision --autogenerate`."
            )

    def delay(self, attempt: int) -> float:
        """How long to wait after an attempt that failed: a random time, so that those of one outage are no burst."""
        longest = min(self._backoff * 2.0 ** min(attempt - 1, 1000), self._max_backoff)
        return random.uniform(0.0, longest)  # noqa: S311 (no secret)

    async def tell_dead(self, event: StoredEvent, attempts: int, error: str | None) -> None:
        """Call `on_dead`. Raises nothing."""
        if self._on_dead is None:
            return
        dead = DeadEvent(event.event_id, event.name, event.handler, event.key, attempts, error, event.payload)
        try:
            told = self._on_dead(dead)
            if inspect.isawaitable(told):
                await told
        except Exception:
            log.exception("on_dead failed for the event %s of the handler %s", event.event_id, event.handler)
