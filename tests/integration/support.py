"""What the integration tests share: clients, a server on a real socket, places in source files."""

import asyncio
import gc
import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from weakref import ref

import uvicorn
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from interceptors import InterceptorRegistry, InvocationBindings, OutsideInvocationError
from interceptors.fastapi import install

Next = Callable[[], Awaitable[Any]]


def client_of(app: Any, *, raise_app_exceptions: bool = True) -> AsyncClient:
    """A client in this process. No lifespan is run."""
    transport = ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
    return AsyncClient(transport=transport, base_url="http://test")


@asynccontextmanager
async def started(app: FastAPI, *, raise_app_exceptions: bool = True) -> AsyncIterator[AsyncClient]:
    """A client of an application whose lifespan runs."""
    async with app.router.lifespan_context(app), client_of(app, raise_app_exceptions=raise_app_exceptions) as client:
        yield client


async def ask(app: Any, path: str, verb: str = "GET", **options: Any) -> Response:
    """One request; an error that leaves the application is raised."""
    async with client_of(app) as client:
        return await client.request(verb, path, **options)


async def ask_quietly(app: Any, path: str, verb: str = "GET", **options: Any) -> Response:
    """One request; an error that leaves the application is a 500, as it is for a client."""
    async with client_of(app, raise_app_exceptions=False) as client:
        return await client.request(verb, path, **options)


def app_with(
    *controllers: type, registry: InterceptorRegistry | None = None, routers: bool = True, **options: Any
) -> FastAPI:
    """An application with controllers on it."""
    app = FastAPI(**options)
    install(app, registry or InterceptorRegistry(), controllers=controllers, routers=routers)
    return app


def layer(log: list[Any], name: str) -> Callable[[Any, Next], Awaitable[Any]]:
    """An interceptor that notes when it is entered, and how it is left."""

    async def noting(ctx: Any, next: Next) -> Any:
        log.append(f"{name}-pre")
        try:
            result = await next()
        except BaseException as error:
            log.append(f"{name}-exc {type(error).__name__}")
            raise
        log.append(f"{name}-post")
        return result

    return noting


def place(thing: Any) -> str:
    """`file:line` where a function or a class is written, its decorators included."""
    return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"


def outside() -> bool:
    """No invocation runs here."""
    try:
        InvocationBindings.context()
    except OutsideInvocationError:
        return True
    return False


def dead(references: Iterable["ref[Any]"]) -> bool:
    """Nothing keeps these objects alive once the collector has been."""
    gc.collect()
    return all(reference() is None for reference in references)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """The application on a real socket, in this event loop; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=5))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            await task
