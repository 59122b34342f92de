"""LoopBack 3's remoting hooks, as one interceptor."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, final, overload
from weakref import WeakKeyDictionary

from interceptors.calling import written
from interceptors.carried_status import mark_status
from interceptors.completion import Hook, HookRun, Signal, check_timeout, make_hook, replaced, run_in_turn
from interceptors.context import InvocationContext
from interceptors.describing import check_name
from interceptors.kinds import Next
from interceptors.remoting.context import RemoteCall, RemotingContext
from interceptors.remoting.methods import RemoteMethod, method_of
from interceptors.remoting.patterns import Pattern
from interceptors.remoting.validation import ArgumentValidator

__all__ = ["ModelHooks", "RemoteHooks"]

H = TypeVar("H", bound=Callable[..., object])

_When: TypeAlias = Literal["before", "after", "after error"]


@dataclass(frozen=True, slots=True)
class _RemoteHook:
    when: _When
    pattern: Pattern
    hook: Hook


@dataclass(frozen=True, slots=True)
class _Matching:
    """The hooks of one method, in the order in which they run."""

    method: RemoteMethod
    before: list[Hook]
    after: list[Hook]
    after_error: list[Hook]
    validator: ArgumentValidator


class _Registration:
    """The three methods that register a hook: by a call, or as a decorator. The hook comes back as it was.

    Raises InvalidPatternError for a pattern that could never match, InvalidHookError for what is no hook.
    """

    def __init__(self, add: Callable[[_RemoteHook], None], prefix: str) -> None:
        self._add = add
        self._prefix = prefix

    @overload
    def before_remote(self, pattern: str) -> Callable[[H], H]: ...
    @overload
    def before_remote(self, pattern: str, hook: H) -> H: ...
    @written('@hooks.before_remote("Order.*")')
    def before_remote(self, pattern: str, hook: Any = ...) -> Any:
        """Run a hook before the methods that match: it may change arguments, answer, or refuse."""
        return self._register("before", pattern, hook)

    @overload
    def after_remote(self, pattern: str) -> Callable[[H], H]: ...
    @overload
    def after_remote(self, pattern: str, hook: H) -> H: ...
    @written('@hooks.after_remote("Order.*")')
    def after_remote(self, pattern: str, hook: Any = ...) -> Any:
        """Run a hook after the methods that match have succeeded: it may change the result."""
        return self._register("after", pattern, hook)

    @overload
    def after_remote_error(self, pattern: str) -> Callable[[H], H]: ...
    @overload
    def after_remote_error(self, pattern: str, hook: H) -> H: ...
    @written('@hooks.after_remote_error("Order.*")')
    def after_remote_error(self, pattern: str, hook: Any = ...) -> Any:
        """Run a hook when a hook, an inner layer or the method has failed: it may replace the error, or settle it."""
        return self._register("after error", pattern, hook)

    def _register(self, when: _When, pattern: str, hook: Any) -> Any:
        checked = Pattern(self._prefix + pattern)

        def register(function: H) -> H:
            self._add(_RemoteHook(when, checked, make_hook(function, 3)))
            return function

        return register if hook is ... else register(hook)


@final
class ModelHooks(_Registration):
    """The hooks of one model: the pattern "p" is f"{model}.p" in its RemoteHooks."""


@final
class RemoteHooks(_Registration):
    """Hooks before and after remote methods; itself one interceptor.

    `registry.add_global(hooks, group="remoting")` or `@intercept(hooks)`. Hooks run for remote calls: those with a
    source that is no proxy. They may be added at any time; the next call sees them. `next_timeout`: how many seconds a
    `def` hook that takes `next` may take to call it; ValueError unless more than 0, `math.inf` is allowed.
    """

    def __init__(self, *, next_timeout: float = 30.0) -> None:
        super().__init__(self._append, "")
        self._next_timeout = check_timeout(next_timeout)
        self._registered: list[_RemoteHook] = []
        self._matching: WeakKeyDictionary[type[InvocationContext], _Matching | None] = WeakKeyDictionary()

    @written('hooks.model("Order")')
    def model(self, name: str) -> ModelHooks:
        """The hooks of one model. Raises ValueError for a name that is not one literal segment."""
        check_name(name, "model", segments=1)
        return ModelHooks(self._append, f"{name}.")

    async def intercept(self, ctx: InvocationContext, next: Next) -> object:
        """Before hooks, assigned arguments, `next()`, after hooks; error hooks if any of it fails."""
        matching = self._matching_of(type(ctx))
        if matching is None or ctx.source is None or ctx.source.type == "proxy":
            return await next()
        call = RemoteCall()
        remoting = RemotingContext(ctx, matching.method, call)
        try:
            return await self._call(matching, remoting, call, next)
        except Exception as error:  # noqa: BLE001 (whatever went wrong is for the error hooks to see)
            return await self._failed(matching, remoting, call, error)

    def find_problems(self, contexts: Iterable[type[InvocationContext]]) -> Iterator[str]:
        """One text for each pattern that matches no method of these contexts; for `interceptors check`."""
        names = [method_of(context).string_name for context in contexts]
        for entry in self._registered:
            if not any(entry.pattern.matches(name) for name in names):
                yield (
                    f"the {entry.when} hook {entry.hook.title} never runs: "
                    f"the pattern {entry.pattern.text!r} matches no remote method"
                )

    async def _call(self, matching: _Matching, remoting: RemotingContext, call: RemoteCall, next: Next) -> object:
        signal = await self._event("before", matching.before, remoting, call)
        if signal is None:
            matching.validator.validate(remoting.invocation.args, call.assigned)
            call.result = await next()
            signal = await self._event("after", matching.after, remoting, call)
        if signal is None:
            return call.result
        if signal.kind == "fail":
            raise signal.value
        return signal.value

    async def _failed(
        self, matching: _Matching, remoting: RemotingContext, call: RemoteCall, error: Exception
    ) -> object:
        """Run the error hooks; give the answer of one that settles the error, else raise the error that is left."""
        call.error = error
        signal = await self._event("after error", matching.after_error, remoting, call)
        if signal is not None and signal.kind == "end":
            return signal.value
        if signal is not None:
            error = replaced(error, signal.value)
        mark_status(error)
        raise error

    async def _event(
        self, when: _When, hooks: list[Hook], remoting: RemotingContext, call: RemoteCall
    ) -> Signal | None:
        def take_turn(run: HookRun) -> tuple[object, ...]:
            call.run = run
            return (remoting, call.result, run.next) if run.hook.parameters == 3 else run.arguments(remoting)

        return await run_in_turn(hooks, f"{when} {remoting.method_string}", self._next_timeout, take_turn)

    def _append(self, entry: _RemoteHook) -> None:
        self._registered.append(entry)
        self._matching.clear()

    def _matching_of(self, context: type[InvocationContext]) -> _Matching | None:
        """The hooks that match a method, found once; None if there are none."""
        try:
            return self._matching[context]
        except KeyError:
            pass
        method = method_of(context)
        found = [entry for entry in self._registered if entry.pattern.matches(method.string_name)]
        found.sort(key=lambda entry: entry.pattern.order)
        matching = _Matching(
            method,
            before=[entry.hook for entry in found if entry.when == "before"],
            after=[entry.hook for entry in found if entry.when == "after"],
            after_error=[entry.hook for entry in found if entry.when == "after error"],
            validator=ArgumentValidator(context._plan.parameters),  # which a context shows to nobody else
        )
        self._matching[context] = matching if found else None
        return self._matching[context]
