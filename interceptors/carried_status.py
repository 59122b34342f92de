"""The HTTP status that an error carries itself, as LoopBack's do.

Only errors that left through remoting hooks are marked, and only marked errors are read so by the endpoints: the
`status_code` of some SDK's error must not become ours.
"""

from typing import Any

__all__ = ["mark_status", "take_status"]

_MARK = "__interceptors_status__"


def mark_status(error: Exception) -> None:
    """Let the error's own `status_code` or `status` be the answer's."""
    object.__setattr__(error, _MARK, True)  # also on a frozen dataclass


def take_status(error: Exception) -> tuple[int, Any] | None:
    """Status and detail of a marked error whose status is 400 to 599, else None.

    The mark is taken away: the same object may be raised again where no hooks are.
    """
    if not vars(error).pop(_MARK, False):
        return None
    status: Any = getattr(error, "status_code", None)
    if not isinstance(status, int):
        status = getattr(error, "status", None)
    if not isinstance(status, int) or not 400 <= status <= 599:
        return None
    return int(status), getattr(error, "detail", str(error))
