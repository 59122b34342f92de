"""The outbox with its relay."""

import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

import anyio
from pydantic import BaseModel
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.event_systems import AT_ONCE, OURS, Handled, Kind, Where
from benchmarks.event_systems.postgresql import EFFECTS, EVER, METADATA, ORDERS, OnPostgresql
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, Outbox
from interceptors.events.relay import Relay
from interceptors.events.storing import channel_of

__all__ = ["SYSTEM"]


class Happened(BaseModel):
    number: int


class Written(BaseModel):
    number: int


class Ours(OnPostgresql):
    name = OURS
    uvloop = False
    table = "outbox"
    due: ClassVar = {"due": "extract(epoch FROM clock_timestamp())", "event_id": "md5(random()::text)"}
    waiting: ClassVar = {"due": f"due + random() * {EVER}", "event_id": "md5(random()::text)"}
    # As they are when they have waited long: looked at every five minutes, each at another time.
    stuck: ClassVar = {"due": "created + random() * 300", "was_due": "created - 600", "event_id": "md5(random()::text)"}

    def __init__(self, where: Where) -> None:
        super().__init__(where)
        self.outbox = Outbox(self.sessions, metadata=METADATA, table=self.table)
        self.told = channel_of(self.outbox.table), ""
        self.events = self._dispatcher("plain", "session")

    def _dispatcher(self, *kinds: Kind) -> EventDispatcher:
        events = EventDispatcher(InterceptorRegistry(), outbox=self.outbox, relay=False)

        async def plain(event: Happened) -> None:
            self.handled(event.number)

        async def session(event: Written, session: AsyncSession) -> None:
            await session.execute(insert(EFFECTS).values(number=event.number))
            self.handled(event.number)

        if "session" in kinds:
            events.on(Written, name="session")(session)
        if "plain" in kinds or "key" in kinds:
            events.on(Happened, name="plain")(plain)
        return events

    async def open(self) -> None:
        await super().open()
        async with self.engine.begin() as connection:
            await connection.run_sync(self.outbox.table.create, checkfirst=True)

    async def publish(self, number: int, kind: Kind = "plain", *, delay: float = 0.0) -> int:
        event = Written(number=number) if kind == "session" else Happened(number=number)
        async with self.sessions() as session:
            await session.execute(insert(ORDERS).values(number=number))
            await self.events.publish(event, session=session, key="key" if kind == "key" else None, delay=delay)
            committed = time.monotonic_ns()
            await session.commit()
        return committed

    async def work(self, kind: Kind, handled: Handled) -> None:
        self.handled = handled
        await self._dispatcher(kind).relay()

    async def look(self) -> Callable[[], Awaitable[object]]:
        events = self._dispatcher("plain")
        side, outbox = events._side, self.outbox
        assert side is not None
        await self.opened.enter_async_context(events)
        relay = Relay(
            outbox.store, side.line, side.places, side.carrier, AT_ONCE, side.died, poll=outbox.poll, lease=outbox.lease
        )

        async def look() -> None:
            async with anyio.create_task_group() as running:
                await relay._look(running)

        return look


SYSTEM = Ours
