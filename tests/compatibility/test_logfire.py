"""logfire: it puts itself around how FastAPI finds a handler's arguments and calls it; what it records is the same with us."""

from functools import partial
from pathlib import Path
from typing import Any

import logfire
import pytest
from fastapi import FastAPI
from logfire.testing import SimpleSpanProcessor, TestExporter

import interceptors
from tests.compatibility.support import (
    ASKS,
    Order,
    Recorded,
    Shop,
    as_a_function,
    either_order,
    every_start,
    own_frames,
    same,
    same_as_a_controller,
)

EXPORTER = TestExporter()
SHOP = Shop(decorate=logfire.instrument("in the shop", extract_args=["number", "who"], record_return=True))


@pytest.fixture(autouse=True)
def configured() -> None:
    """Nothing is sent anywhere. Frames of what is installed are none of the user's; here our package is not."""
    processor = SimpleSpanProcessor(EXPORTER)
    logfire.add_non_user_code_prefix(Path(interceptors.__file__).parent)
    logfire.configure(send_to_logfire=False, console=False, metrics=False, additional_span_processors=[processor])


def instrument(app: FastAPI, line: int | None = None) -> Recorded:
    """`line`: what stands for all numbers of lines."""
    instrumented = logfire.instrument_fastapi(app, extra_spans=True, excluded_urls="openapi.json")

    def recorded() -> list[Any]:
        with instrumented:  # leaving it takes the instrumentation away
            pass
        found = [comparable(span) for span in EXPORTER.exported_spans_as_dict(fixed_line_number=line)]
        EXPORTER.clear()
        return found

    return recorded


def comparable(span: dict[str, Any]) -> Any:
    """Without times and identities. Where a function of the shop is written is part of it."""
    attributes = {name: value for name, value in span["attributes"].items() if not name.endswith("_timestamp")}
    attributes["logfire.msg"] = as_a_function(attributes["logfire.msg"])
    names = sorted(name for name in span["attributes"] if name.endswith("_timestamp"))
    events = [
        (
            event["name"],
            {**event["attributes"], "exception.stacktrace": own_frames(event["attributes"]["exception.stacktrace"])},
        )
        for event in span.get("events", [])
    ]
    return span["name"], span["parent"] is not None, attributes, names, events


@every_start
async def test_spans_are_the_same(order: Order, lifespan: bool) -> None:
    """Those of the request, of its arguments with values and errors, of the handler with its place, and the shop's own."""
    seen = await same(SHOP, order, instrument, lifespan=lifespan)
    names = [name for name, *_ in seen.recorded]
    assert names.count("FastAPI arguments") == len([ask for ask in ASKS if ask.status in {200, 401, 422, 500}]) - 1
    assert names.count("in the shop") == len(seen.ran)


@either_order
async def test_spans_of_methods_are_those_of_functions(order: Order) -> None:
    """A controller's method has the spans that a function has in its place."""
    await same_as_a_controller(SHOP, order, partial(instrument, line=1))
