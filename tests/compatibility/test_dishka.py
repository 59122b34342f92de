"""dishka: what it injects is made and closed as without us, with `DishkaRoute` and with `@inject`."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
from dishka import Provider, Scope, make_async_container
from dishka.integrations.fastapi import DishkaRoute, FromDishka, inject, setup_dishka
from fastapi import APIRouter, FastAPI

from tests.compatibility.support import (
    Order,
    Price,
    Recorded,
    Shop,
    either_order,
    every_order,
    same,
    same_as_a_controller,
    with_and_without_lifespan,
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


@every_order
@with_and_without_lifespan
@pytest.mark.parametrize("how", SHOPS)
async def test_what_is_injected_lives_as_long(how: str, order: Order, lifespan: bool) -> None:
    """In handlers of both kinds, on the application and a router; it is closed after each request, a failed one, too."""
    seen = await same(SHOPS[how], order, set_up, lifespan=lifespan)
    assert seen.recorded == ["opened", "closed"] * 12


@either_order
async def test_methods_are_injected_as_functions_are(order: Order) -> None:
    """`@inject` stands on a controller's method."""
    await same_as_a_controller(SHOPS["inject"], order, set_up)
