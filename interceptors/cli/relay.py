"""`interceptors relay`: a process that delivers stored events."""

import asyncio
import signal
from contextlib import suppress

from interceptors.cli.loading import loading, reporting
from interceptors.cli.output import CommandError, UsageError
from interceptors.events import EventDispatcher

__all__ = ["relay_events"]


def relay_events(text: str, *, once: bool) -> int:
    """Relay until SIGINT or SIGTERM, or once. Raises UsageError for what is no dispatcher or cannot be loaded.

    Gives the exit code.
    """
    dispatcher = _load(text)
    with reporting():
        return asyncio.run(_relay(dispatcher, once=once))


def _load(text: str) -> EventDispatcher:
    try:
        with loading(text) as found:
            pass
    except CommandError as error:
        raise UsageError(str(error)) from error
    if not isinstance(found, EventDispatcher):
        raise UsageError(f"{text!r} is no EventDispatcher")
    return found


async def _relay(dispatcher: EventDispatcher, *, once: bool) -> int:
    """The first signal has it stop and wait for what runs, the second one ends it at once."""
    task = asyncio.create_task(dispatcher.relay(once=once))
    with suppress(NotImplementedError):  # on Windows, where Ctrl-C raises KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return 0
