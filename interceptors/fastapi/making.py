"""Making the door for one picture of a route: whose chain it is, and how FastAPI would have called what is behind it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from interceptors.context import InvocationContext
from interceptors.describing import location
from interceptors.entry import Entry
from interceptors.errors import InjectionError
from interceptors.fastapi.doors import (
    HIDDEN_REQUEST,
    HIDDEN_RESPONSE,
    HIDDEN_TASKS,
    Doors,
    Straight,
    called_by_fastapi,
    dress,
    http_door,
    in_thread,
    mark,
)
from interceptors.fastapi.facades import facade_of, is_needed
from interceptors.fastapi.places import Routers
from interceptors.fastapi.sources import ROUTE, RouteContext, WebSocketContext
from interceptors.fastapi.streams import StreamContext, opening, responder, straight_stream, stream_door
from interceptors.fastapi.undocumented import Picture, describe_as, is_coroutine, is_stream, original_of
from interceptors.fastapi.websockets import socket_door
from interceptors.fastapi.wired import with_values
from interceptors.kinds import is_async
from interceptors.metadata import RegisteredAt
from interceptors.registry import InterceptorRegistry
from interceptors.target import Finish, Target

__all__ = ["make_door", "straight_call"]


def make_door(
    registry: InterceptorRegistry,
    picture: Picture,
    call: object,
    handler: object,
    registration: RegisteredAt,
    doors: Doors,
    routers: Routers,
) -> tuple[Any, Entry]:
    """The door around a call that FastAPI would make for a picture, and its chain.

    `handler` is what the route was given: what was recorded on it counts. Raises InjectionError for a parameter that
    we would inject, and that FastAPI has taken for the client's.
    """
    route, dependant = original_of(picture), picture.dependant
    facade = facade_of(call)
    if facade is not None:
        facade.take_attributes()
        target = replace(facade.target, routers=routers)
    else:
        target = replace(_target(picture, call, handler), registration=registration, routers=routers)
    entry = Entry(registry, target, source=ROUTE)
    straight = straight_call(picture, call)
    if not isinstance(route, APIRoute):
        name, hidden = _socket_name(dependant)
        door = socket_door(entry, name, doors, straight, hidden=hidden, closes=facade is not None)
    else:
        dependant.request_param_name = request_name = dependant.request_param_name or HIDDEN_REQUEST
        dependant.response_param_name = response_name = dependant.response_param_name or HIDDEN_RESPONSE
        tasks_name = _tasks_name(dependant)
        if is_stream(picture):
            respond = responder(picture, route)
            if not is_coroutine(call):
                straight = straight_stream(call)
            door = stream_door(entry, request_name, response_name, tasks_name, doors, straight, respond)
        else:
            door = http_door(entry, request_name, response_name, tasks_name, doors, straight, merges=facade is not None)
    door = with_values(door, entry, in_a_thread=not (_streams(picture) or is_async(entry.target.function)))
    dress(door, call)
    mark(door, entry)
    doors.add(entry)
    describe_as(door, call)
    return door, entry


def _tasks_name(dependant: Any) -> str | None:
    """Under which name FastAPI gives the background tasks; None where nobody can add any."""
    if dependant.background_tasks_param_name is None and _uses_tasks(dependant):
        dependant.background_tasks_param_name = HIDDEN_TASKS
    name: str | None = dependant.background_tasks_param_name
    return name


def _uses_tasks(dependant: Any) -> bool:
    return dependant.background_tasks_param_name is not None or any(map(_uses_tasks, dependant.dependencies))


def _socket_name(dependant: Any) -> tuple[str, bool]:
    """Under which name FastAPI gives the WebSocket, and whether the handler does not know of it."""
    names = dependant.websocket_param_name, dependant.http_connection_param_name
    found = next((name for name in names if name is not None and name != HIDDEN_REQUEST), None)
    if HIDDEN_REQUEST not in names and found is not None:
        return found, False
    if HIDDEN_REQUEST not in names:
        dependant.websocket_param_name = HIDDEN_REQUEST
    return HIDDEN_REQUEST, True


def _target(picture: Picture, call: object, handler: object) -> Target:
    endpoint = picture.endpoint
    target = Target.of(endpoint, None)
    if is_needed(target):
        _refuse_injected(target, endpoint)
    return replace(
        target,
        binds=False,
        origin=target.origin if handler is endpoint else handler,
        known_signature=called_by_fastapi(picture.dependant, target.signature),
        context_class=_context_class(picture),
        finish=_finish(picture, call, target),
    )


def _context_class(picture: Picture) -> type[InvocationContext]:
    if not isinstance(original_of(picture), APIRoute):
        return WebSocketContext
    return StreamContext if _streams(picture) else RouteContext


def _streams(picture: Picture) -> bool:
    return isinstance(original_of(picture), APIRoute) and is_stream(picture)


def _finish(picture: Picture, call: object, target: Target) -> Finish | None:
    """How FastAPI calls what is behind the door; None for an `async def` that nobody has wrapped."""
    endpoint = picture.endpoint
    if _streams(picture):
        return opening if call is endpoint else _instead(opening, call)
    if isinstance(original_of(picture), APIRoute) and not is_coroutine(call):
        return in_thread if call is endpoint else _instead(in_thread, call)
    return None if call is endpoint and is_async(target.function) else _instead(_awaiting, call)


def _instead(finish: Finish, call: object) -> Finish:
    async def other(
        ctx: InvocationContext, function: object, args: Iterable[object], kwargs: Mapping[str, object]
    ) -> Any:
        return await finish(ctx, call, args, kwargs)

    return other


async def _awaiting(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    return await function(*args, **kwargs)


def straight_call(picture: Picture, call: Any) -> Straight:
    """The call as FastAPI makes it, of what is no stream."""
    in_a_thread = isinstance(original_of(picture), APIRoute) and not is_coroutine(call)

    async def straight(values: dict[str, Any]) -> Any:
        return await run_in_threadpool(call, **values) if in_a_thread else await call(**values)

    return straight


def _refuse_injected(target: Target, endpoint: object) -> None:
    names = [injected.parameter.name for injected in target.signature.injected]
    raise InjectionError(
        f"The parameter {names[0]!r} of {target.title} ({location(endpoint)}) is to be injected, but FastAPI has read it "
        f"as a parameter of the request. Call install(app, registry) before the function is declared on the application; "
        f"on a router, make it with `route_class=intercepted_route(registry)`.",
        target.title,
        names[0],
    )
