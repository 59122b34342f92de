"""What meets what: relays, releases, renewals, operators and processes that died, at the moments when it matters."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from interceptors.events import Outbox
from interceptors.events.sql import now
from interceptors.events.table import Claim
from tests.integration.events.shop import (
    OrderPaid,
    Shop,
    database_url,
    shop_at,
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
