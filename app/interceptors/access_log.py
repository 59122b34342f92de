"""One structured line per request."""

import logging
from time import perf_counter

from fastapi import HTTPException

from interceptors import InvocationContext, Next, global_interceptor
from interceptors.resources import ApiError

logger = logging.getLogger("bookshop.access")


@global_interceptor(group="log", source="route")
async def access_log(ctx: InvocationContext, next: Next) -> object:
    """Log what was called, how it ended and how long it took."""
    started = perf_counter()
    outcome = "ok"
    try:
        return await next()
    except HTTPException as error:
        outcome = str(error.status_code)
        raise
    except ApiError as error:  # what resources refuse with
        outcome = str(error.status)
        raise
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        fields = {
            "request_id": await ctx.get("request_id", default=None),
            "target": ctx.target_name,
            "outcome": outcome,
            "ms": round((perf_counter() - started) * 1e3, 1),
        }
        logger.info("%s: %s", ctx.source, outcome, extra={"fields": fields})
