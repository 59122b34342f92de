"""The export: a stream with layers around it."""

import json

import pytest
from httpx2 import AsyncClient

from app.repositories import books
from app.seeds import BOOKS


@pytest.mark.parametrize("batch", [1, 7, 100])
async def test_the_export_is_every_book_once(
    client: AsyncClient, clerk: dict[str, str], monkeypatch: pytest.MonkeyPatch, batch: int
):
    """One JSON object per line, all books in order, whatever the size of the batches."""
    monkeypatch.setattr(books, "BATCH", batch)
    answer = await client.get("/books/export", headers=clerk)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/jsonl")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(line["title"], line["cost_cents"]) for line in lines] == [(t, c) for t, _, _, _, c, _ in BOOKS]


async def test_the_layers_change_the_items(client: AsyncClient, customer: dict[str, str]):
    """The layer that conceals the cost is around the stream as it is around a single book."""
    answer = await client.get("/books/export", headers=customer)
    assert {json.loads(line)["cost_cents"] for line in answer.text.splitlines()} == {None}


async def test_a_denied_stream_is_a_clean_401(client: AsyncClient):
    """Nothing is sent before the layers have let the call pass."""
    answer = await client.get("/books/export")
    assert (answer.status_code, answer.json()["detail"]["code"]) == (401, "not_signed_in")
