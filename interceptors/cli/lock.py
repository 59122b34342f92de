"""The lock file: the chains of an application as text, for a reviewer to see what a change does to them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from interceptors.candidates import Candidate
from interceptors.cli.output import CommandError, UsageError, printable
from interceptors.cli.routes import RouteEntry, candidates_of

__all__ = ["Chains", "chains_of", "differences", "read_lock", "write_lock"]

Chains: TypeAlias = Mapping[str, Sequence[str]]
"""The layers of each route, `GET /orders`: `global auth AuthInterceptor`."""

_HEADER = "# interceptors chain lock 1"
_ROUTE = re.compile(r"\S+ /.*")
_LAYER = re.compile(r"  ((?:global|class|method) .+ .+)")


def chains_of(entries: Iterable[RouteEntry]) -> Chains:
    """The chains of routes. Of two routes with one path and verb FastAPI only ever takes the first."""
    chains: dict[str, Sequence[str]] = {}
    for entry in entries:
        route = printable(entry.title)
        if route not in chains:
            chains[route] = [
                printable(_layer(candidate)) for candidate in candidates_of(entry.endpoint) if candidate.runs
            ]
    return chains


def write_lock(file: Path, chains: Chains) -> None:
    """Write the lock file. Raises CommandError if that cannot be done."""
    lines = [_HEADER]
    for route in sorted(chains, key=_by_path):
        lines += [route, *(f"  {layer}" for layer in chains[route])]
    try:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror}") from error


def read_lock(file: Path) -> Chains:
    """Read a lock file. Raises UsageError if it is none."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {file}: it is not UTF-8") from error
    if lines[0] != _HEADER:
        raise UsageError(f"cannot read {file}: the first line is not {_HEADER!r}")
    chains: dict[str, list[str]] = {}
    route = ""
    for number, line in enumerate(lines[1:], 2):
        if route and (layer := _LAYER.fullmatch(line)):
            chains[route].append(layer[1])
        elif _ROUTE.fullmatch(line) and line not in chains:
            route = line
            chains[route] = []
        elif line:
            raise UsageError(f"cannot read {file}: line {number} is neither a new route nor a layer: {line!r}")
    return chains


def differences(old: Chains, new: Chains) -> Iterator[str]:
    """What has become of the chains, a line for each difference."""
    for route in sorted({*old, *new}, key=_by_path):
        if route not in new:
            yield f"{route} is gone"
        elif route not in old:
            yield f"{route} is new"
        else:
            before, lost = _shared(old[route], new[route])
            after, gained = _shared(new[route], old[route])
            yield from (f"{route} lost {layer}" for layer in lost)
            yield from (f"{route} gained {layer}" for layer in gained)
            if not _in_order(before, new[route]) and not _in_order(after, old[route]):
                yield f"{route} changed order: {', '.join(before)} -> {', '.join(after)}"


def _layer(candidate: Candidate) -> str:
    return f"{candidate.level} {candidate.group or '-'} {candidate.key or candidate.name}"


def _shared(layers: Iterable[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """The layers that are also among the others, one for one, and those that are not."""
    left = Counter(others)
    shared: list[str] = []
    alone: list[str] = []
    for layer in layers:
        (shared if left[layer] else alone).append(layer)
        left[layer] -= bool(left[layer])
    return shared, alone


def _in_order(some: Iterable[str], layers: Iterable[str]) -> bool:
    """Do they come one after the other among the layers?"""
    rest = iter(layers)
    return all(layer in rest for layer in some)


def _by_path(route: str) -> tuple[str, str]:
    verb, _, path = route.partition(" ")
    return path, verb
