"""What meets what: relays, releases, renewals, operators and processes that died, at the moments when it matters."""

import asyncio
import logging
from typing import Any

import pytest
from sqlalchemy import event, update

from interceptors.events import Outbox
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import (
    OrderPaid,
    Shop,
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
