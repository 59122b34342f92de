"""Many rows that wait: a look reads what is due, and one key is as quick as many."""

import json
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession

from tests.integration.events.plans import multiply, rows_read
from tests.integration.events.shop import OrderPaid, Shop

ROWS = 60_000


@pytest.mark.parametrize(
    "why",
    [
        "back off",
        pytest.param("are behind a stuck key", marks=pytest.mark.slow),
        pytest.param("are of many stuck keys", marks=pytest.mark.slow),
        "are delayed",
        "are dead",
    ],
)
async def test_what_waits_is_not_read(postgres: Shop, why: str) -> None:
    """By what PostgreSQL says of each statement of the relay's."""
    events = postgres.dispatcher(
        relay=False, backoff=3600.0, max_backoff=3600.0, attempts=1 if why == "are dead" else 9
    )
    table = events._outbox.table.name

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid) -> None:
        if event.order_id == 0:
            raise ConnectionError

    key = "k0" if "key" in why else None
    await events.publish(OrderPaid(order_id=0), key=key, delay=3600 if why == "are delayed" else 0)
    if why == "are of many stuck keys":
        await multiply(postgres, events._outbox, 1)
        await multiply(postgres, events._outbox, ROWS // 2)
        await changed(postgres, f"UPDATE {table} SET key = 'k' || (id / 2)")
        await changed(postgres, f"UPDATE {table} SET due = due + 3600 WHERE id % 2 = 0")
    elif key is not None:
        await multiply(postgres, events._outbox, ROWS)
    await events.relay(once=True)
    if key is None:
        await multiply(postgres, events._outbox, ROWS)
    await changed(postgres, f"ANALYZE {table}")
    await events.publish(OrderPaid(order_id=1))
    read = await rows_read_by_relaying(postgres, events)
    assert max(read) < 2000
    assert await events._outbox.pending() == (0 if why == "are dead" else await count(postgres, table))


async def changed(shop: Shop, statement: str) -> None:
    async with shop.engine.begin() as connection:
        await connection.exec_driver_sql(statement)


async def count(shop: Shop, table: str) -> Any:
    async with shop.engine.connect() as connection:
        return (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one()


async def rows_read_by_relaying(shop: Shop, events: Any) -> list[float]:
    """How many rows each look of a relay reads, by having PostgreSQL explain the same statement at the same moment."""
    statements: list[tuple[str, Any]] = []
    table = events._outbox.table.name

    def record(connection: Any, cursor: Any, sql: str, parameters: Any, *others: Any) -> None:
        if table in sql and not sql.startswith("DELETE") and "GROUP BY" not in sql:
            statements.append((sql, parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        assert await events.relay(once=True) >= 1
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    read: list[float] = []
    async with shop.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        for sql, parameters in statements:
            transaction = driver.transaction()
            await transaction.start()
            await driver.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=_parsed)
            (plan,) = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *parameters)
            await transaction.rollback()
            read.append(rows_read(plan["Plan"]))
    return read


def _parsed(text: str) -> Any:
    return json.loads(text)


@pytest.mark.parametrize("uses_session", [True, False])
async def test_one_key_takes_few_looks(shop: Shop, uses_session: bool) -> None:
    """Rows of a key are taken many at once, and run in their order."""
    events = shop.dispatcher(relay=False)
    seen: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        seen.append(event.order_id)
        if uses_session:
            await session.execute(select(1))

    async with shop.sessions.begin() as session:
        for number in range(300):
            await events.publish(OrderPaid(order_id=number), session=session, key="k")
    looks = 0

    def record(connection: Any, cursor: Any, sql: str, *others: Any) -> None:
        nonlocal looks
        looks += "LIMIT" in sql and "ORDER BY" in sql and "SELECT" in sql

    event.listen(Engine, "before_cursor_execute", record)
    try:
        while await events.relay(once=True):
            pass
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    assert seen == list(range(300))
    assert looks < 200  # 300 rows
