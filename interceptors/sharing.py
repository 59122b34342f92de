"""A function that stands in several places must not be decorated for one of them: what is recorded counts for all.

A decorator records on the function and gives it back. Above the function, where that is written, it says something about the
function, wherever that is put. Called with one, it says something about the place for which the result is meant:

    index = skip_interceptors(group="auth")(Base.index)          # in one controller; it opens all
    app.get(path)(intercept(need(path))(handler))                # in a loop; each route gets the layers of all

Nothing tells these apart, so a function with which a decorator was called is refused where it stands in more than one place:
among the classes of an inheritance, and among what has a door in the same registry. Unless it was registered in all of them,
on routes or events, when what is recorded on it was recorded already.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from inspect import isfunction
from threading import RLock
from typing import Any, Generic, TypeVar, final
from weakref import WeakSet, WeakValueDictionary

from interceptors.describing import location, name_of
from interceptors.errors import InvalidTargetError
from interceptors.kinds import identity
from interceptors.metadata import Metadata, functions_in, metadata_of
from interceptors.target import Target

__all__ = ["KnownDoors", "check_place"]

_MOST_NAMED = 5

T = TypeVar("T")


@final
class KnownDoors(Generic[T]):
    """What leads to a function: the doors of a registry, as long as somebody has them.

    They are found by the function, as there may be thousands of doors, and each asks when its chain is compiled.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # nothing else is acquired in it; what the collector runs meanwhile may come back
        self._doors: WeakValueDictionary[int, WeakSet[T]] = WeakValueDictionary()  # by the id of a function

    def add(self, door: T, target: Target) -> object:
        """Know of a door. It is to keep what this gives: without it is forgotten."""
        with self._lock:
            found = [self._doors.setdefault(id(function), WeakSet()) for function in target.functions]
            for doors in found:
                doors.add(door)
        return found

    def of(self, function: object) -> list[T]:
        """The doors that lead to a function, and perhaps one that led there once."""
        with self._lock:
            return list(self._doors.get(id(function), ()))

    def all(self) -> set[T]:
        """All of them."""
        with self._lock:
            return {door for doors in self._doors.values() for door in doors}


def check_place(target: Target, others: Callable[[Any], Iterable[Target]]) -> None:
    """Raises InvalidTargetError for a target whose function stands in other places, too, and was decorated by a call.

    `others` gives the targets that the same registry knows for a function, for places that have no class in common.
    """
    for function in target.functions:
        recorded = metadata_of(function)
        if recorded.calls or recorded.route_calls:
            known = [each for each in (target, *others(function)) if any(one is function for one in each.functions)]
            places = _classes(function, known)
            if recorded.calls:
                places |= _registrations(known)
            if len(places) > 1 and not _is_same(recorded, places.values()):
                raise _shared(function, recorded, sorted(places.values(), key=lambda place: place.title), target)


@dataclass(frozen=True)
class _Standing:
    name: str
    recorded: Metadata | None = None
    """What was recorded on the function when it was registered there; None if nobody saw it."""
    cls: type | None = None

    @property
    def title(self) -> str:
        """For the message; finding out where a class is written reads its source file."""
        return self.name if self.cls is None else f"{self.name} ({location(self.cls)})"


def _classes(function: Any, targets: Iterable[Target]) -> dict[Hashable, _Standing]:
    return {
        (cls, name): _Standing(f"{name_of(cls)}.{name}", cls=cls)
        for target in targets
        for cls, name in _names(function, target.owner)
    }


def _registrations(targets: Iterable[Target]) -> dict[Hashable, _Standing]:
    """On routes, for events; a function that is called by itself, and one that an object has for itself."""
    found: dict[Hashable, _Standing] = {}
    for target in targets:
        registration = target.registration
        if registration is not None:
            found[id(registration.at)] = _Standing(registration.title, registration.recorded)
        elif not target.named and isfunction(target.function):
            found[target.owner is None] = _Standing(target.title)
    return found


def _names(function: Any, owner: type | None) -> Iterator[tuple[type, str]]:
    """Under which names it stands in a class, in its bases, and in all classes that inherit it from one of these."""
    left: list[type] = [] if owner is None else list(owner.__mro__)
    seen: set[type] = set()
    while left:
        cls = left.pop()
        if cls in seen or cls is object:  # which nobody decorates, and which has many names
            continue
        seen.add(cls)
        names = [name for name in vars(cls) if any(each is function for each in functions_in(vars(cls)[name]))]
        yield from ((cls, name) for name in names)
        if names:
            for derived in _below(cls):
                left += derived.__mro__


def _below(cls: type) -> Iterator[type]:
    subclasses: list[type] = type.__subclasses__(cls)
    for derived in subclasses:
        yield derived
        yield from _below(derived)


def _is_same(recorded: Metadata, places: Iterable[_Standing]) -> bool:
    now = _meaning(recorded)
    return all(place.recorded is not None and _meaning(place.recorded) == now for place in places)


def _meaning(recorded: Metadata) -> tuple[object, ...]:
    """What it says, however often it says so."""
    return (
        list(dict.fromkeys(identity(each) for group in recorded.intercepts for each in group)),
        recorded.inherit,
        {identity(each) for each in recorded.skips},
        {*recorded.skipped_groups},
        recorded.skips_all,
        {**recorded.annotations},
    )


def _shared(function: Any, recorded: Metadata, places: list[_Standing], target: Target) -> InvalidTargetError:
    named, more = "; ".join(place.title for place in places[:_MOST_NAMED]), len(places) - _MOST_NAMED
    calls = dict.fromkeys((*recorded.calls, *recorded.route_calls))
    if target.owner is None:
        remedy = "Make a function for each place, and put the decorators above it: `def made_for(role): ... async def handler()`"
    else:
        name = target.name
        remedy = (
            f"Write a method of its own where it differs, with the decorators above it: "
            f"`async def {name}(self): return await super().{name}()`, or a function for each class"
        )
    return InvalidTargetError(
        f"{name_of(function)} ({location(function)}) stands in {len(places)} places, and decorators were called with it "
        f"({', '.join(calls)}): what they say counts for all of them, {named}"
        f"{f' and {more} more' if more > 0 else ''}. {remedy}.",
        function,
    )
