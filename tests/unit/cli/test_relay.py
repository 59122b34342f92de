"""`python -m interceptors relay`: a process of its own, from its start to its signal."""

import asyncio
import os
import re
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

    class Paid(BaseModel):
        order_id: int

    @events.on(Paid, attempts=1)
    async def handle(event: Paid) -> None:
        Path(f"started-{event.order_id}").touch()
        if event.order_id == 9:
            await asyncio.sleep(0.3)
        if event.order_id == 8:
            raise ValueError("no such order")
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
    write(project, {"app/__init__.py": "", "app/main.py": APP})
    return project


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


def assert_lines(err: str, total: str) -> None:
    """One line when it starts and one when it ends: what is relayed, from where, how many at once; what was done."""
    loading, starts, ends = err.splitlines()
    assert loading == "loading"
    assert starts == (
        "relay of app.main:events started: 1 handler of the table 'interceptors_outbox' in sqlite+aiosqlite:///shop.db, up "
        "to 15 at once"
    )
    assert re.fullmatch(rf"relay of app\.main:events ended after \d+ s: {total}", ends)


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
    assert (process.returncode, out) == (0, b"")
    assert_lines(err.decode(), "2 done, 0 failed, 0 dead")
    assert (shop / "done-1").exists() and (shop / "done-9").exists()
    with sqlite3.connect(shop / "shop.db") as connection:
        assert connection.execute("SELECT count(*) FROM interceptors_outbox").fetchone() == (0,)
    connection.close()


def test_once(shop: Path) -> None:
    """What is due is delivered, and the process ends; the same lines say so."""
    publish(shop, 1, 2)
    python = ("-W", "error", "-m", "interceptors")  # which would tell of connections that were left open
    result = run_process(shop, "relay", "app.main:events", "--once", python=python)
    assert (result.code, result.out) == (0, "")
    assert_lines(result.err, "2 done, 0 failed, 0 dead")
    assert (shop / "done-1").exists() and (shop / "done-2").exists()
    assert not (shop / "started-3").exists()


def test_what_cannot_be_relayed(run: Run, shop: Path) -> None:
    """No table: one line on stderr, exit code 1. What is no dispatcher with an outbox: see the tests of `outbox`."""
    result = run_process(shop, "relay", "app.main:events", "--once")
    assert (result.code, result.out) == (1, "")
    assert "EventError: There is no table 'interceptors_outbox' in the database" in result.err
    assert len(result.err.splitlines()) == 2
    assert run("relay", "app.main:events") == result


def test_a_line_while_something_moves(shop: Path) -> None:
    """What was done since the last one; none while there is nothing to do."""
    publish(shop, 1)
    code = "from interceptors.cli.relay import relay_events; relay_events('app.main:events', once=False, every=0.02)"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=shop, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            assert [next(lines), next(lines).partition(" started")[0]] == ["loading\n", "relay of app.main:events"]
            assert next(lines) == "relay of app.main:events: 1 done, 0 failed, 0 dead\n"
            publish(shop, 8)  # for long nothing happens meanwhile
            says = next(line for line in lines if line.startswith("relay"))  # beside what is logged
            assert says == "relay of app.main:events: 0 done, 0 failed, 1 dead\n"
            process.send_signal(signal.SIGTERM)
            assert [line.partition(": ")[2] for line in lines] == ["1 done, 0 failed, 1 dead\n"]
        finally:
            process.kill()


def test_where_nobody_reads_what_it_says(shop: Path) -> None:
    """It goes on."""
    publish(shop, 1)
    with subprocess.Popen(
        [sys.executable, "-m", "interceptors", "relay", "app.main:events", "--once"],
        cwd=shop,
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"loading\n"
        process.stderr.close()
    assert process.returncode == 0
    assert (shop / "done-1").exists()


def test_in_this_process(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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

    monkeypatch.setattr(asyncio, "run", lambda main: run_coroutine(both(main)))
    relay_events("app.main:events", once=False, every=0.01)
    assert (shop / "done-9").exists()
    assert capsys.readouterr().err.splitlines()[2] == "relay of app.main:events: 1 done, 0 failed, 0 dead"
