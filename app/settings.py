"""What a deployment may choose."""

import os
from dataclasses import dataclass

DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///var/bookshop.db"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one application."""

    database_url: str = DEFAULT_DATABASE_URL
    slow_query_seconds: float = 0.2
    supplier_url: str | None = None
    """Where the supplier's API is; without it a small one runs in this process."""

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the settings from environment variables."""
        return cls(
            database_url=os.environ.get("BOOKSHOP_DATABASE_URL") or DEFAULT_DATABASE_URL,
            slow_query_seconds=float(os.environ.get("BOOKSHOP_SLOW_QUERY_SECONDS") or 0.2),
            supplier_url=os.environ.get("BOOKSHOP_SUPPLIER_URL") or None,
        )
