"""The context of one execute: the request, the response, the error, and `end`."""

import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from types import FrameType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, final

from interceptors.connectors.execution import Execution
from interceptors.describing import file_and_line
from interceptors.errors import DoubleCompletionWarning, IgnoredAssignmentWarning

__all__ = ["AnyContext", "ConnectorContext", "ExecutingConnector", "Results", "execution_of"]

Req = TypeVar("Req")
Res = TypeVar("Res")

_NOT_GIVEN = object()


class ExecutingConnector(Protocol[Req, Res]):
    """What a context has of the connector that executes: one that is written by somebody is a `Connector`."""

    name: str

    @property
    def is_hooked(self) -> bool: ...
    def take_request(self, ctx: "ConnectorContext[Req, Res]", value: Any, /) -> Req: ...
    def take_result(self, ctx: "ConnectorContext[Req, Res]", value: Any, source: Any = None, /) -> Res: ...


@final
class Results(MutableSequence[Any]):
    """Always `[ctx.res]`, live: LoopBack's `ctx.results`. It has one place."""

    def __init__(self, ctx: "AnyContext") -> None:
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
        self, connector: ExecutingConnector[Req, Res], execution: Execution[Req, Res], options: dict[str, Any]
    ) -> None:
        self.connector: ExecutingConnector[Req, Res] = connector
        """The one that executes, also in a parent's hooks."""
        self.options: dict[str, Any] = options
        """What the caller gave along."""
        self.state: dict[str, Any] = {}
        """For the hooks of this execute."""
        self._execution = execution

    @property
    def operation(self) -> Callable[[Req], Awaitable[Res]]:
        """What `execute` was given: for a connector's `take_request` and `take_result`."""
        return self._execution.operation

    @property
    def req(self) -> Req:
        """The request. The operation gets what it holds when its turn comes: edit it in place, or replace it."""
        return self._execution.req

    @req.setter
    def req(self, value: object) -> None:
        self._execution.req = self.connector.take_request(self, value)

    @property
    def res(self) -> Res:
        """The response; None until the operation has returned."""
        res: Res = self._execution.res
        return res

    @res.setter
    def res(self, value: object) -> None:
        self._execution.res = self.connector.take_result(self, value)

    @property
    def results(self) -> MutableSequence[Any]:
        """Always `[ctx.res]`, live. Assign `[value]`, or `[response, value]` for `end(None, response, value)` without ending."""
        return Results(self)

    @results.setter
    def results(self, values: Iterable[object]) -> None:
        match list(values):
            case [value]:
                self.res = value
            case [source, value]:
                self._execution.res = self.connector.take_result(self, value, source)
            case other:
                raise TypeError(f"ctx.results takes [value] or [response, value], not {len(other)} values")

    @property
    def error(self) -> Exception | None:
        """What the caller will get, when the operation failed. Replace it with `raise`, `next(error)` or `end(error)`."""
        return self._execution.error

    @error.setter
    def error(self, value: object) -> None:
        run = self._execution.run
        frame = _caller()
        title = _described(frame) if run is None else run.hook.title
        file, line = (None if run is None else file_and_line(run.hook.function)) or _place(frame)
        warnings.warn_explicit(
            f"{title} assigned ctx.error, which changes nothing, as in LoopBack. Replace the error with `raise`, "
            f"`next(error)` or `ctx.end(error)`.",
            IgnoredAssignmentWarning,
            file,
            line,
        )

    def end(self, err: object = None, *results: object, result: object = _NOT_GIVEN) -> None:
        """End the event: `end()`, `end(err)`, `end(None, result)`, `end(err, ctx_or_response, result)`.

        The last argument is the result, on every connector; a truthy `err` wins over it. In a before observer it skips
        all other observers and the operation, in an after or error observer the rest of that event.
        """
        if result is not _NOT_GIVEN:
            results = (*results, result)
        if len(results) > 2:
            raise TypeError(f"ctx.end takes (err, result) or (err, response, result), not {1 + len(results)} arguments")
        run = self._execution.run_of_caller
        if run is None:
            frame = _caller()
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
            self._execution.res = self.connector.take_result(self, results[-1] if results else None, source)
            run.end(self._execution.res)


AnyContext: TypeAlias = ConnectorContext[Any, Any]
"""Of whatever connector."""


def execution_of(ctx: ConnectorContext[Req, Res]) -> Execution[Req, Res]:
    """What a context shows, for the connector that runs it."""
    return ctx._execution


def _caller() -> FrameType:
    """The code that called the function that asks. Walks the stack: for what is worth a warning."""
    return inspect.stack(0)[2].frame


def _described(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"


def _place(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno
