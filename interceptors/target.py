"""What is called at the end of a chain, as far as it does not depend on a registry."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias, final

from interceptors.arguments import ArgumentSpec
from interceptors.context import InvocationContext
from interceptors.describing import function_behind, location, name_of
from interceptors.errors import InvalidTargetError
from interceptors.kinds import is_partial
from interceptors.metadata import Metadata, class_levels, metadata_of, method_levels
from interceptors.signatures import TargetSignature, read_function

__all__ = ["Finish", "Target", "is_generator"]

Finish: TypeAlias = Callable[[InvocationContext, Any, Iterable[Any], Mapping[str, Any]], Awaitable[Any]]
"""Calls a target that is no `async def`: gets the context, the function and its arguments."""


def is_generator(function: Any) -> bool:
    """Does calling it give an iterator? Also behind `functools.wraps`."""
    inner = inspect.unwrap(function)
    return any(test(f) for f in (function, inner) for test in (inspect.isgeneratorfunction, inspect.isasyncgenfunction))


def _short_name(function: object) -> str:
    """The name of a function, else of its class, as FastAPI names endpoints."""
    return getattr(function, "__name__", None) or type(function).__name__


@final
@dataclass(frozen=True, eq=False)
class Target:
    """What is called, as far as it does not depend on a registry. Its identity is the key under which plans are kept."""

    name: str
    function: Any
    """The function, or the method as it is found on its class."""
    owner: type | None = None
    """The class; None for a function."""
    is_fixed: bool = True
    """Calling it takes no instance: a function, a static or a class method."""
    provider: Any = None
    """A dependency-injector provider that gives the instance."""
    builds: bool = False
    """The instance is built when the method's turn comes; otherwise the caller brings it."""
    binds: bool = True
    """Arguments come as the caller's tuple and dict; otherwise as a dict that holds them all, by name."""
    context_class: type[InvocationContext] = InvocationContext
    finish: Finish | None = None
    """How to call what is no `async def`; None for the default: inline."""
    named: bool = False
    """It is whatever its class has under its name; not so for a function, or one that belongs to one object alone."""
    leading: int = 0
    """How many parameters after `self` are given by `finish`, and are no arguments."""

    @classmethod
    def of(cls, target: Any, method: str | None) -> "Target":
        """A method of a class or of an object; without a name, a bound method, a function or another callable."""
        if method is not None:
            return cls.method(target if isinstance(target, type) else type(target), method)
        if inspect.ismethod(target):
            holder = target.__self__
            return cls(target.__name__, target, holder if isinstance(holder, type) else type(holder))
        if inspect.isroutine(target) or is_partial(target):
            return cls(_short_name(target), target)
        if callable(target):
            return cls("__call__", target.__call__, type(target))
        raise InvalidTargetError(f"{name_of(target)} is no function; give the name of a method, too.", target)

    @classmethod
    def method(cls, owner: type, name: str, **options: Any) -> "Target":
        """A method of a class. Raises InvalidTargetError if there is none of that name."""
        try:
            raw = inspect.getattr_static(owner, name)
        except AttributeError:
            raise InvalidTargetError(f"{owner.__name__} has no method {name!r} ({location(owner)}).", owner) from None
        function = getattr(owner, name)
        if isinstance(raw, property) or not callable(function):
            raise InvalidTargetError(f"{owner.__name__}.{name} is no method ({location(owner)}).", owner)
        is_fixed = isinstance(raw, staticmethod | classmethod) or not hasattr(raw, "__get__")
        return cls(name, function, owner, is_fixed, named=True, **options)

    @cached_property
    def signature(self) -> TargetSignature:
        """Its parameters, those that are injected apart; without `self` and what `finish` gives."""
        return read_function(self.function, skip=(not self.is_fixed) + self.leading)

    @cached_property
    def arguments(self) -> ArgumentSpec:
        """What is fixed about `ctx.args`."""
        signature = self.signature
        return ArgumentSpec(self.title, signature.visible, (p.parameter.name for p in signature.injected))

    @cached_property
    def behind(self) -> Any:
        """The function behind it: a plan is stale when the class has another one under this name."""
        return function_behind(self.function)

    @property
    def is_stale(self) -> bool:
        """Has its class another function under its name than when this was made?"""
        if not self.named or self.owner is None:
            return False
        found = getattr(self.owner, self.name, None)
        return found is not self.function and function_behind(found) is not self.behind

    def renewed(self) -> "Target":
        """The same with the function that its class has now. Raises InvalidTargetError if there is none any more."""
        if self.owner is None:
            return self
        found = Target.method(self.owner, self.name)
        return replace(self, function=found.function, is_fixed=found.is_fixed)

    @property
    def levels(self) -> Iterator[tuple[str, Any, Metadata]]:
        """What was recorded for it: (level, on what, what), from the outside in, a base's before its subclass's."""
        if self.owner is None:
            yield "method", self.function, metadata_of(self.function)
            return
        for cls, found in class_levels(self.owner):
            yield "class", cls, found
        own: Metadata | None = metadata_of(self.function)
        for cls, found in method_levels(self.owner, self.name):
            yield "method", vars(cls)[self.name], found
            own = None if found is own else own
        if own is not None and not self.named:  # a function that belongs to one object alone
            yield "method", self.function, own

    @property
    def annotations(self) -> Mapping[str, Any]:
        """What `@annotate` said, read-only: method over class over base."""
        merged: dict[str, Any] = {}
        for _, _, found in self.levels:
            merged.update(found.annotations)
        return MappingProxyType(merged)

    @property
    def declarations(self) -> Iterator[Metadata]:
        """What was recorded on it, on its class and on their bases."""
        return (found for _, _, found in self.levels)

    @property
    def title(self) -> str:
        """For people: `OrderController.show`."""
        return self.name if self.owner is None else f"{self.owner.__name__}.{self.name}"
