"""fastapi-limiter: its dependency looks for the route that was asked, and for an attribute that its decorator left on the handler.

It does not know of the routers that FastAPI includes, and fails where there are any, with us and without. So there are none.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi_limiter.decorators import skip_limiter
from fastapi_limiter.depends import RateLimiter
from pyrate_limiter import BucketFactory, Duration, InMemoryBucket, Limiter, Rate, RateItem

from interceptors import InterceptorRegistry
from interceptors.fastapi import controller, get, install
from tests.compatibility.support import (
    Ask,
    Order,
    Recorded,
    Shop,
    alike,
    asks_below,
    either_order,
    every_start,
    look,
    same,
    user,
)

Who = Annotated[str, Depends(user)]


async def limited(request: Request, who: Who) -> str:
    return f"{who} {request.url.path}"


@skip_limiter
async def unlimited(request: Request, who: Who) -> str:
    return f"{who} {request.url.path}"


@controller()
class Limits:
    @get("/limited")
    async def limited(self, request: Request, who: Who) -> str:
        return f"{who} {request.url.path}"

    @get("/unlimited")
    @skip_limiter
    async def unlimited(self, request: Request, who: Who) -> str:
        return f"{who} {request.url.path}"


def declare(shop: Shop, app: FastAPI, registry: InterceptorRegistry) -> None:
    shop.declare_on(app)
    app.get("/limited")(limited)
    app.get("/unlimited")(unlimited)


def declare_with_a_controller(shop: Shop, app: FastAPI, registry: InterceptorRegistry) -> None:
    shop.declare_on(app)
    install(app, registry, [Limits])


class Buckets(BucketFactory):
    """One in memory for each key."""

    def __init__(self) -> None:
        self.by_key: dict[str, InMemoryBucket] = {}

    def wrap_item(self, name: str, weight: int = 1) -> RateItem:
        return RateItem(name, 0, weight)

    def get(self, item: RateItem) -> InMemoryBucket:
        return self.by_key.setdefault(item.name, InMemoryBucket([Rate(2, Duration.HOUR)]))


def make_app() -> FastAPI:
    """The dependency is the application's own, and so of all of its handlers."""
    buckets = Buckets()
    app = FastAPI(dependencies=[Depends(RateLimiter(Limiter(buckets)))])
    app.state.buckets = buckets.by_key
    return app


def set_up(app: FastAPI) -> Recorded:
    """There is no more to do. A key has the number of the route in it."""
    return lambda: {key: bucket.count() for key, bucket in app.state.buckets.items()}


SHOP = Shop(make_app=make_app)

ASKS = [
    *asks_below(""),
    Ask("/orders/7", 429),  # two were asked above
    *[Ask("/limited", status, "/limited" if status == 200 else None) for status in (200, 200, 429, 429)],
    *[Ask("/unlimited", reaches="/unlimited")] * 4,
    Ask("/unlimited", 401, token=""),
    Ask("/openapi.json"),
]


@every_start
async def test_the_same_is_limited(order: Order, lifespan: bool) -> None:
    """By path, before our layer; what is marked is not limited."""
    seen = await same(SHOP, order, set_up, lifespan=lifespan, asks=ASKS, declare=declare)
    assert len([key for key in seen.recorded if "/limited:" in key]) == 1
    assert not [key for key in seen.recorded if "/unlimited:" in key]


@either_order
async def test_methods_are_limited_as_functions_are(order: Order) -> None:
    """Its mark may stand on a controller's method."""
    without = await look(SHOP, order, set_up, asks=ASKS, declare=declare)
    with_us = await look(SHOP, order, set_up, asks=ASKS, declare=declare_with_a_controller)
    alike(with_us, without, ASKS)
