"""Patterns of remoting hooks: which calls they match, and in which order they run."""

from dataclasses import dataclass

from interceptors.errors import InvalidPatternError

__all__ = ["Pattern"]

_RANK = {"*": 1, "**": 2}
_LITERAL, _END = 0, -1


@dataclass(frozen=True, slots=True)
class Pattern:
    """Segments joined by dots: a literal, `*` (exactly one segment) or `**` (any number; at the end at least one)."""

    text: str

    def __post_init__(self) -> None:
        segments = self.text.split(".")
        if "" in segments:
            problem = "has an empty segment"
        elif any("*" in segment and segment not in _RANK for segment in segments):
            problem = "has `*` inside a segment; a wildcard is a whole segment"
        elif segments.count("**") > 1:
            problem = "has `**` twice"
        else:
            return
        raise InvalidPatternError(
            f"The pattern {self.text!r} {problem}, so it could never match. Write segments joined by dots: a name, `*` "
            f"for one segment, or `**` once for any number.",
            self.text,
        )

    @property
    def order(self) -> tuple[int, ...]:
        """Sort key: specific before general, segment by segment; equal keys keep the order of registration."""
        return (*(_RANK.get(segment, _LITERAL) for segment in self.text.split(".")), _END)

    def matches(self, name: str) -> bool:
        """Does it match a call's name, `Customer.find` or `Customer.prototype.save`?"""
        pattern, segments = self.text.split("."), name.split(".")
        if "**" not in pattern:
            return _same(pattern, segments)
        before, after = pattern[: pattern.index("**")], pattern[pattern.index("**") + 1 :]
        least = len(before) + (len(after) or 1)
        if len(segments) < least:
            return False
        return _same(before, segments[: len(before)]) and _same(after, segments[len(segments) - len(after) :])


def _same(pattern: list[str], segments: list[str]) -> bool:
    return len(pattern) == len(segments) and all(p in ("*", s) for p, s in zip(pattern, segments, strict=True))
