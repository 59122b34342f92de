"""SecantusDB as a process of its own (it is never imported), and the fixtures of the tests on it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from interceptors.connectors.pymongo import MongoConnector, MongoContext

Log = list[Any]


def no_server(why: str) -> NoReturn:
    """Skips; with CI=true it fails."""
    message = f"{why}; set INTERCEPTORS_TEST_MONGODB_URL"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


class Server:
    """`secantusd-py`, on a fresh port unless it is told which."""

    def __init__(self) -> None:
        self.command = Path(sys.executable).parent / "secantusd-py"
        self.port = 0
        self._storage: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_installed(self) -> bool:
        return self.command.exists()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/"

    def start(self, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        command = [str(self.command), "--port", str(self.port), "--storage-path", ":memory:", "--enable-test-commands"]
        self._storage = tempfile.TemporaryDirectory(prefix="secantus", ignore_cleanup_errors=True)
        environment = {**os.environ, "TMPDIR": self._storage.name}  # it leaves files when it is killed
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=self._storage.name
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.kill()
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None
        if self._storage is not None:
            self._storage.cleanup()
            self._storage = None

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def fail_command(client: AsyncMongoClient[Any], command: str, **data: Any) -> None:
    """Make the server fail, or hold, the next command of this name."""
    await client.admin.command(
        {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": {"failCommands": [command], **data}}
    )


# -- fixtures: a test module names those that it wants ----------------------------------------------------------------


@pytest.fixture
async def client(mongo_client: AsyncMongoClient[Any], mongo_url: str) -> AsyncIterator[AsyncMongoClient[Any]]:
    async with AsyncMongoClient[Any](mongo_url, serverSelectionTimeoutMS=60_000) as client:
        yield client


@pytest.fixture
def mongo(client: AsyncMongoClient[Any]) -> MongoConnector:
    return MongoConnector(client, next_timeout=0.2)


@pytest.fixture
async def database(mongo: MongoConnector, mongo_client: AsyncMongoClient[Any]) -> AsyncIterator[AsyncDatabase[Any]]:
    name = f"test_{uuid.uuid4().hex}"
    yield mongo.client[name]
    await mongo_client.drop_database(name)


@pytest.fixture
async def things(database: AsyncDatabase[Any], mongo_client: AsyncMongoClient[Any]) -> AsyncCollection[Any]:
    await mongo_client[database.name].things.insert_many([{"_id": n, "n": n} for n in range(5)])
    return database.things


@pytest.fixture
def plain(things: AsyncCollection[Any], mongo_client: AsyncMongoClient[Any]) -> AsyncCollection[Any]:
    """The same without hooks."""
    return mongo_client[things.database.name].things


@pytest.fixture
def executes(mongo: MongoConnector) -> Log:
    """What is executed, from now on."""
    log: Log = []

    @mongo.before_execute
    def seen(ctx: MongoContext) -> None:
        log.append(ctx.req)

    return log
