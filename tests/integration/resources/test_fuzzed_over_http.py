"""Whatever is sent to a resource over a real socket: never a 5xx, and what comes back is what the OpenAPI document says."""

import json
import os
import threading
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import openapi
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    status_code_conformance,
)
from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Integer, Numeric, String
from sqlalchemy import Enum as EnumType
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from interceptors import InterceptorRegistry
from interceptors.resources import Handler, Resource, Resources
from tests.integration.connectors.servers import server_url
from tests.integration.connectors.sql_support import URLS

pytestmark = pytest.mark.slow

UNIQUE = uuid.uuid4().hex[:8]


class Base(DeclarativeBase): ...


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Thing(Base):
    __tablename__ = f"things_{UNIQUE}"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    note: Mapped[str | None] = mapped_column(String(200))
    big: Mapped[int | None] = mapped_column(BigInteger)
    small: Mapped[int | None] = mapped_column(Integer)
    rate: Mapped[float | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    done: Mapped[bool | None]
    day: Mapped[date | None]
    at: Mapped[datetime | None]
    at_zone: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    clock: Mapped[time | None]
    span: Mapped[timedelta | None]
    # A type of its own: that of another run would still be in use when this one takes its own away.
    colour: Mapped[Colour | None] = mapped_column(EnumType(Colour, name=f"colour_{UNIQUE}"))
    token: Mapped[uuid.UUID | None]
    raw: Mapped[bytes | None]
    data: Mapped[Any | None] = mapped_column(JSON)
    secret: Mapped[str | None] = mapped_column(String(20))
    parts: Mapped[list["Part"]] = relationship(back_populates="thing")


class Part(Base):
    __tablename__ = f"parts_{UNIQUE}"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(30))
    thing_id: Mapped[int] = mapped_column(ForeignKey(f"things_{UNIQUE}.id"))
    thing: Mapped[Thing] = relationship(back_populates="parts")


class ThingResource(Resource):
    model = Thing
    fillable = frozenset(column.key for column in Thing.__table__.columns) - {"id", "secret"}
    hidden = ("secret",)
    handlers = frozenset(Handler)
    nested = relations = ("parts",)


class PartResource(Resource):
    model = Part
    fillable = ("title", "thing_id")
    handlers = frozenset(Handler)
    relations = ("thing",)
    top_level = True


def application(url: str) -> FastAPI:
    engine = create_async_engine(url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with async_sessionmaker(engine).begin() as session:
            session.add(Thing(name="first", secret="treasure", parts=[Part(title="a part")]))
        try:
            yield
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.drop_all)
        finally:
            await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    resources = Resources(InterceptorRegistry(), async_sessionmaker(engine))
    resources.add(ThingResource, PartResource)
    app.include_router(resources.router())
    return app


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own for each database."""
    name: str = request.param
    file = tmp_path_factory.mktemp("fuzzed") / "things.db"
    url = server_url(name, URLS[name]) if name in URLS else f"sqlite+aiosqlite:///{Path(file)}"
    server = uvicorn.Server(uvicorn.Config(application(url), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


IS_CAMPAIGN = "INTERCEPTORS_FUZZ_EXAMPLES" in os.environ
"""`make fuzz`: everything, and many more examples. Otherwise a short run."""
FUZZ = settings(
    max_examples=int(os.environ.get("INTERCEPTORS_FUZZ_EXAMPLES", "6")),
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


def test_no_generated_request_is_a_5xx(base_url: str) -> None:
    """Every operation, with valid and invalid input: no 5xx, and each answer is one that the document describes."""
    schema = openapi.from_url(f"{base_url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    statuses: set[int] = set()

    for operation in operations:
        run_operation(operation, statuses)

    assert len(operations) == 7 * 3
    assert {200, 201, 204, 400, 404} <= statuses


def run_operation(operation: Any, statuses: set[int]) -> None:
    @FUZZ
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    run()


ATTEMPTS = [
    "' OR '1'='1",
    "1; DROP TABLE things; --",
    '" UNION SELECT secret FROM things --',
    "id) FROM things WHERE (1=1",
    "name COLLATE nocase; --",
    "secret",
    "-secret",
    "Thing.secret",
    "things.secret",
    "__class__",
    "parts.thing.secret",
    "parts{thing{secret}}",
    "thing{secret}",
    "parts{title|thing{secret}}",
    "%00",
    "\x00",
    "\ud800",
    "{" * 2000,
    "[" * 20_000,
    "NaN",
    "1e999",
    "9" * 400,
    "sleep(5)",
    "${7*7}",
    "../../etc/passwd",
]
FIELDS = ["id", "name", "note", "big", "rate", "price", "done", "day", "at", "span", "colour", "token", "raw", "data"]
SUFFIXES = ["", "$not", "$gt", "$lte", "$like", "$notILike", "$in", "$notIn", "$between", "$nonsense"]


def attempts() -> Iterator[tuple[str, str]]:
    for text_ in ATTEMPTS:
        for parameter in ("page", "per_page", "sort", "fields", "with", "q"):
            yield parameter, text_
        for key in (text_, f"$or.{text_}", f"name{text_}", f"name${text_}"):
            yield "q", json.dumps({key: 1})
            yield "q", json.dumps([[{key: None}], {"$or.id": 1}])
        for field in FIELDS:
            for suffix in SUFFIXES:
                yield "q", json.dumps({f"{field}{suffix}": text_})


def on_hidden_columns() -> Iterator[str]:
    for suffix in SUFFIXES[:-1]:
        yield json.dumps({f"secret{suffix}": ["treasure", "treasure"]})
        yield json.dumps([{"id$gt": 0}, {f"$or.secret{suffix}": "t*"}])


def test_injection_attempts_are_400_or_harmless(base_url: str) -> None:
    """In every query parameter: no 5xx, no hidden value, nothing changed."""
    statuses = set()
    with httpx2.Client(base_url=base_url, timeout=30) as client:
        before = client.get("/things/1").text
        for path in ("/things", "/things/1"):
            for number, (parameter, value) in enumerate(attempts()):
                if number % 11 and not IS_CAMPAIGN:
                    continue
                try:
                    response = client.get(path, params={parameter: value})
                except (UnicodeEncodeError, httpx2.InvalidURL):  # the client cannot even send it
                    continue
                statuses.add(response.status_code)
                assert response.status_code in (200, 400, 404, 414, 431), (path, parameter, value[:200], response.text)
                assert "treasure" not in response.text, (path, parameter, value)
        for value in on_hidden_columns():
            assert client.get("/things", params={"q": value}).json() == {"error": "Undefined column names: secret"}
        assert client.get("/things/1").text == before
    assert {200, 400} <= statuses
