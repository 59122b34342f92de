"""`python -m interceptors relay`: a process of its own, from its start to its signal."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from interceptors.cli.relay import relay_events
from tests.unit.cli.helpers import Result, environment, run_process, write

pytestmark = pytest.mark.slow

Run = Callable[..., Result]

APP = """
    import asyncio
    from pathlib import Path

    from pydantic import BaseModel
    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

    from interceptors import InterceptorRegistry
    from interceptors.events import EventDispatcher, Outbox

    print("loading")
    engine = create_async_engine("sqlite+aiosqlite:///shop.db")
    metadata = MetaData()
    events = EventDispatcher(
        InterceptorRegistry(), outbox=Outbox(async_sessionmaker(engine), metadata=metadata, poll=0.02, lease=5.0)
    )
    bare = EventDispatcher(InterceptorRegistry())
    number = 5

    class Paid(BaseModel):
        order_id: int

    @events.on(Paid)
    async def handle(event: Paid) -> None:
        Path(f"started-{event.order_id}").touch()
        if event.order_id == 9:
            await asyncio.sleep(0.3)
        Path(f"done-{event.order_id}").touch()

    async def create():
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def publish(*ids):
        await create()
        for order_id in ids:
            await events.publish(Paid(order_id=order_id))
        await engine.dispose()
"""


def publish(project: Path, *ids: int) -> None:
    code = f"import asyncio; from app.main import publish; asyncio.run(publish(*{list(ids)!r}))"
    assert run_process(project, "-c", code, python=()).code == 0


@pytest.fixture
def shop(project: Path) -> Path:
    write(project, {"app/__init__.py": "", "app/main.py": APP, "app/broken.py": "raise ValueError('no\\nway')"})
    return project


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_when_what_runs_has_ended(shop: Path, number: signal.Signals) -> None:
    """Exit code 0, and nothing is left half done."""
    publish(shop, 1, 9)
    process = subprocess.Popen(
        [sys.executable, "-m", "interceptors", "relay", "app.main:events"],
        cwd=shop,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until((shop / "started-9").exists)
        assert not (shop / "done-9").exists()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, b"", b"loading\n")
    assert (shop / "done-1").exists() and (shop / "done-9").exists()
    with sqlite3.connect(shop / "shop.db") as connection:
        assert connection.execute("SELECT count(*) FROM interceptors_outbox").fetchone() == (0,)
    connection.close()


def test_once(shop: Path) -> None:
    """What is due is delivered, and the process ends."""
    publish(shop, 1, 2)
    assert run_process(shop, "relay", "app.main:events", "--once") == Result(0, "", "loading\n")
    assert (shop / "done-1").exists() and (shop / "done-2").exists()
    assert not (shop / "started-3").exists()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("app.main", "'app.main' is not of the form module:attribute, such as app.main:app"),
        ("app.nope:events", "there is no module 'app.nope'"),
        ("app.main:nope", "the module 'app.main' has no attribute 'nope'"),
        ("app.main:number", "'app.main:number' is no EventDispatcher"),
        ("app.broken:events", "ValueError: no way"),
    ],
)
def test_what_cannot_be_loaded(run: Run, shop: Path, target: str, says: str) -> None:
    """One line on stderr, exit code 2."""
    result = run("relay", target)
    assert (result.code, result.out) == (2, "")
    assert result.err.removeprefix("loading\n") == f"error: {says}\n"


def test_what_cannot_be_relayed(run: Run, shop: Path) -> None:
    """No outbox, or no table: one line on stderr, exit code 1."""
    result = run("relay", "app.main:bare")
    assert (result.code, result.out) == (1, "")
    assert "EventError: There is nothing to relay without an outbox" in result.err
    result = run_process(shop, "relay", "app.main:events", "--once")
    assert (result.code, result.out) == (1, "")
    assert "EventError: There is no table 'interceptors_outbox' in the database" in result.err
    assert len(result.err.splitlines()) == 2


def test_in_this_process(shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals end it as they end the process of its own."""
    publish(shop, 1, 9)

    async def interrupt() -> None:
        while not (shop / "started-9").exists():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    run_coroutine = asyncio.run

    async def both(main: object) -> None:
        interrupting = asyncio.create_task(interrupt())
        await main  # type: ignore[misc]
        await interrupting
        await sys.modules["app.main"].engine.dispose()

    monkeypatch.setattr(asyncio, "run", lambda main: run_coroutine(both(main)))
    relay_events("app.main:events", once=False)
    assert (shop / "done-9").exists()
