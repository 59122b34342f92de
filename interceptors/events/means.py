"""What the deliveries of a dispatcher have in common."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from interceptors.events.own_session import OwnSession, Sessions

if TYPE_CHECKING:
    from interceptors.events.one_writer import Writer

__all__ = ["Means"]


@dataclass(slots=True)
class Means:
    """What a delivery needs beside its handler."""

    sessions: Sessions | None
    max_running: int
    timeout: float | None
    """After how many seconds a handler is cancelled that says nothing of its own; None: never."""
    writer: "Writer | None" = None
    """On SQLite, whose turn it is to write."""
    threads: anyio.CapacityLimiter = field(init=False)
    """For `def` handlers, which do not take the threads of `def` routes."""

    def __post_init__(self) -> None:
        self.threads = anyio.CapacityLimiter(self.max_running)

    def session(self) -> OwnSession:
        """A session for one delivery, opened when it is used."""
        return OwnSession(self.sessions, self.writer)
