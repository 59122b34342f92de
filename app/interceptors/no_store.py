"""Answers that nobody may keep."""

from interceptors import InvocationContext, Next


async def no_store(ctx: InvocationContext, next: Next) -> object:
    """Send `Cache-Control: no-store`."""
    ctx.response.headers["Cache-Control"] = "no-store"
    return await next()
