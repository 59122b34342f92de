"""Every request has an id, and says how long it took."""

import re
import uuid
from time import perf_counter

from fastapi import HTTPException

from interceptors import InvocationContext, Next, global_interceptor
from interceptors.resources import ApiError

# A foreign id ends up in logs and headers, so it must look like an id.
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@global_interceptor(group="request", source="route")
async def trace(ctx: InvocationContext, next: Next) -> object:
    """Bind `request_id` for the whole request, and answer with `X-Request-ID` and `Server-Timing`."""
    given = ctx.request.headers.get("X-Request-ID", "")
    request_id = given if SANE_ID.fullmatch(given) else uuid.uuid4().hex
    ctx.bind_request("request_id", request_id)
    started = perf_counter()

    def headers() -> dict[str, str]:
        return {"X-Request-ID": request_id, "Server-Timing": f"app;dur={(perf_counter() - started) * 1e3:.1f}"}

    try:
        result = await next()
    except (HTTPException, ApiError) as error:
        # An error is answered with a new response: what it shall carry, the error must carry.
        error.headers = {**(error.headers or {}), **headers()}
        raise
    if ctx.response is not None:
        ctx.response.headers.update(headers())
    return result
