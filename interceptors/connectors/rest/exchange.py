"""What goes out, and what comes back: the library's Request that is sent, the library's Response that the caller gets."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

from interceptors.connectors.rest.messages import RESTRequest, RESTResponse, content_of
from interceptors.connectors.rest.undocumented import made_response, stream_class, unread_request

__all__ = ["close", "closing", "delivered", "outgoing"]


def outgoing(library: Any, req: RESTRequest, request: Any, extensions: dict[str, Any]) -> Any:
    """The request to send: the client's own if no hook changed anything."""
    content = content_of(req)
    source = content.source or request
    head = (req.method.upper(), req.url, req.headers.raw, extensions)
    is_new_body = content.is_new
    if not is_new_body and head == (source.method, source.url, source.headers.raw, source.extensions):
        return source
    body = content.raw
    if is_new_body:
        body = b"" if content.is_empty else content.encoded(req.headers)
    headers = req.headers.copy()
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


def delivered(library: Any, res: RESTResponse, request: Any) -> Any:
    """The response for the caller: the very one that the client made if no hook changed it."""
    raw = res.raw
    content = content_of(res)
    is_new_body, body = content.is_new, content.raw
    of_raw: dict[str, Any] = {"request": request}
    next_request, elapsed = None, timedelta(0)
    if raw is not None:
        is_same_status = res.status_code == raw.status_code
        request = _request_of(raw)
        if not is_new_body and is_same_status and res.headers.raw == raw.headers.raw and request is not None:
            return raw
        extensions = {k: v for k, v in raw.extensions.items() if is_same_status or k != "reason_phrase"}
        of_raw = {"request": request or of_raw["request"], "extensions": extensions}
        if not is_new_body and body is None:  # nobody has read it: the caller reads its stream
            raw.status_code, raw.headers, raw.extensions = res.status_code, res.headers, extensions
            raw.request = of_raw["request"]
            return raw
        of_raw["history"] = raw.history
        if not is_new_body:
            of_raw["default_encoding"] = raw.default_encoding
        next_request, elapsed = raw.next_request, _elapsed(raw)
    if is_new_body:
        body = content.encoded(res.headers) if content.is_given else b""
    headers = res.headers.copy()
    if is_new_body or body:  # the headers of an answer to HEAD stay
        _drop(headers, *_LENGTH, *_ENCODING)
    if body:
        headers["content-length"] = str(len(body))
    response = made_response(library, res.status_code, headers, body, **of_raw)
    response.next_request, response.elapsed = next_request, elapsed
    return response


_LENGTH = ("content-length", "transfer-encoding")
_ENCODING = ("content-encoding",)


def _drop(headers: Any, *names: str) -> None:
    for name in names:
        headers.pop(name, None)


def _request_of(response: Any) -> Any:
    try:
        return response.request
    except RuntimeError:  # a hook's own response has none
        return None


def _elapsed(response: Any) -> timedelta:
    try:
        elapsed: timedelta = response.elapsed
    except RuntimeError:  # it is open, or a hook made it
        return timedelta(0)
    return elapsed


async def close(responses: Iterable[Any]) -> None:
    for response in responses:
        if not response.is_closed:
            await response.aclose()


def closing(library: Any, stream: Any, others: list[Any]) -> Any:
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

    return Closing()
