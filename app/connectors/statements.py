"""Hooks around every SQL statement: who caused it, and was it slow?"""

import logging
from time import perf_counter

from sqlalchemy.ext.asyncio import AsyncEngine

from interceptors import InvocationBindings, Next, OutsideInvocationError
from interceptors.connectors.sqlalchemy import SQLConnector, SQLContext

logger = logging.getLogger("bookshop.sql")


def hook_statements(engine: AsyncEngine, slow_seconds: float) -> SQLConnector:
    """Hook an engine; it is used as before."""
    statements = SQLConnector(engine, name="bookshop.sql")
    statements.before_execute(name_request)

    @statements.intercept
    async def warn_if_slow(ctx: SQLContext, next: Next) -> object:
        started = perf_counter()
        try:
            return await next()
        finally:
            seconds = perf_counter() - started
            if seconds >= slow_seconds:
                # Never the parameters: they are the customers' own.
                fields = {"sql": ctx.req.sql, "seconds": round(seconds, 3)}
                logger.warning("slow statement", extra={"fields": fields})

    return statements


async def name_request(ctx: SQLContext) -> None:
    """Put the request's id behind the statement, where the database's own log shows it."""
    try:
        request_id = await InvocationBindings.context().get("request_id", default=None)
    except OutsideInvocationError:  # at start-up there is no request
        return
    if request_id is not None:  # `trace` lets no id pass that could end the comment
        ctx.req.sql += f" /* request {request_id} */"
