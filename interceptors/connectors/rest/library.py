"""What httpx2 and httpx have in common, as far as the REST connector uses it: their documented names."""

from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any, Protocol, TypeAlias, TypeGuard, overload

__all__ = [
    "HTTP",
    "URL",
    "Extensions",
    "HTTPClient",
    "HTTPRequest",
    "HTTPResponse",
    "Headers",
    "is_request",
    "is_response",
]

Extensions: TypeAlias = MutableMapping[str, Any]


class Headers(Protocol):
    """Headers of a message, whatever the case of their names."""

    @property
    def raw(self) -> list[tuple[bytes, bytes]]: ...
    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, default: str, /) -> str: ...
    def pop(self, key: str, default: None, /) -> str | None: ...
    def copy(self) -> "Headers": ...
    def multi_items(self) -> list[tuple[str, str]]: ...
    def __contains__(self, key: object) -> bool: ...
    def __setitem__(self, key: str, value: str) -> None: ...


class URL(Protocol):
    """An address."""

    @property
    def netloc(self) -> bytes: ...
    @property
    def raw_path(self) -> bytes: ...
    @property
    def is_relative_url(self) -> bool: ...
    @property
    def is_absolute_url(self) -> bool: ...
    def copy_with(self, *, raw_path: bytes) -> "URL": ...


class HTTPRequest(Protocol):
    """The library's Request."""

    method: str
    url: URL
    headers: Headers
    extensions: Extensions


class HTTPResponse(Protocol):
    """The library's Response."""

    status_code: int
    headers: Headers
    request: HTTPRequest
    """RuntimeError for a hook's own."""
    extensions: Extensions
    history: list["HTTPResponse"]
    next_request: HTTPRequest | None
    elapsed: timedelta
    """RuntimeError as long as it is open, and for a hook's own."""
    default_encoding: str | Callable[[bytes], str]
    is_closed: bool

    async def aread(self) -> bytes: ...
    async def aclose(self) -> None: ...


class HTTPClient(Protocol):
    """The library's AsyncClient."""

    @property
    def base_url(self) -> URL: ...


class HTTP(Protocol):
    """The library itself."""

    __name__: str

    @property
    def AsyncClient(self) -> type: ...  # noqa: N802
    @property
    def Client(self) -> type: ...  # noqa: N802
    @property
    def Headers(self) -> Callable[[object], Headers]: ...  # noqa: N802
    @property
    def URL(self) -> Callable[[object], URL]: ...  # noqa: N802
    @property
    def Request(self) -> Callable[..., HTTPRequest]: ...  # noqa: N802
    @property
    def Response(self) -> Callable[..., HTTPResponse]: ...  # noqa: N802
    @property
    def StreamError(self) -> type[Exception]: ...  # noqa: N802


def is_request(value: object, http: HTTP) -> TypeGuard[HTTPRequest]:
    """Is it a Request of this library's?"""
    cls: Any = http.Request
    return isinstance(value, cls)


def is_response(value: object, http: HTTP) -> TypeGuard[HTTPResponse]:
    """Is it a Response of this library's?"""
    cls: Any = http.Response
    return isinstance(value, cls)
