"""What the MongoDB connector uses of PyMongo although its documentation does not have it; see `interceptors.libraries`.

Tried with PyMongo 4.16 to 4.20, and `pyproject.toml` allows no later minor version.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from copy import copy
from inspect import Parameter
from typing import Any

from pymongo import AsyncMongoClient, DeleteMany, DeleteOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor

from interceptors.libraries import Library

__all__ = ["CALLS", "CURSOR_PARAMETERS", "check_ways", "copied_operation", "fetch_first_batch", "make_empty"]

_library = Library("pymongo")

# A collection's methods are found by what they are: one that is no coroutine function any more would not be hooked.
CALLS: dict[str, Callable[..., Any]] = {
    name: function
    for name, function in inspect.getmembers(AsyncCollection, inspect.iscoroutinefunction)
    if not name.startswith("_") and name != "watch"
}
"""The collection's coroutine functions."""
_DOCUMENTED = [
    "aggregate",
    "aggregate_raw_batches",
    "bulk_write",
    "count_documents",
    "create_index",
    "create_indexes",
    "create_search_index",
    "create_search_indexes",
    "delete_many",
    "delete_one",
    "distinct",
    "drop",
    "drop_index",
    "drop_indexes",
    "drop_search_index",
    "estimated_document_count",
    "find_one",
    "find_one_and_delete",
    "find_one_and_replace",
    "find_one_and_update",
    "index_information",
    "insert_many",
    "insert_one",
    "list_indexes",
    "list_search_indexes",
    "options",
    "rename",
    "replace_one",
    "update_many",
    "update_one",
    "update_search_index",
]
for _name in _DOCUMENTED:
    _library.confirm(_name in CALLS, f"AsyncCollection.{_name}", "hook what a collection awaits")

# That `find` hands its arguments to a cursor is not documented. Without these they would have no names.
_FIND = "know the arguments of `find`"
CURSOR_PARAMETERS = tuple(inspect.signature(AsyncCursor).parameters.values())[1:]
"""The parameters of `find`, `find_one` and `find_raw_batches`, which are a cursor's, behind its collection."""
_library.confirm(
    {"filter", "projection", "skip", "limit", "sort", "session"} <= {parameter.name for parameter in CURSOR_PARAMETERS},
    "AsyncCursor",
    _FIND,
)
for _name in ("find", "find_one", "find_raw_batches"):
    _kinds = [parameter.kind for parameter in inspect.signature(getattr(AsyncCollection, _name)).parameters.values()]
    _library.confirm(Parameter.VAR_KEYWORD in _kinds, f"AsyncCollection.{_name}", _FIND)

# Without it hooks would get a cursor that has not been executed: `next()` around a query would measure nothing.
_refresh: Callable[[AsyncCursor[Any]], Awaitable[int]] = _library.needed(AsyncCursor, "_refresh", "execute a query")
_library.confirm(inspect.iscoroutinefunction(_refresh), "AsyncCursor._refresh", "execute a query")


async def fetch_first_batch(cursor: AsyncCursor[Any]) -> None:
    """Execute a query; its documents are still to be read."""
    await _refresh(cursor)


def check_ways(client: AsyncMongoClient[Any], hooked: type) -> None:
    """Raises IncompatibleLibraryError if what is taken by a mere attribute is not what is taken by `[...]`: it would be
    a database or a collection that is not hooked. Asks no server."""
    database = client.interceptors_probe
    ways: dict[str, object] = {"AsyncMongoClient": database}
    ways["AsyncDatabase"] = database.interceptors_probe
    ways["AsyncCollection"] = client["interceptors_probe"]["probe"].interceptors_probe
    for owner, taken in ways.items():
        _library.confirm(isinstance(taken, hooked), f"{owner}.__getattr__", "hook what is taken from a client")


# Not to be called by applications: without it there is no cursor over the documents that a hook gives.
_library.confirm(
    list(inspect.signature(AsyncCommandCursor).parameters)[:3] == ["collection", "cursor_info", "address"],
    "AsyncCommandCursor",
    "give a hook's documents as a cursor",
)


def make_empty(cursor: AsyncCommandCursor[Any], collection: AsyncCollection[Any]) -> None:
    """Initialize a cursor that knows of no server and has nothing to read: a subclass's."""
    initialize: Any = AsyncCommandCursor
    initialize.__init__(cursor, collection, {"id": 0, "firstBatch": ()}, None)


# What an operation of a `bulk_write` holds is found by its slots. Without them hooks would change the caller's own.
_BULK = "copy the operations of a `bulk_write`"


def _held_names(operation: object) -> Iterator[str]:
    for base in type(operation).__mro__:
        yield from vars(base).get("__slots__", ())


def copied_operation(operation: object, own: Callable[[object], object]) -> object:
    """A copy of an operation of a `bulk_write`, and by `own` of what it holds."""
    mine = copy(operation)
    for name in _held_names(operation):
        setattr(mine, name, own(getattr(mine, name)))
    return mine


_given: dict[str, object] = {"$set": {}}
_operations: list[object] = [DeleteMany(_given), DeleteOne(_given), ReplaceOne(_given, {})]
_operations += [UpdateMany(_given, {}), UpdateOne(_given, {})]
for _each in _operations:
    _held = [getattr(_each, name, None) for name in _held_names(_each)]
    _library.confirm(any(value is _given for value in _held), f"{type(_each).__name__}.__slots__", _BULK)
