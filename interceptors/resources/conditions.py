"""What a client asks of a list: the `conditions` that Paginate, All and Show hooks get, and may change.

They are applied after the before hook. Values are Python values of the column's type, not the client's text.
"""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["COMPARISONS", "EQUALITIES", "LIKES", "LISTS", "PAIRS", "Condition", "Conditions", "Sort", "With"]

EQUALITIES = ("", "not")
COMPARISONS = ("gt", "gte", "lt", "lte")
LIKES = ("like", "notLike", "iLike", "notILike")
LISTS = ("in", "notIn")
PAIRS = ("between", "notBetween")


@dataclass(slots=True)
class Sort:
    """Order by a column; `type` is "ASC" or "DESC", in any case."""

    name: str
    type: str = "ASC"


@dataclass(slots=True)
class Condition:
    """One comparison.

    `condition` is "" for equality, else one of not, gt, gte, lt, lte, like, notLike, iLike, notILike, in, notIn, between
    and notBetween. `prefix` ("and" or "or") joins it to what precedes it in its list; AND binds tighter. The value is
    None for NULL (equality and not alone), a list for in and notIn, two values for between and notBetween.
    """

    field: str
    value: Any
    condition: str = ""
    prefix: str = "and"


@dataclass(slots=True)
class With:
    """A relationship to load, with these columns of it (none: all), and what to load with its rows."""

    name: str
    fields: list[str] = field(default_factory=list[str])
    with_: list["With"] = field(default_factory=list["With"])


@dataclass(slots=True)
class Conditions:
    """Everything that a query string said.

    `q` is a list of conditions and of lists, which are groups. What the client sent is one entry, and the entries of
    the outermost list are always joined by AND: what a hook adds narrows the result, whatever the client wrote.
    """

    page: int = 1
    per_page: int = 10
    sort: list[Sort] = field(default_factory=list[Sort])
    fields: list[str] = field(default_factory=list[str])
    q: list[Any] = field(default_factory=list[Any])
    with_: list[With] = field(default_factory=list[With])
