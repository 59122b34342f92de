"""What the REST connector uses of httpx2 and httpx although their documentation does not have it.

Which of the two it is a client tells, so they are asked when a connector is made; see `interceptors.libraries`.
"""

import inspect
from collections.abc import AsyncIterator
from typing import Any, Protocol

from interceptors.connectors.rest.library import HTTP, URL, Headers, HTTPRequest, HTTPResponse
from interceptors.libraries import Library, uses

__all__ = [
    "ByteStream",
    "check",
    "is_asynchronous",
    "made_response",
    "replace_stream",
    "stream_class",
    "stream_of",
    "unread_request",
]


def check(http: HTTP) -> None:
    """Raises IncompatibleLibraryError if a client's library, httpx2 or httpx, is not as we know it."""
    library = Library(http.__name__)
    # Otherwise a client would send past the hooks.
    for method in ("request", "stream"):
        library.confirm(uses(http.AsyncClient, method, "send"), f"AsyncClient.{method}", "hook what a client sends")
    # Otherwise a body that nobody has read would be lost, or sent twice.
    purpose = "pass on a body that nobody has read"
    of_request: tuple[object, ...] = ("GET", "http://localhost")
    of_response: tuple[object, ...] = (200,)
    for cls, arguments in ((http.Request, of_request), (http.Response, of_response)):
        library.needed(cls(*arguments), "stream", purpose)
        library.confirm("stream" in inspect.signature(cls).parameters, f"{cls.__name__}(stream=)", purpose)
    for name in ("AsyncByteStream", "ByteStream"):
        library.needed(http, name, purpose)


def unread_request(
    http: HTTP, source: HTTPRequest, method: str, url: URL, headers: Headers, extensions: dict[str, Any]
) -> HTTPRequest:
    """A request with the body of another, which is not read yet; the library writes no header of its own."""
    given: Any = source
    return http.Request(method, url, headers=headers, stream=given.stream, extensions=extensions)


def made_response(
    http: Any, status_code: int, headers: Headers, content: bytes | None, **others: object
) -> HTTPResponse:
    """A response with this content; the library writes no header of its own."""
    response: HTTPResponse = http.Response(status_code, headers=headers, stream=http.ByteStream(content), **others)
    return response


class ByteStream(Protocol):
    """The body of a response that is not read yet."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


def stream_of(response: HTTPResponse) -> ByteStream:
    """The body of a response that is not read yet."""
    stream: ByteStream = getattr(response, "stream")  # noqa: B009 (its type does not say so)
    return stream


def replace_stream(response: HTTPResponse, stream: ByteStream) -> None:
    """Have the body of a response that is not read yet come from somewhere else."""
    setattr(response, "stream", stream)  # noqa: B010


def is_asynchronous(http: HTTP, response: HTTPResponse) -> bool:
    """Can its body be read by an asynchronous client?"""
    return isinstance(stream_of(response), stream_class(http))


def stream_class(http: HTTP) -> Any:
    """The base of asynchronous bodies."""
    return getattr(http, "AsyncByteStream")  # noqa: B009
