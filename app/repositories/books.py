"""Books in the database."""

from collections.abc import AsyncIterator

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Sessions
from app.errors import BookExistsError, NotFoundError
from app.models import BookRow
from app.schemas import Book, BookPage, NewBook

BATCH = 100


class BookRepository:
    """Finds and adds books; `StockService` changes how many there are."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def search(self, words: str, page: int, page_size: int) -> BookPage:
        """Give a page of the books in whose title or author all the words occur."""
        wanted = [BookRow.words.contains(word, autoescape=True) for word in words.split()]
        async with self._sessions() as session:
            total = await session.scalar(select(func.count()).select_from(BookRow).where(*wanted))
            rows = await session.scalars(
                select(BookRow).where(*wanted).order_by(BookRow.id).limit(page_size).offset((page - 1) * page_size)
            )
            items = tuple(Book.model_validate(row) for row in rows)
        return BookPage(items=items, page=page, page_size=page_size, total=total or 0)

    async def find(self, book_id: int) -> Book:
        """Give one book."""
        async with self._sessions() as session:
            row = await session.get(BookRow, book_id)
            if row is None:
                raise NotFoundError("book", book_id)
            return Book.model_validate(row)

    async def everything(self) -> AsyncIterator[Book]:
        """Give all books, batch by batch: a slow reader must not keep a connection."""
        last = 0
        while True:
            async with self._sessions() as session:
                rows = await session.scalars(select(BookRow).where(BookRow.id > last).order_by(BookRow.id).limit(BATCH))
                batch = [Book.model_validate(row) for row in rows]
            if not batch:
                return
            for book in batch:
                yield book
            last = batch[-1].id

    async def add(self, session: AsyncSession, book: NewBook) -> Book:
        """Add a book within the caller's transaction."""
        row = BookRow(**book.model_dump())
        session.add(row)
        try:
            await session.flush()
        except IntegrityError as error:
            raise BookExistsError(book.title, book.author) from error
        return Book.model_validate(row)
