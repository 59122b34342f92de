"""wireup: it puts itself in the place of a route's call, at its set-up or when the application starts."""

from collections.abc import Iterator
from functools import partial

import pytest
import wireup
from fastapi import FastAPI
from wireup.integration.fastapi import setup

from tests.compatibility.support import (
    Order,
    Price,
    Recorded,
    Shop,
    either_order,
    every_order,
    install_everywhere,
    same,
    same_as_a_controller,
)

SHOP = Shop(price=wireup.Injected[Price])
MODES = pytest.mark.parametrize("in_middleware", [True, False], ids=["middleware", "no middleware"])


def set_up(app: FastAPI, *, in_middleware: bool = False) -> Recorded:
    happened: list[str] = []

    @wireup.injectable(lifetime="scoped")
    def price() -> Iterator[Price]:
        happened.append("opened")
        yield Price()
        happened.append("closed")

    setup(wireup.create_async_container(injectables=[price]), app, middleware_mode=in_middleware)
    return lambda: happened


@every_order
@MODES
async def test_what_is_injected_lives_as_long(order: Order, in_middleware: bool) -> None:
    """In handlers of both kinds, on the application and a router; the same of it is closed after a request that failed."""
    seen = await same(SHOP, order, partial(set_up, in_middleware=in_middleware))
    assert seen.recorded.count("opened") == 8


@install_everywhere
@MODES
async def test_no_lifespan_is_needed_where_it_is_set_up_last(order: Order, in_middleware: bool) -> None:
    """It puts itself around the handlers that are there, before us or after us."""
    await same(SHOP, order, partial(set_up, in_middleware=in_middleware), lifespan=False)


@either_order
@MODES
async def test_methods_are_injected_as_functions_are(order: Order, in_middleware: bool) -> None:
    """A parameter of a controller's method is given in the same way."""
    await same_as_a_controller(SHOP, order, partial(set_up, in_middleware=in_middleware))
