"""What an operator sees and does: `Outbox`'s methods, beside relays that run."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import update

from interceptors.events import EventDispatcher, HandlerStatus, Outbox, OutboxRow
from tests.integration.events.shop import OrderPaid, OrderShipped, Shop, make_shop, until, until_done


def failing(events: EventDispatcher, name: str, event: type = OrderPaid, **options: Any) -> None:
    @events.on(event, name=name, **options)
    async def fail(event: Any) -> None:
        raise ConnectionError(f"{name} is down")


async def states(outbox: Outbox) -> dict[str, str]:
    return {row.handler: row.state for row in await outbox.list()}


async def test_every_row_has_one_state_and_is_counted_by_it(shop: Shop) -> None:
    """`list` tells the state of each row, `status` how many there are for each event and handler."""
    release, old = asyncio.Event(), shop.dispatcher(relay=False)
    events = shop.dispatcher(outbox=shop.outbox(backoff=3600.0, max_backoff=3600.0, attempts=2))
    old.on(OrderPaid, name="unknown")(_nothing)

    @events.on(OrderPaid, name="running")
    async def running(event: OrderPaid) -> None:
        await release.wait()

    failing(events, "retrying")
    failing(events, "dead", attempts=1)
    events.on(OrderShipped, name="waiting")(_nothing)
    outbox = events._outbox
    assert await outbox.status() == []

    await old.publish(OrderPaid(order_id=1))
    async with events:
        await events.publish(OrderPaid(order_id=1), key="k")
        await events.publish(OrderPaid(order_id=2), key="k")
        await events.publish(OrderShipped(order_id=1), delay=3600)

        async def all_are_there() -> bool:
            found = [(row.handler, row.state) for row in await outbox.list()]
            return sorted(found) == [
                ("dead", "dead"), ("dead", "dead"), ("retrying", "retrying"), ("retrying", "waiting"),
                ("running", "running"), ("running", "waiting"), ("unknown", "waiting"), ("waiting", "waiting"),
            ]  # fmt: skip

        await until(all_are_there)
        async with shop.engine.begin() as connection:
            await connection.execute(update(outbox.table).values(created=outbox.table.c.created - 1000.0))
        found = {each.handler: each for each in await outbox.status()}
        release.set()
    counts = {
        name: (each.event, each.known, each.waiting, each.due, each.running, each.retrying, each.dead)
        for name, each in found.items()
    }
    assert counts == {
        "unknown": ("OrderPaid", False, 1, 0, 0, 0, 0),
        "running": ("OrderPaid", True, 1, 0, 1, 0, 0),
        "retrying": ("OrderPaid", True, 1, 0, 0, 1, 0),
        "dead": ("OrderPaid", True, 0, 0, 0, 0, 2),
        "waiting": ("OrderShipped", True, 1, 0, 0, 0, 0),
    }
    assert found["dead"].oldest is None
    assert found["dead"].last_error == "ConnectionError: dead is down"
    assert found["running"].oldest == pytest.approx(1000, abs=30)
    assert isinstance(found["running"], HandlerStatus)


async def test_rows_are_listed_by_handler_state_and_key(shop: Shop) -> None:
    """By id, so many, those after one."""
    events = shop.dispatcher(relay=False, attempts=1)
    failing(events, "a")
    events.on(OrderPaid, name="b")(_nothing)
    for number in range(4):
        await events.publish(OrderPaid(order_id=number), key=f"k{number % 2}")
    outbox = events._outbox
    rows = await outbox.list()
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert [(row.handler, row.key, row.payload) for row in await outbox.list("a", key="k1")] == [
        ("a", "k1", {"order_id": 1}),
        ("a", "k1", {"order_id": 3}),
    ]
    assert [row.id for row in await outbox.list(limit=2, after=rows[2].id)] == [row.id for row in rows[3:5]]
    assert len(await outbox.list(state="due")) == 4  # the others stand behind them
    await events.relay(once=True)
    (first, *_) = await outbox.list("a", "dead")
    assert isinstance(first, OutboxRow)
    assert (first.name, first.attempts, first.error, first.state) == (
        "OrderPaid",
        1,
        "ConnectionError: a is down",
        "dead",
    )
    assert len(await outbox.list(limit=None)) == 4


@pytest.fixture
async def dead(shop: Shop) -> EventDispatcher:
    """Two dead rows of `a`, one of `b`, one of `a` that will be tried again, and one that waits for its time."""
    events = shop.dispatcher(outbox=shop.outbox(backoff=3600.0, max_backoff=3600.0), relay=False)
    failing(events, "a", attempts=1)
    failing(events, "b", attempts=1)
    failing(events, "c")
    for number in range(2):
        await events.publish(OrderPaid(order_id=number), key=f"k{number}")
    await events.relay(once=True)
    events.on(OrderShipped, name="a")(_nothing)
    await events.publish(OrderShipped(order_id=1), delay=3600)
    return events


@pytest.mark.parametrize(
    ("by", "revived", "discarded"),
    [
        ({"handler": "a"}, 2, 2),
        ({"handler": "c"}, 2, 0),
        ({"handler": "nobody"}, 0, 0),
        ({"key": "k0"}, 3, 2),
        ({"key": "k0", "handler": "b"}, 1, 1),
        ({"older_than": 3600}, 0, 0),
        ({"older_than": 0}, 6, 4),
        ({"all": True}, 6, 4),
    ],
    ids=str,
)
async def test_rows_are_revived_and_discarded_by_what_they_are(
    dead: EventDispatcher, by: dict[str, Any], revived: int, discarded: int
) -> None:
    """Dead ones start anew, those that wait to be tried again are due; only dead ones are deleted."""
    outbox = dead._outbox
    before = {row.id: row for row in await outbox.list()}
    assert await outbox.revive(**by) == revived
    after = {row.id: row for row in await outbox.list()}
    changed = [id for id, row in after.items() if row.state != before[id].state]
    assert len(changed) == revived
    for id in changed:
        assert (after[id].state, after[id].attempts) == ("due", 0 if before[id].state == "dead" else 1)
    assert await outbox.discard(**by) == 0  # they are dead no more
    for row in after.values():
        await outbox.revive(ids=[row.id])
    assert await outbox.discard(all=True) == discarded - min(revived, discarded)


async def test_an_event_and_single_rows(dead: EventDispatcher) -> None:
    """With `ids` it is told which; they may be of any state but running."""
    outbox = dead._outbox
    rows = await outbox.list()
    event_id = rows[0].event_id
    assert await outbox.revive(event_id) == 3
    waiting = next(row for row in rows if row.state == "waiting")
    dead_rows = [row.id for row in rows if row.state == "dead"]
    assert await outbox.discard(ids=[waiting.id, 10**9]) == [waiting.id]
    assert await outbox.revive(ids=[dead_rows[-1], 10**9]) == [dead_rows[-1]]
    assert await outbox.discard(ids=[]) == []
    for wrong in ({}, {"all": True, "handler": "a"}):
        with pytest.raises(ValueError, match="Say which rows"):
            await outbox.discard(**wrong)


async def test_what_runs_is_not_discarded_nor_reassigned(shop: Shop) -> None:
    """It is somebody's."""
    started, release = asyncio.Event(), asyncio.Event()
    events = shop.dispatcher()

    @events.on(OrderPaid, name="h")
    async def handle(event: OrderPaid) -> None:
        started.set()
        await release.wait()

    events.on(OrderPaid, name="other")(_nothing)
    async with events:
        await events.publish(OrderPaid(order_id=1))
        await started.wait()
        (row,) = await events._outbox.list("h")
        assert await events._outbox.discard(ids=[row.id]) == []
        assert await events._outbox.reassign("h", "other") == 0
        release.set()
        await until_done(events._outbox)


async def test_a_replayed_event_is_a_new_one(dead: EventDispatcher) -> None:
    """For the same handler, with the same key and payload, due at once."""
    outbox = dead._outbox
    (old, *_) = await outbox.list("a", "dead")
    assert await outbox.replay([old.id, 10**9]) == [old.id]
    new = (await outbox.list())[-1]
    assert (new.name, new.handler, new.key, new.payload) == (old.name, old.handler, old.key, old.payload)
    assert (new.state, new.attempts, new.error) == ("due", 0, None)
    assert new.event_id != old.event_id


async def test_dead_rows_are_purged_by_their_age(dead: EventDispatcher) -> None:
    """What is not dead stays."""
    outbox = dead._outbox
    assert await outbox.purge(older_than=3600) == 0
    assert await outbox.purge() == 4
    assert await outbox.pending() == 3


async def test_a_discarded_row_releases_what_stands_behind_it(shop: Shop) -> None:
    """At once, and not when it would be looked at again."""
    seen: list[int] = []
    events = shop.dispatcher(outbox=shop.outbox(backoff=3600.0, max_backoff=3600.0, poll=0.02))

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        if event.order_id == 0:
            raise ConnectionError
        seen.append(event.order_id)

    async with events:
        for number in range(4):
            await events.publish(OrderPaid(order_id=number), key="k")

        async def is_stuck() -> bool:
            return [row.state for row in await events._outbox.list()] == ["retrying", "waiting", "waiting", "waiting"]

        await until(is_stuck)
        (stuck, *_) = await events._outbox.list()
        await events._outbox.discard(ids=[stuck.id])
        await until(lambda: seen == [1, 2, 3], patience=10)


@pytest.mark.slow
async def test_operations_are_safe_beside_relays(shop: Shop) -> None:
    """Revived, reassigned and replayed at random while two relays run: every event is done, and none at the same time."""
    dice = random.Random(1)
    other = make_shop(shop.url, shop.prefix)
    running: set[tuple[str, int]] = set()
    done: set[int] = set()
    heals = False

    def declare(events: EventDispatcher) -> None:
        for name in ("a", "b"):

            @events.on(OrderPaid, name=name)
            async def handle(event: OrderPaid, event_id: str, name: str = name) -> None:
                place = event_id, event.order_id
                assert place not in running
                running.add(place)
                await asyncio.sleep(0.002)
                running.discard(place)
                if not heals and dice.random() < 0.5:
                    raise ConnectionError
                done.add(event.order_id)

    publisher = shop.dispatcher(relay=False)
    publisher.on(OrderPaid, name="a")(_nothing)
    first, second = shop.dispatcher(attempts=2), other.dispatcher(attempts=2)
    declare(first)
    declare(second)
    outbox = first._outbox
    try:
        async with first, second:
            for number in range(60):
                await publisher.publish(OrderPaid(order_id=number), key=f"k{number % 5}" if number % 2 else None)
                await dice.choice(
                    [
                        lambda: outbox.revive(all=True),
                        lambda: outbox.reassign("a", "b"),
                        lambda: outbox.reassign("b", "a"),
                        outbox.status,
                        outbox.list,
                    ]
                )()
            heals = True

            async def is_over() -> bool:
                await outbox.revive(all=True)
                return await outbox.pending() == 0 and not await outbox.dead()

            await until(is_over)
    finally:
        await other.engine.dispose()
    assert done == set(range(60))


async def _nothing(event: Any) -> None: ...
