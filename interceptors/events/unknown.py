"""Saying that rows wait for a handler that nobody here has: it was renamed, removed, or is another release's."""

import logging
from collections.abc import Callable

import anyio
from sqlalchemy import Table, false, func, select

from interceptors.describing import nearest
from interceptors.events.own_connection import OwnConnection
from interceptors.events.sql import clock
from interceptors.events.store import HandlerRows

__all__ = ["UnknownRows"]

log = logging.getLogger("interceptors.events")


class UnknownRows:
    """Warns once of each handler that is not known here and whose rows have waited for `after` seconds."""

    def __init__(
        self, table: Table, line: OwnConnection, places: Callable[[], tuple[HandlerRows, ...]], after: float
    ) -> None:
        self._table = table
        self._line = line
        self._places = places
        self._after = after
        self._told: set[tuple[str, str]] = set()

    async def watch(self) -> None:
        """Look for them from time to time, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:
                log.debug("Rows of unknown handlers could not be looked for", exc_info=error)
            await anyio.sleep(max(self._after / 5, 0.2))

    async def look(self) -> None:
        """Look for them. Raises what the database raises."""
        columns = self._table.c
        age = clock() - func.min(columns.created)
        async with self._line.transaction(writes=False) as connection:
            found = await connection.execute(
                select(columns.name, columns.handler, func.count(), age)
                .where(columns.dead == false())
                .group_by(columns.name, columns.handler)
                .having(age >= self._after)
            )
            waiting = found.all()
        places = self._places()
        known = {(place.event, place.handler) for place in places}
        for name, handler, count, oldest in waiting:
            if (name, handler) not in known and (name, handler) not in self._told:
                self._told.add((name, handler))
                near = nearest(handler, {place.handler for place in places})
                log.warning(
                    "%d events %s wait for the handler %r, which is not known here, the oldest for %.0f seconds%s. Give a "
                    "handler that was renamed `aliases=`, or see `interceptors outbox`: reassign, discard",
                    count,
                    name,
                    handler,
                    oldest,
                    f"; known is {', '.join(map(repr, near))}" if near else "",
                )
