"""SOAP: hooks around the operations of a zeep `AsyncClient`.

prices = await SOAPConnector.load("https://example.org/prices?wsdl")

@prices.before_execute
def in_euro(ctx: SOAPContext) -> None:
    ctx.req.kwargs.setdefault("currency", "EUR")

await prices.client.service.PriceOf(article=7)

zeep builds its proxies from a dict of operations. The client's `bind`, through which `client.service` goes too, gives
proxies whose operations are executes; what zeep does with an operation stays zeep's.
"""

import os
from functools import partial
from typing import IO, Any, Self, TypeAlias

from anyio import CancelScope, to_thread

from interceptors.connectors.connector import AnyConnector, Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.errors import AlreadyHookedError, MissingExtraError

try:
    import httpx2
    from zeep import AsyncClient, Client, Plugin, Settings

    from interceptors.connectors.soap.operations import HookedOperation
    from interceptors.connectors.soap.request import SOAPRequest
    from interceptors.connectors.soap.transport import Httpx2Transport
    from interceptors.connectors.soap.undocumented import ServiceProxy, forget_service, with_operations
except ImportError as error:
    raise MissingExtraError("interceptors.connectors.zeep", "zeep") from error

__all__ = ["SOAPConnector", "SOAPContext", "SOAPRequest"]


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
        parent: AnyConnector | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        given: object = client
        if not isinstance(given, AsyncClient):
            kind = "a synchronous zeep.Client" if isinstance(given, Client) else type(given).__name__
            raise TypeError(f"{self.name} hooks asynchronous clients: give it a zeep.AsyncClient, not {kind}.")
        present = getattr(client.bind, "__self__", None)
        if isinstance(present, SOAPConnector):
            raise AlreadyHookedError(
                f"This {type(client).__name__} is hooked by {present.name} already; use that connector, or share hooks "
                f"with parent=.",
                client,
            )
        self.client = client
        self._bind_unhooked: Any = client.bind
        client.bind = self._bind  # type: ignore[method-assign]
        forget_service(client)  # taken before: it is made anew, hooked

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
        parent: AnyConnector | None = None,
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

    def take_request(self, ctx: SOAPContext, value: object) -> SOAPRequest:
        """Only a SOAPRequest."""
        if not isinstance(value, SOAPRequest):
            raise TypeError(f"ctx.req takes a SOAPRequest, not {type(value).__name__}: {value!r:.80}")
        return value

    def _bind(self, *args: object, **kwargs: object) -> ServiceProxy | None:
        """What the client's `bind` is now; None, as zeep's, if the WSDL has no service."""
        proxy: ServiceProxy | None = self._bind_unhooked(*args, **kwargs)
        if proxy is None:
            return None
        return with_operations(proxy, lambda name, plain: HookedOperation(self, proxy, name, plain))
