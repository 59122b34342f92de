"""The context of one execute: the request, the response, the error, and `end`."""

import sys
import warnings
from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from interceptors.completion import HookRun
from interceptors.describing import file_and_line
from interceptors.errors import DoubleCompletionWarning, IgnoredAssignmentWarning

if TYPE_CHECKING:
    from interceptors.connectors.connector import Connector, ConnectorHooks

__all__ = ["ConnectorContext", "Results"]

Req = TypeVar("Req")
Res = TypeVar("Res")

_NOT_GIVEN: Any = object()

_turn: ContextVar["tuple[ConnectorContext[Any, Any], HookRun] | None"] = ContextVar("interceptors.turn", default=None)
"""Whose turn it was where this code was started; a callback that a hook left behind keeps its own."""


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
        hooks: "ConnectorHooks",
        operation: Callable[[Req], Awaitable[Res]],
    ) -> None:
        self.connector: Connector[Req, Res] = connector
        """The one that executes, also in a parent's hooks."""
        self.options: dict[str, Any] = options
        """What the caller gave along."""
        self.state: dict[str, Any] = {}
        """For the hooks of this execute."""
        self._hooks = hooks
        self._operation = operation
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
        frame = sys._getframe(1)
        title = _described(frame) if run is None else run.hook.title
        file, line = (None if run is None else file_and_line(run.hook.function)) or _place(frame)
        warnings.warn_explicit(
            f"{title} assigned ctx.error, which changes nothing, as in LoopBack. Replace the error with `raise`, "
            f"`next(error)` or `ctx.end(error)`.",
            IgnoredAssignmentWarning,
            file,
            line,
        )

    def end(self, err: Any = None, *results: Any, result: Any = _NOT_GIVEN) -> None:
        """End the event: `end()`, `end(err)`, `end(None, result)`, `end(err, ctx_or_response, result)`.

        The last argument is the result, on every connector; a truthy `err` wins over it. In a before observer it skips
        all other observers and the operation, in an after or error observer the rest of that event.
        """
        if result is not _NOT_GIVEN:
            results = (*results, result)
        if len(results) > 2:
            raise TypeError(f"ctx.end takes (err, result) or (err, response, result), not {1 + len(results)} arguments")
        run = self._run_of_caller()
        if run is None:
            frame = sys._getframe(1)
            warning = DoubleCompletionWarning(
                f"{_described(frame)} called ctx.end of {self.connector.name} outside an observer's turn; it is "
                f"ignored. An interceptor returns its result; a hook completes once."
            )
            warning.__cause__ = err if isinstance(err, BaseException) else None
            warnings.warn_explicit(warning, None, *_place(frame))
        elif isinstance(err, Exception) or err:  # an exception may be falsy
            run.fail(err)
        elif run.is_complete:
            run.end(None)
        else:
            source = results[0] if len(results) == 2 else None
            self._res = self.connector.take_result(self, results[-1] if results else None, source)
            run.end(self._res)

    # -- for the connector ---------------------------------------------------------------------------------------------

    def _take_turn(self, run: HookRun | None) -> None:
        """From now on `end` counts for this run."""
        self._run = run
        _turn.set(None if run is None else (self, run))

    def _fail(self, error: Exception | None) -> None:
        """Set `error`."""
        self._error = error
        self._res = None

    def _put(self, value: Any) -> None:
        """Set `res` to what the operation gave, as it is."""
        self._res = value

    def _run_of_caller(self) -> HookRun | None:
        """The run that called `end`. If nothing tells, as in a callback from a thread, it is the one whose turn it is."""
        turn = _turn.get()
        return turn[1] if turn is not None and turn[0] is self else self._run


def _described(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"


def _place(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno
