"""What a proxy does with something that can be called: run its chain, pass it through, or refuse it."""

import inspect
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import Any

from interceptors.describing import function_behind, location
from interceptors.errors import InvalidTargetError
from interceptors.kinds import class_of, is_async
from interceptors.metadata import method_levels, records_behind
from interceptors.target import Target, is_generator

__all__ = [
    "check_accessors",
    "has_decorated_call",
    "is_awaited",
    "is_handed_on",
    "is_method",
    "is_object",
    "is_of_class",
    "runs_chain",
]


def runs_chain(target: Target, function: object, *, of_class: bool = True) -> bool:
    """Does a call through a proxy run the chain? Yes if it is a public `async def` method of the class, or decorated.

    Raises InvalidTargetError if it is decorated and nothing that is awaited.
    """
    awaited = is_awaited(function)
    if _is_decorated(target, with_class=awaited and _is_bound(function)):
        if not awaited:
            raise _refusal(target, function)
        return True
    return awaited and of_class and not target.name.startswith("_")


def is_awaited(function: object) -> bool:
    """Is what it gives awaited? Also of an object with `async def __call__`."""
    behind = function_behind(function)
    return is_async(behind) or (not isinstance(behind, type) and inspect.iscoroutinefunction(type(behind).__call__))


def is_object(thing: Any) -> bool:
    """Is it an object with `__call__`, and no function?"""
    return not (inspect.isroutine(thing) or isinstance(thing, type | partial))


def is_handed_on(function: object) -> bool:
    """Is it a Python function that may give the object that it belongs to? No generator, and nothing written in C."""
    return isinstance(function, FunctionType) and not is_generator(function)


def has_decorated_call(thing: Any) -> bool:
    """Is it an object whose `__call__` is decorated?"""
    return is_object(thing) and any(found.intercepts for _, found in method_levels(class_of(thing), "__call__"))


def _is_decorated(target: Target, *, with_class: bool) -> bool:
    """Has a method or function interceptors of its own, or the class of another object whose method it is?"""
    own = target.owner.__mro__ if target.owner is not None else ()
    return any(
        found.intercepts and (level == "method" or (with_class and holder not in own))
        for level, holder, found in target.levels
    )


def _is_bound(function: object) -> bool:
    while isinstance(function, partial):
        function = function.func
    return isinstance(function, MethodType)


def is_method(raw: Any) -> bool:
    """Is it called as a method where a class has it? A function and what wraps one, and what is marked as `async def`."""
    if isinstance(raw, type | property | cached_property):
        return False
    return hasattr(raw, "__get__") or inspect.iscoroutinefunction(raw)


def is_of_class(holder: object, name: str, raw: object) -> bool:
    """Is it the method `raw` of its class that an object has under the name, and nothing of its own?"""
    return is_method(raw) and inspect.getattr_static(holder, name, None) is raw


def check_accessors(owner: type, name: str, raw: Any) -> None:
    """Refuse a property that is decorated, by its getter, setter or deleter or where it overrides a decorated method."""
    accessors = (raw.fget, raw.fset, raw.fdel) if isinstance(raw, property) else (raw.func,)
    recorded = [found for accessor in accessors for _, _, found in records_behind(accessor)]
    recorded += [found for _, found in method_levels(owner, name)]
    if any(found.intercepts for found in recorded):
        raise InvalidTargetError(
            f"{owner.__name__}.{name} ({location(accessors[0])}) has interceptors but is a property, around which none can "
            f"run; make it an `async def` method.",
            owner,
        )


def _refusal(target: Target, function: object) -> InvalidTargetError:
    kind = "a generator" if is_generator(function_behind(function)) else "no `async def`"
    return InvalidTargetError(
        f"{target.title} ({location(function)}) has interceptors but is {kind}, so a proxy cannot run them; make it "
        f'`async def`, or call it with `await registry.invoke(target, "{target.name}")`.',
        target.owner,
    )
