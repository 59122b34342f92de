"""Checks at start-up: after the application's own lifespan has started up, or before the first request."""

from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request

from interceptors import InterceptorRegistry, UnknownKeyError, intercept
from interceptors.fastapi import controller, get, install
from tests.unit.fastapi.serving import app_of, client_of
from tests.unit.helpers import passing


@controller()
class Asks:
    @get("/")
    @intercept("key")
    async def show(self, request: Request) -> Any:
        return getattr(request.state, "word", None)


def test_a_mistake_stops_the_start() -> None:
    """With a lifespan the application does not start."""
    with pytest.raises(UnknownKeyError, match="No key 'key' is bound"), client_of(app_of(Asks)):
        pass


def test_without_a_lifespan_a_mistake_is_found_at_the_first_request() -> None:
    """Every request fails until it is repaired; the check is made again each time."""
    registry = InterceptorRegistry()
    client = client_of(app_of(Asks, registry=registry))
    for _ in range(2):
        with pytest.raises(UnknownKeyError):
            client.get("/nowhere")
    registry.bind("key", passing)
    assert client.get("/").status_code == 200
    registry.unbind("key")
    assert client.get("/nowhere").status_code == 404


def test_the_check_runs_after_the_applications_own_lifespan_has_started_up() -> None:
    """What it binds is there; its state and its shut-down stay as they are."""
    events: list[str] = []
    registry = InterceptorRegistry()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        registry.bind("key", passing)
        events.append("up")
        yield {"word": "from the lifespan"}
        events.append("down")

    with client_of(app_of(Asks, registry=registry, lifespan=lifespan)) as client:
        assert client.get("/").json() == "from the lifespan"
    assert events == ["up", "down"]


def test_a_failed_check_shuts_the_lifespan_down() -> None:
    """What had been set up is taken down again."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        events.append("up")
        try:
            yield
        finally:
            events.append("down")

    with pytest.raises(UnknownKeyError), client_of(app_of(Asks, lifespan=lifespan)):
        pass
    assert events == ["up", "down"]


def test_the_check_is_made_once() -> None:
    """At start-up, and not again at the first request; later changes are found when a chain is computed."""
    registry = InterceptorRegistry()
    registry.bind("key", passing)
    with client_of(app_of(Asks, registry=registry)) as client:
        registry.unbind("key")
        assert client.get("/nowhere").status_code == 404
        with pytest.raises(UnknownKeyError):
            client.get("/")
        registry.bind("key", passing)
        assert client.get("/").status_code == 200


def test_installing_on_an_application_that_runs_already_checks_at_the_next_request() -> None:
    """The middleware that it has stays."""
    app = FastAPI()
    ran: list[str] = []

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        ran.append(request.url.path)
        return await call_next(request)

    client = client_of(app)
    assert client.get("/").status_code == 404
    install(app, InterceptorRegistry(), controllers=[Asks])
    with pytest.raises(UnknownKeyError):
        client.get("/")
    assert ran == ["/", "/"]  # the check is the router's: what stands around the application runs as ever


def test_a_mounted_application_is_checked_at_its_first_request() -> None:
    """Starlette runs no lifespan of a mounted application."""
    registry = InterceptorRegistry()
    outer = FastAPI()
    outer.mount("/inner", app_of(Asks, registry=registry))
    with client_of(outer) as client:
        with pytest.raises(UnknownKeyError):
            client.get("/inner/")
        registry.bind("key", passing)
        assert client.get("/inner/").status_code == 200
