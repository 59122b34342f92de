"""How a hook completes: the runs themselves, without a call around them. On asyncio and on trio."""

import asyncio
import functools
import inspect
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest

from interceptors.completion import Hook, HookRun, Signal, as_exception, check_timeout, make_hook, replaced, run_in_turn
from interceptors.errors import DoubleCompletionWarning, ForgottenNextError, HookError, InvalidHookError
from tests.unit.helpers import on_both_backends, place
from tests.unit.remoting.support import texts, warned

CTX = object()
THREE_FORMS = "write it with (ctx), (ctx, next) or (ctx, result, next), as `def` or `async def`."


def run_of(function: Callable[..., Any], timeout: float = 30.0) -> HookRun:
    """A run of a hook, as for a call of `User.find`."""
    return HookRun(make_hook(function, 3), "before User.find", timeout)


async def completed(run: HookRun) -> Signal:
    """The signal that counts."""
    if run.hook.parameters == 3:
        return await run.complete(CTX, "result", run.next)
    return await run.complete(*(CTX, run.next)[: run.hook.parameters])


# -- what a hook is ----------------------------------------------------------------------------------------------------


def one(ctx: Any) -> None: ...
def two(ctx: Any, next: Any) -> None: ...
def three(ctx: Any, result: Any, next: Any) -> None: ...
def position_only(ctx: Any, next: Any, /) -> None: ...
def other_names(a: Any, b: Any) -> None: ...
def with_default(ctx: Any, next: Any, model: Any = None, *, verbose: bool = False) -> None: ...
def with_keywords(ctx: Any, **options: Any) -> None: ...
async def asynchronous(ctx: Any, next: Any) -> None: ...


class WithMethods:
    """Where methods may be hooks."""

    def method(self, ctx: Any, next: Any) -> None: ...
    @classmethod
    def of_class(cls, ctx: Any) -> None: ...
    @staticmethod
    def static(ctx: Any, result: Any, next: Any) -> None: ...
    def __call__(self, ctx: Any, next: Any) -> None: ...


MODEL = "User"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (one, 1),
        (two, 2),
        (three, 3),
        (position_only, 2),
        (other_names, 2),
        (with_default, 2),
        (with_keywords, 1),
        (asynchronous, 2),
        (lambda ctx, next, model=MODEL: None, 2),
        (functools.partial(three, CTX), 2),
        (functools.partial(two, next=None), 1),
        (WithMethods().method, 2),
        (WithMethods.of_class, 1),
        (WithMethods.static, 3),
        (WithMethods(), 2),
    ],
)
def test_positional_parameters_without_a_default_are_counted(function: Any, parameters: int) -> None:
    """One is (ctx), two are (ctx, next), three are (ctx, result, next), whatever they are called."""
    assert make_hook(function, 3) == Hook(function, parameters)


def none() -> None: ...
def four(ctx: Any, result: Any, next: Any, more: Any) -> None: ...
def any_number(*args: Any) -> None: ...
def one_and_any_number(ctx: Any, *args: Any) -> None: ...
def required_keyword(ctx: Any, *, next: Any) -> None: ...
def only_defaults(ctx: Any = None) -> None: ...


def generator(ctx: Any) -> Iterator[None]:
    yield


async def async_generator(ctx: Any) -> AsyncIterator[None]:
    yield


class Callback:
    """A class; its objects would be hooks."""

    def __call__(self, ctx: Any) -> None: ...


class GeneratorObject:
    """An object whose call is a generator."""

    def __call__(self, ctx: Any) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        (none, "no parameter"),
        (four, "(ctx: Any, result: Any, next: Any, more: Any)"),
        (any_number, "(*args: Any)"),
        (one_and_any_number, "(ctx: Any, *args: Any)"),
        (required_keyword, "(ctx: Any, *, next: Any)"),
        (only_defaults, "no parameter"),
    ],
)
def test_another_number_of_parameters_is_refused(function: Any, taken: str) -> None:
    """None, four, `*args` and a required keyword are refused; the error names the function, its line and the forms."""
    with pytest.raises(InvalidHookError) as caught:
        make_hook(function, 3)
    assert str(caught.value) == f"{function.__name__} ({place(function)}) takes {taken}; {THREE_FORMS}"
    assert caught.value.hook is function
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_function_is_refused(function: Any) -> None:
    """Calling a generator function runs nothing, so it is no hook."""
    with pytest.raises(InvalidHookError) as caught:
        make_hook(function, 3)
    assert str(caught.value) == f"{function.__name__} ({place(function)}) is a generator function; {THREE_FORMS}"


@pytest.mark.parametrize("function", [GeneratorObject(), functools.partial(generator)])
def test_a_generator_is_found_behind_an_object_and_a_partial(function: Any) -> None:
    """An object whose `__call__` is a generator function, and a partial of one, run nothing either."""
    with pytest.raises(InvalidHookError, match="is a generator function"):
        make_hook(function, 3)


@pytest.mark.parametrize("thing", [Callback, int])
def test_a_class_is_refused(thing: type) -> None:
    """Calling a class would only build an object."""
    with pytest.raises(InvalidHookError, match=f"^{thing.__name__} .* is no function; ") as caught:
        make_hook(thing, 3)
    assert str(caught.value).endswith(THREE_FORMS)


@pytest.mark.parametrize(("thing", "name"), [("hook", "'hook'"), (5, "int"), (None, "NoneType"), ([one], "list")])
def test_what_cannot_be_called_is_refused(thing: Any, name: str) -> None:
    """The error says what it was given."""
    with pytest.raises(InvalidHookError) as caught:
        make_hook(thing, 3)
    assert str(caught.value) == f"{name} (no source file) is no function; {THREE_FORMS}"


@pytest.mark.parametrize("builtin", [max, min, getattr])
def test_a_builtin_without_a_signature_is_refused(builtin: Any) -> None:
    """Nobody can say how many parameters it takes."""
    with pytest.raises(InvalidHookError):
        make_hook(builtin, 3)


def test_where_a_hook_takes_no_result_three_parameters_are_too_many() -> None:
    """The observers of connectors take (ctx) or (ctx, next); the error names these."""
    assert make_hook(two, 2).parameters == 2
    with pytest.raises(InvalidHookError) as caught:
        make_hook(three, 2)
    assert str(caught.value).endswith("; write it with (ctx) or (ctx, next), as `def` or `async def`.")


@pytest.mark.parametrize("seconds", [0.001, 1, 30.0, math.inf])
def test_a_timeout_is_more_than_nothing(seconds: float) -> None:
    """It may be infinite."""
    assert check_timeout(seconds) == seconds


@pytest.mark.parametrize("seconds", [0, -1, 0.0, -math.inf, math.nan])
def test_no_time_at_all_is_refused(seconds: float) -> None:
    """Zero, less, and what is no number."""
    with pytest.raises(ValueError, match="^next_timeout has to be more than 0 seconds, or math.inf, not ") as caught:
        check_timeout(seconds)
    assert str(caught.value).endswith(f"not {seconds!r}")


# -- a run that completes ----------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_hook_without_next_completes_when_it_returns() -> None:
    """`def f(ctx)` and `async def f(ctx)`: at their end, with success."""
    seen = []

    async def later(ctx: Any) -> None:
        await anyio.sleep(0)
        seen.append(ctx)

    assert await completed(run_of(seen.append)) == Signal("next")
    assert await completed(run_of(later)) == Signal("next")
    assert seen == [CTX, CTX]


@on_both_backends
async def test_next_notes_the_decision_and_runs_nothing() -> None:
    """`next()` gives something that may be awaited, and is None then."""
    seen = []

    async def hook(ctx: Any, next: Any) -> None:
        noted = next()
        seen.append(inspect.isawaitable(noted))
        seen.append(await noted)

    assert await completed(run_of(hook)) == Signal("next")
    assert seen == [True, None]


@pytest.mark.parametrize("falsy", [None, False, 0, "", [], {}])
@on_both_backends
async def test_next_with_something_falsy_is_success(falsy: Any) -> None:
    """LoopBack's `next(null)`."""
    assert await completed(run_of(lambda ctx, next: next(falsy))) == Signal("next")


@on_both_backends
async def test_next_with_an_exception_fails_with_it() -> None:
    """With the very object; further arguments are ignored."""
    error = ValueError("no")
    assert await completed(run_of(lambda ctx, next: next(error, "ignored", 5))) == Signal("fail", error)
    assert await completed(run_of(lambda ctx, next: next(error=error))) == Signal("fail", error)
    assert await completed(run_of(lambda ctx, next: next(None, error))) == Signal("next")


@on_both_backends
async def test_an_exception_that_is_falsy_fails_nonetheless() -> None:
    """An exception with a length of zero is an error all the same: in JavaScript every object is truthy."""

    class Errors(Exception):
        def __len__(self) -> int:
            return 0

    error = Errors("none yet")
    assert await completed(run_of(lambda ctx, next: next(error))) == Signal("fail", error)


@pytest.mark.parametrize("value", ["no", 5, {"status": 4}, True, KeyboardInterrupt("stop"), ValueError])
@on_both_backends
async def test_next_with_anything_else_is_a_hook_error(value: Any) -> None:
    """It carries the value, and reads like it."""
    signal = await completed(run_of(lambda ctx, next: next(value)))
    assert signal.kind == "fail"
    assert type(signal.value) is HookError
    assert isinstance(signal.value, RuntimeError)
    assert signal.value.value is value
    assert str(signal.value) == str(value)


@on_both_backends
async def test_end_ends_with_a_value() -> None:
    """Also with None."""
    for value in ("answer", None):

        def hook(ctx: Any, value: Any = value) -> None:
            run.end(value)

        run = run_of(hook)
        assert await completed(run) == Signal("end", value)


@on_both_backends
async def test_what_leaves_the_hook_is_its_error() -> None:
    """From `def`, from `async def`, and from an awaitable that a `def` returned."""
    error = ValueError("no")

    def raising(ctx: Any) -> None:
        raise error

    async def raising_later(ctx: Any) -> None:
        await anyio.sleep(0)
        raise error

    for hook in (raising, raising_later, lambda ctx, next: raising_later(ctx)):
        assert await completed(run_of(hook)) == Signal("fail", error)


@on_both_backends
async def test_an_awaitable_that_a_def_returns_is_awaited() -> None:
    """Its value is ignored; without a signal that is success."""
    seen = []

    class Own:
        def __await__(self) -> Any:
            yield from anyio.sleep(0).__await__()
            seen.append("awaited")
            return ValueError("ignored")

    assert await completed(run_of(lambda ctx, next: Own())) == Signal("next")
    assert seen == ["awaited"]


@on_both_backends
async def test_an_awaitable_is_awaited_even_after_a_signal() -> None:
    """A `def` that says `next()` and returns an awaitable has completed when that is done; its error counts."""
    seen = []
    error = ValueError("no")

    async def work() -> None:
        await anyio.sleep(0)
        seen.append("awaited")

    async def failing() -> None:
        raise error

    assert await completed(run_of(lambda ctx, next: (next(), work())[1])) == Signal("next")
    assert seen == ["awaited"]
    assert await completed(run_of(lambda ctx, next: (next(), failing())[1])) == Signal("fail", error)


@pytest.mark.parametrize("value", [True, "done", ValueError("ignored"), object()])
@on_both_backends
async def test_what_a_hook_returns_is_ignored(value: Any) -> None:
    """Unless it is awaitable."""

    def hook(ctx: Any, next: Any) -> Any:
        next()
        return value

    assert await completed(run_of(hook)) == Signal("next")
    assert await completed(run_of(lambda ctx: value)) == Signal("next")


@on_both_backends
async def test_an_async_hook_completes_at_its_end_not_at_next() -> None:
    """What follows `next()` is still awaited."""
    seen = []

    async def hook(ctx: Any, next: Any) -> None:
        next()
        await anyio.sleep(0.01)
        seen.append("after next")

    assert await completed(run_of(hook)) == Signal("next")
    assert seen == ["after next"]


@on_both_backends
async def test_an_async_hook_need_not_call_next() -> None:
    """Finishing is enough, and no time limit cuts it off while it runs."""

    async def hook(ctx: Any, next: Any) -> None:
        await anyio.sleep(0.05)

    assert await completed(run_of(hook, timeout=0.001)) == Signal("next")


@on_both_backends
async def test_next_may_be_called_later_by_a_task() -> None:
    """A `def` with `next` has completed when it has returned and somebody has signalled."""
    async with anyio.create_task_group() as tasks:

        async def later(next: Any) -> None:
            await anyio.sleep(0.01)
            next()

        def hook(ctx: Any, next: Any) -> None:
            tasks.start_soon(later, next)

        with anyio.fail_after(5):  # it does not wait for the time limit
            assert await completed(run_of(hook)) == Signal("next")
            assert await completed(run_of(hook, timeout=math.inf)) == Signal("next")


async def test_next_may_be_called_later_by_the_loop() -> None:
    """As by a callback-style client."""
    error = ValueError("refused")

    def hook(ctx: Any, next: Any) -> Any:
        return asyncio.get_running_loop().call_later(0.01, next, error)

    assert await completed(run_of(hook)) == Signal("fail", error)


async def test_end_may_come_later_too() -> None:
    """It completes a `def` with `next` as `next()` does."""

    def hook(ctx: Any, next: Any) -> None:
        asyncio.get_running_loop().call_soon(run.end, "answer")

    run = run_of(hook)
    assert await completed(run) == Signal("end", "answer")


@on_both_backends
async def test_a_forgotten_next_is_an_error_after_the_time_limit() -> None:
    """It names the hook, its line, where it ran, and the ways out."""

    def forgetful(ctx: Any, next: Any) -> None: ...

    before = time.monotonic()
    signal = await completed(run_of(forgetful, timeout=0.05))
    assert 0.04 < time.monotonic() - before < 5
    assert signal.kind == "fail"
    assert type(signal.value) is ForgottenNextError
    assert isinstance(signal.value, TimeoutError)
    assert signal.value.hook is forgetful
    assert str(signal.value) == (
        f"forgetful ({place(forgetful)}), before User.find, has not called `next` within 0.05 seconds. Call `next()`, "
        "return an awaitable (`async def`), or drop the parameter."
    )


@on_both_backends
async def test_a_next_after_the_time_limit_is_ignored_with_a_warning() -> None:
    """The call is over by then."""
    kept: list[Any] = []
    run = run_of(lambda ctx, next: kept.append(next), timeout=0.01)
    assert (await completed(run)).kind == "fail"
    with warned() as caught:
        kept[0]()
    assert len(caught) == 1


@on_both_backends
async def test_cancellation_is_no_signal() -> None:
    """It passes, out of a hook that runs and out of one that is waited for."""

    async def sleeping(ctx: Any) -> None:
        await anyio.sleep_forever()

    for hook in (sleeping, lambda ctx, next: None):
        with anyio.move_on_after(0.01) as scope:
            await completed(run_of(hook, timeout=math.inf))
        assert scope.cancelled_caught


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@on_both_backends
async def test_what_is_no_exception_passes(stop: type[BaseException]) -> None:
    """A `BaseException` that is no `Exception` is no signal."""

    def hook(ctx: Any) -> None:
        raise stop

    with pytest.raises(stop):
        await completed(run_of(hook))


# -- more than one signal ----------------------------------------------------------------------------------------------


def twice(ctx: Any, next: Any) -> None:
    next()
    next()


def other_error_later(ctx: Any, next: Any) -> None:
    next()
    next(ValueError("late"))


def value_later(ctx: Any, next: Any) -> None:
    next()
    next("late")


@pytest.mark.parametrize(
    ("hook", "what", "cause"),
    [
        (twice, "next()", ""),
        (other_error_later, "an error", "ValueError('late')"),
        (value_later, "an error", "HookError('late')"),
    ],
)
@on_both_backends
async def test_a_second_signal_is_ignored_with_a_warning(hook: Any, what: str, cause: str) -> None:
    """The warning names the hook and stands at its line; an error that is ignored is its cause."""
    with warned() as caught:
        assert await completed(run_of(hook)) == Signal("next")
    (warning,) = caught
    assert warning.category is DoubleCompletionWarning
    hook_at = f"{hook.__name__} ({place(hook)}), before User.find"
    assert texts(caught) == [f"{hook_at}, had completed already: {what} is ignored. Complete a hook once."]
    assert f"{warning.filename}:{warning.lineno}" == place(hook)
    assert isinstance(warning.message, Warning)
    assert (repr(warning.message.__cause__) if cause else "") == cause
    assert cause or warning.message.__cause__ is None


@on_both_backends
async def test_a_second_end_is_ignored_with_a_warning() -> None:
    """And so is `next()` after an end."""

    def hook(ctx: Any, next: Any) -> None:
        run.end("first")
        run.end("second")
        next()

    run = run_of(hook)
    with warned() as caught:
        assert await completed(run) == Signal("end", "first")
    assert [text.partition("already: ")[2] for text in texts(caught)] == [
        "an end is ignored. Complete a hook once.",
        "next() is ignored. Complete a hook once.",
    ]


@pytest.mark.parametrize("signalled", ["next", "end"])
@on_both_backends
async def test_an_exception_that_leaves_the_hook_wins(signalled: str) -> None:
    """Over `next()` and over an end: it fails closed. Nothing is ignored, so nothing is warned."""
    error = PermissionError("forbidden")

    def hook(ctx: Any, next: Any) -> None:
        run.end("answer") if signalled == "end" else next()
        raise error

    run = run_of(hook)
    assert await completed(run) == Signal("fail", error)


@on_both_backends
async def test_after_its_own_error_the_first_one_stands() -> None:
    """`next(error)`, then another one that leaves the hook: that is the cause of a warning."""
    first, second = ValueError("first"), ValueError("second")

    def hook(ctx: Any, next: Any) -> None:
        next(first)
        raise second

    with warned() as caught:
        assert await completed(run_of(hook)) == Signal("fail", first)
    assert [warning.message.__cause__ for warning in caught if isinstance(warning.message, Warning)] == [second]


@on_both_backends
async def test_raising_the_very_error_that_it_gave_to_next_says_nothing_new() -> None:
    """So it is no second completion."""
    error = ValueError("no")

    def hook(ctx: Any, next: Any) -> None:
        next(error)
        raise error

    assert await completed(run_of(hook)) == Signal("fail", error)


@on_both_backends
async def test_a_signal_after_a_hook_has_returned_is_too_late() -> None:
    """Also for a hook without `next`, and for one that finished without a signal."""
    runs = [run_of(lambda ctx: None), run_of(asynchronous)]
    for run in runs:
        await completed(run)
        with warned() as caught:
            run.next(ValueError("late"))
            run.end(1)
        assert len(caught) == 2


@on_both_backends
async def test_a_callable_object_is_named_by_its_class() -> None:
    """So is the line: where the class is written."""

    class Observer:
        def __call__(self, ctx: Any, next: Any) -> None:
            next()
            next()

    with warned() as caught:
        await completed(run_of(Observer()))
    assert texts(caught)[0].startswith(f"{Observer.__name__} ({place(Observer)})")


@on_both_backends
async def test_a_hook_without_source_is_named_all_the_same() -> None:
    """One that was made by `exec`, or a builtin."""
    run = HookRun(Hook([].append, 1), "before User.find", 1)
    await run.complete(CTX)
    with warned() as caught:
        run.next()
    assert texts(caught) == [
        "list.append (no source file), before User.find, had completed already: next() is ignored. Complete a hook once."
    ]
    assert (caught[0].filename, caught[0].lineno) == ("<unknown>", 0)


async def test_awaiting_next_is_a_matter_of_taste() -> None:
    """A `def` may return what `next()` gave, as `return next()` does."""

    def returning(ctx: Any, next: Any) -> Awaitable[None]:
        noted: Awaitable[None] = next()
        return noted

    assert await completed(run_of(returning)) == Signal("next")


# -- what remoting and connectors build on it --------------------------------------------------------------------------


@on_both_backends
async def test_a_run_knows_whether_it_is_complete() -> None:
    """From the first signal on, or from the end of the hook."""
    seen = []

    def hook(ctx: Any, next: Any) -> None:
        seen.append(run.is_complete)
        next()
        seen.append(run.is_complete)

    run = run_of(hook)
    await completed(run)
    assert seen == [False, True]
    silent = run_of(lambda ctx: None)
    assert not silent.is_complete
    await completed(silent)
    assert silent.is_complete


def test_a_run_gives_the_arguments_of_its_hook() -> None:
    """`(ctx)` or `(ctx, next)`."""
    assert run_of(one).arguments(CTX) == (CTX,)
    run = run_of(two)
    assert run.arguments(CTX) == (CTX, run.next)


@on_both_backends
async def test_a_run_may_be_failed_from_outside() -> None:
    """As by `ctx.end(error)` of a connector; what is no exception becomes a HookError, and only the first counts."""
    error = ValueError("no")
    run = run_of(lambda ctx: run.fail(error))
    assert await completed(run) == Signal("fail", error)
    other = run_of(lambda ctx: other.fail("text"))
    signal = await completed(other)
    assert (signal.kind, type(signal.value), str(signal.value)) == ("fail", HookError, "text")
    with warned() as caught:
        run.fail(error)
    assert len(caught) == 1


def test_what_is_no_exception_becomes_a_hook_error() -> None:
    """With the value; an exception stays itself."""
    error = ValueError("no")
    assert as_exception(error) is error
    for value in ("text", KeyboardInterrupt()):
        made = as_exception(value)
        assert isinstance(made, HookError)
        assert made.value is value


@pytest.mark.parametrize(("stops_at", "signal"), [(None, None), (1, Signal("end", "answer"))])
@on_both_backends
async def test_hooks_run_in_turn_until_one_ends_or_fails(stops_at: int | None, signal: Signal | None) -> None:
    """Each gets its turn, and then its arguments."""
    log: list[str] = []

    def hook_of(number: int) -> Hook:
        async def hook(ctx: Any, next: Any) -> None:
            log.append(f"hook {number} {ctx}")
            await anyio.sleep(0)
            if number == stops_at:
                runs[-1].end("answer")

        return make_hook(hook, 2)

    runs: list[HookRun] = []

    def take_turn(run: HookRun) -> tuple[Any, ...]:
        log.append("turn")
        runs.append(run)
        return run.arguments("ctx")

    assert await run_in_turn([hook_of(0), hook_of(1), hook_of(2)], "before X", 1, take_turn) == signal
    ran = 3 if stops_at is None else 2
    assert log == [entry for number in range(ran) for entry in ("turn", f"hook {number} ctx")]
    error = ValueError("no")
    failing = make_hook(lambda ctx, next: next(error), 2)
    assert await run_in_turn([failing, hook_of(0)], "before X", 1, take_turn) == Signal("fail", error)
    assert log[-1] == "turn"


def test_the_error_that_is_replaced_becomes_the_cause() -> None:
    """Unless the new one has a cause, or the old one came from it: causes make no circle."""
    old, new = ValueError("old"), ValueError("new")
    assert replaced(old, new) is new
    assert new.__cause__ is old

    caused, cause = ValueError("new"), KeyError("cause")
    caused.__cause__ = cause
    assert replaced(old, caused).__cause__ is cause
    assert replaced(old, old).__cause__ is None

    root, middle, top = ValueError("root"), ValueError("middle"), ValueError("top")
    middle.__context__, top.__cause__ = root, middle
    for inner in (root, middle):
        assert replaced(top, inner) is inner
        assert inner.__cause__ is None

    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first  # a circle of somebody else's
    apart = ValueError("apart")
    assert replaced(first, apart).__cause__ is first
