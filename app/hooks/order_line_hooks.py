"""The lines of orders: who sees which."""

from sqlalchemy import select

from app.hooks._own import CurrentUser
from app.models import Order
from app.schemas import Account
from interceptors.resources import ApiError, ResourceContext


async def on_before_paginate(ctx: ResourceContext, user: CurrentUser) -> None:
    """The lines of somebody else's order are not found, as the order is not."""
    await _check_order(ctx, user)


async def on_before_show(ctx: ResourceContext, user: CurrentUser) -> None:
    """The same for one line."""
    await _check_order(ctx, user)


async def _check_order(ctx: ResourceContext, user: Account) -> None:
    if user.role == "clerk":
        return
    own = select(Order.id).where(Order.id == ctx.params["order_id"], Order.account_id == user.id)
    if await ctx.session.scalar(own) is None:
        raise ApiError("The resource is not found", 404)
