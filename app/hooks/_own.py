"""Clerks see everything, customers what is their own."""

from typing import Annotated, Any

from dependency_injector.wiring import Provide

from app.schemas import Account
from interceptors.resources import ResourceContext

# `authorize` has let nobody pass without an account.
CurrentUser = Annotated[Account, Provide["current_user"]]


def keep_own(ctx: ResourceContext, user: Account, account_id: Any) -> None:
    """Narrow the query to the rows of the user's account. What is not in it is not found: whether it exists is nobody's business."""
    if user.role != "clerk":
        ctx.query = ctx.query.where(account_id == user.id)
