"""What the command line asks of a dispatcher, and the commands where several connections write at once."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from taskiq import InMemoryBroker

from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, GiveUp, Outbox
from tests.integration.events.shop import OrderPaid, Shop, until
from tests.unit.cli.helpers import Result, run_process
from tests.unit.cli.operated import write_project


class Paid(BaseModel):
    n: int


async def test_what_became_of_stored_events(shop: Shop) -> None:
    """Done, failed and dead, counted from when the dispatcher was made; a row that cannot be handled has died, too."""
    events = shop.dispatcher(attempts=2, backoff=0.0, relay=False)
    told: list[str] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        if event.order_id == 1:
            raise ValueError("no")
        if event.order_id == 2:
            raise GiveUp("never")

    assert events.counts == {"done": 0, "failed": 0, "died": 0}
    for number in range(4):
        await events.publish(OrderPaid(order_id=number))
    async with shop.engine.begin() as connection:
        table = events._outbox.table
        await connection.execute(table.update().where(table.c.id == 4).values(payload=["no object"]))
    await events.relay(once=True, started=told.append)
    await until(lambda: events.counts == {"done": 1, "failed": 1, "died": 3})
    url = make_url(shop.url).render_as_string()
    assert told == [f"1 handler of the table '{shop.prefix}_outbox' in {url}, up to 15 at once"]


async def test_what_a_relay_has_sent(postgres: Shop) -> None:
    """With a broker that is what it does."""
    events = postgres.dispatcher(broker=InMemoryBroker(), relay=False)
    told: list[str] = []
    events.on(OrderPaid, name="a")(nothing)
    events.on(OrderPaid, name="b", aliases=["c"])(nothing)
    await events.publish(OrderPaid(order_id=1))
    await events.relay(once=True, started=told.append)
    assert events.counts == {"sent": 2, "died": 0}
    assert told[0].startswith("2 handlers of the table ")
    assert told[0].endswith(", up to 15 at once, sent to workers")


async def nothing(event: OrderPaid) -> None: ...


async def test_without_an_outbox() -> None:
    """There is nothing to be counted or closed."""
    events = EventDispatcher(InterceptorRegistry())
    assert (events.outbox, events.counts) == (None, {})
    await events.dispose()


async def test_connections_are_closed(postgres: Shop) -> None:
    """Those of the outbox's engine and of the handlers'; one that was given to the sessions is somebody else's."""
    other = create_async_engine(postgres.url)
    events = postgres.dispatcher(sessions=async_sessionmaker(other))
    for engine in (postgres.engine, other):
        async with engine.connect():
            pass
        assert engine.pool.checkedin() == 1
    await events.dispose()
    assert postgres.engine.pool.checkedin() == other.pool.checkedin() == 0
    async with postgres.engine.connect() as connection:
        outbox = Outbox(async_sessionmaker(connection), metadata=postgres.metadata, table=f"{postgres.prefix}_outbox")
        await EventDispatcher(InterceptorRegistry(), outbox=outbox).dispose()
        assert not connection.closed


@pytest.mark.slow
async def test_the_commands_on_postgresql(postgres: Shop, tmp_path: Path) -> None:
    """Beside a relay that runs: what is revived is delivered by it, until the outbox is empty; nothing is left open."""
    write_project(tmp_path)
    python = ("-W", "error", "-m", "interceptors")
    where = {"SHOP_URL": postgres.url, "SHOP_TABLE": f"{postgres.prefix}_outbox"}
    outbox = postgres.outbox(attempts=1)
    events = EventDispatcher(InterceptorRegistry(), outbox=outbox)
    done: list[int] = []
    works = False

    async def command(*arguments: str) -> Result:
        verb, *options = arguments
        return await asyncio.to_thread(
            run_process, tmp_path, "outbox", verb, "app.main:events", *options, python=python, **where
        )

    @events.on(Paid, name="shop.mail")
    async def mail(event: Paid) -> None:
        if not works:
            raise ConnectionError("smtp is down")
        done.append(event.n)

    async def is_dead() -> bool:
        return len(await outbox.dead()) == 3

    async def is_empty() -> bool:
        return await outbox.pending() == 0

    async with events:
        keys = [await events.publish(Paid(n=n), key=f"order:{n}") for n in (1, 2, 3)]
        await until(is_dead)
        dead: list[dict[str, Any]] = json.loads((await command("dead", "--json")).out)
        assert [(each["event_id"], each["key"]) for each in dead] == [
            (key, f"order:{n}") for n, key in enumerate(keys, 1)
        ]
        works = True
        assert await command("discard", keys[1], "--yes") == Result(0, "Discarded 1 row.\n", "")
        assert await command("revive", "--handler", "shop.mail", "--yes") == Result(0, "Revived 2 rows.\n", "")
        await until(is_empty)
    assert sorted(done) == [1, 3]
    assert await command("status") == Result(0, "The outbox is empty.\n", "")
