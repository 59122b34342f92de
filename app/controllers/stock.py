"""How many copies there are."""

from contextlib import suppress
from typing import Annotated

from dependency_injector.wiring import Provide
from fastapi import Depends, WebSocket, WebSocketDisconnect, status
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFoundError
from app.interceptors.changing_books import changing_books
from app.repositories.books import BookRepository
from app.schemas import Book, BookId, Delivery, Id, problems
from app.security import bearer
from app.services.stock import StockService
from interceptors import annotate, intercept
from interceptors.fastapi import controller, get, post, websocket

_id: TypeAdapter[int] = TypeAdapter(Id)


@controller(prefix="/books", tags=["stock"])
class StockController:
    """Copies in the shop."""

    def __init__(
        self,
        books: Annotated[BookRepository, Provide["books"]],
        stock: Annotated[StockService, Provide["stock"]],
    ) -> None:
        self._books = books
        self._stock = stock

    @get("/{book_id}/stock", responses=problems(404))
    @intercept("aspects.caching")
    async def level(self, book_id: BookId) -> int:
        """Say how many copies are left."""
        return (await self._books.find(book_id)).stock

    @post(
        "/{book_id}/deliveries",
        status_code=status.HTTP_201_CREATED,
        dependencies=[Depends(bearer)],
        responses=problems(401, 403, 404),
    )
    @annotate(roles=["clerk"])
    @intercept(changing_books)
    async def deliver(
        self, book_id: BookId, delivery: Delivery, session: Annotated[AsyncSession, Provide["session"]]
    ) -> Book:
        """Put copies from the supplier on the shelf."""
        return await self._stock.receive(session, book_id, delivery.quantity)

    @websocket("/stock")
    async def live(self, socket: WebSocket) -> None:
        """Answer every book number with the copies that are left, for as long as the client asks."""
        await socket.accept()
        with suppress(WebSocketDisconnect):
            while (message := await socket.receive())["type"] == "websocket.receive":
                await socket.send_json(await self._answer(message.get("text") or ""))

    async def _answer(self, text: str) -> dict[str, int | str]:
        try:
            book = await self._books.find(_id.validate_strings(text))
        except ValidationError:
            return {"error": "Send the number of a book."}
        except NotFoundError as error:
            return {"error": str(error)}
        return {"book_id": book.id, "stock": book.stock}
