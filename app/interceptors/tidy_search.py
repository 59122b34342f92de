"""Arguments as the catalogue wants them."""

from app.search import fold
from interceptors import InvocationContext, Next

MAX_PAGE_SIZE = 50


async def tidy_search(ctx: InvocationContext, next: Next) -> object:
    """Give the search text its one spelling, and clamp the page's size."""
    ctx.args["search"] = fold(ctx.args["search"])
    ctx.args["page_size"] = min(max(ctx.args["page_size"], 1), MAX_PAGE_SIZE)
    return await next()
