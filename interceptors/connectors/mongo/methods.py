"""The methods of PyMongo that are hooked: their parameters, and the arguments of a call."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from typing import Any, cast

from pymongo.asynchronous.database import AsyncDatabase

from interceptors.arguments import Arguments, ArgumentSpec
from interceptors.connectors.mongo.undocumented import CALLS, CURSOR_PARAMETERS

__all__ = ["SPECS", "WITH_CURSOR", "bound", "given_in", "with_filter"]

_ABSENT = object()

WITH_CURSOR = (
    "find", "find_raw_batches", "aggregate", "aggregate_raw_batches", "list_indexes", "list_search_indexes"
)  # fmt: skip
"""What gives a cursor."""


def _spec(owner: str, parameters: Iterable[Parameter]) -> ArgumentSpec:
    return ArgumentSpec(owner, [p.replace(annotation=Parameter.empty) for p in parameters])


def _spec_of(function: Callable[..., object]) -> ArgumentSpec:
    _, *parameters = inspect.signature(function).parameters.values()
    return _spec(function.__qualname__, parameters)


SPECS: dict[str, ArgumentSpec] = {
    **{name: _spec_of(function) for name, function in CALLS.items()},
    **{name: _spec(f"AsyncCollection.{name}", CURSOR_PARAMETERS) for name in ("find", "find_one", "find_raw_batches")},
    "command": _spec_of(cast("Any", AsyncDatabase).command),
}
"""The parameters of everything that is hooked."""


def bound(command: str, params: dict[str, Any] | list[Any]) -> Arguments:
    """What a dict or a list of params stands for."""
    return with_filter(
        command,
        SPECS[command].bind((), params) if isinstance(params, dict) else SPECS[command].bind(tuple(params), {}),
    )


def with_filter(command: str, arguments: Arguments) -> Arguments:
    """The same with a filter, in the one form that all of them take."""
    if command == "distinct" and arguments.get("filter") is None:
        values = dict(arguments.items())
        values["filter"] = values.pop("query", None)  # what a cursor's `distinct` gives
        arguments = Arguments(arguments.spec, values)
    if SPECS[command].defaults.get("filter", _ABSENT) is None:
        given = arguments["filter"]
        if given is None:
            arguments["filter"] = {}
        elif command == "find_one" and not isinstance(given, Mapping):
            arguments["filter"] = {"_id": given}
    return arguments


def given_in(arguments: Arguments) -> dict[str, Any]:
    """By name, what is not left at its default: another method may not have that parameter."""
    defaults = arguments.spec.defaults
    return {name: value for name, value in arguments.items() if value is not defaults.get(name, _ABSENT)}
