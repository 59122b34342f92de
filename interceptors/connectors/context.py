"""The context of one execute: the request, the response, the error, and `end`."""

import sys
import warnings
from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from interceptors.errors import DoubleCompletionWarning, IgnoredAssignmentWarning
from interceptors.hooks import HookRun
from interceptors.kinds import file_and_line

if TYPE_CHECKING:
    from interceptors.connectors.connector import Connector, Hooks

__all__ = ["ConnectorContext", "Results"]

Req = TypeVar("Req")
Res = TypeVar("Res")


@final
class Results(MutableSequence[Any]):
    """Always `[ctx.res]`, live: LoopBack's `ctx.results`. It has one place."""

    def __init__(self, ctx: "ConnectorContext[Any, Any]") -> None:
        self._ctx = ctx

    def __getitem__(self, index: Any) -> Any:
        return [self._ctx.res][index]

    def __setitem__(self, index: Any, value: Any) -> None:
        places = [self._ctx.res]
        places[index] = value
        self._ctx.results = places

    def __delitem__(self, index: Any) -> None:
        raise TypeError("ctx.results has one place, which cannot be deleted; assign ctx.results[0].")

    def insert(self, index: int, value: Any) -> None:
        """Refused: there is one place."""
        raise TypeError("ctx.results has one place; assign ctx.results[0], or ctx.results = [res, value].")

    def __len__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return list(self) == (list(other) if isinstance(other, Results) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"[{self._ctx.res!r}]"


class ConnectorContext(Generic[Req, Res]):
    """One per execute; hooks and interceptors of that execute share it."""

    def __init__(
        self,
        connector: "Connector[Req, Res]",
        req: Req,
        options: dict[str, Any],
        hooks: "Hooks",
        operation: Callable[[Req], Awaitable[Res]],
    ) -> None:
        self.connector: Connector[Req, Res] = connector
        """The one that executes, also in a parent's hooks."""
        self.options: dict[str, Any] = options
        """What the caller gave along."""
        self.state: dict[str, Any] = {}
        """For the hooks of this execute."""
        self.hooks = hooks
        self.operation = operation
        self._req = req
        self._res: Any = None
        self._error: Exception | None = None
        self._run: HookRun | None = None

    @property
    def req(self) -> Req:
        """The request. The operation gets what it holds when its turn comes: edit it in place, or replace it."""
        return self._req

    @req.setter
    def req(self, value: Any) -> None:
        self._req = self.connector.take_request(self, value)

    @property
    def res(self) -> Res:
        """The response; None until the operation has returned."""
        res: Res = self._res
        return res

    @res.setter
    def res(self, value: Any) -> None:
        self._res = self.connector.take_result(self, value)

    @property
    def results(self) -> MutableSequence[Any]:
        """Always `[ctx.res]`, live. Assign `[value]`, or `[response, value]` for `end(None, response, value)` without ending."""
        return Results(self)

    @results.setter
    def results(self, values: Iterable[Any]) -> None:
        match list(values):
            case [value]:
                self.res = value
            case [source, value]:
                self._res = self.connector.take_result(self, value, source)
            case other:
                raise TypeError(f"ctx.results takes [value] or [response, value], not {len(other)} values")

    @property
    def error(self) -> Exception | None:
        """What the caller will get, when the operation failed. Replace it with `raise`, `next(error)` or `end(error)`."""
        return self._error

    @error.setter
    def error(self, value: Any) -> None:
        run = self._run
        title = "Somebody" if run is None else run.hook.title
        file, line = (None if run is None else file_and_line(run.hook.function)) or ("<unknown>", 0)
        warnings.warn_explicit(
            f"{title} assigned ctx.error, which changes nothing, as in LoopBack. Replace the error with `raise`, "
            f"`next(error)` or `ctx.end(error)`.",
            IgnoredAssignmentWarning,
            file,
            line,
        )

    def end(self, err: Any = None, *results: Any) -> None:
        """End the event: `end()`, `end(err)`, `end(None, result)`, `end(err, ctx_or_response, result)`.

        The last argument is the result, on every connector; a truthy `err` wins over it. In a before observer it skips
        all other observers and the operation, in an after or error observer the rest of that event.
        """
        if len(results) > 2:
            raise TypeError(f"ctx.end takes (err, result) or (err, response, result), not {1 + len(results)} arguments")
        run = self._run
        if run is None or run.is_complete:
            self._warn_of_late_end()
        elif err:
            run.fail(err)
        else:
            value, source = (results[-1] if results else None), (results[0] if len(results) == 2 else None)
            self._res = self.connector.take_result(self, value, source)
            run.end(self._res)

    def take_turn(self, run: HookRun | None) -> None:
        """From now on `end` counts for this run. For the connector."""
        self._run = run

    def fail(self, error: Exception | None) -> None:
        """Set `error`. For the connector."""
        self._error = error
        self._res = None

    def put(self, value: Any) -> None:
        """Set `res` to what the operation gave, as it is. For the connector."""
        self._res = value

    def _warn_of_late_end(self) -> None:
        caller = sys._getframe(2)
        place = f"{caller.f_code.co_qualname} ({caller.f_code.co_filename}:{caller.f_lineno})"
        warnings.warn_explicit(
            f"{place} called ctx.end of {self.connector.name} outside an observer's turn; it is ignored. "
            f"An interceptor returns its result; a hook completes once.",
            DoubleCompletionWarning,
            caller.f_code.co_filename,
            caller.f_lineno,
        )
