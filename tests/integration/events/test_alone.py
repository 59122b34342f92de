"""What was running when its process died starts alone: an event that kills its process takes no others along."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update
from taskiq import InMemoryBroker

from interceptors.events import EventDispatcher
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import OrderPaid, Shop, until, until_done


async def killed(shop: Shop, events: EventDispatcher, *groups: list[int], attempts: int = 1) -> None:
    """Have rows be those of processes that have died: each list of ids is what one of them was running."""
    table = events._outbox.table
    async with shop.engine.begin() as connection:
        for ids in groups:
            values = {"claim": Claim.RUNNING, "owner": f"gone{ids}", "token": 1, "attempts": attempts, "due": now() - 1}
            await connection.execute(update(table).where(table.c.id.in_(ids)).values(values))


class Watch:
    """A handler that notes what runs beside it."""

    def __init__(self, events: EventDispatcher) -> None:
        self.running: set[int] = set()
        self.beside: dict[int, set[int]] = {}
        self.attempts: dict[int, int] = {}

        @events.on(OrderPaid, name="h")
        async def handle(event: OrderPaid, attempt: int) -> None:
            self.attempts[event.order_id] = attempt
            self.beside[event.order_id] = set(self.running)
            for other in self.running:
                self.beside[other].add(event.order_id)
            self.running.add(event.order_id)
            await asyncio.sleep(0.05)
            self.running.discard(event.order_id)


@pytest.mark.parametrize("way", ["relay", "once", "broker"])
async def test_what_ran_together_when_a_process_died_starts_alone(shop: Shop, way: str) -> None:
    """And loses no attempt by it; the rest goes on beside, in its turn."""
    events = shop.dispatcher(attempts=1, relay=way == "relay", broker=InMemoryBroker() if way == "broker" else None)
    watch = Watch(events)
    for number in range(1, 9):
        await events.publish(OrderPaid(order_id=number), key=f"k{number % 2}" if number > 5 else None)
    await killed(shop, events, [1, 2, 3])
    if way == "relay":
        async with events:
            await until_done(events._outbox)
    elif way == "broker":
        async with events:
            while await events._outbox.pending():
                await events.relay(once=True)
    else:
        while await events.relay(once=True):
            pass
    assert set(watch.attempts) == set(range(1, 9))
    assert {number: watch.beside[number] for number in (1, 2, 3)} == {1: set(), 2: set(), 3: set()}
    assert any(watch.beside[number] for number in range(4, 9))
    assert [watch.attempts[number] for number in (1, 2, 3, 4)] == [2, 2, 2, 1]
    assert await events._outbox.dead() == []


async def test_what_ran_alone_has_lost_an_attempt(shop: Shop) -> None:
    """Each process's only row is to blame: dead after as many attempts as it has."""
    events = shop.dispatcher(attempts=2)
    watch = Watch(events)
    for number in range(1, 5):
        await events.publish(OrderPaid(order_id=number))
    await killed(shop, events, [1], [2])
    await killed(shop, events, [3], attempts=2)
    async with events:
        await until_done(events._outbox)
    assert watch.attempts == {1: 2, 2: 2, 4: 1}
    assert [(dead.payload["order_id"], dead.attempts) for dead in await events._outbox.dead()] == [(3, 2)]


async def test_a_suspect_waits_no_longer_than_a_lease_for_being_alone(shop: Shop) -> None:
    """A handler that hangs does not hold it up for ever; nor does a suspect that hangs hold up the others."""
    release = asyncio.Event()
    events = shop.dispatcher(lease=0.6)
    done: list[int] = []

    @events.on(OrderPaid, name="h")
    async def handle(event: OrderPaid) -> None:
        if event.order_id in (1, 2):
            await release.wait()
        done.append(event.order_id)

    async with events:
        await events.publish(OrderPaid(order_id=1))
        other = shop.dispatcher(relay=False)
        other.on(OrderPaid, name="h")(handle)
        await asyncio.sleep(0)
        for number in (2, 3, 4):
            await other.publish(OrderPaid(order_id=number), delay=3600)
        await killed(shop, events, [2, 3])
        table: Any = events._outbox.table
        async with shop.engine.begin() as connection:
            await connection.execute(update(table).where(table.c.id == 4).values(due=0.0))

        async def others_are_done() -> bool:
            return sorted(done) == [3, 4]

        await until(others_are_done)
        release.set()
        await until_done(events._outbox)
