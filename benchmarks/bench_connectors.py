"""One call to a backend: bare, with a connector without hooks, and with one before and one after hook.

SQL is a SELECT of one row from SQLite in memory, REST a GET of an application in this process: the cheapest backends
there are, so that the hooks show. MongoDB and SOAP need servers of their own and are not measured here.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.responses import JSONResponse

from benchmarks.bench_http import new_event_loop
from benchmarks.measure import WALL, Effort, Work, alternate
from benchmarks.table import Row, at_most
from interceptors.connectors import Connector
from interceptors.connectors.httpx import RESTConnector
from interceptors.connectors.sqlalchemy import SQLConnector

__all__ = ["rows"]

TITLE = "connectors"
FULL, QUICK = Effort(21, 0.05), Effort(5, 0.02)

Call = Callable[[], Awaitable[Any]]


def rows(effort: Effort) -> list[Row]:
    """Ratios are of the time of one call, to the bare one of the same backend."""
    loop = new_event_loop()
    subjects: dict[tuple[str, str], Work] = {}
    for backend, make in (("execute", _own), ("SQL", _sql), ("REST", _rest)):
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
