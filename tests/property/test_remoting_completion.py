"""Any sequence of signals has one outcome: hooks that follow a random script, against a model of the completion rule.

A script says what a hook does, in order: signals (`next()`, `next(error)`, `next(value)`, `ctx.done(x)`), raising,
returning, awaiting, and handing signals to something that gives them later, a task or a callback of the loop. The model
is written from the rules alone and knows nothing of event loops.
"""

import asyncio
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from interceptors.errors import DoubleCompletionWarning, ForgottenNextError, HookError
from interceptors.remoting import RemoteHooks
from tests.unit.helpers import place
from tests.unit.remoting.support import call

TIMEOUT = 0.01
FALSY: list[Any] = [None, 0, "", False, []]
VALUES: list[Any] = ["refused", 5, ("x",), {"status": 403}, KeyboardInterrupt("value")]

# -- scripts -----------------------------------------------------------------------------------------------------------

_numbers = count()


class Fault(Exception):
    """An error with a number, so that each is another one."""

    def __init__(self) -> None:
        super().__init__(next(_numbers))


@dataclass(frozen=True)
class Step:
    """One thing that a hook does."""

    kind: str  # next, error, value, done, raise, return, pause, later
    value: Any = None

    def __repr__(self) -> str:
        return f"{self.kind}({self.value!r})" if self.value is not None else self.kind


@dataclass(frozen=True)
class Script:
    """A hook: its form, its number of parameters, and what it does."""

    form: str  # def, async def, returns (a `def` whose awaitable does what is in `then`)
    parameters: int
    steps: list[Step]
    then: list[Step] = field(default_factory=list)


def _signals(parameters: int) -> st.SearchStrategy[Step]:
    done = st.sampled_from(["answer", None, 0]).map(lambda value: Step("done", value))
    if parameters == 1:
        return done
    return st.one_of(
        st.sampled_from(FALSY).map(lambda value: Step("next", value)),
        st.builds(lambda: Step("error", Fault())),
        st.sampled_from(VALUES).map(lambda value: Step("value", value)),
        done,
    )


@st.composite
def scripts(draw: st.DrawFn, *, late_done: bool = True) -> Script:
    """Any hook. `late_done`: whether what comes later may also be `ctx.done`."""
    form = draw(st.sampled_from(["def", "async def", "returns"]))
    parameters = draw(st.integers(1, 3))
    signals = _signals(parameters)
    ends = st.one_of(st.just(Step("return")), st.builds(lambda: Step("raise", Fault())))
    late = signals if late_done else signals.filter(lambda step: step.kind != "done")
    some = [signals, signals, ends]
    if late_done or parameters > 1:
        some.append(st.lists(late, min_size=1, max_size=2).map(lambda steps: Step("later", steps)))
    awaiting = [*some, st.just(Step("pause"))]
    steps = draw(st.lists(st.one_of(awaiting if form == "async def" else some), max_size=4))
    then = draw(st.lists(st.one_of(awaiting), max_size=3)) if form == "returns" else []
    return Script(form, parameters, steps, then)


# -- running a script --------------------------------------------------------------------------------------------------


class Later:
    """Signals that a hook handed on: given by a task or by a callback of the loop, when the hook lets the loop run."""

    def __init__(self, tasks: Any, way: str) -> None:
        self._tasks = tasks
        self._way = way
        self._waiting: list[Callable[[], Any]] = []

    def hand_on(self, signals: list[Callable[[], Any]]) -> None:
        self._waiting += signals
        if self._way == "task":
            self._tasks.start_soon(self._give_in_task)
        elif self._way == "asyncio":
            asyncio.get_running_loop().call_soon(self._give)
        else:
            trio.lowlevel.current_trio_token().run_sync_soon(self._give)

    async def _give_in_task(self) -> None:
        self._give()

    def _give(self) -> None:
        while self._waiting:
            self._waiting.pop(0)()

    async def all_given(self) -> None:
        await checkpoint()
        while self._waiting:
            await checkpoint()


class _Return(Exception):
    """Leaves the steps, not the hook."""


def _signal(step: Step, ctx: Any, then: Any) -> Any:
    if step.kind == "done":
        return ctx.done(step.value)
    return then(step.value)


def _do(step: Step, later: Later, ctx: Any, then: Any) -> None:
    if step.kind == "raise":
        raise step.value
    if step.kind == "return":
        raise _Return
    if step.kind == "later":
        later.hand_on([lambda signal=signal: _signal(signal, ctx, then) for signal in step.value])
    else:
        _signal(step, ctx, then)


def hook_of(script: Script, later: Later, started: Callable[[], None]) -> Callable[..., Any]:
    """The function that does what a script says."""

    async def run(steps: list[Step], ctx: Any, then: Any) -> None:
        try:
            for step in steps:
                if step.kind == "pause":
                    await later.all_given()
                else:
                    _do(step, later, ctx, then)
        except _Return:
            pass

    def begin(ctx: Any, then: Any) -> Any:
        started()
        if script.form == "async def":
            return run(script.steps, ctx, then)
        try:
            for step in script.steps:
                _do(step, later, ctx, then)
        except _Return:
            return None
        return run(script.then, ctx, then) if script.form == "returns" else "ignored"

    if script.form == "async def":

        async def hook1(ctx: Any) -> None:
            await begin(ctx, None)

        async def hook2(ctx: Any, next: Any) -> None:
            await begin(ctx, next)

        async def hook3(ctx: Any, result: Any, next: Any) -> None:
            await begin(ctx, next)

        return (hook1, hook2, hook3)[script.parameters - 1]
    forms: Any = (
        lambda ctx: begin(ctx, None),
        begin,
        lambda ctx, result, then: begin(ctx, then),
    )
    found: Callable[..., Any] = forms[script.parameters - 1]
    return found


# -- the model ---------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a hook comes to: `go on`, `fail` with an error or a value, `end` with a value, or `forgotten`."""

    kind: str
    value: Any = None
    ignored: list[Step] = field(default_factory=list)


def outcome_of(script: Script) -> Outcome:
    """The completion rule, read off its table."""
    first: Step | None = None
    ignored: list[Step] = []
    waiting: list[Step] = []
    finished = script.form == "async def"

    def say(step: Step) -> None:
        nonlocal first
        if first is None:
            first = step
        else:
            ignored.append(step)

    raised: Step | None = None
    returned = False
    parts = [script.steps]
    for part in parts:
        for step in part:
            if step.kind == "return":
                returned = True
                break
            if step.kind == "raise":
                raised = step
                break
            if step.kind == "later":
                waiting += step.value
            elif step.kind == "pause":
                while waiting:
                    say(waiting.pop(0))
            else:
                say(step)
        if part is script.steps and script.form == "returns" and not (returned or raised):
            finished = True
            parts.append(script.then)

    if raised is not None:
        if first is not None and first.kind in ("error", "value"):
            ignored.append(raised)  # after its own error that one stands
        else:
            first = raised
    elif first is None:
        if finished or script.parameters == 1:
            first = Step("next")
        elif waiting:
            first = waiting.pop(0)
        else:
            first = Step("forgotten")
    ignored += waiting
    kinds = {
        "next": "go on",
        "error": "fail",
        "value": "fail",
        "raise": "fail",
        "done": "end",
        "forgotten": "forgotten",
    }
    return Outcome(kinds[first.kind], first.value, ignored)


def is_error(error: BaseException | None, said: Any) -> bool:
    """Is it the error that was said, or the HookError for a value that was?"""
    if isinstance(said, Exception):
        return error is said
    return type(error) is HookError and error.value is said and str(error) == str(said)


def check_warnings(caught: list[warnings.WarningMessage], ignored: list[tuple[Any, Step]]) -> None:
    """Each signal that was ignored was warned of once, with hook, line and cause; nothing else was warned."""
    rest = list(ignored)
    for warning in caught:
        assert warning.category is DoubleCompletionWarning, warning
        assert isinstance(warning.message, Warning)
        cause = warning.message.__cause__
        at = f"{warning.filename}:{warning.lineno}"
        for hook, step in rest:
            said = step.value if step.kind in ("error", "value", "raise") else None
            if at == place(hook) and (is_error(cause, said) if said is not None else cause is None):
                rest.remove((hook, step))
                assert at in str(warning.message)
                break
        else:
            raise AssertionError(f"not expected: {warning.message} because of {cause!r}")
    assert rest == []


# -- one hook ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["task", "callback"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("when", ["before", "after", "error"])
@given(script=scripts())
def test_a_hook_has_one_outcome(when: str, backend: str, way: str, script: Script) -> None:
    """Whatever it says, and however often: before, after and when it failed."""
    expected = outcome_of(script)
    old = Fault()
    reached: list[str] = []

    async def method() -> str:
        reached.append("method")
        if when == "error":
            raise old
        return "found"

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            later = Later(tasks, "task" if way == "task" else backend)
            hooks = RemoteHooks(next_timeout=TIMEOUT)
            register: Any = {
                "before": hooks.before_remote,
                "after": hooks.after_remote,
                "error": hooks.after_remote_error,
            }[when]
            hook = hook_of(script, later, lambda: reached.append("hook"))
            register("**", hook)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result: Any = None
                error: Exception | None = None
                try:
                    result = await call(hooks, target=method)
                except Exception as raised:
                    error = raised
                await later.all_given()
        check_warnings(caught, [(hook, step) for step in expected.ignored])
        if expected.kind == "go on":
            assert error is (old if when == "error" else None)
            assert result == (None if when == "error" else "found")
        elif expected.kind == "end":
            assert error is None
            assert result == expected.value
        elif expected.kind == "forgotten":
            assert type(error) is ForgottenNextError
        else:
            assert is_error(error, expected.value)
        if when == "error" and error is not None and error is not old:
            assert error.__cause__ is old
        goes_on = when != "before" or expected.kind == "go on"
        assert sorted(reached) == (["hook", "method"] if goes_on else ["hook"])

    anyio.run(main, backend=backend)


# -- a whole call ------------------------------------------------------------------------------------------------------


@dataclass
class Call:
    """What a call comes to by the rules of 1.3 and 1.5."""

    started: list[tuple[str, int]]
    kind: str = "result"  # result, error, forgotten
    value: Any = None
    cause: Any = None


def call_of(before: list[Script], fails: Fault | None, after: list[Script], error: list[Script]) -> Call:
    """Before hooks, method, after hooks; error hooks for whatever failed."""
    found = Call([])

    def event(when: str, hooks: list[Script]) -> Outcome | None:
        for number, script in enumerate(hooks):
            found.started.append((when, number))
            outcome = outcome_of(script)
            if outcome.kind != "go on":
                return outcome
        return None

    stopped = event("before", before)
    if stopped is None:
        found.started.append(("method", 0))
        stopped = Outcome("fail", fails) if fails is not None else event("after", after)
    if stopped is None:
        found.value = "found"
    elif stopped.kind == "end":
        found.value = stopped.value
    else:
        replaced = event("error", error)
        if replaced is not None and replaced.kind == "end":
            found.value = replaced.value
        else:
            last = replaced or stopped
            found.kind = "forgotten" if last.kind == "forgotten" else "error"
            found.value = last.value
            found.cause = stopped if replaced is not None else None
    return found


several = st.lists(scripts(late_done=False), max_size=3)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(before=several, fails=st.one_of(st.none(), st.builds(Fault)), after=several, error=several)
def test_a_call_has_one_outcome(
    backend: str, before: list[Script], fails: Fault | None, after: list[Script], error: list[Script]
) -> None:
    """Several hooks before, after and when it failed: what started, what goes out, and every signal that was ignored."""
    expected = call_of(before, fails, after, error)
    started: list[tuple[str, int]] = []

    async def method() -> str:
        started.append(("method", 0))
        if fails is not None:
            raise fails
        return "found"

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            hooks = RemoteHooks(next_timeout=TIMEOUT)
            laters: list[Later] = []
            functions: dict[tuple[str, int], Any] = {}
            kinds: list[tuple[str, list[Script], Any]] = [
                ("before", before, hooks.before_remote),
                ("after", after, hooks.after_remote),
                ("error", error, hooks.after_remote_error),
            ]
            for when, scripts_, register in kinds:
                for number, script in enumerate(scripts_):
                    later = Later(tasks, "task")
                    laters.append(later)
                    hook = hook_of(script, later, lambda key=(when, number): started.append(key))
                    functions[when, number] = hook
                    register("**", hook)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result: Any = None
                raised: Exception | None = None
                try:
                    result = await call(hooks, target=method)
                except Exception as left:
                    raised = left
                for later in laters:
                    await later.all_given()
        by_key = {(when, number): s for when, scripts_, _ in kinds for number, s in enumerate(scripts_)}
        ignored = [
            (functions[key], step)
            for key in expected.started
            if key != ("method", 0)
            for step in outcome_of(by_key[key]).ignored
        ]
        check_warnings(caught, ignored)
        assert started == expected.started
        if expected.kind == "result":
            assert raised is None
            assert result == expected.value
            return
        assert raised is not None
        if expected.kind == "forgotten":
            assert type(raised) is ForgottenNextError
        else:
            assert is_error(raised, expected.value)
        if expected.cause is None:
            assert raised.__cause__ is None
        elif expected.cause.kind == "forgotten":
            assert type(raised.__cause__) is ForgottenNextError
        else:
            assert is_error(raised.__cause__, expected.cause.value)

    anyio.run(main, backend=backend)


# -- an exception always counts ----------------------------------------------------------------------------------------


@st.composite
def raising_scripts(draw: st.DrawFn) -> Script:
    """Any hook that raises at its end."""
    script = draw(scripts())
    steps, then = ([s for s in part if s.kind not in ("return", "raise")] for part in (script.steps, script.then))
    (then if script.form == "returns" else steps).append(Step("raise", Fault()))
    return Script(script.form, script.parameters, steps, then)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(script=raising_scripts())
def test_an_exception_that_leaves_a_hook_fails_the_call(backend: str, script: Script) -> None:
    """Whatever was said before it: nothing is let through."""
    reached: list[str] = []

    async def method() -> None:
        reached.append("method")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            later = Later(tasks, "task")
            hooks = RemoteHooks()
            hooks.before_remote("**", hook_of(script, later, lambda: None))
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")
                with pytest.raises((Fault, HookError)):
                    await call(hooks, target=method)
                await later.all_given()

    anyio.run(main, backend=backend)
    assert reached == []
