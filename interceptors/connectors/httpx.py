"""REST: hooks around `send` of an `AsyncClient`, of httpx2 or httpx; whichever the client comes from is used.

>>> api = RESTConnector(httpx2.AsyncClient(base_url="https://api.example.org"))
>>> @api.after_execute
... async def location_in_body(ctx: RESTContext) -> None:
...     if ctx.req.method == "POST" and ctx.res.status_code == 201:
...         ctx.res.body["location"] = ctx.res.headers["location"]
"""

import json
import re
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from email.message import Message
from typing import Any, TypeAlias, final

from interceptors.connectors.connector import Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.errors import AlreadyHookedError

__all__ = ["RESTConnector", "RESTContext", "RESTRequest", "RESTResponse"]

# What a message was read from, its headers and its URL are objects of the client's own library, so they are Any here.

_NOT_READ: Any = object()


class _Message:
    """What requests and responses have in common: headers, and a body that is read and written by its content type.

    The body is parsed when a hook asks for it. If none did, or what it got is as it was, the bytes stay as they are.
    """

    def __init__(self, headers: Any, body: Any) -> None:
        self._connector: RESTConnector | None = None
        self._source: Any = None  # the library's message that this was read from
        self._headers: Any = {} if headers is None else headers
        self._body = body  # `...` if it was not given, or is still in the source
        self._was: Any = _NOT_READ

    @property
    def headers(self) -> Any:
        """The library's Headers."""
        return self._headers

    @headers.setter
    def headers(self, value: Any) -> None:
        self._headers = value if self._connector is None else self._connector._library.Headers(value)

    @property
    def body(self) -> Any:
        """What its content type says: parsed JSON, text, or bytes; None if it is empty, or not read."""
        if self._body is ...:
            content = self._content()
            if content is None:
                return None  # a hook may read the source yet
            self._body = self._decoded(content)
            self._was = _frozen(self._body)
        return self._body

    @body.setter
    def body(self, value: Any) -> None:
        _ = self.body  # what it was has to be known
        self._body = value

    def _bind(self, connector: "RESTConnector", source: Any = None) -> None:
        """From now on it belongs to this connector's library; values that are not the library's own become so."""
        self._connector = connector
        self._source = self._source if source is None else source
        self.headers = self._headers

    def _content(self) -> bytes | None:
        """The bytes of the source, as far as they are known."""
        if self._connector is None or self._source is None:
            return None
        try:
            content: bytes = self._source.content
        except self._connector._library.StreamError:
            return None
        return content

    def _is_new_body(self) -> bool:
        if self._body is ...:
            return self._source is None
        return self._was is _NOT_READ or _frozen(self._body) != self._was

    def _decoded(self, content: bytes) -> Any:
        """JSON that is none is text."""
        if not content:
            return None
        media_type = _media_type(self._headers)
        if _is_json(media_type):
            try:
                return json.loads(content)
            except ValueError:
                pass
        elif not _is_text(media_type):
            return content
        for encoding in (*self._encodings(content), getattr(self._source, "encoding", None)):
            try:
                return content.decode(encoding or "utf-8", "replace")
            except (LookupError, UnicodeError):  # nobody knows it, or it is no encoding of texts
                continue
        return content.decode("utf-8", "replace")

    def _encoded(self) -> bytes:
        """The body as bytes; its content type becomes JSON where it has none, or one that cannot hold the body.

        Raises TypeError for what JSON cannot hold.
        """
        body, media_type = self._body, _media_type(self._headers)
        if isinstance(body, bytes | bytearray):
            return bytes(body)
        if isinstance(body, str) and media_type and not _is_json(media_type):
            for encoding in self._encodings(body):
                try:
                    return body.encode(encoding)
                except (LookupError, UnicodeError):
                    self._headers["content-type"] = f"{media_type}; charset=utf-8"
            return body.encode()
        if not _is_json(media_type):
            self._headers["content-type"] = "application/json"
        try:
            return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"JSON cannot hold the body {body!r:.200}: {error}") from None

    def _encodings(self, text: str | bytes) -> Sequence[str]:
        """Of the content type, else what XML says of itself."""
        content_type = Message()
        content_type["content-type"] = self._headers.get("content-type", "")
        charset = content_type.get_content_charset()
        if charset is None and _media_type(self._headers).endswith("xml"):
            start = text[:100] if isinstance(text, str) else text[:100].decode("ascii", "replace")
            declared = re.match(r"""<\?xml[^>]*\sencoding=["']([\w.:-]+)""", start)
            charset = declared and declared[1]
        return [charset] if charset else []


@final
class RESTRequest(_Message):
    """A request. `body` is parsed under a JSON content type, text for text, XML and forms, else bytes.

    It is None if it is empty, or not read, as uploads from an iterator are not. Without a content type it is JSON.
    """

    def __init__(self, method: str, url: Any, *, headers: Any = None, body: Any = ...) -> None:
        super().__init__(headers, body)
        self.method = method
        self._url = url

    @property
    def url(self) -> Any:
        """The library's URL. What is assigned may be a text; if it is relative, it is so to the client's `base_url`."""
        return self._url

    @url.setter
    def url(self, value: Any) -> None:
        if self._connector is not None:
            value = self._connector._library.URL(value)
            base = self._connector.client.base_url  # ends with a slash
            if value.is_relative_url and base.is_absolute_url:
                value = base.copy_with(raw_path=base.raw_path + value.raw_path.lstrip(b"/"))
        self._url = value

    def _bind(self, connector: "RESTConnector", source: Any = None) -> None:
        super()._bind(connector, source)
        if source is None:
            self.url = self._url

    def _decoded(self, content: bytes) -> Any:
        # The client sends what the caller has compressed as it is.
        return content if content and "content-encoding" in self._headers else super()._decoded(content)

    def __repr__(self) -> str:
        return f"<RESTRequest {self.method} {self._url}>"


@final
class RESTResponse(_Message):
    """A response; `body` as in a request, and not read for `client.stream`. Without `body` it is empty."""

    def __init__(self, status_code: int = 200, *, headers: Any = None, body: Any = ...) -> None:
        super().__init__(headers, body)
        self.status_code = status_code

    @property
    def raw(self) -> Any:
        """The library's Response that this was made from, or None."""
        return self._source

    def __repr__(self) -> str:
        return f"<RESTResponse {self.status_code}>"


RESTContext: TypeAlias = ConnectorContext[RESTRequest, RESTResponse]


class RESTConnector(Connector[RESTRequest, RESTResponse]):
    """Hooks everything a client sends. One execute is one `client.send`, redirects and authentication inside it.

    4xx and 5xx are answers; transport errors and time-outs run the error observers. `ctx.options` are the request's
    extensions. Raises TypeError for a synchronous client, AlreadyHookedError for a second connector on one client.

    >>> api = RESTConnector(httpx2.AsyncClient(base_url="https://api.example.org"))
    """

    def __init__(
        self,
        client: Any,
        *,
        name: str | None = None,
        parent: Connector[Any, Any] | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        self._library = _library_of(client)
        other: Connector[Any, Any] | None = getattr(client, "_interceptors_connector", None)
        if other is not None:
            raise AlreadyHookedError(
                f"{client!r} is hooked by {other.name} already; use that connector, or share hooks with parent=.",
                client,
            )
        self.client = client
        self._send_unhooked = client.send
        client.send = self._send
        client._interceptors_connector = self

    async def _send(self, request: Any, *, stream: bool = False, **arguments: Any) -> Any:
        """What the client's `send` is now."""
        if not self.is_hooked:
            return await self._send_unhooked(request, stream=stream, **arguments)
        options = dict(request.extensions)
        opened: list[Any] = []

        async def operation(req: RESTRequest) -> RESTResponse:
            outgoing = _outgoing(self._library, req, request, options)
            opened.append(await self._send_unhooked(outgoing, stream=stream, **arguments))
            return self._read_response(opened[-1])

        try:
            res = await self.execute(self._read_request(request), operation, options=options)
            delivered = _delivered(self._library, res, opened[-1].request if opened else request)
            if not stream:
                await delivered.aread()
            elif delivered is res.raw and not delivered.is_closed and all(delivered is not each for each in opened):
                # The hook's own stream may read from the client's: they are closed together.
                delivered.stream = _closing(self._library, delivered.stream, opened)
                return delivered
            if res.raw is not None:
                opened.append(res.raw)
        except BaseException:
            await _close(opened)
            raise
        await _close(response for response in opened if response is not delivered)
        return delivered

    def take_request(self, ctx: RESTContext, value: Any) -> RESTRequest:
        """A RESTRequest or the library's Request."""
        if isinstance(value, self._library.Request):
            ctx.options.update(value.extensions)
            return self._read_request(value)
        if not isinstance(value, RESTRequest):
            raise TypeError(f"ctx.req takes a RESTRequest or the library's Request, not {value!r:.200}")
        value._bind(self)
        return value

    def take_result(self, ctx: RESTContext, value: Any, source: Any = None) -> RESTResponse:
        """A RESTResponse, the library's Response, or a body for the status and headers of `source`, else of `ctx.res`."""
        if isinstance(value, self._library.Response):
            if not value.is_closed and not isinstance(value.stream, self._library.AsyncByteStream):
                raise TypeError(f"{value!r} has a synchronous stream; give it an asynchronous one, or read it before.")
            return self._read_response(value)
        if isinstance(value, RESTResponse):
            result = value
            result._bind(self)
        else:
            base: Any = getattr(source, "res", source)
            base = ctx.res if base is None else base
            if isinstance(base, self._library.Response):
                base = self._read_response(base)
            if base is None:
                base = RESTResponse()
            elif not isinstance(base, RESTResponse):
                raise TypeError(f"Status and headers are those of a context or a response, not of {base!r:.200}")
            result = RESTResponse(base.status_code, headers=base.headers, body=value)
            result._bind(self, base.raw)
        if result._body is not ... and result._is_new_body():
            result._encoded()  # what JSON cannot hold is a TypeError in the hook's own line
        return result

    def _read_request(self, request: Any) -> RESTRequest:
        req = RESTRequest(request.method, request.url, headers=request.headers)
        req._bind(self, request)
        return req

    def _read_response(self, response: Any) -> RESTResponse:
        res = RESTResponse(response.status_code, headers=response.headers)
        res._bind(self, response)
        return res


def _library_of(client: Any) -> Any:
    for cls in type(client).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in ("httpx", "httpx2"):
            library = sys.modules[root]
            if isinstance(client, library.AsyncClient):
                return library
            if isinstance(client, library.Client):
                raise TypeError(
                    f"RESTConnector takes an AsyncClient, not {type(client).__name__}: use {root}.AsyncClient."
                )
    raise TypeError(f"RESTConnector takes an AsyncClient of httpx2 or httpx, not {type(client).__name__}.")


# -- bodies ------------------------------------------------------------------------------------------------------------


def _media_type(headers: Any) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type.endswith(("/json", "+json"))


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type.endswith(("/xml", "+xml", "/x-www-form-urlencoded"))


def _frozen(body: Any) -> object:
    """Something that is equal as long as nobody changes the body."""
    kind: Any = body.__class__
    try:
        return kind, json.dumps(body) if kind in (dict, list) else body
    except (TypeError, ValueError, RecursionError):  # what a hook has put into it; `_encoded` tells
        return object()


# -- what goes out, and what comes back --------------------------------------------------------------------------------


def _outgoing(library: Any, req: RESTRequest, request: Any, extensions: dict[str, Any]) -> Any:
    """The request to send: the client's own if no hook changed anything."""
    source = req._source or request
    head = (req.method.upper(), req.url, req.headers.raw, extensions)
    is_new_body = req._is_new_body()
    if not is_new_body and head == (source.method, source.url, source.headers.raw, source.extensions):
        return source
    content = req._content()
    if is_new_body:
        content = b"" if req._body is ... or req._body is None else req._encoded()
    headers = req.headers.copy()
    if req.url.netloc != source.url.netloc and headers.get("host") == source.headers.get("host"):
        headers.pop("host", None)
    if is_new_body:
        # What a hook gives as bytes may be compressed as the headers say; anything else is not.
        _drop(headers, *_LENGTH, *(() if isinstance(req._body, bytes) else _ENCODING))
    if content is not None:
        return library.Request(req.method, req.url, headers=headers, content=content, extensions=extensions)
    # With `stream` the library writes no header of its own.
    if "host" not in headers:
        headers = library.Headers([("Host", req.url.netloc.decode("ascii")), *headers.multi_items()])
    return library.Request(req.method, req.url, headers=headers, stream=source.stream, extensions=extensions)


def _delivered(library: Any, res: RESTResponse, request: Any) -> Any:
    """The response for the caller: the very one that the client made if no hook changed it."""
    raw = res.raw
    is_new_body = res._is_new_body()
    content = res._content()
    of_raw: dict[str, Any] = {"request": request}
    next_request, elapsed = None, timedelta(0)
    if raw is not None:
        is_same_status = res.status_code == raw.status_code
        request = _request_of(raw)
        if not is_new_body and is_same_status and res.headers.raw == raw.headers.raw and request is not None:
            return raw
        extensions = {k: v for k, v in raw.extensions.items() if is_same_status or k != "reason_phrase"}
        of_raw = {"request": request or of_raw["request"], "extensions": extensions}
        if not is_new_body and content is None:  # nobody has read it: the caller reads its stream
            raw.status_code, raw.headers, raw.extensions = res.status_code, res.headers, extensions
            raw.request = of_raw["request"]
            return raw
        of_raw["history"] = raw.history
        if not is_new_body:
            of_raw["default_encoding"] = raw.default_encoding
        next_request, elapsed = raw.next_request, _elapsed(raw)
    if is_new_body:
        content = b"" if res._body is ... else res._encoded()
    headers = res.headers.copy()
    if is_new_body or content:  # the headers of an answer to HEAD stay
        _drop(headers, *_LENGTH, *_ENCODING)
    if content:
        headers["content-length"] = str(len(content))
    stream = library.ByteStream(content)
    response = library.Response(res.status_code, headers=headers, stream=stream, **of_raw)
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


async def _close(responses: Iterable[Any]) -> None:
    for response in responses:
        if not response.is_closed:
            await response.aclose()


def _closing(library: Any, stream: Any, others: list[Any]) -> Any:
    """A stream that closes other responses with itself."""

    class Closing(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in stream:
                yield chunk

        async def aclose(self) -> None:
            try:
                await stream.aclose()
            finally:
                await _close(others)

    return Closing()
