"""A policy instead of a hope: every route runs a layer, or says why it need not."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

from interceptors.candidates import Candidate, Explanation, identities_in
from interceptors.describing import location, name_of
from interceptors.kinds import InterceptorOrKey
from interceptors.target import Target

__all__ = ["Requirement"]


@final
@dataclass(frozen=True, slots=True)
class Requirement:
    """What `registry.require` was given: an interceptor or its key, or a group of globals."""

    interceptor: "InterceptorOrKey | None" = None
    group: str | None = None
    unless: str | None = None
    """The annotation that excuses a route, where it is true."""
    exempt: tuple[str, ...] = ()
    """Routes that are excused: `GET /health`, or `/health` for all its verbs."""

    @property
    def title(self) -> str:
        """For messages."""
        if self.interceptor is None:
            return f"a layer of the group {self.group!r}"
        return f"the layer {name_of(self.interceptor)}"

    @property
    def remedies(self) -> Iterator[str]:
        """What to write on a route that runs it not."""
        if self.interceptor is not None:
            yield f"put `@intercept({name_of(self.interceptor)})` on it, on its class or on its router"
        else:
            yield f"take out what skips the group {self.group!r} there"
        if self.unless is not None:
            yield f"excuse it by `@annotate({self.unless}=True)`"
        yield 'name it in `exempt=["GET /path"]`'

    def problem(self, found: Explanation, target: Target, same: Hashable) -> str | None:
        """Why a chain does not run it; None if it does. `same` is the identity of what the interceptor stands for."""
        asked_for = [each for each in found.candidates if self._is_meant(each, same)]
        if any(each.runs for each in asked_for):
            return None
        reasons = [each.reason or "" for each in asked_for]
        if not reasons:
            return "it is not declared there"
        skipped = "".join(f", on {place}" for place in _skipping(target)) if "skip" in reasons[0] else ""
        return f"{reasons[0]}{skipped}"

    def _is_meant(self, candidate: Candidate, same: Hashable) -> bool:
        if self.interceptor is None:
            return candidate.group == self.group
        return same in identities_in(candidate)


def _skipping(target: Target) -> Iterable[str]:
    """Where `@skip_interceptors` stands for a target."""
    for _, holder, recorded in target.levels:
        if recorded.skips_all or recorded.skips or recorded.skipped_groups:
            yield f"{name_of(holder)} ({location(holder)})"
