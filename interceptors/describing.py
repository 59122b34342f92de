"""How messages speak of things: their names, where they are written, and what was perhaps meant."""

import inspect
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import partial, partialmethod
from types import MethodType
from typing import Any

from dependency_injector import providers

__all__ = [
    "check_name",
    "file_and_line",
    "function_behind",
    "location",
    "name_of",
    "near_miss",
    "nearest",
    "place_of_call",
    "some_of",
    "suggest",
]

_MOST_NAMED = 5


def nearest(name: str, known: Iterable[str], likeness: float = 0.5) -> Sequence[str]:
    """Up to three known names that look like `name`, the likeliest first, whatever their case."""
    by_folded = {each.casefold(): each for each in sorted(set(known), reverse=True)}
    return [by_folded[found] for found in get_close_matches(name.casefold(), by_folded, n=3, cutoff=likeness)]


def suggest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'a' or 'b'?` for the end of a message; empty if nothing looks alike."""
    found = nearest(name, known)
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


def some_of(items: Sequence[str], command: str) -> str:
    """The first five, how many more there are, and the command that lists them all: `a; b; and 295 more (...)`."""
    named = "; ".join(items[:_MOST_NAMED])
    more = len(items) - _MOST_NAMED
    return named if more <= 0 else f"{named}; and {more} more (`{command}` lists them all)"


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is a slip of the pen for, if it is so near that nothing else can have been meant."""
    return next((each for each in nearest(name, known) if each != name and _is_slip(name, each)), None)


def _is_slip(name: str, known: str) -> bool:
    """Case and blanks, the plural, two letters in the wrong order, or nearly all letters the same; not another number."""
    one, other = (text.strip().casefold() for text in (name, known))
    if re.sub(r"\d+", "#", one) == re.sub(r"\d+", "#", other):
        return one == other
    return (
        _singular(one) == _singular(other)
        or any(one[:i] + one[i + 1] + one[i] + one[i + 2 :] == other for i in range(len(one) - 1))
        or SequenceMatcher(None, one, other).ratio() > _SLIP
    )


def _singular(word: str) -> str:
    return word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")


_SLIP = 0.8  # of difflib: the share of the letters that are the same, in the same order


def function_behind(thing: Any) -> Any:
    """The function of a static, class or bound method, of a property, a partial or a partial method; else the thing."""
    for attribute in ("__func__", "fget", "func"):
        if isinstance(thing, _WRAPPERS):
            thing = getattr(thing, attribute, thing)
    return thing


_WRAPPERS: tuple[type, ...] = (staticmethod, classmethod, MethodType, property, partial, partialmethod)


def name_of(thing: object) -> str:
    """How messages call it: a qualified name without `<locals>`, the key itself, or the class of an object."""
    if isinstance(thing, str):
        return repr(thing)
    thing = function_behind(_provided(thing))
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _provided(thing: object) -> object:
    """For a provider, the class or function that it provides, if it says so."""
    return (getattr(thing, "provides", None) or thing) if isinstance(thing, _PROVIDER) else thing


_PROVIDER: type = providers.Provider


def file_and_line(thing: object) -> tuple[str, int] | None:
    """Where a function, a class or the class of an object is written. Reads source files: never do it per call."""
    thing = function_behind(_provided(thing))
    try:
        code = getattr(inspect.unwrap(thing), "__code__", None) if callable(thing) else None
        if code is not None:
            return code.co_filename, code.co_firstlineno
        owner = thing if isinstance(thing, type) else type(thing)
        return str(inspect.getsourcefile(owner)), inspect.getsourcelines(owner)[1]
    except (OSError, TypeError, ValueError):  # `unwrap` goes round in circles for an object with every attribute
        return None


def check_name(name: str, what: str, *, segments: int | None = None) -> None:
    """Names of models and methods have segments joined by dots, not empty and without `*`. Raises ValueError."""
    parts = name.split(".")
    if "" in parts or "*" in name or (segments is not None and len(parts) != segments):
        form = "one segment" if segments == 1 else "segments joined by dots"
        raise ValueError(f"{name!r} is no name of a {what}: write {form}, not empty and without `*`.")


def place_of_call(function: Any) -> str | None:
    """`file:line` of the call of ours that is running; None if it stands above `function`, where that is written.

    For decorators, also those that others have put together of ours. Such a call is made from a line of the function: its
    lines begin with those of its decorators.
    """
    code = getattr(inspect.unwrap(function), "__code__", function.__code__)
    lines = range(code.co_firstlineno, max(line or 0 for _, _, line in code.co_lines()) + 1)
    place, frame = None, inspect.currentframe()
    while frame is not None:
        called_in = frame.f_code
        if called_in is not code and called_in.co_filename == code.co_filename and frame.f_lineno in lines:
            return None
        if place is None and not str(frame.f_globals.get("__name__")).startswith(_OWN):
            place = f"{called_in.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return place


_OWN = f"{__name__.partition('.')[0]}."


def location(thing: object) -> str:
    """`file:line` for messages."""
    place = file_and_line(thing)
    return f"{place[0]}:{place[1]}" if place else "no source file"
