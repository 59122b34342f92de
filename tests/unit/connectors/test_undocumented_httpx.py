"""Undocumented names of httpx2 and httpx in the REST connector: whichever is renamed is loud, and names the version."""

from importlib.metadata import version
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from interceptors.connectors.httpx import RESTConnector
from interceptors.errors import IncompatibleLibraryError
from tests.unit.vanishing import hide

both = pytest.mark.parametrize("http", [httpx2, httpx], ids=["httpx2", "httpx"])


def refuses(http: Any, name: str) -> None:
    client = http.AsyncClient()
    with pytest.raises(IncompatibleLibraryError, match=f"{http.__name__} {version(http.__name__)} ") as caught:
        RESTConnector(client)
    assert (caught.value.library, caught.value.name) == (http.__name__, name)
    assert client.send.__func__ is http.AsyncClient.send  # nothing is half hooked


@both
@pytest.mark.parametrize("method", ["request", "stream"])
def test_a_client_that_sends_otherwise_gets_no_connector(
    http: ModuleType, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would send past the hooks."""

    async def sending(self: Any, method: str, url: str) -> Any:
        return await self.transport.handle(method, url)

    monkeypatch.setattr(http.AsyncClient, method, sending)
    refuses(http, f"AsyncClient.{method}")


@both
@pytest.mark.parametrize("method", ["request", "stream"])
def test_a_client_whose_methods_are_no_functions_gets_no_connector(
    http: ModuleType, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.AsyncClient, method, object())
    refuses(http, f"AsyncClient.{method}")


@both
@pytest.mark.parametrize("name", ["AsyncByteStream", "ByteStream"])
def test_a_renamed_stream_gets_no_connector(http: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(http, name)
    refuses(http, f"{http.__name__}.{name}")


@both
@pytest.mark.parametrize("cls", ["Request", "Response"])
def test_messages_with_another_attribute_get_no_connector(
    http: ModuleType, cls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, getattr(http, cls), "stream")
    refuses(http, f"{cls}.stream")


@both
@pytest.mark.parametrize("cls", ["Request", "Response"])
def test_messages_with_another_parameter_get_no_connector(
    http: ModuleType, cls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = getattr(http, cls).__init__

    def initialize(self: Any, *args: Any, body: Any = None) -> None:
        plain(self, *args)

    monkeypatch.setattr(getattr(http, cls), "__init__", initialize)
    refuses(http, f"{cls}(stream=)")
