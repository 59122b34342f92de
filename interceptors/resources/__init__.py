"""Model resources: a SQLAlchemy class gets its REST routes, with hooks and events at every step, on the one chain."""

from interceptors.errors import IncompatibleLibraryError, MissingExtraError, WrongCallError

try:
    import sqlalchemy
except ImportError as error:
    raise MissingExtraError("interceptors.resources", "sqlalchemy") from error

from interceptors.events import EventError
from interceptors.resources.conditions import Condition, Conditions, Sort
from interceptors.resources.context import ResourceContext
from interceptors.resources.errors import (
    ApiError,
    DuplicateHookError,
    HookParameterError,
    InvalidHookError,
    ResourceError,
    UnknownHookError,
    UnknownModelError,
)
from interceptors.resources.names import Handler
from interceptors.resources.resource import Resource
from interceptors.resources.resources import Resources

del sqlalchemy  # imported to see whether it is there, before anything else needs it

__all__ = [
    "ApiError",
    "Condition",
    "Conditions",
    "DuplicateHookError",
    "EventError",
    "Handler",
    "HookParameterError",
    "IncompatibleLibraryError",
    "InvalidHookError",
    "MissingExtraError",
    "Resource",
    "ResourceContext",
    "ResourceError",
    "Resources",
    "Sort",
    "UnknownHookError",
    "UnknownModelError",
    "WrongCallError",
]
