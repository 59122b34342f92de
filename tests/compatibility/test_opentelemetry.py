"""opentelemetry-instrumentation-fastapi, and FastAPI's own telemetry: spans and metrics are what they are without us."""

from functools import partial
from typing import Any

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.compatibility.support import (
    ASKS,
    Order,
    Recorded,
    Shop,
    either_order,
    every_order,
    every_start,
    own_frames,
    same,
    same_as_a_controller,
)

EXPORTER, PROVIDER = InMemorySpanExporter(), TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))
SHOP = Shop(decorate=PROVIDER.get_tracer("shop").start_as_current_span("in the shop"))


def instrument(app: FastAPI) -> Recorded:
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader])
    FastAPIInstrumentor.instrument_app(app, tracer_provider=PROVIDER, meter_provider=meters)

    def recorded() -> tuple[list[Any], list[Any]]:
        FastAPIInstrumentor.uninstrument_app(app)
        return spans(), metrics(reader)

    return recorded


def spans() -> list[Any]:
    """All that has been finished, in its order, without times and identities."""
    finished = EXPORTER.get_finished_spans()
    EXPORTER.clear()
    names = {span.context.span_id: span.name for span in finished}
    return [
        (
            span.name,
            names[span.parent.span_id] if span.parent else None,
            span.kind,
            span.instrumentation_scope.name,
            span.status.status_code,
            span.status.description,
            dict(span.attributes),
            events(span),
        )
        for span in finished
    ]


def events(span: ReadableSpan) -> list[Any]:
    return [
        (event.name, {**event.attributes, "exception.stacktrace": own_frames(event.attributes["exception.stacktrace"])})
        for event in span.events
    ]


def metrics(reader: InMemoryMetricReader) -> list[Any]:
    """What was counted for what; durations vary."""
    return [
        (metric.name, metric.unit, dict(point.attributes), getattr(point, "count", None))
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


@every_start
async def test_spans_and_metrics_are_the_same(order: Order, lifespan: bool) -> None:
    """Names, parents, attributes, statuses and errors of spans, and what is counted for which route; so are the shop's own."""
    seen = await same(SHOP, order, instrument, lifespan=lifespan)
    recorded, measured = seen.recorded
    parents = [(name, parent) for name, parent, *_ in recorded]
    assert len([name for name, parent in parents if parent is None]) == len(ASKS)
    assert parents.count(("in the shop", "GET /v1/shelf/orders/{number}")) == 1
    assert parents.count(("in the shop", "GET /gone/{number}")) == 1
    assert {name for name, *_ in measured} >= {"http.server.duration", "http.server.active_requests"}


@either_order
async def test_spans_of_methods_are_those_of_functions(order: Order) -> None:
    """A controller's method has the spans that a function has in its place."""
    await same_as_a_controller(SHOP, order, instrument)


def nothing_to_set_up(app: FastAPI) -> Recorded:
    return spans


@every_order
async def test_fastapi_s_own_spans_are_the_same(order: Order) -> None:
    """The endpoint's span has the handler's name and stands around it in the same place."""
    telemetry = {"tracer_provider": PROVIDER, "metrics": False, "logs": False}
    shop = Shop(decorate=SHOP.decorate, make_app=partial(FastAPI, telemetry=telemetry))
    seen = await same(shop, order, nothing_to_set_up)
    assert [parent for name, parent, *_ in seen.recorded].count("GET /orders/{number}") > 1
