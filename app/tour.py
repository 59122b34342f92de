"""A walk through a new shop, as `curl` lines: `python -m app` prints them, a test runs them."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from app.seeds import DEMO_CLERK_TOKEN, DEMO_CUSTOMER_TOKEN


@dataclass(frozen=True, slots=True)
class Step:
    """One line to try, and what comes back."""

    says: str
    command: str
    status: int
    shows: str
    later: bool = False
    """It shows what an event has done, which happens after the answer that told of it."""


def tour(base: str) -> list[Step]:
    """Give the lines for a shop at this address; they build on one another."""

    def curl(path: str, *, token: str = "", body: str = "", query: Mapping[str, str] | None = None) -> str:
        words = ["curl", "-si", *(["-G"] if query else []), base + path]
        for name, value in (query or {}).items():
            words += ["--data-urlencode", f"{name}={value}"]
        if token:
            words += ["-H", f"Authorization: Bearer {token}"]
        if body:
            words += ["-H", "Content-Type: application/json", "-d", body]
        return shlex.join(words)

    customer, clerk = DEMO_CUSTOMER_TOKEN, DEMO_CLERK_TOKEN
    frankenstein = '{"lines": [{"book_id": 3, "quantity": 2}]}'
    sold_out = '{"lines": [{"book_id": 1}, {"book_id": 20}]}'
    ada = {"email": "ada@example.com", "name": "Ada", "password": "correct horse"}
    nobody = {"email": "ada", "password": "short"}
    readers = {"q": '{"email$like": "*@example.com"}', "sort": "-created", "fields": "name,email"}
    with_lines = {"with": "lines{book_id|quantity}", "sort": "-placed_at"}
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
        Step("a user signs up", curl("/api/users", body=json.dumps(ada)), 201, '"email":"ada@example.com"'),
        Step("one who cannot, and all the reasons", curl("/api/users", body=json.dumps(nobody)), 400, '"errors":{'),
        Step(
            "signing in gives a token",
            curl("/accounts/token", body=json.dumps({"email": ada["email"], "password": ada["password"]})),
            200,
            '"token":"',
        ),
        Step(
            "users, filtered and sorted",
            curl("/api/users", token=clerk, query=readers),
            200,
            '"data":[{"email":"ada@example.com","name":"Ada"}]',
        ),
        Step("users are for clerks", curl("/api/users", token=customer), 403, "not_allowed"),
        Step(
            "orders with their lines", curl("/api/orders", token=customer, query=with_lines), 200, '"lines":[{"book_id"'
        ),
        Step(
            "lines of an order",
            curl("/api/orders/1/lines", token=customer, query={"q": '{"quantity$gte": 2}'}),
            200,
            '"total":1',
        ),
        Step(
            "a filter by what is no column",
            curl("/api/orders", token=customer, query={"q": '{"price": 1}'}),
            400,
            "Undefined column names: price",
        ),
        Step(
            "the mails that all this made, a receipt and a welcome",
            curl("/mails", token=clerk),
            200,
            '"subject":"Welcome to the bookshop"',
            later=True,
        ),
        Step("everything, as a stream", curl("/books/export", token=customer), 200, '"title":"Don Quixote"'),
    ]
