"""Copies come and go."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFoundError, OutOfStockError
from app.interceptors.audit import audit
from app.models import BookRow
from app.schemas import Book
from interceptors import intercept


@intercept(audit)
class StockService:
    """Changes how many copies there are; calls go through a proxy, so that every change is audited."""

    async def take(self, session: AsyncSession, book_id: int, quantity: int) -> Book:
        """Take copies off the shelf for a customer."""
        # One statement decides and takes: two customers cannot both get the last copy.
        row = await session.scalar(
            update(BookRow)
            .where(BookRow.id == book_id, BookRow.stock >= quantity)
            .values(stock=BookRow.stock - quantity)
            .returning(BookRow)
        )
        if row is None:
            book = await self._find(session, book_id)
            raise OutOfStockError(book.title, wanted=quantity, left=book.stock)
        return Book.model_validate(row)

    async def receive(self, session: AsyncSession, book_id: int, quantity: int) -> Book:
        """Put copies from the supplier on the shelf."""
        row = await session.scalar(
            update(BookRow).where(BookRow.id == book_id).values(stock=BookRow.stock + quantity).returning(BookRow)
        )
        if row is None:
            raise NotFoundError("book", book_id)
        return Book.model_validate(row)

    async def _find(self, session: AsyncSession, book_id: int) -> BookRow:
        row = await session.get(BookRow, book_id)
        if row is None:
            raise NotFoundError("book", book_id)
        return row
