"""The HTTP status that an error carries itself, as LoopBack's do.

Only errors that left through remoting hooks are marked, and only marked errors are read so by the endpoints: the
`status_code` of some SDK's error must not become ours.
"""

from typing import Any

__all__ = ["mark_status", "status_of"]

_MARK = "__interceptors_status__"


def mark_status(error: Exception) -> None:
    """Let the error's own `status_code` or `status` be the answer's."""
    setattr(error, _MARK, True)


def status_of(error: Exception) -> tuple[int, Any] | None:
    """Status and detail of a marked error whose status is 400 to 599, else None."""
    if not getattr(error, _MARK, False):
        return None
    status: Any = getattr(error, "status_code", None)
    if not isinstance(status, int):
        status = getattr(error, "status", None)
    if not isinstance(status, int) or not 400 <= status <= 599:
        return None
    return int(status), getattr(error, "detail", str(error))
