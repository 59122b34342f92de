"""What an interceptor is, what to say if something is not, and when two are the same."""

import inspect
from collections.abc import Awaitable, Callable, Hashable
from functools import partial, partialmethod
from types import MethodType
from typing import Any, Protocol, TypeAlias, get_origin

from dependency_injector import providers

from interceptors.calling import check_not_bare
from interceptors.describing import function_behind, location, name_of
from interceptors.errors import InvalidInterceptorError

__all__ = [
    "Interceptor",
    "InterceptorClass",
    "InterceptorFunction",
    "InterceptorObject",
    "InterceptorOrKey",
    "Next",
    "check_interceptor",
    "class_of",
    "identity",
    "is_async",
    "is_function",
    "is_function_like",
    "is_interceptor_class",
    "is_of_module",
    "is_partial",
    "is_provider",
    "is_router",
]

Next: TypeAlias = Callable[[], Awaitable[Any]]
"""Runs everything further in, again at each call, and gives its result."""

InterceptorFunction: TypeAlias = Callable[[Any, Next], Awaitable[Any]]
"""`async def f(ctx, next)`; `ctx` is whatever context the chain is run with."""


class InterceptorObject(Protocol):
    """An object with `async def intercept(self, ctx, next)`; a class of such objects is an interceptor, too."""

    def intercept(self, ctx: Any, next: Next, /) -> Awaitable[Any]: ...


InterceptorClass: TypeAlias = type[InterceptorObject]

Interceptor: TypeAlias = "InterceptorFunction | InterceptorObject | InterceptorClass | providers.Provider[Any]"
"""An interceptor itself; a `Chain` is an object with `intercept`, too."""

InterceptorOrKey: TypeAlias = "Interceptor | str"
"""What `@intercept`, `registry.bind` and `registry.add_global` take."""


def is_async(function: object) -> bool:
    """Is what it returns awaited? True for `async def`, also behind `functools.wraps`, as in FastAPI."""
    return inspect.iscoroutinefunction(function) or (
        callable(function) and inspect.iscoroutinefunction(inspect.unwrap(function))
    )


def is_function_like(candidate: object) -> bool:
    """Is it `async def`, or marked to be so, as mocks are? Then it is an interceptor itself, whatever attributes it has."""
    return not isinstance(candidate, type) and inspect.iscoroutinefunction(candidate)


def class_of(holder: object) -> type:
    """The class whose methods an object has, or a class itself."""
    return holder if isinstance(holder, type) else type(holder)


def is_interceptor_class(candidate: object) -> bool:
    """Is it a class whose objects are interceptors?"""
    return isinstance(candidate, type) and hasattr(candidate, "intercept") and _problem(candidate) is None


def is_partial(candidate: object) -> bool:
    """Is it a `functools.partial`?"""
    return isinstance(candidate, partial)


def is_provider(candidate: object) -> bool:
    """Is it a dependency-injector provider?"""
    return isinstance(candidate, providers.Provider)


def is_router(candidate: object) -> bool:
    """Is it an `APIRouter` of FastAPI's? Recognised without importing a web framework."""
    return any(
        (cls.__module__, cls.__qualname__) == ("fastapi.routing", "APIRouter") for cls in type(candidate).__mro__
    )


def check_interceptor(candidate: object) -> None:
    """Refuse what is no interceptor with an `InvalidInterceptorError` that says what to write instead."""
    check_not_bare(candidate)
    if isinstance(candidate, str):
        if not candidate:
            raise InvalidInterceptorError("An empty string is no key; write the name the interceptor is bound to.", "")
    elif not is_provider(candidate):
        hint = _problem(candidate)
        if hint is not None:
            raise InvalidInterceptorError(f"{name_of(candidate)} ({location(candidate)}) {hint}", candidate)


def _problem(candidate: object) -> str | None:
    """What is wrong with an interceptor that is neither a key nor a provider."""
    if (generic := get_origin(candidate)) is not None:
        name = name_of(generic)
        return f"is {candidate!r}, which is no class of its own; write `class My{name}({name}[...])` and give that."
    if isinstance(candidate, property | staticmethod | classmethod):
        return "is a descriptor, no interceptor; give the function itself: `async def f(ctx, next)`."
    intercept = None if is_function_like(candidate) else getattr(candidate, "intercept", None)
    if isinstance(candidate, type):
        if intercept is None:
            return "is a class without `intercept`; give it `async def intercept(self, ctx, next)`."
        problem = _signature_problem(intercept, 2 if _is_bound(candidate, "intercept") else 3)
        return problem and f"has an `intercept` that {problem}; write `async def intercept(self, ctx, next)`."
    if intercept is not None:
        problem = _signature_problem(intercept, 2)
        return problem and f"has an `intercept` that {problem}; write `async def intercept(self, ctx, next)`."
    if not callable(candidate):
        return (
            "is no interceptor; write `async def f(ctx, next)` or a class with `async def intercept(self, ctx, next)`."
        )
    if _is_method(candidate):
        return (
            "is a method of an object that is not there; write `async def f(ctx, next)`, or give the object's method."
        )
    problem = _signature_problem(candidate, 2)
    return problem and f"{problem}; write `async def {name_of(candidate).rpartition('.')[2]}(ctx, next)`."


def _is_method(function: object) -> bool:
    """Is it a method that was taken from its class? Such a one is what a bare decorator in a class gets."""
    return inspect.isfunction(function) and next(iter(inspect.signature(function).parameters), "") in ("self", "cls")


def _is_bound(owner: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(owner, name), staticmethod | classmethod)


def _signature_problem(function: object, positional: int) -> str | None:
    """Why `function` cannot be awaited with `positional` positional arguments."""
    if not inspect.iscoroutinefunction(function):
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            return "is a generator function"
        return "is not `async def`"
    try:
        signature = inspect.signature(function)
        signature.bind(*[None] * positional)
    except TypeError:
        return "does not take two arguments"
    names = [name for name in signature.parameters if name in _NAMES]
    if names == ["next", "ctx"]:
        return "takes `next` before `ctx`"
    for parameter in list(signature.parameters.values())[positional:]:
        if is_of_module(parameter.default, *_OF_MARKERS):
            return (
                f"has the parameter {parameter.name!r}, which nothing gives: it would be the marker itself. Injected "
                f"are the parameters of the constructor of an interceptor class; in a function `await ctx.get(key)`"
            )
    return None


_NAMES = ("ctx", "next")
_OF_MARKERS = ("dependency_injector.wiring", "fastapi.params")
"""Where the classes of `Provide[...]`, `Depends(...)` and the like are written."""


def is_of_module(candidate: object, *modules: str) -> bool:
    """Is its class, or a base of that, written in a module of these names? So none of them has to be imported."""
    return any(cls.__module__ in modules for cls in type(candidate).__mro__)


def identity(interceptor: object) -> Hashable:
    """Two interceptors are the same if these are equal: the same object; for bound methods, object and function."""
    if inspect.ismethod(interceptor):
        return id(interceptor.__self__), id(interceptor.__func__)
    return id(interceptor)


def is_function(thing: object) -> bool:
    """Is it a function, or a static or class method made of one? What is recorded on these is found again."""
    return inspect.isfunction(function_behind(thing)) and not isinstance(
        thing, MethodType | property | partial | partialmethod
    )
