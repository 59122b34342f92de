"""What is ordered from the supplier."""

from typing import Annotated

from dependency_injector.wiring import Provide
from fastapi import Depends, status

from app.connectors.supplier import Supplier
from app.repositories.books import BookRepository
from app.schemas import BookId, Delivery, Reorder, problems
from app.security import bearer
from interceptors import annotate
from interceptors.fastapi import controller, post


@controller(prefix="/books", tags=["stock"], dependencies=[Depends(bearer)], responses=problems(401, 403))
@annotate(roles=["clerk"])
class ReorderController:
    """Orders to the supplier."""

    def __init__(
        self, books: Annotated[BookRepository, Provide["books"]], supplier: Annotated[Supplier, Provide["supplier"]]
    ) -> None:
        self._books = books
        self._supplier = supplier

    @post("/{book_id}/reorders", status_code=status.HTTP_201_CREATED, responses=problems(404, 409))
    async def reorder(self, book_id: BookId, copies: Delivery) -> Reorder:
        """Order copies of a book; they come with a delivery."""
        book = await self._books.find(book_id)
        return await self._supplier.reorder(book.id, copies.quantity)
