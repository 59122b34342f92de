"""What a publisher does in its own transaction: it stores an event, and tells relays of the commit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2s

from sqlalchemy import Table, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from interceptors.events.errors import EventError
from interceptors.events.sql import now
from interceptors.events.table import Claim
from interceptors.events.undocumented import sqlstate_of

__all__ = ["NewRow", "add_rows", "channel_of", "lock_key"]

_LOCK_TIMEOUT, _LOCK_NOT_AVAILABLE = "lock_timeout", "55P03"


@dataclass(frozen=True, slots=True)
class NewRow:
    """An event for one handler, to be stored."""

    event_id: str
    name: str
    handler: str
    key: str | None
    payload: Mapping[str, object]


def channel_of(table: Table) -> str:
    """Where PostgreSQL tells relays that something was stored."""
    return f"interceptors_{blake2s(table.fullname.encode(), digest_size=8).hexdigest()}"


async def add_rows(session: AsyncSession, table: Table, rows: Sequence[NewRow], delay: float) -> None:
    """Store an event for its handlers; it is due `delay` seconds from now."""
    due = now() + delay if delay else now()
    statement = insert(table).values(
        [
            {
                "event_id": row.event_id,
                "name": row.name,
                "handler": row.handler,
                "key": row.key,
                "payload": row.payload,
                "created": now(),
                "due": due,
                "claim": Claim.FREE,
                "token": 0,
                "attempts": 0,
                "spared": 0,
                "dead": False,
            }
            for row in rows
        ]
    )
    if _is_postgresql(session, table):  # with the same round trip; relays hear of it at the commit, if there is one
        statement = statement.returning(func.pg_notify(channel_of(table), ""))
    await session.execute(statement)


async def lock_key(session: AsyncSession, table: Table, key: str, seconds: float) -> None:
    """Wait for others who have published a key and not ended, so that ids are in the order of the commits.

    Raises EventError if that takes too long; then the transaction is lost. This is PostgreSQL's: SQLite has one writer
    anyway, and on MariaDB and MySQL the publisher has to see to it, as one does that changes the row of the key.
    """
    if not _is_postgresql(session, table):
        return
    lock = func.hashtextextended(f"{table.fullname}:{key}", 0)
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


def _is_postgresql(session: AsyncSession, table: Table) -> bool:
    return session.get_bind(clause=table).dialect.name == "postgresql"
