"""Hooks: functions that a request awaits at one point, whose parameters are given by name."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from inspect import Parameter
from typing import Any, final

from starlette.concurrency import run_in_threadpool

from interceptors.describing import location, name_of
from interceptors.injection import Getter, Injector, Pending, settle
from interceptors.kinds import is_async
from interceptors.metadata import metadata_of
from interceptors.resources.context import ResourceContext
from interceptors.resources.description import snake_case
from interceptors.resources.errors import HookParameterError, InvalidHookError, UnknownHookError, suggest_all
from interceptors.resources.names import COMMON, NAMES, SPECIAL
from interceptors.signatures import TargetSignature, read_function
from interceptors.target import is_generator

__all__ = ["ResourceHook", "check_function", "check_hook", "point_of", "read_parameters"]


@final
class ResourceHook:
    """A hook of one point, its parameters compiled: `await hook(ctx)`. What it returns counts only if it is a Response."""

    __slots__ = ("_getters", "_is_async", "function")

    def __init__(self, function: Callable[..., Any], injector: Injector) -> None:
        signature = read_function(function)
        injected = injector.getters(signature.injected, name_of(function), function)
        self.function = function
        self._getters: list[tuple[str, Getter]] = [(p.name, _special(snake_case(p.name))) for p in signature.visible]
        self._getters += injected
        self._is_async = is_async(function)

    async def __call__(self, ctx: ResourceContext) -> Any:
        values = {name: get(ctx) for name, get in self._getters}
        for name, value in values.items():
            if type(value) is Pending:
                values[name] = await settle(value)
        if self._is_async:
            return await self.function(**values)
        return await run_in_threadpool(partial(self.function, **values))


def _special(name: str) -> Getter:
    return (lambda ctx: ctx) if name == "ctx" else (lambda ctx: getattr(ctx, name))


def point_of(name: str, place: str) -> str:
    """The point that a hook's name stands for: `onBeforeInsert` gives `before_insert`. Raises UnknownHookError."""
    snake = snake_case(name)
    if snake not in NAMES:
        raise UnknownHookError(f"{place}: there is no hook or event {name!r}.{suggest_all(snake, NAMES)}", name, NAMES)
    return snake.removeprefix("on_")


def check_function(function: object, name: str, place: str) -> None:
    """Raises InvalidHookError for what is no function, and for one that yields, whose body would never run."""
    if inspect.isfunction(function):
        if not is_generator(function):
            return
        problem = "is a generator; take the `yield` out"
    elif isinstance(function, type):
        problem = "is a class, no function"
    else:
        problem = f"is an object of type {type(function).__name__}, no function"
    raise InvalidHookError(f"{name} ({place}) {problem}: `async def on_before_insert(form_data): ...`", function)


def check_hook(function: Callable[..., object], point: str) -> None:
    """Raises HookParameterError for a parameter that a hook of this point is not given, InvalidHookError for a layer."""
    allowed = (*SPECIAL[point], *COMMON)
    read_parameters(function, f"on_{point}", allowed, "hook")
    if metadata_of(function).intercepts:
        raise InvalidHookError(
            f"The hook {name_of(function)} ({location(function)}) is decorated with @intercept, but no chain runs around a "
            f"hook; put @intercept on the resource, or on its handler.",
            function,
        )


def read_parameters(function: Callable[..., object], name: str, allowed: Iterable[str], what: str) -> TargetSignature:
    """The signature of a hook or event whose parameters are given by name. Raises HookParameterError."""
    signature = read_function(function)
    known = tuple(allowed)
    for parameter in signature.visible:
        if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            raise HookParameterError(
                f"The {what} {name_of(function)} ({location(function)}) has the parameter {parameter}; its parameters are "
                f"given by name: {', '.join(known)}.",
                function,
                parameter.name,
            )
        if snake_case(parameter.name) not in known:
            raise HookParameterError(
                f"The {what} {name_of(function)} ({location(function)}) asks for {parameter.name!r}, which {name} is not "
                f"given.{suggest_all(snake_case(parameter.name), known)}",
                function,
                parameter.name,
            )
    return signature
