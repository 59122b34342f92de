"""Orders: who sees which."""

from app.hooks._own import CurrentUser, keep_own
from app.models import Order
from interceptors.resources import ResourceContext


async def on_before_paginate(ctx: ResourceContext, user: CurrentUser) -> None:
    """Customers list their own orders, whatever they filter by."""
    keep_own(ctx, user, Order.account_id)


async def on_before_show(ctx: ResourceContext, user: CurrentUser) -> None:
    """Customers see their own orders."""
    keep_own(ctx, user, Order.account_id)
