"""Which of a call's arguments are copied for the hooks: the caller's documents to insert are not."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pymongo import InsertOne

from interceptors.arguments import Arguments
from interceptors.connectors.copies import own, own_items
from interceptors.connectors.mongo.undocumented import copied_operation

__all__ = ["own_arguments", "own_value"]

_is: Callable[[Any, Any], bool] = isinstance  # an Any that it is asked about stays one to a type checker
_TO_INSERT = {"insert_one": "document", "insert_many": "documents"}


def own_arguments(command: str, arguments: Arguments) -> Arguments:
    """With copies of the caller's dicts and lists. PyMongo writes `_id` into a document to insert: it is the caller's."""
    values: dict[str, Any] = {}
    to_insert = _TO_INSERT.get(command)
    for name, value in arguments.items():
        if name == to_insert:
            values[name] = _own_list(value) if command == "insert_many" else value
        elif name == "requests":
            values[name] = [_own_operation(each) for each in value] if _is(value, list) else value
        else:
            values[name] = own(value, _own_subclass)
    return Arguments(arguments.spec, values)


def _own_list(documents: Any) -> Any:
    """PyMongo takes an iterable, and a hook may want to look at it."""
    return list(documents) if _is(documents, Iterable) and not _is(documents, Mapping) else documents


def own_value(value: Any) -> Any:
    """A copy of dicts, lists and tuples."""
    return own(value, _own_subclass)


def _own_subclass(value: Any) -> Any:
    return own_items(value.copy(), _own_subclass) if _is(value, dict) else value  # a SON stays one


def _own_operation(operation: Any) -> Any:
    """One of a `bulk_write`."""
    if _is(operation, InsertOne):
        return operation
    return copied_operation(operation, own_value)
