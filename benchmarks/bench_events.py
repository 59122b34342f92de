"""Events, published and handled: in this process, through the outbox, and over RabbitMQ.

The handler does nothing. The outbox is an SQLite file, and PostgreSQL where one answers; a publisher's transaction holds
ten events. Over RabbitMQ, where one answers, the worker is this process, too: more would be quicker.
"""

import asyncio
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from pydantic import BaseModel
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from taskiq.api import run_receiver_task
from taskiq_aio_pika import AioPikaBroker, Queue

from benchmarks.bench_http import new_event_loop
from benchmarks.measure import WALL, Effort, Work, alternate
from benchmarks.table import Row
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, Outbox

__all__ = ["rows"]

TITLE = "events"
FULL, QUICK = Effort(7, 0.5), Effort(3, 0.1)
BATCH = 10

POSTGRESQL = os.environ.get("INTERCEPTORS_TEST_POSTGRESQL_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/test")
RABBITMQ = os.environ.get("INTERCEPTORS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")

Publish = Callable[[int], Awaitable[None]]


class Happened(BaseModel):
    number: int


def rows(effort: Effort) -> list[Row]:
    """Seconds per event; the ratios are of this time, to that in process."""
    loop = new_event_loop()
    makers: dict[str, Callable[[], Awaitable[Publish]]] = {
        "in process": _in_process,
        "outbox, SQLite": lambda: _stored("sqlite+aiosqlite:///" + str(Path(tempfile.mkdtemp()) / "events.db")),
    }
    if _answers(POSTGRESQL):
        makers["outbox, PostgreSQL"] = lambda: _stored(POSTGRESQL)
        if _answers(RABBITMQ):
            makers["outbox, PostgreSQL, RabbitMQ"] = lambda: _stored(POSTGRESQL, RABBITMQ)
    figures = alternate(
        {name: _work(loop, loop.run_until_complete(make())) for name, make in makers.items()}, effort, WALL
    )
    return [Row(name, figure, "s", figure / figures["in process"]) for name, figure in figures.items()]


def _work(loop: Any, publish: Publish) -> Work:
    return lambda n: loop.run_until_complete(publish(n))


def _answers(url: str) -> bool:
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port), timeout=1).close()
    except OSError:
        return False
    return True


class _Counter:
    """Waits until so many have been handled."""

    def __init__(self) -> None:
        self.left = 0
        self.done = anyio.Event()

    def expect(self, n: int) -> None:
        self.left, self.done = n, anyio.Event()

    def one(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


def _listen(events: EventDispatcher) -> _Counter:
    counter = _Counter()

    @events.on(Happened)
    async def handle(event: Happened) -> None:
        counter.one()

    return counter


async def _in_process() -> Publish:
    events = EventDispatcher(InterceptorRegistry())
    counter = _listen(events)
    await events.__aenter__()  # for as long as the process lives

    async def publish(n: int) -> None:
        counter.expect(n)
        for number in range(n):
            await events.publish(Happened(number=number))
        await counter.done.wait()

    return publish


async def _stored(url: str, broker_url: str | None = None) -> Publish:
    engine = create_async_engine(url)
    sessions = async_sessionmaker(engine)
    metadata = MetaData()
    table = f"bench_outbox_{'broker' if broker_url else 'relay'}"
    outbox = Outbox(sessions, metadata=metadata, table=table)
    broker = None if broker_url is None else _broker(broker_url)
    events = EventDispatcher(InterceptorRegistry(), outbox=outbox, broker=broker)
    counter = _listen(events)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await events.__aenter__()
    if broker is not None:
        await _work_here(broker)

    async def publish(n: int) -> None:
        counter.expect(n)
        for first in range(0, n, BATCH):
            async with sessions.begin() as session:
                for number in range(first, min(n, first + BATCH)):
                    await events.publish(Happened(number=number), session=session)
        await counter.done.wait()

    return publish


def _broker(url: str) -> Any:
    return AioPikaBroker(url, task_queues=[Queue(name="interceptors_bench")])


async def _work_here(broker: Any) -> None:
    """A worker in this process, for as long as it lives."""
    _TASKS.append(asyncio.create_task(run_receiver_task(broker, run_startup=True)))


_TASKS: list[Any] = []
