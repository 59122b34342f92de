"""Copies of what a caller gave: a hook edits its own."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast

__all__ = ["is_dict", "is_list", "own", "own_items"]

T = TypeVar("T")

Others: TypeAlias = Callable[[Any], object]
"""Copies what is neither a dict, nor a list, nor a tuple itself."""


def own(value: T, others: Others) -> T:
    """A copy of dicts, lists and tuples, all the way down; `others` copies what is none of them, also a subclass."""
    copy = _COPIES.get(type(value))
    return cast("T", others(value) if copy is None else copy(value, others))


_COPIES: dict[type, Callable[[Any, Others], object]] = {
    dict: lambda value, others: {key: own(each, others) for key, each in value.items()},
    list: lambda value, others: [own(each, others) for each in value],
    tuple: lambda value, others: tuple([own(each, others) for each in value]),
}


def is_dict(value: object) -> TypeGuard[dict[object, object]]:
    """Is it a dict, or of a subclass?"""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Is it a list, or of a subclass?"""
    return isinstance(value, list)


def own_items(mine: T, others: Others) -> T:
    """The copy of a dict or a list, of a subclass too, with copies of what it holds."""
    items = cast("dict[object, object]", mine)  # or a list: its keys are places
    for key in list(items) if is_dict(items) else range(len(items)):
        items[key] = own(items[key], others)
    return mine
