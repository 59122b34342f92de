"""All or nothing."""

from typing import Annotated

from dependency_injector.wiring import Provide

from app.database import Sessions
from interceptors import InvocationContext, Next


class Transaction:
    """Opens a session for the method's `Provide["session"]`, and commits it unless something goes wrong."""

    def __init__(self, sessions: Annotated[Sessions, Provide["sessions"]]) -> None:
        self._sessions = sessions

    async def intercept(self, ctx: InvocationContext, next: Next) -> object:
        """Commit what the method did, or roll it back."""
        async with self._sessions.begin() as session:
            ctx.bind("session", session)
            return await next()
