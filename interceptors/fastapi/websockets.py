"""WebSockets: the chain runs around the whole conversation."""

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException, WebSocketException
from starlette.types import Message, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from interceptors.entry import Entry, run
from interceptors.fastapi.doors import Doors, Straight, by_name
from interceptors.fastapi.status_answers import answer_of

__all__ = ["noting", "socket_door"]

_POLICY_VIOLATION = 1008
_ANSWERED = "interceptors.answered"


def noting(scope: Scope, send: Send) -> Send:
    """Notes that a client has been answered: a handler may have made a `WebSocket` of its own, whose state nobody sees."""

    async def note(message: Message) -> None:
        scope[_ANSWERED] = True
        await send(message)

    return note


def socket_door(
    entry: Entry, name: str, doors: Doors, straight: Straight, *, hidden: bool, closes: bool
) -> Callable[..., Any]:
    """The door of a handler of WebSockets, which FastAPI gives the WebSocket under this name.

    An end without `accept` closes the socket, which plain FastAPI leaves to the server: no client waits for ever.
    `closes`: so does an HTTPException, also where nothing stands around the handler. Plain FastAPI does not.
    """

    async def door(*args: Any, **values: Any) -> Any:
        if doors.are_several and doors.is_within(entry, values.get(name)):
            return await straight(values)
        websocket: WebSocket | None = values.pop(name, None) if hidden else values.get(name)
        if args or websocket is None:  # somebody calls it as they would call the handler
            return await entry(**by_name(entry, args, values))
        ctx = entry.context((), values, websocket)
        try:
            await run(ctx)
        except Exception as error:
            if not closes and entry.is_bare:
                raise
            answer = error if isinstance(error, HTTPException) else answer_of(error, websocket.scope)
            if answer is None:
                raise
            # FastAPI would answer with a response, which a WebSocket cannot send.
            raise WebSocketException(_POLICY_VIOLATION, _reason(answer.detail)) from error
        if websocket.application_state is WebSocketState.CONNECTING and _ANSWERED not in websocket.scope:
            await websocket.close(_POLICY_VIOLATION)
        return None

    return door


def _reason(detail: object) -> str:
    """At most 123 bytes of it go over the wire."""
    return detail.encode()[:123].decode(errors="ignore") if isinstance(detail, str) else ""
