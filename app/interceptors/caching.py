"""Answers from memory."""

from app.cache import AnswerCache
from interceptors import InvocationContext, Next


class CachingInterceptor:
    """Answers a call that was made before with the same arguments, and says so in `X-Cache`."""

    def __init__(self, answers: AnswerCache) -> None:
        self._answers = answers

    async def intercept(self, ctx: InvocationContext, next: Next) -> object:
        """Look first, call then."""
        key = f"{ctx.target_name} {dict(ctx.args.items())}"
        result, known = await self._answers.get(key, next)
        if ctx.response is not None:
            ctx.response.headers["X-Cache"] = "hit" if known else "miss"
        return result
