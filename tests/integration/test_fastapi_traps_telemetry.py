"""Section 4b, telemetry: the spans of FastAPI's own telemetry around intercepted handlers."""

from typing import Any

import pytest
from fastapi import FastAPI

from interceptors import InterceptorRegistry, InvocationContext, intercept
from interceptors.fastapi import controller, get, install
from tests.integration.support import Next, ask

trace = pytest.importorskip("opentelemetry.trace")


class Span(trace.NonRecordingSpan):
    """A span with a name."""

    def __init__(self, name: str) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.name = name


class Tracer(trace.NoOpTracer):
    """Notes each span: its name, the function it is about, the span it stands in."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str | None, str | None]] = []

    def start_span(self, name: str, *args: Any, attributes: Any = None, **kwargs: Any) -> Any:
        parent = getattr(trace.get_current_span(), "name", None)
        self.spans.append((name, (attributes or {}).get("code.function.name"), parent))
        return Span(name)

    def start_as_current_span(self, name: str, *args: Any, attributes: Any = None, **kwargs: Any) -> Any:
        return trace.use_span(self.start_span(name, attributes=attributes))


class Provider(trace.TracerProvider):
    """Gives one tracer to all."""

    def __init__(self) -> None:
        self.tracer = Tracer()

    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        return self.tracer


provider = Provider()


async def traced(ctx: InvocationContext, next: Next) -> Any:
    with provider.tracer.start_as_current_span("layer"):
        return await next()


@controller()
@intercept(traced)
class Traced:
    """A controller with a span in its chain."""

    @get("/method")
    async def method(self) -> None: ...

    @get("/sync")
    def sync(self) -> None: ...


@intercept(traced)
async def function() -> None: ...


@pytest.mark.parametrize(
    ("path", "name"), [("/method", "Traced.method"), ("/sync", "Traced.sync"), ("/function", "function")]
)
async def test_4b_spans_bear_the_handlers_name(path: str, name: str):
    """4b, telemetry: `code.function.name` is the handler's own, and a layer's span stands in the endpoint's."""
    app = FastAPI(telemetry={"tracer_provider": provider, "metrics": False, "logs": False})
    install(app, InterceptorRegistry(), controllers=[Traced])
    app.get("/function")(function)
    provider.tracer.spans.clear()
    assert (await ask(app, path)).status_code == 200
    spans = provider.tracer.spans
    assert [function for span, function, _ in spans if span == "fastapi.endpoint"] == [f"{__name__}.{name}"]
    assert [parent for span, _, parent in spans if span == "layer"] == ["fastapi.endpoint"]
