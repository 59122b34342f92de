"""What happens after a user has changed."""

import logging
from typing import Annotated, Any

from dependency_injector.wiring import Provide

from app.mailbox import Mailbox

logger = logging.getLogger("bookshop.mail")

WELCOME = """\
Dear {name},

welcome to the bookshop. Sign in with this address and your password.
"""


# A plain `def` runs in a thread, as it writes a file.
def on_after_insert(
    item: dict[str, Any], facts: dict[str, Any], event_id: str, mailbox: Annotated[Mailbox, Provide["mailbox"]]
) -> None:
    """Welcome a new user. A crash may have this run again: the event's id makes it one mail."""
    text = WELCOME.format(name=item["name"])
    new = mailbox.put(f"welcome-{event_id}", to=item["email"], subject="Welcome to the bookshop", text=text)
    logger.info("welcome", extra={"fields": {"event_id": event_id, "user": item["id"], "new": new, **facts}})
