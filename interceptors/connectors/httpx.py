"""REST: hooks around `send` of an `AsyncClient`, of httpx2 or httpx; whichever the client comes from is used.

>>> api = RESTConnector(httpx2.AsyncClient(base_url="https://api.example.org"))
>>> @api.after_execute
... async def location_in_body(ctx: RESTContext) -> None:
...     if ctx.req.method == "POST" and ctx.res.status_code == 201:
...         ctx.res.body["location"] = ctx.res.headers["location"]
"""

import sys
from typing import Any, TypeAlias, cast

from interceptors.connectors.connector import AnyConnector, Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.connectors.rest.exchange import close, closing, delivered, outgoing
from interceptors.connectors.rest.library import HTTP, HTTPRequest, HTTPResponse, is_request, is_response
from interceptors.connectors.rest.messages import Binding, RESTRequest, RESTResponse, bind, content_of
from interceptors.connectors.rest.undocumented import check, is_asynchronous, replace_stream, stream_of
from interceptors.errors import AlreadyHookedError

__all__ = ["RESTConnector", "RESTContext", "RESTRequest", "RESTResponse"]

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
        parent: AnyConnector | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        self._library = _library_of(client)
        check(self._library)
        other: AnyConnector | None = getattr(client, "_interceptors_connector", None)
        if other is not None:
            raise AlreadyHookedError(
                f"{client!r} is hooked by {other.name} already; use that connector, or share hooks with parent=.",
                client,
            )
        self.client = client
        self._binding = Binding(self._library, client)
        self._send_unhooked = client.send
        client.send = self._send
        client._interceptors_connector = self

    async def _send(self, request: HTTPRequest, *, stream: bool = False, **arguments: object) -> HTTPResponse:
        """What the client's `send` is now."""
        if not self.is_hooked:
            plain: HTTPResponse = await self._send_unhooked(request, stream=stream, **arguments)
            return plain
        options = dict(request.extensions)
        opened: list[HTTPResponse] = []

        async def operation(req: RESTRequest) -> RESTResponse:
            sent = outgoing(self._library, req, request, options)
            opened.append(await self._send_unhooked(sent, stream=stream, **arguments))
            return self._read_response(opened[-1])

        try:
            res = await self.execute(self._read_request(request), operation, options=options)
            response = delivered(self._library, res, opened[-1].request if opened else request)
            is_raw = cast("object", res.raw) is response
            if not stream:
                await response.aread()
            elif is_raw and not response.is_closed and all(response is not each for each in opened):
                # The hook's own stream may read from the client's: they are closed together.
                replace_stream(response, closing(self._library, stream_of(response), opened))
                return response
            if res.raw is not None:
                opened.append(res.raw)
        except BaseException:
            await close(opened)
            raise
        await close(each for each in opened if each is not response)
        return response

    def take_request(self, ctx: RESTContext, value: object) -> RESTRequest:
        """A RESTRequest or the library's Request."""
        if is_request(value, self._library):
            ctx.options.update(value.extensions)
            return self._read_request(value)
        if not isinstance(value, RESTRequest):
            raise TypeError(f"ctx.req takes a RESTRequest or the library's Request, not {value!r:.200}")
        bind(value, self._binding)
        return value

    def take_result(self, ctx: RESTContext, value: object, source: object = None) -> RESTResponse:
        """A RESTResponse, the library's Response, or a body for the status and headers of `source`, else of `ctx.res`."""
        if is_response(value, self._library):
            if not value.is_closed and not is_asynchronous(self._library, value):
                raise TypeError(f"{value!r} has a synchronous stream; give it an asynchronous one, or read it before.")
            return self._read_response(value)
        if isinstance(value, RESTResponse):
            result = value
            bind(result, self._binding)
        else:
            base: object = getattr(source, "res", source)
            base = ctx.res if base is None else base
            if is_response(base, self._library):
                base = self._read_response(base)
            if base is None:
                base = RESTResponse()
            elif not isinstance(base, RESTResponse):
                raise TypeError(f"Status and headers are those of a context or a response, not of {base!r:.200}")
            result = RESTResponse(base.status_code, headers=base.headers, body=value)
            bind(result, self._binding, base.raw)
        content = content_of(result)
        if content.is_given and content.is_new:
            content.encoded(result.headers)  # what JSON cannot hold is a TypeError in the hook's own line
        return result

    def _read_request(self, request: HTTPRequest) -> RESTRequest:
        req = RESTRequest(request.method, request.url, headers=request.headers)
        bind(req, self._binding, request)
        return req

    def _read_response(self, response: HTTPResponse) -> RESTResponse:
        res = RESTResponse(response.status_code, headers=response.headers)
        bind(res, self._binding, response)
        return res


def _library_of(client: object) -> HTTP:
    for cls in type(client).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in ("httpx", "httpx2"):
            library = cast("HTTP", sys.modules[root])
            if isinstance(client, library.AsyncClient):
                return library
            if isinstance(client, library.Client):
                raise TypeError(
                    f"RESTConnector takes an AsyncClient, not {type(client).__name__}: use {root}.AsyncClient."
                )
    raise TypeError(f"RESTConnector takes an AsyncClient of httpx2 or httpx, not {type(client).__name__}.")
