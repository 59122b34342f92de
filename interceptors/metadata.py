"""What the decorators record, and how it is read along the MRO. Nothing is wrapped and nothing is resolved here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from interceptors.calling import check_not_bare
from interceptors.describing import function_behind, location, name_of
from interceptors.errors import InvalidTargetError
from interceptors.kinds import InterceptorOrKey, is_function

__all__ = [
    "GlobalOptions",
    "Metadata",
    "changes",
    "class_levels",
    "metadata_of",
    "method_levels",
    "record",
]

_ATTRIBUTE = "__interceptors__"


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


_EMPTY = Metadata()


class _Changes:
    """Counts what is recorded, anywhere: a chain that was compiled before may lack it, and is compiled again."""

    count = 0


changes = _Changes()


def metadata_of(target: object) -> Metadata:
    """What was recorded on this very class or function; nothing is inherited."""
    found = getattr(function_behind(target), "__dict__", {}).get(_ATTRIBUTE, _EMPTY)
    return found if isinstance(found, Metadata) else _EMPTY


def record(decorator: str, target: object, **recorded: Any) -> None:
    """Note what is `recorded` on a class or function; the target stays the very object that it was.

    Raises InvalidTargetError for what is neither, a property above all.
    """
    check_not_bare(target)
    holder = function_behind(target)
    if not (isinstance(holder, type) or is_function(target)):
        what = "a property" if isinstance(target, property) else f"{type(target).__name__!r} objects"
        raise InvalidTargetError(
            f"@{decorator} cannot be used on {what}: {name_of(target)} ({location(target)}). "
            f"Put it on a class, a method or a function.",
            target,
        )
    setattr(holder, _ATTRIBUTE, replace(metadata_of(holder), **recorded))
    changes.count += 1


def class_levels(owner: type) -> Iterator[tuple[type, Metadata]]:
    """The class-level records of a class, the base's first."""
    for cls in reversed(owner.__mro__):
        found = metadata_of(cls)
        if found is not _EMPTY:
            yield cls, found


def method_levels(owner: type, name: str) -> Iterator[tuple[type, Metadata]]:
    """The method-level records of a method, those of the base's method first."""
    for cls in reversed(owner.__mro__):
        found = metadata_of(vars(cls).get(name))
        if found is not _EMPTY:
            yield cls, found
