"""Generator handlers: JSON lines, server-sent events, raw streams.

The chain runs before the first item, so that a layer can deny with a clean status. FastAPI would read a generator's
parameters only once the answer has begun; so they stand on a hidden dependency that runs the chain and gives the
iterator, and the endpoint only passes the items on.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import replace
from inspect import Parameter
from typing import Any

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from interceptors.context import InvocationContext, current
from interceptors.fastapi.endpoint import Endpoint, hidden_parameters, mark
from interceptors.fastapi.responses import add_tasks, merged
from interceptors.fastapi.sources import RouteContext, exit_stack
from interceptors.fastapi.statuses import raise_status
from interceptors.plan import Target
from interceptors.registry import InterceptorRegistry

__all__ = ["StreamContext", "answered", "stream_endpoint", "stream_target"]

_ANSWER = "interceptors.answer"
_SECONDS_TO_CLOSE = 5.0
_ITERATORS: Any = (Iterator, list)


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
    plans = registry._plans

    async def run_chain(
        *, _interceptors_request: Request, _interceptors_response: Response, **values: Any
    ) -> AsyncIterator[Any]:
        plan = plans.get(target) or info.plan()
        ctx = plan.context_class()
        ctx._request = _interceptors_request
        ctx._response = _interceptors_response
        ctx._keywords = values
        token = current.set(ctx)
        try:
            result = await plan.run(ctx)
        except Exception as error:
            raise_status(error, _interceptors_request.scope)
            raise
        finally:
            current.reset(token)
        scope = _interceptors_request.scope
        if isinstance(result, Response):
            scope[_ANSWER] = merged(result, _interceptors_response)
            result = []
        exit_stack(scope).push_async_callback(_close, (result, *ctx._opened))  # type: ignore[attr-defined]
        return _items(ctx, _step_of(result, target))

    async def endpoint(*, _interceptors_items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in _interceptors_items:
            yield item

    mark(run_chain, info, [*target.signature.visible, *hidden_parameters()], wraps=False)
    items = Parameter("_interceptors_items", Parameter.KEYWORD_ONLY, default=Depends(run_chain, use_cache=False))
    return mark(endpoint, info, [items], wraps=False)


def answered(
    handler: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Let a `Response` that left the chain be the answer, in place of the stream."""

    async def answer(request: Request) -> Response:
        stream = await handler(request)
        response: Response | None = request.scope.pop(_ANSWER, None)
        if response is None:
            return stream
        add_tasks(response, stream.background)
        return response

    return answer


def _step_of(result: Any, target: Target) -> Callable[[], Any]:
    """How to get the next item of what left the chain. Raises TypeError for what is no iterator."""
    items: AsyncIterator[Any]
    if hasattr(result, "__aiter__"):
        items = aiter(result)
        return items.__anext__
    if isinstance(result, _ITERATORS):
        items = iterate_in_threadpool(result)
        return items.__anext__
    raise TypeError(
        f"The chain of {target.title} gave {type(result).__name__!r}; the handler is a generator, so a layer returns "
        f"what `next()` gave, another iterator, a list or a Response."
    )


async def _items(ctx: InvocationContext, step: Callable[[], Any]) -> AsyncIterator[Any]:
    """The items, each made inside the invocation: what the generator calls belongs to the same request."""
    while True:
        token = current.set(ctx)
        try:
            item = await step()
        except StopAsyncIteration:
            return
        finally:
            current.reset(token)
        yield item


async def _close(iterators: Iterable[Any]) -> None:
    """Close what was opened, from the outside in, also when the client has gone away."""
    with anyio.move_on_after(_SECONDS_TO_CLOSE, shield=True):
        for iterator in iterators:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()
            elif inspect.isgenerator(iterator):
                await run_sync(iterator.close)
