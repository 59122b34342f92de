"""Orders in the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Sessions
from app.errors import NotFoundError
from app.models import LineRow, OrderRow
from app.schemas import Order, OrderLine


class OrderRepository:
    """Finds and adds orders."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def all(self, account_id: int | None = None) -> list[Order]:
        """List the orders of one account, or of all; the newest first."""
        query = select(OrderRow).order_by(OrderRow.id.desc())
        if account_id is not None:
            query = query.where(OrderRow.account_id == account_id)
        async with self._sessions() as session:
            return [Order.model_validate(row) for row in await session.scalars(query)]

    async def find(self, order_id: int) -> Order:
        """Give one order."""
        async with self._sessions() as session:
            row = await session.get(OrderRow, order_id)
            if row is None:
                raise NotFoundError("order", order_id)
            return Order.model_validate(row)

    async def add(self, session: AsyncSession, account_id: int, lines: Sequence[OrderLine]) -> Order:
        """Add an order within the caller's transaction."""
        row = OrderRow(
            account_id=account_id,
            placed_at=datetime.now(UTC),
            lines=[LineRow(**line.model_dump()) for line in lines],
        )
        session.add(row)
        await session.flush()
        return Order.model_validate(row)
