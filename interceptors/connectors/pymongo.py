"""Hooks around the calls of an `AsyncMongoClient`'s collections, and around `database.command`.

The client becomes an instance of a subclass of its own class, so that the databases and collections taken from it are
hooked subclasses of PyMongo's. `find` gives a cursor that only records its options; the hooks run at its first fetch,
around the cursor that the operation opens then, and the caller reads what they leave.
"""

import inspect
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cache, wraps
from inspect import Parameter
from typing import Any, TypeAlias, TypeVar, cast, final

from interceptors.arguments import Arguments, ArgumentSpec
from interceptors.connectors.connector import Connector, _executing
from interceptors.connectors.context import ConnectorContext
from interceptors.errors import AlreadyHookedError, MissingExtraError, UnknownHookError

try:
    from bson.code import Code
    from pymongo import ASCENDING, AsyncMongoClient, InsertOne
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.command_cursor import AsyncCommandCursor
    from pymongo.asynchronous.cursor import AsyncCursor, AsyncRawBatchCursor
    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.errors import InvalidOperation
except ImportError as error:
    raise MissingExtraError("interceptors.connectors.pymongo", "pymongo") from error

__all__ = ["MongoConnector", "MongoContext", "MongoRequest"]

Cursor: TypeAlias = AsyncCursor[Any] | AsyncCommandCursor[Any]
T = TypeVar("T")

_ABSENT = object()
_is: Callable[[Any, Any], bool] = isinstance  # an Any that it is asked about stays one to a type checker
_WITH_CURSOR = (
    "find", "find_raw_batches", "aggregate", "aggregate_raw_batches", "list_indexes", "list_search_indexes"
)  # fmt: skip
_LEGACY = {
    "insertOne": "insert",
    "updateOne": "save",
    "findOneAndUpdate": "findAndModify",
    "deleteOne": "delete",
    "deleteMany": "delete",
    "replaceOne": "update",
    "updateMany": "update",
    "countDocuments": "count",
    "estimatedDocumentCount": "count",
}


def _spec(function: Callable[..., Any], *, skip: int = 1, owner: str = "") -> ArgumentSpec:
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    return ArgumentSpec(owner or function.__qualname__, [p.replace(annotation=Parameter.empty) for p in parameters])


_CALLS: dict[str, Callable[..., Any]] = {
    name: function
    for name, function in vars(AsyncCollection).items()
    if inspect.iscoroutinefunction(function) and not name.startswith("_") and name != "watch"
}
_SPECS: dict[str, ArgumentSpec] = {
    **{name: _spec(function) for name, function in _CALLS.items()},
    # These three hand their arguments to a cursor.
    **{
        name: _spec(cast("Any", AsyncCursor).__init__, skip=2, owner=f"AsyncCollection.{name}")
        for name in ("find", "find_one", "find_raw_batches")
    },
    "command": _spec(cast("Any", AsyncDatabase).command),
}


# -- requests ----------------------------------------------------------------------------------------------------------


@final
class MongoRequest:
    """A call of a collection's method, or of `database.command`: then `collection` is None.

    `command` is the name of PyMongo's method. `params` are the arguments over its parameters, by name and by position;
    a dict or a list that is assigned becomes that. They are the hook's own copies, but for documents to insert.
    """

    __slots__ = ("_command", "_params", "collection", "database")

    def __init__(
        self, database: str, collection: str | None, command: str, params: Arguments | dict[str, Any] | list[Any]
    ) -> None:
        self.database = database
        self.collection = collection
        self._command = ""
        self._params: Arguments | dict[str, Any] | list[Any] = params
        self.params = params
        self.command = command

    @property
    def command(self) -> str:
        """PyMongo's method. Another one takes over the arguments that were given."""
        return self._command

    @command.setter
    def command(self, value: str) -> None:
        if value not in _SPECS:
            raise UnknownHookError(value, "hooked method of PyMongo", _SPECS)
        spec = _SPECS[value]
        if isinstance(self._params, Arguments) and self._params._spec is not spec:
            given = _given(self._params)
            if "filter" not in spec.declared and not given.get("filter"):
                given.pop("filter", None)
            self._params = Arguments(spec, {**spec.defaults, **given})
        self._command = value

    @property
    def params(self) -> Arguments:
        """The arguments of the method."""
        if not isinstance(self._params, Arguments):
            self._params = _bound(self._command, self._params)
        return self._params

    @params.setter
    def params(self, value: Any) -> None:
        if not isinstance(value, (Arguments, dict, list)):
            raise TypeError(f"params of a MongoRequest are Arguments, a dict or a list, not {type(value).__name__}")
        self._params = cast("Arguments", value)  # bound when somebody looks: `command` may be about to change, too

    @property
    def legacy_command(self) -> str:
        """LoopBack's `ctx.req.command`: MongoDB's old names, in its spelling."""
        first, *others = self._command.split("_")
        name = first + "".join(word.title() for word in others)
        return _LEGACY.get(name, name)

    def __repr__(self) -> str:
        return f"MongoRequest({self.database!r}, {self.collection!r}, {self._command!r}, {self._params!r})"


MongoContext: TypeAlias = ConnectorContext[MongoRequest, Any]


def _bound(command: str, params: dict[str, Any] | list[Any]) -> Arguments:
    return _with_filter(
        command,
        _SPECS[command].bind((), params) if isinstance(params, dict) else _SPECS[command].bind(tuple(params), {}),
    )


def _with_filter(command: str, arguments: Arguments) -> Arguments:
    """The same with a filter, in the one form that all of them take."""
    if command == "distinct" and arguments.get("filter") is None:
        arguments["filter"] = arguments._values.pop("query", None)  # what a cursor's `distinct` gives
    if _SPECS[command].defaults.get("filter", _ABSENT) is None:
        given = arguments["filter"]
        if given is None:
            arguments["filter"] = {}
        elif command == "find_one" and not isinstance(given, Mapping):
            arguments["filter"] = {"_id": given}
    return arguments


def _given(arguments: Arguments) -> dict[str, Any]:
    """By name, what is not left at its default: another method may not have that parameter."""
    defaults = arguments._spec.defaults
    return {name: value for name, value in arguments.items() if value is not defaults.get(name, _ABSENT)}


def _owned(command: str, arguments: Arguments) -> Arguments:
    """With copies of the caller's dicts and lists. PyMongo writes `_id` into a document to insert: it is the caller's."""
    values: dict[str, Any] = {}
    for name, value in arguments.items():
        if name == "document" and command == "insert_one":
            values[name] = value
        elif name == "documents" and command == "insert_many":
            values[name] = _own_list(value)
        elif name == "requests":
            values[name] = [_own_operation(each) for each in value] if _is(value, list) else value
        else:
            values[name] = _own(value)
    return Arguments(arguments._spec, values)


def _own_list(documents: Any) -> Any:
    """PyMongo takes an iterable, and a hook may want to look at it."""
    return list(documents) if _is(documents, Iterable) and not _is(documents, Mapping) else documents


def _own(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)([_own(each) for each in value])
    if _is(value, dict):
        mine = value.copy()  # a SON stays one
        for key, each in mine.items():
            mine[key] = _own(each)
        return mine
    return value


def _own_operation(operation: Any) -> Any:
    """One of a `bulk_write`."""
    if _is(operation, InsertOne):
        return operation
    mine = copy(operation)
    for base in type(operation).__mro__:
        for name in getattr(base, "__slots__", ()):
            setattr(mine, name, _own(getattr(mine, name)))
    return mine


# -- the operation -----------------------------------------------------------------------------------------------------


@final
class Call:
    """The operation of one execute: the call of PyMongo's own method, as often as the hooks want it."""

    def __init__(self, target: "HookedDatabase | HookedCollection", command: str) -> None:
        self.command = command
        self.recorded: list[tuple[str, Any]] = []
        """What a cursor was told that is no parameter of `find`."""
        self._target = target
        self._database = target if isinstance(target, HookedDatabase) else target.database
        self._opened: list[Cursor] = []

    async def run(self, arguments: Arguments) -> Any:
        """Execute the caller's call."""
        target = self._target
        collection = target.name if isinstance(target, HookedCollection) else None
        request = MongoRequest(self._database.name, collection, self.command, _owned(self.command, arguments))
        try:
            return await _connector_of(self._database).execute(request, self)
        except BaseException:
            await self.close()
            raise

    async def __call__(self, req: MongoRequest) -> Any:
        given = _given(req.params)
        if "command" in given:
            given["command"] = _own(given["command"])  # PyMongo writes the session into it
        result = _plain(self._target_of(req), req.command)(**given)
        if req.command in ("find", "find_raw_batches"):
            self._opened.append(result)
            await replay(result, self.recorded)
            await result._refresh()
            return result
        result = await result
        if req.command in _WITH_CURSOR:
            self._opened.append(result)
        return result

    async def close(self) -> None:
        """Close the cursors that were opened."""
        while self._opened:
            await self._opened.pop().close()

    def as_cursor(self, value: Any) -> Cursor:
        """What stands for a cursor: one, or a list or an (async) iterable of documents."""
        if _is(value, (AsyncCursor, AsyncCommandCursor)) and not _is(value, HookedCursor):
            return cast("Cursor", value)
        if _is(value, (Mapping, str, bytes)) or not _is(value, (Iterable, AsyncIterable)):
            raise TypeError(
                f"The result of {self.command} is a cursor, or a list or an (async) iterable of documents, "
                f"not {type(value).__name__}: {value!r:.80}"
            )
        return AnsweredCursor(cast("HookedCollection", self._target), value)

    def _target_of(self, req: MongoRequest) -> "HookedDatabase | HookedCollection":
        target, database = self._target, self._database
        if req.database != database.name:
            database = database.client.get_database(req.database, *_options(database))
        if req.command == "command":
            return cast("HookedDatabase", database)
        if req.collection is None:
            raise TypeError(f"{req.command} is a collection's method, and ctx.req.collection is None.")
        if database is self._database and isinstance(target, HookedCollection) and req.collection == target.name:
            return target
        return cast("HookedCollection", database.get_collection(req.collection, *_options(target)))


def _options(target: AsyncDatabase[Any] | AsyncCollection[Any]) -> tuple[Any, ...]:
    return target.codec_options, target.read_preference, target.write_concern, target.read_concern


async def replay(cursor: AsyncCursor[Any], recorded: Iterable[tuple[str, Any]]) -> None:
    """Tell a cursor what another was told."""
    for name, value in recorded:
        told = getattr(cursor, name)(value)
        if inspect.isawaitable(told):
            await told


def _plain(target: "HookedDatabase | HookedCollection", command: str) -> Callable[..., Any]:
    """PyMongo's own method."""
    if isinstance(target, HookedDatabase):
        return super(HookedDatabase, target).command
    method: Callable[..., Any] = getattr(super(HookedCollection, target), command)
    return method


@contextmanager
def _unhooked(connector: "MongoConnector") -> Generator[None]:
    """What is called in here is not hooked, as in an execute."""
    token = _executing.set(_executing.get() | {connector})
    try:
        yield
    finally:
        _executing.reset(token)


# -- cursors -----------------------------------------------------------------------------------------------------------


@final
class AnsweredCursor(AsyncCommandCursor[Any]):
    """A cursor over documents that a hook gave."""

    def __init__(self, collection: "HookedCollection", documents: AsyncIterable[Any] | Iterable[Any]) -> None:
        super().__init__(collection, {"id": 0, "firstBatch": ()}, None)
        self._connector = _connector_of(collection.database)
        self._documents: AsyncIterator[Any] | None = (
            aiter(documents) if isinstance(documents, AsyncIterable) else _each(list(documents))
        )

    @property
    def alive(self) -> bool:
        return self._documents is not None

    async def next(self) -> Any:
        if self._documents is None:
            raise StopAsyncIteration
        try:
            with _unhooked(self._connector):  # it is the hook's
                return await anext(self._documents)
        except StopAsyncIteration:
            self._documents = None
            raise

    async def try_next(self) -> Any:
        return await anext(self, None)

    async def to_list(self, length: int | None = None) -> list[Any]:
        if length is not None and length < 1:
            raise ValueError("to_list() length must be greater than 0")
        documents: list[Any] = []
        async for document in self:
            documents.append(document)
            if len(documents) == length:
                break
        return documents

    async def close(self) -> None:
        documents, self._documents = self._documents, None
        close = getattr(documents, "aclose", None) or getattr(documents, "close", None)
        if close is not None:
            closed = close()
            if inspect.isawaitable(closed):
                await closed


async def _each(documents: list[Any]) -> AsyncIterator[Any]:
    for document in documents:
        yield document


class HookedCursor(AsyncCursor[Any]):
    """Records what `find` is to do, and does it at the first fetch, hooked: then it reads from the cursor that came of it.

    It is told everything itself, too, and so refuses what PyMongo's cursor refuses. It never fetches itself.
    """

    _interceptors_command = "find"

    def __init__(self, collection: AsyncCollection[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(collection, *args, **kwargs)
        self._interceptors_arguments = _with_filter("find", _SPECS["find"].bind(args, kwargs))
        self._interceptors_call = Call(cast("HookedCollection", collection), self._interceptors_command)
        self._interceptors_source: Cursor | None = None

    # -- what it is told: the loop below adds the rest -----------------------------------------------------------------

    def sort(self, key_or_list: Any, direction: Any = None) -> "HookedCursor":
        self._record("sort", key_or_list, direction)
        if isinstance(key_or_list, str):
            keys: Any = [(key_or_list, ASCENDING if direction is None else direction)]
        else:
            keys = key_or_list
        self._interceptors_arguments["sort"] = keys
        return self

    def where(self, code: Any) -> "HookedCursor":
        self._record("where", code)
        arguments = self._interceptors_arguments
        where = {"$where": code if isinstance(code, Code) else Code(code)}
        arguments["filter"] = {**(arguments["filter"] or {}), **where}
        return self

    def max_await_time_ms(self, max_await_time_ms: int | None) -> "HookedCursor":
        self._record("max_await_time_ms", max_await_time_ms)
        self._interceptors_call.recorded.append(("max_await_time_ms", max_await_time_ms))
        return self

    async def add_option(self, mask: int) -> "HookedCursor":
        await self._record("add_option", mask)
        self._interceptors_call.recorded.append(("add_option", mask))
        return self

    def remove_option(self, mask: int) -> "HookedCursor":
        self._record("remove_option", mask)
        self._interceptors_call.recorded.append(("remove_option", mask))
        return self

    def _record(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if self._interceptors_source is not None:
            raise InvalidOperation("cannot set options after executing query")
        return getattr(super(), name)(*args, **kwargs)

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def next(self) -> Any:
        source = self._interceptors_source or await self._interceptors_open()
        return await source.next()

    async def to_list(self, length: int | None = None) -> list[Any]:
        if not self.alive:
            return []
        source = self._interceptors_source or await self._interceptors_open()
        return await source.to_list(length)

    async def close(self) -> None:
        if self._interceptors_source is not None:
            await self._interceptors_source.close()
        await self._interceptors_call.close()
        await super().close()

    async def rewind(self) -> "HookedCursor":
        await super().rewind()
        self._interceptors_source = None
        return self

    async def explain(self) -> Any:
        plain = _plain(self._interceptors_collection, self._interceptors_command)(
            **_given(self._interceptors_arguments)
        )
        await replay(plain, self._interceptors_call.recorded)
        return await plain.explain()

    async def _interceptors_open(self) -> Cursor:
        if not self.alive:
            raise StopAsyncIteration
        call = self._interceptors_call
        try:
            source = call.as_cursor(await call.run(self._interceptors_arguments))
        except BaseException:
            await self.close()
            raise
        self._interceptors_source = source
        return source

    # -- the state of what it reads from -------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return super().alive if self._interceptors_source is None else self._interceptors_source.alive

    @property
    def cursor_id(self) -> int | None:
        return super().cursor_id if self._interceptors_source is None else self._interceptors_source.cursor_id

    @property
    def address(self) -> tuple[str, int | None] | None:
        return super().address if self._interceptors_source is None else self._interceptors_source.address

    @property
    def retrieved(self) -> int:
        return getattr(self._interceptors_source, "retrieved", 0)

    # -- copies --------------------------------------------------------------------------------------------------------

    def clone(self) -> "HookedCursor":
        arguments = _owned(self._interceptors_command, self._interceptors_arguments)
        clone = type(self)(self.collection, **_given(arguments))
        clone._interceptors_call.recorded = list(self._interceptors_call.recorded)
        return clone

    def __copy__(self) -> "HookedCursor":
        return self.clone()

    def __deepcopy__(self, memo: Any) -> "HookedCursor":
        return self.clone()

    @property
    def _interceptors_collection(self) -> "HookedCollection":
        return cast("HookedCollection", self.collection)


def _recorder(name: str) -> Callable[..., Any]:
    @wraps(getattr(AsyncCursor, name))
    def record(self: HookedCursor, *args: Any, **kwargs: Any) -> HookedCursor:
        self._record(name, *args, **kwargs)
        (value,) = (*args, *kwargs.values())
        self._interceptors_arguments[name] = dict(value) if name in ("max", "min") else value
        return self

    return record


for _name in (
    "allow_disk_use", "batch_size", "collation", "comment", "hint", "limit", "max", "max_scan", "max_time_ms", "min",
    "skip",
):  # fmt: skip
    setattr(HookedCursor, _name, _recorder(_name))


@final
class HookedRawBatchCursor(HookedCursor, AsyncRawBatchCursor[Any]):
    """The same for `find_raw_batches`."""

    _interceptors_command = "find_raw_batches"


# -- the client, its databases, their collections ----------------------------------------------------------------------


@cache
def _subclass(hooked: type[Any], kind: type[Any]) -> type[Any]:
    return type(kind.__name__, (hooked, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def _hook(hooked: type[T], plain: Any) -> T:
    """Make an object of PyMongo's, or of a subclass, a hooked one of its own kind."""
    if not isinstance(plain, hooked):
        plain.__class__ = _subclass(cast("Any", hooked), cast("Any", type(plain)))
    return cast("T", plain)


def _connector_of(database: AsyncDatabase[Any]) -> "MongoConnector":
    return cast("HookedClient", database.client)._interceptors_connector


def _is_for_gridfs() -> bool:
    """GridFS takes its own copy of a database or a collection, with options; that one is not hooked."""
    package: str = sys._getframe(2).f_globals.get("__name__", "")
    return package.partition(".")[0] == "gridfs"


class HookedCollection(AsyncCollection[Any]):
    """A collection whose methods are executes. The loop below adds those that are coroutine functions."""

    def __getitem__(self, name: str) -> "HookedCollection":
        return _hook(HookedCollection, super().__getitem__(name))

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        plain = super().with_options(*args, **kwargs)
        return plain if _is_for_gridfs() else _hook(HookedCollection, plain)

    def find(self, *args: Any, **kwargs: Any) -> AsyncCursor[Any]:
        if _connector_of(self.database) in _executing.get():  # a hook's own, also when it is read later
            return super().find(*args, **kwargs)
        return HookedCursor(self, *args, **kwargs)

    def find_raw_batches(self, *args: Any, **kwargs: Any) -> AsyncRawBatchCursor[Any]:
        plain = super().find_raw_batches(*args, **kwargs)
        if _connector_of(self.database) in _executing.get():
            return plain
        return HookedRawBatchCursor(self, *args, **kwargs)


class HookedDatabase(AsyncDatabase[Any]):
    """A database whose collections are hooked, and `command`."""

    def __getitem__(self, name: str) -> HookedCollection:
        return _hook(HookedCollection, super().__getitem__(name))

    def get_collection(self, *args: Any, **kwargs: Any) -> Any:
        return _hook(HookedCollection, super().get_collection(*args, **kwargs))

    async def create_collection(self, *args: Any, **kwargs: Any) -> Any:
        return _hook(HookedCollection, await super().create_collection(*args, **kwargs))

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        plain = super().with_options(*args, **kwargs)
        return plain if _is_for_gridfs() else _hook(HookedDatabase, plain)


class HookedClient(AsyncMongoClient[Any]):
    """A client whose databases are hooked. Its own commands are not, although they go through a database."""

    _interceptors_connector: "MongoConnector"

    def __getitem__(self, name: str) -> HookedDatabase:
        return _hook(HookedDatabase, super().__getitem__(name))

    def get_database(self, *args: Any, **kwargs: Any) -> Any:
        return _hook(HookedDatabase, super().get_database(*args, **kwargs))

    def get_default_database(self, *args: Any, **kwargs: Any) -> Any:
        return _hook(HookedDatabase, super().get_default_database(*args, **kwargs))

    async def drop_database(self, *args: Any, **kwargs: Any) -> None:
        with _unhooked(self._interceptors_connector):
            await super().drop_database(*args, **kwargs)

    async def server_info(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        with _unhooked(self._interceptors_connector):
            return await super().server_info(*args, **kwargs)


def _hooked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """PyMongo's coroutine function as an execute."""
    spec = _SPECS[name]

    @wraps(function)
    async def call(self: "HookedDatabase | HookedCollection", *args: Any, **kwargs: Any) -> Any:
        database = self if isinstance(self, HookedDatabase) else self.database
        connector = _connector_of(database)
        if not connector.is_hooked:
            if name != "find_one":
                return await _plain(self, name)(*args, **kwargs)
            with _unhooked(connector):  # it uses `find`, whose cursor would be made ready for hooks
                return await _plain(self, name)(*args, **kwargs)
        call = Call(self, name)
        result = await call.run(_with_filter(name, spec.bind(args, kwargs)))
        return call.as_cursor(result) if name in _WITH_CURSOR else result

    return call


for _name, _function in _CALLS.items():
    setattr(HookedCollection, _name, _hooked(_name, _function))
HookedDatabase.command = _hooked("command", cast("Any", AsyncDatabase).command)  # type: ignore[method-assign]


# -- the connector -----------------------------------------------------------------------------------------------------


class MongoConnector(Connector[MongoRequest, Any]):
    """Hooks the collections' methods and `database.command` of everything taken from a client from now on.

    Not hooked: GridFS, change streams, commands of the client itself, getMore; and what a hook calls on this client.

    >>> mongo = MongoConnector(AsyncMongoClient(url))
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        *,
        name: str | None = None,
        parent: Connector[Any, Any] | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        if not isinstance(client, AsyncMongoClient):
            raise TypeError(f"{self.name} takes an AsyncMongoClient, not {type(client).__name__}: use pymongo's.")
        if isinstance(client, HookedClient):
            raise AlreadyHookedError(
                f"{client!r} is hooked by {client._interceptors_connector.name} already; use that connector, or share "
                f"hooks with parent=.",
                client,
            )
        self.client: AsyncMongoClient[Any] = client
        _hook(HookedClient, client)._interceptors_connector = self

    def take_request(self, ctx: "MongoContext", value: Any) -> MongoRequest:
        """Only a MongoRequest."""
        if not isinstance(value, MongoRequest):
            raise TypeError(f"ctx.req takes a MongoRequest, not {type(value).__name__}: {value!r:.80}")
        return value

    def take_result(self, ctx: "MongoContext", value: Any, source: Any = None) -> Any:
        """For a cursor, a list or an (async) iterable of documents; for other methods any value."""
        call = ctx._operation
        return call.as_cursor(value) if isinstance(call, Call) and call.command in _WITH_CURSOR else value
