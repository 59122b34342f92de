"""The global layers: their order, request ids, logs, the audit inside."""

import asyncio
import logging
import re

import pytest
from httpx2 import AsyncClient

from app.container import Container
from app.controllers.books import BookController

ORDER = {"lines": [{"book_id": 1, "quantity": 2}]}


def fields(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.name == logger]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bookshop")


@pytest.mark.parametrize("path", ["/books", "/books/1", "/books/4711", "/orders", "/books/export", "/health"])
async def test_every_answer_has_an_id_and_a_time(client: AsyncClient, path: str):
    """Answers and refusals, of methods, streams and functions, carry a new id and say how long they took."""
    ids = set()
    for _ in range(2):
        answer = await client.get(path)
        ids.add(answer.headers["X-Request-ID"])
        assert re.fullmatch(r"app;dur=\d+\.\d", answer.headers["Server-Timing"])
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("", False), ('x"}', False)],
)
async def test_a_foreign_id_is_kept_if_it_is_one(client: AsyncClient, given: str, kept: bool):
    """The client's own request id is used when it looks like an id, and replaced when it does not."""
    answer = await client.get("/books/1", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


async def test_the_log_sees_what_the_layers_inside_decided(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """request > log > errors > auth: the log has the id, and the status that domain and auth errors became."""
    await client.get("/books/1", headers={"X-Request-ID": "one"})
    await client.get("/books/4711", headers={"X-Request-ID": "two"})
    await client.get("/orders", headers={"X-Request-ID": "three"})
    await client.post("/books/1/deliveries", json={"quantity": 1}, headers={**customer, "X-Request-ID": "four"})
    lines = fields(caplog, "bookshop.access")
    assert [(line["request_id"], line["target"], line["outcome"]) for line in lines] == [
        ("one", "BookController.show", "ok"),
        ("two", "BookController.show", "404"),
        ("three", "OrderController.mine", "401"),
        ("four", "StockController.deliver", "403"),
    ]
    assert caplog.records[0].getMessage() == "route GET /books/{book_id}: ok"


async def test_health_answers_and_is_not_logged(client: AsyncClient, caplog: pytest.LogCaptureFixture):
    """A function route has its own layer and the globals, but for the one that it skips."""
    answer = await client.get("/health")
    assert (answer.json(), answer.headers["Cache-Control"]) == ({"status": "ok"}, "no-store")
    assert fields(caplog, "bookshop.access") == []


async def test_the_audit_sees_the_same_request(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """The service's layer runs inside the controller's request: same id, same user, the service's own arguments."""
    order = {"lines": [{"book_id": 1, "quantity": 2}, {"book_id": 20}]}
    answer = await client.post("/orders", json=order, headers={**customer, "X-Request-ID": "mine"})
    assert answer.status_code == 409
    assert fields(caplog, "bookshop.audit") == [
        {"request_id": "mine", "account": 1, "book": 1, "quantity": 2},
        {"request_id": "mine", "account": 1, "book": 20, "quantity": 1},
    ]
    audit = [record.getMessage() for record in caplog.records if record.name == "bookshop.audit"]
    assert audit[0] == "StockService.take"
    assert audit[1].startswith("StockService.take refused: 1 of ")


async def test_route_layers_do_not_run_around_services(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """Globals with `source="route"` are for routes: one order is one line in the access log."""
    assert (await client.post("/orders", json=ORDER, headers=customer)).status_code == 201
    assert [line["target"] for line in fields(caplog, "bookshop.access")] == ["OrderController.place"]


async def test_concurrent_requests_keep_their_ids(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """Requests at the same time never see each other's id."""
    answers = await asyncio.gather(
        *(client.post("/orders", json=ORDER, headers={**customer, "X-Request-ID": f"id-{i}"}) for i in range(5))
    )
    expected = {f"id-{i}" for i in range(5)}
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.headers["X-Request-ID"] for answer in answers} == expected
    assert {line["request_id"] for line in fields(caplog, "bookshop.audit")} == expected


def test_the_chain_is_globals_then_class_then_method(container: Container):
    """The groups come in their order, outside the class's layer, outside the method's; a dotted key is its provider's."""
    chain = container.registry().explain(BookController, "search", source="route").chain
    assert [(layer.level, layer.group or layer.key, layer.name) for layer in chain] == [
        ("global", "request", "trace"),
        ("global", "log", "access_log"),
        ("global", "errors", "map_errors"),
        ("global", "auth", "authorize"),
        ("global", "remoting", "RemoteHooks"),
        ("class", None, "conceal_cost"),
        ("method", None, "tidy_search"),
        ("method", "aspects.caching", "CachingInterceptor"),
    ]
