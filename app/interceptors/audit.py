"""Who changed what, whoever called."""

import logging

from interceptors import InvocationContext, Next

logger = logging.getLogger("bookshop.audit")


async def audit(ctx: InvocationContext, next: Next) -> object:
    """Log a service's call with the user and the id of the request in which it happens."""
    user = await ctx.current_user()
    fields = {
        "request_id": await ctx.get("request_id", default=None),
        "account": user and user.id,
        "book": ctx.args["book_id"],
        "quantity": ctx.args["quantity"],
    }
    try:
        result = await next()
    except Exception as error:
        logger.warning("%s refused: %s", ctx.target_name, error, extra={"fields": fields})
        raise
    logger.info("%s", ctx.target_name, extra={"fields": fields})
    return result
