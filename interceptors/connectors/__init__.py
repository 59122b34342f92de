"""Connector hooks: LoopBack's `before execute` and `after execute`, and the onion, around what is sent to a backend."""

from interceptors.connectors.connector import Connector, Event
from interceptors.connectors.context import ConnectorContext

__all__ = ["Connector", "ConnectorContext", "Event"]
