"""What is bought."""

from typing import Annotated

from dependency_injector.wiring import Provide
from fastapi import Depends, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFoundError
from app.interceptors.changing_books import changing_books
from app.receipts import OrderPlaced
from app.repositories.orders import OrderRepository
from app.schemas import Account, NewOrder, OrderId, PlacedLine, PlacedOrder, problems
from app.security import bearer
from app.services.stock import StockService
from interceptors import annotate, intercept
from interceptors.events import EventDispatcher
from interceptors.fastapi import controller, get, post

CurrentUser = Annotated[Account, Provide["current_user"]]


@controller(prefix="/orders", tags=["orders"], dependencies=[Depends(bearer)], responses=problems(401, 403))
@annotate(roles=["customer", "clerk"])
class OrderController:
    """Orders: a customer's own, and for clerks everybody's."""

    def __init__(
        self,
        orders: Annotated[OrderRepository, Provide["orders"]],
        stock: Annotated[StockService, Provide["stock"]],
        events: Annotated[EventDispatcher, Provide["events"]],
    ) -> None:
        self._orders = orders
        self._stock = stock
        self._events = events

    @post("", status_code=status.HTTP_201_CREATED, responses=problems(404, 409))
    @intercept(changing_books)
    async def place(
        self, order: NewOrder, user: CurrentUser, session: Annotated[AsyncSession, Provide["session"]]
    ) -> PlacedOrder:
        """Buy: all the lines or none."""
        lines: list[PlacedLine] = []
        for wanted in order.lines:
            book = await self._stock.take(session, wanted.book_id, wanted.quantity)
            lines.append(PlacedLine(book_id=book.id, quantity=wanted.quantity, price_cents=book.price_cents))
        placed = await self._orders.add(session, user.id, lines)
        # Stored in the order's transaction: no order without its receipt, and no receipt for what is rolled back.
        event = OrderPlaced(order_id=placed.id, account_id=user.id, total_cents=placed.total_cents)
        await self._events.publish(event, session=session, key=f"Order:{placed.id}")
        return placed

    @get("")
    async def mine(self, user: CurrentUser) -> list[PlacedOrder]:
        """List the orders, the newest first."""
        return await self._orders.all(None if user.role == "clerk" else user.id)

    @get("/{order_id}", responses=problems(404))
    async def show(self, order_id: OrderId, user: CurrentUser) -> PlacedOrder:
        """Show one order."""
        order = await self._orders.find(order_id)
        if user.role != "clerk" and order.account_id != user.id:
            # Whether somebody else's order exists is nobody's business.
            raise NotFoundError("order", order_id)
        return order
