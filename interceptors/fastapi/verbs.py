"""The verb decorators for methods of controllers: FastAPI's own arguments, recorded for `create_router` and `install`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, final

from fastapi import params
from fastapi.datastructures import Default
from fastapi.routing import APIRoute
from fastapi.types import IncEx
from fastapi.utils import generate_unique_id
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from interceptors.calling import check_not_bare, written
from interceptors.describing import function_behind, location, name_of
from interceptors.errors import InvalidTargetError
from interceptors.kinds import is_function
from interceptors.metadata import note_call

__all__ = [
    "RouteRecord",
    "Verb",
    "delete",
    "get",
    "given",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "routes_of",
    "websocket",
]

T = TypeVar("T")

_ATTRIBUTE = "__interceptors_routes__"


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """One route of a method: what its decorator was given, and nothing that it was not."""

    path: str
    verb: str | None
    """None for a WebSocket."""
    options: Mapping[str, Any]


@final
class Verb:
    """`get`, `post` ...: like the decorators of `APIRouter`, for a method of a class marked with `@controller`.

    A method may have several routes; the lower decorator is registered first, as on a router.
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb

    @written('{}("/path")')
    def __call__(
        self,
        path: str,
        *,
        response_model: Any = Default(None),  # noqa: B008 (FastAPI's own way to tell "not given")
        status_code: int | None = None,
        tags: list[str | Enum] | None = None,
        dependencies: Sequence[params.Depends] | None = None,
        summary: str | None = None,
        description: str | None = None,
        response_description: str = "Successful Response",
        responses: dict[int | str, dict[str, Any]] | None = None,
        deprecated: bool | None = None,
        operation_id: str | None = None,
        response_model_include: IncEx | None = None,
        response_model_exclude: IncEx | None = None,
        response_model_by_alias: bool = True,
        response_model_exclude_unset: bool = False,
        response_model_exclude_defaults: bool = False,
        response_model_exclude_none: bool = False,
        include_in_schema: bool = True,
        response_class: type[Response] = Default(JSONResponse),  # noqa: B008
        name: str | None = None,
        callbacks: list[BaseRoute] | None = None,
        openapi_extra: dict[str, Any] | None = None,
        generate_unique_id_function: Callable[[APIRoute], str] = Default(generate_unique_id),  # noqa: B008
        max_body_size: int | None = None,
        form_limits: Mapping[str, int] | None = None,
    ) -> Callable[[T], T]:
        return _recorder(path, self._verb, given(Verb.__call__, locals(), "self", "path"))

    def __repr__(self) -> str:
        return f"@{self._verb.lower()}"


get = Verb("GET")
post = Verb("POST")
put = Verb("PUT")
patch = Verb("PATCH")
delete = Verb("DELETE")
head = Verb("HEAD")
options = Verb("OPTIONS")


@written('@websocket("/path")')
def websocket(
    path: str, *, name: str | None = None, dependencies: Sequence[params.Depends] | None = None
) -> Callable[[T], T]:
    """Make a method the handler of a WebSocket; the chain runs around the whole conversation."""
    return _recorder(path, None, given(websocket, locals(), "path"))


def given(function: Any, values: Mapping[str, object], *without: str) -> dict[str, Any]:
    """The arguments that were given: what was left out is FastAPI's to decide, also where a version does not know it."""
    parameters = inspect.signature(function).parameters
    return {
        name: values[name]
        for name, parameter in parameters.items()
        if name not in without and values[name] is not parameter.default
    }


def routes_of(function: object) -> tuple[RouteRecord, ...]:
    """The routes that were recorded on a method itself, in the order of registration."""
    found: tuple[RouteRecord, ...] = getattr(function_behind(function), _ATTRIBUTE, ())
    return found


def _recorder(path: str, verb: str | None, options: Mapping[str, object]) -> Callable[[T], T]:
    def decorate(target: T) -> T:
        check_not_bare(target)
        function = function_behind(target)
        if not is_function(target):
            raise InvalidTargetError(
                f"A route decorator cannot be used on {name_of(target)} ({location(target)}); put it on a method.",
                target,
            )
        setattr(function, _ATTRIBUTE, (*routes_of(function), RouteRecord(path, verb, options)))
        note_call("websocket" if verb is None else verb.lower(), function, of_route=True)
        return target

    return decorate
