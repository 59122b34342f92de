"""What the SOAP connector uses of zeep although its documentation does not have it; see `interceptors.libraries`.

Tried with zeep 4.3, and `pyproject.toml` allows no later minor version.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from zeep import AnyObject, AsyncClient, Client
from zeep.exceptions import TransportError
from zeep.transports import AsyncTransport, Transport

from interceptors.libraries import Library, uses

__all__ = [
    "AsyncOperationProxy",
    "Operations",
    "ServiceProxy",
    "copied",
    "forget_service",
    "initialize_operation",
    "transport_error",
    "with_operations",
]

_library = Library("zeep")


# -- operations --------------------------------------------------------------------------------------------------------

# Without these the operations of `client.service`, and of what `client.bind` gives, would not be hooked.
_HOOK = "hook the operations of a service"
with _library.importing("zeep.proxy", _HOOK):
    from zeep.proxy import AsyncOperationProxy, AsyncServiceProxy, OperationProxy
_library.confirm(
    list(inspect.signature(AsyncOperationProxy).parameters) == ["service_proxy", "operation_name"],
    "AsyncOperationProxy",
    _HOOK,
)
_library.confirm(uses(AsyncServiceProxy, "__getitem__", "_operations"), "AsyncServiceProxy._operations", _HOOK)
_library.confirm(uses(Client, "service", "bind"), "Client.service", _HOOK)

ServiceProxy: TypeAlias = AsyncServiceProxy
Operations: TypeAlias = Mapping[str, Callable[..., Any]]


def initialize_operation(operation: AsyncOperationProxy, proxy: ServiceProxy, name: str) -> None:
    """What the constructor of zeep's operations does."""
    initialize: Any = AsyncOperationProxy
    initialize.__init__(operation, proxy, name)


def with_operations(proxy: ServiceProxy, make: Callable[[str, Operations], AsyncOperationProxy]) -> ServiceProxy:
    """A service proxy with other operations: `make` gets the name of each, and zeep's own of all of them."""
    plain: Operations = _library.needed(proxy, "_operations", _HOOK)
    mine: dict[str, OperationProxy] = {name: make(name, plain) for name in plain}
    proxy._operations = cast("Any", mine)
    _library.confirm(all(proxy[name] is mine[name] for name in mine), "ServiceProxy[...]", _HOOK)
    return proxy


def forget_service(client: AsyncClient) -> None:
    """Have `client.service` made anew by the client's `bind` as it is now."""
    _library.needed(client, "_default_service", _HOOK)
    client._default_service = None


# -- values ------------------------------------------------------------------------------------------------------------

# Without these a hook would change the caller's own values.
_COPY = "copy zeep's values"
with _library.importing("zeep.xsd.CompoundValue", _COPY):
    from zeep.xsd import CompoundValue
_library.confirm(uses(CompoundValue, "__getitem__", "__values__"), "CompoundValue.__values__", _COPY)
_any_object: Any = AnyObject
_library.confirm(_any_object(None, _COPY).value is _COPY, "AnyObject.value", _COPY)


def copied(value: object, own: Callable[[object], object]) -> object:
    """A copy of one of zeep's values, and by `own` of what it holds; anything else as it is."""
    mine: Any = value
    if isinstance(value, CompoundValue):
        mine = value.__class__.__new__(value.__class__)
        mine.__dict__.update(value.__dict__)
        mine.__values__ = own(mine.__values__)
    elif isinstance(value, AnyObject):
        mine = AnyObject.__new__(value.__class__)
        mine.__dict__.update(value.__dict__)
        mine.value = own(mine.value)
    return mine


# -- the transport -----------------------------------------------------------------------------------------------------

# By these names zeep asks a transport of our own: without them it would use a client of its own, past ours.
_TRANSPORT = "send with the client that was given"
_library.needed(AsyncTransport, "_load_remote_data", _TRANSPORT)
_library.confirm(uses(Transport, "load", "_load_remote_data", "cache"), "Transport.load", _TRANSPORT)
_library.confirm(uses(AsyncTransport, "post", "client", "logger"), "AsyncTransport.post", _TRANSPORT)
_library.confirm(uses(AsyncTransport, "get", "client"), "AsyncTransport.get", _TRANSPORT)
_library.confirm(uses(Transport, "__del__", "_close_session"), "Transport.__del__", _TRANSPORT)


# What an error of the transport has is not documented.
_make_error: Any = TransportError
_library.confirm(_make_error("", 418).status_code == 418, "TransportError.status_code", "tell how a WSDL failed")


def transport_error(message: str, status: int, content: bytes) -> TransportError:
    """What zeep raises for an answer that is none."""
    error: TransportError = _make_error(message, status, content)
    return error
