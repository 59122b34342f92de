"""The outbox against its peers, in processes of their own: how soon, how many, and with how much waiting.

All of them take turns in every round, and every ratio is to ours of the same round.
"""

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any, TypeVar

from benchmarks.event_systems import AT_ONCE, OURS, SYSTEMS, Kind, System, Where, new_system, schema
from benchmarks.event_systems.postgresql import OnPostgresql
from benchmarks.event_worker import Worker
from benchmarks.measure import Effort, Series
from benchmarks.table import Budget, Row, at_least, at_most

__all__ = ["Sizes", "compared"]

_BETWEEN = 0.01, 0.03
"""How long nothing happens between two events whose latency is measured."""
_SETTLED = 0.1
_ENOUGH = 1.0
"""After how many seconds a round is over, however few were measured."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sizes(Effort):
    """How much is measured in a round, beside the number of rounds."""

    latencies: int
    plain: int
    session: int
    one_key: int
    slow: int
    """For procrastinate, which fetches one job at a time."""
    waiting: tuple[int, ...]
    behind: int
    """How many events of a stuck key come at once."""
    looks: int


@dataclass(frozen=True, slots=True)
class _Drain:
    """A number of workers that handle what is stored."""

    system: str
    kind: Kind
    workers: int = 1
    on_uvloop: bool | None = None
    pool: int | None = None

    @property
    def name(self) -> str:
        parts = {
            "session": self.kind == "session",
            "one key": self.kind == "key",
            "uvloop": self.on_uvloop,
            f"pool of {self.pool}": self.pool,
            f"{self.workers} relays": self.workers > 1,
        }
        return ", ".join([self.system, *[part for part, is_said in parts.items() if is_said]])

    @property
    def is_goal(self) -> bool:
        """Is it what our goals are stated of?"""
        return self.system == OURS and self.kind != "key" and not self.on_uvloop and self.pool is None

    @property
    def warm_up(self) -> int:
        return 15 if self.kind == "key" else 100 * self.workers

    def count(self, sizes: Sizes) -> int:
        if self == _Drain("pgqueuer", "key"):  # it starts one in a tenth of a second
            return 20
        if self.system == "procrastinate":
            return sizes.slow
        return {"plain": sizes.plain, "session": sizes.session, "key": sizes.one_key}[self.kind]


async def compared(where: Where, sizes: Sizes, *, without: Mapping[str, str]) -> list[Row]:
    """Rows for all but the systems that cannot be measured; these are named with the reason."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":  # SIGINT does so already
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with schema(where), AsyncExitStack() as opened:
        systems: dict[str, System] = {}
        missing = dict(without)
        for name in SYSTEMS:
            try:
                found = None if name in missing else new_system(name, where)
            except ModuleNotFoundError as error:
                missing[name] = str(error)
            else:
                if found is not None:
                    await found.open()
                    opened.push_async_callback(found.close)
                    systems[name] = found
        async with _crew(where) as crew:
            return [
                *[Row(f"not measured: {name}, {why}", None) for name, why in missing.items()],
                *await _latency(systems, crew, sizes),
                *await _throughput(systems, crew, sizes),
                *await _growth({k: v for k, v in systems.items() if isinstance(v, OnPostgresql)}, crew, sizes),
            ]


class _Crew:
    """The workers' processes, each started when it is first asked for."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self.started: dict[tuple[str, bool | None, int | None], list[Worker]] = {}

    async def get(
        self, name: str, count: int = 1, *, on_uvloop: bool | None = None, pool: int | None = None
    ) -> list[Worker]:
        workers = self.started.setdefault((name, on_uvloop, pool), [])
        while len(workers) < count:
            workers.append(await Worker.start(name, replace(self._where, pool=pool), on_uvloop=on_uvloop))
        return workers[:count]


@asynccontextmanager
async def _crew(where: Where) -> AsyncGenerator[_Crew]:
    crew = _Crew(where)
    try:
        yield crew
    finally:
        for workers in crew.started.values():
            for worker in workers:
                await worker.end()


def _turns(number: int, subjects: Sequence[T]) -> Sequence[T]:
    """All subjects, backwards in every other round."""
    return subjects if number % 2 else subjects[::-1]


class _Figures:
    """Figures by name, one for each round."""

    def __init__(self) -> None:
        self._all: dict[Any, list[float]] = {}

    def add(self, key: object, figure: float) -> None:
        self._all.setdefault(key, []).append(figure)

    def __getitem__(self, key: object) -> Series:
        return Series(tuple(self._all[key]))


# -- how soon ----------------------------------------------------------------------------------------------------------


async def _latency(systems: Mapping[str, System], crew: _Crew, sizes: Sizes) -> list[Row]:
    figures = _Figures()
    workers = {name: (await crew.get(name))[0] for name in systems}
    for name, worker in workers.items():
        await worker.work("plain", each=True)
        await _latencies(systems[name], worker, 5)
    for number in range(sizes.rounds):
        for name in _turns(number, list(systems)):
            seconds = await _latencies(systems[name], workers[name], sizes.latencies)
            cuts = quantiles(seconds, n=100, method="inclusive")
            for percent in (50, 95, 99):
                figures.add((percent, name), cuts[percent - 1])
    for worker in workers.values():
        await worker.rest()
    rows = []
    for percent in (50, 95, 99):
        for name in systems:
            figure, ours = figures[percent, name], figures[percent, OURS]
            budget = at_most(0.02, of_figure=True) if (percent, name) == (50, OURS) else None
            rows.append(Row(f"commit to start, p{percent}: {name}", figure, "s", figure / ours, budget))
    return rows


async def _latencies(system: System, worker: Worker, count: int) -> list[float]:
    seconds: list[float] = []
    for number in range(count):
        await asyncio.sleep(random.uniform(*_BETWEEN))
        committed = await system.publish(number)
        seconds.append((await worker.started() - committed) / 1e9)
        if len(seconds) > 1 and sum(seconds) > _ENOUGH:
            break
    return seconds


# -- how many ----------------------------------------------------------------------------------------------------------


async def _throughput(systems: Mapping[str, System], crew: _Crew, sizes: Sizes) -> list[Row]:
    drains = [_Drain(OURS, kind, many) for kind in ("plain", "session") for many in (1, 2, 4)]
    drains += [_Drain(OURS, "plain", on_uvloop=True), _Drain(OURS, "key")]
    drains += [_Drain(name, kind) for kind in ("plain", "session") for name in systems if name != OURS]
    drains += [_Drain(name, "key") for name, each in systems.items() if name != OURS and isinstance(each, OnPostgresql)]
    drains += [_Drain(name, "session", pool=AT_ONCE) for name in systems]
    rates, cpu = _Figures(), _Figures()
    for number in range(sizes.rounds):
        for drain in _turns(number, drains):
            rate, seconds = await _drain(systems[drain.system], drain, crew, drain.count(sizes))
            rates.add(drain, rate)
            cpu.add(drain, seconds)
    rows = []
    for drain in drains:
        one = rates[_Drain(OURS, drain.kind, pool=drain.pool)]
        rows.append(Row(f"events/s: {drain.name}", rates[drain], "/s", rates[drain] / one, _budget(drain)))
    for drain in drains:
        if drain.workers == 1:
            used = cpu[drain] / cpu[_Drain(OURS, drain.kind, pool=drain.pool)]
            rows.append(Row(f"CPU of the worker for an event: {drain.name}", cpu[drain], "s", used))
    return rows


def _budget(drain: _Drain) -> Budget | None:
    if not drain.is_goal:
        return None
    if drain.workers == 1:
        return at_least(1500 if drain.kind == "plain" else 400, of_figure=True)
    return at_least(1) if drain.workers == 2 else None


async def _drain(system: System, drain: _Drain, crew: _Crew, count: int) -> tuple[float, float]:
    """Events per second, and the CPU seconds of the workers per event."""
    workers = await crew.get(drain.system, drain.workers, on_uvloop=drain.on_uvloop, pool=drain.pool)
    if isinstance(system, OnPostgresql):
        await system.clear()
    await _all(worker.work(drain.kind) for worker in workers)
    await _stored_and_handled(system, drain.kind, workers, drain.warm_up)
    await asyncio.sleep(_SETTLED)
    await _all(worker.count_anew() for worker in workers)
    begun, end = await _stored_and_handled(system, drain.kind, workers, count)
    await _all(worker.rest() for worker in workers)
    return count / ((end - begun) / 1e9), sum(worker.cpu for worker in workers) / count


async def _stored_and_handled(system: System, kind: Kind, workers: Sequence[Worker], count: int) -> tuple[int, int]:
    """When the first event could be handled, and when nothing was left to be written."""
    if system.stores_before:
        begun = await system.store(count, kind)
        await Worker.handled(workers, count)
    else:
        await _all(worker.rest() for worker in workers)
        await system.store(count, kind)
        await _all(worker.work(kind) for worker in workers)
        await Worker.handled(workers, count)
        begun = min(worker.first for worker in workers)
    while not await system.is_empty():
        await asyncio.sleep(0.002)
    return begun, time.monotonic_ns()


async def _all(waited: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*waited)


# -- with how much waiting ---------------------------------------------------------------------------------------------


async def _growth(systems: Mapping[str, OnPostgresql], crew: _Crew, sizes: Sizes) -> list[Row]:
    looks = {name: await system.look() for name, system in systems.items()}
    figures = _Figures()
    titles = {waiting: f"{waiting:,} waiting" for waiting in sizes.waiting}
    stuck = f"{sizes.waiting[-1]:,} behind a stuck key"
    for waiting in sizes.waiting:
        for name, system in systems.items():
            await system.multiply(waiting, "plain", system.waiting, tells=False)
        await _looks_and_deliveries(titles[waiting], systems, looks, crew, sizes, figures)
    keyed = {name: system for name, system in systems.items() if system.stuck is not None}
    for system in keyed.values():
        await system.multiply(sizes.waiting[-1], "key", system.stuck or {}, behind=True, tells=False)
    await _looks_and_deliveries(stuck, keyed, looks, crew, sizes, figures)

    rows = []
    for what in ("idle look", "commit to start"):
        for title in (*titles.values(), stuck):
            for name in systems if title != stuck else keyed:
                figure = figures[what, title, name]
                rows.append(Row(f"{what}, {title}: {name}", figure, "s", figure / figures[what, title, OURS]))
        few, many, behind = (figures[what, title, OURS] for title in (titles[1], titles[sizes.waiting[-1]], stuck))
        rows.append(Row(f"{what}: ours, {sizes.waiting[-1]:,} to 1", None, "", many / few, at_most(1.5)))
        rows.append(Row(f"{what}: ours, behind a stuck key to 1", None, "", behind / few))
    flood = [await _behind_flood(systems[OURS], crew, sizes.behind) for _ in range(min(sizes.rounds, 3))]
    rows.append(Row(f"when {sizes.behind:,} have just come behind a stuck key", Series(tuple(flood)), "s"))
    return rows


async def _looks_and_deliveries(
    title: str,
    systems: Mapping[str, OnPostgresql],
    looks: Mapping[str, Any],
    crew: _Crew,
    sizes: Sizes,
    figures: _Figures,
) -> None:
    """The looks first: no worker may change the rows meanwhile."""
    for number in range(sizes.rounds):
        for name in _turns(number, list(systems)):
            seconds: list[float] = []
            while len(seconds) < sizes.looks and sum(seconds) < _ENOUGH:
                start = time.perf_counter()
                await looks[name]()
                seconds.append(time.perf_counter() - start)
            figures.add(("idle look", title, name), median(seconds))
    workers = {name: (await crew.get(name))[0] for name in systems}
    for worker in workers.values():
        await worker.work("plain", each=True)
    for number in range(sizes.rounds):
        for name in _turns(number, list(systems)):
            seconds = await _latencies(systems[name], workers[name], sizes.looks)
            figures.add(("commit to start", title, name), median(seconds))
    for worker in workers.values():
        await worker.rest()


async def _behind_flood(system: OnPostgresql, crew: _Crew, count: int) -> float:
    """How long an event takes that comes after so many of a key whose first one fails."""
    worker = (await crew.get(OURS))[0]
    await system.clear()
    await worker.work("plain", each=True)
    await system.multiply(count, "key", {**system.due, "was_due": "NULL"}, behind=True)
    committed = await system.publish(0)
    seconds = (await worker.started() - committed) / 1e9
    await worker.rest()
    return seconds
