"""Books: what is found, what arguments become, what clients get to see."""

import pytest
from httpx2 import AsyncClient

from app.seeds import BOOKS


async def test_first_start_seeds_the_catalogue(client: AsyncClient):
    """A new shop has all the seeds, with their prices in cents."""
    page = (await client.get("/books", params={"page_size": 50})).json()
    assert page["total"] == len(BOOKS) >= 36
    assert [(b["title"], b["price_cents"], b["stock"]) for b in page["items"]] == [
        (t, p, s) for t, _, _, p, _, s in BOOKS
    ]


async def test_pages_follow_one_another(client: AsyncClient):
    """Page after page gives every book once; the page after the last one is empty."""
    seen = []
    for page in range(1, 6):
        items = (await client.get("/books", params={"page": page, "page_size": 10})).json()["items"]
        seen += [book["id"] for book in items]
    assert items == []
    assert seen == list(range(1, len(BOOKS) + 1))


@pytest.mark.parametrize("search", ["bronte", "BRONTË", "  Brontë   ", "Bronte\u0308"])
async def test_search_text_has_one_spelling(client: AsyncClient, search: str):
    """However it is typed, the method gets the search text folded, and finds the three sisters."""
    page = (await client.get("/books", params={"search": search})).json()
    assert [book["author"] for book in page["items"]] == ["Charlotte Brontë", "Emily Brontë", "Anne Brontë"]


@pytest.mark.parametrize("search", ["%", "_", "\\", "'; DROP TABLE books; --"])
async def test_search_text_is_text(client: AsyncClient, search: str):
    """What means something to the database means nothing in a search."""
    answer = await client.get("/books", params={"search": search})
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


async def test_search_words_may_be_apart(client: AsyncClient):
    """A book is found when all the words occur, in whatever order."""
    page = (await client.get("/books", params={"search": "dickens cities"})).json()
    assert [book["title"] for book in page["items"]] == ["A Tale of Two Cities"]


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (50, 50), (51, 50), (10**30, 50), (0, 1), (-5, 1)])
async def test_page_size_is_clamped(client: AsyncClient, asked: int, given: int):
    """The interceptor changes the argument: the method never sees a page size out of bounds."""
    answer = await client.get("/books", params={"page_size": asked})
    assert (answer.status_code, answer.json()["page_size"]) == (200, given)


async def test_in_stock_says_whether_a_copy_is_left(client: AsyncClient):
    """`in_stock` is true exactly when the stock is not zero."""
    items = (await client.get("/books", params={"page_size": 50})).json()["items"]
    assert all(book["in_stock"] == (book["stock"] > 0) for book in items)
    assert {book["in_stock"] for book in items} == {True, False}


async def test_cost_is_for_clerks(client: AsyncClient, customer: dict[str, str], clerk: dict[str, str]):
    """The interceptor changes the result: only clerks see what a book costs the shop, cached or not."""
    for path in ("/books/1", "/books?page_size=1"):
        costs = []
        for headers in ({}, clerk, customer, clerk):
            body = (await client.get(path, headers=headers)).json()
            costs.append(body.get("items", [body])[0]["cost_cents"])
        assert costs == [None, 520, None, 520]


async def test_unknown_book_is_a_404(client: AsyncClient):
    """A domain error becomes its status, with a body that says what and why."""
    answer = await client.get("/books/4711")
    assert answer.status_code == 404
    assert answer.json() == {"detail": {"code": "not_found", "message": "There is no book 4711."}}


@pytest.mark.parametrize(
    "path",
    [
        "/books/0",
        "/books/-1",
        "/books/emma",
        f"/books/{2**63}",
        "/books?page=0",
        f"/books?page={10**30}",
        f"/books?search={'a' * 201}",
    ],
)
async def test_bad_input_is_a_422(client: AsyncClient, path: str):
    """What cannot be a book's number or a page is refused before any layer runs."""
    answer = await client.get(path)
    assert answer.status_code == 422
    assert {tuple(problem) for problem in answer.json()["detail"]} == {("loc", "msg", "type")}


@pytest.mark.parametrize("title", ["NaN", '"\\ud800"', '""', '"   "', "null", "{"])
async def test_bad_body_is_a_422(client: AsyncClient, clerk: dict[str, str], title: str):
    """A body that is no book, or no JSON, is refused without being echoed."""
    body = f'{{"title": {title}, "author": "A", "year": 1900, "price_cents": 1, "cost_cents": 1}}'
    answer = await client.post("/books", content=body, headers={**clerk, "Content-Type": "application/json"})
    assert answer.status_code == 422
    assert all("input" not in problem for problem in answer.json()["detail"])


async def test_clerks_add_books(client: AsyncClient, clerk: dict[str, str]):
    """A new book is found at once; the same book again is a 409."""
    book = {"title": "Persuasion", "author": "Jane Austen", "year": 1817, "price_cents": 899, "cost_cents": 510}
    assert (await client.get("/books?search=persuasion")).json()["total"] == 0
    added = await client.post("/books", json=book, headers=clerk)
    assert added.status_code == 201
    assert added.json() == {"id": len(BOOKS) + 1, "stock": 0, "in_stock": False, **book}
    assert (await client.get("/books?search=persuasion")).json()["total"] == 1
    again = await client.post("/books", json=book, headers=clerk)
    assert (again.status_code, again.json()["detail"]["code"]) == (409, "book_exists")
