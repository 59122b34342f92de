"""The catalogue."""

from collections.abc import AsyncIterator
from typing import Annotated

from dependency_injector.wiring import Provide
from fastapi import Depends, Query, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.interceptors.changing_books import changing_books
from app.interceptors.conceal_cost import conceal_cost
from app.interceptors.tidy_search import tidy_search
from app.repositories.books import BookRepository
from app.schemas import Book, BookId, BookPage, NewBook, problems
from app.security import bearer
from interceptors import annotate, intercept
from interceptors.fastapi import controller, get, post


@controller(prefix="/books", tags=["books"], dependencies=[Depends(bearer)])
@intercept(conceal_cost)
class BookController:
    """What is on sale."""

    def __init__(self, books: Annotated[BookRepository, Provide["books"]]) -> None:
        self._books = books

    @get("")
    @intercept(tidy_search, "aspects.caching")
    async def search(
        self,
        search: Annotated[str, Query(max_length=200, description="Words of the title or the author")] = "",
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
        page_size: Annotated[int, Query(description="At most 50; more is taken for 50")] = 20,
    ) -> BookPage:
        """List the books, or those in which all the words of `search` occur."""
        return await self._books.search(search, page, page_size)

    @get("/export", responses=problems(401))
    @annotate(roles=["customer", "clerk"])
    async def export(self) -> AsyncIterator[Book]:
        """Stream the whole catalogue, one JSON object per line."""
        async for book in self._books.everything():
            yield book

    @get("/{book_id}", responses=problems(404))
    @intercept("aspects.caching")
    async def show(self, book_id: BookId) -> Book:
        """Show one book."""
        return await self._books.find(book_id)

    @post("", status_code=status.HTTP_201_CREATED, responses=problems(401, 403, 409))
    @annotate(roles=["clerk"])
    @intercept(changing_books)
    async def add(self, book: NewBook, session: Annotated[AsyncSession, Provide["session"]]) -> Book:
        """Add a book to the catalogue."""
        return await self._books.add(session, book)
