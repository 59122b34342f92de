"""Does FastAPI still do what we know of it? A small application goes through the same doors before the first one starts.

That a name is there is not enough (see `undocumented`): a FastAPI on which a layer is not reached, is reached twice, or
does not know where it is, must not serve.
"""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context
from importlib.metadata import version
from typing import Any

import anyio
from anyio.abc import TaskGroup
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.sse import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from interceptors.errors import IncompatibleLibraryError
from interceptors.fastapi.facades import http_facade, socket_facade
from interceptors.fastapi.installation import Installation
from interceptors.fastapi.routes import intercepted_route
from interceptors.fastapi.undocumented import handlers_in
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["probe"]

_initialise = FastAPI.__init__
"""Before others put something into it, such as an `install` on every application that is made."""

_PLACES = ("", "/nested/inner", "/made")
_METHODS = ("/method/coroutine", "/method/generator", "/method/socket")
_PATHS = ("/coroutine", "/def", "/generator", "/events", "/socket")


class _Probed:
    """Once in a process, whatever applications there are in it: what is probed is the library that is installed."""

    is_well = False


async def probe() -> None:
    """Ask a route of each kind in each place, once per process: about 15 ms. Raises IncompatibleLibraryError."""
    if _Probed.is_well:
        return
    failure: list[Exception] = []
    async with anyio.create_task_group() as group:
        # In a context of its own: the application that starts, or its first request, and what traces them see nothing.
        Context().run(_start, group, failure)
    if failure:
        raise failure[0]
    _Probed.is_well = True


def _start(group: TaskGroup, failure: list[Exception]) -> None:
    group.start_soon(_run, failure)


async def _run(failure: list[Exception]) -> None:
    try:
        await _ask_all()
    except IncompatibleLibraryError as error:
        failure.append(error)
    except Exception as error:  # noqa: BLE001 (a FastAPI that works differently may raise anything)
        failure.append(_incompatible(f"route ({type(error).__name__}: {error})"))
        failure[0].__cause__ = error


def _incompatible(what: str) -> IncompatibleLibraryError:
    return IncompatibleLibraryError("fastapi", version("fastapi"), what, "run every layer once around each function")


async def _ask_all() -> None:
    ran: list[tuple[str, bool, bool]] = []
    loop = threading.get_ident()

    async def layer(ctx: Any, next: Callable[[], Any]) -> Any:
        ran.append((str(ctx.source), threading.get_ident() == loop, HTTPException in handlers_in(ctx.request.scope)))
        return await next()

    async def ask(*paths: str) -> None:
        for path in paths:
            ran.clear()
            is_socket = path.endswith("/socket")
            answer = await _ask(app, serve, "websocket" if is_socket else "http", path)
            title = f"route {'WEBSOCKET' if is_socket else 'GET'} {path}"
            if ran != [(title, True, True)] or "well" not in answer:
                raise _incompatible(f"{title}: ran {ran}, said {answer!r}")

    registry = InterceptorRegistry()
    registry.add_global(layer)
    inner = APIRouter()
    app = _application(registry, inner)
    serve = FastAPI.build_middleware_stack(app)  # without the `__call__`, which others have perhaps instrumented
    await ask(*(place + path for place in _PLACES for path in _PATHS), *_METHODS)
    inner.add_api_route("/later", _well)
    await ask("/nested/inner/later")


def _application(registry: InterceptorRegistry, inner: APIRouter) -> FastAPI:
    """An application with functions of all kinds in all places."""
    app = object.__new__(FastAPI)
    _initialise(app, openapi_url=None)
    outer = APIRouter(prefix="/nested")
    made = APIRouter(prefix="/made", route_class=intercepted_route(registry))
    for router in (app, inner, made):
        _declare(router)
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer)
    app.include_router(made)
    methods = APIRouter(prefix="/method", route_class=made.route_class)
    for name in ("coroutine", "generator"):
        methods.add_api_route(f"/{name}", http_facade(registry, Target.method(_Controller, name, builds=True)))
    talk = Target.method(_Controller, "talk", builds=True)
    methods.add_api_websocket_route("/socket", socket_facade(registry, talk))
    app.include_router(methods)
    installation = Installation(app, registry, probe)
    installation.adopt()
    installation.is_checked = True  # a start of its own would ask for a probe
    return app


async def _well() -> str:
    return "well"


def _declare(router: FastAPI | APIRouter) -> None:
    loop = threading.get_ident()

    router.get("/coroutine")(_well)

    @router.get("/def")
    def function() -> str:
        return "on the event loop" if threading.get_ident() == loop else "well"

    @router.get("/generator")
    def generator() -> Iterator[str]:
        yield "well"

    @router.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[str]:
        yield "well"

    @router.websocket("/socket")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("well")


class _Controller:
    async def coroutine(self) -> str:
        return "well"

    async def generator(self) -> AsyncIterator[str]:
        yield "well"

    async def talk(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("well")


async def _ask(app: FastAPI, serve: ASGIApp, kind: str, path: str) -> str:
    """What an application says to one request, or when a WebSocket connects."""
    said: list[str] = []
    scope: dict[str, Any] = {
        "type": kind,
        "app": app,  # as `__call__` does: what others have put into FastAPI may ask for `request.app`
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
    }

    async def receive() -> Any:
        return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        said.append(str(message.get("text") or message.get("body", b"").decode()))

    await serve(scope, receive, send)
    return "".join(said)
