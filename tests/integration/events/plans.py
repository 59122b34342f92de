"""Many rows, and how PostgreSQL comes to those that are wanted."""

import json
from typing import Any

from interceptors.events import Outbox
from tests.integration.events.shop import Shop

__all__ = ["explained", "multiply", "rows_read"]


async def multiply(shop: Shop, outbox: Outbox, count: int) -> None:
    """Store each row so many times more."""
    table = outbox.table
    names = ", ".join(f'"{column.name}"' for column in table.columns if not column.primary_key)
    async with shop.engine.begin() as connection:
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {table.name}, generate_series(1, {count})"
        )


async def explained(connection: Any, statement: Any, **parameters: Any) -> dict[str, Any]:
    """The plan of a statement that is run, as PostgreSQL tells it."""
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    driver = (await connection.get_raw_connection()).driver_connection
    values = {**compiled.params, **parameters}
    plan = await driver.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}", *[values[name] for name in compiled.positiontup]
    )
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return dict(plan[0]["Plan"])


def rows_read(plan: dict[str, Any]) -> float:
    """How many rows the scans of a plan have looked at."""
    read = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    own = sum(plan.get(name, 0) for name in read) * plan.get("Actual Loops", 1) if "Scan" in plan["Node Type"] else 0
    return float(own + sum(rows_read(part) for part in plan.get("Plans", ())))
