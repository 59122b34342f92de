"""Events, published and handled: in this process, through the outbox, and over RabbitMQ; then the outbox and its peers.

The handler does nothing. The outbox is an SQLite file, and PostgreSQL where one answers; a publisher's transaction holds
ten events. Over RabbitMQ, where one answers, the worker is this process, too: more would be quicker. The peers are
compared in processes of their own: see `event_systems` and `event_peers`.
"""

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import anyio
from pydantic import BaseModel
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from taskiq.api import run_receiver_task
from taskiq_aio_pika import AioPikaBroker, Queue

from benchmarks.bench_http import new_event_loop
from benchmarks.event_peers import Sizes, compared
from benchmarks.event_systems import Where, new_name, schema
from benchmarks.measure import WALL, Effort, Work, alternate
from benchmarks.table import Row
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, Outbox

__all__ = ["rows"]

TITLE = "events"
FULL = Sizes(
    rounds=5, seconds=0.5, latencies=50, plain=2500, session=500, one_key=2000, slow=300,
    waiting=(1, 100, 100_000), behind=10_000, looks=20,
)  # fmt: skip
QUICK = Sizes(
    rounds=1, seconds=0.1, latencies=20, plain=800, session=200, one_key=200, slow=60,
    waiting=(1, 100, 10_000), behind=1000, looks=5,
)  # fmt: skip
BATCH = 10

POSTGRESQL = os.environ.get("INTERCEPTORS_TEST_POSTGRESQL_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/test")
RABBITMQ = os.environ.get("INTERCEPTORS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")

Publish = Callable[[int], Coroutine[Any, Any, None]]


class Happened(BaseModel):
    number: int


def rows(sizes: Sizes) -> list[Row]:
    """In one process, then against peers where there is a PostgreSQL; what is missing is named."""
    where = Where(POSTGRESQL, RABBITMQ, new_name())
    without = {} if _answers(RABBITMQ) else {"taskiq, RabbitMQ": "no RabbitMQ answers"}
    if not _answers(POSTGRESQL):
        return [*_in_one_process(None, sizes), Row("not measured: the peers, no PostgreSQL answers", None)]
    return [*_in_one_process(where, sizes, without), *asyncio.run(compared(where, sizes, without=without))]


def _in_one_process(where: Where | None, effort: Effort, without: Collection[str] = ()) -> list[Row]:
    """Seconds per event; the ratios are of this time, to that in process."""
    opened = AsyncExitStack()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=new_event_loop) as runner:
        sqlite = create_async_engine(f"sqlite+aiosqlite:///{folder}/events.db")
        makers: dict[str, Callable[[], Coroutine[Any, Any, Publish]]] = {
            "in process": lambda: _in_process(opened),
            "outbox, SQLite": lambda: _stored(opened, sqlite),
        }
        if where is not None:
            runner.run(opened.enter_async_context(schema(where)))
            engine = create_async_engine(where.postgresql, connect_args={"server_settings": where.settings})
            makers["outbox, PostgreSQL"] = lambda: _stored(opened, engine)
            if not without:
                makers["outbox, PostgreSQL, RabbitMQ"] = lambda: _stored(opened, engine, where)
        try:
            publishers = {name: runner.run(make()) for name, make in makers.items()}
            works: dict[str, Work] = {name: _work(runner, publish) for name, publish in publishers.items()}
            figures = alternate(works, effort, WALL)
        finally:
            runner.run(opened.aclose())
    return [Row(name, figure, "s", figure / figures["in process"]) for name, figure in figures.items()]


def _work(runner: asyncio.Runner, publish: Publish) -> Work:
    return lambda n: runner.run(publish(n))


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


async def _in_process(opened: AsyncExitStack) -> Publish:
    events = EventDispatcher(InterceptorRegistry())
    counter = _listen(events)
    await opened.enter_async_context(events)

    async def publish(n: int) -> None:
        counter.expect(n)
        for number in range(n):
            await events.publish(Happened(number=number))
        await counter.done.wait()

    return publish


async def _stored(opened: AsyncExitStack, engine: AsyncEngine, where: Where | None = None) -> Publish:
    """Over the broker of a place, if one is given."""
    opened.push_async_callback(engine.dispose)
    sessions = async_sessionmaker(engine)
    metadata = MetaData()
    outbox = Outbox(sessions, metadata=metadata, table=f"bench_outbox_{'broker' if where else 'relay'}")
    broker = None if where is None else _broker(where)
    events = EventDispatcher(InterceptorRegistry(), outbox=outbox, broker=broker)
    counter = _listen(events)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await opened.enter_async_context(events)
    if broker is not None:
        working = asyncio.create_task(run_receiver_task(broker, run_startup=True))  # a worker in this process
        opened.callback(working.cancel)

    async def publish(n: int) -> None:
        counter.expect(n)
        for first in range(0, n, BATCH):
            async with sessions.begin() as session:
                for number in range(first, min(n, first + BATCH)):
                    await events.publish(Happened(number=number), session=session)
        await counter.done.wait()

    return publish


def _broker(where: Where) -> AioPikaBroker:
    logging.getLogger("taskiq.receiver").setLevel(logging.ERROR)  # that it is cancelled is no news
    return AioPikaBroker(
        where.rabbitmq, task_queues=[Queue(name=f"{where.name}_relay", arguments={"x-expires": 60_000})]
    )
