"""Events: stored with what they tell of, and handled afterwards, here or by a worker."""

from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.models import Base
from app.receipts import OrderPlaced, send_receipt
from app.settings import Settings
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, Outbox

if TYPE_CHECKING:
    from taskiq import AsyncBroker


def create_outbox(sessions: async_sessionmaker[AsyncSession]) -> Outbox:
    """Make the table, among the shop's own, in which events wait."""
    return Outbox(sessions, metadata=Base.metadata)


def build_events(
    registry: InterceptorRegistry, outbox: Outbox, broker: "AsyncBroker | None", settings: Settings
) -> EventDispatcher:
    """Put the dispatcher together with the handlers of the shop's own events; the resources add theirs."""
    events = EventDispatcher(registry, outbox=outbox, broker=broker, relay=settings.relay)
    events.on(OrderPlaced)(send_receipt)
    return events
