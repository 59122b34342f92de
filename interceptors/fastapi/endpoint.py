"""The function that FastAPI calls for a route: it makes the context and runs the chain.

One fresh function per route, with an explicit signature: FastAPI sees the parameters of the handler, less those that we
inject, and hidden ones for the request and the response. The handler itself is never touched.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from inspect import Parameter
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from interceptors.candidates import Explanation
from interceptors.context import InvocationContext, RequestState
from interceptors.entry import Entry, run
from interceptors.fastapi.responses import merged
from interceptors.fastapi.sources import ROUTE, RouteContext
from interceptors.fastapi.status_answers import raise_status
from interceptors.kinds import is_async
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["Endpoint", "bind_request", "endpoint_of", "hidden_parameters", "http_endpoint", "mark", "route_target"]

_ATTRIBUTE = "__interceptors_endpoint__"


@dataclass(frozen=True)
class Endpoint:
    """What a function of ours runs, noted on it: the mark by which the start-up check knows a reached route."""

    registry: InterceptorRegistry
    target: Target

    @cached_property
    def entry(self) -> Entry:
        """The door to its chain."""
        return Entry(self.registry, self.target, source=ROUTE)

    def explain(self) -> Explanation:
        """What runs around it, and why the rest does not."""
        return self.entry.explain()


def endpoint_of(function: object) -> Endpoint | None:
    """The mark of a function of ours; also found where another library has wrapped it with `functools.wraps`."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, Endpoint) else None


def bind_request(request: HTTPConnection, key: str, value: Any) -> None:
    """`ctx.bind_request` for FastAPI dependencies, which run before there is an invocation."""
    state = RequestState.of(request)
    if state is None:
        raise TypeError(f"bind_request takes the Request or the WebSocket, not {request!r}")
    state.bindings[key] = value


def route_target(target: Target) -> Target:
    """The same target as FastAPI calls it: arguments by name, `def` in the thread pool."""
    finish = None if is_async(target.function) else _in_thread
    return replace(target, binds=False, context_class=RouteContext, finish=finish)


async def _in_thread(ctx: InvocationContext, function: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    return await run_in_threadpool(partial(function, *args, **kwargs))


def http_endpoint(registry: InterceptorRegistry, target: Target) -> Callable[..., Any]:
    """The endpoint of a handler that is no generator."""
    info = Endpoint(registry, target)
    entry = info.entry

    async def endpoint(*, _interceptors_request: Request, _interceptors_response: Response, **values: Any) -> Any:
        ctx = entry.context((), values, _interceptors_request, _interceptors_response)
        try:
            result = await run(ctx)
        except Exception as error:
            raise_status(error, _interceptors_request.scope)
            raise
        return merged(result, _interceptors_response) if isinstance(result, Response) else result

    return mark(endpoint, info, [*target.signature.visible, *hidden_parameters()], wraps=True)


def hidden_parameters() -> list[Parameter]:
    """How we come by the request and the response. FastAPI fills one parameter per type, so the handler's are ours."""
    return [
        Parameter("_interceptors_request", Parameter.KEYWORD_ONLY, annotation=Request),
        Parameter("_interceptors_response", Parameter.KEYWORD_ONLY, annotation=Response),
    ]


def mark(function: Any, endpoint: Endpoint, parameters: list[Parameter], *, wraps: bool) -> Callable[..., Any]:
    """Give a function of ours the signature that FastAPI reads, and the handler's name for OpenAPI and telemetry."""
    handler, target = endpoint.target.function, endpoint.target
    keyword_only = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    function.__signature__ = inspect.Signature(keyword_only, return_annotation=target.signature.return_annotation)
    function.__name__, function.__doc__ = target.name, handler.__doc__
    if target.owner is not None and target.name == "__call__":  # FastAPI describes an object by its class
        function.__name__, function.__doc__ = target.owner.__name__, handler.__self__.__doc__
    function.__qualname__ = getattr(handler, "__qualname__", target.name) if target.owner is None else target.title
    function.__module__ = getattr(handler, "__module__", None) or __name__
    if wraps:  # FastAPI evaluates what is left of postponed annotations where the handler was written
        function.__wrapped__ = handler
    setattr(function, _ATTRIBUTE, endpoint)
    result: Callable[..., Any] = function
    return result
