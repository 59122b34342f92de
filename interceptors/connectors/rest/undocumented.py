"""What the REST connector uses of httpx2 and httpx although their documentation does not have it.

Which of the two it is a client tells, so they are asked when a connector is made; see `interceptors.libraries`.
"""

import inspect
from collections.abc import AsyncIterable
from typing import Any

from interceptors.libraries import Library, uses

__all__ = ["check", "is_asynchronous", "made_response", "replace_stream", "stream_class", "stream_of", "unread_request"]


def check(http: Any) -> None:
    """Raises IncompatibleLibraryError if a client's library, httpx2 or httpx, is not as we know it."""
    library = Library(http.__name__)
    # Otherwise a client would send past the hooks.
    for method in ("request", "stream"):
        library.confirm(uses(http.AsyncClient, method, "send"), f"AsyncClient.{method}", "hook what a client sends")
    # Otherwise a body that nobody has read would be lost, or sent twice.
    purpose = "pass on a body that nobody has read"
    for cls, arguments in ((http.Request, ("GET", "http://localhost")), (http.Response, (200,))):
        library.needed(cls(*arguments), "stream", purpose)
        library.confirm("stream" in inspect.signature(cls).parameters, f"{cls.__name__}(stream=)", purpose)
    for name in ("AsyncByteStream", "ByteStream"):
        library.needed(http, name, purpose)


def unread_request(http: Any, source: Any, method: str, url: Any, headers: Any, extensions: dict[str, Any]) -> Any:
    """A request with the body of another, which is not read yet; the library writes no header of its own."""
    return http.Request(method, url, headers=headers, stream=source.stream, extensions=extensions)


def made_response(http: Any, status_code: int, headers: Any, content: bytes | None, **others: Any) -> Any:
    """A response with this content; the library writes no header of its own."""
    return http.Response(status_code, headers=headers, stream=http.ByteStream(content), **others)


def stream_of(response: Any) -> AsyncIterable[bytes]:
    """The body of a response that is not read yet."""
    stream: AsyncIterable[bytes] = response.stream
    return stream


def replace_stream(response: Any, stream: object) -> None:
    """Have the body of a response that is not read yet come from somewhere else."""
    response.stream = stream


def is_asynchronous(http: Any, response: Any) -> bool:
    """Can its body be read by an asynchronous client?"""
    return isinstance(response.stream, http.AsyncByteStream)


def stream_class(http: Any) -> Any:
    """The base of asynchronous bodies."""
    return http.AsyncByteStream
