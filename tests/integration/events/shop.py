"""What the tests of stored events share: databases with tables of their own, an outbox, and a table of effects."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, Outbox
from tests.integration.connectors.servers import server_url

URLS = {
    "postgresql": "postgresql+asyncpg://postgres@127.0.0.1:5432/test",
    "mysql": "mysql+asyncmy://root@127.0.0.1:3306/test",
}


class OrderPaid(BaseModel):
    order_id: int


class OrderShipped(BaseModel):
    order_id: int


@dataclass
class Shop:
    """One process's view of a database: outboxes made by it share the table."""

    url: str
    prefix: str
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    metadata: MetaData
    orders: Table
    effects: Table

    def outbox(self, **options: Any) -> Outbox:
        options = {"backoff": 0.02, "lease": 5.0, "poll": 0.05} | options
        return Outbox(self.sessions, metadata=self.metadata, table=f"{self.prefix}_outbox", **options)

    def dispatcher(self, registry: InterceptorRegistry | None = None, **options: Any) -> EventDispatcher:
        outbox = options.pop("outbox", None)
        if outbox is None:
            named = ("attempts", "backoff", "max_backoff", "lease", "poll")
            outbox = self.outbox(**{name: options.pop(name) for name in named if name in options})
        return EventDispatcher(registry or InterceptorRegistry(), outbox=outbox, **options)

    async def add_effect(self, session: AsyncSession, order_id: int, what: str = "paid") -> None:
        await session.execute(insert(self.effects).values(order_id=order_id, what=what))

    async def all_effects(self) -> list[int]:
        """The order ids for which something was done, in that order."""
        async with self.sessions() as session:
            return list(await session.scalars(select(self.effects.c.order_id).order_by(self.effects.c.id)))

    async def rows(self, outbox: Outbox) -> list[Any]:
        async with self.sessions() as session:
            return list((await session.execute(select(outbox.table).order_by(outbox.table.c.id))).all())


def make_shop(url: str, prefix: str, **engine_options: Any) -> Shop:
    metadata = MetaData()
    orders = Table(f"{prefix}_orders", metadata, Column("id", Integer, primary_key=True, autoincrement=False))
    effects = Table(
        f"{prefix}_effects",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("order_id", Integer, nullable=False),
        Column("what", String(50), nullable=False),
        sqlite_autoincrement=True,
    )
    if url.startswith("sqlite"):  # on a busy machine a writer may have to wait for long
        engine_options.setdefault("connect_args", {"timeout": 60})
    engine = create_async_engine(url, **engine_options)
    shop = Shop(url, prefix, engine, async_sessionmaker(engine), metadata, orders, effects)
    shop.outbox()
    return shop


@asynccontextmanager
async def shop_at(url: str, **engine_options: Any) -> AsyncIterator[Shop]:
    """A shop with its tables, which are dropped afterwards."""
    shop = make_shop(url, f"ev_{os.getpid()}_{uuid.uuid4().hex[:8]}", **engine_options)
    async with shop.engine.begin() as connection:
        await connection.run_sync(shop.metadata.create_all)
    try:
        yield shop
    finally:
        await shop.engine.dispose()
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(shop.metadata.drop_all)
        await engine.dispose()


def database_url(name: str, folder: Path) -> str:
    return server_url(name, URLS[name]) if name in URLS else f"sqlite+aiosqlite:///{folder / 'shop.db'}"


@pytest.fixture(params=["postgresql", "mysql", "sqlite"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop_at(database_url(request.param, tmp_path)) as shop:
        yield shop


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop_at(database_url("postgresql", tmp_path)) as shop:
        yield shop


async def until(condition: Callable[[], Awaitable[object] | object], *, patience: float = 60.0) -> None:
    """Wait until something holds that other tasks or processes bring about."""
    end = time.monotonic() + patience
    while True:
        holds = condition()
        if isinstance(holds, Awaitable):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < end, "it has not happened"
        await asyncio.sleep(0.01)


async def until_done(outbox: Outbox, *, patience: float = 60.0) -> None:
    """Wait until nothing is pending."""

    async def is_done() -> bool:
        return await outbox.pending() == 0

    await until(is_done, patience=patience)
