"""What a process holds of a row: its lease, while the handler runs and until the row is settled."""

from dataclasses import dataclass, field

import anyio

from interceptors.events.store import StoredEvent

__all__ = ["SHARE", "Lease"]

SHARE = 5 / 6
"""The part of a lease after which a handler is cancelled if it could not be renewed: it has the rest to end in."""


@dataclass(eq=False, slots=True)
class Lease:
    """A row that is ours."""

    event: StoredEvent
    scope: anyio.CancelScope
    """Cancels the handler, by its deadline too: nothing runs twice at the same time."""
    is_followed: bool = False
    """The next row of its key is ours, too: nothing has to be released."""
    is_in_session: bool = False
    """The handler's own transaction has deleted the row: a renewal would wait for it."""
    settled: anyio.Event = field(default_factory=anyio.Event)
    """Set when the row is gone, or is given up."""
    is_lost: bool = False
