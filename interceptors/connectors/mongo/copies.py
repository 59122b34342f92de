"""Which of a call's arguments are copied for the hooks: the caller's documents to insert are not."""

from collections.abc import Iterable, Mapping
from typing import TypeGuard, TypeVar

from pymongo import InsertOne

from interceptors.arguments import Arguments
from interceptors.connectors.copies import is_dict, is_list, own, own_items
from interceptors.connectors.mongo.undocumented import copied_operation

__all__ = ["own_arguments", "own_value"]

T = TypeVar("T")

_TO_INSERT = {"insert_one": "document", "insert_many": "documents"}


def own_arguments(command: str, arguments: Arguments) -> Arguments:
    """With copies of the caller's dicts and lists. PyMongo writes `_id` into a document to insert: it is the caller's."""
    values: dict[str, object] = {}
    to_insert = _TO_INSERT.get(command)
    for name, value in arguments.items():
        if name == to_insert:
            values[name] = _own_list(value) if command == "insert_many" else value
        elif name == "requests":
            values[name] = [_own_operation(each) for each in value] if is_list(value) else value
        else:
            values[name] = own(value, _own_subclass)
    return Arguments(arguments.spec, values)


def _own_list(documents: object) -> object:
    """PyMongo takes an iterable, and a hook may want to look at it."""
    return list(documents) if _is_iterable(documents) else documents


def _is_iterable(documents: object) -> TypeGuard[Iterable[object]]:
    return isinstance(documents, Iterable) and not isinstance(documents, Mapping)


def own_value(value: T) -> T:
    """A copy of dicts, lists and tuples."""
    return own(value, _own_subclass)


def _own_subclass(value: object) -> object:
    return own_items(value.copy(), _own_subclass) if is_dict(value) else value  # a SON stays one


def _is_insert(operation: object) -> bool:
    return isinstance(operation, InsertOne)


def _own_operation(operation: object) -> object:
    """One of a `bulk_write`."""
    return operation if _is_insert(operation) else copied_operation(operation, own_value)
