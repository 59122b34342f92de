"""One structured line per delivery of an event."""

import logging
from time import perf_counter

from interceptors import InvocationContext, Next, global_interceptor

logger = logging.getLogger("bookshop.events")


@global_interceptor(group="log", source="event")
async def event_log(ctx: InvocationContext, next: Next) -> object:
    """Log which event was handled, how it ended and how long it took; never its contents, they are the customers' own."""
    started = perf_counter()
    outcome = "ok"
    try:
        return await next()
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        fields = {"target": ctx.target_name, "outcome": outcome, "ms": round((perf_counter() - started) * 1e3, 1)}
        logger.info("%s: %s", ctx.source, outcome, extra={"fields": fields})
