"""The handlers, the steps of each, and the names of hooks and events: one table, from which everything else follows.

Source: Axe API's request life cycle and parameter tables (DELETE's second hook is `on_after_delete_query`: its own
parameter table says so, its life cycle table does not).
"""

from enum import StrEnum

__all__ = ["COMMON", "NAMES", "POINTS", "SPECIAL", "Handler", "fallback"]


class Handler(StrEnum):
    """What a request does with a model."""

    INSERT = "INSERT"
    PAGINATE = "PAGINATE"
    ALL = "ALL"
    SHOW = "SHOW"
    UPDATE = "UPDATE"
    PATCH = "PATCH"
    DELETE = "DELETE"

    @property
    def method(self) -> str:
        """The name of the method of `Resource`."""
        return self.value.lower()

    @property
    def is_write(self) -> bool:
        """Does it change a row?"""
        return self not in (Handler.PAGINATE, Handler.ALL, Handler.SHOW)


SPECIAL: dict[str, tuple[str, ...]] = {
    "before_insert": ("form_data",),
    "after_insert": ("form_data", "item"),
    **{f"before_{handler}": ("conditions", "query") for handler in ("paginate", "all", "show")},
    **{f"after_{handler}": ("conditions", "query", "result") for handler in ("paginate", "all")},
    "after_show": ("conditions", "query", "item"),
    **{f"before_{handler}_query": ("query",) for handler in ("update", "patch", "delete")},
    **{f"after_{handler}_query": ("query", "item") for handler in ("update", "patch", "delete")},
    **{
        f"{when}_{handler}": ("query", "item", "form_data")
        for handler in ("update", "patch")
        for when in ("before", "after")
    },
    **{f"{when}_delete": ("query", "item") for when in ("before", "after")},
}
"""The parameters that only the hooks and events of one point have."""

POINTS = tuple(SPECIAL)
"""Where hooks and events run: `before_insert` ..."""

NAMES = tuple(f"on_{point}" for point in POINTS)
"""The names of hooks and events: `on_before_insert` ..."""

COMMON = (
    "request",
    "response",
    "model",
    "session",
    "database",
    "in_transaction",
    "relation",
    "parent_model",
    "params",
    "handler",
    "state",
    "ctx",
)
"""The parameters that every hook may have."""


def fallback(point: str) -> str:
    """The point whose hook runs where a point has none: PATCH takes the names of UPDATE."""
    return point.replace("patch", "update")
