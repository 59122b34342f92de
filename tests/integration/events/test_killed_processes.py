"""Processes are killed at any point: nothing that was committed is lost, nothing is done twice.

INTERCEPTORS_KILL_ROUNDS says how many processes each of these tests kills.
"""

import multiprocessing
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.events import doomed
from tests.integration.events.shop import Shop, database_url, shop_at, until_done

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("INTERCEPTORS_KILL_ROUNDS", "3"))
SEED = int(os.environ.get("INTERCEPTORS_KILL_SEED", "7"))

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload([doomed.__name__])


def start(target: Any, shop: Shop, seed: int, folder: Path) -> Any:
    ready = folder / f"ready-{seed}-{target.__name__}"
    process = forks.Process(target=target, args=(shop.url, shop.prefix, seed, str(ready)), daemon=True)
    process.start()
    end = time.monotonic() + 30
    while not ready.exists():
        assert process.is_alive() and time.monotonic() < end, "the process has not started"
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("victim", ["application", "relay", "both"])
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
async def test_every_committed_event_is_handled_once(database: str, victim: str, tmp_path: Path) -> None:
    """What the handler writes in its session happens exactly once for each committed order, never for another."""
    dice = random.Random(f"{SEED} {database} {victim}")
    async with shop_at(database_url(database, tmp_path)) as shop:
        application = relay = None
        try:
            for _ in range(ROUNDS):
                if application is None:
                    application = start(doomed.application, shop, dice.randrange(10**6), tmp_path)
                if relay is None:
                    relay = start(doomed.relay, shop, dice.randrange(10**6), tmp_path)
                time.sleep(dice.random() * 0.3)
                if victim != "relay":
                    application.kill()
                    application.join()
                    application = None
                if victim != "application":
                    relay.kill()
                    relay.join()
                    relay = None
        finally:
            for process in (application, relay):
                if process is not None:
                    process.kill()
                    process.join()

        own, events = doomed.build(shop.url, shop.prefix)
        try:
            async with events:
                await until_done(events._outbox, patience=120)
            assert await events._outbox.dead() == []
        finally:
            await own.engine.dispose()
        async with shop.sessions() as session:
            orders = set(await session.scalars(select(shop.orders.c.id)))
        effects = Counter(await shop.all_effects())
        print(f"{database}, {victim}: {ROUNDS} rounds, {len(orders)} orders, {effects.total()} effects")
        assert set(effects) == orders
        assert effects.total() == len(orders) > 0
