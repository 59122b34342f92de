"""The outbox's table, and what its columns say."""

from enum import IntEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from interceptors.events.errors import EventError

__all__ = ["COMPANY", "Claim", "outbox_table"]

_MARK = "interceptors.outbox"
"""In the `info` of a table that an outbox made."""


class Claim(IntEnum):
    """Who has a row. It is theirs until `due`; a claim that has run out is one of a process that has died."""

    FREE = 0
    SENT = 1
    """A broker's, to be started by a worker."""
    SENT_ALONE = 2
    """The same, and to be started alone: it ran in a process that died."""
    RUNNING = 3


COMPANY = ""
"""The owner of a row that was running when its process died, and was not the only one."""


def outbox_table(metadata: MetaData, name: str) -> Table:
    """The table, made now or by an outbox before: an application that is built again has the same metadata.

    Raises EventError for a table of somebody else's.
    """
    found = metadata.tables.get(name if metadata.schema is None else f"{metadata.schema}.{name}")
    if found is None:
        return _make(metadata, name)
    if not found.info.get(_MARK):
        raise EventError(f"The metadata has a table {found.fullname!r} of its own; give the outbox another: `table=`.")
    return found


def _make(metadata: MetaData, name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("event_id", String(32), nullable=False),
        Column("name", String(255), nullable=False),
        Column("handler", String(255), nullable=False),
        Column("key", String(255)),
        Column("payload", JSON, nullable=False),
        Column("created", Double, nullable=False),
        # When the row is looked at next: to be started, or again because its lease has run out or it waits for its key.
        Column("due", Double, nullable=False),
        # What `due` was before the row was put behind another one of its key; NULL if it was not.
        Column("was_due", Double),
        Column("claim", SmallInteger, nullable=False, server_default="0"),
        # The process that runs it.
        Column("owner", String(32)),
        # Counts the claims: who finds another number has been overtaken.
        Column("token", Integer, nullable=False, server_default="0"),
        Column("attempts", Integer, nullable=False),
        # Of the attempts those that do not count: the process died while something else ran there, too.
        Column("spared", Integer, nullable=False, server_default="0"),
        Column("dead", Boolean, nullable=False),
        Column("error", Text),
        Index(f"ix_{name}_due", "handler", "name", "dead", "due", "id"),
        Index(f"ix_{name}_key", "handler", "key", "dead", "id"),
        Index(f"ix_{name}_event", "event_id"),
        info={_MARK: True},
        sqlite_autoincrement=True,  # an id that comes again would make somebody else's row out of an old one
    )
