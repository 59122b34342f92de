"""dishka: what it injects is made and closed as without us, with `DishkaRoute` and with `@inject`."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from dishka import Provider, Scope, make_async_container
from dishka.integrations.fastapi import DishkaRoute, FromDishka, inject, setup_dishka
from fastapi import APIRouter, FastAPI

from interceptors import InvocationContext, Next, intercept
from tests.compatibility.support import (
    ASKS,
    INSTALL,
    Order,
    Price,
    Recorded,
    Shop,
    alike,
    either_order,
    every_order,
    every_start,
    look,
    same,
    same_as_a_controller,
)


def set_up(app: FastAPI) -> Recorded:
    happened: list[str] = []

    async def price() -> AsyncIterator[Price]:
        happened.append("opened")
        yield Price()
        happened.append("closed")

    provider = Provider(scope=Scope.REQUEST)
    provider.provide(price, provides=Price)
    setup_dishka(make_async_container(provider), app)
    return lambda: happened


def app_of_its_routes() -> FastAPI:
    app = FastAPI()
    app.router.route_class = DishkaRoute
    return app


SHOPS = {
    "DishkaRoute": Shop(
        price=FromDishka[Price], make_app=app_of_its_routes, make_router=partial(APIRouter, route_class=DishkaRoute)
    ),
    "inject": Shop(price=FromDishka[Price], decorate=inject),
}


@every_start
@pytest.mark.parametrize("how", SHOPS)
async def test_what_is_injected_lives_as_long(how: str, order: Order, lifespan: bool) -> None:
    """In handlers of both kinds, on the application and a router; it is closed after each request, a failed one, too."""
    seen = await same(SHOPS[how], order, set_up, lifespan=lifespan)
    assert seen.recorded == ["opened", "closed"] * 12


@either_order
@pytest.mark.parametrize("how", SHOPS)
async def test_methods_are_injected_as_functions_are(how: str, order: Order) -> None:
    """`@inject` stands on a controller's method, or the application's route class does it.

    What stands for a method is an `async def`; so the route class gives it nothing before it is called, as it does with a
    `def`, and makes nothing for requests that are refused before.
    """
    asks = [ask for ask in ASKS if ask.reaches is not None or how == "inject"]
    await same_as_a_controller(SHOPS[how], order, set_up, asks=asks)


@every_order
@pytest.mark.parametrize("how", SHOPS)
async def test_what_is_declared_on_a_handler_runs(how: str, order: Order) -> None:
    """What dishka puts around a handler has its names, and nothing of what was recorded on it."""
    ran: list[str] = []

    async def noting(ctx: InvocationContext, next: Next) -> Any:
        ran.append(ctx.target_name)
        return await next()

    shop = SHOPS[how]
    decorated = replace(shop, decorate=lambda handler: shop.decorate(intercept(noting)(handler)))
    without = await look(shop, [step for step in order if step != INSTALL], set_up)
    alike(await look(decorated, order, set_up), without, ASKS)
    assert ran == ["show", "count", "greet", "weigh", "fail", "fail_at_once"] * 2
