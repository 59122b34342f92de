"""Rows that nobody here can run: they stand in nobody's way, are told of once, and can be given to somebody."""

import asyncio
import logging
from typing import Any

import pytest
from sqlalchemy import update

from interceptors.events import EventDispatcher, EventError
from tests.integration.events.plans import explained, multiply, rows_read
from tests.integration.events.shop import OrderPaid, OrderShipped, Shop, until


def stranger(shop: Shop, event: type = OrderPaid, name: str = "shop.mail") -> EventDispatcher:
    """Another release, which has a handler of this name."""
    events = shop.dispatcher(relay=False)
    events.on(event, name=name)(_nothing)
    return events


@pytest.mark.parametrize("event", [OrderPaid, OrderShipped], ids=["handler", "event of the same handler"])
async def test_they_stand_in_nobodys_way(shop: Shop, event: type) -> None:
    """Also under the same key, and where a handler of that name is known for another event."""
    seen: list[int] = []
    other = stranger(shop, event, "gone" if event is OrderPaid else "mail")
    events = shop.dispatcher(relay=False)

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    for number in range(3):
        await other.publish(event(order_id=number), key="order:1")
        await events.publish(OrderPaid(order_id=number), key="order:1")
    assert await events.relay(once=True) == 3
    assert seen == [0, 1, 2]
    assert await events._outbox.pending() == 3


async def test_a_relay_tells_of_them_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """With the handler, how many, how old, and the nearest names; not before `unknown_after`, nor of what is known."""
    other, young = stranger(shop), stranger(shop, name="young")
    events = shop.dispatcher(outbox=shop.outbox(unknown_after=600.0))
    events.on(OrderPaid, name="shop.mails")(_nothing)
    for number in range(3):
        await other.publish(OrderPaid(order_id=number), delay=number * 1000.0)
    outbox = events._outbox
    known = shop.dispatcher(relay=False)
    known.on(OrderPaid, name="shop.mails")(_nothing)
    await known.publish(OrderPaid(order_id=8), delay=3600)
    async with shop.engine.begin() as connection:
        await connection.execute(update(outbox.table).values(created=outbox.table.c.created - 700.0))
    await young.publish(OrderPaid(order_id=9))
    for _ in range(2):
        caplog.clear()
        async with events:
            await until(lambda: "not known" in caplog.text)
        (message,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert "'shop.mail'" in message and "3" in message and "'shop.mails'" in message and "70" in message


async def test_they_are_given_to_another_handler(shop: Shop) -> None:
    """In the order of their key, among its own."""
    seen: list[int] = []
    other, events = stranger(shop), shop.dispatcher(relay=False)

    @events.on(OrderPaid, name="mails")
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    for number in range(4):
        await (other, events)[number % 2].publish(OrderPaid(order_id=number), key="order:1")
    with pytest.raises(EventError, match="No handler is called 'mail' here. Did you mean 'mails'"):
        await events._outbox.reassign("shop.mail", "mail")
    events.on(OrderShipped, name="parcels")(_nothing)
    with pytest.raises(EventError, match="'parcels' does not handle OrderPaid"):
        await events._outbox.reassign("shop.mail", "parcels")
    assert await events._outbox.reassign("shop.mail", "mails") == 2
    await events.relay(once=True)
    assert seen == [0, 1, 2, 3]


async def test_many_of_them_slow_no_look(postgres: Shop) -> None:
    """They are not even read: what is due is looked for by handler."""
    other, events = stranger(postgres), postgres.dispatcher(relay=False)
    seen = asyncio.Event()

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid) -> None:
        seen.set()

    await other.publish(OrderPaid(order_id=1))
    await multiply(postgres, events._outbox, 20_000)
    await events.publish(OrderPaid(order_id=2))
    async with postgres.engine.begin() as connection:
        await connection.exec_driver_sql(f"ANALYZE {events._outbox.table.name}")
        look = events._outbox.store._look(events._side.places()[0])
        plan = await explained(connection, look, limit=100)
    assert rows_read(plan) < 10
    await events.relay(once=True)
    assert seen.is_set()


async def _nothing(event: Any) -> None: ...
