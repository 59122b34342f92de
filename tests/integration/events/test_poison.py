"""An event that kills its process at every attempt takes no other one along."""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.events import doomed
from tests.integration.events.shop import OrderPaid, database_url, shop_at
from tests.integration.events.test_killed_processes import start

pytestmark = pytest.mark.slow

AT_ONCE = 30


@pytest.mark.parametrize(
    ("database", "keyed", "relays"),
    [
        ("postgresql", True, 1),
        ("postgresql", True, 2),
        ("postgresql", False, 1),
        ("postgresql", False, 2),
        ("mysql", True, 2),
        ("mysql", False, 1),
        ("sqlite", True, 1),
        ("sqlite", False, 2),
    ],
)
async def test_only_the_event_that_kills_its_process_dies(
    database: str, keyed: bool, relays: int, tmp_path: Path
) -> None:
    """After a crash in which others ran, too, it starts alone, as often as it may; what is published meanwhile runs, too."""
    dice = random.Random(f"{database} {keyed} {relays}")
    async with shop_at(database_url(database, tmp_path)) as shop:
        own, events = doomed.build_poisoned(shop.url, shop.prefix)
        outbox = events._outbox
        published = 0

        async def publish() -> None:
            nonlocal published
            async with shop.sessions() as session:
                for number in range(published, published + AT_ONCE):
                    key = f"k{number % 5}" if keyed or number % 2 else None
                    await events.publish(OrderPaid(order_id=number), session=session, key=key)
                await session.commit()
            published += AT_ONCE

        running: list[Any] = []
        crashes, began = 0, time.monotonic()
        await publish()
        try:
            while await outbox.pending():
                assert time.monotonic() - began < 60
                for process in running[:]:
                    if not process.is_alive():
                        running.remove(process)
                        crashes += 1
                        await publish()
                while len(running) < relays:
                    running.append(start(doomed.poisoned, shop, dice.randrange(10**6), tmp_path))
                time.sleep(0.01)
        finally:
            for process in running:
                process.kill()
                process.join()
        dead = await outbox.dead()
        effects = Counter(await shop.all_effects())
        async with shop.sessions() as session:
            attempts = Counter(await session.scalars(select(shop.effects.c.what)))
        await own.engine.dispose()
    print(
        f"{database}, keyed={keyed}, {relays} relays: {crashes} crashes, {time.monotonic() - began:.1f} s, {attempts}"
    )
    assert [(each.payload["order_id"], each.handler) for each in dead] == [(doomed.POISON, "pay")]
    assert effects == Counter({number: 1 for number in range(published) if number != doomed.POISON})
    assert 3 <= crashes <= 4
