"""The one table: a row is a figure, its ratio to a baseline of the same rounds, and the budget of either."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.measure import Series

__all__ = ["Budget", "Row", "at_least", "at_most", "heading", "render", "verdict"]

_SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "I": ((1e6, "MI"), (1e3, "kI"), (1.0, "I")),
    "B": ((1.0, "B"),),
    "/s": ((1.0, "/s"),),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit of a row's ratio, or of its figure."""

    limit: float
    is_maximum: bool
    of_figure: bool = False

    def holds(self, value: float) -> bool:
        """Is it kept?"""
        return value <= self.limit if self.is_maximum else value >= self.limit

    def text(self, unit: str) -> str:
        """In the unit of a row's figure."""
        return (
            f"{'<=' if self.is_maximum else '>='} {_human(self.limit, unit) if self.of_figure else f'{self.limit:g}x'}"
        )


def at_most(limit: float, *, of_figure: bool = False) -> Budget:
    """The ratio must not be higher."""
    return Budget(limit, is_maximum=True, of_figure=of_figure)


def at_least(limit: float, *, of_figure: bool = False) -> Budget:
    """The ratio must not be lower."""
    return Budget(limit, is_maximum=False, of_figure=of_figure)


@dataclass(frozen=True, slots=True)
class Row:
    """`figure` is in `unit`: seconds "s", instructions "I", bytes "B", per second "/s", or "" for a row that is only a ratio."""

    name: str
    figure: Series | None
    unit: str = ""
    ratio: Series | None = None
    budget: Budget | None = None


def verdict(row: Row) -> str:
    """Is the budget kept? `~` where the limit lies within the spread, so that another run may say otherwise."""
    series = row.figure if row.budget and row.budget.of_figure else row.ratio
    if row.budget is None or series is None:
        return ""
    low, high = series.quartiles
    doubtful = row.budget.holds(low) != row.budget.holds(high)
    return f"{'ok' if row.budget.holds(series.median) else 'over'}{' ~' if doubtful else ''}"


def heading(title: str) -> str:
    """What stands above the rows of one benchmark."""
    columns = f"{'median':>9} {'spread':>7}   {'ratio':>6} {'[quartiles]':15} {'budget':>9}"
    return f"\n{title:48}{columns}"


def render(rows: Iterable[Row]) -> str:
    """The rows as text."""
    return "\n".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    figure = spread = ratio = quartiles = ""
    if row.figure is not None:
        figure = _human(row.figure.median, row.unit)
        spread = _spread(row.figure)
    if row.ratio is not None:
        low, high = row.ratio.quartiles
        ratio = f"{row.ratio.median:.3f}"
        quartiles = f"[{low:.3f}-{high:.3f}]" if low != high else ""
    budget = row.budget.text(row.unit) if row.budget else ""
    columns = f"{figure:>9} {spread:>7}   {ratio:>6} {quartiles:15} {budget:>9}  {verdict(row)}"
    return f"  {row.name:46}{columns}".rstrip()


def _human(value: float, unit: str) -> str:
    for scale, name in _SCALES[unit]:
        if abs(value) >= scale:
            break
    scaled = value / scale
    return f"{scaled:.{0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2}f} {name}"


def _spread(series: Series) -> str:
    low, high = series.quartiles
    return "" if low == high or not series.median else f"±{50 * (high - low) / abs(series.median):.1f}%"
