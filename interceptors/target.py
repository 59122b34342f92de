"""What is called at the end of a chain, as far as it does not depend on a registry."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, singledispatchmethod
from types import FunctionType, MappingProxyType, MethodType, MethodWrapperType
from typing import Any, TypeAlias, final

from interceptors.arguments import ArgumentSpec
from interceptors.context import MISSING, InvocationContext
from interceptors.describing import function_behind, location, name_of
from interceptors.errors import InvalidTargetError, WrongCallError
from interceptors.kinds import class_of, is_partial
from interceptors.metadata import (
    Metadata,
    RegisteredAt,
    class_levels,
    functions_in,
    levels_of,
    method_levels,
    names_in,
    records_behind,
    stands_for_another,
)
from interceptors.signatures import TargetSignature, read_constructor, read_function
from interceptors.snapshot import Snapshot

__all__ = ["Finish", "Target", "check_method_name", "is_generator"]

Finish: TypeAlias = Callable[[InvocationContext, Any, Iterable[Any], Mapping[str, Any]], Awaitable[Any]]
"""Calls a target that is no `async def`: gets the context, the function and its arguments."""


def is_generator(function: Any) -> bool:
    """Does calling it give an iterator? Also behind `functools.wraps`."""
    inner = inspect.unwrap(function)
    return any(test(f) for f in (function, inner) for test in (inspect.isgeneratorfunction, inspect.isasyncgenfunction))


def check_method_name(name: object) -> None:
    """Raises WrongCallError for what is no name: the function itself, or the object in the place of its method."""
    if not isinstance(name, str):
        raise WrongCallError(
            f"A method is named by a text, not by {name_of(name)} ({location(name)}). Write the object, or the class, and "
            f'then the name: `service, "work"`.',
            name,
        )


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
    snapshot: Snapshot | None = None
    """What its class and the bases had under its name when this was made; None for a function."""
    has_bases: bool = False
    """A base may change, too, without the class having another function: what was recorded for it counts."""
    registration: RegisteredAt | None = None
    """Of a function that was registered, on a route or for an event."""
    leading: int = 0
    """How many parameters after `self` are given by `finish`, and are no arguments."""
    origin: Any = None
    """What was given, if that is not `function`: an object whose `__call__` it is."""
    routers: tuple[Any, ...] = ()
    """The routers that a route is below, the outermost first: what is recorded on them counts for all that they have."""
    known_signature: TargetSignature | None = None
    """The signature, of one who knows better than we can read it; None: read it."""

    @classmethod
    def of(cls, target: Any, method: str | None) -> "Target":
        """A method of a class or of an object; without a name, a bound method, a function or another callable."""
        if method is not None:
            check_method_name(method)
            return cls.method(target, method) if isinstance(target, type) else cls.at(target, method)
        if inspect.ismethod(target):
            holder = target.__self__
            return cls(target.__name__, target, holder if isinstance(holder, type) else type(holder))
        if inspect.isroutine(target) or inspect.isclass(target) or is_partial(target):
            return cls(_short_name(target), target)
        if callable(target):
            return cls("__call__", target.__call__, type(target), origin=target)
        raise InvalidTargetError(f"{name_of(target)} is no function; give the name of a method, too.", target)

    @classmethod
    def method(cls, owner: type, name: str, **options: Any) -> "Target":
        """A method of a class. Raises InvalidTargetError if there is none of that name."""
        found = cls.find(owner, name, **options)
        if found is None:
            raise _no_method(owner, name)
        return found

    @classmethod
    def find(cls, owner: type, name: str, **options: Any) -> "Target | None":
        """A method of a class, if there is one of that name."""
        snapshot = Snapshot(owner, name)
        raw = snapshot.raw
        function = None if raw is MISSING or isinstance(raw, property) else getattr(owner, name, None)
        if not callable(function):
            return None
        is_fixed = isinstance(raw, staticmethod | classmethod) or not hasattr(raw, "__get__")
        bases = snapshot.has_bases
        return cls(name, function, owner, is_fixed, named=True, snapshot=snapshot, has_bases=bases, **options)

    @classmethod
    def at(cls, holder: Any, name: str, found: Any = MISSING, **options: Any) -> "Target":
        """What an object, or a class, gives under a name: a method of its class, else what is `found` there.

        That is what was set on the object, what its `__getattr__` or a property makes up, a method of another object.
        Raises InvalidTargetError if it cannot be called.
        """
        owner = class_of(holder)
        found = getattr(holder, name, MISSING) if found is MISSING else found
        snapshot = Snapshot(owner, name)  # before what it stands for
        if _is_own_call(holder, name):
            return cls(name, found, owner, snapshot=snapshot, origin=holder, **options)
        of_class = cls.find(owner, name, **options)
        if of_class is not None and of_class.fits(holder, found):
            return of_class
        if holder is owner and of_class is not None and found is of_class.function:
            raise InvalidTargetError(f"{of_class.title} is an instance method; invoke it on an instance.", owner)
        if not callable(found):
            raise _no_method(owner, name)
        is_bound = isinstance(found, MethodType) and found.__self__ is holder
        function = getattr(found, "__func__", None) if is_bound else found
        return cls(name, function, owner, not is_bound, snapshot=snapshot, **options)

    @cached_property
    def signature(self) -> TargetSignature:
        """Its parameters, those that are injected apart; without `self` and what `finish` gives."""
        if self.known_signature is not None:
            return self.known_signature
        if isinstance(self.function, type):
            return read_constructor(self.function)
        called = self.function if self.origin is None else self.origin
        return read_function(called, self.owner, skip=(not self.is_fixed) + self.leading)

    @cached_property
    def arguments(self) -> ArgumentSpec:
        """What is fixed about `ctx.args`."""
        signature = self.signature
        return ArgumentSpec(self.title, signature.visible, (p.parameter.name for p in signature.injected))

    def fits(self, holder: Any, found: Any) -> bool:
        """Is this what an object, or a class, gives under the name? Then unless `is_stale` all is known that is recorded."""
        raw = self.snapshot.raw if self.named and self.snapshot else None
        if self.named and _is_own_call(holder, self.name):
            return False
        if isinstance(raw, FunctionType) or not (self.named or self.is_fixed):
            return getattr(found, "__func__", None) is self.function and found.__self__ is holder
        if isinstance(raw, classmethod):
            return getattr(found, "__func__", None) is function_behind(raw) and found.__self__ is self.owner
        if isinstance(raw, staticmethod) or not self.named:
            return found is self.function or (
                isinstance(found, MethodType | MethodWrapperType) and found == self.function
            )
        if holder is not self.owner and inspect.getattr_static(holder, self.name, None) is not raw:
            return False
        known = [record for _, _, record in self.levels]  # a descriptor may give a function of which more is recorded
        return all(any(record is each for each in known) for _, _, record in records_behind(found))

    @property
    def is_shared(self) -> bool:
        """Is it the same for all objects of its class? Not if it is one object's own, or another object's method."""
        return self.named or not self.is_fixed

    @property
    def is_plain(self) -> bool:
        """Is it its function alone that says what was recorded? A function in a class without bases, but no `__call__`."""
        return (
            self.name != "__call__"
            and self.snapshot is not None
            and isinstance(self.snapshot.raw, FunctionType)
            and not self.has_bases
        )

    @cached_property
    def functions(self) -> tuple[Any, ...]:
        """All that decorators may have recorded on for it: its function, those of its class's bases, those in wrappers."""
        bases = () if self.owner is None or not self.named else self.owner.__mro__
        found = (function for cls in bases for function in functions_in(vars(cls).get(self.name)))
        return tuple({id(function): function for function in (*functions_in(self.function), *found)}.values())

    @property
    def is_stale(self) -> bool:
        """Has its class, or a base, something else under its name than when this was made? Has it other bases?"""
        return self.snapshot is not None and self.snapshot.is_old

    def renewed(self) -> "Target":
        """The same with the function that its class has now. Raises InvalidTargetError if there is none any more."""
        if self.owner is None or not self.named:
            return self
        found = Target.method(self.owner, self.name)
        return replace(
            self,
            function=found.function,
            is_fixed=found.is_fixed,
            snapshot=found.snapshot,
            has_bases=found.has_bases,
        )

    @property
    def levels(self) -> Iterator[tuple[str, Any, Metadata]]:
        """What was recorded for it: (level, on what, what), from the outside in, a base's before its subclass's.

        A second name of a method (`b = a`) has what was recorded for the first one, too.
        """
        _check_implementations(self)
        yield from (("class", router, recorded) for router, recorded in levels_of(self.routers))
        if self.owner is None:
            yield from records_behind(self.function)
            if self.origin is not None and not any(self.origin is each for each in functions_in(self.function)):
                yield from records_behind(self.origin)
            return
        known: list[Metadata] = []
        for records in self._records_of(self.owner):
            new = [each for each in records if not any(each[2] is other for other in known)]
            known += [found for _, _, found in new]
            yield from new

    def _records_of(self, owner: type) -> Iterator[list[tuple[str, Any, Metadata]]]:
        yield [("class", cls, found) for cls, found in class_levels(owner)]
        for name in dict.fromkeys((*names_in(owner, function_behind(self.function)), self.name)):
            yield [("method", vars(cls)[name], found) for cls, found in method_levels(owner, name)]
        yield list(records_behind(self.function if self.origin is None else self.origin))

    @property
    def annotations(self) -> Mapping[str, Any]:
        """What `@annotate` said, read-only: method over class over base."""
        merged: dict[str, Any] = {}
        for _, _, found in self.levels:
            merged.update(found.annotations)
        return MappingProxyType(merged)

    @property
    def title(self) -> str:
        """For people: `OrderController.show`."""
        return self.name if self.owner is None else f"{self.owner.__name__}.{self.name}"


_DISPATCHED: Any = singledispatchmethod


def _is_own_call(holder: object, name: str) -> bool:
    """Is it the `__call__` of an object that stands for a function, so that its class does not tell what is called?"""
    return name == "__call__" and not isinstance(holder, type) and stands_for_another(holder)


def _no_method(owner: type, name: str) -> InvalidTargetError:
    is_there = inspect.getattr_static(owner, name, MISSING) is not MISSING
    problem = f"{owner.__name__}.{name} is no method" if is_there else f"{owner.__name__} has no method {name!r}"
    return InvalidTargetError(f"{problem} ({location(owner)}).", owner)


def _check_implementations(target: Target) -> None:
    """Refuse what `functools.singledispatch` or `singledispatchmethod` made, if a registered implementation is decorated.

    Its argument decides which one is called, after all layers.
    """
    raw: Any = None if target.owner is None else inspect.getattr_static(target.owner, target.name, None)
    found: list[tuple[Any, Any]] = [(raw.func, raw.dispatcher)] if isinstance(raw, _DISPATCHED) else []
    called = target.function if target.origin is None else target.origin
    found += [(each.__wrapped__, each) for each in functions_in(called) if _is_dispatcher(each)]
    for base, dispatcher in found:
        for function in dispatcher.registry.values():
            if function is not base and any(record.intercepts for _, _, record in records_behind(function)):
                raise InvalidTargetError(
                    f"{name_of(function)} ({location(function)}) has interceptors, but it is called by {target.title}, "
                    f"whose argument decides that it is. Decorate {target.title}, or what it calls in turn.",
                    target.owner or target.function,
                )


def _is_dispatcher(function: object) -> bool:
    """Has `functools.singledispatch` made it?"""
    return hasattr(function, "__wrapped__") and all(
        name in vars(function) for name in ("dispatch", "register", "registry")
    )
