"""One call to a backend: bare, with a connector without hooks, and with one before and one after hook.

The backends are the cheapest there are, so that the hooks show: SQL is a SELECT of one row from SQLite in memory, REST
and SOAP are answered by applications in this process, MongoDB is a `find_one` of SecantusDB, a process beside it.
"""

import atexit
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from httpx2 import ASGITransport, AsyncClient
from pymongo import AsyncMongoClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.responses import JSONResponse, Response
from zeep import AsyncClient as AsyncSOAPClient

from benchmarks.bench_http import new_event_loop
from benchmarks.measure import WALL, Effort, Work, alternate
from benchmarks.table import Row, at_most
from interceptors.connectors import Connector
from interceptors.connectors.httpx import RESTConnector
from interceptors.connectors.pymongo import MongoConnector
from interceptors.connectors.sqlalchemy import SQLConnector
from interceptors.connectors.zeep import SOAPConnector

__all__ = ["rows"]

TITLE = "connectors"
FULL, QUICK = Effort(21, 0.05), Effort(5, 0.02)

Call = Callable[[], Awaitable[Any]]


def rows(effort: Effort) -> list[Row]:
    """Ratios are of the time of one call, to the bare one of the same backend."""
    loop = new_event_loop()
    subjects: dict[tuple[str, str], Work] = {}
    for backend, make in _BACKENDS.items():
        for kind in ("bare", "no hooks", "2 hooks"):
            call = loop.run_until_complete(make(kind))
            loop.run_until_complete(call())
            subjects[backend, kind] = _work(loop, call)
    # aiosqlite works in a thread of its own, so what counts is the time that passes.
    figures = alternate(subjects, effort, WALL)
    return [
        Row(
            f"{backend}, {kind}",
            figure,
            "s",
            figure / figures[backend, "bare"],
            at_most(1.02) if kind == "no hooks" and backend != "execute" else None,
        )
        for (backend, kind), figure in figures.items()
    ]


def _work(loop: Any, call: Call) -> Work:
    async def repeat(n: int) -> None:
        for _ in range(n):
            await call()

    return lambda n: loop.run_until_complete(repeat(n))


def _hook(connector: Connector[Any, Any]) -> None:
    async def nothing(ctx: Any) -> None:
        pass

    connector.before_execute(nothing)
    connector.after_execute(nothing)


async def _own(kind: str) -> Call:
    async def operation(req: int) -> int:
        return req

    connector: Connector[int, int] = Connector()
    if kind == "2 hooks":
        _hook(connector)
    return (lambda: operation(1)) if kind == "bare" else (lambda: connector.execute(1, operation))


async def _sql(kind: str) -> Call:
    engine = create_async_engine("sqlite+aiosqlite://")
    if kind != "bare":
        connector = SQLConnector(engine)
        if kind == "2 hooks":
            _hook(connector)
    connection = await engine.connect()
    statement = text("SELECT 1 AS one")

    async def call() -> None:
        assert (await connection.execute(statement)).scalar() == 1

    return call


async def _rest(kind: str) -> Call:
    client = AsyncClient(transport=ASGITransport(JSONResponse({"n": 1})), base_url="http://bench")
    if kind != "bare":
        connector = RESTConnector(client)
        if kind == "2 hooks":
            _hook(connector)

    async def call() -> None:
        assert (await client.get("/")).status_code == 200

    return call


async def _mongo(kind: str) -> Call:
    client: AsyncMongoClient[Any] = AsyncMongoClient(_mongo_url())
    if kind != "bare":
        connector = MongoConnector(client)
        if kind == "2 hooks":
            _hook(connector)
    collection = client["bench"]["numbers"]
    await collection.replace_one({"_id": 1}, {"n": 1}, upsert=True)

    async def call() -> None:
        assert (await collection.find_one({"_id": 1})) == {"_id": 1, "n": 1}

    return call


@cache
def _mongo_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "secantusd-py"), "--port", str(port), "--storage-path", ":memory:"]
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    server = subprocess.Popen(command, cwd=folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(folder.cleanup)
    atexit.register(server.wait)
    atexit.register(server.kill)
    return f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=20000"


WSDL = """<definitions name="Bench" targetNamespace="urn:bench" xmlns="http://schemas.xmlsoap.org/wsdl/"
    xmlns:b="urn:bench" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">
  <types><x:schema targetNamespace="urn:bench" elementFormDefault="qualified">
    <x:element name="Ask"><x:complexType><x:sequence><x:element name="n" type="x:int"/></x:sequence></x:complexType></x:element>
    <x:element name="Answer"><x:complexType><x:sequence><x:element name="n" type="x:int"/></x:sequence></x:complexType></x:element>
  </x:schema></types>
  <message name="In"><part name="p" element="b:Ask"/></message><message name="Out"><part name="p" element="b:Answer"/></message>
  <portType name="Type"><operation name="Ask"><input message="b:In"/><output message="b:Out"/></operation></portType>
  <binding name="Binding" type="b:Type"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Ask"><s:operation soapAction=""/><input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation>
  </binding>
  <service name="Service"><port name="Port" binding="b:Binding"><s:address location="http://bench/"/></port></service>
</definitions>"""
ANSWER = """<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><Answer xmlns="urn:bench"><n>1</n></Answer></e:Body></e:Envelope>"""


async def _soap(kind: str) -> Call:
    http = AsyncClient(transport=ASGITransport(Response(ANSWER, media_type="text/xml")), base_url="http://bench")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.wsdl"
        file.write_text(WSDL)
        connector = await SOAPConnector.load(file, http=http)
        client = connector.client
        if kind == "bare":  # zeep's own client over the same transport
            client = AsyncSOAPClient(str(file), transport=client.transport)
    if kind == "2 hooks":
        _hook(connector)

    async def call() -> None:
        assert await client.service.Ask(n=1) == 1

    return call


_BACKENDS: dict[str, Callable[[str], Awaitable[Call]]] = {
    "execute": _own,
    "SQL": _sql,
    "REST": _rest,
    "MongoDB": _mongo,
    "SOAP": _soap,
}
