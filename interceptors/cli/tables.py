"""Tables for people."""

import shutil
import sys
from collections.abc import Sequence

from interceptors.cli.output import one_line

__all__ = ["in_words", "table"]

_LEAST = 20  # of the last column, however narrow the terminal is
_UNITS = [(86400.0, "day"), (3600.0, "h"), (60.0, "min"), (1.0, "s")]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns, numbers to the right. On a terminal the last column is cut to its width."""
    cells = [head, *[[one_line(cell) or "-" for cell in row] for row in rows]]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_number = [all(cell.isdecimal() for cell in column[1:]) for column in columns]
    room = _room(sum(widths[:-1]) + 2 * (len(widths) - 1))
    lines: list[str] = []
    for row in cells:
        *first, last = row
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(first, widths, is_number, strict=False)
        ]
        lines.append("  ".join([*padded, _cut(last, room)]).rstrip())
    return lines


def in_words(seconds: float) -> str:
    """A span of time as people say it: `12 s`, `3 min`, `5 h`, `2 days`."""
    length, unit = next((unit for unit in _UNITS if seconds >= unit[0]), _UNITS[-1])
    count = int(max(seconds, 0.0) // length)
    return f"{count} {unit}s" if unit == "day" and count != 1 else f"{count} {unit}"


def _room(taken: int) -> int | None:
    """How wide the last column may be; None in a pipe."""
    return max(shutil.get_terminal_size().columns - taken, _LEAST) if sys.stdout.isatty() else None


def _cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: room - 3]}..."
