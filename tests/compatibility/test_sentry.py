"""sentry-sdk: transactions and errors have the names, spans and data that they have without us."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from fastapi import FastAPI, routing
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport

from tests.compatibility.support import (
    ASKS,
    Order,
    Recorded,
    Shop,
    as_a_function,
    either_order,
    every_order,
    same,
    same_as_a_controller,
    with_and_without_lifespan,
)

SHOP = Shop(decorate=sentry_sdk.trace(op="shop", name="in the shop"))
HANDLER = routing.get_request_handler
STYLES = pytest.mark.parametrize("style", ["url", "endpoint"])


class Kept(Transport):
    """Nothing is sent anywhere."""

    events: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events.extend(item.payload.json for item in envelope.items if item.type in {"event", "transaction"})


def start_sentry(style: str) -> None:
    sentry_sdk.init(
        "http://key@localhost/1",
        transport=Kept,
        traces_sample_rate=1,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[FastApiIntegration(style), StarletteIntegration(style)],
    )


@pytest.fixture(autouse=True)
def sentry() -> Iterator[None]:
    """Once in a process it puts itself into Starlette and FastAPI; into FastAPI it does so anew in each order here."""
    start_sentry("url")
    routing.get_request_handler = HANDLER
    yield
    sentry_sdk.init()
    routing.get_request_handler = HANDLER


def set_up(style: str) -> Callable[[FastAPI], Recorded]:
    def start(app: FastAPI) -> Recorded:
        start_sentry(style)
        FastApiIntegration.setup_once()
        return recorded

    return start


def recorded() -> list[Any]:
    routing.get_request_handler = HANDLER
    found = [comparable(event) for event in Kept.events]
    Kept.events.clear()
    return found


def comparable(event: dict[str, Any]) -> Any:
    """Without times and identities."""
    trace = event["contexts"]["trace"]
    return (
        event.get("type", "error"),
        as_a_function(event["transaction"]),
        event.get("transaction_info"),
        event.get("level"),
        event["request"],
        {name: value for name, value in trace.items() if not name.endswith("_id")},
        event.get("tags"),
        [(span["op"], span["description"], span["origin"], span.get("status")) for span in event.get("spans", [])],
        [
            (error["type"], error["value"], error["mechanism"], own_functions(error))
            for error in event.get("exception", {}).get("values", [])
        ],
    )


def own_functions(error: dict[str, Any]) -> list[Any]:
    return [
        (frame["function"], frame["context_line"], frame["vars"])
        for frame in error["stacktrace"]["frames"]
        if frame["module"] == Shop.__module__ and frame["function"] != "layer"
    ]


@every_order
@with_and_without_lifespan
@STYLES
async def test_transactions_and_errors_are_the_same(order: Order, lifespan: bool, style: str) -> None:
    """Named by the path of the route, or by the function; spans of the shop's own stand in them."""
    seen = await same(SHOP, order, set_up(style), lifespan=lifespan)
    kinds = [kind for kind, *_ in seen.recorded]
    assert kinds.count("transaction") == len(ASKS)
    assert kinds.count("error") == 4


@either_order
@STYLES
async def test_transactions_of_methods_are_those_of_functions(order: Order, style: str) -> None:
    """A controller's method has the transaction that a function has in its place."""
    await same_as_a_controller(SHOP, order, set_up(style))
