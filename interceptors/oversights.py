"""What is legal, and yet surely not what was meant: names that nothing has but a near one, globals that never run.

Warnings, because a source or a group of one's own may be called anything. Yielded, so that an application's start and
`interceptors check` tell the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias

from interceptors.candidates import GlobalEntry
from interceptors.describing import location, name_of, near_miss
from interceptors.entry import Entry
from interceptors.errors import (
    InterceptorError,
    InterceptorWarning,
    UnknownGroupWarning,
    UnknownSourceWarning,
    UnreachedGlobalWarning,
)
from interceptors.kinds import InterceptorOrKey, identity

__all__ = ["Meaning", "find_oversights"]

Meaning: TypeAlias = Callable[[InterceptorOrKey], object]
"""What a declared interceptor or key stands for; a key that is bound nowhere, for itself."""

_ROUTE = "route"
_SOURCES = (_ROUTE, "proxy", "event", "connector")
"""The source types of the library's own invocations."""

_MEANT: dict[str, str] = dict.fromkeys(("websocket", "websockets", "ws", "http"), _ROUTE)
"""What people write for one of them."""


def find_oversights(
    globals_: Sequence[GlobalEntry], ordered: Sequence[str], entries: Iterable[Entry], meaning: Meaning
) -> Iterator[InterceptorWarning]:
    """All of them; `entries` are the calls that there are: they know the sources, and what is skipped for them."""
    calls = list(entries)
    sources = {*_SOURCES, *(call.source_type for call in calls if call.source_type is not None)}
    groups = {*ordered, *(entry.group for entry in globals_)} - {""}
    for entry in globals_:
        yield from _unknown_sources(entry, sources, meaning)
        yield from _unknown_groups(entry, ordered, groups, meaning)
    yield from _unknown_skips(calls, groups)
    yield from _unreached(globals_, calls, meaning)


def _unknown_sources(entry: GlobalEntry, known: set[str], meaning: Meaning) -> Iterator[UnknownSourceWarning]:
    for source in entry.source or ():
        meant = None if source in known else _MEANT.get(source.casefold(), near_miss(source, known))
        if meant is not None:
            yield UnknownSourceWarning(
                f"{_title(entry, meaning)} is limited to the source {source!r}, which no call has, so it does not run "
                f"where {meant!r} is the source. Write source={meant!r}.",
                source,
                meant,
            )


def _unknown_groups(
    entry: GlobalEntry, ordered: Sequence[str], groups: set[str], meaning: Meaning
) -> Iterator[UnknownGroupWarning]:
    if entry.group not in ordered and (meant := near_miss(entry.group, ordered)):
        yield UnknownGroupWarning(
            f"{_title(entry, meaning)} is in the group {entry.group!r}, which is not in ordered_groups, so it stands in "
            f"front of those that are. Write group={meant!r}, or put {entry.group!r} into ordered_groups.",
            entry.group,
            meant,
        )
    for parameter, names in (("before", entry.before), ("after", entry.after)):
        for group in names:
            if group not in groups and (meant := near_miss(group, groups)):
                yield UnknownGroupWarning(
                    f"{_title(entry, meaning)} is ordered by {parameter}={group!r}, a group that does not exist. Write "
                    f"{parameter}={meant!r}.",
                    group,
                    meant,
                )


def _unknown_skips(calls: Iterable[Entry], groups: set[str]) -> Iterator[UnknownGroupWarning]:
    told: set[tuple[str, int]] = set()
    for call in calls:
        for _, holder, found in call.target.levels:
            for group in found.skipped_groups:
                if (group, id(holder)) in told or group in groups or not (meant := near_miss(group, groups)):
                    continue
                told.add((group, id(holder)))
                yield UnknownGroupWarning(
                    f"@skip_interceptors(group={group!r}) on {name_of(holder)} ({location(holder)}) names a group that "
                    f"does not exist, and skips nothing. Write group={meant!r}.",
                    group,
                    meant,
                )


def _unreached(
    globals_: Iterable[GlobalEntry], calls: Iterable[Entry], meaning: Meaning
) -> Iterator[UnreachedGlobalWarning]:
    """Globals that are limited to routes, of an application with routes."""
    left = {identity(meaning(entry.interceptor)): entry for entry in globals_ if set(entry.source or ()) == {_ROUTE}}
    routes = [call for call in calls if call.source_type == _ROUTE]
    for route in routes:
        if not left:
            return
        with suppress(InterceptorError):  # what is wrong with a chain is told by its own check
            for candidate in route.explain().chain:
                left.pop(candidate.identity, None)
    for entry in left.values() if routes else ():
        yield UnreachedGlobalWarning(
            f"{_title(entry, meaning)} is limited to routes, and runs around none of them: each of them skips it, or is "
            f"not intercepted. `interceptors explain MODULE:APP` shows why. Take it out, or a skip that leaves it out.",
            meaning(entry.interceptor),
        )


def _title(entry: GlobalEntry, meaning: Meaning) -> str:
    interceptor = meaning(entry.interceptor)
    return f"The global interceptor {name_of(interceptor)} ({location(interceptor)})"
