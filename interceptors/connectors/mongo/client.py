"""The hooked subclasses of PyMongo's client, database and collection.

The client becomes an instance of a subclass of its own class, so that the databases and collections taken from it are
hooked subclasses of PyMongo's.
"""

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor, AsyncRawBatchCursor
from pymongo.asynchronous.database import AsyncDatabase

from interceptors.connectors.mongo.call import Call
from interceptors.connectors.mongo.cursors import HookedCursor, HookedRawBatchCursor, as_cursor
from interceptors.connectors.mongo.methods import CALLS, SPECS, WITH_CURSOR, with_filter

if TYPE_CHECKING:
    from interceptors.connectors.pymongo import MongoConnector

__all__ = ["HookedClient", "HookedCollection", "HookedDatabase", "hook"]

T = TypeVar("T")


@cache
def _subclass(hooked: type[Any], kind: type[Any]) -> type[Any]:
    return type(kind.__name__, (hooked, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def hook(hooked: type[T], plain: Any) -> T:
    """Make an object of PyMongo's, or of a subclass, a hooked one of its own kind."""
    if not isinstance(plain, hooked):
        plain.__class__ = _subclass(cast("Any", hooked), cast("Any", type(plain)))
    return cast("T", plain)


def _is_for_gridfs() -> bool:
    """GridFS takes its own copy of a database or a collection, with options; that one is not hooked."""
    package: str = sys._getframe(2).f_globals.get("__name__", "")
    return package.partition(".")[0] == "gridfs"


class HookedCollection(AsyncCollection[Any]):
    """A collection whose methods are executes. The loop below adds those that are coroutine functions."""

    @property
    def _interceptors_connector(self) -> "MongoConnector":
        client: Any = self.database.client
        connector: MongoConnector = client._interceptors_connector
        return connector

    def _interceptors_plain(self, command: str) -> Callable[..., Any]:
        """PyMongo's own method."""
        method: Callable[..., Any] = getattr(super(), command)
        return method

    def __getitem__(self, name: str) -> "HookedCollection":
        return hook(HookedCollection, super().__getitem__(name))

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        plain = super().with_options(*args, **kwargs)
        return plain if _is_for_gridfs() else hook(HookedCollection, plain)

    def find(self, *args: Any, **kwargs: Any) -> AsyncCursor[Any]:
        if self._interceptors_connector._is_executing:  # a hook's own, also when it is read later
            return super().find(*args, **kwargs)
        return HookedCursor(self, *args, **kwargs)

    def find_raw_batches(self, *args: Any, **kwargs: Any) -> AsyncRawBatchCursor[Any]:
        plain = super().find_raw_batches(*args, **kwargs)
        if self._interceptors_connector._is_executing:
            return plain
        return HookedRawBatchCursor(self, *args, **kwargs)


class HookedDatabase(AsyncDatabase[Any]):
    """A database whose collections are hooked, and `command`."""

    @property
    def _interceptors_connector(self) -> "MongoConnector":
        client: Any = self.client
        connector: MongoConnector = client._interceptors_connector
        return connector

    def _interceptors_plain(self, command: str) -> Callable[..., Any]:
        """PyMongo's own method."""
        method: Callable[..., Any] = getattr(super(), command)
        return method

    def __getitem__(self, name: str) -> HookedCollection:
        return hook(HookedCollection, super().__getitem__(name))

    def get_collection(self, *args: Any, **kwargs: Any) -> Any:
        return hook(HookedCollection, super().get_collection(*args, **kwargs))

    async def create_collection(self, *args: Any, **kwargs: Any) -> Any:
        return hook(HookedCollection, await super().create_collection(*args, **kwargs))

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        plain = super().with_options(*args, **kwargs)
        return plain if _is_for_gridfs() else hook(HookedDatabase, plain)


class HookedClient(AsyncMongoClient[Any]):
    """A client whose databases are hooked. Its own commands are not, although they go through a database."""

    _interceptors_connector: "MongoConnector"

    def __getitem__(self, name: str) -> HookedDatabase:
        return hook(HookedDatabase, super().__getitem__(name))

    def get_database(self, *args: Any, **kwargs: Any) -> Any:
        return hook(HookedDatabase, super().get_database(*args, **kwargs))

    def get_default_database(self, *args: Any, **kwargs: Any) -> Any:
        return hook(HookedDatabase, super().get_default_database(*args, **kwargs))

    async def drop_database(self, *args: Any, **kwargs: Any) -> None:
        with self._interceptors_connector._unhooked():
            await super().drop_database(*args, **kwargs)

    async def server_info(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        with self._interceptors_connector._unhooked():
            return await super().server_info(*args, **kwargs)


def _hooked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """PyMongo's coroutine function as an execute."""
    spec = SPECS[name]

    @wraps(function)
    async def call(self: "HookedDatabase | HookedCollection", *args: Any, **kwargs: Any) -> Any:
        connector = self._interceptors_connector
        if not connector.is_hooked:
            if name != "find_one":
                return await self._interceptors_plain(name)(*args, **kwargs)
            with connector._unhooked():  # it uses `find`, whose cursor would be made ready for hooks
                return await self._interceptors_plain(name)(*args, **kwargs)
        call = Call(self, name)
        result = await call.run(with_filter(name, spec.bind(args, kwargs)))
        return as_cursor(call, result) if name in WITH_CURSOR else result

    return call


for _name, _function in CALLS.items():
    setattr(HookedCollection, _name, _hooked(_name, _function))
HookedDatabase.command = _hooked("command", cast("Any", AsyncDatabase).command)  # type: ignore[method-assign]
