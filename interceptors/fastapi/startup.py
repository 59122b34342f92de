"""Checks at start-up: when the application's own lifespan has started up."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter

__all__ = ["check_in_lifespan"]


def check_in_lifespan(router: APIRouter, check: Callable[[], Awaitable[None]]) -> None:
    """Run `check` when the router's lifespan has started up; an error stops the start and shuts the lifespan down."""
    lifespan = router.lifespan_context

    @asynccontextmanager
    async def checked(app: object) -> AsyncGenerator[Any]:
        failure: Exception | None = None
        async with lifespan(app) as state:
            try:
                await check()
            except Exception as error:  # noqa: BLE001 (raised again, when the application has shut down in order)
                failure = error
            else:
                yield state
        if failure is not None:
            raise failure

    router.lifespan_context = checked
