"""What REST requests and responses look like to a hook.

What a message was read from, its headers and its URL are objects of the client's own library, so they are Any here.
"""

from typing import TYPE_CHECKING, Any, final

from interceptors.connectors.rest.bodies import decoded, encoded, frozen

if TYPE_CHECKING:
    from interceptors.connectors.httpx import RESTConnector

__all__ = ["RESTRequest", "RESTResponse"]

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
            self._was = frozen(self._body)
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
        return self._was is _NOT_READ or frozen(self._body) != self._was

    def _decoded(self, content: bytes) -> Any:
        return decoded(content, self._headers, self._source)

    def _encoded(self) -> bytes:
        """The body as bytes, and the headers as they are then. Raises TypeError for what JSON cannot hold."""
        return encoded(self._body, self._headers)


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
