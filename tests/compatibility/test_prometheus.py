"""prometheus-fastapi-instrumentator: requests are counted for the same paths, and metrics are served in the same way."""

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from tests.compatibility.support import (
    INSTALL,
    Ask,
    Order,
    Recorded,
    Shop,
    either_order,
    every_order,
    every_start,
    look,
    same,
    same_as_a_controller,
)

SHOP = Shop()


def set_up(app: FastAPI) -> Recorded:
    registry = CollectorRegistry()
    instrumentator = Instrumentator(should_group_status_codes=False, registry=registry)
    instrumentator.instrument(app).expose(app, include_in_schema=True)
    return lambda: counted(registry)


def counted(registry: CollectorRegistry) -> list[tuple[str, dict[str, str], float]]:
    """What was counted, for what; durations and when it began vary."""
    return [
        (sample.name, sample.labels, sample.value)
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name.endswith(("_count", "_total", "_size_bytes_sum"))
    ]


@every_start
async def test_the_same_is_counted(order: Order, lifespan: bool) -> None:
    """By path, verb and status; sizes, too."""
    seen = await same(SHOP, order, set_up, lifespan=lifespan)
    assert ("http_requests_total", {"handler": "/v1/shelf/gone/{number}", "method": "GET", "status": "500"}, 1) in (
        seen.recorded
    )


@either_order
async def test_methods_are_counted_as_functions_are(order: Order) -> None:
    """A controller's method has the path of its route."""
    await same_as_a_controller(SHOP, order, set_up)


@every_order
async def test_what_was_counted_is_told_by_a_function_of_the_application(order: Order) -> None:
    """The library declares it; our layer runs around it as around any other."""
    asks = [Ask("/metrics")]
    without = await look(SHOP, [step for step in order if step != INSTALL], set_up, asks=asks)
    with_us = await look(SHOP, order, set_up, asks=asks)
    seen = [[answer[:2] for answer in each.answers] for each in (without, with_us)]
    names = [[line.partition(b" ")[0] for line in each.answers[0][3].splitlines()] for each in (without, with_us)]
    assert seen[0] == seen[1]
    assert names[0] == names[1]
    assert with_us.ran == ["route GET /metrics"]
