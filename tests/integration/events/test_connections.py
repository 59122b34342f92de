"""The relay's own connection and the pool, hearing of commits, and SQLite's one writer."""

import asyncio
import logging
import sqlite3
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from interceptors.events import EventError
from interceptors.events.outage import Outage
from interceptors.events.sql import LostRaceError
from tests.integration.events.shop import OrderPaid, Shop, database_url, make_shop, shop_at, until, until_done


@pytest.mark.parametrize(
    ("pool", "given", "level"),
    [
        ({"pool_size": 2, "max_overflow": 1}, {"max_running": 50}, "WARNING"),
        ({"pool_size": 2, "max_overflow": 1}, {}, "INFO"),
        ({"pool_size": 2, "max_overflow": 1}, {"max_running": 3}, None),
        ({"pool_size": 2, "max_overflow": -1}, {"max_running": 50}, None),
        ({"pool_size": 0}, {"max_running": 50}, None),
        ({"poolclass": NullPool}, {"max_running": 50}, None),
    ],
)
async def test_entering_says_that_the_pool_gives_less(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pool: Any, given: Any, level: str | None
) -> None:
    """Once, with both numbers: it matters to who asked for so many."""
    caplog.set_level(logging.INFO, "interceptors.events")
    async with shop_at(database_url("sqlite", tmp_path), **pool) as shop:
        events = shop.dispatcher(**given)
        for _ in range(2):
            async with events:
                pass
    told = [record for record in caplog.records if "max_running" in record.getMessage()]
    assert [record.levelname for record in told] == ([] if level is None else [level])
    for record in told:
        assert f"max_running={given.get('max_running', 100)}" in record.getMessage()
        assert "3 connections" in record.getMessage()


async def test_no_more_run_at_once_than_the_pool_gives(postgres: Shop) -> None:
    """Each has its connection: none waits for it in vain, and no lease is lost."""
    small = make_shop(postgres.url, postgres.prefix, pool_size=2, max_overflow=0, pool_timeout=1)
    running = most = 0
    events = small.dispatcher(max_running=50, lease=1.0)

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        nonlocal running, most
        assert attempt == 1
        running += 1
        most = max(most, running)
        await session.execute(text("SELECT pg_sleep(0.4)"))
        running -= 1
        await small.add_effect(session, event.order_id)

    try:
        async with events:
            async with postgres.sessions.begin() as session:
                for number in range(8):
                    await events.publish(OrderPaid(order_id=number), session=session)
            await until_done(postgres.outbox())
    finally:
        await small.engine.dispose()
    assert most == 2
    assert sorted(await postgres.all_effects()) == list(range(8))


async def test_a_relay_hears_of_commits_and_of_nothing_else(postgres: Shop) -> None:
    """Also again when its connection was cut; between polls that never come."""
    other = make_shop(postgres.url, postgres.prefix)
    events, publisher = postgres.dispatcher(poll=3600.0), other.dispatcher(relay=False)
    seen: list[int] = []

    @events.on(OrderPaid, name="h")
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    publisher.on(OrderPaid, name="h")(handle)
    try:
        async with events:
            line = events._side.line
            await until(lambda: line._opened is not None and line._connection is not None and not line._turn.locked())
            async with other.sessions() as session:
                await publisher.publish(OrderPaid(order_id=1), session=session)
                await session.rollback()
            await publisher.publish(OrderPaid(order_id=2))
            await until(lambda: seen == [2])
            await until_done(events._outbox)

            cut = line._connection
            async with line.transaction(writes=False) as own:
                pid = (await own.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
            async with other.engine.connect() as connection:
                await connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            events._side._stored()  # it looks, and finds its connection cut
            await until(lambda: line._connection is not None and line._connection is not cut)
            await publisher.publish(OrderPaid(order_id=3))
            await until(lambda: seen == [2, 3])
    finally:
        await other.engine.dispose()


class Deaf:
    """A road to PostgreSQL that loses notifications, as PgBouncer does in transaction mode."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._roads: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> "Deaf":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for road in self._roads:
            road.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(*self._to)
        for road in (self._there(reader, other_writer), self._back(other_reader, writer)):
            self._roads.add(asyncio.create_task(road))

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] != b"A":
                    writer.write(head + body)
        writer.close()


@pytest.mark.slow
async def test_a_relay_that_hears_nothing_says_so(postgres: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """And polls."""
    url = postgres.engine.url
    async with Deaf(url.host or "127.0.0.1", url.port or 5432) as deaf:
        shop = make_shop(
            url.set(host="127.0.0.1", port=deaf.port).render_as_string(hide_password=False),
            postgres.prefix,
            connect_args={"ssl": False},
        )
        events, publisher = shop.dispatcher(poll=0.05), postgres.dispatcher(relay=False)
        seen: list[int] = []

        @events.on(OrderPaid, name="h")
        async def handle(event: OrderPaid) -> None:
            seen.append(event.order_id)

        publisher.on(OrderPaid, name="h")(handle)
        async with events:
            await publisher.publish(OrderPaid(order_id=1))
            await until(lambda: seen == [1])
            await until(lambda: "does not hear of commits" in caplog.text, patience=20)
        await shop.engine.dispose()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_on_sqlite_deliveries_do_not_lock_each_other_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They take turns at writing, the relay, too: each handler runs once, although SQLite itself waits for nobody."""
    starts: Counter[int] = Counter()
    async with shop_at(database_url("sqlite", tmp_path), connect_args={"timeout": 0.1}) as shop:
        events = shop.dispatcher(max_running=15)

        @events.on(OrderPaid)
        async def handle(event: OrderPaid, session: AsyncSession) -> None:
            starts[event.order_id] += 1
            await shop.add_effect(session, event.order_id)
            await asyncio.sleep(0.02)
            if event.order_id % 3 == 0:  # a transaction of its own in the midst
                await session.commit()
                await shop.add_effect(session, event.order_id + 100)

        async with shop.sessions.begin() as session:
            for number in range(15):
                await events.publish(OrderPaid(order_id=number), session=session)
        async with events:
            await until_done(events._outbox)
        assert starts == Counter(range(15))
        assert sorted(await shop.all_effects()) == sorted([*range(15), *range(100, 115, 3)])
    assert "locked" not in caplog.text
    assert "failed" not in caplog.text


@pytest.mark.parametrize("uses_session", [True, False])
async def test_on_sqlite_a_lost_race_at_the_end_is_settled_again(tmp_path: Path, uses_session: bool) -> None:
    """Somebody else writes for long when a handler has ended: it does not run twice."""
    starts: Counter[int] = Counter()
    release = asyncio.Event()
    async with shop_at(database_url("sqlite", tmp_path), connect_args={"timeout": 0.05}) as shop:
        events = shop.dispatcher(max_running=3)

        @events.on(OrderPaid)
        async def handle(event: OrderPaid, session: AsyncSession) -> None:
            starts[event.order_id] += 1
            if uses_session:
                await session.execute(text("SELECT 1"))
            await release.wait()

        for number in range(3):
            await events.publish(OrderPaid(order_id=number))
        async with events:
            await until(lambda: len(starts) == 3)
            await asyncio.to_thread(
                _write_for, shop.engine.url.database or "", 0.7, release, asyncio.get_running_loop()
            )
            await until_done(events._outbox)
    assert starts == Counter(range(3))


def _write_for(file: str, seconds: float, started: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    """Another process's transaction."""
    import time  # noqa: PLC0415

    with sqlite3.connect(file, isolation_level=None, timeout=30) as connection:
        connection.execute("BEGIN IMMEDIATE")
        loop.call_soon_threadsafe(started.set)
        time.sleep(seconds)
        connection.execute("COMMIT")
    connection.close()


async def test_where_nothing_relays_that_is_said_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Not where the dispatcher is entered or relays, and not where it was said that another process does."""
    events = shop.dispatcher()
    events.on(OrderPaid)(_nothing)
    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)
    elsewhere = shop.dispatcher(relay=False)
    elsewhere.on(OrderPaid)(_nothing)
    await elsewhere.publish(OrderPaid(order_id=2))
    assert caplog.records == []
    for number in range(3):
        await events.publish(OrderPaid(order_id=number))
    (record,) = caplog.records
    assert "no relay runs here" in record.getMessage()


async def test_a_session_that_would_not_hold_the_row_is_refused(tmp_path: Path) -> None:
    """Of another database, in memory too, or one that is not awaited; another engine of the same database will do."""
    async with shop_at(database_url("sqlite", tmp_path)) as shop:
        events = shop.dispatcher(relay=False)
        events.on(OrderPaid)(_nothing)
        for url in (f"sqlite+aiosqlite:///{tmp_path}/other.db", "sqlite+aiosqlite://"):
            engine = create_async_engine(url)
            async with async_sessionmaker(engine)() as session:
                with pytest.raises(EventError, match="one could commit without the other"):
                    await events.publish(OrderPaid(order_id=1), session=session)
            await engine.dispose()
        sync: Any = sessionmaker()()
        assert isinstance(sync, Session)
        with pytest.raises(EventError, match="takes an AsyncSession, not a Session"):
            await events.publish(OrderPaid(order_id=1), session=sync)
        assert await events._outbox.pending() == 0
        same = create_async_engine(shop.url)
        async with async_sessionmaker(same).begin() as session:
            await events.publish(OrderPaid(order_id=1), session=session)
        await same.dispose()
        assert await events._outbox.pending() == 1


async def test_a_table_of_an_older_release_is_refused(shop: Shop) -> None:
    """With the columns that are missing, and what to do."""
    outbox = shop.outbox()
    async with shop.engine.begin() as connection:
        await connection.exec_driver_sql(f"ALTER TABLE {outbox.table.name} DROP COLUMN owner")
    with pytest.raises(EventError, match="has no column owner.*alembic"):
        async with shop.dispatcher():
            raise AssertionError


async def _nothing(event: OrderPaid) -> None: ...


async def test_a_handler_that_cannot_end_at_its_isolation_level_dies_in_the_end(
    postgres: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Its snapshot is older than the last renewal of its lease: it is said, and does not go on for ever."""
    engine = create_async_engine(postgres.url, isolation_level="REPEATABLE READ")
    events = postgres.dispatcher(sessions=async_sessionmaker(engine), attempts=2, lease=0.6)
    starts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        await postgres.add_effect(session, event.order_id)
        starts.append(attempt)
        await asyncio.sleep(0.4 if event.order_id == 1 else 0.0)

    async with events:
        for number in (1, 2):
            await events.publish(OrderPaid(order_id=number))
        await until_done(events._outbox)
    await engine.dispose()
    (dead,) = await events._outbox.dead()
    assert dead.payload == {"order_id": 1}
    assert dead.error is not None
    assert "REPEATABLE READ" in dead.error and "0.2 seconds" in dead.error
    assert "starts again" in caplog.text
    assert await postgres.all_effects() == [2]


async def test_a_connection_that_was_idle_is_asked_before_it_is_used(postgres: Shop) -> None:
    """Servers and what is between close what is not used for long: then it is opened anew, and nobody notices."""
    line = postgres.dispatcher()._side.line

    async def process() -> int:
        async with line.transaction(writes=False) as connection:
            return int((await connection.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one())

    try:
        first = await process()
        line._used -= 3600  # an hour ago
        assert await process() == first
        async with postgres.engine.connect() as connection:
            await connection.exec_driver_sql(f"SELECT pg_terminate_backend({first})")
        line._used -= 3600
        assert await process() != first
    finally:
        await line.close()


async def test_what_could_not_be_written_by_the_end_is_told_of(
    postgres: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """The database hangs when the dispatcher is left: what is done runs again."""
    events = postgres.dispatcher(drain=0.0, lease=60.0)  # so long a transaction may take, but not at the end
    done = asyncio.Event()
    release = asyncio.Event()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        await release.wait()
        done.set()

    async with postgres.engine.connect() as connection:
        async with events:
            await events.publish(OrderPaid(order_id=1))
            await until(lambda: events._side.deliveries.in_flight)
            await connection.exec_driver_sql(f"LOCK TABLE {events._outbox.table.name} IN ACCESS EXCLUSIVE MODE")
            release.set()
            await done.wait()
            await until(lambda: events._side.deliveries.settling._done)
        await connection.rollback()
    assert "1 events are done, which could not be stored: they run again" in caplog.text


async def test_a_row_that_is_gone_when_it_is_settled_is_told_of(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Without a session nothing can be rolled back."""
    events = shop.dispatcher()
    other = shop.outbox()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        async with shop.engine.begin() as connection:
            await connection.execute(other.table.delete())

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: "done by somebody else, too" in caplog.text)


async def test_whether_commits_are_heard_of_cannot_be_tried(postgres: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Where there is no connection for it: nothing is said of what is not known."""
    small = make_shop(postgres.url, postgres.prefix, pool_size=1, max_overflow=0, pool_timeout=0.1)
    caplog.set_level(logging.DEBUG, "interceptors.events")
    events = small.dispatcher()
    async with small.engine.connect():
        line = events._side.line
        await events._side._listen(SimpleNamespace(wake=lambda: None))
        assert "could not be tried" in caplog.text
        assert "does not hear" not in caplog.text
        await line.close()
    await small.engine.dispose()


async def test_what_could_not_be_settled_in_its_lease_runs_again(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The table is away when a handler has ended: that is told, and it starts again when the table is back."""
    events = shop.dispatcher(lease=0.5, attempts=5)
    table = events._outbox.table.name
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)
        if attempt == 1:
            await rename(table, f"{table}_away")

    async def rename(old: str, new: str) -> None:
        async with shop.engine.begin() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: "is done, which could not be stored" in caplog.text)
        await rename(f"{table}_away", table)
        await until_done(events._outbox)
    assert attempts == [1, 2]


async def test_a_row_that_is_gone_when_its_last_attempt_fails(shop: Shop) -> None:
    """Nobody is told of the dead: it is not ours any more."""
    told: list[Any] = []
    events = shop.dispatcher(outbox=shop.outbox(attempts=1, on_dead=told.append), relay=False)

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        async with shop.engine.begin() as connection:
            await connection.execute(events._outbox.table.delete())
        raise ValueError

    await events.publish(OrderPaid(order_id=1))
    await events.relay(once=True)
    assert told == []
    assert await events._outbox.dead() == []


async def test_a_change_of_rows_that_are_not_there_is_a_lost_race(shop: Shop) -> None:
    """Somebody else was quicker: the relay looks again."""
    events = shop.dispatcher()
    store, line = events._outbox.store, events._side.line
    with pytest.raises(LostRaceError):
        async with line.transaction() as connection:
            await store._change_all(connection, [1], (store.table.c.claim, 0))
    await line.close()


async def test_on_sqlite_a_failure_is_stored_when_it_is_our_turn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else writes for long when a handler has failed: the row is put back all the same."""
    attempts: list[int] = []
    release = asyncio.Event()
    async with shop_at(database_url("sqlite", tmp_path), connect_args={"timeout": 0.05}) as shop:
        events = shop.dispatcher()

        @events.on(OrderPaid)
        async def handle(event: OrderPaid, attempt: int) -> None:
            attempts.append(attempt)
            await release.wait()
            if attempt == 1:
                raise ValueError

        await events.publish(OrderPaid(order_id=1))
        async with events:
            await until(lambda: attempts)
            await asyncio.to_thread(
                _write_for, shop.engine.url.database or "", 0.5, release, asyncio.get_running_loop()
            )
            await until_done(events._outbox)
    assert attempts == [1, 2]
    assert "could not be put back" not in caplog.text


async def test_a_database_in_memory_is_relayed_by_its_only_connection(caplog: pytest.LogCaptureFixture) -> None:
    """There is nothing beside the pool; it is told that this is not for production."""
    async with shop_at("sqlite+aiosqlite://") as shop:
        events = shop.dispatcher(relay=False)
        seen: list[int] = []

        @events.on(OrderPaid)
        async def handle(event: OrderPaid) -> None:
            seen.append(event.order_id)

        await events.publish(OrderPaid(order_id=1))
        assert await events.relay(once=True) == 1
        assert await events._outbox.pending() == 0
    assert seen == [1]
    assert "use a file" in caplog.text


async def test_a_connection_that_cannot_listen_is_opened_anew(postgres: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It was cut before the relay came to it."""
    caplog.set_level(logging.DEBUG, "interceptors.events")
    side = postgres.dispatcher()._side
    try:
        async with side.line.transaction(writes=False) as connection:
            pid = (await connection.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
        async with postgres.engine.connect() as other:
            await other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        await side._listen(SimpleNamespace(wake=lambda: None))
        assert "does not listen" in caplog.text
        assert "does not hear" not in caplog.text
    finally:
        await side.line.close()


def test_a_lost_race_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, and nothing is said."""
    outage = Outage("The relay")
    outage.begins(LostRaceError())
    outage.ends()
    assert caplog.records == []
