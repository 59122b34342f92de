"""Generator handlers: JSON lines, server-sent events, raw streams.

The chain runs before the first item, so that a layer can deny with a clean status. Its door is an `async def` like all
others; of the iterator that leaves the chain FastAPI makes the response, by a second handler that does nothing else.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, cast

import anyio
from anyio.to_thread import run_sync
from fastapi.routing import APIRoute
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from interceptors.context import InvocationContext
from interceptors.entry import Entry, run
from interceptors.fastapi.doors import HIDDEN_REQUEST, HIDDEN_RESPONSE, HIDDEN_TASKS, Doors, Straight, by_name
from interceptors.fastapi.responses import merged
from interceptors.fastapi.sources import RouteContext
from interceptors.fastapi.status_answers import raise_status
from interceptors.fastapi.undocumented import Picture, describe_as, exit_stack, reading, stream_of

__all__ = [
    "Respond",
    "StreamContext",
    "answering",
    "items_of",
    "opening",
    "responder",
    "some_async_generator",
    "straight_stream",
    "stream_door",
]

_ITEMS = "interceptors.items"
_SECONDS_TO_CLOSE = 5.0
_ITERATOR: Any = Iterator  # for isinstance without narrowing, which the type checkers do not need here
_LIST: Any = list

Respond: TypeAlias = Callable[[Request, Any], Awaitable[Response]]
"""Makes the response of a stream of items."""


class StreamContext(RouteContext):
    """An invocation whose target gives an iterator; remembers the iterators that were opened, to close them."""

    opened: tuple[Any, ...] = ()


async def opening(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    """Call a generator function: nothing of its body runs yet."""
    iterator = function(*args, **kwargs)
    if inspect.iscoroutine(iterator):  # of somebody's function around a door of ours, which stands aside
        iterator = await iterator
    stream = cast("StreamContext", ctx)
    stream.opened = (*stream.opened, iterator)
    return iterator


def stream_door(
    entry: Entry,
    request_name: str,
    response_name: str,
    tasks_name: str | None,
    doors: Doors,
    straight: Straight,
    respond: Respond,
) -> Callable[..., Any]:
    """The door of a generator handler."""

    async def door(**values: Any) -> Any:
        if doors.are_several and doors.is_within(entry, values.get(request_name)):
            return await straight(values)
        request, injected = values.pop(request_name), values.pop(response_name)
        hidden_tasks = values.pop(HIDDEN_TASKS, None)
        ctx: Any = entry.context((), values, request, injected)
        ctx.tasks = hidden_tasks if tasks_name is None else values.get(tasks_name, hidden_tasks)
        items = _Items(entry, ctx)
        exit_stack(request.scope).push_async_callback(items.close)
        try:
            result = await run(ctx)
        except Exception as error:
            raise_status(error, request.scope)
            raise
        ctx.settle()
        if isinstance(result, Response):
            return merged(result, injected)
        items.take(result)
        return await _answer(respond, request, injected, items)

    return door


async def _answer(respond: Respond, request: Request, injected: Response, items: Any) -> Response:
    answer = await respond(request, items)
    answer.raw_headers += injected.raw_headers  # in place: FastAPI has made a view of the list already
    if injected.status_code:
        answer.status_code = injected.status_code
    return answer


def answering(call: Any, respond: Respond) -> Callable[..., Any]:
    """What FastAPI calls where somebody has put something around a facade of a generator handler, which runs the chain.

    It does so before its first item, so that one is waited for: then the chain has returned, or has refused the request.
    """

    async def answer(**values: Any) -> Any:
        request, injected = values[HIDDEN_REQUEST], values[HIDDEN_RESPONSE]
        given = call(**values)
        items: Any = aiter(given if hasattr(given, "__aiter__") else iterate_in_threadpool(given))
        if hasattr(items, "aclose"):
            exit_stack(request.scope).push_async_callback(items.aclose)
        first: list[Any] = []
        try:
            with suppress(StopAsyncIteration):
                first.append(await anext(items))
        except Exception as error:
            raise_status(error, request.scope)
            raise
        if first and isinstance(first[0], Response):
            return merged(first[0], injected)
        return await _answer(respond, request, injected, _followed(first, items))

    return answer


async def _followed(first: Iterable[Any], items: Any) -> AsyncIterator[Any]:
    for item in first:
        yield item
    async for item in items:
        yield item


def straight_stream(call: Any) -> Straight:
    """What a door does that stands aside: it gives the iterator to that which stands around it."""

    async def straight(values: dict[str, Any]) -> Any:
        return call(**values)

    return straight


def responder(picture: Picture, route: APIRoute) -> Respond:
    """How FastAPI makes the response of a stream on a route: JSON lines, server-sent events, or raw."""

    def items_of_request(request: Request) -> Any:
        return request.scope.pop(_ITEMS)

    looks: Any = items_of_request
    looks.__wrapped__ = some_async_generator  # FastAPI looks through it for the kind of a function
    describe_as(looks, picture.endpoint)
    with reading(stream_of(picture, route, looks, "request"), route):
        handler = APIRoute.get_route_handler(route)

    async def respond(request: Request, items: Any) -> Response:
        request.scope[_ITEMS] = items if hasattr(items, "__aiter__") else iterate_in_threadpool(items)
        return await handler(request)

    return respond


async def some_async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    """Never called: others look at its kind."""
    yield


async def items_of(
    entry: Entry, args: tuple[object, ...], values: dict[str, Any], request: object, response: object
) -> AsyncIterator[Any]:
    """The items of a generator handler that is called as one: the chain runs before the first of them.

    Where there is a response a `Response` that leaves the chain is the only one; see `answering`.
    """
    if args or request is None:
        values = by_name(entry, args, values)
    ctx: Any = entry.context((), values, request, response)
    items = _Items(entry, ctx)
    try:
        result = await run(ctx)
        ctx.settle()
        if response is not None and isinstance(result, Response):
            yield result
        else:
            items.take(result)
            async for item in items:
                yield item
    finally:
        await items.close()


class _Items:
    """The items of a generator handler: what has left its chain."""

    def __init__(self, entry: Entry, ctx: StreamContext) -> None:
        self._entry = entry
        self._ctx = ctx
        self._result: Any = None
        self._next: Any = None

    def take(self, result: Any) -> None:
        """Iterate over what has left the chain. Raises TypeError for what is no iterator."""
        self._result = result
        if hasattr(result, "__aiter__"):
            self._next = aiter(result).__anext__
        elif isinstance(result, _LIST):
            self._next = _each(result).__anext__
        elif isinstance(result, _ITERATOR):
            self._next = aiter(iterate_in_threadpool(result)).__anext__
        else:
            raise TypeError(
                f"The chain of {self._entry.title} gave {type(result).__name__!r}; the handler is a generator, so a layer "
                f"returns what `next()` gave, another iterator, a list or a Response."
            )

    def __aiter__(self) -> "_Items":
        return self

    async def __anext__(self) -> Any:
        with self._entry.running_as(self._ctx):  # what the generator calls belongs to the same request
            return await self._next()

    async def close(self) -> None:
        """Close what was opened, from the outside in, also when the client has gone away or the chain has failed."""
        with anyio.move_on_after(_SECONDS_TO_CLOSE, shield=True):
            for iterator in (self._result, *self._ctx.opened):
                if hasattr(iterator, "aclose"):
                    await iterator.aclose()
                elif inspect.isgenerator(iterator):
                    await run_sync(iterator.close)


async def _each(items: Iterable[object]) -> AsyncIterator[Any]:
    for item in items:
        yield item
