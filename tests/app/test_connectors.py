"""The hooks around the database and the supplier."""

import logging
from dataclasses import replace

import pytest
from dependency_injector import providers
from httpx2 import ASGITransport, AsyncClient

from app.container import Container
from app.main import create_app


@pytest.mark.usefixtures("no_relay")
async def test_every_statement_of_a_request_carries_its_id(
    client: AsyncClient, container: Container, customer: dict[str, str]
):
    """The request's id stands behind each statement, and no other one's; start-up's statements have none."""
    seen: list[str] = []
    container.statements().before_execute(lambda ctx: seen.append(ctx.req.sql))
    await client.get("/orders", headers={**customer, "X-Request-ID": "id-1"})
    assert seen
    assert {sql.rpartition(" /* ")[2] for sql in seen} == {"request id-1 */"}


@pytest.mark.usefixtures("no_relay")
async def test_slow_statements_are_logged_without_their_parameters(
    container: Container, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """A statement above the limit is one warning with its text and its time."""
    container.settings.override(providers.Object(replace(container.settings(), slow_query_seconds=0.0)))
    app = create_app(container)
    with caplog.at_level(logging.WARNING, "bookshop.sql"):
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client,
        ):
            caplog.clear()
            assert (await client.get("/books/3")).status_code == 200
    fields = [record.__dict__["fields"] for record in caplog.records if record.name == "bookshop.sql"]
    assert fields
    assert all(set(field) == {"sql", "seconds"} and field["sql"].startswith("SELECT") for field in fields)


async def test_an_order_to_the_supplier_says_where_it_is(client: AsyncClient, clerk: dict[str, str]):
    """The supplier's Location header is in the body."""
    answer = await client.post("/books/20/reorders", json={"quantity": 30}, headers=clerk)
    assert (answer.status_code, answer.json()) == (
        201,
        {"book_id": 20, "quantity": 30, "days": 3, "location": "/orders/1"},
    )


async def test_the_suppliers_refusal_comes_in_its_own_words(client: AsyncClient, clerk: dict[str, str]):
    """A 5xx of the supplier is no server error of the shop."""
    answer = await client.post("/books/20/reorders", json={"quantity": 101}, headers=clerk)
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        {"code": "supplier", "message": "At most 100 copies at a time."},
    )


async def test_only_clerks_order_from_the_supplier(client: AsyncClient, customer: dict[str, str]):
    """The class's roles hold for its method."""
    assert (await client.post("/books/20/reorders", json={"quantity": 1}, headers=customer)).status_code == 403


async def test_the_supplier_knows_our_request(client: AsyncClient, container: Container, clerk: dict[str, str]):
    """The id of the request goes along."""
    seen: list[str] = []
    container.supplier().connector.before_execute(lambda ctx: seen.append(ctx.req.headers["x-request-id"]))
    await client.post("/books/20/reorders", json={"quantity": 1}, headers={**clerk, "X-Request-ID": "id-2"})
    assert seen == ["id-2"]
