"""Events of resources: what a handler is told, taken right after the hook of the same name."""

import json
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from hashlib import sha256
from inspect import Parameter, isawaitable
from typing import Any, TypeAlias, cast, final

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from starlette.requests import Request

from interceptors.describing import location, name_of
from interceptors.events import EventContext, EventDispatcher, EventError
from interceptors.events.context import live_of
from interceptors.events.handlers import ArgumentMaker, EventHandler, special_arguments
from interceptors.events.marks import EventOptions
from interceptors.events.stored_names import stored_name
from interceptors.resources.context import ResourceContext, work_of
from interceptors.resources.declared import Declaration
from interceptors.resources.description import Description, snake_case
from interceptors.resources.errors import HookParameterError
from interceptors.resources.hooks import read_parameters
from interceptors.resources.names import COMMON, SPECIAL, Handler
from interceptors.resources.rendering import concealed
from interceptors.resources.vocabulary import Adapter
from interceptors.signatures import SpecialType

__all__ = ["Emission", "Facts", "check_event", "event_handler"]

Facts: TypeAlias = Callable[[ResourceContext], Mapping[str, object] | Awaitable[Mapping[str, object]]]

AFTER_WRITES = ("after_insert", "after_update", "after_patch", "after_delete")
"""The events that start after the commit, and that an outbox stores."""

_NOT_FOR_EVENTS = ("response", "in_transaction", "state")
_ONLY_IN_PROCESS = ("request", "query", "conditions")
_LONGEST_KEY = 255
_STORED = ("form_data", "item", "result", "params", "facts")
_PLAIN: tuple[object, ...] = (dict, list, Any, Parameter.empty)


# -- declaring ---------------------------------------------------------------------------------------------------------


def check_event(function: Callable[..., object], point: str, options: EventOptions) -> None:
    """Raises HookParameterError for a parameter that an event of this point is not given, and EventError."""
    allowed = [
        *SPECIAL[point],
        *(name for name in COMMON if name not in _NOT_FOR_EVENTS),
        "facts",
        *special_arguments(),
    ]
    signature = read_parameters(function, f"on_{point}", dict.fromkeys(allowed), "event")
    for injected in signature.injected:
        if injected.marker == SpecialType("response"):
            raise HookParameterError(
                f"The event {name_of(function)} ({location(function)}) asks for a Response, {injected.parameter.name!r}; "
                f"events run outside of the request.",
                function,
                injected.parameter.name,
            )
    if options.durable and point not in AFTER_WRITES:
        raise EventError(
            f"The event {name_of(function)} ({location(function)}) cannot be durable: only what happens after a write is "
            f"stored, that is {', '.join(f'on_{after}' for after in AFTER_WRITES)}. Leave durable=True out."
        )


def event_handler(
    declared: Declaration,
    point: str,
    description: Description,
    models: Mapping[str, type],
    dispatcher: EventDispatcher,
) -> EventHandler:
    """The handler that a dispatcher delivers to. Raises EventError for one that is durable and asks for what is not."""
    function, options = declared.function, declared.options
    durable = options.durable if point in AFTER_WRITES else False
    handler = EventHandler(
        event=f"{description.name}.on_{point}",
        name=options.name or stored_name(function),
        function=function,
        arguments=_arguments(function, point, description, models),
        durable=durable,
        attempts=options.attempts,
        timeout=options.timeout,
        aliases=options.aliases,
        recorded=declared.recorded,
    )
    if dispatcher.stores(handler):
        for name in _live_names(function, point):
            raise EventError(
                f"{handler.title} handles {handler.event} durably, and asks for {name!r}, which exists only in this "
                f"process: take what you need with Resources(event_facts=...), or say @event(durable=False)."
            )
    return handler


def _live_names(function: Callable[..., object], point: str) -> tuple[str, ...]:
    """What an event asks for that exists in the publisher's process only."""
    signature = read_parameters(function, f"on_{point}", _every_name(point), "event")
    asked = {snake_case(parameter.name) for parameter in signature.visible}
    asked |= {i.marker.name for i in signature.injected if isinstance(i.marker, SpecialType)}
    return tuple(name for name in _ONLY_IN_PROCESS if name in asked)


def _every_name(point: str) -> tuple[str, ...]:
    return (*SPECIAL[point], *COMMON, "facts", *special_arguments())


def _arguments(
    function: Callable[..., object], point: str, description: Description, models: Mapping[str, type]
) -> ArgumentMaker:
    """What makes the arguments of a delivery from its payload."""
    signature = read_parameters(function, f"on_{point}", _every_name(point), "event")
    getters = {p.name: _getter(snake_case(p.name), p.annotation, description, models) for p in signature.visible}

    def make(ctx: EventContext) -> dict[str, object]:
        return {name: get(ctx) for name, get in getters.items()}

    return make


def _getter(
    name: str, annotation: Any, description: Description, models: Mapping[str, type]
) -> Callable[[EventContext], object]:
    special = special_arguments()
    if name in special:
        return special[name]
    if name in _STORED:
        if annotation in _PLAIN or getattr(annotation, "__origin__", None) in (dict, list):
            return lambda ctx: ctx.payload.get(name)
        adapter: Adapter = TypeAdapter(annotation)
        # As JSON, so that a strict model takes the texts of its own values.
        return lambda ctx: adapter.validate_json(json.dumps(ctx.payload.get(name)))
    getters: dict[str, Callable[[EventContext], object]] = {
        "model": lambda ctx: description.model,
        "parent_model": lambda ctx: models.get(ctx.payload["parent_model"] or ""),
        "handler": lambda ctx: Handler(ctx.payload["handler"]),
        "relation": lambda ctx: ctx.payload["relation"],
    }
    return getters.get(name, lambda ctx: live_of(ctx)[name])


# -- emitting ----------------------------------------------------------------------------------------------------------


@final
class Emission:
    """The event of one point: tells its handler what has happened, at once, or with the commit of what was written."""

    def __init__(self, dispatcher: EventDispatcher, handler: EventHandler, point: str, facts: Facts | None) -> None:
        self.handler = handler
        self.is_stored = point in AFTER_WRITES and dispatcher.stores(handler)
        self._dispatcher = dispatcher
        self._point = point
        self._facts = facts
        self._asks_for_live = bool(_live_names(handler.function, point))

    async def __call__(self, ctx: ResourceContext) -> None:
        payload = await _snapshot(ctx, self._point, self._facts)
        live = _live(ctx) if self._asks_for_live else {}
        name = self.handler.event
        if self._point not in AFTER_WRITES or not ctx.in_transaction:
            await self._dispatcher.emit(name, payload, live=live, durable=False)
            return
        key = _fitting(f"{ctx.model.__name__}:{work_of(ctx).key}")
        # The row is locked: it has just been written, or deleted.
        await self._dispatcher.emit(name, payload, session=ctx.session, key=key, live=live, waits=False)


def _fitting(key: str) -> str:
    """A key that an outbox can store: one that is too long is as good by its digest."""
    return key if len(key) <= _LONGEST_KEY else sha256(key.encode()).hexdigest()


async def _snapshot(ctx: ResourceContext, point: str, facts: Facts | None) -> dict[str, Any]:
    """JSON values of now, without hidden columns; in every mode, so that the mode changes nothing for a handler."""
    parent = ctx.parent_model
    payload: dict[str, object] = {
        "handler": ctx.handler.value,
        "relation": ctx.relation,
        "parent_model": None if parent is None else parent.__name__,
        "params": ctx.params,
        "facts": {},
    }
    if facts is not None:
        told = facts(ctx)
        payload["facts"] = await cast("Awaitable[object]", told) if isawaitable(told) else told
    payload |= {name: concealed(ctx, getattr(ctx, name)) for name in SPECIAL[point] if name in _STORED}
    result: dict[str, Any] = to_jsonable_python(payload, bytes_mode="base64", inf_nan_mode="null")
    return result


def _live(ctx: ResourceContext) -> dict[str, object]:
    """What is no JSON: for handlers in this process."""
    return {"request": _without_body(ctx.request), "query": ctx.query, "conditions": deepcopy(ctx.conditions)}


def _without_body(request: Request) -> Request:
    """A request that can be read after it has been answered; what its invocations share is left behind."""
    scope = {name: value for name, value in request.scope.items() if name not in ("interceptors", "state")}
    return Request({**scope, "state": dict(request.scope.get("state", {}))})
