"""Hooks around the calls of an `AsyncMongoClient`'s collections, and around `database.command`.

The client becomes an instance of a subclass of its own class, so that the databases and collections taken from it are
hooked subclasses of PyMongo's. `find` gives a cursor that only records its options; the hooks run at its first fetch,
around the cursor that the operation opens then, and the caller reads what they leave.
"""

from typing import Any, TypeAlias

from interceptors.connectors.connector import AnyConnector, Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.errors import AlreadyHookedError, MissingExtraError

try:
    from pymongo import AsyncMongoClient

    from interceptors.connectors.mongo.call import Call
    from interceptors.connectors.mongo.client import HookedClient, hook
    from interceptors.connectors.mongo.cursors import as_cursor
    from interceptors.connectors.mongo.hooked import Hooked, connector_of, is_hooked, set_connector
    from interceptors.connectors.mongo.methods import WITH_CURSOR
    from interceptors.connectors.mongo.request import MongoRequest
    from interceptors.connectors.mongo.undocumented import check_ways
except ImportError as error:
    raise MissingExtraError("interceptors.connectors.pymongo", "pymongo") from error

__all__ = ["MongoConnector", "MongoContext", "MongoRequest"]

MongoContext: TypeAlias = ConnectorContext[MongoRequest, Any]


class MongoConnector(Connector[MongoRequest, Any]):
    """Hooks the collections' methods and `database.command` of everything taken from a client from now on.

    Not hooked: GridFS, change streams, commands of the client itself, getMore; and what a hook calls on this client.

    >>> mongo = MongoConnector(AsyncMongoClient(url))
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        *,
        name: str | None = None,
        parent: AnyConnector | None = None,
        next_timeout: float = 30.0,
    ) -> None:
        super().__init__(name=name, parent=parent, next_timeout=next_timeout)
        if not isinstance(client, AsyncMongoClient):
            raise TypeError(f"{self.name} takes an AsyncMongoClient, not {type(client).__name__}: use pymongo's.")
        if is_hooked(client):
            raise AlreadyHookedError(
                f"{client!r} is hooked by {connector_of(client).name} already; use that connector, or share hooks with parent=.",
                client,
            )
        self.client: AsyncMongoClient[Any] = client
        hook(HookedClient, client)
        set_connector(client, self)
        check_ways(client, Hooked)

    def take_request(self, ctx: "MongoContext", value: object) -> MongoRequest:
        """Only a MongoRequest."""
        if not isinstance(value, MongoRequest):
            raise TypeError(f"ctx.req takes a MongoRequest, not {type(value).__name__}: {value!r:.80}")
        return value

    def take_result(self, ctx: "MongoContext", value: object, source: object = None) -> Any:
        """For a cursor, a list or an (async) iterable of documents; for other methods any value."""
        call = ctx.operation
        return as_cursor(call, value) if isinstance(call, Call) and call.command in WITH_CURSOR else value
