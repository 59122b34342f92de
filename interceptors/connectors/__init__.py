"""Connector hooks: LoopBack's `before execute` and `after execute`, and the onion, around what is sent to a backend."""

from interceptors.connectors.connector import Connector
from interceptors.connectors.context import ConnectorContext
from interceptors.connectors.execution import Event
from interceptors.errors import (
    AlreadyHookedError,
    DoubleCompletionWarning,
    ForgottenNextError,
    HookError,
    IgnoredAssignmentWarning,
    IncompatibleLibraryError,
    InvalidHookError,
    InvalidInterceptorError,
    MissingExtraError,
    UnknownHookError,
    WrongCallError,
)

__all__ = [
    "AlreadyHookedError",
    "Connector",
    "ConnectorContext",
    "DoubleCompletionWarning",
    "Event",
    "ForgottenNextError",
    "HookError",
    "IgnoredAssignmentWarning",
    "IncompatibleLibraryError",
    "InvalidHookError",
    "InvalidInterceptorError",
    "MissingExtraError",
    "UnknownHookError",
    "WrongCallError",
]
