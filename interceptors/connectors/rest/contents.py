"""The content of a REST message: the bytes that it was read from, or the body that a hook gave it."""

from collections.abc import Callable
from typing import Any, TypeAlias, final

from interceptors.connectors.rest.bodies import encoded, frozen
from interceptors.connectors.rest.library import HTTP, Headers

__all__ = ["Content", "Decode"]

_NOT_READ = object()


Decode: TypeAlias = Callable[[bytes, Headers, object], Any]
"""Makes a body of bytes, headers and the message that they are from."""


@final
class Content:
    """A body is parsed when a hook asks for it. If none did, or what it got is as it was, the bytes stay as they are.

    `body` is `...` where none was given. `decode` gets the bytes, the headers and the source.
    """

    __slots__ = ("_body", "_decode", "_http", "_was", "source")

    def __init__(self, body: Any, decode: Decode) -> None:
        self.source: Any = None
        """The library's message that it was read from."""
        self._body = body
        self._decode = decode
        self._http: HTTP | None = None
        self._was: object = _NOT_READ

    def read_from(self, http: HTTP, source: object) -> None:
        """From now on it is what a message of this library's holds; None leaves it as it is."""
        self._http = http
        self.source = self.source if source is None else source

    def read(self, headers: Headers) -> Any:
        """What the content type says; None if it is empty, or not read."""
        if self._body is ...:
            raw = self.raw
            if raw is None:
                return None  # a hook may read the source yet
            self._body = self._decode(raw, headers, self.source)
            self._was = frozen(self._body)
        return self._body

    def replace(self, body: object, headers: Headers) -> None:
        """What a hook assigns."""
        _ = self.read(headers)  # what it was has to be known
        self._body = body

    @property
    def raw(self) -> bytes | None:
        """The bytes of the source, as far as they are known."""
        if self._http is None or self.source is None:
            return None
        try:
            content: bytes = self.source.content
        except self._http.StreamError:
            return None
        return content

    @property
    def is_new(self) -> bool:
        """Are the bytes of the source not what is to go out?"""
        if self._body is ...:
            return self.source is None
        return self._was is _NOT_READ or frozen(self._body) != self._was

    @property
    def is_given(self) -> bool:
        """Is there a body, if an empty one?"""
        return self._body is not ...

    @property
    def is_empty(self) -> bool:
        """Is there none, or None?"""
        return self._body is ... or self._body is None

    @property
    def is_bytes(self) -> bool:
        """Has a hook given the very bytes?"""
        return isinstance(self._body, bytes)

    def encoded(self, headers: Headers) -> bytes:
        """The body as bytes, and the headers as they are then. Raises TypeError for what JSON cannot hold."""
        return encoded(self._body, headers)
