"""cadwyn: it makes routes of its own for each version, around handlers and the converters of versions."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cadwyn import (
    Cadwyn,
    HeadVersion,
    ResponseInfo,
    Version,
    VersionBundle,
    VersionChange,
    VersionedAPIRouter,
    convert_response_to_previous_version_for,
)
from fastapi import FastAPI

from interceptors import InterceptorRegistry
from interceptors.fastapi import UnreachedRouteWarning, create_router, install
from tests.compatibility.support import (
    DECLARE,
    INSTALL,
    Ask,
    Order,
    Recorded,
    Shop,
    alike,
    asks_below,
    look,
    same,
    with_and_without_lifespan,
)


def make_app() -> FastAPI:
    class PricesWereCalledSums(VersionChange):  # each may stand in one bundle
        description = "Orders have cents, and had a sum"
        instructions_to_migrate_to_previous_version = ()

        @convert_response_to_previous_version_for("/v1/shelf/orders/{number}", ["GET"])
        def cents_to_sum(response: ResponseInfo) -> None:  # noqa: N805 (it is no method)
            response.body["sum"] = response.body.pop("cents")

    versions = VersionBundle(HeadVersion(), Version("2026-01-01", PricesWereCalledSums), Version("2025-01-01"))
    return Cadwyn(versions=versions)


def declare(shop: Shop, app: FastAPI, registry: InterceptorRegistry) -> None:
    """Versions have what is on a router; what is on the application is in all of them."""
    router = VersionedAPIRouter(prefix="/v1")
    shop.declare_on(app)
    shop.declare_on(router, "/shelf")
    app.generate_and_include_versioned_routers(router)


def declare_with_a_controller(shop: Shop, app: FastAPI, registry: InterceptorRegistry) -> None:
    """The same with methods in the place of the router's functions."""
    shop.declare_on(app)
    app.generate_and_include_versioned_routers(create_router(shop.controller(), registry))
    install(app, registry)


def set_up(app: FastAPI) -> Recorded:
    return lambda: None


SHOP = Shop(make_app=make_app)


def of_a_version(number: str) -> list[Ask]:
    asks = asks_below("/v1/shelf", headers={"x-api-version": number})
    return [*asks, Ask(f"/openapi.json?version={number}")]


ASKS = [
    *asks_below(""),
    *of_a_version("2026-01-01"),
    *of_a_version("2025-01-01"),
    Ask("/openapi.json?version=unversioned"),
    Ask("/v1/shelf/orders/7", 404),
]


@contextmanager
def only_its_documentation_is_unreached() -> Iterator[None]:
    """It is declared with Starlette, and rightly told when the application starts."""
    with pytest.warns(UnreachedRouteWarning) as told:
        yield
    for warning in told:
        assert [title for title in warning.message.functions if "cadwyn/applications.py" not in title] == []


@with_and_without_lifespan
@pytest.mark.parametrize("order", [(DECLARE, INSTALL), (INSTALL, DECLARE)], ids=", ".join)
async def test_versions_answer_the_same(order: Order, lifespan: bool) -> None:
    """What converts answers for old versions is inside of our layer, which runs once."""
    with only_its_documentation_is_unreached():
        seen = await same(SHOP, order, set_up, asks=ASKS, declare=declare, lifespan=lifespan)
    bodies = [body for ask, _, _, body in seen.answers if ask.path == "/v1/shelf/orders/7" and ask.reaches]
    assert bodies == [b'{"order":7,"of":"ada","cents":250}', b'{"order":7,"of":"ada","sum":250}']


async def test_methods_are_versioned_as_functions_are() -> None:
    """The routes of a controller's router are."""
    without = await look(SHOP, [DECLARE], set_up, asks=ASKS, declare=declare)
    with only_its_documentation_is_unreached():
        with_us = await look(SHOP, [DECLARE], set_up, asks=ASKS, declare=declare_with_a_controller)
    alike(with_us, without, ASKS)
