"""What a deployment may choose."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///var/bookshop.db"
DEFAULT_MAILBOX = Path("var/mailbox")
DEFAULT_QUEUE = "bookshop.events"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one application."""

    database_url: str = DEFAULT_DATABASE_URL
    slow_query_seconds: float = 0.2
    supplier_url: str | None = None
    """Where the supplier's API is; without it a small one runs in this process."""

    mailbox: Path = DEFAULT_MAILBOX
    """The folder that mails are put into, for whoever sends them."""
    broker_url: str | None = None
    """RabbitMQ, which carries events to workers; without it they are handled in this process."""
    queue: str = DEFAULT_QUEUE
    """The broker's queue; each shop on one broker needs its own."""
    relay: bool = True
    """Whether this process looks after stored events; no, where `python -m interceptors relay` does."""

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the settings from environment variables."""
        return cls(
            database_url=os.environ.get("BOOKSHOP_DATABASE_URL") or DEFAULT_DATABASE_URL,
            slow_query_seconds=float(os.environ.get("BOOKSHOP_SLOW_QUERY_SECONDS") or 0.2),
            supplier_url=os.environ.get("BOOKSHOP_SUPPLIER_URL") or None,
            mailbox=Path(os.environ.get("BOOKSHOP_MAILBOX") or DEFAULT_MAILBOX),
            broker_url=os.environ.get("BOOKSHOP_BROKER_URL") or None,
            queue=os.environ.get("BOOKSHOP_QUEUE") or DEFAULT_QUEUE,
            relay=os.environ.get("BOOKSHOP_RELAY", "").lower() not in {"no", "false", "0"},
        )
