"""Hooks that came along from the shop's LoopBack 3 days, nearly as they were written there.

New code is written as interceptors. These run in the group "remoting", inside authorization, for the methods of
`OrderController`, which LoopBack calls `Order.place` and so on.
"""

import logging
from collections.abc import Callable

from interceptors.remoting import RemoteHooks, RemotingContext

hooks = RemoteHooks()
orders = hooks.model("Order")
logger = logging.getLogger("bookshop.orders")


@orders.before_remote("place")
def note_origin(ctx: RemotingContext, next: Callable[..., object]) -> None:
    """Keep where the order comes from, for the hooks after it."""
    ctx.state["origin"] = ctx.req.client.host
    next()


@orders.after_remote("place")
def tell_location(ctx: RemotingContext, order: object, next: Callable[..., object]) -> None:
    """Tell the client where the new order is."""
    ctx.res.headers["Location"] = f"/orders/{ctx.result.id}"
    logger.info("order %s placed", ctx.result.id, extra={"fields": {"origin": ctx.state["origin"]}})
    next()


@orders.after_remote_error("**")
async def log_refusal(ctx: RemotingContext) -> None:
    """Log an order that did not work out, and by whom. The error goes on to the client."""
    user = await ctx.current_user()
    logger.warning("%s failed: %s", ctx.method_string, ctx.error, extra={"fields": {"account": user.id}})
