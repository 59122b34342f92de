"""Orders and their transaction."""

import asyncio
from datetime import UTC, datetime

import pytest
from httpx2 import AsyncClient

from app.repositories.orders import OrderRepository


async def stock_of(client: AsyncClient, book_id: int) -> int:
    return (await client.get(f"/books/{book_id}")).json()["stock"]


def wanted(*lines: tuple[int, int]) -> dict[str, object]:
    return {"lines": [{"book_id": book_id, "quantity": quantity} for book_id, quantity in lines]}


async def test_an_order_has_prices_a_total_and_a_time(client: AsyncClient, customer: dict[str, str]):
    """The answer has the day's prices, their total in cents and an aware time; it can be read again as it is."""
    placed = await client.post("/orders", json=wanted((1, 2), (3, 1)), headers=customer)
    order = placed.json()
    assert placed.status_code == 201
    assert order["lines"] == [
        {"book_id": 1, "quantity": 2, "price_cents": 899},
        {"book_id": 3, "quantity": 1, "price_cents": 799},
    ]
    assert order["total_cents"] == 2 * 899 + 799
    assert abs(datetime.now(UTC) - datetime.fromisoformat(order["placed_at"])).total_seconds() < 60
    assert (await client.get(f"/orders/{order['id']}", headers=customer)).json() == order
    assert (await client.get("/orders", headers=customer)).json() == [order]


async def test_an_order_takes_its_books_off_the_shelf(client: AsyncClient, customer: dict[str, str]):
    """Every line lowers the stock, also two lines of the same book."""
    before = await stock_of(client, 1)
    placed = await client.post("/orders", json=wanted((1, 2), (1, 3)), headers=customer)
    assert placed.status_code == 201
    assert await stock_of(client, 1) == before - 5


@pytest.mark.parametrize(("line", "status", "code"), [((20, 1), 409, "out_of_stock"), ((4711, 1), 404, "not_found")])
async def test_all_lines_or_none(
    client: AsyncClient, customer: dict[str, str], line: tuple[int, int], status: int, code: str
):
    """When a later line cannot be had, the transaction gives the earlier ones back and there is no order."""
    before = await stock_of(client, 1)
    answer = await client.post("/orders", json=wanted((1, 2), line), headers=customer)
    assert (answer.status_code, answer.json()["detail"]["code"]) == (status, code)
    assert await stock_of(client, 1) == before
    assert (await client.get("/orders", headers=customer)).json() == []


async def test_a_crash_rolls_back(client: AsyncClient, customer: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """An error that nobody expected undoes the stock as well."""

    async def crash(*_: object) -> None:
        raise ZeroDivisionError

    before = await stock_of(client, 1)
    monkeypatch.setattr(OrderRepository, "add", crash)
    with pytest.raises(ZeroDivisionError):
        await client.post("/orders", json=wanted((1, 2)), headers=customer)
    assert await stock_of(client, 1) == before


async def test_the_last_copy_is_sold_once(client: AsyncClient, customer: dict[str, str]):
    """Of many customers at the same time, as many get a copy as there are copies."""
    copies = await stock_of(client, 38)
    answers = await asyncio.gather(
        *(client.post("/orders", json=wanted((38, 1)), headers=customer) for _ in range(copies + 5))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * copies + [409] * 5
    assert await stock_of(client, 38) == 0


async def test_orders_are_private(client: AsyncClient, customer: dict[str, str], clerk: dict[str, str]):
    """Another customer's order is a 404 and not listed; clerks see all."""
    order = (await client.post("/orders", json=wanted((1, 1)), headers=customer)).json()
    token = (await client.post("/accounts", json={"name": "Ada"})).json()["token"]
    ada = {"Authorization": f"Bearer {token}"}
    assert (await client.get(f"/orders/{order['id']}", headers=ada)).status_code == 404
    assert (await client.get("/orders", headers=ada)).json() == []
    assert (await client.get(f"/orders/{order['id']}", headers=clerk)).json() == order
    assert (await client.get("/orders", headers=clerk)).json() == [order]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lines": []},
        wanted((1, 0)),
        wanted((1, -1)),
        wanted((1, 10**30)),
        wanted((2**63, 1)),
        wanted(*[(1, 1)] * 51),
    ],
)
async def test_a_bad_order_is_a_422(client: AsyncClient, customer: dict[str, str], body: object):
    """What is no order is refused and changes nothing."""
    assert (await client.post("/orders", json=body, headers=customer)).status_code == 422


async def test_a_delivery_fills_the_shelf(client: AsyncClient, clerk: dict[str, str], customer: dict[str, str]):
    """What was sold out can be bought after a delivery."""
    assert (await client.post("/orders", json=wanted((20, 1)), headers=customer)).status_code == 409
    delivered = await client.post("/books/20/deliveries", json={"quantity": 4}, headers=clerk)
    assert (delivered.status_code, delivered.json()["stock"]) == (201, 4)
    assert (await client.post("/orders", json=wanted((20, 1)), headers=customer)).status_code == 201
    assert await stock_of(client, 20) == 3


async def test_a_delivery_of_an_unknown_book_is_a_404(client: AsyncClient, clerk: dict[str, str]):
    """The service's error reaches the client through the proxy."""
    answer = await client.post("/books/4711/deliveries", json={"quantity": 4}, headers=clerk)
    assert (answer.status_code, answer.json()["detail"]["message"]) == (404, "There is no book 4711.")
