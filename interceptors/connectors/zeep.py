"""SOAP: hooks around the operations of a zeep `AsyncClient`.

prices = await SOAPConnector.load("https://example.org/prices?wsdl")

@prices.before_execute
def in_euro(ctx: SOAPContext) -> None:
    ctx.req.kwargs.setdefault("currency", "EUR")

await prices.client.service.PriceOf(article=7)

zeep builds its proxies from a dict of operations. The client's `bind`, through which `client.service` goes too, gives
proxies whose operations are executes; what zeep does with an operation stays zeep's.
"""

import logging
import os
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Self, TypeAlias, cast, final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from anyio import CancelScope, from_thread, to_thread

from interceptors.connectors.connector import Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.connectors.copies import own, own_items
from interceptors.errors import AlreadyHookedError, MissingExtraError

try:
    import httpx2
    from zeep import AnyObject, AsyncClient, Client, Plugin, Settings
    from zeep.exceptions import TransportError
    from zeep.proxy import AsyncOperationProxy, AsyncServiceProxy
    from zeep.transports import AsyncTransport
    from zeep.xsd import CompoundValue
except ImportError as error:
    raise MissingExtraError("interceptors.connectors.zeep", "zeep") from error

__all__ = ["SOAPConnector", "SOAPContext", "SOAPRequest"]

_is: Callable[[Any, Any], bool] = isinstance  # an Any that it is asked about stays one to a type checker
_error: Any = TransportError  # zeep has types here and there


@final
@dataclass(slots=True)
class SOAPRequest:
    """A call of an operation, as it is written with zeep; `headers` are zeep's `_soapheaders`, a dict or a list.

    Dicts, lists and zeep's own values in it are the hook's copies: the caller's never change.
    """

    operation: str
    args: list[Any] = field(default_factory=list[Any])
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: Any = None


SOAPContext: TypeAlias = ConnectorContext[SOAPRequest, Any]


class SOAPConnector(Connector[SOAPRequest, Any]):
    """Hooks the operations of `client.service` and of everything that `client.bind` gives from now on.

    `ctx.res` is what zeep makes of the answer; any value is a result. A `Fault` and arguments that the operation does
    not take are errors. Not hooked: `client.create_service`, which is synchronous in zeep.
    Raises TypeError for a synchronous client, AlreadyHookedError for a second connector on one client.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        name: str | None = None,
        parent: Connector[Any, Any] | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        given: Any = client
        if not _is(given, AsyncClient):
            kind = "a synchronous zeep.Client" if _is(given, Client) else type(given).__name__
            raise TypeError(f"{self.name} hooks asynchronous clients: give it a zeep.AsyncClient, not {kind}.")
        present = getattr(given.bind, "__self__", None)
        if isinstance(present, SOAPConnector):
            raise AlreadyHookedError(
                f"This {type(given).__name__} is hooked by {present.name} already; use that connector, or share hooks "
                f"with parent=.",
                given,
            )
        self.client: AsyncClient = given
        self._bind_unhooked: Any = given.bind
        given.bind = self._bind
        given._default_service = None  # taken before: `client.service` makes it anew, hooked

    @classmethod
    async def load(
        cls,
        wsdl: str | os.PathLike[str] | IO[bytes],
        *,
        http: httpx2.AsyncClient | None = None,
        settings: Settings | None = None,
        plugins: list[Plugin] | None = None,
        wsse: Any = None,
        name: str | None = None,
        parent: Connector[Any, Any] | None = None,
        next_timeout: float = 30.0,
    ) -> Self:
        """Read a WSDL, from a URL or a file, and connect to it: `connector.client` is a new zeep client over `http`.

        The WSDL is fetched with `http` as well, so with its authentication and time-outs, but past its hooks; it is
        read in a thread. Without `http` the client has one of its own, with httpx2's time-outs, which
        `async with connector.client` closes.
        """
        transport = Httpx2Transport(http)
        location = os.fspath(wsdl) if isinstance(wsdl, os.PathLike) else wsdl
        make = partial(AsyncClient, location, transport=transport, settings=settings, plugins=plugins, wsse=wsse)
        try:
            return cls(await to_thread.run_sync(make), name=name, parent=parent, next_timeout=next_timeout)
        except BaseException:
            with CancelScope(shield=True):
                await transport.aclose()
            raise

    def take_request(self, ctx: SOAPContext, value: Any) -> SOAPRequest:
        """Only a SOAPRequest."""
        if not isinstance(value, SOAPRequest):
            raise TypeError(f"ctx.req takes a SOAPRequest, not {type(value).__name__}: {value!r:.80}")
        return value

    def _bind(self, *args: Any, **kwargs: Any) -> Any:
        """What the client's `bind` is now; None, as zeep's, if the WSDL has no service."""
        proxy: Any = self._bind_unhooked(*args, **kwargs)
        if proxy is not None:
            plain = proxy._operations
            proxy._operations = {name: HookedOperation(self, proxy, name, plain) for name in plain}
        return proxy


# No docstring, like zeep's own: it would be that of every operation.
class HookedOperation(AsyncOperationProxy):
    def __init__(self, connector: SOAPConnector, proxy: AsyncServiceProxy, name: str, plain: Mapping[str, Any]) -> None:
        cast("Any", super()).__init__(proxy, name)
        self._name = name
        self._connector = connector
        self._plain = plain  # the operations of the same service as zeep made them

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._connector.is_hooked:
            return await self._plain[self._name](*args, **kwargs)
        headers = own(kwargs.pop("_soapheaders", None), _own_zeeps)
        req = SOAPRequest(self._name, own(list(args), _own_zeeps), own(kwargs, _own_zeeps), headers)
        return await self._connector.execute(req, self._call)

    async def _call(self, req: SOAPRequest) -> Any:
        if req.operation not in self._plain:
            known = ", ".join(self._plain)
            raise AttributeError(f"Service has no operation {req.operation!r}. There are: {known}.")
        kwargs = req.kwargs if req.headers is None else {**req.kwargs, "_soapheaders": req.headers}
        return await self._plain[req.operation](*req.args, **kwargs)


def _own_zeeps(value: Any) -> Any:
    """A copy of one of zeep's values, or of a subclass of dict or list."""
    mine: Any
    if _is(value, (dict, list)):
        return own_items(copy(value), _own_zeeps)
    if _is(value, CompoundValue):
        mine = value.__class__.__new__(value.__class__)
        mine.__dict__.update(value.__dict__)  # its elements are in one of these
        mine.__values__ = own(value.__values__, _own_zeeps)
        return mine
    if _is(value, AnyObject):
        mine = copy(value)
        mine.value = own(value.value, _own_zeeps)
        return mine
    return value


class Httpx2Transport(AsyncTransport):
    """zeep's transport over httpx2. A client that is given keeps its headers, and stays open."""

    _close_session = False  # `Transport.__del__` asks, also after a failed __init__

    def __init__(self, http: httpx2.AsyncClient | None) -> None:
        # Not the base's: it insists on httpx, and overwrites the client's headers.
        if http is not None and not hasattr(http, "aclose"):
            raise TypeError(f"`http` is an httpx2.AsyncClient, not {type(http).__name__}.")
        self._is_own = http is None
        self.client: Any = httpx2.AsyncClient() if http is None else http
        self.cache = None
        self.logger = logging.getLogger(AsyncTransport.__module__)

    async def aclose(self) -> None:
        if self._is_own:
            await self.client.aclose()

    def _load_remote_data(self, url: str) -> bytes:
        """Runs in the thread in which the WSDL is read; the client lives on the loop."""
        if urlsplit(url).scheme == "file":
            return Path(url2pathname(urlsplit(url).path)).read_bytes()
        return from_thread.run(self._fetch, url)

    async def _fetch(self, url: str) -> bytes:
        send = self.client.__class__.send  # past the hooks of a RESTConnector: LoopBack hooks it by accident
        response = await send(self.client, self.client.build_request("GET", url), follow_redirects=True)
        if response.is_error:
            raise _error(f"{url} answered {response.status_code}", response.status_code, response.content)
        content: bytes = response.content
        return content
