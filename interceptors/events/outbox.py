"""The transactional outbox: a table in which events wait, in the very transaction that they tell of."""

from dataclasses import dataclass
from typing import Any

from interceptors.errors import MissingExtraError
from interceptors.events.errors import EventError
from interceptors.events.own_session import Sessions

try:
    from sqlalchemy import MetaData, Table

    from interceptors.events.store import MARK, Store, outbox_table
except ImportError as error:
    raise MissingExtraError("interceptors.events.Outbox", "sqlalchemy") from error

__all__ = ["DeadEvent", "Outbox"]


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that one handler failed to handle as often as it might: kept until it is revived or deleted."""

    event_id: str
    name: str
    handler: str
    key: str | None
    attempts: int
    error: str | None
    payload: dict[str, Any]


class Outbox:
    """Stores events in a table of your database, on PostgreSQL, MariaDB from 10.6, MySQL from 8 and SQLite.

    `sessions`: an `async_sessionmaker`, by which relays and handlers reach it. `metadata`: gets the table, for
    `create_all` and Alembic. `attempts`: how often a handler may start with an event; `backoff` seconds before the
    second time, doubled each time, up to `max_backoff`. `lease`: after how many seconds an event is started again whose
    process has died; it is renewed while a handler runs. `poll`: how often a relay looks for what others have stored.

    Each delivery that uses a session takes a connection from the pool, and so does the renewal: make the pool as large
    as the dispatcher's `max_running`, or that as small. On SQLite a handler should not write and then wait: nobody else
    can write meanwhile, the renewal neither.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        metadata: MetaData,
        table: str = "interceptors_outbox",
        attempts: int = 8,
        backoff: float = 1.0,
        max_backoff: float = 300.0,
        lease: float = 30.0,
        poll: float = 1.0,
    ) -> None:
        if attempts < 1 or not backoff >= 0 or not max_backoff >= 0 or not lease > 0 or not poll > 0:
            raise ValueError(
                f"{attempts=}, {backoff=}, {max_backoff=}, {lease=}, {poll=}: at least one attempt, no negative "
                f"backoff, and lease and poll above 0 seconds"
            )
        self.sessions = sessions
        self.table = _table_of(metadata, table)
        self.attempts = attempts
        self.lease = lease
        self.poll = poll
        self.store = Store(sessions, self.table)
        """The statements on the table, for the dispatcher."""
        self._backoff = backoff
        self._max_backoff = max_backoff

    async def pending(self) -> int:
        """How many deliveries wait or run; the dead ones do not count."""
        return await self.store.pending()

    async def dead(self) -> list[DeadEvent]:
        """What was tried as often as allowed, in the order of publishing."""
        return [
            DeadEvent(row.event_id, row.name, row.handler, row.key, row.attempt, row.error, row.payload)
            for row in await self.store.dead()
        ]

    async def revive(self, event_id: str) -> int:
        """Have the dead deliveries of an event tried again, as often as if they were new; gives how many there were."""
        return await self.store.revive(event_id)

    def delay(self, attempt: int) -> float:
        """How long to wait after an attempt that failed."""
        return min(self._backoff * 2.0 ** min(attempt - 1, 1000), self._max_backoff)


def _table_of(metadata: MetaData, name: str) -> Table:
    """The table, made now or by an outbox before: an application that is built again has the same metadata."""
    found = metadata.tables.get(name if metadata.schema is None else f"{metadata.schema}.{name}")
    if found is None:
        return outbox_table(metadata, name)
    if not found.info.get(MARK):
        raise EventError(f"The metadata has a table {found.fullname!r} of its own; give the outbox another: `table=`.")
    return found
