"""What was mailed."""

from typing import Annotated

from anyio import to_thread
from dependency_injector.wiring import Provide
from fastapi import Depends

from app.interceptors.no_store import no_store
from app.mailbox import Mailbox
from app.schemas import Mail, problems
from app.security import bearer
from interceptors import annotate, intercept
from interceptors.fastapi import controller, get


@controller(prefix="/mails", tags=["mails"], dependencies=[Depends(bearer)], responses=problems(401, 403))
@annotate(roles=["clerk"])
@intercept(no_store)
class MailController:
    """The mails in the mailbox."""

    def __init__(self, mailbox: Annotated[Mailbox, Provide["mailbox"]]) -> None:
        self._mailbox = mailbox

    @get("")
    async def all(self) -> list[Mail]:
        """List all mails, the oldest first."""
        return await to_thread.run_sync(self._mailbox.all)
