"""Patterns: what they match, how they sort, and which ones are refused."""

import pytest

from interceptors.describing import check_name
from interceptors.errors import InvalidPatternError
from interceptors.remoting.patterns import Pattern

NAMES = ["login", "User.find", "User.prototype.save", "Order.find", "Order.prototype.save"]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("login", ["login"]),
        ("*", ["login"]),
        ("**", NAMES),
        ("User.find", ["User.find"]),
        ("user.find", []),
        ("User", []),
        ("find", []),
        ("User.*", ["User.find"]),
        ("User.**", ["User.find", "User.prototype.save"]),
        ("*.find", ["User.find", "Order.find"]),
        ("*.*", ["User.find", "Order.find"]),
        ("*.**", NAMES[1:]),
        ("**.*", NAMES),
        ("**.find", ["User.find", "Order.find"]),
        ("**.login", ["login"]),
        ("*.save", []),
        ("**.save", ["User.prototype.save", "Order.prototype.save"]),
        ("*.*.*", ["User.prototype.save", "Order.prototype.save"]),
        ("User.*.save", ["User.prototype.save"]),
        ("User.**.save", ["User.prototype.save"]),
        ("User.**.find", ["User.find"]),
        ("User.prototype.**", ["User.prototype.save"]),
        ("User.prototype.save.**", []),
        ("User.find.**", []),
        ("*.prototype.*", ["User.prototype.save", "Order.prototype.save"]),
        ("**.prototype.*", ["User.prototype.save", "Order.prototype.save"]),
        ("User.*.*.*", []),
    ],
)
def test_what_a_pattern_matches(pattern: str, matched: list[str]) -> None:
    """A literal equals, `*` is one segment, `**` any number, at the end at least one."""
    assert [name for name in NAMES if Pattern(pattern).matches(name)] == matched


def test_one_segment_does_not_count_twice() -> None:
    """What stands before and after `**` matches different segments."""
    assert not Pattern("User.**.User").matches("User")
    assert Pattern("User.**.User").matches("User.User")
    assert not Pattern("a.b.**.b.c").matches("a.b.c")


def test_specific_patterns_sort_before_general_ones() -> None:
    """Segment by segment: nothing, a literal, `*`, `**`."""
    patterns = ["User.find", "User.*", "User.**", "*.find", "*.*", "**", "**.find"]
    assert sorted(reversed(patterns), key=lambda text: Pattern(text).order) == patterns
    assert Pattern("User.find").order == Pattern("Order.save").order == (0, 0, -1)
    assert Pattern("*.prototype.**").order == (1, 0, 2, -1)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "has an empty segment"),
        (".", "has an empty segment"),
        ("User.", "has an empty segment"),
        (".find", "has an empty segment"),
        ("User..find", "has an empty segment"),
        ("User.find*", "has `*` inside a segment; a wildcard is a whole segment"),
        ("*find", "has `*` inside a segment; a wildcard is a whole segment"),
        ("__*__x", "has `*` inside a segment; a wildcard is a whole segment"),
        ("***", "has `*` inside a segment; a wildcard is a whole segment"),
        ("**.**", "has `**` twice"),
        ("**.User.**", "has `**` twice"),
    ],
)
def test_a_pattern_that_could_never_match_is_refused(pattern: str, problem: str) -> None:
    """The error says why, and what a pattern is."""
    with pytest.raises(InvalidPatternError) as caught:
        Pattern(pattern)
    assert isinstance(caught.value, ValueError)
    assert caught.value.pattern == pattern
    assert str(caught.value) == (
        f"The pattern {pattern!r} {problem}, so it could never match. Write segments joined by dots: a name, `*` for "
        "one segment, or `**` once for any number."
    )


@pytest.mark.parametrize("name", ["find", "prototype.save", "User.prototype.save", "ünïcode", "with space", "find-all"])
def test_a_name_has_segments(name: str) -> None:
    """They may be called anything."""
    check_name(name, "remote method")


@pytest.mark.parametrize("name", ["", ".", "a..b", ".a", "a.", "*", "a.*", "fi*d", "**"])
def test_a_name_without_a_segment_or_with_a_wildcard_is_refused(name: str) -> None:
    """It would match nothing, or too much."""
    with pytest.raises(ValueError, match="is no name of a ") as caught:
        check_name(name, "remote method")
    assert str(caught.value) == (
        f"{name!r} is no name of a remote method: write segments joined by dots, not empty and without `*`."
    )


def test_a_name_may_have_to_be_one_segment() -> None:
    """As a model's."""
    check_name("User", "model", segments=1)
    with pytest.raises(ValueError, match="^'User.find' is no name of a model: write one segment, not empty and "):
        check_name("User.find", "model", segments=1)
