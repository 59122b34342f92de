"""Answers from the cache."""

import asyncio
from collections import Counter

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event

from app.cache import AnswerCache
from app.container import Container
from app.repositories.books import BookRepository
from app.schemas import Book


class Watched:
    """Counts the real look-ups, and can hold them up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[int] = Counter()
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        find = BookRepository.find

        async def watched(books: BookRepository, book_id: int) -> Book:
            self.calls[book_id] += 1
            book = await find(books, book_id)
            self.reached.set()
            await self.go_on.wait()
            return book

        monkeypatch.setattr(BookRepository, "find", watched)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


ORDER = {"lines": [{"book_id": 1}]}


async def test_a_miss_then_hits(client: AsyncClient, watched: Watched):
    """The method runs once; afterwards the answer is the same and the header says that it was known."""
    answers = [await client.get("/books/1") for _ in range(3)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit", "hit"]
    assert len({answer.content for answer in answers}) == 1
    assert watched.calls == {1: 1}


async def test_other_arguments_are_another_answer(client: AsyncClient):
    """Answers of different arguments and of different methods are kept apart."""
    paths = ["/books/1", "/books/2", "/books/1/stock", "/books?page=1", "/books?page=2", "/books?search=emma"]
    for known in ("miss", "hit"):
        assert [(await client.get(path)).headers["X-Cache"] for path in paths] == [known] * len(paths)


async def test_tidied_arguments_are_the_same_answer(client: AsyncClient):
    """The cache stands further in than `tidy_search`: one spelling, one answer."""
    first = await client.get("/books", params={"search": "EMMA", "page_size": 99})
    second = await client.get("/books", params={"search": " emma ", "page_size": 50})
    assert (second.headers["X-Cache"], second.json()) == ("hit", first.json())


async def test_zero_is_an_answer_too(client: AsyncClient, watched: Watched):
    """A falsy answer is cached as any other: the sold-out book is looked up once."""
    answers = [await client.get("/books/20/stock") for _ in range(3)]
    assert [answer.json() for answer in answers] == [0, 0, 0]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit", "hit"]
    assert watched.calls == {20: 1}


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False])
async def test_whatever_is_made_is_kept(value: object):
    """The cache tells "no answer yet" from an answer that looks like nothing."""
    answers = AnswerCache()

    async def make() -> object:
        return value

    assert [await answers.get("key", make) for _ in range(2)] == [(value, False), (value, True)]


async def test_an_error_is_not_kept(client: AsyncClient, clerk: dict[str, str]):
    """A book that was not there can be there later."""
    assert (await client.get("/books/41")).status_code == 404
    book = {"title": "Persuasion", "author": "Jane Austen", "year": 1817, "price_cents": 899, "cost_cents": 510}
    assert (await client.post("/books", json=book, headers=clerk)).json()["id"] == 41
    assert (await client.get("/books/41")).status_code == 200


async def test_an_order_and_a_delivery_forget(client: AsyncClient, customer: dict[str, str], clerk: dict[str, str]):
    """As soon as stock has changed, the next answer is made anew."""
    stocks = []
    for change in (None, ("/orders", ORDER, customer), ("/books/1/deliveries", {"quantity": 5}, clerk)):
        if change is not None:
            path, body, headers = change
            assert (await client.post(path, json=body, headers=headers)).status_code == 201
        answers = [await client.get("/books/1") for _ in range(2)]
        assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit"]
        stocks.append([answer.json()["stock"] for answer in answers])
    assert stocks == [[12, 12], [11, 11], [16, 16]]


@pytest.mark.usefixtures("no_relay")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/orders", ORDER),
        ("/books/1/deliveries", {"quantity": 5}),
        ("/books", {"title": "T", "author": "A", "year": 1900, "price_cents": 1, "cost_cents": 1}),
    ],
)
async def test_forgetting_comes_after_the_commit(
    client: AsyncClient,
    clerk: dict[str, str],
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: object,
):
    """Whoever reads after the cache forgot reads the new stock: the commit is done by then."""
    happened: list[str] = []
    event.listen(container.engine().sync_engine, "commit", lambda _: happened.append("commit"))
    monkeypatch.setattr(AnswerCache, "forget", lambda _: happened.append("forget"))
    assert (await client.post(path, json=body, headers=clerk)).status_code == 201
    assert happened == ["commit", "forget"]


async def test_concurrent_requests_ask_once(client: AsyncClient, watched: Watched):
    """Many requests for what is not known yet make the answer once, and all get it."""
    watched.go_on.clear()
    requests = [asyncio.create_task(client.get("/books/1")) for _ in range(10)]
    await watched.reached.wait()
    watched.go_on.set()
    answers = await asyncio.gather(*requests)
    assert Counter(answer.headers["X-Cache"] for answer in answers) == {"miss": 1, "hit": 9}
    assert {answer.json()["stock"] for answer in answers} == {12}
    assert watched.calls == {1: 1}


async def test_an_answer_from_before_a_change_is_not_kept(
    client: AsyncClient, watched: Watched, customer: dict[str, str]
):
    """A slow reader that started before an order does not bring the old stock back."""
    watched.go_on.clear()
    slow = asyncio.create_task(client.get("/books/1"))
    await watched.reached.wait()
    assert (await client.post("/orders", json=ORDER, headers=customer)).status_code == 201
    watched.go_on.set()
    assert (await slow).json()["stock"] == 12
    assert (await client.get("/books/1")).json()["stock"] == 11


async def test_a_reader_that_gives_up_blocks_nobody(client: AsyncClient, watched: Watched):
    """When the request that was making an answer is cancelled, the next one makes it."""
    watched.go_on.clear()
    gives_up = asyncio.create_task(client.get("/books/1"))
    await watched.reached.wait()
    waits = asyncio.create_task(client.get("/books/1"))
    gives_up.cancel()
    watched.go_on.set()
    assert (await waits).status_code == 200
    assert watched.calls == {1: 2}
