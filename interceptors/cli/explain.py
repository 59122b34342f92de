"""`explain`: the chain of each route, as text or as JSON."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from interceptors.candidates import Candidate, Part
from interceptors.chain import Chain
from interceptors.cli.loading import load_application, reporting
from interceptors.cli.output import UsageError, printable, say
from interceptors.cli.routes import api_routes, candidates_of
from interceptors.describing import nearest
from interceptors.fastapi.listed_routes import RouteEntry

__all__ = ["explain_application"]

_VERSION = 1

_SourcePlace: TypeAlias = tuple[str | None, int | None]


def explain_application(application: str, route: str | None, *, why: bool, as_json: bool) -> None:
    """Print the chains of an application, or of the routes of one name.

    Raises UsageError for a route that there is not, CommandError for a chain that cannot be put together.
    """
    entries = _select(list(api_routes(load_application(application))), route)
    places = _Places()
    with reporting():
        if as_json:
            routes = [_as_json(entry, places) for entry in entries]
            lines = [json.dumps({"version": _VERSION, "app": application, "routes": routes}, indent=2)]
        else:
            lines = [printable(line) for entry in entries for line in _as_text(entry, places, why=why)]
    say(*lines)


def _select(entries: Sequence[RouteEntry], route: str | None) -> Sequence[RouteEntry]:
    if route is None:
        return entries
    found = [entry for entry in entries if route in (entry.title, entry.path, entry.target)]
    if not found:
        names = [name for entry in entries for name in (entry.target, entry.path, entry.title)]
        found_near = nearest(route, names, likeness=0)
        hint = f"the nearest is {found_near[0]!r}" if found_near else "the application has no API routes"
        raise UsageError(f"there is no route {route!r}; {hint}")
    return found


def _as_text(entry: RouteEntry, places: "_Places", *, why: bool) -> Iterator[str]:
    yield f"{entry.title}  {entry.target}"
    if entry.chain is None:
        yield "  (not intercepted)"
        return
    chain, left_out = _split(entry)
    for position, candidate in enumerate(chain, 1):
        yield "  ".join(["", str(position), *_columns(candidate, places)])
        yield from _parts_as_text(candidate, places, "    ")
    if not chain:
        yield "  (no interceptors)"
    for candidate in left_out if why else ():
        yield "  ".join(["", "-", *_columns(candidate, places), candidate.reason or "-"])
        yield from _parts_as_text(candidate, places, "    ")


def _parts_as_text(declared: Candidate | Part, places: "_Places", indent: str) -> Iterator[str]:
    """What a `Chain` is made of, two further in at each level."""
    for part in declared.parts:
        yield indent + "  ".join([part.key or "-", part.name, _place(part, places)])
        yield from _parts_as_text(part, places, indent + "  ")


def _columns(candidate: Candidate, places: "_Places") -> list[str]:
    return [candidate.level, candidate.group or "-", candidate.key or "-", candidate.name, _place(candidate, places)]


def _place(declared: Candidate | Part, places: "_Places") -> str:
    file, line = places.of(declared)
    return "-" if file is None else f"{file}:{line}"


def _as_json(entry: RouteEntry, places: "_Places") -> dict[str, Any]:
    chain, left_out = _split(entry)
    return {
        "method": entry.verb,
        "path": entry.path,
        "target": entry.target,
        "intercepted": entry.chain is not None,
        "chain": [{"position": position, **_facts(candidate, places)} for position, candidate in enumerate(chain, 1)],
        "left_out": [{**_facts(candidate, places), "reason": candidate.reason} for candidate in left_out],
    }


def _facts(candidate: Candidate, places: "_Places") -> dict[str, Any]:
    return {"level": candidate.level, "group": candidate.group, **_facts_of_part(candidate, places)}


def _facts_of_part(declared: Candidate | Part, places: "_Places") -> dict[str, Any]:
    file, line = places.of(declared)
    facts = {"key": declared.key, "name": declared.name, "file": file, "line": line}
    parts = [_facts_of_part(part, places) for part in declared.parts]
    return {**facts, "parts": parts} if parts else facts


def _split(entry: RouteEntry) -> tuple[list[Candidate], list[Candidate]]:
    """What runs, and what does not."""
    candidates = candidates_of(entry.chain)
    return [c for c in candidates if c.runs], [c for c in candidates if not c.runs]


class _Places:
    """Where interceptors are written. Python parses a whole file to find a class, so each is looked for once."""

    def __init__(self) -> None:
        self._here = Path.cwd()
        self._known: dict[int, tuple[Any, _SourcePlace]] = {}

    def of(self, declared: Candidate | Part) -> _SourcePlace:
        """File and line; the file relative if it is below the current folder, also through links."""
        interceptor = declared.interceptor  # kept, so that its id stays its own
        if id(interceptor) not in self._known:
            self._known[id(interceptor)] = interceptor, self._find(declared)
        return self._known[id(interceptor)][1]

    def _find(self, declared: Candidate | Part) -> _SourcePlace:
        place = None if isinstance(declared.interceptor, Chain) else declared.file_and_line
        if place is None:
            return None, None
        for file in (Path(place[0]).absolute(), Path(os.path.realpath(place[0]))):
            if file.is_relative_to(self._here):
                return file.relative_to(self._here).as_posix(), place[1]
        return place
