"""What the decorators record, and how it is read along the MRO. Nothing is wrapped and nothing is resolved here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial, partialmethod
from inspect import isfunction
from types import FunctionType, MethodType, MethodWrapperType
from typing import Any, TypeAlias, TypeVar

from interceptors.calling import check_not_bare
from interceptors.describing import function_behind, location, name_of, place_of_call
from interceptors.errors import InvalidTargetError
from interceptors.kinds import InterceptorOrKey, class_of, is_function, is_router

__all__ = [
    "GlobalOptions",
    "Metadata",
    "RegisteredAt",
    "changes",
    "class_levels",
    "enclosed_in",
    "functions_in",
    "levels_of",
    "mark_as_reached",
    "metadata_of",
    "method_levels",
    "names_in",
    "note_call",
    "record",
    "records_behind",
    "stands_for_another",
]

T = TypeVar("T")

_ATTRIBUTE = "__interceptors__"
_REACHED = True
"""Stands in the place of a record on a function that runs the chain itself."""


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What `@global_interceptor` was given; the arguments of `registry.add_global`."""

    group: str = ""
    key: str | None = None
    source: tuple[str, ...] | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metadata:
    """What was recorded on one class or function. Immutable: `functools.wraps` copies it by reference."""

    intercepts: tuple[tuple[InterceptorOrKey, ...], ...] = ()  # one per decorator, the upper one first
    inherit: bool = True
    skips: tuple[InterceptorOrKey, ...] = ()
    skipped_groups: tuple[str, ...] = ()
    skips_all: bool = False
    annotations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    global_options: GlobalOptions | None = None
    calls: tuple[str, ...] = ()
    """Where decorators were called with the function, and do not stand above it: `@intercept in shop/main.py:7`."""
    route_calls: tuple[str, ...] = ()
    """The same of decorators whose records concern only the methods of classes."""


@dataclass(frozen=True, slots=True)
class RegisteredAt:
    """One registration of a function, on a route or for an event."""

    at: object
    """What it is registered as; another one is another place."""
    title: str
    """For messages."""
    recorded: Metadata | None
    """What was recorded on the function then; None if nobody saw it."""


_EMPTY = Metadata()


class _Changes:
    """Counts what is recorded, anywhere: a chain that was compiled before may lack it, and is compiled again."""

    def __init__(self) -> None:
        self.count = 0
        self.latest = object()
        """Another one after each record and each change of a registry, so that one look shows that nothing has changed."""

    def note_record(self) -> None:
        """Something was recorded."""
        self.count += 1
        self.note()

    def note(self) -> None:
        """Something has changed."""
        self.latest = object()


changes = _Changes()


def metadata_of(target: object) -> Metadata:
    """What was recorded on this very class or function; nothing is inherited."""
    found = _own(function_behind(target)).get(_ATTRIBUTE, _EMPTY)
    return found if isinstance(found, Metadata) else _EMPTY


def record(decorator: str, target: object, **recorded: Any) -> None:
    """Note what is `recorded` on a class, a function or a router; the target stays the very object that it was.

    Raises InvalidTargetError for what is neither, a property above all.
    """
    check_not_bare(target)
    holder = function_behind(target)
    if not (isinstance(holder, type) or is_function(target) or is_router(target)):
        what = "a property" if isinstance(target, property) else f"{type(target).__name__!r} objects"
        raise InvalidTargetError(
            f"@{decorator} cannot be used on {what}: {name_of(target)} ({location(target)}). "
            f"Put it on a class, a method or a function.",
            target,
        )
    setattr(holder, _ATTRIBUTE, replace(metadata_of(holder), **recorded))
    changes.note_record()
    note_call(decorator, holder)


def note_call(decorator: str, function: object, *, of_route: bool = False) -> None:
    """Note that a decorator was called with a function, unless it stands above it where the function is written."""
    if not (isinstance(function, type) or is_router(function)) and (place := place_of_call(function)) is not None:
        known, call = metadata_of(function), f"@{decorator} in {place}"
        if of_route:
            noted = replace(known, route_calls=(*known.route_calls, call))
        else:
            noted = replace(known, calls=(*known.calls, call))
        setattr(function, _ATTRIBUTE, noted)
        changes.note_record()


def functions_in(thing: object) -> Iterator[Any]:
    """The function of a method, a partial or the like, and those around which it was put with `functools.wraps`."""
    seen: list[Any] = []
    while not any(thing is each for each in seen):
        seen.append(thing)
        thing = function_behind(thing)
        if isfunction(thing):
            yield thing
        thing = _wrapped(thing)


def _wrapped(thing: Any) -> Any:
    """What a callable was put around; itself if that is not to be seen.

    What `functools.wraps` notes. Else the function in a wrapper that has taken over its names, as dishka's have.
    """
    own = _own(thing)
    if "__wrapped__" in own or not isfunction(thing):
        return own.get("__wrapped__", thing)
    inside = (*own.values(), *enclosed_in(thing))
    return next((each for each in inside if isfunction(each) and _has_names_of(thing, each)), thing)


def _has_names_of(wrapper: FunctionType, function: FunctionType) -> bool:
    """Has a wrapper the names of a function? Two that the same code has made have the same, too."""
    names = ("__module__", "__qualname__")
    return wrapper.__code__ is not function.__code__ and all(getattr(wrapper, n) == getattr(function, n) for n in names)


def enclosed_in(function: FunctionType) -> Iterator[Any]:
    """What a function has taken along from where it was made."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it was not there yet
            yield cell.cell_contents


def levels_of(holders: Iterable[T]) -> Iterator[tuple[T, Metadata]]:
    """What is recorded on those classes or routers on which something is, in their order."""
    for holder in holders:
        found = metadata_of(holder)
        if found is not _EMPTY:
            yield holder, found


def class_levels(owner: type) -> Iterator[tuple[type, Metadata]]:
    """The class-level records of a class, the base's first."""
    return levels_of(reversed(owner.__mro__))


def method_levels(owner: type, name: str) -> Iterator[tuple[type, Metadata]]:
    """The method-level records of a method, those of the base's method first."""
    for cls in reversed(owner.__mro__):
        found = metadata_of(vars(cls).get(name))
        if found is not _EMPTY:
            yield cls, found


def mark_as_reached(function: object) -> None:
    """Say of a function of ours that it runs the chain of what it wraps: what is recorded there is nobody else's to run."""
    setattr(function, _ATTRIBUTE, _REACHED)


def records_behind(thing: object) -> Iterator[tuple[str, Any, Metadata]]:
    """What was recorded behind a callable, whatever it is: (level, on what, what), from the outside in.

    On a function and those that it wraps, the function of a partial, a bound method and its class,
    a class, an object with what it wraps (`update_wrapper`), its `__call__` and its class.
    """
    found: _Found = []
    _collect(thing, found, set())
    for level in ("class", "method"):
        yield from (record for record in found if record[0] == level)


_Found: TypeAlias = list[tuple[str, Any, Metadata]]
_THROUGH: tuple[type, ...] = (partial, partialmethod, staticmethod, classmethod)


def _collect(thing: Any, found: _Found, seen: set[int]) -> None:
    while (is_call := _is_call(thing)) or isinstance(thing, _THROUGH):
        thing = thing.__self__ if is_call else getattr(thing, "func", None) or getattr(thing, "__func__", None)
    if isinstance(thing, type):
        _add(found, "class", class_levels(thing))
        return
    if isinstance(thing, MethodType):
        owner = class_of(thing.__self__)
        _add(found, "class", class_levels(owner))
        for name in names_in(owner, thing.__func__):
            _add(found, "method", method_levels(owner, name))
        thing = thing.__func__
    elif not is_function(thing):
        _add(found, "class", class_levels(class_of(thing)))
        _add(found, "method", method_levels(class_of(thing), "__call__"))
    holder, merged = thing, _EMPTY
    while id(thing) not in seen:
        seen.add(id(thing))
        recorded = _own(thing).get(_ATTRIBUTE, _EMPTY)
        if recorded is _REACHED:
            break
        merged = _combined(merged, recorded)
        inner = _wrapped(thing)
        if not is_function(inner):
            _collect(inner, found, seen)
            break
        thing = inner
    if merged is not _EMPTY:
        _add(found, "method", [(holder, merged)])


def _is_call(thing: object) -> bool:
    """Is it the `__call__` of an object? Who calls that calls the object."""
    if isinstance(thing, MethodType):
        return not isinstance(thing.__self__, type) and "__call__" in names_in(class_of(thing.__self__), thing.__func__)
    return (
        isinstance(thing, MethodWrapperType) and thing.__name__ == "__call__" and not isinstance(thing.__self__, type)
    )


def stands_for_another(thing: object) -> bool:
    """Does calling it call something that its class does not tell: a function, or what it was put around?"""
    return is_function(thing) or isinstance(thing, MethodType | partial) or "__wrapped__" in _own(thing)


def names_in(owner: type, function: object) -> Sequence[str]:
    """The name under which a class itself has a function, in a sequence; empty if it has none of the function's name."""
    name: object = getattr(function, "__name__", None)
    if not isinstance(name, str):
        return ()
    held = next((vars(cls)[name] for cls in owner.__mro__ if name in vars(cls)), None)
    return (name,) if function_behind(held) is function else ()


def _add(found: _Found, level: str, records: Iterable[tuple[object, Metadata]]) -> None:
    """Add records that are not there yet: `functools.wraps` copies them, and a method is found in two ways."""
    for holder, record in records:
        if not any(known is record for _, _, known in found):
            found.append((level, holder, record))


def _own(thing: object) -> Mapping[str, Any]:
    """The attributes of an object, not of its class; one that stands for another gives those of that one."""
    try:
        found: Any = getattr(thing, "__dict__", None)
    except Exception:  # noqa: BLE001 (some raise errors of their own for whatever they are asked)
        return {}
    return found if hasattr(found, "get") else {}


def _combined(outer: Metadata, inner: Metadata) -> Metadata:
    """What was recorded on a function and on one that it wraps, of which it has a copy, perhaps an old one."""
    if outer is inner or inner is _EMPTY:
        return outer
    if outer is _EMPTY:
        return inner
    if _has_all_of(outer, inner):
        return outer
    return replace(
        outer,
        intercepts=(*_without(outer.intercepts, inner.intercepts), *inner.intercepts),
        inherit=outer.inherit and inner.inherit,
        skips=(*_without(outer.skips, inner.skips), *inner.skips),
        skipped_groups=tuple(dict.fromkeys((*outer.skipped_groups, *inner.skipped_groups))),
        skips_all=outer.skips_all or inner.skips_all,
        annotations={**inner.annotations, **outer.annotations},
    )


def _has_all_of(outer: Metadata, inner: Metadata) -> bool:
    return not (
        _without(inner.intercepts, outer.intercepts)
        or _without(inner.skips, outer.skips)
        or set(inner.skipped_groups) - set(outer.skipped_groups)
        or inner.annotations.keys() - outer.annotations.keys()
        or inner.skips_all > outer.skips_all
        or inner.inherit < outer.inherit
    )


def _without(items: Iterable[object], others: Sequence[object]) -> list[Any]:
    return [item for item in items if not any(item is other for other in others)]
