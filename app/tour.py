"""A walk through a new shop, as `curl` lines: `python -m app` prints them, a test runs them."""

import shlex
from dataclasses import dataclass

from app.seeds import DEMO_CLERK_TOKEN, DEMO_CUSTOMER_TOKEN


@dataclass(frozen=True, slots=True)
class Step:
    """One line to try, and what comes back."""

    says: str
    command: str
    status: int
    shows: str


def tour(base: str) -> list[Step]:
    """Give the lines for a shop at this address; they build on one another."""

    def curl(path: str, *, token: str = "", body: str = "") -> str:
        words = ["curl", "-si", base + path]
        if token:
            words += ["-H", f"Authorization: Bearer {token}"]
        if body:
            words += ["-H", "Content-Type: application/json", "-d", body]
        return shlex.join(words)

    customer, clerk = DEMO_CUSTOMER_TOKEN, DEMO_CLERK_TOKEN
    frankenstein = '{"lines": [{"book_id": 3, "quantity": 2}]}'
    sold_out = '{"lines": [{"book_id": 1}, {"book_id": 20}]}'
    return [
        Step("the catalogue", curl("/books?page_size=3"), 200, '"total":40'),
        Step("a search, in whatever spelling", curl("/books?search=BRONTE"), 200, "Charlotte Brontë"),
        Step("one book", curl("/books/3"), 200, "x-cache: miss"),
        Step("again: from the cache", curl("/books/3"), 200, "x-cache: hit"),
        Step("an order without a token", curl("/orders", body=frankenstein), 401, "not_signed_in"),
        Step("an order", curl("/orders", token=customer, body=frankenstein), 201, '"total_cents":1598'),
        Step("two copies fewer, and not from the cache", curl("/books/3"), 200, '"stock":7'),
        Step("the order", curl("/orders/1", token=customer), 200, '"total_cents":1598'),
        Step("a title that is sold out", curl("/orders", token=customer, body=sold_out), 409, "out_of_stock"),
        Step(
            "a customer is no clerk", curl("/books/20/deliveries", token=customer, body='{"quantity": 5}'), 403, "clerk"
        ),
        Step("a delivery", curl("/books/20/deliveries", token=clerk, body='{"quantity": 5}'), 201, '"stock":5'),
        Step(
            "an order to the supplier",
            curl("/books/20/reorders", token=clerk, body='{"quantity": 30}'),
            201,
            '"location":"/orders/1"',
        ),
        Step("everything, as a stream", curl("/books/export", token=customer), 200, '"title":"Don Quixote"'),
    ]
