"""The lock file: the chains of an application as text, for a reviewer to see what a change does to them.

Everything that decides who gets in stands there, and nothing that changes when code is only moved.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias, final

from interceptors.candidates import Candidate, Part
from interceptors.cli.output import CommandError, UsageError, printable
from interceptors.cli.routes import candidates_of
from interceptors.fastapi.listed_routes import RouteEntry

__all__ = ["Chains", "Locked", "LockedLayer", "LockedRoute", "by_path", "chains_of", "read_lock", "write_lock"]

_VERSION = 2
_HEADER = re.compile(r"# interceptors chain lock (\d+)")
_ROUTE = re.compile(r"\S+ /.*|CONNECTOR .+")
_LINE = re.compile(r"((?:  )+)(\S.*)")
_LAYER = re.compile(r"(?:global|class|method|connector) .+ .+")
_ANNOTATION = "annotate "
_NOT_INTERCEPTED = "(not intercepted)"


@final
@dataclass(frozen=True, slots=True)
class LockedLayer:
    """One layer: `global auth AuthInterceptor`, `method - caching = Cache`; or a part of a `Chain`: `audit = Audit`."""

    text: str
    parts: "tuple[LockedLayer, ...]" = ()

    @property
    def as_in_version_1(self) -> "LockedLayer":
        """A key without what it is bound to, and a chain without its parts."""
        return LockedLayer(self.text.partition(" = ")[0])


@final
@dataclass(frozen=True, slots=True)
class LockedRoute:
    """What stands under a route."""

    layers: tuple[LockedLayer, ...] = ()
    annotations: tuple[str, ...] = ()
    """`annotate roles=["admin"]`."""
    is_intercepted: bool = True


Chains: TypeAlias = Mapping[str, LockedRoute]
"""By route: `GET /orders`."""


@final
@dataclass(frozen=True, slots=True)
class Locked:
    """A lock file that was read."""

    version: int
    chains: Chains

    @property
    def is_current(self) -> bool:
        """Has it all that a lock file has today?"""
        return self.version == _VERSION

    def as_it_would_be(self, chains: Chains) -> Chains:
        """What a file of this version would have of an application's chains."""
        if self.is_current:
            return chains
        return {
            route: LockedRoute(tuple(layer.as_in_version_1 for layer in locked.layers))
            for route, locked in chains.items()
            if locked.is_intercepted or route in self.chains
        }


def chains_of(entries: Iterable[RouteEntry]) -> Chains:
    """The chains of routes. Of two routes with one path and verb FastAPI only ever takes the first."""
    chains: dict[str, LockedRoute] = {}
    for entry in entries:
        route = printable(entry.title)
        if route not in chains:
            chains[route] = LockedRoute(
                tuple(_layer(candidate) for candidate in candidates_of(entry.chain) if candidate.runs),
                tuple(
                    printable(f"{_ANNOTATION}{name}={_as_json(value)}")
                    for name, value in sorted(entry.annotations.items())
                ),
                is_intercepted=entry.chain is not None,
            )
    return chains


def write_lock(file: Path, chains: Chains) -> None:
    """Write the lock file. Raises CommandError if that cannot be done."""
    lines = [f"# interceptors chain lock {_VERSION}"]
    for route in sorted(chains, key=by_path):
        locked = chains[route]
        lines += [route, *(f"  {each}" for each in locked.annotations)]
        lines += [] if locked.is_intercepted else [f"  {_NOT_INTERCEPTED}"]
        lines += _lines(locked.layers, "  ")
    try:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror}") from error


def read_lock(file: Path) -> Locked:
    """Read a lock file. Raises UsageError if it is none, or of a later version."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {file}: it is not UTF-8") from error
    header = _HEADER.fullmatch(lines[0])
    if header is None or not 1 <= int(header[1]) <= _VERSION:
        raise UsageError(f"cannot read {file}: the first line is not '# interceptors chain lock {_VERSION}'")
    blocks: dict[str, list[tuple[int, str]]] = {}
    route = ""
    for number, line in enumerate(lines[1:], 2):
        if route and (found := _LINE.fullmatch(line)) and _fits(blocks[route], depth := len(found[1]) // 2, found[2]):
            blocks[route].append((depth, found[2]))
        elif _ROUTE.fullmatch(line) and line not in blocks:
            route = line
            blocks[route] = []
        elif line:
            raise UsageError(f"cannot read {file}: line {number} is neither a new route nor a layer: {line!r}")
    return Locked(int(header[1]), {route: _locked(block) for route, block in blocks.items()})


def by_path(route: str) -> tuple[bool, str, str]:
    """Routes by their path, then by their verb; connectors last."""
    verb, _, path = route.partition(" ")
    return verb == "CONNECTOR", path, verb


def _fits(block: Sequence[tuple[int, str]], depth: int, text: str) -> bool:
    """May this line stand here? A part stands one deeper than the layer that it is a part of, at most."""
    if depth == 1:
        return bool(_LAYER.fullmatch(text)) or text.startswith(_ANNOTATION) or text == _NOT_INTERCEPTED
    return bool(block) and depth <= block[-1][0] + 1 and bool(_LAYER.fullmatch(_layer_above(block)))


def _layer_above(block: Sequence[tuple[int, str]]) -> str:
    return next(text for depth, text in reversed(block) if depth == 1)


def _locked(block: Sequence[tuple[int, str]]) -> LockedRoute:
    texts = [text for depth, text in block if depth == 1]
    return LockedRoute(
        _tree([line for line in block if line[0] > 1 or _LAYER.fullmatch(line[1])], 1),
        tuple(text for text in texts if text.startswith(_ANNOTATION)),
        _NOT_INTERCEPTED not in texts,
    )


def _tree(lines: Sequence[tuple[int, str]], depth: int) -> tuple[LockedLayer, ...]:
    found: list[LockedLayer] = []
    for index, (own, text) in enumerate(lines):
        if own == depth:
            below = lines[index + 1 :]
            end = next((number for number, (other, _) in enumerate(below) if other <= depth), len(below))
            found.append(LockedLayer(text, _tree(below[:end], depth + 1)))
    return tuple(found)


def _lines(layers: Iterable[LockedLayer], indent: str) -> Iterator[str]:
    for layer in layers:
        yield indent + layer.text
        yield from _lines(layer.parts, indent + "  ")


def _layer(candidate: Candidate) -> LockedLayer:
    part = _part(candidate)
    return replace(part, text=printable(f"{candidate.level} {candidate.group or '-'} {part.text}"))


def _part(declared: Candidate | Part) -> LockedLayer:
    key = "" if declared.key is None else f"{declared.key} = "
    return LockedLayer(printable(key + declared.name), tuple(map(_part, declared.parts)))


def _as_json(value: object) -> str:
    return json.dumps(_jsonable(value), sort_keys=True, ensure_ascii=False)


def _jsonable(value: object) -> Any:
    """A value as JSON, the same in every process: no ids, no addresses, no order of a set."""
    parts: Any = value
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in parts]
    if isinstance(value, set | frozenset):
        return sorted((_jsonable(each) for each in parts), key=_as_json)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else _as_json(key): _jsonable(parts[key]) for key in parts}
    return getattr(value, "__qualname__", None) or type(value).__qualname__
