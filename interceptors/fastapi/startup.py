"""Checks at start-up: after the application's own lifespan has started, or else before the first request."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

__all__ = ["check_before_first_request", "check_in_lifespan"]


def check_in_lifespan(router: APIRouter, check: Callable[[], None]) -> None:
    """Run `check` when the router's lifespan has started up; an error stops the start and shuts the lifespan down."""
    lifespan = router.lifespan_context

    @asynccontextmanager
    async def checked(app: Any) -> AsyncGenerator[Any]:
        failure: Exception | None = None
        async with lifespan(app) as state:
            try:
                check()
            except Exception as error:  # noqa: BLE001 (raised again, when the application has shut down in order)
                failure = error
            else:
                yield state
        if failure is not None:
            raise failure

    router.lifespan_context = checked


def check_before_first_request(app: FastAPI, check: Callable[[], None]) -> None:
    """Run `check` before the first request, for servers and mounts that run no lifespan. Costs nothing afterwards."""
    build = app.build_middleware_stack

    def build_with_check() -> Any:
        stack = build()

        async def check_then_run(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "lifespan":
                check()
                app.middleware_stack = stack
            await stack(scope, receive, send)

        return check_then_run

    app.build_middleware_stack = build_with_check  # type: ignore[method-assign]
    app.middleware_stack = None  # where the application has run already it is built again
