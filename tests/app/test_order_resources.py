"""Orders and their lines as resources: searched, read with lines, private."""

import json
from typing import Any

import pytest
from httpx2 import AsyncClient


@pytest.fixture
async def order(client: AsyncClient, customer: dict[str, str]) -> dict[str, Any]:
    lines = [{"book_id": 1, "quantity": 2}, {"book_id": 3}]
    answer = await client.post("/orders", json={"lines": lines}, headers=customer)
    assert answer.status_code == 201
    return answer.json()


@pytest.fixture
async def ada(client: AsyncClient) -> dict[str, str]:
    """Another customer, who has an order, too."""
    token = (await client.post("/accounts", json={"name": "Ada"})).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    await client.post("/orders", json={"lines": [{"book_id": 2}]}, headers=headers)
    return headers


async def test_an_order_comes_with_its_lines(client: AsyncClient, customer: dict[str, str], order: dict[str, Any]):
    """`with` loads the lines, also some of their fields; without it there are none."""
    place = f"/api/orders/{order['id']}"
    plain = {"id": order["id"], "account_id": 1, "placed_at": order["placed_at"]}
    shown = (await client.get(place, headers=customer)).json()
    assert {**shown, "placed_at": shown["placed_at"].replace("+00:00", "Z")} == plain
    full = (await client.get(place, params={"with": "lines"}, headers=customer)).json()["lines"]
    assert [(line["book_id"], line["quantity"], line["price_cents"]) for line in full] == [(1, 2, 899), (3, 1, 799)]
    listed = (await client.get("/api/orders", params={"with": "lines{book_id}"}, headers=customer)).json()
    assert [[line["book_id"] for line in row["lines"]] for row in listed["data"]] == [[1, 3]]


async def test_lines_have_routes_of_their_own(client: AsyncClient, customer: dict[str, str], order: dict[str, Any]):
    """Below their order, filtered, and one by one; not at the top, and not below an order that is not theirs."""
    place = f"/api/orders/{order['id']}/lines"
    many = (await client.get(place, params={"q": '{"quantity$gte": 2}'}, headers=customer)).json()["data"]
    assert [line["book_id"] for line in many] == [1]
    assert (await client.get(f"{place}/{many[0]['id']}", headers=customer)).json() == many[0]
    assert (await client.get(f"{place}/4711", headers=customer)).status_code == 404
    assert (await client.get("/api/orders/4711/lines", headers=customer)).status_code == 404
    assert (await client.get("/api/order-lines", headers=customer)).status_code == 404


async def test_orders_are_searched_by_time(client: AsyncClient, customer: dict[str, str], order: dict[str, Any]):
    """A time is a time in whatever zone it is written."""
    for operator, found in (("$gte", 1), ("$lte", 1), ("$gt", 0)):
        query = {"q": json.dumps({f"placed_at{operator}": order["placed_at"]})}
        page = (await client.get("/api/orders", params=query, headers=customer)).json()
        assert page["pagination"]["total"] == found, operator


async def test_customers_see_their_own_orders_whatever_they_ask(
    client: AsyncClient, customer: dict[str, str], order: dict[str, Any], ada: dict[str, str]
):
    """The hook's condition narrows what the client's query finds; it cannot be got around."""
    for query, found in (
        ({}, [1]),
        ({"per_page": "100"}, [1]),
        ({"q": '{"account_id": 3}'}, []),
        ({"q": '[{"account_id": 3}, {"$or.id$gt": 0}]'}, [1]),
    ):
        page = (await client.get("/api/orders", params=query, headers=customer)).json()
        assert [row["account_id"] for row in page["data"]] == found, query


async def test_somebody_elses_order_is_not_found(
    client: AsyncClient, customer: dict[str, str], clerk: dict[str, str], order: dict[str, Any], ada: dict[str, str]
):
    """Neither it nor its lines; for clerks all are there."""
    line = (await client.get("/api/orders/1/lines", headers=customer)).json()["data"][0]["id"]
    places = ["/api/orders/1", "/api/orders/1/lines", f"/api/orders/1/lines/{line}"]
    assert [(await client.get(place, headers=ada)).status_code for place in places] == [404] * 3
    assert [(await client.get(place, headers=clerk)).status_code for place in places] == [200] * 3
    assert (await client.get("/api/orders", headers=clerk)).json()["pagination"]["total"] == 2
    missing = await client.get("/api/orders/4711/lines", headers=ada)
    assert (await client.get("/api/orders/1/lines", headers=ada)).json() == missing.json()


async def test_orders_are_for_who_is_signed_in_and_only_read(client: AsyncClient, clerk: dict[str, str]):
    """Placing an order is the controller's; here nothing is written."""
    for place in ("/api/orders", "/api/orders/1", "/api/orders/1/lines", "/api/orders/1/lines/1"):
        assert (await client.get(place)).status_code == 401
        for verb in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await client.request(verb, place, headers=clerk, json={})).status_code == 405, (verb, place)
