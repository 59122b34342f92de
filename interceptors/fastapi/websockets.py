"""WebSocket methods: the chain runs around the whole conversation."""

from collections.abc import Callable
from inspect import Parameter
from typing import Any

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketState

from interceptors.describing import location
from interceptors.entry import run
from interceptors.errors import InvalidTargetError
from interceptors.fastapi.endpoint import Endpoint, mark, route_target
from interceptors.fastapi.status_answers import answer_of
from interceptors.kinds import is_async
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["websocket_endpoint"]

_HIDDEN_CONNECTION = "_interceptors_connection"
_POLICY_VIOLATION = 1008


def websocket_endpoint(registry: InterceptorRegistry, target: Target) -> Callable[..., Any]:
    """The endpoint of a WebSocket method. Raises InvalidTargetError if it is not `async def`."""
    if not is_async(target.function):
        raise InvalidTargetError(
            f"{target.title} ({location(target.function)}) handles a WebSocket, so it has to be `async def`.",
            target.function,
        )
    info = Endpoint(registry, route_target(target))
    visible = target.signature.visible
    # FastAPI has one place for a parameter of this type: if the method wants it, we read it from there.
    own = next((parameter.name for parameter in visible if parameter.annotation is HTTPConnection), None)
    name = own or _HIDDEN_CONNECTION

    async def endpoint(**values: Any) -> None:
        websocket: WebSocket = values[name] if own else values.pop(name)
        ctx = info.entry.context((), values, websocket)
        try:
            await run(ctx)
        except Exception as error:
            answer = error if isinstance(error, HTTPException) else answer_of(error, websocket.scope)
            if answer is None:
                raise
            # FastAPI would answer with a response, which a WebSocket cannot send.
            raise WebSocketException(_POLICY_VIOLATION, _reason(answer.detail)) from error
        if websocket.application_state is WebSocketState.CONNECTING:  # a client must not wait for ever
            await websocket.close(_POLICY_VIOLATION)

    hidden = [] if own else [Parameter(name, Parameter.KEYWORD_ONLY, annotation=HTTPConnection)]
    return mark(endpoint, info, [*visible, *hidden], wraps=True)


def _reason(detail: object) -> str:
    """At most 123 bytes of it go over the wire."""
    return detail.encode()[:123].decode(errors="ignore") if isinstance(detail, str) else ""
