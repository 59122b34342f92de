"""taskiq: a message is sent when the transaction is committed; if the process dies between the two it is lost."""

import logging
import time

from taskiq.api import run_receiver_task
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue

from benchmarks.event_systems import AT_ONCE, Handled, Kind, Where
from benchmarks.event_systems.postgresql import OnPostgresql

__all__ = ["SYSTEM"]


class Taskiq:
    name = "taskiq, RabbitMQ"
    uvloop = True
    stores_before = False

    def __init__(self, where: Where) -> None:
        self._postgresql = OnPostgresql(where)  # for its connections
        self._names = where.name, f"{where.name}_dead"
        queue, dead = (Queue(name=name) for name in self._names)
        self._broker = AioPikaBroker(
            where.rabbitmq, qos=AT_ONCE, exchange=Exchange(name=where.name), task_queues=[queue], dead_letter_queue=dead
        )

        async def plain(number: int) -> None:
            self._postgresql.handled(number)

        async def session(number: int) -> None:
            await self._postgresql.write(number)

        self._tasks = {
            "plain": self._broker.register_task(plain, "plain"),
            "session": self._broker.register_task(session, "session"),
        }

    async def open(self) -> None:
        self._publisher = await self._postgresql.connect()
        await self._broker.startup()

    async def close(self) -> None:
        channel = self._broker.write_channel
        assert channel is not None
        for name in self._names:
            await channel.queue_delete(name)
        await channel.exchange_delete(self._names[0])
        await self._broker.shutdown()
        await self._postgresql.close()

    async def publish(self, number: int, kind: Kind = "plain", *, delay: float = 0.0) -> int:
        async with self._publisher.transaction():
            await self._publisher.execute("INSERT INTO orders VALUES ($1)", number)
            committed = time.monotonic_ns()
        await self._tasks[kind].kiq(number)
        return committed

    async def store(self, count: int, kind: Kind) -> int:
        for _ in range(count):
            await self._tasks[kind].kiq(0)
        return time.monotonic_ns()

    async def is_empty(self) -> bool:
        return True

    async def rest(self) -> None:
        await self._postgresql.rest()

    async def work(self, kind: Kind, handled: Handled) -> None:
        self._postgresql.handled = handled
        self._broker.is_worker_process = True
        logging.getLogger("taskiq.receiver").setLevel(logging.ERROR)  # that it is cancelled is no news
        try:
            await run_receiver_task(self._broker, max_async_tasks=AT_ONCE, run_startup=True)
        finally:
            await self._broker.shutdown()


SYSTEM = Taskiq
