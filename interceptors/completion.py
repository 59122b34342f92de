"""How a hook completes: one rule for remoting hooks and connector hooks (LoopBack's `(ctx, next)` callbacks).

A hook signals with `next()`, `next(error)`, by ending the whole event, by raising, or by finishing. The first signal
counts, but for one exception that fails closed: an exception that leaves the hook fails the call even after `next()`.
Nothing is lost: a signal that comes too late is a `DoubleCompletionWarning` that names the hook.
"""

import inspect
import math
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, Literal, final

import anyio

from interceptors.describing import file_and_line, location, name_of
from interceptors.errors import DoubleCompletionWarning, ForgottenNextError, HookError, InvalidHookError

__all__ = ["Hook", "HookRun", "Signal", "as_exception", "check_timeout", "make_hook", "replaced", "run_in_turn"]

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@final
@dataclass(frozen=True, slots=True)
class Signal:
    """What a hook said: go on, fail with an error, or end the event with a value."""

    kind: Literal["next", "fail", "end"]
    value: Any = None


_NEXT = Signal("next")


@final
@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as it was registered."""

    function: Callable[..., Any]
    parameters: int
    """How many positional parameters it has without a default; the last of two or more is `next`."""

    @property
    def title(self) -> str:
        """For messages: its name, file and line."""
        return f"{name_of(self.function)} ({location(self.function)})"


def make_hook(function: object, most: int) -> Hook:
    """Check a hook where it is registered: 1 to `most` positional parameters without a default.

    Raises InvalidHookError for a class, a generator function, `*args`, a required keyword, or another number.
    """
    forms = ("(ctx)", "(ctx, next)", "(ctx, result, next)")[:most]
    remedy = f"write it with {', '.join(forms[:-1])} or {forms[-1]}, as `def` or `async def`."
    if not callable(function) or isinstance(function, type):
        raise InvalidHookError(f"{name_of(function)} ({location(function)}) is no function; {remedy}", function)
    call = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if any(test(f) for f in (function, call) for test in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)):
        raise InvalidHookError(
            f"{name_of(function)} ({location(function)}) is a generator function; {remedy}", function
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        message = f"{name_of(function)} ({location(function)}) does not tell its parameters; {remedy}"
        raise InvalidHookError(message, function) from None
    needed = [p for p in parameters if p.default is Parameter.empty]
    count = sum(p.kind in _POSITIONAL for p in needed)
    odd = [p for p in needed if p.kind not in (*_POSITIONAL, Parameter.VAR_KEYWORD)]
    if odd or not 1 <= count <= most:
        described = str(Signature(needed)) if needed else "no parameter"
        raise InvalidHookError(f"{name_of(function)} ({location(function)}) takes {described}; {remedy}", function)
    return Hook(function, count)


def check_timeout(seconds: float) -> float:
    """A time to wait for `next`: more than zero, maybe infinite. Raises ValueError."""
    if not seconds > 0:
        raise ValueError(f"next_timeout has to be more than 0 seconds, or math.inf, not {seconds!r}")
    return seconds


class _Noted:
    """What `next()` gives: awaiting it is optional, and gives None."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


_NOTED = _Noted()


@final
class HookRun:
    """One run of one hook. Its `next` and `end` are handed out; `complete` gives the signal that counts."""

    __slots__ = ("_event", "_next_timeout", "_signal", "_where", "hook")

    def __init__(self, hook: Hook, where: str, next_timeout: float) -> None:
        self.hook = hook
        self._where = where  # for messages: the event or the call
        self._next_timeout = next_timeout
        self._signal: Signal | None = None
        self._event: anyio.Event | None = None

    @property
    def is_complete(self) -> bool:
        """Has it said something that counts?"""
        return self._signal is not None

    def arguments(self, ctx: Any) -> tuple[Any, ...]:
        """The arguments of a hook with `(ctx)` or `(ctx, next)`."""
        return (ctx, self.next)[: self.hook.parameters]

    def next(self, error: Any = None, *_ignored: Any) -> Awaitable[None]:
        """The `next` of a hook: notes the decision and runs nothing. A falsy error is success."""
        failed = isinstance(error, Exception) or error  # an exception may be falsy
        self._say(Signal("fail", as_exception(error)) if failed else _NEXT)
        return _NOTED

    def fail(self, error: Any) -> None:
        """Fail with an error; what is no exception becomes a HookError."""
        self._say(Signal("fail", as_exception(error)))

    def end(self, value: Any) -> None:
        """End the whole event with a value."""
        self._say(Signal("end", value))

    async def complete(self, *arguments: Any) -> Signal:
        """Call the hook with its arguments, `next` last if it takes one, and wait until it has completed."""
        try:
            result = self.hook.function(*arguments)
            finished = inspect.isawaitable(result)
            if finished:
                await result
        except Exception as error:  # noqa: BLE001 (whatever leaves a hook is its signal)
            return self._raised(error)
        if self._signal is None and self.hook.parameters > 1 and not finished:
            self._signal = await self._wait()
        if self._signal is None:
            self._signal = _NEXT
        return self._signal

    def _say(self, signal: Signal) -> None:
        if self._signal is not None:
            self._too_late(signal)
            return
        self._signal = signal
        if self._event is not None:
            self._event.set()

    def _raised(self, error: Exception) -> Signal:
        said = self._signal
        if said is not None and said.kind == "fail":
            if said.value is not error:
                self._too_late(Signal("fail", error))
            return said
        self._signal = Signal("fail", error)
        return self._signal

    async def _wait(self) -> Signal:
        timeout = self._next_timeout
        self._event = anyio.Event()
        with anyio.move_on_after(None if math.isinf(timeout) else timeout):
            await self._event.wait()
        if self._signal is not None:
            return self._signal
        return Signal(
            "fail",
            ForgottenNextError(
                f"{self.hook.title}, {self._where}, has not called `next` within {timeout:g} seconds. "
                f"Call `next()`, return an awaitable (`async def`), or drop the parameter.",
                self.hook.function,
            ),
        )

    def _too_late(self, signal: Signal) -> None:
        ignored = {"next": "next()", "fail": "an error", "end": "an end"}[signal.kind]
        warning = DoubleCompletionWarning(
            f"{self.hook.title}, {self._where}, had completed already: {ignored} is ignored. Complete a hook once."
        )
        warning.__cause__ = signal.value if signal.kind == "fail" else None
        file, line = file_and_line(self.hook.function) or ("<unknown>", 0)
        warnings.warn_explicit(warning, None, file, line)


def as_exception(error: object) -> Exception:
    """What a hook gave to `next` as an exception: anything else is a HookError with it as `.value`."""
    return error if isinstance(error, Exception) else HookError(error)


async def run_in_turn(
    hooks: Iterable[Hook], where: str, next_timeout: float, take_turn: Callable[[HookRun], tuple[object, ...]]
) -> Signal | None:
    """Run the hooks of one event in turn, until one fails or ends it: gives that signal, else None.

    `take_turn` gets each run before it starts, and gives the arguments of its hook.
    """
    for hook in hooks:
        run = HookRun(hook, where, next_timeout)
        signal = await run.complete(*take_turn(run))
        if signal.kind != "next":
            return signal
    return None


def replaced(error: Exception, by: Exception) -> Exception:
    """The error that an error hook put in the place of `error`, which becomes its cause unless it has one.

    Nor does it if `by` is what `error` came from, as in `raise ctx.error.__cause__`: causes make no circle.
    """
    if by.__cause__ is None and not _came_from(error, by):
        object.__setattr__(by, "__cause__", error)  # also on a frozen dataclass
    return by


def _came_from(error: BaseException | None, origin: Exception) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if error is origin:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
