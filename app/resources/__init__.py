"""Models with REST routes of their own, below `/api`: what may be done with them, and by whom."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.resources.facts import event_facts
from app.resources.orders import OrderLineResource, OrderResource
from app.resources.users import UserResource
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher
from interceptors.resources import Resources


def build_resources(
    registry: InterceptorRegistry, sessions: async_sessionmaker[AsyncSession], events: EventDispatcher
) -> Resources:
    """Put the resources together with the hooks of `app.hooks` and the events of `app.events`."""
    resources = Resources(registry, sessions, events, event_facts=event_facts)
    resources.add(UserResource, OrderResource, OrderLineResource)
    resources.discover("app")
    return resources
