"""Which invocation runs here: one context variable, which has a cell. See `interceptors.context.running`."""

from contextvars import ContextVar
from typing import Any, TypeAlias

__all__ = ["Cell", "current"]

Cell: TypeAlias = list[Any]
"""An invocation while it runs: [its context, or None when it has ended; the cell that it was started in, or None].

`current` holds a cell and not the context, and the cell is emptied at the end. So a contextvars context that somebody
keeps (a copy, a task, a timer) keeps no request alive, and a task that outlives the request in which it was started
belongs to none; while an invocation further out runs, what an inner one has left behind still belongs to that one.
"""

current: ContextVar[Cell | None] = ContextVar("interceptors.current", default=None)
"""The innermost invocation of this task, or of the task that started it.

Set by `entry.run`, by what has that written out, and by `context.Running`; `awaiting` sets it again where a layer hands
`next` to another task, `bindings` where a context is used in another task.
"""
