"""What type checkers know of resources and events."""

from typing import Any, assert_type

from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from interceptors import InterceptorRegistry, intercept
from interceptors.events import EventContext, EventDispatcher, Outbox, event
from interceptors.resources import Conditions, Handler, Resource, ResourceContext, Resources


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


class UserSchema(BaseModel):
    name: str


async def layer(ctx: ResourceContext, next: Any) -> Any:
    assert_type(ctx.session, AsyncSession)
    assert_type(ctx.query, Select[Any])
    assert_type(ctx.conditions, Conditions)
    assert_type(ctx.handler, Handler)
    ctx.query = ctx.query.where(User.id > 1)
    return await next()


def serialize(item: dict[str, Any], request: Any) -> dict[str, Any]:
    return item


class UserResource(Resource):
    """Options of every form are accepted."""

    model = User
    handlers = (Handler.SHOW, Handler.INSERT)
    fillable = {"POST": ("name",)}
    validation = UserSchema
    transaction = {Handler.INSERT: False}

    serializer = serialize

    @intercept(layer)
    async def show(self, ctx: ResourceContext) -> Any:
        return await super().show(ctx)


class Paid(BaseModel):
    order_id: int


sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"))
registry = InterceptorRegistry()
events = EventDispatcher(registry, outbox=Outbox(sessions, metadata=Base.metadata))
resources = Resources(registry, sessions, events)
resources.add(UserResource)


@resources.hook(User)
async def on_before_insert(form_data: dict[str, Any]) -> int:
    return len(form_data)


@resources.event(User, durable=False)
@event(attempts=2)
def on_after_insert(item: dict[str, Any]) -> None: ...


@events.on(Paid)
async def pay(event: Paid, *, ctx: EventContext, attempt: int) -> str:
    assert_type(ctx.session, AsyncSession)
    return str(attempt)


async def decorated_functions_keep_their_types(ctx: EventContext) -> None:
    assert_type(await on_before_insert({}), int)
    assert_type(on_after_insert({}), None)
    assert_type(await pay(Paid(order_id=1), ctx=ctx, attempt=1), str)
    assert_type(await events.publish(Paid(order_id=1)), str)
    assert_type(await events.relay(once=True), int)
