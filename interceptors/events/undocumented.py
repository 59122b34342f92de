"""What events use of SQLAlchemy although its documentation does not have it; see `interceptors.libraries`.

Tried with SQLAlchemy 2.1, and `pyproject.toml` allows no later minor version.
"""

from typing import Any

from sqlalchemy.exc import StatementError
from sqlalchemy.pool import QueuePool

from interceptors.libraries import Library

__all__ = ["overflow_of", "sqlstate_of"]

_library = Library("sqlalchemy")

_ADAPTED = "sqlalchemy.dialects.postgresql.asyncpg"
"""Where SQLAlchemy makes errors of its own of asyncpg's. Importing it takes a quarter of a second: it is not asked before."""


def sqlstate_of(error: StatementError) -> str | None:
    """PostgreSQL's code of an error; None for the drivers of other databases."""
    origin: Any = error.orig
    if type(origin).__module__ == _ADAPTED:
        # Without it a lost race would be taken for a database that is down, and a row that exists for a wrong value.
        return str(_library.needed(origin, "sqlstate", "tell PostgreSQL's errors apart"))
    code: str | None = getattr(origin, "sqlstate", None)
    return code


def overflow_of(pool: QueuePool) -> int:
    """How many connections a pool gives beyond its size; -1: as many as are wanted."""
    # Without it more would be started than there are connections for, and fail when they have waited in vain.
    return int(_library.needed(pool, "_max_overflow", "know how many connections a pool gives"))
