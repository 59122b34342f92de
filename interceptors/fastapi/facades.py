"""Facades: functions that FastAPI analyses in the place of a handler, where something must be hidden from it.

That is the `self` of a controller's method, and parameters that we inject. A facade has what the handler has, and runs
the chain by itself wherever it is called. On a route of ours each picture of it gets a door of its own instead.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import update_wrapper
from inspect import Parameter
from typing import Annotated, Any, final, get_args, get_origin

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from interceptors.describing import function_behind, location
from interceptors.entry import Entry
from interceptors.errors import InvalidTargetError
from interceptors.fastapi.doors import (
    HIDDEN_REQUEST,
    HIDDEN_RESPONSE,
    Doors,
    by_name,
    http_door,
    in_thread,
    mark,
    never_called,
)
from interceptors.fastapi.sources import ROUTE, RouteContext, WebSocketContext
from interceptors.fastapi.streams import StreamContext, items_of, opening, some_async_generator
from interceptors.fastapi.undocumented import is_async_generator, is_coroutine, is_generator
from interceptors.fastapi.websockets import socket_door
from interceptors.kinds import is_async, is_partial
from interceptors.registry import InterceptorRegistry
from interceptors.signatures import InjectedParameter, SpecialType
from interceptors.target import Target

__all__ = ["Facade", "facade_of", "hidden_parameters", "http_facade", "is_needed", "show_as", "socket_facade"]

_FACADE = "__interceptors_facade__"


@final
@dataclass(frozen=True, eq=False, slots=True)
class Facade:
    """What a function of ours stands for; noted on it."""

    function: Any
    target: Target
    """How FastAPI calls the handler."""

    def take_attributes(self) -> None:
        """What a decorator above that of the route has put on the handler meanwhile is on the facade, too."""
        found: dict[str, Any] = getattr(_handler(self.target), "__dict__", {})
        own: dict[str, Any] = self.function.__dict__
        own.update({name: value for name, value in found.items() if name != "__wrapped__"})


def facade_of(function: object) -> Facade | None:
    """The facade that a function is; None for what others have put around one."""
    found = getattr(function, _FACADE, None)
    return found if isinstance(found, Facade) and found.function is function else None


def is_needed(target: Target) -> bool:
    """Has the handler parameters that FastAPI must not see? A `Request` or `Response` it gives itself."""
    return not all(map(_is_given_by_fastapi, target.signature.injected))


def _is_given_by_fastapi(injected: InjectedParameter) -> bool:
    annotation = injected.annotation
    if type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    is_special = isinstance(injected.marker, SpecialType) and injected.marker.name != "context"
    return is_special and isinstance(annotation, type)


def http_facade(registry: InterceptorRegistry, target: Target) -> Callable[..., Any]:
    """What stands for a handler of HTTP requests."""
    target = _called_on_routes(target)
    entry = Entry(registry, target, source=ROUTE)
    if issubclass(target.context_class, StreamContext):

        async def stream(*args: object, **values: object) -> AsyncIterator[Any]:
            request, response = values.pop(HIDDEN_REQUEST, None), values.pop(HIDDEN_RESPONSE, None)
            async for item in items_of(entry, args, values, request, response):
                yield item

        function: Any = stream
    else:
        door = http_door(entry, HIDDEN_REQUEST, HIDDEN_RESPONSE, None, Doors(), _nowhere, merges=True)

        async def endpoint(*args: object, **values: object) -> Any:
            if HIDDEN_REQUEST in values:
                return await door(**values)
            return await entry(**by_name(entry, args, values))  # somebody calls it as the handler

        function = endpoint
    return _facade(show_as(function, entry, [*target.signature.visible, *hidden_parameters()]), target)


def socket_facade(registry: InterceptorRegistry, target: Target) -> Callable[..., Any]:
    """What stands for a method that handles WebSockets. Raises InvalidTargetError if it is not `async def`."""
    if not is_async(target.function):
        raise InvalidTargetError(
            f"{target.title} ({location(target.function)}) handles a WebSocket, so it has to be `async def`.",
            target.function,
        )
    target = replace(target, binds=False, context_class=WebSocketContext)
    entry = Entry(registry, target, source=ROUTE)
    visible = target.signature.visible
    # FastAPI has one place for a parameter of this type: if the method wants it, we read it from there.
    own = next((parameter.name for parameter in visible if parameter.annotation is HTTPConnection), None)
    name = own or HIDDEN_REQUEST
    hidden = [] if own else [Parameter(name, Parameter.KEYWORD_ONLY, annotation=HTTPConnection)]
    function = socket_door(entry, name, Doors(), _nowhere, hidden=not own, closes=True)
    return _facade(show_as(function, entry, [*visible, *hidden]), target)


def _facade(function: Any, target: Target) -> Callable[..., Any]:
    setattr(function, _FACADE, Facade(function, target))
    facade: Callable[..., Any] = function
    return facade


def _called_on_routes(target: Target) -> Target:
    """The same target as FastAPI calls it: arguments by name, `def` in the thread pool, of a generator the iterator."""
    function = target.function
    if is_generator(function) or is_async_generator(function):
        return replace(target, binds=False, context_class=StreamContext, finish=opening)
    finish = None if is_coroutine(function) else in_thread
    return replace(target, binds=False, context_class=RouteContext, finish=finish)


async def _nowhere(values: dict[str, Any]) -> Any:  # pragma: no cover (a facade never stands aside)
    raise NotImplementedError


def hidden_parameters() -> list[Parameter]:
    """How a facade comes by the request and the response. FastAPI fills one parameter per type, so these are ours."""
    return [
        Parameter(HIDDEN_REQUEST, Parameter.KEYWORD_ONLY, annotation=Request),
        Parameter(HIDDEN_RESPONSE, Parameter.KEYWORD_ONLY, annotation=Response),
    ]


def show_as(function: Any, entry: Entry, parameters: Sequence[Parameter]) -> Callable[..., Any]:
    """Let a function of ours look like the handler, with these parameters for FastAPI to read."""
    target: Target = entry.target
    handler = _handler(target)
    written = function_behind(target.function)
    update_wrapper(function, handler, updated=() if isinstance(handler, type) else ("__dict__",))
    function.__name__ = getattr(handler, "__name__", type(handler).__name__)  # so FastAPI names an object or a partial
    function.__qualname__ = getattr(handler, "__qualname__", target.name) if target.owner is None else target.title
    injected = {parameter.parameter.name for parameter in target.signature.injected}
    annotations: dict[str, Any] = getattr(written, "__annotations__", {})
    hidden = {each.name: each.annotation for each in parameters if each.name in (HIDDEN_REQUEST, HIDDEN_RESPONSE)}
    function.__annotations__ = {name: each for name, each in annotations.items() if name not in injected} | hidden
    function.__signature__ = inspect.Signature(
        sorted(parameters, key=lambda parameter: parameter.kind), return_annotation=target.signature.return_annotation
    )
    function.__wrapped__ = _innermost(function, written)
    mark(function, entry)
    shown: Callable[..., Any] = function
    return shown


def _handler(target: Target) -> Any:
    """What has the attributes that others put on a handler: an object, a partial, a function, that of a method."""
    if target.origin is not None:
        return target.origin
    function: Any = target.function
    return function if is_partial(function) else function_behind(function)


def _innermost(function: Any, written: Any) -> Any:
    """What others find at the end of `__wrapped__`: a function of the same kind, with the names and the place of the handler."""
    kind = inspect.isasyncgenfunction if inspect.isasyncgenfunction(function) else inspect.iscoroutinefunction
    innermost = inspect.unwrap(written)
    if inspect.isfunction(innermost) and kind(innermost):
        return innermost
    return never_called(written, some_async_generator if kind is inspect.isasyncgenfunction else None)
