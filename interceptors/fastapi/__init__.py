"""Interceptors on FastAPI: controllers, function routes, streams and WebSockets."""

from interceptors.errors import (
    AlreadyInstalledError,
    IncompatibleLibraryError,
    InjectionError,
    InvalidTargetError,
    MissingLayerError,
    UnknownRouteError,
    UnreachedInterceptorError,
    UnreachedRouteWarning,
    WrongCallError,
)
from interceptors.fastapi.binding import bind_request, bound
from interceptors.fastapi.controllers import controller, create_router
from interceptors.fastapi.install import install
from interceptors.fastapi.routes import intercepted_route
from interceptors.fastapi.sources import RouteContext, RouteValue, WebSocketContext
from interceptors.fastapi.verbs import delete, get, head, options, patch, post, put, websocket

__all__ = [
    "AlreadyInstalledError",
    "IncompatibleLibraryError",
    "InjectionError",
    "InvalidTargetError",
    "MissingLayerError",
    "RouteContext",
    "RouteValue",
    "UnknownRouteError",
    "UnreachedInterceptorError",
    "UnreachedRouteWarning",
    "WebSocketContext",
    "WrongCallError",
    "bind_request",
    "bound",
    "controller",
    "create_router",
    "delete",
    "get",
    "head",
    "install",
    "intercepted_route",
    "options",
    "patch",
    "post",
    "put",
    "websocket",
]
