"""One request in process: the application is called as a server calls it, with nothing behind `send`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

from benchmarks.measure import Effort, Series, Work, alternate
from benchmarks.table import Budget, Row, at_least
from interceptors import InterceptorRegistry, intercept
from interceptors.fastapi import controller, create_router, get, install

try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop

__all__ = ["SCOPE", "new_event_loop", "receive", "rows", "rows_of", "start", "subjects", "work"]

TITLE = "http"
FULL, QUICK = Effort(41, 0.025), Effort(9, 0.012)

PLAIN, INCLUDED = "plain FastAPI", "plain FastAPI, included router"
ASYNC, YIELD, BASE, PURE = "3 async Depends", "3 yield Depends", "3 BaseHTTPMiddleware", "3 pure ASGI middleware"

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/hello",
    "raw_path": b"/hello",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"bench"), (b"accept", b"*/*")],
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 8000),
}
_EXPECTED = (200, b'{"message":"hello","n":1}')

Ran = list[int] | None
"""Layers that are checked note themselves here; layers that are measured do nothing."""


def rows(effort: Effort) -> list[Row]:
    """Measured in time."""
    return rows_of(alternate(subjects(), effort), "s")


def subjects() -> dict[str, Work]:
    """Every application, checked: the same answer, and as many layers as it says."""
    loop = new_event_loop()
    for name, (count, build) in _APPLICATIONS.items():
        ran: list[int] = []
        answer = loop.run_until_complete(_answer(build(count, ran)))
        if answer != _EXPECTED or len(ran) != count:
            raise AssertionError(f"{name}: {answer}, {len(ran)} layers")
    return {name: work(loop, build(count, None)) for name, (count, build) in _APPLICATIONS.items()}


def rows_of(figures: Mapping[str, Series], unit: str) -> list[Row]:
    """The table of one measurement; budgets 3, 4, 5 and 7. The ratios are of requests per second."""
    table: list[Row] = []
    for name, figure in figures.items():
        base = figures[INCLUDED if "included" in name else PLAIN]
        table.append(Row(name, figure, unit, base / figure, _BUDGETS.get(name)))
    mine = figures["controller, 3 interceptors"]
    for rival, limit in ((BASE, 6.0), (YIELD, 2.0), (ASYNC, 1.4)):
        table.append(Row(f"3 interceptors against {rival}", None, "", figures[rival] / mine, at_least(limit)))
    return table


def start(app: FastAPI) -> None:
    """Run the lifespan: every chain is computed then."""

    async def lifespan() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(lifespan())


# -- applications: each gets the number of layers ----------------------------------------------------------------------


def _application() -> FastAPI:
    return FastAPI(openapi_url=None)  # its own routes would be tried first


async def _hello():  # without an annotation, as most are: FastAPI encodes the dict itself
    return {"message": "hello", "n": 1}


def _plain(count: int, ran: Ran) -> FastAPI:
    app = _application()
    app.get("/hello")(_hello)
    return app


def _plain_included(count: int, ran: Ran) -> FastAPI:
    app, router = _application(), APIRouter()
    router.get("/hello")(_hello)
    app.include_router(router)
    return app


def _function(count: int, ran: Ran) -> FastAPI:
    app = _application()
    install(app, InterceptorRegistry())
    app.get("/hello")(intercept(*_interceptors(count, ran))(_hello_again()))
    return app


def _controller(count: int, ran: Ran) -> FastAPI:
    @controller()
    @intercept(*_interceptors(count, ran))
    class Hello:
        @get("/hello")
        async def hello(self):
            return {"message": "hello", "n": 1}

    app = _application()
    install(app, InterceptorRegistry(), [Hello])
    return app


class _Greeter:
    def __init__(self) -> None:
        self.message = "hello"


def _injected(count: int, ran: Ran) -> FastAPI:
    @controller()
    @intercept(*_interceptors(count, ran))
    class Hello:
        def __init__(self, greeter: Annotated[_Greeter, Provide["greeter"]]) -> None:
            self.greeter = greeter

        @get("/hello")
        async def hello(self):
            return {"message": self.greeter.message, "n": 1}

    app = _application()
    install(app, InterceptorRegistry(_container(greeter=providers.Factory(_Greeter))), [Hello])
    return app


def _from_provider(count: int, ran: Ran) -> FastAPI:
    @controller()
    @intercept(*_interceptors(count, ran))
    class Hello:
        def __init__(self, greeter: _Greeter) -> None:
            self.greeter = greeter

        @get("/hello")
        async def hello(self):
            return {"message": self.greeter.message, "n": 1}

    app = _application()
    container = _container(hello=providers.Factory(Hello, providers.Factory(_Greeter)))
    app.include_router(create_router(Hello, InterceptorRegistry(container), container.hello))
    return app


def _async_depends(count: int, ran: Ran) -> FastAPI:
    def layer() -> Any:
        async def nothing() -> None:
            return None

        async def noted() -> None:
            ran.append(1)

        return nothing if ran is None else noted

    app = _application()
    app.get("/hello", dependencies=[Depends(layer()) for _ in range(count)])(_hello)
    return app


def _yield_depends(count: int, ran: Ran) -> FastAPI:
    def layer() -> Any:
        async def nothing() -> Any:
            yield

        async def noted() -> Any:
            ran.append(1)
            yield

        return nothing if ran is None else noted

    app = _application()
    app.get("/hello", dependencies=[Depends(layer()) for _ in range(count)])(_hello)
    return app


def _base_middleware(count: int, ran: Ran) -> FastAPI:
    class Layer(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    class Noted(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            ran.append(1)
            return await call_next(request)

    app = _plain(0, None)
    for _ in range(count):
        app.add_middleware(Layer if ran is None else Noted)
    return app


def _pure_middleware(count: int, ran: Ran) -> FastAPI:
    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def wrapped(message: Any) -> None:
                await send(message)

            await self.app(scope, receive, wrapped)

    class Noted(Layer):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            ran.append(1)
            await super().__call__(scope, receive, send)

    app = _plain(0, None)
    for _ in range(count):
        app.add_middleware(Layer if ran is None else Noted)
    return app


_APPLICATIONS: dict[str, tuple[int, Callable[[int, Ran], FastAPI]]] = {
    PLAIN: (0, _plain),
    "controller, no layers": (0, _controller),
    "function route, 3 interceptors": (3, _function),
    "controller, 3 interceptors": (3, _controller),
    "controller, 10 interceptors": (10, _controller),
    "controller, 30 interceptors": (30, _controller),
    "controller injected, no layers": (0, _injected),
    "controller injected, 3 interceptors": (3, _injected),
    "controller injected, 10 interceptors": (10, _injected),
    "controller injected, 30 interceptors": (30, _injected),
    INCLUDED: (0, _plain_included),
    "controller from a Factory, included, 3": (3, _from_provider),
    ASYNC: (3, _async_depends),
    YIELD: (3, _yield_depends),
    BASE: (3, _base_middleware),
    PURE: (3, _pure_middleware),
}

_BUDGETS: dict[str, Budget] = {
    "controller, no layers": at_least(0.97),
    "function route, 3 interceptors": at_least(0.95),
    "controller, 3 interceptors": at_least(0.95),
    "controller, 10 interceptors": at_least(0.89),
    "controller, 30 interceptors": at_least(0.80),
    "controller injected, 3 interceptors": at_least(0.93),
    "controller from a Factory, included, 3": at_least(0.93),
}


def _hello_again() -> Any:
    async def hello():
        return {"message": "hello", "n": 1}

    return hello


def _interceptors(count: int, ran: Ran) -> list[Any]:
    def layer() -> Any:
        async def nothing(ctx: Any, next: Any) -> Any:
            return await next()

        async def noted(ctx: Any, next: Any) -> Any:
            ran.append(1)
            return await next()

        return nothing if ran is None else noted

    return [layer() for _ in range(count)]


def _container(**given: providers.Provider[Any]) -> containers.DynamicContainer:
    container = containers.DynamicContainer()
    for name, provider in given.items():
        setattr(container, name, provider)
    return container


# -- driving -----------------------------------------------------------------------------------------------------------


async def receive() -> Any:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def _answer(app: FastAPI) -> tuple[int, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(dict(SCOPE), receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def work(loop: asyncio.AbstractEventLoop, app: FastAPI) -> Work:
    """Requests, one after the other."""

    async def send(message: Any) -> None:
        """A server writes here."""

    async def requests(count: int) -> None:
        for _ in range(count):
            await app(dict(SCOPE), receive, send)

    return lambda count: loop.run_until_complete(requests(count))
