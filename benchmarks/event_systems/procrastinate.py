"""procrastinate: a job at a time is fetched. Those that are done are deleted, as ours are; by default they stay."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import procrastinate
import psycopg

from benchmarks.event_systems import AT_ONCE, Handled, Kind, Where
from benchmarks.event_systems.postgresql import EVER, OnPostgresql

__all__ = ["SYSTEM"]


class Procrastinate(OnPostgresql):
    name = "procrastinate"
    uvloop = False
    table = "procrastinate_jobs"
    due: ClassVar = {"scheduled_at": "NULL"}
    waiting: ClassVar = {"scheduled_at": f"scheduled_at + random() * interval '{EVER} seconds'"}
    stuck: ClassVar = due
    told = "procrastinate_any_queue_v1", '{"type": "job_inserted", "job_id": 0}'

    def __init__(self, where: Where) -> None:
        super().__init__(where)
        self._options: dict[str, Any] = {"options": f"-csearch_path={where.name}"}
        connector = procrastinate.PsycopgConnector(
            conninfo=where.dsn, kwargs=self._options, min_size=1, max_size=AT_ONCE
        )
        self._app = procrastinate.App(connector=connector)

        async def plain(number: int) -> None:
            self.handled(number)

        self._tasks = {
            "plain": self._app.task(name="plain")(plain),
            "session": self._app.task(name="session")(self.write),
        }

    async def open(self) -> None:
        await super().open()
        await self.opened.enter_async_context(self._app.open_async())
        await self._app.schema_manager.apply_schema_async()
        self._publisher = await psycopg.AsyncConnection.connect(self.where.dsn, **self._options)
        self.opened.push_async_callback(self._publisher.close)

    async def publish(self, number: int, kind: Kind = "plain", *, delay: float = 0.0) -> int:
        task = self._tasks["session" if kind == "session" else "plain"]
        await self._publisher.execute("INSERT INTO orders VALUES (%s)", [number])
        await task.configure(
            connection=self._publisher,
            lock="key" if kind == "key" else None,
            schedule_in={"seconds": int(delay)} if delay else None,
        ).defer_async(number=number)
        committed = time.monotonic_ns()
        await self._publisher.commit()
        return committed

    async def work(self, kind: Kind, handled: Handled) -> None:
        self.handled = handled
        async with self._app.open_async():
            await self._app.run_worker_async(
                concurrency=1 if kind == "key" else AT_ONCE,  # else it looks for the next of a lock every five seconds
                delete_jobs="successful",
                install_signal_handlers=False,
            )

    async def look(self) -> Callable[[], Awaitable[object]]:
        jobs = self._app.job_manager
        worker = await jobs.register_worker()

        async def look() -> None:
            assert await jobs.fetch_job(queues=None, worker_id=worker) is None

        return look


SYSTEM = Procrastinate
