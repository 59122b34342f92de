"""After the outermost commit: cases beside those that are made up in tests/property/test_events_after_commit.py."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Column, Integer, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher
from interceptors.events.after_commit import call_after_commit
from tests.unit.events.test_in_process import Paid


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id = Column(Integer, primary_key=True)


@pytest.fixture
async def session(tmp_path: Any) -> AsyncIterator[AsyncSession]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


async def test_a_savepoint_within_a_flush(session: AsyncSession) -> None:
    """The flush's own transaction owns nothing: what is released goes to the outermost."""
    ran: list[int] = []

    @event.listens_for(session.sync_session, "after_flush")
    def flushed(sync: Any, context: Any) -> None:
        savepoint = sync.begin_nested()
        call_after_commit(sync, lambda: ran.append(1))
        savepoint.commit()

    session.add(Row(id=1))
    await session.flush()
    assert ran == []
    await session.commit()
    assert ran == [1]


async def test_a_commit_that_fails(session: AsyncSession) -> None:
    """Nothing runs, then or later."""
    ran: list[int] = []
    session.add(Row(id=1))
    await session.commit()
    call_after_commit(session, lambda: ran.append(1))
    await session.execute(text("SELECT 1"))
    session.add(Row(id=1))
    with pytest.raises(IntegrityError):
        await session.commit()
    await session.rollback()
    await session.commit()
    assert ran == []


async def test_publishing_in_process_waits_for_the_commit(
    session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler sees what was committed; if the dispatcher was left meanwhile that is logged, and nothing raised."""
    sessions = async_sessionmaker(session.bind)
    events = EventDispatcher(InterceptorRegistry(), sessions=sessions)
    seen: list[int] = []

    @events.on(Paid)
    async def handle(paid: Paid, session: AsyncSession) -> None:
        seen.append(await session.scalar(text("SELECT count(*) FROM rows")) or 0)
        session.add(Row(id=100 + paid.order_id))

    @events.on(Paid)
    async def failing(paid: Paid, database: AsyncSession) -> None:
        database.add(Row(id=200 + paid.order_id))
        await database.flush()
        raise ValueError

    async with events:
        session.add(Row(id=1))
        await events.publish(Paid(order_id=1), session=session)
        await session.flush()
        assert seen == []
        await session.commit()
    assert seen == [1]
    assert list((await session.scalars(text("SELECT id FROM rows ORDER BY id"))).all()) == [1, 101]
    caplog.clear()

    await session.rollback()
    async with events:
        await events.publish(Paid(order_id=2), session=session)
    await session.commit()
    assert seen == [1]
    (record,) = caplog.records
    assert "Paid" in record.getMessage() and "not delivered" in record.getMessage()
