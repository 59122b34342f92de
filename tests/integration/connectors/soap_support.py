"""The SOAP server (node's `soap`, a process of its own), and the fixtures of the tests on it."""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.request import urlopen

import httpx2
import pytest

from interceptors.connectors.zeep import SOAPConnector, SOAPContext

FOLDER = Path(__file__).parent / "soap_server"
Log = list[Any]


class Boom(Exception):
    pass


def no_server(why: str) -> NoReturn:
    """Skips; with CI=true it fails."""
    message = f"no SOAP server ({FOLDER.name}/server.js, with node >= 20.19 and npm): {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def install() -> None:
    """Once; npm writes the marker last."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        no_server("node is not installed")
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci", "--prefix", str(FOLDER), "--no-audit", "--no-fund"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        if done.returncode:
            no_server(f"npm ci failed: {done.stderr[-500:]}")


class Server:
    """`server.js`, on a free port, or again on the same."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        install()
        command = ["node", str(FOLDER / "server.js"), str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.kill()
            no_server("node has ended")
        self.port = int(line)

    def kill(self) -> None:
        if self._process is not None:
            with self._process as process:  # closes the pipes
                process.kill()
            self._process = None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def wsdl(self) -> str:
        return self.url("front?wsdl")

    def seen(self) -> list[Any]:
        """What arrived since the last look."""
        with urlopen(self.url("seen"), timeout=10) as answer:
            calls: list[Any] = json.load(answer)
        return calls

    def operations(self) -> list[str]:
        return [call["operation"] for call in self.seen()]


# -- fixtures: a test module names those that it wants -----------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Nothing has arrived there yet."""
    shared_server.seen()
    return shared_server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may kill."""
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10, verify=False) as client:
        yield client


@pytest.fixture
async def soap(server: Server, http: httpx2.AsyncClient) -> SOAPConnector:
    return await SOAPConnector.load(server.wsdl, http=http, name="shop", next_timeout=0.2)


@pytest.fixture
def shop(soap: SOAPConnector) -> Any:
    """The operations."""
    return soap.client.service


@pytest.fixture
def log(soap: SOAPConnector) -> Log:
    return []


def observe_all(soap: SOAPConnector, log: Log, mark: str = "") -> None:
    """Note every event."""

    @soap.before_execute
    def before(ctx: SOAPContext) -> None:
        log.append(f"{mark}before")

    @soap.after_execute
    def after(ctx: SOAPContext) -> None:
        log.append(f"{mark}after")

    @soap.after_execute_error
    def failed(ctx: SOAPContext) -> None:
        log.append(f"{mark}error")
