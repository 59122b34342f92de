"""The operations of a hooked service proxy: each call is an execute."""

from copy import copy
from typing import Any, TypeGuard

from interceptors.connectors.connector import Connector
from interceptors.connectors.copies import own, own_items
from interceptors.connectors.soap.request import SOAPRequest
from interceptors.connectors.soap.undocumented import (
    AsyncOperationProxy,
    Operations,
    ServiceProxy,
    copied,
    initialize_operation,
)

__all__ = ["HookedOperation"]


# No docstring, like zeep's own: it would be that of every operation.
class HookedOperation(AsyncOperationProxy):
    def __init__(
        self, connector: Connector[SOAPRequest, Any], proxy: ServiceProxy, name: str, plain: Operations
    ) -> None:
        initialize_operation(self, proxy, name)
        self._name = name
        self._connector = connector
        self._plain = plain  # the operations of the same service as zeep made them

    async def __call__(self, *args: object, **kwargs: object) -> object:
        if not self._connector.is_hooked:
            return await self._plain[self._name](*args, **kwargs)
        headers = own(kwargs.pop("_soapheaders", None), _own_zeeps)
        req = SOAPRequest(self._name, own(list(args), _own_zeeps), own(kwargs, _own_zeeps), headers)
        return await self._connector.execute(req, self._call)

    async def _call(self, req: SOAPRequest) -> object:
        if req.operation not in self._plain:
            known = ", ".join(self._plain)
            raise AttributeError(f"Service has no operation {req.operation!r}. There are: {known}.")
        kwargs = req.kwargs if req.headers is None else {**req.kwargs, "_soapheaders": req.headers}
        return await self._plain[req.operation](*req.args, **kwargs)


def _is_collection(value: object) -> TypeGuard[dict[object, object] | list[object]]:
    return isinstance(value, (dict, list))


def _own_zeeps(value: object) -> object:
    """A copy of one of zeep's values, or of a subclass of dict or list."""
    if _is_collection(value):
        return own_items(copy(value), _own_zeeps)
    return copied(value, lambda held: own(held, _own_zeeps))
