"""Generator handlers: JSON lines, server-sent events, raw streams.

The chain runs before the first item, so that a layer can deny with a clean status. FastAPI calls a generator function
in the midst of making the response and starts to read from it later; so the endpoint gives an iterator that is not open
yet, and the route class runs the chain when FastAPI has made the response, and opens it.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import replace
from typing import Any, TypeAlias

import anyio
from anyio.to_thread import run_sync
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from interceptors.context import InvocationContext, Running
from interceptors.entry import run
from interceptors.fastapi.endpoint import Endpoint, hidden_parameters, mark
from interceptors.fastapi.responses import add_tasks, merged
from interceptors.fastapi.sources import RouteContext, exit_stack
from interceptors.fastapi.status_answers import raise_status
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["StreamContext", "opening_streams", "stream_endpoint", "stream_target"]

_STREAM = "interceptors.stream"
_SECONDS_TO_CLOSE = 5.0
_UNSET = object()
_ITERATOR: Any = Iterator  # for isinstance without narrowing, which the type checkers do not need here
_LIST: Any = list

RouteHandler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class StreamContext(RouteContext):
    """An invocation whose target gives an iterator; remembers the iterators that were opened, to close them."""

    _opened: tuple[Any, ...] = ()


def stream_target(target: Target) -> Target:
    """The same target as a stream calls it."""
    return replace(target, binds=False, context_class=StreamContext, finish=_open)


async def _open(ctx: InvocationContext, function: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a generator function: nothing of its body runs yet."""
    iterator = function(*args, **kwargs)
    ctx._opened = (*ctx._opened, iterator)  # type: ignore[attr-defined]
    return iterator


def stream_endpoint(registry: InterceptorRegistry, target: Target) -> Callable[..., Any]:
    """The endpoint of a generator handler."""
    info = Endpoint(registry, target)

    def endpoint(*, _interceptors_request: Request, _interceptors_response: Response, **values: Any) -> Any:
        scope = _interceptors_request.scope
        if _STREAM not in scope:
            raise RuntimeError(
                f"{target.title} stands on a route of another class, which does not run the chain of a stream. Register "
                f"the handler itself, on a router with `route_class=intercepted_route(registry)`."
            )
        stream = scope[_STREAM] = _Stream(info, _interceptors_request, _interceptors_response, values)
        return stream

    marked: Any = mark(endpoint, info, [*target.signature.visible, *hidden_parameters()], wraps=False)
    # FastAPI looks through `__wrapped__` for the kind of a function. Whatever the handler is, we give an async iterator.
    marked.__wrapped__ = target.function if inspect.isasyncgenfunction(target.function) else _some_async_generator
    return marked  # type: ignore[no-any-return]


async def _some_async_generator() -> AsyncIterator[Any]:
    yield


def opening_streams(handler: RouteHandler) -> RouteHandler:
    """A route handler that runs the chain of a stream when `handler` has made the response."""

    async def handle(request: Request) -> Response:
        request.scope[_STREAM] = None
        try:
            response = await handler(request)
        except BaseException:
            unopened: _Stream | None = request.scope.pop(_STREAM)
            if unopened is not None:
                unopened.give_up()
            raise
        stream: _Stream | None = request.scope.pop(_STREAM)  # a route class of the user's may answer by itself
        return response if stream is None else await stream.open(response)

    return handle


class _Stream:
    """The items of a generator handler. Not open, and nothing of the handler has run, until `open` has run the chain."""

    def __init__(self, info: Endpoint, request: Request, response: Response, values: dict[str, Any]) -> None:
        ctx: Any = info.entry.context((), values, request, response)
        self._ctx: StreamContext = ctx
        self._title = info.target.title
        self._is_open = anyio.Event()
        self._next: Any = None
        self._result: Any = None
        self._variables: dict[ContextVar[Any], Any] = {}  # what the layers have set
        # What FastAPI has put on its stack are the `yield` dependencies. What it puts there from now on reads the
        # stream already (server-sent events), and has to end by itself, without an error, if the chain denies.
        self._stack = exit_stack(request.scope)
        self._dependencies = self._stack.pop_all()
        self._headers = len(response.raw_headers)

    def __aiter__(self) -> "_Stream":
        return self

    async def __anext__(self) -> Any:
        await self._is_open.wait()
        while self._variables:  # of server-sent events FastAPI's reader was started before the chain ran
            variable, value = self._variables.popitem()
            variable.set(value)
        with Running(self._ctx):  # what the generator calls belongs to the same request
            return await self._next()

    async def open(self, response: Response) -> Response:
        """Run the chain; give the response to send. What is on FastAPI's stack ends in the right order either way."""
        reader = self._stack.pop_all()
        self._stack.push_async_exit(self._dependencies)
        self._stack.push_async_callback(self._close)
        try:
            answer = self._answer(response, await self._run_chain())
        except BaseException:
            await reader.aclose()
            raise
        self._stack.push_async_exit(reader)
        self._is_open.set()
        return answer

    def give_up(self) -> None:
        """Put FastAPI's stack together again: no response has come about."""
        reader = self._stack.pop_all()
        self._stack.push_async_exit(self._dependencies)
        self._stack.push_async_exit(reader)

    async def _run_chain(self) -> Any:
        before = copy_context()
        try:
            self._result = await run(self._ctx)
        except Exception as error:
            raise_status(error, self._ctx.request.scope)
            raise
        finally:
            self._variables = {v: value for v, value in copy_context().items() if before.get(v, _UNSET) is not value}
        return self._result

    def _answer(self, response: Response, result: Any) -> Response:
        injected: Response = self._ctx.response
        if isinstance(result, Response):
            answer = merged(result, injected)
            add_tasks(answer, response.background)
            self._next = _items([]).__anext__
            return answer
        self._next = self._step_of(result)
        # FastAPI has copied the injected headers and the status before the chain ran.
        del response.raw_headers[len(response.raw_headers) - self._headers :]
        response.raw_headers += injected.raw_headers  # in place: FastAPI has made a view of the list already
        if injected.status_code:
            response.status_code = injected.status_code
        return response

    async def _close(self) -> None:
        """Close what was opened, from the outside in, also when the client has gone away or the chain has failed."""
        with anyio.move_on_after(_SECONDS_TO_CLOSE, shield=True):
            for iterator in (self._result, *self._ctx._opened):
                if hasattr(iterator, "aclose"):
                    await iterator.aclose()
                elif inspect.isgenerator(iterator):
                    await run_sync(iterator.close)

    def _step_of(self, result: Any) -> Callable[[], Any]:
        """How to get the next item of what left the chain. Raises TypeError for what is no iterator."""
        items: AsyncIterator[Any]
        if hasattr(result, "__aiter__"):
            items = aiter(result)
            return items.__anext__
        if isinstance(result, _LIST):
            return _items(result).__anext__
        if isinstance(result, _ITERATOR):
            items = iterate_in_threadpool(result)
            return items.__anext__
        raise TypeError(
            f"The chain of {self._title} gave {type(result).__name__!r}; the handler is a generator, so a layer "
            f"returns what `next()` gave, another iterator, a list or a Response."
        )


async def _items(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
