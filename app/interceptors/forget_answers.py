"""What changes books makes the cached answers about them old."""

from typing import Annotated

from dependency_injector.wiring import Provide

from app.cache import AnswerCache
from interceptors import InvocationContext, Next


class ForgetAnswers:
    """Stands outside `Transaction`: forgets once the change is committed."""

    def __init__(self, answers: Annotated[AnswerCache, Provide["answers"]]) -> None:
        self._answers = answers

    async def intercept(self, ctx: InvocationContext, next: Next) -> object:
        """Call, then forget."""
        try:
            return await next()
        finally:
            # Also after an error: the commit may have happened before it.
            self._answers.forget()
