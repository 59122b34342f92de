"""Users: they sign up themselves, and see and change themselves; clerks see and change all."""

from typing import Any, ClassVar

from fastapi import Depends

from app.interceptors.no_store import no_store
from app.models import User
from app.schemas import NewUser, UserChange
from app.security import bearer
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

    @annotate(roles=None)
    async def insert(self, ctx: ResourceContext) -> Any:
        """Sign up: everybody may. A token comes with signing in."""
        return await super().insert(ctx)

    @annotate(roles=["clerk"])
    async def paginate(self, ctx: ResourceContext) -> Any:
        """List users: only clerks may."""
        return await super().paginate(ctx)
