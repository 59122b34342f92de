"""The shop in three processes, with a real RabbitMQ between them."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from aio_pika import connect

from tests.app.test_server import ROOT, free_port
from tests.app.waiting import until
from tests.integration.connectors.servers import server_url

pytestmark = pytest.mark.slow

ADA = {"email": "ada@example.com", "name": "Ada", "password": "correct horse"}


@pytest.fixture
def broker_url() -> str:
    return server_url("rabbitmq", "amqp://guest:guest@127.0.0.1:5672/")


@pytest.fixture
async def environment(broker_url: str, tmp_path: Path):
    """A queue, a database and a mailbox of the test's own; what it declares at the broker goes away with it."""
    queue = f"bookshop.test.{uuid.uuid4().hex}"
    yield {
        **os.environ,
        "BOOKSHOP_BROKER_URL": broker_url,
        "BOOKSHOP_QUEUE": queue,
        "BOOKSHOP_RELAY": "no",
        "BOOKSHOP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}",
        "BOOKSHOP_MAILBOX": str(tmp_path / "mailbox"),
    }
    async with await connect(broker_url) as connection, connection.channel() as channel:
        for name in (queue, f"{queue}.dead_letter"):
            await channel.queue_delete(name)
        await channel.exchange_delete(queue)


@contextmanager
def processes(folder: Path, environment: dict[str, str]) -> Iterator[Callable[..., None]]:
    """Give a function that starts a module of Python's; at the end of the block all of them have to end well."""
    started: list[tuple[Path, subprocess.Popen[bytes]]] = []

    def start(*arguments: str) -> None:
        log = folder / f"{arguments[0]}.log"
        command = [sys.executable, "-m", *arguments]
        with log.open("wb") as output:
            started.append((log, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)))

    try:
        yield start
    finally:
        for _, process in started:
            process.send_signal(signal.SIGTERM)
        for _, process in started:
            process.wait(30)
    for log, process in started:
        assert process.returncode in {0, -signal.SIGTERM}, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()


def post(url: str, body: object, token: str = "") -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    with urlopen(Request(url, json.dumps(body).encode(), headers)) as answer:
        assert answer.status == 201


async def test_a_worker_sends_the_mail(environment: dict[str, str], tmp_path: Path):
    """The web process stores, the relay sends, the worker handles: the mails arrive when the worker does, each once."""
    mailbox = tmp_path / "mailbox"
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    prepared = subprocess.run([sys.executable, "-m", "app.prepare"], cwd=ROOT, env=environment, check=False)
    assert prepared.returncode == 0
    with processes(tmp_path, environment) as start:
        start("app", "--port", str(port))
        start("interceptors", "relay", "app.main:events")
        until((tmp_path / "app.log").read_text)
        post(f"{base}/api/users", ADA)
        post(f"{base}/orders", {"lines": [{"book_id": 3}]}, "demo-customer-token")
        assert not mailbox.exists()
        start("taskiq", "worker", "app.main:broker", "--workers", "1")
        until(lambda: len(list(mailbox.glob("*.eml"))) == 2)
    assert sorted(file.name.partition("-")[0] for file in mailbox.iterdir()) == ["receipt", "welcome"]
