"""pgqueuer: jobs are fetched and deleted in batches. It has no keys: of an entry point so many run at once, in any order."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

import asyncpg
import pgqueuer
from pgqueuer.domain.settings import db_settings

from benchmarks.event_systems import AT_ONCE, Handled, Kind, Where
from benchmarks.event_systems.postgresql import EVER, OnPostgresql

__all__ = ["SYSTEM"]


class PgQueuer(OnPostgresql):
    name = "pgqueuer"
    uvloop = True
    table = "pgqueuer"
    due: ClassVar = {"execute_after": "now()"}
    waiting: ClassVar = {"execute_after": f"execute_after + random() * interval '{EVER} seconds'"}

    def __init__(self, where: Where) -> None:
        super().__init__(where)
        db_settings().channel = where.name  # type: ignore[assignment]  # the database's, not a schema's
        event = {"channel": where.name, "operation": "insert", "table": self.table, "type": "table_changed_event"}
        self.told = where.name, json.dumps({**event, "sent_at": "2000-01-01T00:00:00Z"})

    async def open(self) -> None:
        await super().open()
        publisher = await self.connect()
        self._publisher = publisher
        self._queries = pgqueuer.Queries(pgqueuer.AsyncpgDriver(publisher))
        await self._queries.install()

    async def publish(self, number: int, kind: Kind = "plain", *, delay: float = 0.0) -> int:
        name = "session" if kind == "session" else "plain"
        transaction = self._publisher.transaction()
        await transaction.start()
        await self._publisher.execute("INSERT INTO orders VALUES ($1)", number)
        await self._queries.enqueue(name, b"%d" % number, execute_after=timedelta(seconds=delay) if delay else None)
        committed = time.monotonic_ns()
        await transaction.commit()
        return committed

    def _manager(self, connection: Any, kind: Kind) -> Any:
        manager = pgqueuer.PgQueuer.from_asyncpg_pool(connection)

        async def plain(job: Any) -> None:
            self.handled(int(job.payload))

        async def session(job: Any) -> None:
            await self.write(int(job.payload))

        manager.entrypoint("plain", concurrency_limit=int(kind == "key"))(plain)
        manager.entrypoint("session")(session)
        return manager

    async def work(self, kind: Kind, handled: Handled) -> None:
        self.handled = handled
        async with asyncpg.create_pool(
            self.where.dsn, min_size=1, max_size=5, server_settings=self.where.settings
        ) as pool:
            manager = self._manager(pool, kind)
            with suppress(asyncio.CancelledError):
                running = asyncio.create_task(manager.run(batch_size=AT_ONCE))
                await asyncio.shield(running)
            manager.shutdown.set()
            await running

    async def look(self) -> Callable[[], Awaitable[object]]:
        pool = await self.opened.enter_async_context(
            asyncpg.create_pool(self.where.dsn, min_size=1, max_size=5, server_settings=self.where.settings)
        )
        manager = self._manager(pool, "plain").qm

        async def look() -> None:
            async for job in manager.fetch_jobs(AT_ONCE, None, timedelta(seconds=30)):
                raise AssertionError(job)
            await manager._effective_dequeue_timeout(timedelta(seconds=30))

        return look


SYSTEM = PgQueuer
