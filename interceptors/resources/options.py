"""Reading the options of a resource class: checked when the router is made, never at the first request."""

import inspect
from collections.abc import Collection, Mapping
from enum import Enum
from functools import partial
from typing import Any

from fastapi import params
from pydantic import BaseModel

from interceptors.describing import location, near_miss
from interceptors.kinds import is_async
from interceptors.resources.description import Description, is_model, kebab_case, plural
from interceptors.resources.errors import ResourceError, suggest_all
from interceptors.resources.names import Handler
from interceptors.resources.resource import Resource
from interceptors.resources.vocabulary import Row

__all__ = ["dependencies_of", "describe", "handlers_of", "path_of", "tags_of", "transaction_of"]


def describe(resource: type[Resource]) -> Description:
    """What start-up can read of one resource alone. Raises ResourceError."""
    if not (isinstance(resource, type) and issubclass(resource, Resource)):
        raise ResourceError(f"{resource!r} is no resource: class UserResource(Resource): model = User")
    if getattr(resource, "model", None) is None:
        raise ResourceError(f"{resource.__qualname__} has no model: model = User")
    _check_spelling(resource)
    description = Description(resource, resource.model)
    hidden = _names(description, "hidden")
    description.check_columns(hidden, "hidden")
    description.hidden = frozenset(hidden)
    description.serializer = _serializer(description)
    _ = description.key, handlers_of(description)
    return description


def _check_spelling(resource: type[Resource]) -> None:
    """An attribute that is nearly an option is one misspelt: `hiden` would show what it is to hide."""
    options = list(Resource.__annotations__)
    for name in dir(resource):
        value = inspect.getattr_static(resource, name)
        if name.startswith("_") or hasattr(Resource, name) or name in options or inspect.isfunction(value):
            continue
        if near_miss(name, options):
            raise ResourceError(
                f"{resource.__qualname__} ({location(resource)}) has {name!r}, which is no option."
                f"{suggest_all(name, options)} What is not meant as one begins with an underscore."
            )


def handlers_of(description: Description) -> frozenset[Handler]:
    """What clients may do."""
    return frozenset(_handler(description, "handlers", each) for each in _names(description, "handlers"))


def path_of(description: Description) -> str:
    """The last segment of the path."""
    given = description.option("path")
    if given is None:
        return plural(kebab_case(description.name))
    path = given.strip("/") if isinstance(given, str) else ""
    if not path or "{" in path:
        raise ResourceError(
            f'{description.place("path")} is {given!r}; write a segment without parameters: path = "users"'
        )
    return path


def tags_of(description: Description) -> list[str | Enum]:
    """OpenAPI tags."""
    given = description.option("tags")
    return [path_of(description)] if given is None else list(given)


def dependencies_of(description: Description, handler: Handler) -> list[params.Depends]:
    """The FastAPI dependencies of one handler."""
    given = _for_handler(description, "dependencies", handler)
    given = () if given is None else given
    for each in given:
        if not isinstance(each, params.Depends):
            raise ResourceError(f"{description.place('dependencies')} has {each!r}; write Depends({each!r}).")
    return list(given)


def transaction_of(description: Description, handler: Handler, general: bool | None) -> bool:
    """Is a request one transaction? Handler over resource over `Resources(transaction=)` over: writes are."""
    given = _for_handler(description, "transaction", handler)
    if given is None:
        given = handler.is_write if general is None else general
    if not isinstance(given, bool):
        raise ResourceError(
            f"{description.place('transaction')} has {given!r}; it takes True, False or {{Handler: bool}}."
        )
    return given


def _through_model(model: type[BaseModel], item: Row, request: object) -> Row:
    return model.model_validate(item).model_dump(mode="json", by_alias=True)


def _for_handler(description: Description, option: str, handler: Handler) -> Any:
    """An option that may be a mapping by handler."""
    given: Any = description.option(option)
    by_handler: Any = given
    if not isinstance(given, Mapping):
        return by_handler
    return {_handler(description, option, each): found for each, found in by_handler.items()}.get(handler)


def _names(description: Description, option: str) -> Collection[str]:
    given: Any = description.option(option)
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise ResourceError(f"{description.place(option)} is {given!r}; write a collection: {option} = ({given!r},)")
    return list(given)


def _handler(description: Description, option: str, given: object) -> Handler:
    try:
        return Handler(str(given))
    except ValueError:
        raise ResourceError(f"{description.place(option)} names {given!r}.{suggest_all(str(given), Handler)}") from None


def _serializer(description: Description) -> Any:
    given: Any = description.option("serializer")
    if is_model(given):
        return partial(_through_model, given)
    if given is not None and (not callable(given) or is_async(given)):
        raise ResourceError(
            f"{description.place('serializer')} is {given!r}; write `def serializer(item, request): return item`, or give "
            f"a pydantic model."
        )
    return given
