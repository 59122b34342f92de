"""What every event of a resource is told besides."""

from typing import Any

from interceptors.resources import ResourceContext


async def event_facts(ctx: ResourceContext) -> dict[str, Any]:
    """Who did it, and in which request: an event is handled when both are gone."""
    user = await ctx.current_user()
    return {"account": user and user.id, "request_id": await ctx.get("request_id", default=None)}
