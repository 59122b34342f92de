"""One execute of a call to MongoDB: PyMongo's own method, as often as the hooks want it."""

import inspect
from collections.abc import Iterable
from typing import Any, TypeAlias, final

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase

from interceptors.arguments import Arguments
from interceptors.connectors.mongo.copies import own_arguments, own_value
from interceptors.connectors.mongo.hooked import MongoTarget, connector_of, method_of
from interceptors.connectors.mongo.methods import WITH_CURSOR, given_in
from interceptors.connectors.mongo.request import MongoRequest
from interceptors.connectors.mongo.undocumented import fetch_first_batch

__all__ = ["Call", "Cursor", "replay"]

FindCursor: TypeAlias = AsyncCursor[Any]
Cursor: TypeAlias = FindCursor | AsyncCommandCursor[Any]


@final
class Call:
    """The operation of one execute: the call of PyMongo's own method, as often as the hooks want it."""

    def __init__(self, target: MongoTarget, command: str) -> None:
        self.command = command
        self.recorded: list[tuple[str, object]] = []
        """What a cursor was told that is no parameter of `find`."""
        self.target = target
        self._database = target if isinstance(target, AsyncDatabase) else target.database
        self._opened: list[Cursor] = []

    async def run(self, arguments: Arguments) -> object:
        """Execute the caller's call."""
        target = self.target
        collection = target.name if isinstance(target, AsyncCollection) else None
        request = MongoRequest(self._database.name, collection, self.command, own_arguments(self.command, arguments))
        try:
            return await connector_of(target).execute(request, self)
        except BaseException:
            await self.close()
            raise

    async def __call__(self, req: MongoRequest) -> Any:
        given = given_in(req.params)
        if "command" in given:
            given["command"] = own_value(given["command"])  # PyMongo writes the session into it
        result = method_of(self._target_of(req), req.command)(**given)
        if req.command in ("find", "find_raw_batches"):
            self._opened.append(result)
            await replay(result, self.recorded)
            await fetch_first_batch(result)
            return result
        result = await result
        if req.command in WITH_CURSOR:
            self._opened.append(result)
        return result

    async def close(self) -> None:
        """Close the cursors that were opened."""
        while self._opened:
            await self._opened.pop().close()

    def _target_of(self, req: MongoRequest) -> MongoTarget:
        target, database = self.target, self._database
        if req.database != database.name:
            database = database.client.get_database(req.database, *_options(database))
        if req.command == "command":
            return database
        if req.collection is None:
            raise TypeError(f"{req.command} is a collection's method, and ctx.req.collection is None.")
        if database is self._database and isinstance(target, AsyncCollection) and req.collection == target.name:
            return target
        return database.get_collection(req.collection, *_options(target))


def _options(target: MongoTarget) -> tuple[Any, ...]:
    return target.codec_options, target.read_preference, target.write_concern, target.read_concern


async def replay(cursor: FindCursor, recorded: Iterable[tuple[str, object]]) -> None:
    """Tell a cursor what another was told."""
    for name, value in recorded:
        told = getattr(cursor, name)(value)
        if inspect.isawaitable(told):
            await told
