"""Stored events that a broker carries: the row stays the truth, whatever happens to the messages."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from taskiq import BrokerMessage, InMemoryBroker

from interceptors.events import EventError
from interceptors.events.store import StoredEvent
from tests.integration.connectors.servers import server_url
from tests.integration.events.shop import OrderPaid, Shop, until, until_done
from tests.integration.events.worker import build, make_broker, remove_queues

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


class Memory(InMemoryBroker):
    """Messages reach the task in this process, as often as `copies` says each time."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[BrokerMessage] = []
        self.copies: Any = lambda: 1
        self.failing: Exception | None = None
        self.starts: list[bool] = []

    async def startup(self) -> None:
        self.starts.append(self.failing is None)
        if self.failing is not None:
            raise self.failing
        await super().startup()

    async def kick(self, message: BrokerMessage) -> None:
        if self.failing is not None:
            raise self.failing
        self.sent.append(message)
        for _ in range(self.copies()):
            await super().kick(message)


@pytest.fixture
async def memory() -> AsyncIterator[Memory]:
    broker = Memory()
    yield broker
    await broker.wait_all()


async def test_a_message_names_the_row_and_the_attempt_only(shop: Shop, memory: Memory) -> None:
    """No payload leaves the database; the handler runs as it does without a broker."""
    events = shop.dispatcher(broker=memory)
    seen: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        seen.append(attempt)
        await shop.add_effect(session, event.order_id)

    async with events:
        await events.publish(OrderPaid(order_id=7))
        await until_done(events._outbox)
    (message,) = memory.sent
    assert message.task_name == "interceptors.event"
    assert json.loads(message.message)["args"] == [1, 1]
    assert json.loads(message.message)["kwargs"] == {}
    assert seen == [1]
    assert await shop.all_effects() == [7]
    assert memory.starts == [True]


async def test_lost_doubled_and_late_messages(shop: Shop, memory: Memory) -> None:
    """Whatever is lost is sent again when its lease ends; what comes twice or late starts nothing."""
    dice = random.Random(1)
    events = shop.dispatcher(broker=memory, lease=1.0)
    memory.copies = lambda: dice.choice([0, 1, 2, 3])
    running: set[int] = set()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        assert event.order_id not in running
        running.add(event.order_id)
        try:
            await asyncio.sleep(0.01)
        finally:
            running.discard(event.order_id)
        await shop.add_effect(session, event.order_id)

    async with events:
        for number in range(8):
            await events.publish(OrderPaid(order_id=number), key=f"k{number}" if number % 2 else None)
        await until_done(events._outbox)
    for message in list(memory.sent):
        await InMemoryBroker.kick(memory, message)
    await memory.wait_all()
    assert sorted(await shop.all_effects()) == list(range(8))
    assert await events._outbox.dead() == []


async def test_a_failing_handler_is_sent_again_and_then_dead(shop: Shop, memory: Memory) -> None:
    """With the same waits and the same number of attempts as without a broker."""
    events = shop.dispatcher(broker=memory, attempts=3)
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)
        raise ValueError

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)
    assert attempts == [1, 2, 3]
    assert len(await events._outbox.dead()) == 1


@pytest.mark.parametrize("is_up_at_first", [True, False])
async def test_a_broker_that_is_down_costs_no_attempt(
    shop: Shop, memory: Memory, caplog: pytest.LogCaptureFixture, is_up_at_first: bool
) -> None:
    """It is started up again until it works; one record says that it is down."""
    events = shop.dispatcher(broker=memory, attempts=1, poll=0.02)
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)

    async with events:
        if is_up_at_first:
            await until(lambda: memory.starts)
        memory.failing = ConnectionError("down")
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: memory.starts.count(False) > 3)
        errors = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(errors) == (2 if is_up_at_first else 1)  # sending, then starting up
        memory.failing = None
        await until_done(events._outbox)
    assert attempts == [1]


async def test_a_broker_that_hangs_is_not_waited_for(
    postgres: Shop, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some wait until they are connected again: the lease must not end meanwhile."""
    events = postgres.dispatcher(broker=memory, lease=0.4)
    events.on(OrderPaid, name="h")(nothing)
    hangs = True

    async def kick(message: BrokerMessage) -> None:
        if hangs:
            await asyncio.sleep(60)
        await Memory.kick(memory, message)

    monkeypatch.setattr(memory, "kick", kick)
    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: len(memory.starts) > 1)
        hangs = False
        await until_done(events._outbox)


async def nothing(event: OrderPaid) -> None: ...


async def test_leaving_takes_back_what_is_being_sent(
    postgres: Shop, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due again at once."""
    events = postgres.dispatcher(broker=memory, drain=0.01)
    events.on(OrderPaid, name="h")(nothing)
    sending = asyncio.Event()

    async def kick(message: BrokerMessage) -> None:
        sending.set()
        await asyncio.sleep(60)

    with monkeypatch.context() as patched:
        patched.setattr(memory, "kick", kick)
        async with events:
            await events.publish(OrderPaid(order_id=1))
            await sending.wait()
    (row,) = await postgres.rows(events._outbox)
    assert (row.claim, row.attempts) == (0, 0)


async def test_relaying_once_sends_what_is_due(postgres: Shop, memory: Memory) -> None:
    """It gives how many were sent, and ends where the broker is down."""
    events = postgres.dispatcher(broker=memory)
    events.on(OrderPaid, name="h")(nothing)
    for number in range(3):
        await events.publish(OrderPaid(order_id=number))
    assert await events.relay(once=True) == 3
    await memory.wait_all()
    await until_done(events._outbox)

    await events.publish(OrderPaid(order_id=4))
    memory.failing = ConnectionError("down")
    with pytest.raises(ConnectionError):
        await events.relay(once=True)
    memory.failing = None

    async def kick(message: BrokerMessage) -> None:
        raise ConnectionError("gone")

    memory.kick = kick  # type: ignore[method-assign]
    assert await events.relay(once=True) in (1, 2)  # it may be taken once more before it is known that nobody takes it
    assert await events._outbox.pending() == 1


async def test_a_database_that_is_down_when_a_message_comes(
    shop: Shop, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    """The message is dropped, and the row sent again; the broker may fail to shut down, too."""
    events = shop.dispatcher(broker=memory, lease=0.5)
    events.on(OrderPaid, name="h")(nothing)
    table = f"{shop.prefix}_outbox"

    async def rename(old: str, new: str) -> None:
        async with shop.engine.begin() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    async with events:
        await events._side.carrier.ready()
        await rename(table, "away_" + table)
        await memory.local_task_registry["interceptors.event"].kiq(1, 1)
        await until(lambda: "Starting events in the worker failed" in caplog.text)
        sent = events._side.carrier._sending
        sent.ends()
        await events._side.carrier.give_back([_stored()])
        await rename("away_" + table, table)
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)

        async def shutdown() -> None:
            raise ConnectionError

        memory.shutdown = shutdown  # type: ignore[method-assign]


def _stored() -> Any:
    return StoredEvent(1, "x", "OrderPaid", "h", None, {}, 1, 0, 1, None)


async def test_what_is_no_broker_and_one_that_is_taken(postgres: Shop, memory: Memory) -> None:
    """Refused where the dispatcher is made."""
    with pytest.raises(EventError, match="no taskiq broker"):
        postgres.dispatcher(broker=object())
    postgres.dispatcher(broker=memory)
    with pytest.raises(EventError, match="another dispatcher"):
        postgres.dispatcher(broker=memory)


async def test_in_a_worker_the_dispatcher_runs_without_a_relay(postgres: Shop, memory: Memory) -> None:
    """From the worker's start to its end, which happen in different tasks."""
    events = postgres.dispatcher(broker=memory)
    events.on(OrderPaid, name="h")(nothing)
    memory.is_worker_process = True
    await asyncio.create_task(memory.startup())
    await events.publish(OrderPaid(order_id=1))
    assert not events._side._relays
    assert events._in_process is not None
    await asyncio.create_task(memory.shutdown())
    assert events._in_process is None
    assert await events._outbox.pending() == 1


# -- real brokers ------------------------------------------------------------------------------------------------------

BROKERS = {"rabbitmq": "amqp://guest:guest@127.0.0.1:5672/", "nats": "nats://127.0.0.1:4222"}


@contextmanager
def worker(environment: dict[str, str]) -> Iterator[Any]:
    """A worker process as its user starts it; killed with its children."""
    process = subprocess.Popen(
        [sys.executable, "-m", "taskiq", "worker", "tests.integration.events.worker:broker", "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def kill(number: int = signal.SIGKILL) -> None:
        if process.poll() is None:
            os.killpg(process.pid, number)
            process.wait(30)

    try:
        yield kill
    finally:
        kill()


@pytest.fixture(params=["rabbitmq", "nats"])
async def environment(request: pytest.FixtureRequest, postgres: Shop, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    url = server_url(request.param, BROKERS[request.param])
    name = f"ev_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    yield {
        "SHOP_DATABASE": postgres.url,
        "SHOP_PREFIX": postgres.prefix,
        "SHOP_BROKER": url,
        "SHOP_QUEUE": name,
        "SHOP_FOLDER": str(tmp_path),
    }
    await remove_queues(make_broker(url, name), name)


async def test_a_worker_that_is_killed(environment: dict[str, str], postgres: Shop, tmp_path: Path) -> None:
    """What it ran is sent again when its lease ends, to the next worker; a worker that is told to stop ends."""
    shop, _, events = build(environment)
    try:
        async with events:
            for number in (1, 2, 3):
                await events.publish(OrderPaid(order_id=number))
            with worker(environment) as kill:
                await until((tmp_path / "started-1-1").exists, patience=60)
                kill()
            with worker(environment) as kill:
                await until_done(events._outbox, patience=60)
                await asyncio.to_thread(kill, signal.SIGTERM)
        assert sorted(await postgres.all_effects()) == [1, 2, 3]
        assert (tmp_path / "started-1-2").exists()
        assert not (tmp_path / "started-1-3").exists()
    finally:
        await shop.engine.dispose()


class Proxy:
    """A road to a server that can be blocked: connections are cut, new ones refused."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._streams):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._copy, reader, other_writer)
            tasks.start_soon(self._copy, other_reader, writer)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._streams.discard(writer)
            writer.transport.abort()


async def test_a_broker_that_goes_away_and_comes_back(
    environment: dict[str, str], postgres: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """What is published meanwhile waits in the database, and is sent afterwards; nothing is lost."""
    place = urlsplit(environment["SHOP_BROKER"])
    assert place.hostname is not None and place.port is not None
    proxy = Proxy(place.hostname, place.port)
    await proxy.open()
    broken = place._replace(netloc=place.netloc.replace(str(place.port), str(proxy.port)))
    shop, broker, events = build({**environment, "SHOP_BROKER": broken.geturl()})
    if hasattr(broker, "connection_kwargs"):
        broker.connection_kwargs.update(max_reconnect_attempts=1, reconnect_time_wait=0.1, error_cb=_quiet)
    try:
        with worker(environment):
            async with events:
                await events.publish(OrderPaid(order_id=2))
                await until_done(events._outbox, patience=60)
                await proxy.close()
                for number in range(3, 8):
                    await events.publish(OrderPaid(order_id=number))
                await until(lambda: "failed, and is tried again" in caplog.text, patience=60)
                await proxy.open()
                await until_done(events._outbox, patience=60)
        assert sorted(await postgres.all_effects()) == list(range(2, 8))
    finally:
        await proxy.close()
        await shop.engine.dispose()


async def _quiet(error: Exception) -> None: ...


async def test_relaying_once_waits_for_a_broker_in_memory(postgres: Shop) -> None:
    """Its tasks run in this very process: they are waited for, not cut."""
    events = postgres.dispatcher(broker=InMemoryBroker())
    seen: list[int] = []

    @events.on(OrderPaid)
    async def pay(event: OrderPaid, session: AsyncSession) -> None:
        await session.execute(text("SELECT pg_sleep(0.05)"))
        seen.append(event.order_id)

    for number in range(3):
        await events.publish(OrderPaid(order_id=number))
    assert await events.relay(once=True) == 3
    assert sorted(seen) == [0, 1, 2]
    assert await postgres.outbox().pending() == 0
