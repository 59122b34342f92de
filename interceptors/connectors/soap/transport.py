"""zeep's transport over httpx2."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx2
from anyio import from_thread
from zeep.transports import AsyncTransport

from interceptors.connectors.soap.undocumented import transport_error

__all__ = ["Httpx2Transport"]


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
            raise transport_error(f"{url} answered {response.status_code}", response.status_code, response.content)
        content: bytes = response.content
        return content
