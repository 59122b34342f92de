"""fastapi-versioning: it reads an attribute of handlers, and takes their routes from the application to others.

It does not know of the routers that FastAPI includes, and fails where there are any, with us and without. So there are none.
"""

from typing import Any

from fastapi import FastAPI
from fastapi_versioning import VersionedFastAPI, version

from tests.compatibility.support import (
    DECLARE,
    SET_UP,
    Ask,
    Order,
    Recorded,
    Shop,
    asks_below,
    install_everywhere,
    same,
    same_as_a_controller,
    with_and_without_lifespan,
)


def of_version_two(handler: Any) -> Any:
    """Two of the handlers; it is an attribute."""
    return version(2)(handler) if handler.__name__ in {"greet", "weigh"} else handler


SHOP = Shop(decorate=of_version_two)


def set_up(app: FastAPI) -> Recorded:
    app.state.versioned = versioned = VersionedFastAPI(app, enable_latest=True)
    return lambda: [
        (mounted.path, [route.path for route in mounted.routes])
        for mounted in versioned.routes
        if hasattr(mounted, "routes")
    ]


def of_a_version(prefix: str, *, is_missing: tuple[str, ...] = ()) -> list[Ask]:
    """The path that a route says is without the version: it is the very route that was declared."""
    asks = [ask._replace(path=f"{prefix}{ask.path}") for ask in [*asks_below(""), Ask("/openapi.json")]]
    return [
        ask._replace(status=404, reaches=None)
        if ask.path.startswith(tuple(f"{prefix}{each}/" for each in is_missing))
        else ask
        for ask in asks
    ]


ASKS = [
    *of_a_version("/v1_0", is_missing=("/greetings", "/weights")),
    *of_a_version("/v2_0"),
    *of_a_version("/latest"),
    Ask("/openapi.json"),
]
OPTIONS: Any = {"asks": ASKS, "served": lambda app: app.state.versioned}


@install_everywhere
@with_and_without_lifespan
async def test_versions_have_the_same_routes(order: Order, lifespan: bool) -> None:
    """Our layer goes with them."""
    await same(SHOP, order, set_up, lifespan=lifespan, declare=Shop.declare_without_a_router, **OPTIONS)


async def test_methods_are_versioned_as_functions_are() -> None:
    """The attribute may stand on a controller's method."""
    await same_as_a_controller(SHOP, (DECLARE, SET_UP), set_up, **OPTIONS)
