"""Undocumented names of zeep in the SOAP connector: whichever is renamed is loud, and names the version."""

from importlib.metadata import version
from typing import Any

import pytest
import zeep
from zeep.proxy import AsyncOperationProxy, AsyncServiceProxy, ServiceProxy
from zeep.transports import AsyncTransport, Transport
from zeep.xsd import CompoundValue

from interceptors.connectors.soap import undocumented
from interceptors.connectors.soap.undocumented import forget_service, with_operations
from interceptors.errors import IncompatibleLibraryError
from tests.unit.vanishing import import_again

VERSION = f"zeep {version('zeep')} "


def refuses(name: str) -> None:
    with pytest.raises(IncompatibleLibraryError, match=VERSION) as caught:
        import_again(undocumented)
    assert (caught.value.library, caught.value.name) == ("zeep", name)


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        (zeep.proxy, "AsyncOperationProxy", "zeep.proxy"),
        (zeep.proxy, "AsyncServiceProxy", "zeep.proxy"),
        (zeep.xsd, "CompoundValue", "zeep.xsd.CompoundValue"),
    ],
)
def test_a_renamed_class_is_not_taken_for_a_missing_library(
    module: Any, name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ImportError would say: pip install zeep."""
    monkeypatch.delattr(module, name)
    refuses(told)


def nothing(self: Any, *given: Any) -> Any:
    """Uses no attribute of anything."""


@pytest.mark.parametrize(
    ("cls", "method", "told"),
    [
        (ServiceProxy, "__getitem__", "AsyncServiceProxy._operations"),
        (CompoundValue, "__getitem__", "CompoundValue.__values__"),
        (Transport, "load", "Transport.load"),
        (AsyncTransport, "post", "AsyncTransport.post"),
        (AsyncTransport, "get", "AsyncTransport.get"),
        (Transport, "__del__", "Transport.__del__"),
        (zeep.exceptions.TransportError, "status_code", "TransportError.status_code"),
    ],
)
def test_a_renamed_attribute_of_objects_stops_the_import(
    cls: type[Any], method: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zeep's own methods use another name then."""
    new = property(lambda self: None, lambda self, value: None) if method == "status_code" else nothing
    monkeypatch.setattr(cls, method, new, raising=False)
    refuses(told)


@pytest.mark.parametrize("method", ["load", "__del__"])
def test_a_method_that_is_gone_stops_the_import(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Transport, method)
    refuses(f"Transport.{method}")


def test_a_transport_that_loads_otherwise_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would use a client of its own, without anybody's authentication."""
    monkeypatch.delattr(AsyncTransport, "_load_remote_data")
    monkeypatch.delattr(Transport, "_load_remote_data")
    refuses("AsyncTransport._load_remote_data")


def test_a_service_that_is_not_bound_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """`client.service` would not be hooked."""
    monkeypatch.setattr(zeep.Client, "service", property(nothing))
    refuses("Client.service")


def test_operations_that_are_made_otherwise_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncOperationProxy, "__init__", lambda self, binding, name: None)
    refuses("AsyncOperationProxy")


def test_any_objects_that_hold_their_value_elsewhere_stop_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    new = property(lambda self: None, lambda self, value: None)
    monkeypatch.setattr(zeep.AnyObject, "value", new, raising=False)
    refuses("AnyObject.value")


# -- what only objects have --------------------------------------------------------------------------------------------


def test_a_client_without_a_default_service_gets_no_connector() -> None:
    """One that was taken before would stay as it is: not hooked."""
    client = zeep.AsyncClient.__new__(zeep.AsyncClient)
    with pytest.raises(IncompatibleLibraryError, match=rf"{VERSION}.*AsyncClient\._default_service"):
        forget_service(client)


def test_a_proxy_without_operations_is_refused() -> None:
    with pytest.raises(IncompatibleLibraryError, match=rf"{VERSION}.*_operations"):
        with_operations(object(), lambda name, plain: plain[name])


def test_a_proxy_that_goes_by_something_else_is_refused() -> None:
    """What is called is looked at, not only what is there."""

    class Proxy(AsyncServiceProxy):
        def __init__(self) -> None:
            self._operations = {"PriceOf": None}

        def __getitem__(self, key: str) -> Any:
            return self

    with pytest.raises(IncompatibleLibraryError, match=r"ServiceProxy\[...\]"):
        with_operations(Proxy(), lambda name, plain: object())  # type: ignore[arg-type, return-value]
