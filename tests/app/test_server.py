"""`python -m app`, as somebody would start it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.tour import tour

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def server(folder: Path, *arguments: str, **environment: str) -> Iterator[list[str]]:
    """Start the server and give the lines that it prints before it serves."""
    url = f"sqlite+aiosqlite:///{folder / 'var' / 'shop.db'}"
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "app", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "BOOKSHOP_DATABASE_URL": url,
                "BOOKSHOP_MAILBOX": str(folder / "mailbox"),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                break
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode in {0, -signal.SIGINT}
    assert "Traceback" not in (folder / "stderr").read_text()


def run(command: str) -> tuple[int, str]:
    """Run a printed line in a shell as it is: the status and everything that came back."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30, check=True)
    return int(done.stdout.split(maxsplit=2)[1]), done.stdout


def test_every_printed_line_works(tmp_path: Path):
    """In the printed order, in a new shop, each `curl` line gives the status and the text that it promises."""
    port = free_port()
    with server(tmp_path, "--port", str(port)) as printed:
        steps = tour(f"http://127.0.0.1:{port}")
        assert 20 <= len(steps) <= 24
        assert [line for line in printed if line.startswith("curl")] == [step.command for step in steps]
        for step in steps:
            status, text = run(step.command)
            patience = time.monotonic() + 20
            while step.later and step.shows not in text and time.monotonic() < patience:
                status, text = run(step.command)
            assert (status, step.shows in text) == (step.status, True), (step, text)
            assert f"{step.says}: {status}" in "\n".join(printed)
        assert run(f"curl -si http://127.0.0.1:{port}/docs")[0] == 200
        assert run(f"curl -si http://127.0.0.1:{port}/openapi.json")[0] == 200


def test_the_port_may_come_from_the_environment(tmp_path: Path):
    """`PORT` is where the server listens, and a second start finds the shop as it was left."""
    port = free_port()
    step = next(step for step in tour(f"http://127.0.0.1:{port}") if step.says == "an order")
    for order_id in (1, 2):
        with server(tmp_path, PORT=str(port)):
            status, text = run(step.command)
            assert (status, f'"id":{order_id},' in text) == (201, True)


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path):
    """Nothing is printed but one clear line, and the exit status says that it went wrong."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "app", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("port", ["eighty", "-1", "65536", ""])
def test_a_port_that_is_none_is_refused(port: str):
    """A bad `--port` is a usage error, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "--port", port], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
