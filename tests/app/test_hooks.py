"""The hooks that came from LoopBack 3."""

import pytest
from httpx2 import AsyncClient

ORDER = {"lines": [{"book_id": 1, "quantity": 1}]}


async def test_a_new_order_tells_where_it_is(client: AsyncClient, customer: dict[str, str]):
    """The after hook's header is in the answer, and leads to the order."""
    placed = await client.post("/orders", json=ORDER, headers=customer)
    assert placed.headers["Location"] == f"/orders/{placed.json()['id']}"
    assert (await client.get(placed.headers["Location"], headers=customer)).json() == placed.json()


async def test_the_origin_goes_from_hook_to_hook(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """What a before hook keeps in the invocation's state, the after hook logs."""
    with caplog.at_level("INFO", "bookshop.orders"):
        await client.post("/orders", json=ORDER, headers=customer)
    assert [(r.getMessage(), r.__dict__["fields"]) for r in caplog.records if r.name == "bookshop.orders"] == [
        ("order 1 placed", {"origin": "127.0.0.1"})
    ]


async def test_a_refused_order_is_logged_and_still_refused(
    client: AsyncClient, customer: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """An error hook that goes on changes nothing for the client."""
    with caplog.at_level("WARNING", "bookshop.orders"):
        answer = await client.post("/orders", json={"lines": [{"book_id": 20}]}, headers=customer)
    assert answer.status_code == 409
    assert [r.getMessage().split(":")[0] for r in caplog.records if r.name == "bookshop.orders"] == [
        "Order.place failed"
    ]


async def test_hooks_run_inside_authorization(client: AsyncClient, caplog: pytest.LogCaptureFixture):
    """A request that authorization refuses reaches no hook."""
    with caplog.at_level("INFO", "bookshop.orders"):
        assert (await client.post("/orders", json=ORDER)).status_code == 401
    assert not [r for r in caplog.records if r.name == "bookshop.orders"]
