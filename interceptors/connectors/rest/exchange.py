"""What goes out, and what comes back: the library's Request that is sent, the library's Response that the caller gets."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

from interceptors.connectors.rest.library import HTTP, Headers, HTTPRequest, HTTPResponse
from interceptors.connectors.rest.messages import RESTRequest, RESTResponse, content_of
from interceptors.connectors.rest.undocumented import ByteStream, made_response, stream_class, unread_request

__all__ = ["close", "closing", "delivered", "outgoing"]


def outgoing(library: HTTP, req: RESTRequest, request: HTTPRequest, extensions: dict[str, Any]) -> HTTPRequest:
    """The request to send: the client's own if no hook changed anything."""
    content = content_of(req)
    source: HTTPRequest = content.source or request
    head = (req.method.upper(), req.url, req.headers.raw, extensions)
    is_new_body = content.is_new
    if not is_new_body and head == (source.method, source.url, source.headers.raw, source.extensions):
        return source
    body = content.raw
    if is_new_body:
        body = b"" if content.is_empty else content.encoded(req.headers)
    headers: Headers = req.headers.copy()
    if req.url.netloc != source.url.netloc and headers.get("host") == source.headers.get("host"):
        headers.pop("host", None)
    if is_new_body:
        # What a hook gives as bytes may be compressed as the headers say; anything else is not.
        _drop(headers, *_LENGTH, *(() if content.is_bytes else _ENCODING))
    if body is not None:
        return library.Request(req.method, req.url, headers=headers, content=body, extensions=extensions)
    # With `stream` the library writes no header of its own.
    if "host" not in headers:
        headers = library.Headers([("Host", req.url.netloc.decode("ascii")), *headers.multi_items()])
    return unread_request(library, source, req.method, req.url, headers, extensions)


def delivered(library: HTTP, res: RESTResponse, request: HTTPRequest) -> HTTPResponse:
    """The response for the caller: the very one that the client made if no hook changed it."""
    raw: HTTPResponse | None = res.raw
    content = content_of(res)
    is_new_body, body = content.is_new, content.raw
    of_raw: dict[str, object] = {"request": request}
    next_request, elapsed = None, timedelta(0)
    if raw is not None:
        is_same_status = res.status_code == raw.status_code
        of_its_own = _request_of(raw)
        if not is_new_body and is_same_status and res.headers.raw == raw.headers.raw and of_its_own is not None:
            return raw
        extensions = {k: v for k, v in raw.extensions.items() if is_same_status or k != "reason_phrase"}
        request = of_its_own or request
        of_raw = {"request": request, "extensions": extensions}
        if not is_new_body and body is None:  # nobody has read it: the caller reads its stream
            raw.status_code, raw.headers, raw.extensions = res.status_code, res.headers, extensions
            raw.request = request
            return raw
        of_raw["history"] = raw.history
        if not is_new_body:
            of_raw["default_encoding"] = raw.default_encoding
        next_request, elapsed = raw.next_request, _elapsed(raw)
    if is_new_body:
        body = content.encoded(res.headers) if content.is_given else b""
    headers: Headers = res.headers.copy()
    if is_new_body or body:  # the headers of an answer to HEAD stay
        _drop(headers, *_LENGTH, *_ENCODING)
    if body:
        headers["content-length"] = str(len(body))
    response = made_response(library, res.status_code, headers, body, **of_raw)
    response.next_request, response.elapsed = next_request, elapsed
    return response


_LENGTH = ("content-length", "transfer-encoding")
_ENCODING = ("content-encoding",)


def _drop(headers: Headers, *names: str) -> None:
    for name in names:
        headers.pop(name, None)


def _request_of(response: HTTPResponse) -> HTTPRequest | None:
    try:
        return response.request
    except RuntimeError:  # a hook's own response has none
        return None


def _elapsed(response: HTTPResponse) -> timedelta:
    try:
        return response.elapsed
    except RuntimeError:  # it is open, or a hook made it
        return timedelta(0)


async def close(responses: Iterable[HTTPResponse]) -> None:
    for response in responses:
        if not response.is_closed:
            await response.aclose()


def closing(library: HTTP, stream: ByteStream, others: list[HTTPResponse]) -> ByteStream:
    """A stream that closes other responses with itself."""

    class Closing(stream_class(library)):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in stream:
                yield chunk

        async def aclose(self) -> None:
            try:
                await stream.aclose()
            finally:
                await close(others)

    closes: ByteStream = Closing()
    return closes
