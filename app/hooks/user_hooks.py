"""Users: what is stored of their passwords, and who sees whom."""

from typing import Annotated, Any

from dependency_injector.wiring import Provide

from app.hooks._own import CurrentUser, keep_own
from app.models import User
from app.passwords import Passwords
from interceptors.resources import ResourceContext


# A plain `def` runs in a thread: hashing is slow on purpose and would hold up all other requests.
def on_before_insert(form_data: dict[str, Any], passwords: Annotated[Passwords, Provide["passwords"]]) -> None:
    """Put the password's hash in its place."""
    form_data["password_hash"] = passwords.hash(form_data.pop("password"))


# PUT and PATCH, which takes PUT's hooks where it has none.
def on_before_update(form_data: dict[str, Any], passwords: Annotated[Passwords, Provide["passwords"]]) -> None:
    """Put the hash of a new password in its place."""
    password = form_data.pop("password", None)
    if password is not None:
        form_data["password_hash"] = passwords.hash(password)


async def on_before_show(ctx: ResourceContext, user: CurrentUser) -> None:
    """Customers see themselves."""
    keep_own(ctx, user, User.account_id)


async def on_before_update_query(ctx: ResourceContext, user: CurrentUser) -> None:
    """Customers change themselves."""
    keep_own(ctx, user, User.account_id)
