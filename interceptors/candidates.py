"""The effective list of one method: globals, then class level, then method level, skips and duplicates taken out.

One list of candidates says both what runs and, for `explain`, why the others do not.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from interceptors.chain import Chain
from interceptors.describing import file_and_line, location, name_of
from interceptors.errors import InvalidInterceptorError
from interceptors.kinds import InterceptorOrKey, identity, is_router
from interceptors.metadata import Metadata
from interceptors.target import Target

__all__ = [
    "Candidate",
    "Explanation",
    "GlobalEntry",
    "Part",
    "Resolve",
    "find_candidates",
    "identities_in",
    "make_part",
]

Resolve = Callable[[InterceptorOrKey, Callable[[], str]], Any]
"""Turns a key or provider into what it stands for; the second argument says, on demand, who asks."""


@dataclass(frozen=True, slots=True)
class GlobalEntry:
    """A global interceptor as it was registered."""

    interceptor: InterceptorOrKey  # the key, if it has one: binding the key anew changes what runs
    group: str = ""
    key: str | None = None
    source: tuple[str, ...] | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def applies_to(self, source_type: str | None) -> bool:
        """An invocation without a source gets every global."""
        return self.source is None or source_type is None or source_type in self.source


class _Declared:
    """How an interceptor is shown."""

    __slots__ = ()
    interceptor: Any

    @property
    def name(self) -> str:
        """Its qualified name; for a provider, that of the class or function it provides."""
        return name_of(self.interceptor)

    @property
    def file_and_line(self) -> tuple[str, int] | None:
        """Where it is written, if that is known."""
        return file_and_line(self.interceptor)


@dataclass(slots=True)
class Part(_Declared):
    """An interceptor in a `Chain`, its key resolved."""

    key: str | None
    """The key it was declared by."""
    interceptor: Any
    """What the key is bound to, or the interceptor itself."""
    parts: "tuple[Part, ...]" = ()
    """What a `Chain` is made of, outermost first."""


@dataclass(slots=True)
class Candidate(_Declared):
    """An interceptor that was declared for a method, in the order outermost first."""

    level: str
    """"global", "class" or "method" (also for a function)."""
    group: str | None
    """The group of a global, "" if it has none; None at the other levels."""
    key: str | None
    """The key it was declared by."""
    interceptor: Any
    """What the key is bound to, or the interceptor itself."""
    reason: str | None = None
    """Why it does not run; None if it runs."""
    sources: tuple[str, ...] | None = None
    """The source types that a global is limited to."""
    parts: tuple[Part, ...] = ()
    """What a `Chain` is made of, outermost first."""
    identity: Hashable = field(default=None, repr=False)

    @property
    def runs(self) -> bool:
        """Is it in the chain?"""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `registry.explain` knows about one method: every candidate, outermost first."""

    target: str
    source: str | None
    candidates: tuple[Candidate, ...]

    @property
    def chain(self) -> tuple[Candidate, ...]:
        """Those that run."""
        return tuple(candidate for candidate in self.candidates if candidate.runs)

    def __str__(self) -> str:
        lines = [self.target if self.source is None else f"{self.target}  (source: {self.source})"]
        position = 0
        for candidate in self.candidates:
            position += candidate.runs
            place = candidate.file_and_line
            columns = [
                str(position) if candidate.runs else "-",
                candidate.level,
                candidate.group or "-",
                candidate.key or "-",
                candidate.name,
                f"{place[0]}:{place[1]}" if place else "-",
            ]
            lines.append("  ".join(["", *columns, *([] if candidate.runs else [candidate.reason or ""])]))
        return "\n".join(lines)


def find_candidates(
    globals_: Iterable[GlobalEntry], target: Target, source_type: str | None, resolve: Resolve
) -> list[Candidate]:
    """Every interceptor declared for a target."""
    found: list[Candidate] = []
    running: set[Hashable] = set()
    for entry in globals_:
        candidate = _candidate("global", entry.interceptor, lambda: "a global interceptor", resolve)
        candidate.group, candidate.key, candidate.sources = entry.group, entry.key or candidate.key, entry.source
        if not entry.applies_to(source_type):
            candidate.reason = f"source: only {', '.join(entry.source or ())}"
        elif candidate.identity in running:
            candidate.reason = "registered twice: the first one runs"
        else:
            running.add(candidate.identity)
        found.append(candidate)
    # A class that does not inherit starts afresh among its bases, and stays below its routers.
    for (level, _), records in groupby(target.levels, key=lambda record: (record[0], is_router(record[1]))):
        _add_level(found, level, ((holder, metadata) for _, holder, metadata in records), resolve)
    return found


def make_part(
    declared: InterceptorOrKey, asked_by: Callable[[], str], resolve: Resolve, within: tuple[Hashable, ...] = ()
) -> Part:
    """Resolve an interceptor and, of a `Chain`, everything in it.

    Raises UnknownKeyError, and InvalidInterceptorError for a chain that contains itself, by a key.
    """
    interceptor = resolve(declared, asked_by)
    part = Part(declared if isinstance(declared, str) else None, interceptor)
    if isinstance(interceptor, Chain):
        if identity(interceptor) in within:
            raise InvalidInterceptorError(f"{interceptor!r} contains itself, by a key.", interceptor)
        inside = (*within, identity(interceptor))
        part.parts = tuple(
            make_part(each, lambda: repr(interceptor), resolve, inside) for each in interceptor.interceptors
        )
    return part


def identities_in(part: "Part | Candidate") -> Iterator[Hashable]:
    """Those of an interceptor and, of a `Chain`, of everything in it."""
    yield identity(part.interceptor)
    for each in part.parts:
        yield from identities_in(each)


def _add_level(
    found: list[Candidate], level: str, records: Iterable[tuple[object, Metadata]], resolve: Resolve
) -> None:
    """Add the lists of one level, the base's first; what it names again leaves its place further out."""
    local: list[Candidate] = []
    for holder, metadata in records:
        if not metadata.inherit:
            _leave_out(local, lambda _: True, f"not inherited: @intercept(..., inherit=False) on {name_of(holder)}")
        if metadata.skips_all:  # what the same decorators add is not from further out
            _leave_out([*found, *local], lambda _: True, "skipped: @skip_interceptors()")
        for group in metadata.intercepts:

            def asked_by(holder: object = holder) -> str:
                return f"@intercept on {name_of(holder)}, {location(holder)}"

            _merge(local, [_candidate(level, item, asked_by, resolve) for item in group], level)
        _skip(found, metadata, resolve)
        _skip(local, metadata, resolve)
    again = {candidate.identity for candidate in local if candidate.runs}
    _leave_out(found, lambda candidate: candidate.identity in again, f"moved: named again at {level} level")
    found += local


def _merge(front: list[Candidate], back: Sequence[Candidate], level: str) -> None:
    """`merge(front, back)`: drop from `front` what is also in `back`, then append `back` without its repetitions."""
    again = {candidate.identity for candidate in back}
    _leave_out(front, lambda candidate: candidate.identity in again, f"moved: named again at {level} level")
    seen: set[Hashable] = set()
    for candidate in back:
        if candidate.identity in seen:
            candidate.reason = "named twice: the first one runs"
        seen.add(candidate.identity)
        front.append(candidate)


def _skip(candidates: list[Candidate], metadata: Metadata, resolve: Resolve) -> None:
    for group in metadata.skipped_groups:
        _leave_out(candidates, _in_group(group), f"skipped: @skip_interceptors(group={group!r})")
    for item in metadata.skips:
        _leave_out(candidates, _is(_known_identity(item, resolve)), f"skipped: @skip_interceptors({name_of(item)})")


def _in_group(group: str) -> Callable[[Candidate], bool]:
    return lambda candidate: candidate.group == group


def _is(same: Hashable) -> Callable[[Candidate], bool]:
    return lambda candidate: candidate.identity == same


def _known_identity(item: InterceptorOrKey, resolve: Resolve) -> Hashable:
    try:
        return identity(resolve(item, lambda: ""))
    except LookupError:  # what the key names may not be installed
        return None


def _leave_out(candidates: Iterable[Candidate], when: Callable[[Candidate], bool], reason: str) -> None:
    for candidate in candidates:
        if candidate.runs and when(candidate):
            candidate.reason = reason


def _candidate(level: str, declared: InterceptorOrKey, asked_by: Callable[[], str], resolve: Resolve) -> Candidate:
    part = make_part(declared, asked_by, resolve)
    same = identity(part.interceptor)
    return Candidate(level, None, part.key, part.interceptor, parts=part.parts, identity=same)
