"""The relay's statements on the outbox's table, each on a connection in whose transaction it is one of few.

`token` counts the claims of a row: whoever finds another number there has been overtaken. `due` is when a row is looked
at: to be started, or again, because its lease has run out or because it stands behind another one of its key.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Executable,
    RowMapping,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    null,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from interceptors.events.sql import LostRaceError, as_stored, clock, now, padded
from interceptors.events.table import COMPANY, Claim

__all__ = ["LANE", "HandlerRows", "Store", "StoredEvent", "Taken", "is_claimed", "parsed"]

_KILLED = "The process ended, or lost its lease, during the last attempt."
LANE = 25
"""How many rows of one key are taken at once, to run one after the other."""
_SHORTEST, _LONGEST = 1.0, 300.0  # how long a row is put behind another one of its key


@dataclass(frozen=True, slots=True)
class HandlerRows:
    """Under which event and name rows of a handler are stored that is known here; an alias is a place of its own."""

    event: str
    handler: str
    names: tuple[str, ...]
    """All names of the handler: what stands before a row may have another one of them."""
    events: tuple[str, ...]
    """All events that it handles here."""
    attempts: int
    """How often it may start."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row that is ours for a lease."""

    id: int
    event_id: str
    name: str
    handler: str
    key: str | None
    payload: Any
    attempt: int
    """The number of this start, or of the start that is asked for."""
    spared: int
    """How many starts do not count."""
    token: int
    error: str | None
    """What was wrong at the last attempt."""


class Taken(NamedTuple):
    """What a look found."""

    lanes: list[list[StoredEvent]]
    """Rows that are ours now; those of one key in a list of their own, in which they run one after the other."""
    died: list[StoredEvent]
    """Rows that may not start any more, or cannot be read, and are dead now."""
    put_behind: int
    """How many rows were found that stand behind others of their key."""
    suspects: int
    """How many rows were left because they have to start alone."""


class Store:
    """The statements; `lease`: for how many seconds a claim lasts."""

    def __init__(self, table: Table, lease: float) -> None:
        self.table = table
        self._lease = lease
        self._looks: dict[HandlerRows, Select[*tuple[Any, ...]]] = {}
        self._probes: dict[tuple[HandlerRows, ...], Select[Any]] = {}

    # -- looking -------------------------------------------------------------------------------------------------------

    async def next_due(self, connection: AsyncConnection, places: tuple[HandlerRows, ...]) -> list[float | None]:
        """In how many seconds the first row of each place is due; None where there is none."""
        if places not in self._probes:
            self._probes = {places: self._probe(places)}
        first = (await connection.execute(self._probes[places])).one()
        return [None if due is None else due - first[-1] for due in first[:-1]]

    def _probe(self, places: Sequence[HandlerRows]) -> Select[Any]:
        columns = self.table.c
        return select(
            *[
                select(func.min(columns.due))
                .where(columns.handler == place.handler, columns.name == place.event, columns.dead == false())
                .scalar_subquery()
                for place in places
            ],
            clock(),
        )

    async def take(
        self,
        connection: AsyncConnection,
        place: HandlerRows,
        limit: int,
        *,
        reads: int,
        busy: Collection[str | None],
        starts: bool,
        for_suspect: bool,
        owner: str,
    ) -> Taken:
        """Take rows of a place that are due, oldest first, for at most `limit` lanes. Raises LostRaceError.

        `reads`: how many are looked at. `busy`: keys of which something of the handler runs here. `starts`: a claim is
        a start, and counts as an attempt. `for_suspect`: take rows that were running when their process died, which
        otherwise are left. `owner`: this process. A row that was started as often as it may is dead from now on.
        """
        if place not in self._looks:
            self._looks[place] = self._look(place)
        rows = (await connection.execute(self._looks[place], {"limit": reads})).mappings().all()
        company = await self._in_company(connection, rows)
        look = _Look(place, limit, busy, company, starts=starts, for_suspect=for_suspect)
        for row in rows:
            may_be_back = row["key"] is not None and row["token"] > 0 and _previous(row) is None
            look.add(row, is_blocked=may_be_back and await self._runs(connection, place, row))
        if look.claimed:
            await self._claim(connection, look.claimed, owner if starts else None)
        if look.died:
            await self._bury(connection, place, look.died)
        put_behind = await self._put_behind(connection, place, look.behind, busy) if look.behind else 0
        return Taken(list(look.lanes.values()), look.died, put_behind, look.suspects)

    def _look(self, place: HandlerRows) -> Select[*tuple[Any, ...]]:
        columns = self.table.c
        return (
            self._columns(place)
            .where(
                columns.handler == place.handler,
                columns.name == place.event,
                columns.dead == false(),
                columns.due <= clock(),
            )
            .order_by(columns.due, columns.id)
            .limit(bindparam("limit"))
            .with_for_update(skip_locked=True)
        )

    def _columns(self, place: HandlerRows) -> Select[*tuple[Any, ...]]:
        columns = self.table.c
        return select(
            columns.id,
            columns.event_id,
            columns.name,
            columns.handler,
            columns.key,
            as_stored(columns.payload).label("payload"),
            columns.attempts,
            columns.spared,
            columns.claim,
            columns.owner,
            columns.token,
            columns.error,
            *[self._before(place, name).label(f"before_{i}") for i, name in enumerate(place.names)],
        )

    def _before(self, place: HandlerRows, name: str) -> ScalarSelect[int]:
        """The row of a row's key, and of this name of its handler, that stands right before it."""
        columns, others = self.table.c, self.table.alias("others")
        return (
            select(others.c.id)
            .where(
                others.c.handler == name,
                others.c.key == columns.key,
                others.c.dead == false(),
                others.c.id < columns.id,
                others.c.name == place.event if len(place.events) == 1 else others.c.name.in_(place.events),
            )
            .order_by(others.c.id.desc())
            .limit(1)
            .correlate(self.table)
            .scalar_subquery()
        )

    async def _runs(self, connection: AsyncConnection, place: HandlerRows, row: RowMapping) -> bool:
        """Does anything of a row's key run? It may where the row came back in front of others: revived, or reassigned."""
        columns = self.table.c
        found = await connection.execute(
            select(columns.id)
            .where(
                columns.handler.in_(place.names),
                columns.key == row["key"],
                columns.dead == false(),
                columns.id != row["id"],
                is_claimed(self.table),
            )
            .limit(1)
        )
        return found.first() is not None

    async def _in_company(self, connection: AsyncConnection, rows: Sequence[RowMapping]) -> set[str]:
        """The owners that have died while more than one row was running. All their rows are told so."""
        columns = self.table.c
        owners = {row["owner"] for row in rows if row["claim"] == Claim.RUNNING}
        if not owners - {COMPANY}:
            return owners
        several = select(columns.owner).where(columns.owner.in_(owners), columns.claim == Claim.RUNNING)
        found = await connection.execute(several.group_by(columns.owner).having(func.count() > 1))
        company = {COMPANY, *found.scalars()}
        theirs = and_(columns.owner.in_(company), columns.claim == Claim.RUNNING)
        await connection.execute(update(self.table).where(theirs).values(owner=COMPANY))
        return company

    async def _claim(self, connection: AsyncConnection, rows: Sequence[StoredEvent], owner: str | None) -> None:
        """`owner=None`: they are sent, and no attempt is counted."""
        columns = self.table.c
        in_company = and_(columns.claim == Claim.RUNNING, columns.owner == COMPANY)
        spared = columns.spared + case((in_company, 1), else_=0)
        attempts = columns.attempts + (0 if owner is None else 1)
        if owner is None:
            alone = columns.claim.in_([Claim.RUNNING, Claim.SENT_ALONE])
            claim: Any = case((alone, literal(int(Claim.SENT_ALONE))), else_=literal(int(Claim.SENT)))
        else:
            claim = Claim.RUNNING
        await self._change_all(
            connection,
            [row.id for row in rows],
            (columns.spared, spared),  # first: MariaDB uses what was set before
            (columns.attempts, attempts),
            (columns.token, columns.token + 1),
            (columns.claim, claim),
            (columns.owner, owner),
            (columns.due, now() + self._lease),
            (columns.was_due, null()),
        )

    async def _bury(self, connection: AsyncConnection, place: HandlerRows, rows: Sequence[StoredEvent]) -> None:
        columns = self.table.c
        for row in rows:
            await connection.execute(
                update(self.table)
                .where(columns.id == row.id)
                .values(dead=True, claim=Claim.FREE, token=columns.token + 1, was_due=None, due=now(), error=row.error)
            )
        await self.release(connection, [(name, row.key) for row in rows if row.key is not None for name in place.names])

    async def _put_behind(
        self, connection: AsyncConnection, place: HandlerRows, ids: Sequence[int], busy: Collection[str | None]
    ) -> int:
        """Look at them later: at least as long again as they have waited, so that few looks come upon them.

        Asked again, while they are locked: who ended what they wait for meanwhile releases them after this.
        """
        columns = self.table.c
        before = [self._before(place, name).label(f"before_{i}") for i, name in enumerate(place.names)]
        found = await connection.execute(select(columns.id, columns.key, *before).where(columns.id.in_(padded(ids))))
        behind = [
            row["id"]
            for row in found.mappings().all()
            if _previous(row) is not None or row["key"] in busy or await self._runs(connection, place, row)
        ]
        if not behind:
            return 0
        waited = now() - func.coalesce(columns.was_due, columns.due)
        longer = case((waited < _SHORTEST, _SHORTEST), (waited > _LONGEST, _LONGEST), else_=waited)
        await self._change_all(
            connection,
            behind,
            (columns.was_due, func.coalesce(columns.was_due, columns.due)),
            (columns.due, now() + longer),
        )
        return len(behind)

    async def start(
        self,
        connection: AsyncConnection,
        places: Sequence[HandlerRows],
        id: int,
        attempt: int,
        owner: str,
        *,
        alone: bool,
    ) -> StoredEvent | Claim | None:
        """Start one attempt of a row that was sent to be started; None if it was not, or was already.

        SENT_ALONE if it may start only `alone`.
        """
        columns = self.table.c
        names = (
            await connection.execute(
                select(columns.name, columns.handler).where(columns.id == id, columns.attempts == attempt - 1)
            )
        ).one_or_none()
        place = next((p for p in places if names is not None and (p.event, p.handler) == tuple(names)), None)
        if place is None:
            return None
        found = await connection.execute(
            self._columns(place)
            .where(
                columns.id == id,
                columns.attempts == attempt - 1,
                columns.dead == false(),
                columns.claim.in_([Claim.SENT, Claim.SENT_ALONE]),
            )
            .with_for_update(skip_locked=True)
        )
        row = found.mappings().one_or_none()
        if row is None or _previous(row) is not None:
            return None
        if row["claim"] == Claim.SENT_ALONE and not alone:
            return Claim.SENT_ALONE
        event = _event(row)
        await self._claim(connection, [event], owner)
        return event

    # -- while it is ours ----------------------------------------------------------------------------------------------

    async def renew(self, connection: AsyncConnection, events: Sequence[StoredEvent]) -> set[int]:
        """Prolong the leases; gives the ids that are not ours any more."""
        ours = self._ours(events)
        done = await self._execute(connection, update(self.table).where(ours).values(due=now() + self._lease))
        if done == len(events):
            return set()
        kept = await connection.scalars(select(self.table.c.id).where(ours))
        return {event.id for event in events} - set(kept)

    async def settle(self, connection: AsyncConnection, events: Sequence[StoredEvent]) -> int:
        """Delete rows that are done; gives how many were ours still."""
        return await self._execute(connection, delete(self.table).where(self._ours(events)))

    async def release(self, connection: AsyncConnection | AsyncSession, keys: Sequence[tuple[str, str]]) -> None:
        """Have the next rows of (handler, key) looked at, which stood behind one that is gone.

        Also if they have not been put behind it yet: it may happen in this very moment.
        """
        columns, others = self.table.c, self.table.alias("others")
        first = (
            select(others.c.id)
            .where(
                others.c.handler == bindparam("of_handler"), others.c.key == bindparam("of_key"),
                others.c.dead == false(),
            )
            .order_by(others.c.id)
            .limit(LANE)
            .subquery("first")
        )  # fmt: skip
        statement = (
            update(self.table)
            .where(columns.id.in_(select(first.c.id)))
            .ordered_values((columns.due, func.coalesce(columns.was_due, columns.due)), (columns.was_due, null()))
        )
        for handler, key in dict.fromkeys(keys):
            await connection.execute(statement, {"of_handler": handler, "of_key": key})

    async def change(self, connection: AsyncConnection, id: int, token: int, **values: object) -> bool:
        """Change a row if it is ours still."""
        columns = self.table.c
        ours = and_(columns.id == id, columns.token == token, columns.dead == false())
        return bool(await self._execute(connection, update(self.table).where(ours).values(**values)))

    async def put_back(self, connection: AsyncConnection, event: StoredEvent, delay: float, **values: object) -> bool:
        """Give a row back: it is due again after `delay`, or dead. False if it was not ours any more."""
        values = {"due": now() + delay, "claim": Claim.FREE, **values}
        return await self.change(connection, event.id, event.token, **values)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _ours(self, events: Sequence[StoredEvent]) -> ColumnElement[bool]:
        columns, events = self.table.c, padded(events)
        ids = columns.id.in_([event.id for event in events])  # the part that has an index everywhere
        tokens = tuple_(columns.id, columns.token).in_([(event.id, event.token) for event in events])
        return and_(ids, tokens, columns.dead == false())

    async def _change_all(
        self, connection: AsyncConnection, ids: Sequence[int], *values: tuple[ColumnElement[Any], Any]
    ) -> None:
        changed = update(self.table).where(self.table.c.id.in_(padded(ids))).ordered_values(*values)
        if await self._execute(connection, changed) != len(ids):
            raise LostRaceError

    async def _execute(self, connection: AsyncConnection | AsyncSession, statement: Executable) -> int:
        return cast("CursorResult[Any]", await connection.execute(statement)).rowcount


def is_claimed(table: Table) -> ColumnElement[bool]:
    """Is a row somebody's now? Not if its claim has run out, also where it was put behind another one after that."""
    columns = table.c
    return and_(columns.claim != Claim.FREE, columns.was_due.is_(None), columns.due > clock())


def parsed(stored: str | bytes) -> dict[str, Any]:
    """A payload. Raises ValueError or RecursionError for what is none."""
    payload = json.loads(stored)
    if not isinstance(payload, dict):
        raise TypeError(f"it is no JSON object but {type(payload).__name__}")
    return cast("dict[str, Any]", payload)


def _previous(row: RowMapping) -> int | None:
    found = [value for name, value in row.items() if name.startswith("before_") and value is not None]
    return max(found, default=None)


def _event(row: RowMapping, *, is_spared: bool = False) -> StoredEvent:
    """A row as an event. One that cannot be read has no payload, and the reason as its error."""
    payload, error = None, row["error"]
    try:
        payload = parsed(row["payload"])
    except (ValueError, TypeError, RecursionError) as unreadable:
        error = f"The payload cannot be read: {type(unreadable).__name__}: {str(unreadable)[:500]}"
    return StoredEvent(
        id=row["id"],
        event_id=row["event_id"],
        name=row["name"],
        handler=row["handler"],
        key=row["key"],
        payload=payload,
        attempt=row["attempts"] + 1,
        spared=row["spared"] + is_spared,
        token=row["token"] + 1,
        error=error,
    )


class _Look:
    """Sorts the rows that a look has found."""

    def __init__(
        self,
        place: HandlerRows,
        limit: int,
        busy: Collection[str | None],
        company: set[str],
        *,
        starts: bool,
        for_suspect: bool,
    ) -> None:
        self._place = place
        self._limit = limit
        self._busy = busy
        self._company = company
        self._starts = starts
        self._for_suspect = for_suspect
        self.lanes: dict[object, list[StoredEvent]] = {}
        self.died: list[StoredEvent] = []
        self.behind: list[int] = []
        self.suspects = 0

    @property
    def claimed(self) -> list[StoredEvent]:
        return [event for lane in self.lanes.values() for event in lane]

    def add(self, row: RowMapping, *, is_blocked: bool = False) -> None:
        key, before = row["key"], _previous(row)
        lane = self.lanes.get(key) if key is not None else None
        follows = lane is not None and before == lane[-1].id and self._starts and not self._for_suspect
        if key is not None and not follows and (before is not None or is_blocked or key in self._busy):
            self.behind.append(row["id"])
            return
        is_suspect = row["claim"] == Claim.RUNNING
        event = _event(row, is_spared=is_suspect and row["owner"] in self._company)
        if event.attempt - event.spared > self._place.attempts:
            self.died.append(replace(event, error=event.error or _KILLED))
        elif event.payload is None:
            self.died.append(event)
        elif self._starts and is_suspect != self._for_suspect:
            self.suspects += not self._for_suspect
        elif lane is not None and len(lane) < LANE:
            lane.append(event)
        elif lane is None and len(self.lanes) < self._limit:
            self.lanes[event.id if key is None else key] = [event]
