"""What is registered for after the commit, against a model that knows nothing of SQLAlchemy's events.

The model keeps a stack of what was registered in each open transaction: releasing one hands its list to the one around
it, rolling back drops it, and only the outermost commit runs anything.
"""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from interceptors.events.after_commit import call_after_commit

STEPS = st.lists(
    st.sampled_from(
        ["register", "register", "savepoint", "savepoint", "release", "undo", "execute", "commit", "rollback", "close"]
    ),
    max_size=40,
)


@dataclass
class Model:
    """What ran, and what waits: one list for the outermost transaction, one for each savepoint in it."""

    ran: list[int] = field(default_factory=list)
    waiting: list[list[int]] = field(default_factory=lambda: [[]])

    def end(self, *, committed: bool) -> None:
        if committed:
            self.ran += sorted(number for level in self.waiting for number in level)
        self.waiting = [[]]


async def run(steps: list[str], sync_session: bool) -> tuple[list[int], list[int]]:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)

    # Python's sqlite3 would begin only before the first write, and lose savepoints.
    @event.listens_for(engine.sync_engine, "connect")
    def no_begin(connection: object, record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN")  # type: ignore[attr-defined]

    ran: list[int] = []
    model = Model()
    savepoints = []
    async with AsyncSession(engine) as session:
        target: AsyncSession | Session = session.sync_session if sync_session else session
        for number, step in enumerate(steps):
            if step == "register":
                call_after_commit(target, lambda number=number: ran.append(number))  # type: ignore[misc]
                model.waiting[-1].append(number)
            elif step == "execute":
                await session.execute(text("SELECT 1"))
            elif step == "savepoint":
                savepoints.append(await session.begin_nested())
                model.waiting.append([])
            elif step == "release" and savepoints:
                await savepoints.pop().commit()
                released = model.waiting.pop()
                model.waiting[-1] += released
            elif step == "undo" and savepoints:
                await savepoints.pop().rollback()
                model.waiting.pop()
            elif step in ("commit", "rollback", "close"):
                await getattr(session, step)()
                model.end(committed=step == "commit")
                savepoints.clear()
        await session.rollback()
    await engine.dispose()
    return ran, model.ran


@given(STEPS, st.booleans())
def test_only_the_outermost_commit_runs_what_was_not_undone(steps: list[str], sync_session: bool) -> None:
    """In the order of registration, each once."""
    ran, expected = asyncio.run(run(steps, sync_session))
    assert ran == expected
