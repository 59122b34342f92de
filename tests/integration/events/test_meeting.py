"""What meets what: relays, releases, renewals, operators and processes that died, at the moments when it matters."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from interceptors.events import DeadEvent, EventDispatcher, Outbox
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import (
    OrderPaid,
    OrderShipped,
    Shop,
    make_shop,
    until,
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
