"""Systems that store events in a table of PostgreSQL."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import asyncpg
from sqlalchemy import Column, Integer, MetaData, Table, insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benchmarks.event_systems import Handled, Kind, Where

__all__ = ["EFFECTS", "EVER", "METADATA", "ORDERS", "OnPostgresql"]

EVER = 10.0**6
"""Seconds after which what waits is due."""

METADATA = MetaData()
ORDERS = Table("orders", METADATA, Column("number", Integer))
EFFECTS = Table("effects", METADATA, Column("number", Integer))


class OnPostgresql:
    """What those have in common that store events in a table."""

    table: str
    due: ClassVar[Mapping[str, str]]
    """Columns of a row that is due now, in SQL."""
    waiting: ClassVar[Mapping[str, str]]
    """The same of one that is not due for days."""
    stuck: ClassVar[Mapping[str, str] | None] = None
    """The same of one that stands behind another one of its key for some time; None if there is no such thing."""
    told: tuple[str, str]
    """The channel by which workers hear of rows, and what they hear."""
    stores_before = True
    publish: Any

    def __init__(self, where: Where) -> None:
        self.where = where
        self.opened = AsyncExitStack()
        pool = {} if where.pool is None else {"pool_size": where.pool, "max_overflow": 0}
        self.engine = create_async_engine(where.postgresql, connect_args={"server_settings": where.settings}, **pool)
        self.sessions = async_sessionmaker(self.engine)
        self.handled: Handled = lambda number: None

    async def connect(self) -> asyncpg.Connection:
        """A connection that finds the tables of this run."""
        connection = await asyncpg.connect(self.where.dsn, server_settings=self.where.settings)
        self.opened.push_async_callback(connection.close)
        return connection

    async def open(self) -> None:
        """Connect."""
        self.connection = await self.connect()
        self.opened.push_async_callback(self.engine.dispose)

    async def close(self) -> None:
        """Disconnect."""
        await self.opened.aclose()

    async def store(self, count: int, kind: Kind) -> int:
        """Store so many events that are due, and tell all workers."""
        return await self.multiply(count, kind, self.due)

    async def multiply(
        self, count: int, kind: Kind, columns: Mapping[str, str], *, behind: bool = False, tells: bool = True
    ) -> int:
        """Have `count` times the same row, in one transaction; gives when it was committed.

        `behind`: behind one that is not due. Their own ways to store are too slow for so many.
        """
        await self.clear()
        await self.publish(0, kind, delay=EVER)
        async with self.connection.transaction():
            found = await self.connection.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() "
                "AND table_name = $1 AND column_name <> 'id'",
                self.table,
            )
            names = [f'"{row["column_name"]}"' for row in found]
            values = [columns.get(name.strip('"'), name) for name in names]
            # Triggers would tell workers of each row.
            await self.connection.execute(
                f"ALTER TABLE {self.table} DISABLE TRIGGER USER;"
                f"INSERT INTO {self.table} ({', '.join(names)}) SELECT {', '.join(values)} "
                f"FROM (SELECT * FROM {self.table} LIMIT 1) AS one, generate_series(1, {count});"
                f"DELETE FROM {self.table} WHERE NOT {behind} AND id = (SELECT min(id) FROM {self.table});"
                f"ALTER TABLE {self.table} ENABLE TRIGGER USER; ANALYZE {self.table}"
            )
            if tells:
                await self.connection.execute("SELECT pg_notify($1, $2)", *self.told)
            committed = time.monotonic_ns()
        return committed

    async def clear(self) -> None:
        """Delete all events."""
        await self.connection.execute(f"TRUNCATE {self.table} CASCADE; TRUNCATE orders; TRUNCATE effects")

    async def is_empty(self) -> bool:
        """Are all rows gone?"""
        found: bool = await self.connection.fetchval(f"SELECT NOT EXISTS (SELECT FROM {self.table})")
        return found

    async def rest(self) -> None:
        """Close the pool."""
        await self.engine.dispose()

    async def write(self, number: int) -> None:
        """What a handler with a session does, where it has to see to the session itself."""
        async with self.sessions.begin() as session:
            await session.execute(insert(EFFECTS).values(number=number))
        self.handled(number)

    async def look(self) -> Callable[[], Awaitable[object]]:
        """Gives one look of a worker's at a table in which nothing is due."""
        raise NotImplementedError
