"""What an operator does with an outbox: look at it, and have events start anew, go away, or go to another handler.

Each step is a short transaction in which the rows are locked, so that relays may run beside it.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from interceptors.events.own_session import Sessions
from interceptors.events.pool import engine_of
from interceptors.events.sql import as_stored, clock, now, padded
from interceptors.events.store import Store, is_claimed, parsed
from interceptors.events.table import Claim

__all__ = ["Change", "DeadEvent", "HandlerStatus", "OutboxOperations", "OutboxRow", "Selection", "State"]

State: TypeAlias = Literal["waiting", "due", "running", "retrying", "dead"]
Change: TypeAlias = Literal["revive", "discard", "reassign"]

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that one handler failed to handle as often as it might: kept until it is revived or discarded."""

    event_id: str
    name: str
    handler: str
    key: str | None
    attempts: int
    error: str | None
    payload: Any
    """A JSON object; the text itself where that cannot be read."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A stored event for one handler. `due` and `created` are seconds since 1970, by the database's clock."""

    id: int
    event_id: str
    name: str
    handler: str
    key: str | None
    state: State
    """`waiting`: for its time, for its key, or for a handler that is known; `retrying`: tried, and not due."""
    attempts: int
    due: float
    created: float
    error: str | None
    payload: Any
    """A JSON object; the text itself where that cannot be read."""


@dataclass(frozen=True, slots=True)
class HandlerStatus:
    """The rows of one event for one handler, counted by their states."""

    event: str
    handler: str
    known: bool
    """Is the handler declared in this process?"""
    waiting: int
    due: int
    running: int
    retrying: int
    dead: int
    oldest: float | None
    """The age of the oldest row that is not dead, in seconds."""
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows an operation is for."""

    event_id: str | None = None
    ids: Sequence[int] | None = None
    handler: str | None = None
    key: str | None = None
    older_than: float | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        given = [self.event_id, self.ids, self.handler, self.key, self.older_than]
        if self.everything == any(each is not None for each in given):
            raise ValueError(
                "Say which rows: an event_id, or ids=, handler=, key=, older_than= (those that meet all of them), or "
                "all=True for each one."
            )

    def where(self, table: Table) -> list[ColumnElement[bool]]:
        """The conditions of a statement."""
        columns = table.c
        conditions = [
            None if self.event_id is None else columns.event_id == self.event_id,
            None if self.ids is None else columns.id.in_(list(self.ids)),
            None if self.handler is None else columns.handler == self.handler,
            None if self.key is None else columns.key == self.key,
            None if self.older_than is None else columns.created <= clock() - self.older_than,
        ]
        return [condition for condition in conditions if condition is not None]


class OutboxOperations:
    """The statements; `known`: (event, handler) of this process, with all names of the handler."""

    def __init__(self, sessions: Sessions, table: Table, store: Store) -> None:
        self._sessions = sessions
        self._table = table
        self._store = store
        self.known: dict[tuple[str, str], tuple[str, ...]] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """A transaction of our own, committed at the end."""
        async with self._sessions() as session:
            engine = engine_of(self._sessions, self._table)
            if engine is not None and engine.dialect.name != "sqlite":
                # At a higher level waiting for each other would end in errors, and MariaDB would lock gaps.
                options = {"isolation_level": "READ COMMITTED"}
                await session.connection(bind_arguments={"clause": self._table}, execution_options=options)
            yield session
            await session.commit()

    # -- looking -------------------------------------------------------------------------------------------------------

    async def count(self, *conditions: ColumnElement[bool]) -> int:
        """How many rows there are of a kind."""
        async with self.transaction() as session:
            return await session.scalar(select(func.count()).select_from(self._table).where(*conditions)) or 0

    async def rows(
        self, conditions: Iterable[ColumnElement[bool]], state: State | None, limit: int | None
    ) -> list[OutboxRow]:
        """Rows, by id."""
        columns, states = self._table.c, self._state()
        statement = (
            select(
                columns.id,
                columns.event_id,
                columns.name,
                columns.handler,
                columns.key,
                states.label("state"),
                columns.attempts,
                columns.due,
                columns.created,
                columns.error,
                as_stored(columns.payload).label("payload"),
            )
            .where(*conditions)
            .order_by(columns.id)
            .limit(limit)
        )
        if state is not None:
            statement = statement.where(states == state)
        async with self.transaction() as session:
            found = (await session.execute(statement)).mappings().all()
        return [OutboxRow(**{**row, "payload": _readable(row["payload"])}) for row in found]

    async def events_of(self, handler: str) -> list[str]:
        """The events that are stored for a handler."""
        columns = self._table.c
        async with self.transaction() as session:
            statement = select(columns.name).where(columns.handler == handler).distinct().order_by(columns.name)
            return list(await session.scalars(statement))

    async def status(self) -> list[HandlerStatus]:
        """The rows of each handler, counted."""
        columns, others = self._table.c, self._table.alias("others")
        state = self._state().label("state")
        counts = (
            select(columns.name, columns.handler, state, func.count(), clock() - func.min(columns.created))
            .group_by(columns.name, columns.handler, state)
            .order_by(columns.name, columns.handler)
        )
        async with self.transaction() as session:
            found = (await session.execute(counts)).all()
            errors: dict[tuple[str, str], str | None] = {}
            for place in dict.fromkeys((name, handler) for name, handler, *_ in found):
                errors[place] = await session.scalar(
                    select(others.c.error)
                    .where(others.c.name == place[0], others.c.handler == place[1], others.c.error.is_not(None))
                    .order_by(others.c.due.desc())
                    .limit(1)
                )
        told: list[HandlerStatus] = []
        for place, error in errors.items():
            numbers = {kind: (count, oldest) for *names, kind, count, oldest in found if tuple(names) == place}
            ages = [oldest for kind, (_, oldest) in numbers.items() if kind != "dead"]
            count = {kind: number for kind, (number, _) in numbers.items()}
            told.append(
                HandlerStatus(
                    event=place[0],
                    handler=place[1],
                    known=place in self.known,
                    waiting=count.get("waiting", 0),
                    due=count.get("due", 0),
                    running=count.get("running", 0),
                    retrying=count.get("retrying", 0),
                    dead=count.get("dead", 0),
                    oldest=max(ages, default=None),
                    last_error=error,
                )
            )
        return told

    async def by_handler(self, conditions: Iterable[ColumnElement[bool]]) -> dict[str, int]:
        """How many rows of each handler there are of a kind."""
        columns = self._table.c
        counts = select(columns.handler, func.count()).where(*conditions).group_by(columns.handler)
        async with self.transaction() as session:
            found = await session.execute(counts.order_by(columns.handler))
            return dict(found.all())

    def _state(self) -> ColumnElement[str]:
        columns, others = self._table.c, self._table.alias("in_front")
        is_behind = (
            select(others.c.id)
            .where(
                others.c.handler == columns.handler,
                others.c.key == columns.key,
                others.c.dead == false(),
                others.c.id < columns.id,
            )
            .order_by(others.c.id.desc())
            .limit(1)
            .correlate(self._table)
            .scalar_subquery()
        )
        is_unknown = tuple_(columns.name, columns.handler).not_in(list(self.known)) if self.known else true()
        return case(
            (columns.dead == true(), literal("dead")),
            # What was taken together with the rows in front of it is somebody's, and waits all the same.
            (and_(is_claimed(self._table), is_behind.is_(None)), literal("running")),
            (is_unknown, literal("waiting")),
            (is_behind.is_not(None), literal("waiting")),
            (columns.due <= clock(), literal("due")),
            (columns.attempts > 0, literal("retrying")),
            else_=literal("waiting"),
        )

    # -- changing ------------------------------------------------------------------------------------------------------

    def revivable(self) -> ColumnElement[bool]:
        """What is dead, or was tried and waits for its time."""
        columns = self._table.c
        retrying = and_(columns.claim == Claim.FREE, columns.attempts > 0, columns.due > clock())
        return or_(columns.dead == true(), retrying)

    def discardable(self, selection: Selection) -> ColumnElement[bool]:
        """What is dead; of what was chosen by its id whatever does not run."""
        return self._table.c.dead == true() if selection.ids is None else self.not_running()

    def conditions(self, selection: Selection, change: Change | None) -> list[ColumnElement[bool]]:
        """The rows of a selection; with a change those to which it can be made."""
        where = selection.where(self._table)
        if change == "revive":
            where.append(self.revivable())
        elif change == "discard":
            where.append(self.discardable(selection))
        elif change == "reassign":
            where.append(self.not_running())
        return where

    def not_running(self) -> ColumnElement[bool]:
        """What is nobody's now."""
        return or_(not_(is_claimed(self._table)), self._table.c.dead == true())

    async def revive(self, selection: Selection) -> list[int]:
        """Have dead rows start anew, and others be due; gives their ids."""
        columns = self._table.c
        attempts = case((columns.dead == true(), 0), else_=columns.attempts)
        return await self._change(
            [*selection.where(self._table), self.revivable()],
            (columns.attempts, attempts),
            (columns.spared, case((columns.dead == true(), 0), else_=columns.spared)),
            (columns.dead, false()),
            (columns.claim, literal(int(Claim.FREE))),
            (columns.due, now()),
            (columns.was_due, null()),
        )

    async def reassign(self, handler: str, to: str) -> list[int]:
        """Give the rows of a handler to another one."""
        columns = self._table.c
        return await self._change([columns.handler == handler, self.not_running()], (columns.handler, literal(to)))

    async def discard(self, conditions: Sequence[ColumnElement[bool]]) -> list[int]:
        """Delete rows; gives their ids."""
        done: list[int] = []
        while True:
            async with self.transaction() as session:
                found = await self._locked(session, conditions)
                if not found:
                    return done
                ids = [row.id for row in found]
                await session.execute(delete(self._table).where(self._table.c.id.in_(padded(ids))))
                keys = [
                    (name, row.key)
                    for row in found
                    if row.key is not None
                    for name in self.known.get((row.name, row.handler), (row.handler,))
                ]
                await self._store.release(session, keys)
                done += ids

    async def replay(self, ids: Sequence[int]) -> list[int]:
        """Store the events of rows once more, each under a new event_id."""
        columns = self._table.c
        async with self.transaction() as session:
            found = await session.execute(select(columns.id).where(columns.id.in_(ids)).order_by(columns.id))
            done = list(found.scalars())
            for id in done:
                new = {"event_id": literal(uuid4().hex), "created": now(), "due": now(), "was_due": null()}
                new |= {
                    "claim": literal(0),
                    "token": literal(0),
                    "attempts": literal(0),
                    "spared": literal(0),
                    "dead": false(),
                    "error": null(),
                }
                names = [column.name for column in columns if not column.primary_key]
                values: list[Any] = [new.get(name, columns[name]) for name in names]
                row = select(*values).where(columns.id == id)
                await session.execute(insert(self._table).from_select(names, row))
            return done

    async def _change(
        self, conditions: Sequence[ColumnElement[bool]], *values: tuple[ColumnElement[Any], Any]
    ) -> list[int]:
        columns, done, last = self._table.c, list[int](), 0
        while True:
            async with self.transaction() as session:
                found = await self._locked(session, [*conditions, columns.id > last])
                if not found:
                    return done
                ids = [row.id for row in found]
                changed = update(self._table).where(columns.id.in_(padded(ids)))
                await session.execute(changed.ordered_values(*values, (columns.token, columns.token + 1)))
                done, last = done + ids, ids[-1]

    async def _locked(
        self, session: AsyncSession, conditions: Sequence[ColumnElement[bool]]
    ) -> Sequence[Row[int, str, str, str | None]]:
        columns = self._table.c
        if session.get_bind(clause=self._table).dialect.name == "sqlite":  # a transaction that writes, writes first
            await session.execute(update(self._table).where(false()).values(claim=0))
        statement = (
            select(columns.id, columns.name, columns.handler, columns.key)
            .where(*conditions)
            .order_by(columns.id)
            .limit(_AT_ONCE)
            .with_for_update()
        )
        return (await session.execute(statement)).all()


def _readable(stored: str | bytes) -> Any:
    """A payload for people: its text where it cannot be read."""
    try:
        return parsed(stored)
    except (ValueError, TypeError, RecursionError):
        return stored.decode("utf-8", "backslashreplace") if isinstance(stored, bytes) else stored
