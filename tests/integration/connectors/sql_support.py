"""Engines on each server, with tables of their own that are dropped afterwards."""

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Numeric, String, Table, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import registry, relationship

from interceptors.connectors.sqlalchemy import SQLConnector
from tests.integration.connectors.servers import server_url

URLS = {
    "postgresql": "postgresql+asyncpg://postgres@127.0.0.1:5432/test",
    "mysql": "mysql+asyncmy://root@127.0.0.1:3306/test",
}


@dataclass
class Database:
    name: str
    url: str
    engine: AsyncEngine
    metadata: MetaData
    users: Table
    posts: Table
    User: Any
    Post: Any

    def another_engine(self, **options: Any) -> AsyncEngine:
        return create_async_engine(self.url, **options)

    def session(self, **options: Any) -> AsyncSession:
        return AsyncSession(self.engine, expire_on_commit=False, **options)

    async def fill(self, *names: str) -> None:
        async with self.engine.begin() as connection:
            for name in names:
                await connection.execute(self.users.insert().values(name=name))

    async def names(self) -> list[str]:
        """Read on an engine that is not hooked."""
        engine = self.another_engine()
        try:
            async with engine.connect() as connection:
                return [
                    row[0] for row in await connection.execute(text(f"SELECT name FROM {self.users.name} ORDER BY id"))
                ]
        finally:
            await engine.dispose()

    async def assert_healthy(self) -> None:
        """Every connection was given back, and the pool gives usable ones."""
        for _ in range(3):
            async with self.engine.connect() as connection:
                assert (await connection.execute(text("SELECT 1"))).scalar() == 1
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def _database(name: str, url: str) -> AsyncIterator[Database]:
    unique = f"{os.getpid()}_{uuid.uuid4().hex[:8]}"
    metadata = MetaData()
    users = Table(
        f"u_{unique}",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(50), unique=True),
        Column("credit", Numeric(10, 2)),
    )
    posts = Table(
        f"p_{unique}",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", ForeignKey(users.c.id)),
        Column("title", String(50)),
    )
    mapper = registry()

    class Post:
        pass

    class User:
        pass

    mapper.map_imperatively(Post, posts)
    mapper.map_imperatively(User, users, properties={"posts": relationship(Post, order_by=posts.c.id)})
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    try:
        yield Database(name, url, engine, metadata, users, posts, User, Post)
    finally:
        await engine.dispose()
        mapper.dispose()
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
        await engine.dispose()


@pytest.fixture(params=["postgresql", "mysql", "sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    name: str = request.param
    url = server_url(name, URLS[name]) if name in URLS else f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    async for each in _database(name, url):
        yield each


@pytest.fixture
def db(database: Database) -> SQLConnector:
    return SQLConnector(database.engine)
