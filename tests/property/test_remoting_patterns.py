"""Patterns of remoting hooks: what they match and in which order hooks run, against a model written from the rules."""

import random
from functools import cmp_to_key
from itertools import product
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.errors import InvalidPatternError
from interceptors.remoting import RemoteHooks
from interceptors.remoting.patterns import Pattern
from tests.unit.remoting.support import call, context

SEGMENTS = ["User", "Order", "prototype", "find", "save"]

names = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=5).map(".".join)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """A pattern: literals and `*`, and `**` at most once."""
    segments = draw(st.lists(st.sampled_from([*SEGMENTS, "*", "*"]), max_size=4))
    if not segments or draw(st.booleans()):
        segments.insert(draw(st.integers(0, len(segments))), "**")
    return ".".join(segments)


# -- the model ---------------------------------------------------------------------------------------------------------


def matches(pattern: str, name: str) -> bool:
    """Every length of `**` is tried: one or more segments at the end, zero or more elsewhere."""
    wanted, segments = pattern.split("."), name.split(".")
    if "**" in wanted:
        at = wanted.index("**")
        least = 1 if at == len(wanted) - 1 else 0
        forms = [[*wanted[:at], *["*"] * n, *wanted[at + 1 :]] for n in range(least, len(segments) + 1)]
    else:
        forms = [wanted]
    for form in forms:
        if len(form) != len(segments):
            continue
        if all(part in ("*", segment) for part, segment in zip(form, segments, strict=True)):
            return True
    return False


def compare(left: str, right: str) -> int:
    """The end of the pattern before a literal before `*` before `**`, segment by segment."""
    one, other = left.split("."), right.split(".")
    for place in range(max(len(one), len(other)) + 1):
        ranks = []
        for segments in (one, other):
            if place >= len(segments):
                ranks.append(-1)
            elif segments[place] == "**":
                ranks.append(2)
            elif segments[place] == "*":
                ranks.append(1)
            else:
                ranks.append(0)
        if ranks[0] != ranks[1]:
            return -1 if ranks[0] < ranks[1] else 1
    return 0


def expected(registered: list[str], name: str) -> list[int]:
    """Which of the registered patterns run for a call, by their places, in order."""
    found: list[int] = []
    for place, pattern in enumerate(registered):
        if matches(pattern, name):
            # Inserted before the first one that it precedes: equal ones keep the order of registration.
            at = next((i for i, known in enumerate(found) if compare(pattern, registered[known]) < 0), len(found))
            found.insert(at, place)
    return found


# -- properties --------------------------------------------------------------------------------------------------------


@given(patterns(), names)
def test_a_pattern_matches_what_the_rules_say(pattern: str, name: str) -> None:
    """Against the brute-force matcher."""
    assert Pattern(pattern).matches(name) is matches(pattern, name)


def test_every_short_pattern_matches_what_the_rules_say() -> None:
    """All patterns of up to four segments over a small alphabet, against all names of up to four."""
    literals = ["a", "b"]
    known = [".".join(parts) for n in range(1, 5) for parts in product(literals, repeat=n)]
    for length in range(1, 5):
        for parts in product([*literals, "*", "**"], repeat=length):
            text = ".".join(parts)
            if parts.count("**") > 1:
                with pytest.raises(InvalidPatternError):
                    Pattern(text)
                continue
            pattern = Pattern(text)
            assert [name for name in known if pattern.matches(name)] == [n for n in known if matches(text, n)], text


@given(st.lists(patterns(), max_size=8))
def test_patterns_sort_as_the_rules_say(given_patterns: list[str]) -> None:
    """By the vector, lexicographically; equal vectors keep the order in which they were registered."""
    by_key = sorted(given_patterns, key=lambda text: Pattern(text).order)
    assert by_key == sorted(given_patterns, key=cmp_to_key(compare))


@given(patterns(), patterns(), patterns())
def test_the_order_is_one(first: str, second: str, third: str) -> None:
    """Total and transitive: what is before another stays before it, whatever else is registered."""
    order = {text: Pattern(text).order for text in (first, second, third)}
    assert (order[first] < order[second]) is (compare(first, second) < 0)
    if order[first] <= order[second] <= order[third]:
        assert compare(first, third) <= 0


@given(st.text(alphabet="ab*.", max_size=8))
def test_a_text_is_a_pattern_or_refused(text: str) -> None:
    """Empty segments, `*` inside a segment and a second `**` are refused, and nothing else."""
    segments = text.split(".")
    bad = (
        "" in segments
        or any("*" in segment and segment not in ("*", "**") for segment in segments)
        or segments.count("**") > 1
    )
    if bad:
        with pytest.raises(InvalidPatternError):
            Pattern(text)
    else:
        assert Pattern(text).text == text


@given(st.lists(patterns(), max_size=8), names, st.sampled_from(["before", "after", "error"]))
def test_a_call_runs_the_hooks_that_match_in_order(registered: list[str], name: str, when: str) -> None:
    """The same order before, after and when it fails, on both event loops."""
    hooks = RemoteHooks()
    log: list[int] = []
    register = {
        "before": hooks.before_remote,
        "after": hooks.after_remote,
        "error": hooks.after_remote_error,
    }[when]
    for place, pattern in enumerate(registered):
        register(pattern, lambda ctx, place=place: log.append(place))

    async def once() -> None:
        log.clear()
        if when == "error":
            with pytest.raises(ValueError, match="no"):
                await call(hooks, name, raises=ValueError("no"))
        else:
            assert await call(hooks, name) == "found"

    for backend in ("asyncio", "trio"):
        anyio.run(once, backend=backend)
        assert log == expected(registered, name)


# -- many sets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_many_random_sets_of_patterns(number: int) -> None:
    """Seeded, so that it is the same test every day: `model()` and plain patterns, one call each."""
    draw = random.Random(3)
    contexts: dict[str, Any] = {
        name: context(name)
        for name in [
            "find",
            "User.find",
            "User.save",
            "User.prototype.save",
            "User.prototype.find.all",
            "Order.find",
            "Order.prototype.save",
            "User.User.User",
        ]
    }
    lengths = []
    for _ in range(number):
        registered = []
        hooks = RemoteHooks()
        log: list[int] = []
        for place in range(draw.randrange(1, 9)):
            segments = draw.choices([*SEGMENTS, "*", "*"], k=draw.randrange(4))
            if not segments or draw.random() < 0.4:
                segments.insert(draw.randrange(len(segments) + 1), "**")
            registered.append(".".join(segments))
            add: Any = hooks
            if len(segments) > 1 and "*" not in segments[0]:
                add = hooks.model(segments.pop(0))
            add.before_remote(".".join(segments), lambda ctx, place=place: log.append(place))
        name = draw.choice(list(contexts))
        await call(hooks, ctx=contexts[name])
        assert log == expected(registered, name), (name, registered)
        lengths.append(len(log))
    assert sum(length > 1 for length in lengths) > number / 5  # the sets were worth it
