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
    DECLARE,
    INSTALL,
    ORDERS,
    SET_UP,
    Order,
    Recorded,
    Shop,
    as_a_function,
    either_order,
    every_start,
    same,
    same_as_a_controller,
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


def set_up(style: str, *, thread: bool = True) -> Callable[[FastAPI], Recorded]:
    """`thread`: that in which the handler has run is recorded."""

    def start(app: FastAPI) -> Recorded:
        start_sentry(style)
        FastApiIntegration.setup_once()
        return lambda: recorded(thread=thread)

    return start


def recorded(*, thread: bool) -> list[Any]:
    routing.get_request_handler = HANDLER
    found = [comparable(event, thread=thread) for event in Kept.events]
    Kept.events.clear()
    return found


def comparable(event: dict[str, Any], *, thread: bool) -> Any:
    """Without times and identities."""
    trace = event["contexts"]["trace"]
    data = {name: value for name, value in trace.pop("data", {}).items() if name != "thread.id"}
    data["thread.name"] = data.get("thread.name") if thread else None
    return (
        event.get("type", "error"),
        as_a_function(event["transaction"]),
        event.get("transaction_info"),
        event.get("level"),
        event["request"],
        {name: value for name, value in trace.items() if not name.endswith("_id")},
        data,
        event.get("tags"),
        [(span["op"], span["description"], span["origin"], span.get("status")) for span in event.get("spans", [])],
        [
            (error["type"], error["value"], error["mechanism"], own_functions(error))
            for error in event.get("exception", {}).get("values", [])
        ],
    )


def own_functions(error: dict[str, Any]) -> list[Any]:
    return [
        (frame["function"], frame["context_line"].strip(), {**frame["vars"], "self": None})
        for frame in error["stacktrace"]["frames"]
        if frame["module"] == Shop.__module__ and frame["function"] != "layer"
    ]


@every_start
async def test_transactions_and_errors_are_the_same(order: Order, lifespan: bool) -> None:
    """Named by their paths; with the thread of the handler, the spans of the shop and its functions in tracebacks."""
    seen = await same(SHOP, order, set_up("url"), lifespan=lifespan)
    kinds = [kind for kind, *_ in seen.recorded]
    assert kinds.count("transaction") == len(ASKS)
    assert kinds.count("error") == 4
    assert {event[1] for event in seen.recorded if event[6]["thread.name"] != "MainThread"} == (
        {f"{prefix}{path}/{{number}}" for prefix in ("", "/v1/shelf") for path in ("/stock", "/weights", "/gone")}
        if order.index(SET_UP) < order.index(DECLARE)
        else {f"/v1/shelf{path}/{{number}}" for path in ("/stock", "/weights", "/gone")}
    )


@pytest.mark.parametrize("order", [order for order in ORDERS if order != (DECLARE, SET_UP, INSTALL)], ids=", ".join)
async def test_transactions_have_the_names_of_the_handlers(order: Order) -> None:
    """In the order that is left out Sentry comes too late to see the functions, and we give it another chance to."""
    seen = await same(SHOP, order, set_up("endpoint"))
    assert f"{Shop.__module__}.Shop.handlers.<locals>.show" in {name for _, name, *_ in seen.recorded}


@either_order
@STYLES
async def test_transactions_of_methods_are_those_of_functions(order: Order, style: str) -> None:
    """A controller's method has the transaction that a function has in its place, but for the thread: we call it."""
    await same_as_a_controller(SHOP, order, set_up(style, thread=False))
