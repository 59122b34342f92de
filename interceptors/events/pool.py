"""What is known of the engine behind a session factory: how many connections it gives, and which database it is."""

import math
from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool, StaticPool

from interceptors.events.errors import EventError
from interceptors.events.own_session import Sessions
from interceptors.events.undocumented import overflow_of

__all__ = ["check_publisher", "connections_of", "engine_of", "has_one_connection"]


def engine_of(sessions: Sessions, table: Table) -> Engine | None:
    """The engine by which sessions reach a table; None if they are bound to one connection of somebody else's."""
    bind = sessions().get_bind(clause=table)
    return bind if isinstance(bind, Engine) else None


def has_one_connection(engine: Engine | None) -> bool:
    """Do all sessions share one connection, so that each commits what the others do?"""
    return engine is not None and isinstance(engine.pool, StaticPool)


def connections_of(engine: Engine | None) -> float:
    """How many connections an engine gives at once."""
    pool = None if engine is None else engine.pool
    if not isinstance(pool, QueuePool):
        return math.inf
    overflow = overflow_of(pool)
    return math.inf if overflow < 0 or pool.size() == 0 else pool.size() + overflow


def check_publisher(session: AsyncSession, sessions: Sessions, table: Table) -> None:
    """Raises EventError for a session whose transaction would not hold the outbox's rows."""
    given: Any = session
    if not isinstance(given, AsyncSession):
        raise EventError(
            f"publish(session=...) takes an AsyncSession, not a {type(given).__name__}: storing an event is awaited."
        )
    theirs, ours = session.get_bind(clause=table), sessions().get_bind(clause=table)
    if theirs.engine is not ours.engine and _place(theirs.engine) != _place(ours.engine):
        raise EventError(
            f"The session is of {theirs.engine.url!r}, the outbox of {ours.engine.url!r}: one could commit without the "
            f"other. Publish with a session of the outbox's database, or without a session."
        )


def _place(engine: Engine) -> tuple[object, ...]:
    url = engine.url
    apart = id(engine) if has_one_connection(engine) else None  # each is a database in memory of its own
    return engine.dialect.name, url.host, url.port, url.database, apart
