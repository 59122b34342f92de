"""One execute while it runs: its request, its response, its error, and whose turn it is. A context shows it to hooks."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar, final, get_args

from interceptors.chain import Step
from interceptors.completion import Hook, HookRun, Signal, replaced, run_in_turn
from interceptors.kinds import InterceptorFunction

__all__ = ["EVENTS", "ConnectorHooks", "Event", "Execution"]

Req = TypeVar("Req")
Res = TypeVar("Res")

Event: TypeAlias = Literal["before execute", "after execute", "after execute error"]
EVENTS: tuple[Event, ...] = get_args(Event)

_turn: ContextVar["tuple[object, HookRun] | None"] = ContextVar("interceptors.turn", default=None)
"""Whose turn it was where this code was started; a callback that a hook left behind keeps its own."""


@dataclass(frozen=True, slots=True)
class ConnectorHooks:
    """What is registered on a connector and its parents at one time; the parent's first. An execute keeps to its own."""

    parent: "ConnectorHooks | None"
    interceptors: tuple[InterceptorFunction, ...]
    observers: dict[Event, tuple[Hook, ...]]
    run: Step
    """The interceptors, folded around the observers and the operation."""

    def __bool__(self) -> bool:
        return bool(self.interceptors or any(self.observers.values()))


@final
class Execution(Generic[Req, Res]):
    """What hooks see of an execute, and the observers around its operation. `title`: the connector's, for messages."""

    __slots__ = ("_hooks", "_next_timeout", "_run", "error", "operation", "req", "res", "title")

    def __init__(
        self,
        title: str,
        hooks: ConnectorHooks,
        next_timeout: float,
        req: Req,
        operation: Callable[[Req], Awaitable[Res]],
    ) -> None:
        self.title = title
        self.operation = operation
        self.req = req
        self.res: Any = None  # a Res, once there is one
        self.error: Exception | None = None
        self._hooks = hooks
        self._next_timeout = next_timeout
        self._run: HookRun | None = None

    @property
    def run(self) -> HookRun | None:
        """The hook whose turn it is."""
        return self._run

    @property
    def run_of_caller(self) -> HookRun | None:
        """The hook that asks. If nothing tells, as in a callback from a thread, it is the one whose turn it is."""
        turn = _turn.get()
        return turn[1] if turn is not None and turn[0] is self else self._run

    async def observe(self, ctx: object) -> Any:
        """Before observers, the operation, after or error observers, each with `ctx`; gives the response."""
        self.error = self.res = None
        signal = await self._event("before execute", ctx)
        if signal is None:
            try:
                self.res = await self.operation(self.req)
            except Exception as error:  # noqa: BLE001 (whatever the backend raises is for the error observers to see)
                return await self._failed(ctx, error)
            signal = await self._event("after execute", ctx)
        if signal is not None and signal.kind == "fail":
            raise signal.value
        return self.res

    async def _failed(self, ctx: object, error: Exception) -> Any:
        self.error, self.res = error, None
        signal = await self._event("after execute error", ctx)
        if signal is None:
            raise error
        if signal.kind == "fail":
            raise replaced(error, signal.value)
        return self.res

    async def _event(self, event: Event, ctx: object) -> Signal | None:
        def take_turn(run: HookRun) -> tuple[object, ...]:
            self._take_turn(run)
            return run.arguments(ctx)

        try:
            hooks = self._hooks.observers[event]
            return await run_in_turn(hooks, f"{event} of {self.title}", self._next_timeout, take_turn)
        finally:
            self._take_turn(None)

    def _take_turn(self, run: HookRun | None) -> None:
        """From now on `end` counts for this run."""
        self._run = run
        _turn.set(None if run is None else (self, run))
