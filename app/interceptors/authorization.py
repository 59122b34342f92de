"""`@annotate(roles=[...])` says who may call a method."""

from app.errors import NotAllowedError, NotSignedInError
from interceptors import InvocationContext, Next, global_interceptor


@global_interceptor(group="auth", source="route")
async def authorize(ctx: InvocationContext, next: Next) -> object:
    """Let pass whoever has one of the roles; a method without roles is for everybody."""
    roles: list[str] | None = ctx.annotations.get("roles")
    if roles is not None:
        user = await ctx.current_user()
        if user is None:
            raise NotSignedInError
        if user.role not in roles:
            raise NotAllowedError(roles)
    return await next()
