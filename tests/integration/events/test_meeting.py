"""What meets what: relays, releases, renewals, operators and processes that died, at the moments when it matters."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import registry

from interceptors.events import DeadEvent, EventDispatcher, Outbox
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import (
    OrderPaid,
    OrderShipped,
    Shop,
    database_url,
    make_shop,
    shop_at,
    until,
    until_done,
)


async def set_row(shop: Shop, outbox: Outbox, id: int, **values: Any) -> None:
    async with shop.engine.begin() as connection:
        await connection.execute(update(outbox.table).where(outbox.table.c.id == id).values(**values))


def died() -> dict[str, Any]:
    """What the row of a process is that was killed while it ran."""
    return {"claim": Claim.RUNNING, "owner": "gone", "token": 1, "attempts": 1, "due": now() - 1.0}


def put_behind(seconds: float) -> dict[str, Any]:
    """What a row is that stands behind another one of its key: looked at again in so many seconds."""
    return {"was_due": now() - 10.0, "due": now() + seconds}


async def test_a_row_that_was_claimed_and_put_behind_does_not_run(shop: Shop) -> None:
    """Its process died, and it waits for the row in front, which starts nevertheless."""
    events = shop.dispatcher()
    seen: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    for number in (1, 2):
        await events.publish(OrderPaid(order_id=number), key="k")
    await set_row(shop, events._outbox, 1, **put_behind(-1.0))
    await set_row(shop, events._outbox, 2, **died() | put_behind(60.0))
    await events.relay(once=True)
    assert seen == [1, 2]


async def test_an_operator_may_change_what_was_claimed_and_put_behind(shop: Shop) -> None:
    """It runs nowhere: it waits, is given to another handler, and is discarded by its id."""
    events = shop.dispatcher(relay=False)
    outbox = events._outbox
    events.on(OrderPaid, name="old")(nothing)
    events.on(OrderPaid, name="new", durable=False)(nothing)
    async with events:
        for number in (1, 2):
            await events.publish(OrderPaid(order_id=number), key="k")
    await set_row(shop, outbox, 2, **died() | put_behind(60.0))
    assert [row.state for row in await outbox.list()] == ["due", "waiting"]
    assert await outbox.reassign("old", "new") == 2
    assert await outbox.discard(ids=[2]) == [2]


async def nothing(event: OrderPaid) -> None: ...


async def test_what_is_replayed_has_as_many_attempts_as_a_new_one(shop: Shop) -> None:
    """Also where its row was spared some: the process died while others ran, too."""
    events = shop.dispatcher(relay=False, attempts=1)
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)
        raise ValueError

    await events.publish(OrderPaid(order_id=1))
    await set_row(shop, events._outbox, 1, dead=True, attempts=4, spared=3)
    assert await events._outbox.replay([1]) == [1]
    await events.relay(once=True)
    assert attempts == [1]
    assert len(await events._outbox.dead()) == 2


async def test_a_key_is_in_use_for_one_handler_only(shop: Shop) -> None:
    """The index goes on in the very process in which the mail hangs; both have the same key."""
    events = shop.dispatcher(drain=0.0)
    indexed: list[int] = []
    mails = asyncio.Event()

    @events.on(OrderPaid, name="mail")
    async def mail(event: OrderPaid) -> None:
        mails.set()
        await asyncio.sleep(600)

    @events.on(OrderShipped, name="index")
    async def index(event: OrderShipped) -> None:
        indexed.append(event.order_id)

    async with events:
        await events.publish(OrderPaid(order_id=0), key="k")
        await mails.wait()
        for number in (1, 2):
            await events.publish(OrderShipped(order_id=number), key="k")
        await until(lambda: indexed == [1, 2], patience=10)


async def test_a_revived_row_waits_for_what_runs_of_its_key(shop: Shop) -> None:
    """It comes back in front of a row that runs in another process: nothing of a key runs beside another."""
    other = make_shop(shop.url, shop.prefix)
    first, second = shop.dispatcher(relay=False), other.dispatcher(relay=False)
    running: set[int] = set()
    both: list[set[int]] = []
    starts, ends = asyncio.Event(), asyncio.Event()

    def declare(events: EventDispatcher) -> None:
        @events.on(OrderPaid, name="h")
        async def handle(event: OrderPaid) -> None:
            running.add(event.order_id)
            both.append(set(running))
            if event.order_id == 2:
                starts.set()
                await ends.wait()
            running.discard(event.order_id)

    declare(first)
    declare(second)
    for number in (1, 2):
        await first.publish(OrderPaid(order_id=number), key="k")
    await set_row(shop, first._outbox, 1, dead=True)
    try:
        runs = asyncio.create_task(first.relay(once=True))
        await starts.wait()
        assert await second._outbox.revive(ids=[1]) == [1]
        assert await second.relay(once=True) == 0
        ends.set()
        await runs
        await second.relay(once=True)
    finally:
        await other.engine.dispose()
    assert both == [{2}, {1}]
    assert await first._outbox.pending() == 0


@pytest.mark.parametrize("end", ["died", "discarded"])
async def test_the_end_of_a_row_releases_its_key_under_every_name_of_the_handler(shop: Shop, end: str) -> None:
    """A row of an older release was in front: those behind it are due at once."""
    old, new = shop.dispatcher(relay=False), shop.dispatcher(relay=False, attempts=1)
    outbox = new._outbox
    old.on(OrderPaid, name="old")(nothing)
    new.on(OrderPaid, name="new", aliases=("old",))(nothing)
    await old.publish(OrderPaid(order_id=1), key="k")
    await new.publish(OrderPaid(order_id=2), key="k")
    await set_row(shop, outbox, 1, **died())
    await set_row(shop, outbox, 2, **put_behind(60.0))
    if end == "discarded":
        assert await outbox.discard(ids=[1]) == [1]
    await new.relay(once=True)
    assert await outbox.pending() == 0


@pytest.mark.parametrize("reason", ["killed", "failed"])
async def test_a_slow_on_dead_holds_nothing_up(shop: Shop, reason: str) -> None:
    """What else is due runs meanwhile, and what was taken with the dead row keeps its lease."""
    told, go_on = asyncio.Event(), asyncio.Event()

    async def on_dead(dead: DeadEvent) -> None:
        told.set()
        await go_on.wait()

    events = shop.dispatcher(outbox=shop.outbox(attempts=1, lease=1.0, on_dead=on_dead))
    seen: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        if event.order_id == 1:
            raise ValueError
        seen.append(event.order_id)

    for number in (1, 2):
        await events.publish(OrderPaid(order_id=number))
    if reason == "killed":
        await set_row(shop, events._outbox, 1, **died())
    async with events:
        await told.wait()
        await events.publish(OrderPaid(order_id=3))
        await until(lambda: seen == [2, 3], patience=10)
        go_on.set()


async def test_on_dead_may_take_longer_than_a_lease(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The row is dead already: nothing is renewed any more, nothing lost, and nobody cancelled."""
    told: list[str] = []

    async def on_dead(dead: DeadEvent) -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
        told.append(dead.event_id)

    events = shop.dispatcher(outbox=shop.outbox(attempts=1, lease=0.3, on_dead=on_dead))

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        raise ValueError

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: told, patience=10)
    assert "was lost" not in caplog.text


async def test_waiting_for_a_lock_at_the_end_of_a_handler_loses_no_lease(postgres: Shop) -> None:
    """What is flushed at last waits for somebody for longer than a lease, which is renewed until the row is deleted."""
    events = postgres.dispatcher(lease=0.6)
    attempts: list[int] = []

    class Order:
        id: int

    registry().map_imperatively(Order, postgres.orders)

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        attempts.append(attempt)
        order = Order()
        order.id = event.order_id
        session.add(order)

    async with postgres.engine.connect() as somebody:
        await somebody.execute(insert(postgres.orders).values(id=1))
        async with events:
            await events.publish(OrderPaid(order_id=1))
            await until(lambda: attempts)
            for _ in range(4):  # the handler waits for what we may insert, or not
                await asyncio.sleep(0.4)
            await somebody.rollback()
            await until_done(events._outbox)
    assert attempts == [1]


async def test_the_next_of_a_key_does_not_start_when_the_row_in_front_was_taken_over(shop: Shop) -> None:
    """The one in front runs elsewhere now: what is behind it waits for that."""
    events = shop.dispatcher(lease=60.0, drain=0.0)
    seen: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)
        if event.order_id == 1:
            table = events._outbox.table
            await set_row(shop, events._outbox, 1, token=table.c.token + 1, due=now() + 60)

    for number in (1, 2):
        await events.publish(OrderPaid(order_id=number), key="k")
    await events.relay(once=True)
    assert seen == [1]


async def test_a_second_relay_of_a_dispatcher_disturbs_nothing(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It listens, too; what the first one is writing at that moment is not cut."""
    events = shop.dispatcher(poll=0.01)

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        if attempt < 3:
            raise ValueError

    async with events:
        for number in range(30):
            await events.publish(OrderPaid(order_id=number))
            if number % 10 == 5:
                again = asyncio.create_task(events.relay())
                await asyncio.sleep(0.01)
                again.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await again
        await until_done(events._outbox)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_sqlite_whose_transactions_are_begun_by_a_listener(tmp_path: Path) -> None:
    """As SQLAlchemy's documentation has it for savepoints: the relay's own statements are in a transaction, too."""
    async with shop_at(database_url("sqlite", tmp_path)) as shop:

        @event.listens_for(shop.engine.sync_engine, "connect")
        def no_begin(connection: Any, record: object) -> None:
            connection.isolation_level = None

        @event.listens_for(shop.engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

        events = shop.dispatcher()
        events.on(OrderPaid)(nothing)
        async with events:
            with pytest.raises(ZeroDivisionError):
                async with events._side.line.transaction() as connection:
                    await connection.execute(insert(shop.orders).values(id=1))
                    raise ZeroDivisionError
        async with shop.sessions() as session:
            assert list(await session.scalars(select(shop.orders.c.id))) == []


async def test_a_relay_whose_connection_cannot_be_opened_at_first(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, as in any outage: the dispatcher goes on running."""
    opened: list[object] = []

    @event.listens_for(shop.engine.sync_engine, "connect")
    def connect(connection: object, record: object) -> None:
        opened.append(connection)
        if 1 < len(opened) < 8:
            raise ConnectionError("the database is down")

    await shop.engine.dispose()
    events = shop.dispatcher()
    events.on(OrderPaid)(nothing)
    async with events:
        await until(lambda: len(opened) >= 8)
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)
    assert "The relay of events works again" in caplog.text


async def test_waiting_for_the_pool_at_the_end_of_a_handler_loses_no_lease(tmp_path: Path) -> None:
    """A session that was not used until then takes its connection at last; somebody else has it for longer than a lease."""
    async with shop_at(database_url("postgresql", tmp_path), pool_size=1, max_overflow=0) as shop:
        events = shop.dispatcher(lease=0.6)
        starts: list[int] = []
        started, go_on = asyncio.Event(), asyncio.Event()

        @events.on(OrderPaid)
        async def handle(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
            starts.append(attempt)
            await session.begin()
            started.set()
            await go_on.wait()

        await events.publish(OrderPaid(order_id=1))
        async with events:
            await started.wait()
            async with shop.engine.connect():
                go_on.set()
                for _ in range(4):
                    await asyncio.sleep(0.4)
            await until_done(events._outbox)
        assert starts == [1]


@pytest.mark.slow
async def test_what_was_taken_late_has_a_whole_lease(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The relay has waited for its turn to write: the lease begins after that."""
    async with shop_at(database_url("sqlite", tmp_path)) as shop:
        events = shop.dispatcher(lease=6.0)
        starts: list[int] = []
        begun, writes = asyncio.Event(), asyncio.Event()

        @events.on(OrderPaid)
        async def first(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
            begun.set()
            await writes.wait()
            await shop.add_effect(session, event.order_id)
            await asyncio.sleep(3.0)

        @events.on(OrderShipped)
        async def second(event: OrderShipped, attempt: int) -> None:
            starts.append(attempt)
            await asyncio.sleep(2.5)

        async with events:
            await events.publish(OrderPaid(order_id=1))
            await begun.wait()
            await events.publish(OrderShipped(order_id=2))
            writes.set()
            await until_done(events._outbox)
        assert starts == [1]
        assert caplog.records == []
