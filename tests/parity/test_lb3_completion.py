"""LoopBack 3, sections 1.7, 0.14, 0.15 and 6: how a hook completes (contract 1.4).

| rule | what does not apply, and why |
|---|---|
| A rejection with `undefined` skips the hooks but runs the method | Nothing but an exception can be raised. |
| A throw in nested synchronous code downstream is caught by the hook's caller | Hooks do not call the method; each error is its own. |
| A throw of a string | An exception is an object; `next("text")` stands for it. |
"""

import asyncio

import pytest
from anyio.lowlevel import checkpoint

from interceptors.errors import DoubleCompletionWarning, ForgottenNextError, HookError, InvalidHookError
from interceptors.remoting import RemoteHooks
from tests.unit.helpers import on_both_backends, place
from tests.unit.remoting.support import call, warned


class Forbidden(Exception):
    """What a hook refuses with."""

    status_code = 403


def method_of(log):
    """A method that notes that it ran."""

    async def method():
        log.append("method")
        return "found"

    return method


# -- going on ----------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_next_goes_on():
    """`next()` and a falsy error are success; a second argument is ignored."""
    for arguments in [(), (None,), (0,), ("",), (False,), (None, Forbidden())]:
        hooks, log = RemoteHooks(), []
        hooks.before_remote("**", lambda ctx, next, arguments=arguments: next(*arguments))
        assert await call(hooks, target=method_of(log)) == "found"
        assert log == ["method"]


@on_both_backends
async def test_a_promise_is_awaited():
    """A thenable that a hook returns is awaited and its value ignored; `async def` needs no `next`."""
    hooks, log = RemoteHooks(), []

    async def work():
        await checkpoint()
        log.append("hook")
        return "ignored"

    @hooks.before_remote("**")
    async def asynchronous(ctx):
        await work()

    hooks.before_remote("**", lambda ctx: work())
    hooks.before_remote("**", lambda ctx, next: work())
    assert await call(hooks, target=method_of(log)) == "found"
    assert log == ["hook", "hook", "hook", "method"]


@on_both_backends
async def test_a_hook_without_next_goes_on_when_it_returns():
    """Differs: LB3 has no such form, a hook that neither calls `next` nor returns a promise hangs for ever."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", lambda ctx: log.append("hook"))
    assert await call(hooks, target=method_of(log)) == "found"
    assert log == ["hook", "method"]


async def test_what_follows_next_in_an_async_hook_is_still_awaited():
    """Differs: in LB3 `async (ctx, next) => { next(); await slow(); }` is overtaken by the method, and its errors are lost."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    async def slow(ctx, next):
        next()
        await asyncio.sleep(0.01)
        log.append("slow hook")

    hooks.before_remote("**", lambda ctx: log.append("second hook"))
    await call(hooks, target=method_of(log))
    assert log == ["slow hook", "second hook", "method"]


async def test_a_promise_is_awaited_even_after_next():
    """A `def` that signals and then returns an awaitable is finished when that is; what it raises fails the call."""

    async def slow(log, error):
        await asyncio.sleep(0.01)
        log.append("slow hook")
        if error is not None:
            raise error

    for error in (None, Forbidden("no")):
        hooks, log = RemoteHooks(), []

        @hooks.before_remote("**")
        def hook(ctx, next, log=log, error=error):
            next()
            return slow(log, error)

        if error is None:
            assert await call(hooks, target=method_of(log)) == "found"
            assert log == ["slow hook", "method"]
        else:
            with pytest.raises(Forbidden):
                await call(hooks, target=method_of(log))
            assert log == ["slow hook"]


async def test_next_may_be_called_later():
    """By a task or a callback of the same loop, as with callback-style clients; further hooks wait for it."""
    hooks, log = RemoteHooks(), []

    async def work(next):
        await asyncio.sleep(0.01)
        log.append("task")
        next()

    tasks = []

    @hooks.before_remote("**")
    def by_task(ctx, next):
        tasks.append(asyncio.create_task(work(next)))

    @hooks.before_remote("**")
    def by_callback(ctx, next):
        asyncio.get_running_loop().call_later(0.01, lambda: (log.append("callback"), next()))

    async with asyncio.timeout(5):  # neither waits for the time limit, which is longer
        assert await call(hooks, target=method_of(log)) == "found"
    assert log == ["task", "callback", "method"]


@pytest.mark.parametrize("value", [True, "text", object()])
async def test_what_a_hook_returns_does_not_complete_it(value):
    """In LB3 a truthy value that is no thenable hangs the request. Here the time limit ends it."""
    hooks, log = RemoteHooks(next_timeout=0.02), []
    hooks.before_remote("**", lambda ctx, next: value)
    with pytest.raises(ForgottenNextError):
        await call(hooks, target=method_of(log))
    assert log == []


# -- failing -----------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_an_error_stops_what_follows():
    """By `next(error)`, raising, or a promise that rejects: remaining hooks and the method are skipped."""
    error = Forbidden("no")

    def raising(ctx):
        raise error

    async def rejecting(ctx):
        raise error

    for hook in (lambda ctx, next: next(error), raising, rejecting, lambda ctx, next: rejecting(ctx)):
        hooks, log = RemoteHooks(), []
        hooks.before_remote("**", hook)
        hooks.before_remote("**", lambda ctx, log=log: log.append("later hook"))
        hooks.after_remote("**", lambda ctx, log=log: log.append("after hook"))
        with pytest.raises(Forbidden) as caught:
            await call(hooks, target=method_of(log))
        assert caught.value is error
        assert log == []


@pytest.mark.parametrize("value", ["text", {"statusCode": 404, "message": "gone"}, 404])
@on_both_backends
async def test_what_is_no_exception_fails_as_a_hook_error(value):
    """In LB3 a string or a plain object is an error as it is, and `{statusCode}` is honoured.

    Differs: the caller gets an exception, a HookError with the value in `.value`; a status is an exception's.
    """
    hooks, log = RemoteHooks(), []
    hooks.before_remote("**", lambda ctx, next: next(value))
    with pytest.raises(HookError) as caught:
        await call(hooks, target=method_of(log))
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.value is value
    assert str(caught.value) == str(value)
    assert log == []


# -- completing twice --------------------------------------------------------------------------------------------------


async def once_warned(hooks, log):
    with warned() as caught:
        result = await call(hooks, target=method_of(log))
    (warning,) = caught
    assert warning.category is DoubleCompletionWarning
    return result, warning


async def test_a_second_next_is_ignored_with_a_warning():
    """Differs: in LB3 it is "Callback was already called", a second run of the method, or silence. The hook and its line are named."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    def twice(ctx, next):
        next()
        next()

    result, warning = await once_warned(hooks, log)
    assert result == "found"
    assert log == ["method"]
    assert place(twice) in str(warning.message)
    assert f"{warning.filename}:{warning.lineno}" == place(twice)


async def test_an_async_hook_that_calls_next_completes_once():
    """9 % of real hooks do both, and signal twice in LB3 (0.15). Finishing is no second signal: nothing to warn of."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    async def both(ctx, result, next):
        await asyncio.sleep(0)
        next()

    @hooks.before_remote("**")
    def returning(ctx, next):
        return next()

    assert await call(hooks, target=method_of(log)) == "found"
    assert log == ["method"]


async def test_an_error_after_next_fails_the_call():
    """`next(); raise Forbidden()` must not let the call pass. In LB3 the method has run by then."""

    def plain(ctx, next):
        next()
        raise Forbidden

    async def asynchronous(ctx, next):
        next()
        await asyncio.sleep(0)
        raise Forbidden

    def after_done(ctx, next):
        ctx.done("answer")
        raise Forbidden

    for hook in (plain, asynchronous, lambda ctx, next: asynchronous(ctx, next=next), after_done):
        hooks, log = RemoteHooks(), []
        hooks.before_remote("**", hook)
        with pytest.raises(Forbidden):
            await call(hooks, target=method_of(log))
        assert log == []


async def test_after_its_own_error_the_first_one_stands():
    """`next(error)`, then another one raised: that is ignored, and the cause of the warning, so it is not lost."""
    hooks, log = RemoteHooks(), []
    first, second = Forbidden("first"), ValueError("second")

    @hooks.before_remote("**")
    async def hook(ctx, next):
        next(first)
        raise second

    with warned() as caught, pytest.raises(Forbidden) as failed:
        await call(hooks, target=method_of(log))
    assert failed.value is first
    assert [warning.message.__cause__ for warning in caught] == [second]


async def test_a_late_error_is_the_cause_of_a_warning():
    """`next()`, then `next(error)`, also when the call is long over."""
    hooks, log, kept = RemoteHooks(), [], []

    @hooks.before_remote("**")
    def hook(ctx, next):
        kept.append(next)
        next()

    assert await call(hooks, target=method_of(log)) == "found"
    error = ValueError("late")
    with warned() as caught:
        kept[0](error)
    assert [warning.category for warning in caught] == [DoubleCompletionWarning]
    assert caught[0].message.__cause__ is error


async def test_done_and_next_are_one_completion():
    """The first wins. In LB3 `ctx.done(cb)` and `next()` give two answers, "headers already sent"."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    def done_then_next(ctx, next):
        ctx.done("answer")
        next()

    result, _ = await once_warned(hooks, log)
    assert result == "answer"
    assert log == []

    hooks = RemoteHooks()

    @hooks.before_remote("**")
    def next_then_done(ctx, next):
        next()
        ctx.done("answer")

    result, _ = await once_warned(hooks, log)
    assert result == "found"


async def test_with_warnings_as_errors_nothing_is_let_through():
    """Where the warning is raised it leaves the hook as an exception, or its run: the call fails."""

    def twice(ctx, next):
        next()
        next()

    def other(ctx, next):
        next(Forbidden("first"))
        raise ValueError("second")

    for hook in (twice, other):
        hooks, log = RemoteHooks(), []
        hooks.before_remote("**", hook)
        with pytest.raises(DoubleCompletionWarning):  # this suite makes warnings errors
            await call(hooks, target=method_of(log))
        assert log == []


async def test_done_counts_for_the_hook_whose_turn_it_is():
    """It is the context's, not a hook's own: called late by the first hook's task, it ends the second hook's turn."""
    hooks, log = RemoteHooks(), []

    @hooks.before_remote("**")
    def first(ctx, next):
        asyncio.get_running_loop().call_later(0.01, ctx.done, "late answer")
        next()

    @hooks.before_remote("**")
    def second(ctx, next):
        log.append("waits for next")

    assert await call(hooks, target=method_of(log)) == "late answer"
    assert log == ["waits for next"]


async def test_done_after_the_call_is_ignored_with_a_warning():
    """There is nothing left to answer."""
    hooks, log, kept = RemoteHooks(), [], []
    hooks.before_remote("**", kept.append)
    assert await call(hooks, target=method_of(log)) == "found"
    with warned() as caught:
        kept[0].done("late")
    assert [warning.category for warning in caught] == [DoubleCompletionWarning]


# -- a forgotten next --------------------------------------------------------------------------------------------------


async def test_a_forgotten_next_is_an_error():
    """Differs: LB3 hangs. The error names hook, file, line, and the ways out; nothing further in runs."""
    hooks, log = RemoteHooks(next_timeout=0.05), []

    @hooks.before_remote("**")
    def forgetful(ctx, next):
        log.append("hook")

    with pytest.raises(ForgottenNextError) as caught:
        await call(hooks, target=method_of(log))
    message = str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    for part in ("forgetful", place(forgetful), "before User.find", "0.05", "next()", "awaitable", "parameter"):
        assert part in message
    assert log == ["hook"]


async def test_the_migration_guides_error_logger_forgets_next():
    """`logAfterError` of seed 003 never calls `next`, and hangs in LB3. Here the caller gets an error; the old one is its cause."""
    hooks, log = RemoteHooks(next_timeout=0.05), []

    @hooks.after_remote_error("**")
    def log_after_error(ctx, next):
        log.append(f"Method failed: {ctx.error}")

    error = ValueError("no")
    with pytest.raises(ForgottenNextError) as caught:
        await call(hooks, raises=error)
    assert caught.value.__cause__ is error
    assert log == ["Method failed: no"]


async def test_dropping_the_parameter_is_a_way_out():
    """As the message says: `def log_after_error(ctx)`."""
    hooks, log = RemoteHooks(next_timeout=0.05), []
    hooks.after_remote_error("**", lambda ctx: log.append(str(ctx.error)))
    with pytest.raises(ValueError, match="no"):
        await call(hooks, raises=ValueError("no"))
    assert log == ["no"]


async def test_the_limit_never_cuts_off_a_hook_that_runs():
    """It counts from when a `def` has returned without a signal; `async def`, and a promise, take as long as they take."""
    hooks, log = RemoteHooks(next_timeout=0.01), []

    async def slow(ctx, next):
        await asyncio.sleep(0.05)

    hooks.before_remote("**", slow)
    hooks.before_remote("**", lambda ctx, next: slow(ctx, next=next))
    hooks.before_remote("**", lambda ctx: slow(ctx, None))
    assert await call(hooks, target=method_of(log)) == "found"


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_the_limit_is_more_than_nothing(seconds):
    """It may be infinite, which is LB3's way."""
    with pytest.raises(ValueError, match="next_timeout"):
        RemoteHooks(next_timeout=seconds)
    RemoteHooks(next_timeout=float("inf"))


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after", "error"])
@pytest.mark.parametrize("form", ["async def", "def with next", "promise"])
async def test_cancellation_passes_and_runs_no_hook(when, form):
    """LB3 knows none. It is no signal and no error: not swallowed, no error hook runs."""
    hooks, log = RemoteHooks(next_timeout=float("inf")), []
    reached = asyncio.Event()

    async def waiting(ctx):
        reached.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    def with_next(ctx, next):
        reached.set()
        log.append("cancelled")

    hook = {"async def": waiting, "def with next": with_next, "promise": lambda ctx, next: waiting(ctx)}[form]
    {"before": hooks.before_remote, "after": hooks.after_remote, "error": hooks.after_remote_error}[when](
        "User.find", hook
    )
    hooks.after_remote("**", lambda ctx: log.append("after hook"))
    hooks.after_remote_error("**", lambda ctx: log.append("error hook"))
    task = asyncio.create_task(call(hooks, raises=ValueError("no") if when == "error" else None))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cancelled"]


async def test_a_hook_that_swallows_its_cancellation_goes_on():
    """As any coroutine may; what it does then counts."""
    hooks, log = RemoteHooks(), []
    reached = asyncio.Event()

    @hooks.before_remote("**")
    async def stubborn(ctx):
        reached.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise Forbidden from None

    task = asyncio.create_task(call(hooks, target=method_of(log)))
    await reached.wait()
    task.cancel()
    with pytest.raises(Forbidden):
        await task
    assert log == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
@on_both_backends
async def test_what_is_no_exception_passes_straight_through(stop):
    """Out of a hook, and out of the method: no hook runs for it."""
    for where in ("before", "method"):
        hooks, log = RemoteHooks(), []

        def leave(ctx):
            raise stop

        if where == "before":
            hooks.before_remote("**", leave)
        hooks.after_remote("**", lambda ctx, log=log: log.append("after hook"))
        hooks.after_remote_error("**", lambda ctx, log=log: log.append("error hook"))

        with pytest.raises(stop):
            await call(hooks, raises=stop() if where == "method" else None)
        assert log == []


# -- where hooks run ---------------------------------------------------------------------------------------------------


async def test_def_hooks_run_on_the_loop():
    """As in LB3: a `def` hook may use the loop, in the very task of the call."""
    hooks, seen = RemoteHooks(), []
    hooks.before_remote("**", lambda ctx: seen.append(asyncio.current_task()))
    await call(hooks)
    assert seen == [asyncio.current_task()]


# -- what may be registered --------------------------------------------------------------------------------------------


def generator(ctx):
    yield


class Listener:
    def __call__(self, ctx): ...


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param(lambda: None, id="no parameter"),
        pytest.param(lambda ctx, result, next, method: None, id="four parameters"),
        pytest.param(lambda *args: None, id="any number"),
        pytest.param(lambda ctx, *, next: None, id="required keyword"),
        pytest.param(Listener, id="class"),
        pytest.param(generator, id="generator function"),
        pytest.param("name", id="no callable"),
    ],
)
def test_anything_else_is_refused_where_it_is_registered(hook):
    """Differs: LB3 takes anything and fails, or hangs, at the first request."""
    hooks = RemoteHooks()
    for register in (hooks.before_remote, hooks.after_remote, hooks.after_remote_error, hooks.model("A").before_remote):
        with pytest.raises(InvalidHookError) as caught:
            register("**", hook)
        assert isinstance(caught.value, TypeError)


async def test_a_parameter_with_a_default_does_not_count():
    """`lambda ctx, next, model=model: ...`, the way to hook models in a loop."""
    hooks, log = RemoteHooks(), []
    for model in ("User", "Order"):
        hooks.model(model).before_remote("find", lambda ctx, next, model=model: (log.append(model), next()))
    await call(hooks, "User.find")
    await call(hooks, "Order.find")
    assert log == ["User", "Order"]
