"""The outbox's table and every statement on it. Each method but `add` and `settle` is one short transaction.

`attempts` counts the starts, and is the token of the one that runs: whoever finds another number there has been
overtaken. `due` is when a row may be taken: again, for one that is claimed and whose lease has run out.
"""

import math
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    CursorResult,
    Double,
    Engine,
    Executable,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    exists,
    false,
    func,
    insert,
    inspect,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import StaticPool

from interceptors.events.clock import now
from interceptors.events.errors import EventError
from interceptors.events.own_session import Sessions
from interceptors.events.undocumented import sqlstate_of

__all__ = ["MARK", "Known", "LostRaceError", "NewRow", "Store", "StoredEvent", "Taken", "is_lost_race", "outbox_table"]


Known: TypeAlias = Mapping[tuple[str, str], int]
"""The handlers of this process, (event, handler), and how often each may start."""


class LostRaceError(Exception):
    """Somebody else was quicker; look again later."""


@dataclass(frozen=True, slots=True)
class NewRow:
    """An event for one handler, to be stored."""

    event_id: str
    name: str
    handler: str
    key: str | None
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row that is ours for a lease."""

    id: int
    event_id: str
    name: str
    handler: str
    key: str | None
    payload: dict[str, Any]
    attempt: int
    """The number of this start, or of the start that is asked for."""
    error: str | None
    """What was wrong at the last attempt."""


class Taken(NamedTuple):
    """What was due: rows that are ours now, and rows that may not start any more and are dead now."""

    rows: list[StoredEvent]
    died: list[StoredEvent]


MARK = "interceptors.outbox"
"""In the `info` of a table that an outbox made."""

_LOCK_TIMEOUT, _LOCK_NOT_AVAILABLE = "lock_timeout", "55P03"
_KILLED = "The process ended, or lost its lease, during the last attempt."


def outbox_table(metadata: MetaData, name: str) -> Table:
    """The table, for `create_all` and Alembic."""
    return Table(
        name,
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("event_id", String(32), nullable=False),
        Column("name", String(255), nullable=False),
        Column("handler", String(255), nullable=False),
        Column("key", String(255)),
        Column("payload", JSON, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("due", Double, nullable=False),
        Column("claimed", Boolean, nullable=False),
        Column("dead", Boolean, nullable=False),
        Column("error", Text),
        Column("created", Double, nullable=False),
        Index(f"ix_{name}_due", "dead", "due"),
        Index(f"ix_{name}_key", "key", "id"),
        Index(f"ix_{name}_event", "event_id"),
        info={MARK: True},
        sqlite_autoincrement=True,  # an id that comes again would make somebody else's row out of an old one
    )


class Store:
    """The table, reached through sessions of its own."""

    def __init__(self, sessions: Sessions, table: Table) -> None:
        self.sessions = sessions
        self.table = table

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def lock_key(self, session: AsyncSession, key: str, seconds: float) -> None:
        """Wait for others who have published a key and not ended, so that ids are in the order of the commits.

        Raises EventError if that takes too long; then the transaction is lost. This is PostgreSQL's: SQLite has one writer anyway,
        and on MariaDB and MySQL the publisher has to see to it, as one does that changes the row of the key.
        """
        if self._dialect(session) != "postgresql":
            return
        lock = func.hashtextextended(f"{self.table.fullname}:{key}", 0)
        if await session.scalar(select(func.pg_try_advisory_xact_lock(lock))):
            return
        before = await session.scalar(select(func.current_setting(_LOCK_TIMEOUT)))
        await session.execute(select(func.set_config(_LOCK_TIMEOUT, f"{math.ceil(seconds * 1000)}ms", True)))
        try:
            await session.execute(select(func.pg_advisory_xact_lock(lock)))
        except DBAPIError as error:
            if sqlstate_of(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise EventError(
                f"The key {key!r} has been published in a transaction that has not ended for {seconds:g} seconds: publish "
                f"with its session, or end it first."
            ) from error
        await session.execute(select(func.set_config(_LOCK_TIMEOUT, before, True)))

    def has_one_connection(self) -> bool:
        """Do all sessions share one connection, so that each commits what the others do?"""
        bind = self.sessions().get_bind(clause=self.table)
        return isinstance(bind, Engine) and isinstance(bind.pool, StaticPool)

    async def add(self, session: AsyncSession, rows: Sequence[NewRow]) -> None:
        """Store an event in the publisher's transaction."""
        await session.execute(
            insert(self.table).values(
                [
                    {
                        "event_id": row.event_id,
                        "name": row.name,
                        "handler": row.handler,
                        "key": row.key,
                        "payload": row.payload,
                        "attempts": 0,
                        "due": now(),
                        "claimed": False,
                        "dead": False,
                        "created": now(),
                    }
                    for row in rows
                ]
            )
        )

    # -- taking --------------------------------------------------------------------------------------------------------

    async def take(self, known: Known, limit: int, lease: float, *, start: bool) -> Taken:
        """Take rows that are due for a lease, oldest first. `start` counts an attempt.

        A row that was started as often as it may is dead from now on. Raises LostRaceError.
        """
        async with self._transaction() as session:
            await self._lock_writes(session)
            columns = self.table.c
            found = await session.execute(
                self._columns()
                .where(
                    columns.dead == false(),
                    columns.due <= now(),
                    tuple_(columns.name, columns.handler).in_(list(known)),
                    self._is_turn(),
                )
                .order_by(columns.due, columns.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            events = [StoredEvent(**row) for row in found.mappings()]
            rows = [event for event in events if event.attempt <= known[event.name, event.handler]]
            died = [event for event in events if event.attempt > known[event.name, event.handler]]
            if rows:
                await self._update(session, rows, **self._lease(lease, start=start))
            if died:
                error = func.coalesce(columns.error, _KILLED)
                await self._update(session, died, dead=True, claimed=False, error=error)
            return Taken(rows, died)

    async def start(self, id: int, attempt: int, known: Known, lease: float) -> StoredEvent | None:
        """Start one attempt of one row, if it is the next one and the row's turn; else None."""
        async with self._transaction() as session:
            await self._lock_writes(session)
            columns = self.table.c
            found = await session.execute(
                self._columns()
                .where(
                    columns.id == id,
                    columns.attempts == attempt - 1,
                    columns.dead == false(),
                    tuple_(columns.name, columns.handler).in_(list(known)),
                    self._is_turn(),
                )
                .with_for_update(skip_locked=True)
            )
            row = found.mappings().one_or_none()
            if row is None:
                return None
            event = StoredEvent(**row)
            await self._update(session, [event], **self._lease(lease, start=True))
            return event

    # -- while it is ours ----------------------------------------------------------------------------------------------

    async def renew(self, started: Iterable[tuple[int, int]], lease: float) -> set[int]:
        """Prolong the leases of (id, attempt); gives the ids that are not ours any more."""
        lost: set[int] = set()
        async with self._transaction() as session:
            for id, attempt in started:
                done = await self._execute(session, self._change(id, attempt, due=now() + lease))
                if not done:
                    lost.add(id)
        return lost

    async def settle(self, session: AsyncSession, id: int, attempt: int) -> bool:
        """Delete a row in the handler's own transaction. False if it is not ours any more: then roll back."""
        columns = self.table.c
        return bool(
            await self._execute(
                session,
                delete(self.table).where(columns.id == id, columns.attempts == attempt, columns.dead == false()),
            )
        )

    async def put_back(self, id: int, attempt: int, delay: float, **values: object) -> bool:
        """Give a row back: it is due again after `delay`, or dead. False if it was not ours any more."""
        async with self._transaction() as session:
            statement = self._change(id, attempt, due=now() + delay, claimed=False, **values)
            return bool(await self._execute(session, statement))

    # -- looking -------------------------------------------------------------------------------------------------------

    async def exists(self) -> bool:
        """Is the table there?"""
        async with self._transaction() as session:
            connection = await session.connection()
            return bool(
                await connection.run_sync(lambda sync: inspect(sync).has_table(self.table.name, self.table.schema))
            )

    async def pending(self) -> int:
        """How many rows are not dead."""
        async with self._transaction() as session:
            return await session.scalar(select(func.count()).where(self.table.c.dead == false())) or 0

    async def dead(self) -> list[StoredEvent]:
        """The rows that are dead; `attempt` is the last that was made."""
        async with self._transaction() as session:
            found = await session.execute(self._columns(0).where(self.table.c.dead == true()).order_by(self.table.c.id))
            return [StoredEvent(**row) for row in found.mappings()]

    async def revive(self, event_id: str) -> int:
        """Have the dead rows of an event started again, attempts from 1; gives how many."""
        columns = self.table.c
        async with self._transaction() as session:
            return await self._execute(
                session,
                update(self.table)
                .where(columns.event_id == event_id, columns.dead == true())
                .values(dead=False, claimed=False, attempts=0, due=now()),
            )

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _dialect(self, session: AsyncSession) -> str:
        return session.get_bind(clause=self.table).dialect.name

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncSession]:
        async with self.sessions() as session:
            bind = session.get_bind(clause=self.table)
            if isinstance(bind, Engine) and bind.dialect.name != "sqlite":
                # At a higher level waiting for each other would end in errors, and MariaDB would lock gaps.
                options = {"isolation_level": "READ COMMITTED"}
                _ = await session.connection(bind_arguments={"clause": self.table}, execution_options=options)
            yield session
            await session.commit()

    async def _lock_writes(self, session: AsyncSession) -> None:
        """SQLite: a transaction that reads first may not wait for the right to write, one that writes first may."""
        if self._dialect(session) == "sqlite":
            await session.execute(update(self.table).where(false()).values(claimed=False))

    def _columns(self, ahead: int = 1) -> Any:
        columns = self.table.c
        return select(
            columns.id,
            columns.event_id,
            columns.name,
            columns.handler,
            columns.key,
            columns.payload,
            (columns.attempts + ahead).label("attempt"),
            columns.error,
        )

    def _is_turn(self) -> ColumnElement[bool]:
        """Nothing of the same key stands in front, and nothing of it runs."""
        columns, others = self.table.c, self.table.alias("others").c
        in_the_way = exists().where(
            others.key == columns.key,
            others.dead == false(),
            or_(
                others.id < columns.id,
                and_(others.id != columns.id, others.claimed == true(), others.due > now()),
            ),
        )
        return or_(columns.key.is_(None), ~in_the_way)

    def _lease(self, lease: float, *, start: bool) -> dict[str, object]:
        attempts = {"attempts": self.table.c.attempts + 1} if start else {}
        return {"claimed": True, "due": now() + lease, **attempts}

    async def _update(self, session: AsyncSession, events: list[StoredEvent], **values: object) -> None:
        columns = self.table.c
        ours = tuple_(columns.id, columns.attempts).in_([(event.id, event.attempt - 1) for event in events])
        ids = columns.id.in_([event.id for event in events])  # the part that has an index everywhere
        if await self._execute(session, update(self.table).where(ids, ours).values(**values)) != len(events):
            raise LostRaceError

    def _change(self, id: int, attempt: int, **values: object) -> Executable:
        columns = self.table.c
        return (
            update(self.table)
            .where(columns.id == id, columns.attempts == attempt, columns.dead == false())
            .values(**values)
        )

    async def _execute(self, session: AsyncSession, statement: Executable) -> int:
        return cast("CursorResult[Any]", await session.execute(statement)).rowcount


_LOST_RACES = {"40001", "40P01", "55P03", 1020, 1205, 1213}
"""Serialization failure, deadlock, lock not available: PostgreSQL's names, then MariaDB's and MySQL's numbers."""


def is_lost_race(error: BaseException) -> bool:
    """Is it an error of two transactions that met, and not of the database?"""
    if not isinstance(error, DBAPIError):
        return isinstance(error, LostRaceError)
    origin = error.orig
    codes = {sqlstate_of(error), *getattr(origin, "args", ())[:1]}
    return bool(codes & _LOST_RACES) or "database is locked" in str(origin)
