"""Several relays at once, leases, and what happens when a process loses one."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from interceptors.events import EventDispatcher, Outbox
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import OrderPaid, Shop, database_url, make_shop, shop_at, until, until_done

pytestmark = pytest.mark.slow


async def set_row(shop: Shop, outbox: Outbox, **values: Any) -> None:
    async with shop.engine.begin() as connection:
        await connection.execute(update(outbox.table).values(**values))


async def test_two_relays_never_run_the_same_event_at_once(shop: Shop) -> None:
    """Also where a handler takes far longer than a lease: it is renewed. Each effect happens once."""
    other = make_shop(shop.url, shop.prefix)
    running: set[int] = set()
    lease = 0.6 if shop.engine.dialect.name != "sqlite" else 1.2  # its writers wait for each other, and not in turn

    def declare(events: EventDispatcher, where: Shop) -> None:
        @events.on(OrderPaid, name="h")
        async def handle(event: OrderPaid, session: AsyncSession) -> None:
            assert event.order_id not in running
            running.add(event.order_id)
            try:
                await asyncio.sleep(lease * 1.6 if event.order_id % 10 == 0 else random.random() * 0.02)
            finally:
                running.discard(event.order_id)
            await where.add_effect(session, event.order_id)

    first = shop.dispatcher(lease=lease, max_running=5)
    second = other.dispatcher(lease=lease, max_running=5)
    declare(first, shop)
    declare(second, other)
    try:
        async with first, second:
            for number in range(20):
                await (first, second)[number % 2].publish(OrderPaid(order_id=number))
            await until_done(first._outbox)
    finally:
        await other.engine.dispose()
    assert sorted(await shop.all_effects()) == list(range(20))
    assert await first._outbox.dead() == []


async def test_keys_are_in_order_with_two_relays(shop: Shop) -> None:
    """Nothing of one key runs at the same time as another of it, and each is in the order of publishing."""
    other = make_shop(shop.url, shop.prefix)
    log: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    running: set[str] = set()

    def declare(events: EventDispatcher) -> None:
        @events.on(OrderPaid, name="h")
        async def handle(event: OrderPaid) -> None:
            key = "abc"[event.order_id % 3]
            assert key not in running
            running.add(key)
            log[key].append(event.order_id)
            await asyncio.sleep(random.random() * 0.005)
            running.discard(key)

    first, second = shop.dispatcher(poll=0.01), other.dispatcher(poll=0.01)
    declare(first)
    declare(second)
    try:
        async with first, second:
            for number in range(15):
                await first.publish(OrderPaid(order_id=number), key="abc"[number % 3])
            await until_done(first._outbox)
    finally:
        await other.engine.dispose()
    assert log == {"a": [0, 3, 6, 9, 12], "b": [1, 4, 7, 10, 13], "c": [2, 5, 8, 11, 14]}


async def test_publishers_of_one_key_commit_in_the_order_of_ids(postgres: Shop) -> None:
    """On PostgreSQL the second one waits until the first one has committed, whatever else they do."""
    events = postgres.dispatcher()
    order: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        order.append(event.order_id)

    async with postgres.sessions() as first, postgres.sessions() as second:
        await events.publish(OrderPaid(order_id=1), session=first, key="k")
        waiting = asyncio.create_task(events.publish(OrderPaid(order_id=2), session=second, key="k"))
        await events.publish(OrderPaid(order_id=3), key="another")
        assert not waiting.done()
        await first.commit()
        await waiting
        await second.commit()
    async with events:
        await until_done(events._outbox)
    assert [number for number in order if number != 3] == [1, 2]


async def test_what_a_killed_process_had_runs_again_when_its_lease_ends(shop: Shop) -> None:
    """Not before; the start counts as an attempt."""
    events = shop.dispatcher(lease=0.7)
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)

    await events.publish(OrderPaid(order_id=1))
    await set_row(shop, events._outbox, claim=Claim.RUNNING, owner="gone", token=1, attempts=1, due=now() + 0.7)
    assert await events.relay(once=True) == 0
    async with events:
        await until_done(events._outbox)
    assert attempts == [2]


async def test_a_row_whose_last_start_was_killed_is_dead(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It was started as often as it may: kept and logged, and no longer in the way of its key."""
    events = shop.dispatcher(attempts=1, poll=60.0)
    seen: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    for number in (1, 2):
        await events.publish(OrderPaid(order_id=number), key="k")
    caplog.clear()  # it was said that nothing relays yet
    first = events._outbox.table.c.id == 1
    async with shop.engine.begin() as connection:
        killed = {"claim": Claim.RUNNING, "owner": "gone", "token": 1, "attempts": 1, "due": now() - 1.0}
        await connection.execute(update(events._outbox.table).where(first).values(killed))
    async with events:
        await until_done(events._outbox)
    assert seen == [2]
    (dead,) = await events._outbox.dead()
    assert (dead.payload, dead.attempts) == ({"order_id": 1}, 1)
    assert "ended" in (dead.error or "")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_delivery_whose_row_is_gone_is_rolled_back(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Or that somebody else has taken over: what it did in its session never happened."""
    events = shop.dispatcher()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        if event.order_id == 1:
            await set_row(shop, events._outbox, token=events._outbox.table.c.token + 1)
        await shop.add_effect(session, event.order_id)

    await events.publish(OrderPaid(order_id=1))
    assert await events.relay(once=True) == 1
    assert "rolled back" in caplog.text
    assert await shop.all_effects() == []
    assert await events._outbox.pending() == 1


@pytest.mark.parametrize("taken_over", [True, False])
async def test_a_handler_that_lost_its_lease_is_cancelled(
    shop: Shop, caplog: pytest.LogCaptureFixture, taken_over: bool
) -> None:
    """By the next renewal if the row is somebody else's, by its deadline if the database cannot be asked."""
    events = shop.dispatcher(lease=0.9, poll=60.0)
    ended: list[type] = []
    table = events._outbox.table

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        if taken_over:
            await set_row(shop, events._outbox, token=table.c.token + 1, due=now() + 60)
        else:
            async with shop.engine.begin() as connection:
                await connection.run_sync(table.drop)
        try:
            await asyncio.sleep(60)
        except BaseException as error:
            ended.append(type(error))
            raise

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: ended)
        await until(lambda: "was lost" in caplog.text)
        if not taken_over:
            async with shop.engine.begin() as connection:
                await connection.run_sync(table.create)
    assert ended == [asyncio.CancelledError]
    assert ("Renewing the leases of events failed" in caplog.text) is not taken_over


async def test_renewing_works_again_after_an_outage(postgres: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A renewal that failed is made up for before the lease ends."""
    events = postgres.dispatcher(lease=3.0, poll=60.0)
    table = events._outbox.table
    renamed = f"{table.name}_away"

    async def rename(old: str, new: str) -> None:
        async with postgres.engine.begin() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        await rename(table.name, renamed)
        await until(lambda: "Renewing the leases of events failed" in caplog.text)
        await rename(renamed, table.name)
        await until(lambda: "Renewing the leases of events works again" in caplog.text)
        await postgres.add_effect(session, event.order_id)

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until_done_again(events._outbox)
    assert await postgres.all_effects() == [1]


async def until_done_again(outbox: Outbox) -> None:
    async def is_done() -> bool:
        try:
            return await outbox.pending() == 0
        except Exception:
            return False

    await until(is_done)


async def test_an_attempt_whose_end_cannot_be_stored_starts_again(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The database is away when a handler fails: the lease ends, and it is tried again."""
    events = shop.dispatcher(lease=0.5)
    table = events._outbox.table
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)
        if attempt == 1:
            async with shop.engine.begin() as connection:
                await connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO {table.name}_away")
            raise ValueError

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: "could not be put back" in caplog.text)
        async with shop.engine.begin() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {table.name}_away RENAME TO {table.name}")
        await until_done_again(events._outbox)
    assert attempts == [1, 2]


async def test_a_cancelled_error_of_the_handlers_own_is_a_failure(shop: Shop) -> None:
    """A task that it waited for was cancelled, or it cancelled itself: the relay goes on."""
    events = shop.dispatcher(attempts=2)
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)
        task = asyncio.create_task(asyncio.sleep(60)) if attempt == 1 else asyncio.current_task()
        assert task is not None
        task.cancel()
        await (task if attempt == 1 else asyncio.sleep(60))

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)
    assert attempts == [1, 2]
    assert len(await events._outbox.dead()) == 1


async def test_a_relay_that_is_cancelled_waits_for_what_runs(shop: Shop) -> None:
    """`relay()` ends with the CancelledError when the handler has ended."""
    events = shop.dispatcher()
    started = asyncio.Event()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        started.set()
        await asyncio.sleep(0.05)
        await shop.add_effect(session, event.order_id)

    await events.publish(OrderPaid(order_id=1))
    task = asyncio.create_task(events.relay())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await shop.all_effects() == [1]
    assert await events._outbox.pending() == 0


async def test_a_relay_that_is_cancelled_twice_does_not_wait(shop: Shop) -> None:
    """The second time cuts what runs; it is started again."""
    events = shop.dispatcher()
    started = asyncio.Event()
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        attempts.append(attempt)
        started.set()
        if attempt == 1:
            await asyncio.sleep(60)

    await events.publish(OrderPaid(order_id=1))
    task = asyncio.create_task(events.relay())
    await started.wait()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert await events.relay(once=True) == 1
    assert attempts == [1, 2]


async def test_many_publishers_and_relays(shop: Shop) -> None:
    """Two hundred events of twenty publishers, by two relays: every committed one once."""
    other = make_shop(shop.url, shop.prefix)
    first, second = shop.dispatcher(max_running=5), other.dispatcher(max_running=5)
    for events, where in ((first, shop), (second, other)):

        @events.on(OrderPaid, name="h")
        async def handle(event: OrderPaid, session: AsyncSession, where: Shop = where) -> None:
            await where.add_effect(session, event.order_id)

    async def publish(start: int) -> None:
        for number in range(start, start + 10):
            async with shop.sessions() as session:
                await first.publish(OrderPaid(order_id=number), session=session)
                await (session.rollback() if number % 10 == 3 else session.commit())

    publishers = 20 if shop.engine.dialect.name != "sqlite" else 5
    try:
        async with first, second:
            await asyncio.gather(*[publish(start * 10) for start in range(publishers)])
            await until_done(first._outbox)
    finally:
        await other.engine.dispose()
    assert sorted(await shop.all_effects()) == [n for n in range(publishers * 10) if n % 10 != 3]


async def test_the_databases_clock_counts(shop: Shop) -> None:
    """Seconds since 1970 with fractions, whatever the dialect and the time zone."""
    async with shop.sessions() as session:
        first = await session.scalar(select(now()))
        await asyncio.sleep(0.05)
        second = await session.scalar(select(now()))
        local = await session.scalar(select(func.count()).select_from(shop.orders))
    assert local == 0
    assert first is not None and second is not None
    assert 0.02 < second - first < 5
    assert abs(first - time.time()) < 5


async def test_a_lost_race_is_no_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else writes: the relay looks again, also one that is to run once, and nothing is logged."""
    url = database_url("sqlite", tmp_path)
    async with shop_at(url, connect_args={"timeout": 0.01}) as shop:
        events = shop.dispatcher(poll=0.01, relay=False)
        seen: list[int] = []

        @events.on(OrderPaid)
        async def handle(event: OrderPaid) -> None:
            seen.append(event.order_id)

        await events.publish(OrderPaid(order_id=1))
        async with shop.engine.connect() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            once = asyncio.create_task(events.relay(once=True))
            await asyncio.sleep(0.2)
            assert not once.done()
            await connection.rollback()
        assert await once == 1
    assert seen == [1]
    assert caplog.records == []


async def test_leaving_does_not_wait_for_a_database_that_hangs(postgres: Shop) -> None:
    """Neither for what a relay takes nor for a renewal: both are cancelled."""
    events = postgres.dispatcher(drain=0.05, lease=0.3, poll=0.01)
    table = events._outbox.table
    started = asyncio.Event()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        started.set()
        await asyncio.sleep(60)

    async with postgres.engine.connect() as connection, asyncio.timeout(30):
        async with events:
            await events.publish(OrderPaid(order_id=1))
            await started.wait()
            await connection.exec_driver_sql(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
            await until(lambda: not events._side.deliveries.in_flight)  # its lease could not be renewed
        await connection.rollback()


async def test_a_handler_that_exits_ends_the_program(tmp_path: Path) -> None:
    """`SystemExit` and `KeyboardInterrupt` are no failure of a handler's; the event runs again later."""
    url = database_url("sqlite", tmp_path)
    async with shop_at(url) as shop:
        publisher = shop.dispatcher()
        publisher.on(OrderPaid, name="h")(_exit)
        await publisher.publish(OrderPaid(order_id=1))

        async def main() -> None:
            own = make_shop(url, shop.prefix)
            events = own.dispatcher()
            events.on(OrderPaid, name="h")(_exit)
            try:
                await events.relay()
            finally:
                await own.engine.dispose()

        with pytest.raises(SystemExit):
            await asyncio.to_thread(asyncio.run, main())
        assert await publisher._outbox.pending() == 1


async def _exit(event: OrderPaid) -> None:
    raise SystemExit(3)
