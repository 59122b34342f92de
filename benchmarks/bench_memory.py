"""What an invocation holds while its target waits, beyond the coroutines of its layers, and that nothing is left of it.

Measured with thousands of invocations waiting at once, each in a context of its own as each task has one, and the
garbage collector off: what is not freed by reference counting alone would stay.
"""

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from math import inf
from types import coroutine
from typing import Any

from fastapi import FastAPI

from benchmarks import peers
from benchmarks.bench_http import SCOPE, receive, start
from benchmarks.measure import Effort, Series
from benchmarks.table import Row, at_most
from interceptors import InterceptorRegistry, intercept
from interceptors.fastapi import controller, get, install

__all__ = ["rows"]

TITLE = "memory"
FULL, QUICK = Effort(5, 1000), Effort(2, 500)  # rounds, and invocations in flight

Start = Callable[[], Coroutine[Any, Any, Any]]


def rows(effort: Effort) -> list[Row]:
    """Budget 9. The figure is what we hold beyond the hand-nested coroutines; the ratio compares the whole."""
    with _without_collector():
        _check_freed()
        table: list[Row] = []
        for layers in (0, 3, 10):
            hand, plain = (_in_flight(make(layers), effort) for make in (_by_hand, _by_plain_route))
            for name, make, base in (
                ("registry.invoke", _by_invoke, hand),
                ("proxy", _by_proxy, hand),
                ("route", _by_route, plain),
            ):
                mine = _in_flight(make(layers), effort)
                if mine.left - base.left > 16:
                    raise AssertionError(f"{name}: {mine.left - base.left:.0f} bytes of each invocation are not freed")
                held, limit = mine.held - base.held, at_most(1024, of_figure=True) if layers <= 3 else None
                table.append(Row(f"{name}, {layers} layers", held, "B", mine.held / base.held, limit))
        return table


@dataclass(frozen=True, slots=True)
class InFlight:
    """Bytes for each invocation: while it waits, a figure for each round, and when it is over."""

    held: Series
    left: float


def _in_flight(begin: Start, effort: Effort) -> InFlight:
    count = int(effort.seconds)
    held: list[float] = []
    left = inf
    for _ in range(10):
        _finish(begin())
    for _ in range(effort.rounds):
        tracemalloc.start()
        waiting: list[Any] = [None] * count
        contexts: list[Any] = [copy_context() for _ in range(count)]  # the task's, not ours
        before = tracemalloc.get_traced_memory()[0]
        for number, context in enumerate(contexts):
            waiting[number] = begin()
            context.run(waiting[number].send, None)
        held.append((tracemalloc.get_traced_memory()[0] - before) / count)
        for number, context in enumerate(contexts):
            context.run(waiting[number].close)
            waiting[number] = contexts[number] = None
        del context
        left = min(left, (tracemalloc.get_traced_memory()[0] - before) / count)  # free lists fill once
        tracemalloc.stop()
    return InFlight(Series(tuple(held)), left)


# -- what waits --------------------------------------------------------------------------------------------------------


@coroutine
def _wait() -> Any:
    yield


async def _target(value: Any) -> Any:
    await _wait()
    return value


def _by_hand(layers: int) -> Start:
    def wrap(inner: Any) -> Any:
        async def layer(value: Any) -> Any:
            return await inner(value)

        return layer

    run: Any = peers.hand_nested([wrap] * layers, _target)
    return lambda: run(7)


def _by_invoke(layers: int) -> Start:
    registry, service = InterceptorRegistry(), _service(layers)
    return lambda: registry.invoke(service, "echo", 7)


def _by_proxy(layers: int) -> Start:
    proxy = InterceptorRegistry().intercepted(_service(layers))
    return lambda: proxy.echo(7)


def _by_plain_route(layers: int) -> Start:
    run = _by_hand(layers)
    app = FastAPI(openapi_url=None)

    @app.get("/hello")
    async def hello():
        return await run()

    return _requests(app)


def _by_route(layers: int) -> Start:
    @controller()
    @intercept(*_interceptors(layers))
    class Hello:
        @get("/hello")
        async def hello(self):
            return await _target(7)

    app = FastAPI(openapi_url=None)
    install(app, InterceptorRegistry(), [Hello])
    return _requests(app)


def _requests(app: FastAPI, path: str = "/hello") -> Start:
    start(app)  # there is no event loop later on

    async def send(message: Any) -> None:
        """A server writes here."""

    return lambda: app({**SCOPE, "path": path}, receive, send)


def _service(layers: int) -> Any:
    class Service:
        @intercept(*_interceptors(layers))
        async def echo(self, value: Any) -> Any:
            await _wait()
            return value

    return Service()


def _interceptors(count: int) -> list[Any]:
    def one() -> Any:
        async def interceptor(ctx: Any, next: Any) -> Any:
            return await next()

        return interceptor

    return [one() for _ in range(count)]


# -- nothing is left ---------------------------------------------------------------------------------------------------


def _check_freed() -> None:
    """The context of an invocation dies with it, whether it returns, raises or is cancelled."""
    alive: list[weakref.ref[Any]] = []

    async def witness(ctx: Any, next: Any) -> Any:
        ctx.bind("key", ctx.args), ctx.state  # what is made lazily is there, too
        alive.append(weakref.ref(ctx))
        return await next()

    @controller()
    @intercept(witness, *_interceptors(2))
    class Service:
        @get("/{outcome}")
        async def echo(self, outcome: str) -> str:
            if outcome == "raises":
                raise ValueError(outcome)
            if outcome == "is cancelled":
                await _wait()
            return outcome

    registry, service, app = InterceptorRegistry(), Service(), FastAPI(openapi_url=None)
    install(app, registry, [Service])
    requests = {outcome: _requests(app, f"/{outcome}") for outcome in ("returns", "raises", "is cancelled")}
    starts: dict[str, Callable[[str], Any]] = {
        "invoke": partial(registry.invoke, service, "echo"),
        "proxy": registry.intercepted(service).echo,
        "route": lambda outcome: requests[outcome](),
    }
    for outcome in requests:
        for name, invoke in starts.items():
            _finish(invoke(outcome))
            if alive.pop()() is not None:
                raise AssertionError(f"{name}: an invocation that {outcome} leaves its context in a reference cycle")


def _finish(invocation: Coroutine[Any, Any, Any]) -> None:
    context = copy_context()
    with suppress(StopIteration, ValueError):
        context.run(invocation.send, None)
    context.run(invocation.close)


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
