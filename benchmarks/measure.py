"""Alternating rounds: every subject is run in every round, so what disturbs one of them disturbs its baseline, too.

A figure is the CPU time of this thread, where the clock is fine enough: what other processes take does not count.
"""

import gc
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

__all__ = ["CPU", "WALL", "Effort", "Series", "Work", "alternate"]

Key = TypeVar("Key", bound=Hashable)

Work = Callable[[int], object]
"""Does the same thing `n` times."""

WALL = time.perf_counter_ns
CPU = WALL if sys.platform == "win32" else time.thread_time_ns


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: the number of rounds, and the seconds that one subject runs in a round."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Series:
    """One figure per round. Arithmetic is round by round: `a / b` is the ratio within each round."""

    values: tuple[float, ...]

    def __sub__(self, other: "Series") -> "Series":
        return Series(tuple(mine - its for mine, its in zip(self.values, other.values, strict=True)))

    def __truediv__(self, other: "Series | float") -> "Series":
        divisors = other.values if isinstance(other, Series) else [other] * len(self.values)
        return Series(tuple(mine / its for mine, its in zip(self.values, divisors, strict=True)))

    @property
    def median(self) -> float:
        """Half of the rounds are below."""
        return median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Half of the rounds are between these two."""
        if len(self.values) < 2:
            return self.median, self.median
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high


def alternate(works: Mapping[Key, Work], effort: Effort, clock: Callable[[], int] = CPU) -> dict[Key, Series]:
    """The seconds that one call of each subject takes, round by round."""
    counts = {key: _count(work, effort.seconds, clock) for key, work in works.items()}
    figures: dict[Key, list[float]] = {key: [] for key in works}
    gc.collect()
    gc.freeze()  # nor for looking through what has been set up
    for number in range(effort.rounds):
        order = list(works.items())
        for key, work in order if number % 2 else reversed(order):  # a drift cancels out
            figures[key].append(_seconds(work, counts[key], clock) / counts[key])
    gc.unfreeze()
    return {key: Series(tuple(values)) for key, values in figures.items()}


def _count(work: Work, seconds: float, clock: Callable[[], int]) -> int:
    """How many calls fill so many seconds; a single one, unless there is a time to fill."""
    count = 1
    while seconds and (took := _seconds(work, count, clock)) < seconds:
        count = max(2 * count, int(0.8 * count * seconds / took)) if took > seconds / 100 else 10 * count
    return count


def _seconds(work: Work, count: int, clock: Callable[[], int]) -> float:
    gc.collect()  # nobody pays for another one's garbage
    start = clock()
    work(count)
    return (clock() - start) / 1e9
