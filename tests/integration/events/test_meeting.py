"""What meets what: relays, releases, renewals, operators and processes that died, at the moments when it matters."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import registry

from interceptors.events import Outbox
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import (
    OrderPaid,
    Shop,
    database_url,
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


async def nothing(event: OrderPaid) -> None: ...


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
