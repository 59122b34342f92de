"""The receipt for an order: an event of the shop's own, and what is done about it."""

from typing import Annotated

from anyio import to_thread
from dependency_injector.wiring import Provide
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.mailbox import Mailbox
from app.models import User

RECEIPT = """\
Dear {name},

thank you for your order {order_id}: {euros}.{cents:02} euros.
"""


class OrderPlaced(BaseModel):
    """Somebody has bought something. Stored as JSON until it is handled: add fields with defaults, remove none."""

    order_id: int
    account_id: int
    total_cents: int


async def send_receipt(
    event: OrderPlaced, *, event_id: str, session: AsyncSession, mailbox: Annotated[Mailbox, Provide["mailbox"]]
) -> None:
    """Mail a receipt, if the account is that of a user: the others have no address."""
    user = await session.scalar(select(User).where(User.account_id == event.account_id))
    if user is None:
        return
    euros, cents = divmod(event.total_cents, 100)
    text = RECEIPT.format(name=user.name, order_id=event.order_id, euros=euros, cents=cents)

    def put() -> None:
        mailbox.put(f"receipt-{event_id}", to=user.email, subject=f"Your order {event.order_id}", text=text)

    await to_thread.run_sync(put)
