"""What REST requests and responses look like to a hook.

What a message was read from, its headers and its URL are objects of the client's own library, so they are Any here.
"""

from dataclasses import dataclass
from typing import Any, final

from interceptors.connectors.rest.bodies import decoded
from interceptors.connectors.rest.contents import Content, Decode
from interceptors.connectors.rest.library import HTTP, URL, Headers, HTTPClient

__all__ = ["Binding", "RESTRequest", "RESTResponse", "bind", "content_of"]


@final
@dataclass(frozen=True, slots=True)
class Binding:
    """The client that a message belongs to."""

    http: HTTP
    """The client's library, httpx2 or httpx."""
    client: HTTPClient


class _Message:
    """What requests and responses have in common: headers, and a body that is read and written by its content type."""

    def __init__(self, headers: object, body: object, decode: Decode = decoded) -> None:
        self._binding: Binding | None = None
        self._headers: Any = {} if headers is None else headers
        self._content = Content(body, decode)

    @property
    def headers(self) -> Any:
        """The library's Headers."""
        return self._headers

    @headers.setter
    def headers(self, value: object) -> None:
        self._headers = value if self._binding is None else self._binding.http.Headers(value)

    @property
    def body(self) -> Any:
        """What its content type says: parsed JSON, text, or bytes; None if it is empty, or not read."""
        return self._content.read(self._headers)

    @body.setter
    def body(self, value: object) -> None:
        self._content.replace(value, self._headers)

    def _bind(self, binding: Binding, source: object) -> None:
        self._binding = binding
        self._content.read_from(binding.http, source)
        self.headers = self._headers


@final
class RESTRequest(_Message):
    """A request. `body` is parsed under a JSON content type, text for text, XML and forms, else bytes.

    It is None if it is empty, or not read, as uploads from an iterator are not. Without a content type it is JSON.
    """

    def __init__(self, method: str, url: object, *, headers: object = None, body: object = ...) -> None:
        super().__init__(headers, body, _decoded_if_plain)
        self.method = method
        self._url: Any = url

    @property
    def url(self) -> Any:
        """The library's URL. What is assigned may be a text; if it is relative, it is so to the client's `base_url`."""
        return self._url

    @url.setter
    def url(self, value: object) -> None:
        self._url = value if self._binding is None else _absolute(self._binding, value)

    def _bind(self, binding: Binding, source: object) -> None:
        super()._bind(binding, source)
        if source is None:
            self.url = self._url

    def __repr__(self) -> str:
        return f"<RESTRequest {self.method} {self._url}>"


def _decoded_if_plain(content: bytes, headers: Headers, source: object) -> Any:
    # The client sends what the caller has compressed as it is.
    return content if content and "content-encoding" in headers else decoded(content, headers, source)


@final
class RESTResponse(_Message):
    """A response; `body` as in a request, and not read for `client.stream`. Without `body` it is empty."""

    def __init__(self, status_code: int = 200, *, headers: object = None, body: object = ...) -> None:
        super().__init__(headers, body)
        self.status_code = status_code

    @property
    def raw(self) -> Any:
        """The library's Response that this was made from, or None."""
        return self._content.source

    def __repr__(self) -> str:
        return f"<RESTResponse {self.status_code}>"


def _absolute(binding: Binding, value: object) -> URL:
    url = binding.http.URL(value)
    base = binding.client.base_url  # ends with a slash
    if url.is_relative_url and base.is_absolute_url:
        return base.copy_with(raw_path=base.raw_path + url.raw_path.lstrip(b"/"))
    return url


def bind(message: RESTRequest | RESTResponse, binding: Binding, source: object = None) -> None:
    """From now on it belongs to this client; values that are not its library's own become so. `source`: see `Content`."""
    message._bind(binding, source)


def content_of(message: RESTRequest | RESTResponse) -> Content:
    """The content, for what sends and delivers messages."""
    return message._content
