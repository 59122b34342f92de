"""A project whose outbox has a row in each state, for the tests of `outbox`."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interceptors.cli.loading import loading
from tests.unit.cli.helpers import write

APP = """
    import os

    from pydantic import BaseModel
    from sqlalchemy import MetaData, update
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

    from interceptors import InterceptorRegistry
    from interceptors.events import EventDispatcher, Outbox
    from interceptors.events.sql import now
    from interceptors.events.table import Claim

    engine = create_async_engine(os.environ.get("SHOP_URL", "sqlite+aiosqlite:///shop.db"))
    sessions = async_sessionmaker(engine)
    metadata = MetaData()

    def outbox_of_shop(metadata):
        name = os.environ.get("SHOP_TABLE", "interceptors_outbox")
        return Outbox(sessions, metadata=metadata, table=name, attempts=1, backoff=1e6, max_backoff=1e6)

    outbox = outbox_of_shop(metadata)
    events = EventDispatcher(InterceptorRegistry(), outbox=outbox, relay=False)
    before = EventDispatcher(InterceptorRegistry(), outbox=outbox_of_shop(MetaData()), relay=False)
    silent = EventDispatcher(InterceptorRegistry(), outbox=outbox_of_shop(MetaData()), relay=False)
    bare = EventDispatcher(InterceptorRegistry())
    number = 5

    class Paid(BaseModel):
        n: int

    class Shipped(BaseModel):
        n: int

    @events.on(Paid, name="shop.mail")
    async def mail(event: Paid) -> None:
        raise ConnectionError("smtp is down\\nport 25")

    @events.on(Shipped, name="shop.stock", attempts=5)
    async def stock(event: Shipped) -> None:
        raise LookupError("no such article")

    @before.on(Shipped, name="shop.warehouse")
    async def warehouse(event: Shipped) -> None: ...

    async def create():
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def change(id, **values):
        async with sessions.begin() as session:
            await session.execute(update(outbox.table).where(outbox.table.c.id == id).values(values))

    async def fill():
        await create()
        await events.publish(Paid(n=1), key="order:1")     # 1: dead
        await events.publish(Shipped(n=2), key="order:2")  # 2: retrying
        await events.relay(once=True)
        await events.publish(Shipped(n=3), key="order:2")  # 3: waiting for its key
        await events.publish(Paid(n=4))                    # 4: due
        await events.publish(Paid(n=5))                    # 5: running
        await before.publish(Shipped(n=6))                 # 6: waiting for a handler that is not known
        await events.publish(Paid(n=7), delay=630)         # 7: waiting for its time
        for id in range(1, 8):
            await change(id, created=now() - 200)          # three minutes, for another 40 seconds
        await change(2, due=now() + 630)
        await change(3, due=now() + 630)
        await change(5, due=now() + 3600, claim=Claim.RUNNING)
"""


def write_project(folder: Path) -> None:
    write(folder, {"app/__init__.py": "", "app/main.py": APP, "app/broken.py": "raise ValueError('no\\nway')"})


def in_project(work: Callable[[Any], Any]) -> Any:
    """What something with the module `app.main` gives; no connection stays open."""

    async def run() -> Any:
        with loading("app.main:events"):
            main = sys.modules["app.main"]
        try:
            return await work(main)
        finally:
            await main.engine.dispose()

    return asyncio.run(run())


def states() -> dict[int, str]:
    """The state of each row, by its id."""

    async def look(main: Any) -> dict[int, str]:
        return {row.id: row.state for row in await main.outbox.list()}

    return in_project(look)


ALL = {1: "dead", 2: "retrying", 3: "waiting", 4: "due", 5: "running", 6: "waiting", 7: "waiting"}
