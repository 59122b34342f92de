"""`interceptors relay`: a process that delivers stored events, and says what it does."""

import asyncio
import signal
import time
from contextlib import suppress

from interceptors.cli.dispatchers import load_dispatcher
from interceptors.cli.loading import reporting
from interceptors.cli.output import complain
from interceptors.cli.tables import in_words
from interceptors.events import EventDispatcher

__all__ = ["relay_events"]

_WORDS = {"sent": "sent", "done": "done", "failed": "failed", "died": "dead"}


def relay_events(text: str, *, once: bool, every: float = 60.0) -> int:
    """Relay until SIGINT or SIGTERM, or once. Raises UsageError for what is no dispatcher or cannot be loaded.

    `every`: after how many seconds it says what was done, if anything was. Gives the exit code.
    """
    dispatcher = load_dispatcher(text).dispatcher
    with reporting():
        return asyncio.run(_relay(dispatcher, _Report(text, dispatcher), once=once, every=every))


async def _relay(dispatcher: EventDispatcher, report: "_Report", *, once: bool, every: float) -> int:
    """The first signal has it stop and wait for what runs, the second one ends it at once."""
    task = asyncio.create_task(dispatcher.relay(once=once, started=report.begin))
    with suppress(NotImplementedError):  # on Windows, where Ctrl-C raises KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=every)
            if not task.done():
                report.go_on()
    finally:
        await dispatcher.dispose()
    if not task.cancelled():
        task.result()
    report.end()
    return 0


class _Report:
    """The lines on stderr: one at the start, one when something was done, one at the end."""

    def __init__(self, text: str, dispatcher: EventDispatcher) -> None:
        self._text = text
        self._dispatcher = dispatcher
        self._began = time.monotonic()
        self._told = dispatcher.counts

    def begin(self, summary: str) -> None:
        self._say(f" started: {summary}")

    def go_on(self) -> None:
        counts = self._dispatcher.counts
        if counts != self._told:
            since = {name: count - self._told[name] for name, count in counts.items()}
            self._say(f": {_counted(since)}")
            self._told = counts

    def end(self) -> None:
        ran = in_words(time.monotonic() - self._began)
        self._say(f" ended after {ran}: {_counted(self._dispatcher.counts)}")

    def _say(self, text: str) -> None:
        with suppress(OSError):  # a relay goes on where nobody reads any more what it says
            complain(f"relay of {self._text}{text}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {_WORDS[name]}" for name, count in counts.items())
