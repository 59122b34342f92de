"""Processes that are killed: an application that writes and publishes, and relays. Forked, so that they start at once."""

import asyncio
import logging
import os
import random
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.integration.events.shop import OrderPaid, Shop, make_shop

OPTIONS = {"attempts": 10_000, "lease": 0.6, "poll": 0.03, "backoff": 0.01, "max_running": 8, "drain": 0.5}
KEYS = 3

logging.getLogger("interceptors.events").addHandler(logging.NullHandler())  # what fails here fails on purpose


def build(url: str, prefix: str, **options: Any) -> tuple[Shop, Any]:
    """The shop of a process, and its dispatcher: each handler writes one row in its own session."""
    engine_options = {} if url.startswith("sqlite") else {"pool_size": 20}
    shop = make_shop(url, prefix, **engine_options)
    events = shop.dispatcher(**(OPTIONS | options))

    @events.on(OrderPaid, name="pay")
    async def pay(event: OrderPaid, *, session: AsyncSession, attempt: int) -> None:
        if random.random() < 0.5:
            await asyncio.sleep(random.random() * 0.02)
        await shop.add_effect(session, event.order_id)
        if random.random() < 0.1:
            await asyncio.sleep(random.random() * 0.02)
        if attempt == 1 and random.random() < 0.1:
            raise ValueError("fails once in a while")

    @events.on(OrderPaid, name="note")
    async def note(event: OrderPaid) -> None:
        await asyncio.sleep(random.random() * 0.01)

    return shop, events


def application(url: str, prefix: str, seed: int, ready: str) -> None:
    """Write and publish for ever, in transactions of which some are rolled back; relay, too."""
    asyncio.run(_application(url, prefix, seed, ready))


async def _application(url: str, prefix: str, seed: int, ready: str) -> None:
    dice = random.Random(seed)
    random.seed(seed)
    shop, events = build(url, prefix)
    async with shop.sessions() as session:
        next_id = (await session.scalar(select(func.max(shop.orders.c.id))) or 0) + 1

    async def write(order_id: int) -> None:
        async with shop.sessions() as session:
            await session.execute(insert(shop.orders).values(id=order_id))
            key = f"k{order_id % KEYS}" if order_id % 2 else None
            await events.publish(OrderPaid(order_id=order_id), session=session, key=key)
            if dice.random() < 0.2:
                await session.rollback()
            else:
                await session.commit()

    async with events:
        Path(ready).touch()
        while True:
            await asyncio.gather(*[write(next_id + i) for i in range(3)])
            next_id += 3
            await asyncio.sleep(dice.random() * 0.02)


def relay(url: str, prefix: str, seed: int, ready: str) -> None:
    """Relay for ever."""
    asyncio.run(_relay(url, prefix, seed, ready))


async def _relay(url: str, prefix: str, seed: int, ready: str) -> None:
    random.seed(seed)
    _, events = build(url, prefix)
    Path(ready).touch()
    await events.relay()


POISON = 10
"""The order whose handler ends its process, each time."""


def poisoned(url: str, prefix: str, seed: int, ready: str) -> None:
    """Relay for ever; it ends by one event."""
    asyncio.run(_poisoned(url, prefix, seed, ready))


async def _poisoned(url: str, prefix: str, seed: int, ready: str) -> None:
    random.seed(seed)
    shop, events = build_poisoned(url, prefix)
    Path(ready).touch()
    await events.relay()


def build_poisoned(url: str, prefix: str) -> tuple[Shop, Any]:
    """As `build`; an event may start three times."""
    shop = make_shop(url, prefix)
    events = shop.dispatcher(**(OPTIONS | {"attempts": 3, "lease": 1.2}))

    @events.on(OrderPaid, name="pay")
    async def pay(event: OrderPaid, *, session: AsyncSession, attempt: int) -> None:
        await asyncio.sleep(random.random() * 0.05)
        if event.order_id == POISON:
            os._exit(9)
        await shop.add_effect(session, event.order_id, f"{attempt}")

    @events.on(OrderPaid, name="note")
    async def note(event: OrderPaid) -> None:
        await asyncio.sleep(random.random() * 0.05)

    return shop, events
