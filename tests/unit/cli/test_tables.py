"""Tables for people."""

import sys
from io import StringIO

import pytest

from interceptors.cli.tables import in_words, table

ROWS = [["1", "shop.mail", "ConnectionError: smtp is down\nport 25"], ["12", "", "x"]]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_aligned() -> None:
    """Numbers to the right; several lines are one, what is not printable is escaped; nothing is a dash."""
    assert table(["ID", "HANDLER", "ERROR"], [*ROWS, ["3", "a\x1b[31m", ""]]) == [
        "ID  HANDLER    ERROR",
        " 1  shop.mail  ConnectionError: smtp is down port 25",
        "12  -          x",
        " 3  a\\x1b[31m  -",
    ]


@pytest.mark.parametrize(
    ("columns", "last"),
    [
        ("200", "ConnectionError: smtp is down port 25"),
        ("40", "ConnectionError: smtp ..."),
        ("10", "ConnectionError: ..."),
    ],
)
def test_on_a_terminal_the_last_column_is_cut(monkeypatch: pytest.MonkeyPatch, columns: str, last: str) -> None:
    """To its width, but never to less than can be read."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", columns)
    assert table(["ID", "HANDLER", "ERROR"], ROWS)[1] == f" 1  shop.mail  {last}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3.0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60.0, "1 min"),
        (3599.0, "59 min"),
        (3600.0, "1 h"),
        (86399.0, "23 h"),
        (86400.0, "1 day"),
        (200000.0, "2 days"),
    ],
)
def test_spans_of_time_in_words(seconds: float, words: str) -> None:
    """The largest unit, rounded down."""
    assert in_words(seconds) == words
