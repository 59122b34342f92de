"""Users: they sign up themselves, and see and change themselves; clerks see and change all."""

from typing import Annotated, Any, ClassVar

from dependency_injector.wiring import Provide
from fastapi import Depends

from app.interceptors.no_store import no_store
from app.models import User
from app.repositories.accounts import AccountRepository
from app.schemas import NewUser, UserChange
from app.security import bearer
from app.tokens import hash_token, new_token
from interceptors import annotate, intercept
from interceptors.resources import Handler, Resource, ResourceContext


@annotate(roles=["customer", "clerk"])
@intercept(no_store)
class UserResource(Resource):
    """`/api/users`. Nobody is deleted: accounts and orders refer to users."""

    model = User
    handlers = frozenset(Handler) - {Handler.ALL, Handler.DELETE}
    validation: ClassVar = {"POST": NewUser, "PUT": UserChange}
    hidden = frozenset({"password_hash"})
    dependencies = (Depends(bearer),)

    def __init__(self, accounts: Annotated[AccountRepository, Provide["accounts"]]) -> None:
        self._accounts = accounts

    @annotate(roles=None)
    async def insert(self, ctx: ResourceContext) -> Any:
        """Sign up: open an account for the user in the same transaction. Its first token comes with signing in."""
        email = ctx.form_data["email"]
        account = await self._accounts.add(ctx.session, email, "customer", hash_token(new_token()))
        ctx.form_data["account_id"] = account.id
        return await super().insert(ctx)

    @annotate(roles=["clerk"])
    async def paginate(self, ctx: ResourceContext) -> Any:
        """Who is a user is for clerks."""
        return await super().paginate(ctx)
