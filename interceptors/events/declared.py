"""Declared events: pydantic models, their names and snapshots, and the signatures of their handlers."""

import json
import math
from collections.abc import Callable
from functools import partial
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from interceptors.describing import location, name_of
from interceptors.events.context import EventContext
from interceptors.events.errors import EventError
from interceptors.events.handlers import ArgumentMaker, check_function, special_arguments
from interceptors.signatures import InjectedParameter, SpecialType, read_function

__all__ = ["argument_maker", "check_delay", "check_key", "event_name", "snapshot"]

_LONGEST_KEY = 255  # what an outbox stores


def event_name(event: object) -> str:
    """The name of an event class: `event_name: ClassVar[str]` of this very class, or the class's own.

    Raises EventError for what is no class of events.
    """
    thing: object = event
    if not isinstance(event, type) or not issubclass(event, BaseModel):
        raise EventError(
            f"{name_of(thing)} ({location(thing)}) is no event; write `class OrderPaid(pydantic.BaseModel)`."
        )
    name = vars(event).get("event_name", event.__name__)
    if not isinstance(name, str) or not name:
        raise EventError(f"{name_of(event)} ({location(event)}) has the event_name {name!r}; write a text.")
    return name


def snapshot(event: BaseModel) -> dict[str, Any]:
    """An event as JSON values, by the names of its fields, so that the class makes the same event of it again.

    Raises EventError for what cannot be written as JSON: bytes that are no text, say, of a field that does not say how.
    """
    try:
        return event.model_dump(mode="json", by_alias=False, round_trip=True)
    except (UnicodeDecodeError, PydanticSerializationError) as error:
        raise EventError(f"The event {event_name(type(event))!r} cannot be written as JSON: {error}") from error


def check_key(key: object) -> None:
    """In every mode, so that the mode changes nothing. Raises EventError."""
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY and "\0" not in key):
        raise EventError(f'The key {key!r} is no text of 1 to {_LONGEST_KEY} characters, without NUL: key="order:7"')


def check_delay(delay: object) -> None:
    """Raises EventError."""
    if delay is not None and not (isinstance(delay, int | float) and 0 <= delay < math.inf):
        raise EventError(f"delay={delay!r}: write after how many seconds the event is to be delivered.")


def argument_maker(event: type[BaseModel], function: Callable[..., object]) -> ArgumentMaker:
    """How to make the arguments of a handler of a declared event. Raises EventError for a parameter that nothing gives.

    The event goes to the parameter that is annotated with its class, else to the first that has no special name.
    """
    check_function(function)
    special = special_arguments()
    signature = read_function(function)
    for injected in signature.injected:
        _check_injected(function, injected)
    visible = [p for p in signature.visible if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    chosen = next((p for p in visible if _bare(p.annotation) is event), None)
    if chosen is None:
        chosen = next((p for p in visible if p.name not in special and p.default is Parameter.empty), None)
    getters: list[tuple[str, Callable[[EventContext], object]]] = []
    for parameter in visible:
        if parameter is chosen:
            _check_event(event, function, parameter)
            getters.append((parameter.name, partial(_parse, event)))
        elif parameter.name in special:
            getters.append((parameter.name, special[parameter.name]))
        elif parameter.default is Parameter.empty:
            raise EventError(
                f"{name_of(function)} ({location(function)}) takes {parameter.name!r}, which nothing gives. Besides the "
                f"event a handler may take {', '.join(special)}, parameters annotated `Annotated[T, Provide[...]]` and "
                f"parameters with a default."
            )
    return lambda ctx: {name: get(ctx) for name, get in getters}


def _parse(event: type[BaseModel], ctx: EventContext) -> BaseModel:
    # As JSON: there a strict model takes a text for a datetime, and bytes are decoded as they were encoded.
    return event.model_validate_json(json.dumps(ctx.payload), by_name=True, by_alias=False)


def _bare(annotation: object) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _check_event(event: type[BaseModel], function: Callable[..., object], parameter: Parameter) -> None:
    """Another event's class in the annotation is a mistake; a base of the class, or a union, is none."""
    annotation = _bare(parameter.annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(event, annotation):
        raise EventError(
            f"{name_of(function)} ({location(function)}) handles {event.__name__}, but its parameter "
            f"{parameter.name!r} is annotated {annotation.__name__}; annotate it {event.__name__}."
        )


def _check_injected(function: Callable[..., object], injected: InjectedParameter) -> None:
    if isinstance(injected.marker, SpecialType) and injected.marker.name != "context":
        raise EventError(
            f"{name_of(function)} ({location(function)}) takes the {injected.marker.name} as "
            f"{injected.parameter.name!r}; there is none when an event is handled. Put what you need of it into the event."
        )
