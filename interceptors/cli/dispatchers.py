"""The dispatcher that `relay` and `outbox` are asked about, and running something with its outbox."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from interceptors.cli.loading import loading, reporting
from interceptors.cli.output import CommandError, UsageError
from interceptors.events import EventDispatcher

if TYPE_CHECKING:
    from interceptors.events import Outbox

__all__ = ["AskedDispatcher", "load_dispatcher"]

R = TypeVar("R")


class AskedDispatcher:
    """A dispatcher with an outbox."""

    def __init__(self, dispatcher: EventDispatcher, outbox: "Outbox") -> None:
        self.dispatcher = dispatcher
        self.outbox = outbox

    def ask(self, work: Callable[["Outbox"], Awaitable[R]]) -> R:
        """What some work with the outbox gives, in an event loop of its own, which no connection outlives.

        Raises CommandError for what the database raises, and where the table is missing.
        """

        async def run() -> R:
            try:
                await self.outbox.check_table()
                return await work(self.outbox)
            finally:
                await self.dispatcher.dispose()

        with reporting():
            return asyncio.run(run())


def load_dispatcher(text: str) -> AskedDispatcher:
    """The dispatcher that `module:attribute` names. Raises UsageError if there is none, or it has no outbox."""
    try:
        with loading(text) as found:
            pass
    except CommandError as error:
        raise UsageError(str(error)) from error
    if not isinstance(found, EventDispatcher):
        raise UsageError(f"{text!r} is no EventDispatcher")
    if found.outbox is None:
        raise UsageError(f"{text!r} has no outbox: make it an EventDispatcher(registry, outbox=Outbox(...))")
    return AskedDispatcher(found, found.outbox)
