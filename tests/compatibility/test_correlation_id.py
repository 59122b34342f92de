"""asgi-correlation-id: a request has one identity, in its answer, and for handlers of both kinds."""

import functools
import inspect
import itertools
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI

from tests.compatibility.support import (
    ASKS,
    Ask,
    Order,
    Recorded,
    Shop,
    either_order,
    every_start,
    same,
    same_as_a_controller,
)

NOTED: list[tuple[str, str | None]] = []
ASKS_WITH_IDENTITY = [*ASKS, Ask("/stock/7", reaches="/stock/{number}", headers={"x-request-id": "given"})]


def noting(handler: Any) -> Any:
    """What a handler finds."""

    @functools.wraps(handler)
    async def later(*args: Any, **kwargs: Any) -> Any:
        NOTED.append((handler.__name__, correlation_id.get()))
        return await handler(*args, **kwargs)

    @functools.wraps(handler)
    def at_once(*args: Any, **kwargs: Any) -> Any:
        NOTED.append((handler.__name__, correlation_id.get()))
        return handler(*args, **kwargs)

    return later if inspect.iscoroutinefunction(handler) else at_once


SHOP = Shop(decorate=noting)


def set_up(app: FastAPI) -> Recorded:
    numbers = map(str, itertools.count())
    app.add_middleware(CorrelationIdMiddleware, generator=lambda: next(numbers), validator=None)
    return recorded


def recorded() -> list[tuple[str, str | None]]:
    noted = list(NOTED)
    NOTED.clear()
    return noted


@every_start
async def test_a_request_has_the_same_identity(order: Order, lifespan: bool) -> None:
    """Made once for each, or given by the client."""
    seen = await same(SHOP, order, set_up, lifespan=lifespan, asks=ASKS_WITH_IDENTITY)
    assert seen.recorded[:2] == [("show", "0"), ("count", "1")]
    assert seen.recorded[-1] == ("count", "given")
    assert [("x-request-id", "given") in lines for _, _, lines, _ in seen.answers].count(True) == 1


@either_order
async def test_methods_find_it_as_functions_do(order: Order) -> None:
    """So does a controller's method."""
    await same_as_a_controller(SHOP, order, set_up, asks=ASKS_WITH_IDENTITY)
