"""What is compared: our outbox and relay, procrastinate and pgqueuer on PostgreSQL, and taskiq over RabbitMQ.

Each can publish, with a row of the publisher's own in the same transaction where it can, and work: `plain` handlers do
nothing, `session` handlers write a row, of one `key` only one runs at once. As much runs at once as with our defaults,
everything else is as each has it by default. All tables are in a schema of this run, which is dropped at its end.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Literal, Protocol
from uuid import uuid4

import asyncpg

__all__ = ["AT_ONCE", "OURS", "SYSTEMS", "Handled", "Kind", "System", "Where", "new_name", "new_system", "schema"]

Kind = Literal["plain", "session", "key"]
Handled = Callable[[int], None]

AT_ONCE = 15
"""What our relay runs at once by default: as many as SQLAlchemy's pool has connections."""

OURS = "ours"
SYSTEMS = {OURS: "ours", "procrastinate": "procrastinate", "pgqueuer": "pgqueuer", "taskiq, RabbitMQ": "taskiq"}
"""Their modules."""


@dataclass(frozen=True, slots=True)
class Where:
    """The servers; `name` is this run's, for a schema and a queue.

    `pool`: how many connections the pool of the handlers' sessions keeps; None: SQLAlchemy's own five, and ten above.
    """

    postgresql: str
    rabbitmq: str
    name: str
    pool: int | None = None

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def dsn(self) -> str:
        """For drivers that are used without SQLAlchemy."""
        return self.postgresql.replace("+asyncpg", "")

    @property
    def settings(self) -> dict[str, str]:
        """What has a connection find the tables of this run."""
        return {"search_path": self.name}


class System(Protocol):
    """In the bench's process what publishes, in a worker's what handles."""

    name: str
    uvloop: bool
    """Does its own command run on uvloop?"""
    stores_before: bool
    """Can events be stored so that all workers see them at once, or have workers to be started for it?"""

    async def open(self) -> None:
        """Make tables and connections, for publishing."""

    async def close(self) -> None:
        """Close them."""

    async def publish(self, number: int, kind: Kind = "plain", *, delay: float = 0.0) -> int:
        """Commit a row of our own, and an event; gives when, in nanoseconds: just before the commit."""
        ...

    async def store(self, count: int, kind: Kind) -> int:
        """Store so many events; gives when they could be seen."""
        ...

    async def is_empty(self) -> bool:
        """Is everything done and written?"""
        ...

    async def work(self, kind: Kind, handled: Handled) -> None:
        """In a worker: handle events until cancelled."""

    async def rest(self) -> None:
        """In a worker that does so no more: give the handlers' connections back."""


def new_system(name: str, where: Where) -> System:
    """One of them. Raises ModuleNotFoundError if its package is not installed."""
    found: Any = import_module(f"{__name__}.{SYSTEMS[name]}")
    made: System = found.SYSTEM(where)
    return made


def new_name() -> str:
    """A name that no other run has."""
    return f"bench_events_{uuid4().hex[:12]}"


@asynccontextmanager
async def schema(where: Where) -> AsyncGenerator[None]:
    """The schema of this run, with a table for publishers and one for handlers."""
    connection = await asyncpg.connect(where.dsn, server_settings=where.settings)
    try:
        await connection.execute(f"CREATE SCHEMA {where.name}")
        await connection.execute("CREATE TABLE orders (number int); CREATE TABLE effects (number int)")
        yield
    finally:
        await connection.execute(f"DROP SCHEMA IF EXISTS {where.name} CASCADE")
        await connection.close()
