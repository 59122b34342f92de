"""A real server, and clients of httpx2 and httpx; the tests' own part of `RESTConnector`."""

import asyncio
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients: to load the certificates for each takes longer than a test."""
ALL = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


async def echo(request: Request) -> Response:
    """Tells what has arrived."""
    content = await request.body()
    request.app.state.seen.append(f"{request.method} {request.url.path}")
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "headers": dict(request.headers),
            "body": content.decode("latin-1"),
        },
        headers={"x-echo": "yes"},
    )


async def answer(request: Request) -> Response:
    """Answers what the query says."""
    query = request.query_params
    headers = json.loads(query.get("headers", "{}"))
    if "type" in query:
        headers["content-type"] = query["type"]
    content = bytes.fromhex(query.get("hex", ""))
    if "gzip" in query:
        content = gzip.compress(content)
        headers["content-encoding"] = "gzip"
    return Response(content, int(query.get("status", "200")), headers)


async def redirect(request: Request) -> Response:
    left = request.path_params["left"]
    return RedirectResponse(f"/redirect/{left - 1}" if left else "/echo", 307)


async def basic(request: Request) -> Response:
    if "authorization" not in request.headers:
        return JSONResponse({"message": "who?"}, 401, headers={"www-authenticate": "Basic"})
    return JSONResponse({"authorization": request.headers["authorization"]})


async def cookie(request: Request) -> Response:
    response = JSONResponse(dict(request.cookies))
    response.set_cookie("visited", "yes")
    return response


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse({k: v if isinstance(v, str) else (await v.read()).decode() for k, v in fields.items()})


async def slow(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params["seconds"]))
    return JSONResponse({})


async def chunks(request: Request) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(int(request.query_params.get("count", "3"))):
            yield f"line {number}\n".encode()
            await asyncio.sleep(0.001)  # so that the server sees that the client is gone

    return StreamingResponse(lines(), media_type="text/plain")


async def events(request: Request) -> Response:
    return Response("data: one\n\ndata: two\n\n", media_type="text/event-stream")


app = Starlette(
    routes=[
        Route("/answer", answer, methods=ALL),
        Route("/redirect/{left:int}", redirect, methods=ALL),
        Route("/basic", basic),
        Route("/cookie", cookie),
        Route("/form", form, methods=["POST"]),
        Route("/slow", slow),
        Route("/chunks", chunks, methods=ALL),
        Route("/events", events),
        Route("/{path:path}", echo, methods=ALL),
    ]
)
app.state.seen = []


@contextmanager
def served() -> Iterator[str]:
    """The app on a free port, in a thread: clients of any event loop reach it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the server is."""
    with served() as url:
        yield url


@pytest.fixture(params=[httpx2, httpx], ids=["httpx2", "httpx"])
def library(request: Any) -> Any:
    """The library that the client is of."""
    return request.param


@pytest.fixture
async def client(library: Any, url: str) -> AsyncIterator[Any]:
    """A client that every test leaves usable, with each connection given back."""
    async with library.AsyncClient(base_url=url, verify=NO_TLS) as client:
        yield client
        await assert_usable(client)


async def assert_usable(client: Any) -> None:
    """It still answers, and holds no connection but idle ones."""
    connector = getattr(client, "_interceptors_connector", None)
    send = connector._send_unhooked if connector else client.send
    assert (await send(client.build_request("GET", "/usable"))).status_code == 200
    assert [c.info() for c in client._transport._pool.connections if not c.is_idle()] == []


def answering(content: Any, **query: Any) -> dict[str, Any]:
    """The query for `/answer`."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
        query.setdefault("type", "application/json")
    return {"hex": content.hex(), **query}
