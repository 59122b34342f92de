"""An application in this process, and a client for it."""

from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from interceptors import InterceptorRegistry
from interceptors.fastapi import install


def registry_of(*interceptors: Any, **options: Any) -> InterceptorRegistry:
    """A registry with these global interceptors."""
    registry = InterceptorRegistry(**options)
    for interceptor in interceptors:
        registry.add_global(interceptor)
    return registry


def app_of(*controllers: type, registry: InterceptorRegistry | None = None, **options: Any) -> FastAPI:
    """An application on which these controllers are installed."""
    app = FastAPI(**options)
    install(app, registry or InterceptorRegistry(), controllers=controllers)
    return app


def client_of(app: Any, **options: Any) -> TestClient:
    """A client; used in a `with` statement it runs the application's lifespan."""
    return TestClient(app, **options)
