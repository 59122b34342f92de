"""What hooked databases and collections have in common: the connector that hooks them, and their methods without hooks."""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from interceptors.connectors.connector import Connector
from interceptors.connectors.mongo.request import MongoRequest

__all__ = [
    "Client",
    "Collection",
    "Hooked",
    "MongoHooks",
    "MongoTarget",
    "connector_of",
    "is_hooked",
    "method_of",
    "set_connector",
]

MongoHooks: TypeAlias = Connector[MongoRequest, Any]
Client: TypeAlias = AsyncMongoClient[Any]
Collection: TypeAlias = AsyncCollection[Any]
Database: TypeAlias = AsyncDatabase[Any]
MongoTarget: TypeAlias = Database | Collection

_CONNECTOR = "_interceptors_connector"
"""An attribute of ours on a client. Without the underscore PyMongo would take it for the name of a database."""


class Hooked:
    """Stands in front of PyMongo's class, or of somebody's subclass, in the bases of what is hooked."""


def method_of(target: MongoTarget | Client, name: str) -> Callable[..., Any]:
    """The method without hooks: PyMongo's, or that of somebody's subclass."""
    method: Callable[..., Any] = getattr(super(Hooked, cast("Any", target)), name)
    return method


def connector_of(hooked: MongoTarget | Client) -> MongoHooks:
    """The connector of a hooked client, and of what was taken from it."""
    database = hooked.database if isinstance(hooked, AsyncCollection) else hooked
    client = database.client if isinstance(database, AsyncDatabase) else database
    connector: MongoHooks = vars(client)[_CONNECTOR]
    return connector


def set_connector(client: Client, connector: MongoHooks) -> None:
    """Whatever is taken from the client is hooked by this connector."""
    setattr(client, _CONNECTOR, connector)


def is_hooked(client: Client) -> bool:
    """Has it a connector?"""
    return _CONNECTOR in vars(client)
