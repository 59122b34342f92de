"""slowapi: its decorators and its middleware know handlers by their names; they count and refuse as without us."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware

from tests.compatibility.support import (
    ASKS,
    Ask,
    Order,
    Recorded,
    Shop,
    either_order,
    every_start,
    install_everywhere,
    same,
    same_as_a_controller,
)

VARYING = frozenset({"x-ratelimit-reset", "retry-after"})
MIDDLEWARES = pytest.mark.parametrize("middleware", [SlowAPIMiddleware, SlowAPIASGIMiddleware])


def one_client(request: Any) -> str:
    return "client"


class Limited:
    """A shop with a limiter of its own: handlers that ask for the request are limited, `show` is exempt.

    Handlers of a name count twice, as there are two.
    """

    def __init__(self) -> None:
        self.limiter = Limiter(one_client, headers_enabled=True, default_limits=["3/hour"])
        self.shop = Shop(decorate=self.decorate)

    def decorate(self, handler: Any) -> Any:
        if "request" in inspect.signature(handler).parameters:
            return self.limiter.limit("4/hour")(handler)
        return self.limiter.exempt(handler) if handler.__name__ == "show" else handler

    def set_up(self, middleware: Any = None) -> Callable[[FastAPI], Recorded]:
        def start(app: FastAPI) -> Recorded:
            app.state.limiter = self.limiter
            app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
            if middleware is not None:
                app.add_middleware(middleware)
            return self.recorded

        return start

    def recorded(self) -> Any:
        """Names of handlers with their limits, and how often each was asked."""
        limits = {name: [str(limit.limit) for limit in limits] for name, limits in self.limiter._route_limits.items()}
        counted = dict(self.limiter._storage.storage)
        self.limiter.reset()
        self.limiter._route_limits.clear()
        return limits, counted, sorted(self.limiter._exempt_routes)


def often(path: str, *statuses: int) -> list[Ask]:
    """The decorator is inside of our layer, which runs around what it refuses."""
    return [Ask(f"{path}/7", status, f"{path}/{{number}}") for status in statuses]


OFTEN = [
    *ASKS,  # one of them is served by each handler
    *often("/greetings", 200, 429, 429),
    *often("/weights", 200, 429, 429),
    *often("/v1/shelf/greetings", 200, 429, 429),
    *often("/v1/shelf/weights", 200, 429, 429),
    *often("/orders", 200, 200, 200),
]


@every_start
async def test_decorators_limit_and_exempt_the_same_handlers(order: Order, lifespan: bool) -> None:
    """On the application and a router, `async def` and `def`: counts, refusals and headers."""
    limited = Limited()
    seen = await same(limited.shop, order, limited.set_up(), lifespan=lifespan, asks=OFTEN, varying=VARYING)
    assert set(seen.recorded[0]) == {f"{Shop.__module__}.greet", f"{Shop.__module__}.weigh"}
    assert [name for _, _, lines, _ in seen.answers for name, _ in lines].count("x-ratelimit-remaining") == 16


@install_everywhere
@MIDDLEWARES
async def test_middleware_finds_the_handlers(order: Order, middleware: Any) -> None:
    """It limits those that have no decorator, and leaves the exempt alone; what it refuses reaches nothing of ours."""
    limited = Limited()
    asks = [*OFTEN, *often("/stock", 200), Ask("/stock/7", 429)]
    seen = await same(limited.shop, order, limited.set_up(middleware), asks=asks, varying=VARYING)
    assert seen.recorded[2] == [f"{Shop.__module__}.show"]


@either_order
async def test_methods_are_limited_as_functions_are(order: Order) -> None:
    """The decorators stand on a controller's methods."""
    limited = Limited()
    await same_as_a_controller(limited.shop, order, limited.set_up(), asks=OFTEN, varying=VARYING)
