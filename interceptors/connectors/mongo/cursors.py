"""The cursors of hooked calls: over documents that a hook gave, and the one that `find` gives.

`find` gives a cursor that only records its options; the hooks run at its first fetch, around the cursor that the
operation opens then, and the caller reads what they leave.
"""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeAlias, TypeGuard, cast, final

from bson.code import Code
from pymongo import ASCENDING
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor, AsyncRawBatchCursor
from pymongo.errors import InvalidOperation

from interceptors.connectors.mongo.call import Call, Cursor, FindCursor, replay
from interceptors.connectors.mongo.copies import own_arguments
from interceptors.connectors.mongo.hooked import Collection, connector_of, method_of
from interceptors.connectors.mongo.methods import SPECS, given_in, with_filter
from interceptors.connectors.mongo.undocumented import make_empty

__all__ = ["FindCursor", "HookedCursor", "HookedRawBatchCursor", "RawBatchCursor", "as_cursor"]

RawBatchCursor: TypeAlias = AsyncRawBatchCursor[Any]
Bounds: TypeAlias = Iterable[tuple[str, object]]
Documents: TypeAlias = AsyncIterable[object] | Iterable[object]


def as_cursor(call: Call, value: object) -> Cursor:
    """What stands for a cursor: one, or a list or an (async) iterable of documents."""
    if _is_cursor(value) and not isinstance(value, HookedCursor):
        return value
    if not _is_documents(value):
        raise TypeError(
            f"The result of {call.command} is a cursor, or a list or an (async) iterable of documents, "
            f"not {type(value).__name__}: {value!r:.80}"
        )
    return DocumentCursor(cast("Collection", call.target), value)


def _is_cursor(value: object) -> TypeGuard[Cursor]:
    return isinstance(value, (AsyncCursor, AsyncCommandCursor))


def _is_documents(value: object) -> TypeGuard[Documents]:
    return isinstance(value, (Iterable, AsyncIterable)) and not isinstance(value, (Mapping, str, bytes))


@final
class DocumentCursor(AsyncCommandCursor[Any]):
    """A cursor over documents that a hook gave."""

    def __init__(self, collection: Collection, documents: Documents) -> None:
        make_empty(self, collection)
        self._connector = connector_of(collection)
        self._documents: AsyncIterator[object] | None = (
            aiter(documents) if isinstance(documents, AsyncIterable) else _each(list(documents))
        )

    @property
    def alive(self) -> bool:
        return self._documents is not None

    async def next(self) -> object:
        if self._documents is None:
            raise StopAsyncIteration
        try:
            with self._connector.unhooked():  # it is the hook's
                return await anext(self._documents)
        except StopAsyncIteration:
            self._documents = None
            raise

    async def try_next(self) -> object:
        return await anext(self, None)

    async def to_list(self, length: int | None = None) -> list[Any]:
        if length is not None and length < 1:
            raise ValueError("to_list() length must be greater than 0")
        documents: list[object] = []
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


async def _each(documents: list[object]) -> AsyncIterator[object]:
    for document in documents:
        yield document


class HookedCursor(AsyncCursor[Any]):
    """Records what `find` is to do, and does it at the first fetch, hooked: then it reads from the cursor that came of it.

    It is told everything itself, too, and so refuses what PyMongo's cursor refuses. It never fetches itself.
    """

    _interceptors_command = "find"

    def __init__(self, collection: Collection, *args: Any, **kwargs: Any) -> None:
        super().__init__(collection, *args, **kwargs)
        self._interceptors_arguments = with_filter("find", SPECS["find"].bind(args, kwargs))
        self._interceptors_call = Call(collection, self._interceptors_command)
        self._interceptors_source: Cursor | None = None

    # -- what it is told: the loop below adds the rest -----------------------------------------------------------------

    def sort(self, key_or_list: object, direction: int | str | None = None) -> "HookedCursor":
        self._record("sort", key_or_list, direction)
        if isinstance(key_or_list, str):
            keys: object = [(key_or_list, ASCENDING if direction is None else direction)]
        else:
            keys = key_or_list
        self._interceptors_arguments["sort"] = keys
        return self

    def where(self, code: str | Code) -> "HookedCursor":
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

    def _record(self, name: str, *args: object, **kwargs: object) -> Any:
        if self._interceptors_source is not None:
            raise InvalidOperation("cannot set options after executing query")
        return getattr(super(), name)(*args, **kwargs)

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def next(self) -> object:
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

    async def explain(self) -> object:
        call = self._interceptors_call
        plain = method_of(call.target, call.command)(**given_in(self._interceptors_arguments))
        await replay(plain, call.recorded)
        return await plain.explain()

    async def _interceptors_open(self) -> Cursor:
        if not self.alive:
            raise StopAsyncIteration
        call = self._interceptors_call
        try:
            source = as_cursor(call, await call.run(self._interceptors_arguments))
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
        arguments = own_arguments(self._interceptors_command, self._interceptors_arguments)
        clone = type(self)(self.collection, **given_in(arguments))
        clone._interceptors_call.recorded = list(self._interceptors_call.recorded)
        return clone

    def __copy__(self) -> "HookedCursor":
        return self.clone()

    def __deepcopy__(self, memo: object) -> "HookedCursor":
        return self.clone()


def _recorder(name: str) -> Callable[..., Any]:
    @wraps(getattr(AsyncCursor, name))
    def record(self: HookedCursor, *args: object, **kwargs: object) -> HookedCursor:
        self._record(name, *args, **kwargs)
        (value,) = (*args, *kwargs.values())
        self._interceptors_arguments[name] = dict(cast("Bounds", value)) if name in ("max", "min") else value
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
