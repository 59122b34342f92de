"""Copies of what a caller gave: a hook edits its own."""

from collections.abc import Callable
from typing import Any

__all__ = ["own", "own_items"]

_KINDS = frozenset((dict, list, tuple))
_type: Callable[[Any], Any] = type  # an Any that these are asked about stays one to a type checker
_is: Callable[[Any, Any], bool] = isinstance


def own(value: Any, others: Callable[[Any], Any]) -> Any:
    """A copy of dicts, lists and tuples, all the way down; `others` copies what is none of them, also a subclass."""
    kind = _type(value)
    if kind not in _KINDS:
        return others(value)
    if kind is dict:
        mine = value.copy()
        for key, each in mine.items():
            mine[key] = own(each, others)
        return mine
    return kind([own(each, others) for each in value])


def own_items(mine: Any, others: Callable[[Any], Any]) -> Any:
    """The copy of a dict or a list, of a subclass too, with copies of what it holds."""
    for key in list(mine) if _is(mine, dict) else range(len(mine)):
        mine[key] = own(mine[key], others)
    return mine
