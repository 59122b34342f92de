"""Waiting for what happens after the answer."""

import asyncio
import time
from collections.abc import Callable

from app.container import Container
from app.schemas import Mail


async def until_nothing_is_pending(container: Container, *, patience: float = 20.0) -> None:
    """Wait until all that was stored has been handled."""
    outbox = container.outbox()
    end = time.monotonic() + patience
    while await outbox.pending():
        assert time.monotonic() < end, "stored events are still not handled"
        await asyncio.sleep(0.01)


async def mails(container: Container) -> list[Mail]:
    """The mails, when all that was stored has been handled."""
    await until_nothing_is_pending(container)
    return container.mailbox().all()


def until(condition: Callable[[], object], *, patience: float = 60.0) -> None:
    """Wait, in a test of other processes, until something holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)
