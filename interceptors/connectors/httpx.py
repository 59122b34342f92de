"""REST: hooks around `send` of an `AsyncClient`, of httpx2 or httpx; whichever the client comes from is used.

api = RESTConnector(httpx2.AsyncClient(base_url="https://api.example.org"))

@api.after_execute
async def location_in_body(ctx: RESTContext) -> None:
    if ctx.req.method == "POST" and ctx.res.status_code == 201:
        ctx.res.body["location"] = ctx.res.headers["location"]
"""

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias, final

from interceptors.connectors.connector import Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.errors import AlreadyHookedError

__all__ = ["RESTConnector", "RESTContext", "RESTRequest", "RESTResponse"]

_NOT_GIVEN: Any = ...
_LENGTH_AND_ENCODING = ("content-length", "transfer-encoding", "content-encoding")


class _Message:
    """What requests and responses have in common: headers, and a body that is read and written by its content type."""

    headers: Any
    """The library's Headers."""

    def __init__(self, headers: Any, body: Any) -> None:
        self.headers = {} if headers is None else headers
        self.body = None if body is _NOT_GIVEN else body
        self._library: Any = None
        # What it was when it was read; a body of which nothing was read cannot have changed in place.
        self._was: Any = None

    def _bind(self, library: Any) -> None:
        """Make headers given as a mapping the library's own."""
        if self._library is None:
            self._library = library
            self.headers = library.Headers(self.headers)

    def _is_new_body(self) -> bool:
        return self._was is None or self._snapshot() != self._was

    def _snapshot(self) -> Any:
        return type(self.body), self.body if isinstance(self.body, str | bytes) else json.dumps(self.body, default=repr)

    def _keep(self) -> None:
        self._was = self._snapshot()


@final
class RESTRequest(_Message):
    """A request. `body` is parsed under a JSON content type, text for text, XML and forms, else bytes.

    It is None if it is empty, or not read, as uploads from an iterator are not. Without a content type it is JSON.
    """

    def __init__(self, method: str, url: Any, *, headers: Any = None, body: Any = ...) -> None:
        super().__init__(headers, body)
        self.method = method
        self.url = url
        """The library's URL; a text is made one."""

    def _bind(self, library: Any) -> None:
        super()._bind(library)
        self.url = library.URL(self.url)

    def __repr__(self) -> str:
        return f"<RESTRequest {self.method} {self.url}>"


@final
class RESTResponse(_Message):
    """A response; `body` as in a request, and not read for `client.stream`. `raw` is the library's Response, or None."""

    def __init__(self, status_code: int = 200, *, headers: Any = None, body: Any = ...) -> None:
        super().__init__(headers, body)
        self.status_code = status_code
        self.raw: Any = None
        self._is_empty = body is _NOT_GIVEN

    def __repr__(self) -> str:
        return f"<RESTResponse {self.status_code}>"


RESTContext: TypeAlias = ConnectorContext[RESTRequest, RESTResponse]


class RESTConnector(Connector[RESTRequest, RESTResponse]):
    """Hooks everything a client sends. One execute is one `client.send`, redirects and authentication inside it.

    4xx and 5xx are answers; transport errors and time-outs run the error observers. `ctx.options` are the request's
    extensions. Raises TypeError for a synchronous client, AlreadyHookedError for a second connector on one client.
    """

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(**options)
        self._library = _library_of(client)
        if isinstance(getattr(client.send, "__self__", None), RESTConnector):
            raise AlreadyHookedError(
                f"This {type(client).__name__} has a RESTConnector already; add hooks to that one, or share them: "
                f"make both connectors with `parent=`.",
                client,
            )
        self.client = client
        self._send_unhooked = client.send
        client.send = self._send

    async def _send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """What the client's `send` is now."""
        if not self.is_hooked:
            return await self._send_unhooked(request, stream=stream, **options)

        async def operation(req: RESTRequest) -> RESTResponse:
            outgoing = _to_request(self._library, req, request)
            return _from_response(self._library, await self._send_unhooked(outgoing, stream=stream, **options), stream)

        req = _from_request(self._library, request)
        res = await self.execute(req, operation, options=request.extensions)
        return await _to_response(self._library, res, request)

    def take_request(self, ctx: RESTContext, value: Any) -> RESTRequest:
        """A RESTRequest or the library's Request."""
        if isinstance(value, self._library.Request):
            return _from_request(self._library, value)
        if not isinstance(value, RESTRequest):
            raise TypeError(f"ctx.req takes a RESTRequest or a Request, not {value!r}")
        value._bind(self._library)
        return value

    def take_result(self, ctx: RESTContext, value: Any, source: Any = None) -> RESTResponse:
        """A RESTResponse, the library's Response, or a body for the status and headers of `source`, else of `ctx.res`."""
        if isinstance(value, self._library.Response):
            return _from_response(self._library, value, stream=not value.is_closed)
        if isinstance(value, RESTResponse):
            result = value
        else:
            base: Any = getattr(source, "res", source)
            base = ctx.res if base is None else base
            status, headers = (200, {}) if base is None else (base.status_code, _without_encoding(base.headers))
            result = RESTResponse(status, headers=headers, body=value)
        result._bind(self._library)
        _encoded(result)  # what JSON cannot hold is a TypeError in the hook's own line
        return result


def _library_of(client: Any) -> Any:
    for cls in type(client).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in ("httpx", "httpx2"):
            library = sys.modules[root]
            if isinstance(client, library.AsyncClient):
                return library
            if isinstance(client, library.Client):
                raise TypeError("RESTConnector hooks asynchronous clients: give it an AsyncClient, not a Client.")
    raise TypeError(f"RESTConnector takes an AsyncClient of httpx2 or httpx, not {type(client).__name__}")


# -- bodies ------------------------------------------------------------------------------------------------------------


def _media_type(headers: Any) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _is_text(media_type: str) -> bool:
    kind, _, name = media_type.partition("/")
    return kind == "text" or name in ("xml", "x-www-form-urlencoded") or name.endswith("+xml")


def _charset(headers: Any) -> str:
    _, _, charset = str(headers.get("content-type", "")).lower().partition("charset=")
    return charset.partition(";")[0].strip(' "') or "utf-8"


def _decoded(content: bytes, headers: Any) -> Any:
    """The body of a message. JSON that is none stays text."""
    media_type = _media_type(headers)
    if not content:
        return None
    if _is_json(media_type):
        try:
            return json.loads(content)
        except ValueError:
            return content.decode(_charset(headers), "replace")
    if _is_text(media_type):
        try:
            return content.decode(_charset(headers), "replace")
        except LookupError:  # a charset that nobody knows
            return content.decode("utf-8", "replace")
    return content


def _encoded(message: _Message) -> bytes:
    """The body as bytes; its content type becomes JSON where it has none, or one that cannot hold the body.

    Raises TypeError for what JSON cannot hold.
    """
    body = message.body
    media_type = _media_type(message.headers)
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if isinstance(body, str) and media_type and not _is_json(media_type):
        return body.encode(_charset(message.headers))
    if not _is_json(media_type):
        message.headers["content-type"] = "application/json"
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise TypeError(f"JSON cannot hold the body {body!r}: {error}") from None


def _without_encoding(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.multi_items() if name.lower() not in _LENGTH_AND_ENCODING]


# -- requests ----------------------------------------------------------------------------------------------------------


def _from_request(library: Any, request: Any) -> RESTRequest:
    try:
        content: bytes | None = request.content
    except library.RequestNotRead:
        content = None
    req = RESTRequest(
        request.method, request.url, headers=request.headers.copy(), body=_decoded(content or b"", request.headers)
    )
    req._bind(library)
    req._keep()
    return req


def _to_request(library: Any, req: RESTRequest, request: Any) -> Any:
    """The request to send: the client's own if no hook changed it."""
    req._bind(library)
    req.url = url = library.URL(req.url)
    is_new_body = req._is_new_body()
    same_head = req.method == request.method and url == request.url and req.headers.raw == request.headers.raw
    if same_head and not is_new_body:
        return request
    if url.host != request.url.host and req.headers.get("host") == request.headers.get("host"):
        req.headers.pop("host", None)  # the library writes the new one
    if not is_new_body:
        return library.Request(
            req.method, url, headers=req.headers, stream=request.stream, extensions=request.extensions
        )
    content = b"" if req.body is None else _encoded(req)
    headers = _without_encoding(req.headers)
    return library.Request(req.method, url, headers=headers, content=content, extensions=request.extensions)


# -- responses ---------------------------------------------------------------------------------------------------------


def _from_response(library: Any, response: Any, stream: bool) -> RESTResponse:
    body = None if stream else _decoded(response.content, response.headers)
    res = RESTResponse(response.status_code, headers=response.headers.copy(), body=body)
    res._bind(library)
    res.raw = response
    res._keep()
    return res


async def _to_response(library: Any, res: RESTResponse, request: Any) -> Any:
    """The response for the caller: the very one that the client made if no hook changed it."""
    raw = res.raw
    is_new_body = res._is_new_body()
    if (
        raw is not None
        and not is_new_body
        and res.status_code == raw.status_code
        and res.headers.raw == raw.headers.raw
    ):
        return raw
    if raw is not None and not is_new_body:
        body: Mapping[str, Any] = {"stream": raw.stream} if not raw.is_closed else {"content": raw.content}
        headers = res.headers if not raw.is_closed else _without_encoding(res.headers)
    else:
        content = b"" if res._is_empty and res.body is None else _encoded(res)
        body, headers = {"content": content}, _without_encoding(res.headers)
        if raw is not None:
            await raw.aclose()
    response = library.Response(res.status_code, headers=headers, request=raw.request if raw else request, **body)
    response.history = list(raw.history) if raw is not None else []
    response.next_request = raw.next_request if raw is not None else None
    response.elapsed = raw.elapsed if raw is not None and raw.is_closed else timedelta(0)
    return response
