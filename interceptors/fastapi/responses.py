"""What happens to a `Response` that leaves a chain: it is never modified, as it may be a shared one.

FastAPI ignores the headers and the status of the injected response when a handler returns a `Response` of its own, and
drops the injected background tasks when that one has tasks. The copy that is sent gets all of them.
"""

from copy import copy
from functools import cache
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["merged"]


def merged(response: Response, injected: Response) -> Response:
    """A copy of `response` with the headers, the cookies and the status of the injected one."""
    result = copy(response)
    result.__dict__.pop("_headers", None)  # Starlette's view of the raw headers, which are replaced now
    names = {name for name, _ in injected.raw_headers if name != b"set-cookie"}
    result.raw_headers = [(name, value) for name, value in response.raw_headers if name not in names]
    result.raw_headers += injected.raw_headers
    if injected.status_code:  # FastAPI's injected response has none until somebody sets it
        result.status_code = injected.status_code
    if response.background is not None:
        # FastAPI gives its tasks only to a response that has none, so the response's own step aside until then.
        result.background = None
        cls: Any = type(response)
        result.__class__ = _with_own_tasks(cls)
        result.__dict__["_own_tasks"] = response.background
    return result


@cache  # per class, as a class statement would be
def _with_own_tasks(cls: Any) -> type[Response]:
    """The same class, with tasks that run after those of FastAPI."""

    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        await cls.__call__(self, scope, receive, send)
        await self._own_tasks()

    return type(cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__})
