"""Hearing of commits in other processes at once: PostgreSQL's LISTEN on the relay's own connection.

Polling goes on beside it. Where nobody is heard, as behind PgBouncer in transaction mode, a relay says so and polls.
"""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import anyio
from sqlalchemy import Table, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from interceptors.events.own_connection import OwnConnection
from interceptors.events.own_session import Sessions
from interceptors.events.storing import channel_of

__all__ = ["Listening"]

log = logging.getLogger("interceptors.events")

_PATIENCE = 5.0


class Listening:
    """Calls `heard` when somebody has stored something."""

    def __init__(self, table: Table, heard: Callable[[], None]) -> None:
        self._channel = channel_of(table)
        self._table = table
        self._heard = heard
        self._token = uuid4().hex
        self._is_heard = anyio.Event()

    async def listen(self, connection: AsyncConnection) -> None:
        """Listen by a connection that was just opened; what was stored before it was is looked for, too."""
        if connection.dialect.driver == "asyncpg":
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.add_listener(self._channel, self._notified)
        self._heard()

    def _notified(self, connection: object, process: int, channel: str, payload: str) -> None:
        if payload == self._token:
            self._is_heard.set()
        self._heard()

    async def check(self, line: OwnConnection, sessions: Sessions) -> None:
        """Tell ourselves something by another connection, and say so if it is not heard."""
        if sessions().get_bind(clause=self._table).dialect.name != "postgresql":
            return
        try:
            async with line.transaction(writes=False):
                pass  # now it is open
            async with sessions() as session, session.begin():
                await session.execute(select(func.pg_notify(self._channel, self._token)))
        except (SQLAlchemyError, OSError) as error:  # it is the relay that says what is wrong
            log.debug("It could not be tried whether commits are heard of", exc_info=error)
            return
        with anyio.move_on_after(_PATIENCE):
            await self._is_heard.wait()
        if not self._is_heard.is_set():
            log.warning(
                "The relay of events does not hear of commits in other processes (LISTEN is PostgreSQL's with asyncpg, and "
                "does not work behind PgBouncer in transaction mode): it looks every `poll` seconds"
            )
