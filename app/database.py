"""The engine, and what happens on first start."""

from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.models import Base
from app.seeds import plant

Sessions = async_sessionmaker[AsyncSession]


def create_engine(url: str) -> AsyncEngine:
    """Make the engine; nothing connects yet."""
    # What is stored are the customers' own matters: no error that is logged shall tell them.
    if make_url(url).get_backend_name() != "sqlite":
        return create_async_engine(url, hide_parameters=True)
    # SQLite has one writer, and under load it takes more than the usual 5 seconds until it is one's turn.
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": 30})
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # Readers do not wait for the writer, nor it for them.
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


async def prepare(engine: AsyncEngine, sessions: Sessions) -> None:
    """Create what is missing: the file's folder, the tables, the first books and accounts."""
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as session:
        await plant(session)
