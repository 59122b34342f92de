"""Orders in the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Sessions
from app.errors import NotFoundError
from app.models import Order, OrderLine
from app.schemas import PlacedLine, PlacedOrder


class OrderRepository:
    """Finds and adds orders."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def all(self, account_id: int | None = None) -> list[PlacedOrder]:
        """List the orders of one account, or of all; the newest first."""
        query = select(Order).order_by(Order.id.desc())
        if account_id is not None:
            query = query.where(Order.account_id == account_id)
        async with self._sessions() as session:
            return [PlacedOrder.model_validate(row) for row in await session.scalars(query)]

    async def find(self, order_id: int) -> PlacedOrder:
        """Give one order."""
        async with self._sessions() as session:
            row = await session.get(Order, order_id)
            if row is None:
                raise NotFoundError("order", order_id)
            return PlacedOrder.model_validate(row)

    async def add(self, session: AsyncSession, account_id: int, lines: Sequence[PlacedLine]) -> PlacedOrder:
        """Add an order within the caller's transaction."""
        row = Order(
            account_id=account_id,
            placed_at=datetime.now(UTC),
            lines=[OrderLine(**line.model_dump()) for line in lines],
        )
        session.add(row)
        await session.flush()
        return PlacedOrder.model_validate(row)
