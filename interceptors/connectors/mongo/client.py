"""The hooked subclasses of PyMongo's client, database and collection.

The client becomes an instance of a subclass of its own class, so that the databases and collections taken from it are
hooked subclasses of PyMongo's.
"""

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, cast

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from interceptors.connectors.mongo.call import Call, FindCursor
from interceptors.connectors.mongo.cursors import (
    HookedCursor,
    HookedRawBatchCursor,
    RawBatchCursor,
    as_cursor,
)
from interceptors.connectors.mongo.hooked import Collection, Database, Hooked, MongoTarget, connector_of, method_of
from interceptors.connectors.mongo.methods import SPECS, WITH_CURSOR, with_filter
from interceptors.connectors.mongo.undocumented import CALLS

__all__ = ["HookedClient", "HookedCollection", "HookedDatabase", "hook"]

T = TypeVar("T")


def _make_subclass(hooked: type, kind: type) -> type:
    return type(kind.__name__, (hooked, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


_subclass: Callable[[type, type], type] = cache(_make_subclass)


def hook(hooked: type[T], plain: object) -> T:
    """Make an object of PyMongo's, or of a subclass, a hooked one of its own kind."""
    if not isinstance(plain, hooked):
        plain.__class__ = _subclass(cast("type", hooked), type(plain))
    return cast("T", plain)


def _is_for_gridfs() -> bool:
    """GridFS takes its own copy of a database or a collection, with options; that one is not hooked."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame and frame.f_back
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "gridfs"


class HookedCollection(Hooked, AsyncCollection[Any]):
    """A collection whose methods are executes. The loop below adds those that are coroutine functions."""

    def __getitem__(self, name: str) -> "HookedCollection":
        return hook(HookedCollection, super().__getitem__(name))

    def with_options(self, *args: object, **kwargs: object) -> Collection:
        plain: Collection = method_of(self, "with_options")(*args, **kwargs)
        return plain if _is_for_gridfs() else hook(HookedCollection, plain)

    def find(self, *args: object, **kwargs: object) -> FindCursor:
        if connector_of(self).is_executing:  # a hook's own, also when it is read later
            plain: FindCursor = method_of(self, "find")(*args, **kwargs)
            return plain
        return HookedCursor(self, *args, **kwargs)

    def find_raw_batches(self, *args: object, **kwargs: object) -> RawBatchCursor:
        plain: RawBatchCursor = method_of(self, "find_raw_batches")(*args, **kwargs)
        if connector_of(self).is_executing:
            return plain
        return HookedRawBatchCursor(self, *args, **kwargs)


class HookedDatabase(Hooked, AsyncDatabase[Any]):
    """A database whose collections are hooked, and `command`."""

    def __getitem__(self, name: str) -> HookedCollection:
        return hook(HookedCollection, super().__getitem__(name))

    def get_collection(self, *args: object, **kwargs: object) -> HookedCollection:
        return hook(HookedCollection, method_of(self, "get_collection")(*args, **kwargs))

    async def create_collection(self, *args: object, **kwargs: object) -> HookedCollection:
        return hook(HookedCollection, await method_of(self, "create_collection")(*args, **kwargs))

    def with_options(self, *args: object, **kwargs: object) -> Database:
        plain: Database = method_of(self, "with_options")(*args, **kwargs)
        return plain if _is_for_gridfs() else hook(HookedDatabase, plain)


class HookedClient(Hooked, AsyncMongoClient[Any]):
    """A client whose databases are hooked. Its own commands are not, although they go through a database."""

    def __getitem__(self, name: str) -> HookedDatabase:
        return hook(HookedDatabase, super().__getitem__(name))

    def get_database(self, *args: object, **kwargs: object) -> HookedDatabase:
        return hook(HookedDatabase, method_of(self, "get_database")(*args, **kwargs))

    def get_default_database(self, *args: object, **kwargs: object) -> HookedDatabase:
        return hook(HookedDatabase, method_of(self, "get_default_database")(*args, **kwargs))

    async def drop_database(self, *args: object, **kwargs: object) -> None:
        with connector_of(self).unhooked():
            await method_of(self, "drop_database")(*args, **kwargs)

    async def server_info(self, *args: object, **kwargs: object) -> dict[str, Any]:
        with connector_of(self).unhooked():
            info: dict[str, Any] = await method_of(self, "server_info")(*args, **kwargs)
            return info


def _hooked(name: str, function: Callable[..., object]) -> Callable[..., Any]:
    """PyMongo's coroutine function as an execute."""
    spec = SPECS[name]

    @wraps(function)
    async def call(self: MongoTarget, *args: object, **kwargs: object) -> object:
        connector = connector_of(self)
        if not connector.is_hooked:
            if name != "find_one":
                return await method_of(self, name)(*args, **kwargs)
            with connector.unhooked():  # it uses `find`, whose cursor would be made ready for hooks
                return await method_of(self, name)(*args, **kwargs)
        call = Call(self, name)
        result = await call.run(with_filter(name, spec.bind(args, kwargs)))
        return as_cursor(call, result) if name in WITH_CURSOR else result

    return call


for _name, _function in CALLS.items():
    setattr(HookedCollection, _name, _hooked(_name, _function))
HookedDatabase.command = _hooked("command", AsyncDatabase.command)  # type: ignore[method-assign]
