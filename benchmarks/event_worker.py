"""A process in which one of the systems works, `python -m benchmarks.event_worker`, and what starts and asks it.

It takes lines of JSON: to work, to count anew, to rest. It ends when its input does, however its parent has ended.
"""

import asyncio
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from benchmarks.bench_http import new_event_loop
from benchmarks.event_systems import Kind, System, Where, new_system

__all__ = ["Worker"]

_PATIENCE = 120.0
_REPORT = 0.01
_STARTING = 0.3
"""How long a worker takes to connect and to listen; none of them says when it has."""


class Worker:
    """A worker's process, seen from outside."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.count = 0
        """How many events it has handled since it was told to count."""
        self.first = 0
        """When it began the first one."""
        self.cpu = 0.0
        """The seconds of CPU that it has used since then."""
        self._process = process
        self._each: asyncio.Queue[int] = asyncio.Queue()
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name: str, where: Where, *, on_uvloop: bool | None = None) -> "Worker":
        """Start a process; it rests. On uvloop if the system's own command runs on it, or as it is said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, name, str(where), json.dumps(on_uvloop),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        return cls(name, process)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            what, *rest = json.loads(line)
            if what == "each":
                self._each.put_nowait(rest[0])
            elif what == "count":
                self.count, self.first, self.cpu = rest
            else:
                self._said.put_nowait(what)
        raise RuntimeError(f"{self.name}: its worker has ended")

    async def work(self, kind: Kind, *, each: bool = False) -> None:
        """Have it handle events of a kind. `each`: it tells of each one when it starts, else from time to time."""
        self.count = 0
        await self._tell("work", kind, each)
        await asyncio.sleep(_STARTING)

    async def count_anew(self) -> None:
        """Have it begin to count."""
        await self._tell("count")
        self.count = 0

    async def rest(self) -> None:
        """Have it end that."""
        await self._tell("rest")

    async def _tell(self, *what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._wait(self._said.get())

    async def started(self) -> int:
        """When the next event was started."""
        moment: int = await self._wait(self._each.get())
        return moment

    async def _wait(self, waited: Any) -> Any:
        waiting = asyncio.ensure_future(waited)
        await asyncio.wait({waiting, self._reading}, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        if self._reading.done():
            self._reading.result()
        raise TimeoutError(f"{self.name}: nothing was heard of it for {_PATIENCE:g} seconds")

    @staticmethod
    async def handled(workers: Sequence["Worker"], count: int) -> None:
        """Wait until workers have handled so many events together."""
        end = time.monotonic() + _PATIENCE
        while (done := sum(worker.count for worker in workers)) < count:
            for worker in workers:
                if worker._reading.done():
                    worker._reading.result()
            if time.monotonic() > end:
                raise TimeoutError(f"{workers[0].name}: {done} of {count} events in {_PATIENCE:g} seconds")
            await asyncio.sleep(_REPORT / 2)

    async def end(self) -> None:
        """Kill it."""
        self._reading.cancel()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


# -- in the process ----------------------------------------------------------------------------------------------------


class _Report:
    """What is told of events."""

    def __init__(self) -> None:
        self.each = False
        self.begin(each=False)

    def begin(self, *, each: bool) -> None:
        self.each = each
        self._count = self._told = self._first = 0
        self._cpu = 0.0

    def handled(self, number: int) -> None:
        if self.each:
            say("each", time.monotonic_ns())
            return
        if not self._count:
            self._first, self._cpu = time.monotonic_ns(), time.process_time()
        self._count += 1

    async def tell(self) -> None:
        while True:
            await asyncio.sleep(_REPORT)
            if self._count != self._told:
                self._told = self._count
                say("count", self._count, self._first, time.process_time() - self._cpu)


def say(*what: object) -> None:
    """Tell the parent."""
    os.write(1, json.dumps(what).encode() + b"\n")


async def _serve(system: System) -> None:
    loop, orders = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    report, working = _Report(), None
    telling = asyncio.create_task(report.tell())
    while line := await orders.readline():
        order, *rest = json.loads(line)
        if order == "work":
            kind, each = rest
            report.begin(each=each)
            working = asyncio.create_task(system.work(kind, report.handled))
            working.add_done_callback(_ended)
        elif order == "count":
            report.begin(each=False)
        elif working is not None:
            working.cancel()
            await asyncio.wait([working])
            await system.rest()
        say("done")
    telling.cancel()


def _ended(working: asyncio.Task[None]) -> None:
    if not working.cancelled() and (error := working.exception()) is not None:
        traceback.print_exception(error)
        os._exit(1)


def main() -> None:
    """Work until the input ends."""
    name, where, on_uvloop = sys.argv[1], Where(**json.loads(sys.argv[2])), json.loads(sys.argv[3])
    works = new_system(name, where)
    gc.collect()
    gc.freeze()  # looking through all that was imported takes longer than any event
    with asyncio.Runner(
        loop_factory=new_event_loop if (works.uvloop if on_uvloop is None else on_uvloop) else None
    ) as runner:
        runner.run(_serve(works))


if __name__ == "__main__":
    main()
