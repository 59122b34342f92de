"""Registering remoting hooks, and which of them a call runs."""

import gc
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from interceptors import InterceptorRegistry, InvocationSource
from interceptors.completion import Signal
from interceptors.errors import InvalidHookError, InvalidPatternError
from interceptors.remoting import RemoteHooks
from interceptors.remoting.remote_hooks import ModelHooks
from interceptors.testing import make_context, run_interceptor
from tests.unit.helpers import on_both_backends, place
from tests.unit.remoting.support import REMOTE, call, context

WAYS = ["before_remote", "after_remote", "after_remote_error"]


def noting(log: list[str], name: str) -> Callable[[Any], None]:
    """A hook that notes its name."""

    def hook(ctx: Any) -> None:
        log.append(name)

    return hook


def ignored(ctx: Any) -> None: ...


# -- registering -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_hook_comes_back_as_it_was(way: str) -> None:
    """From a call and from a decorator, on the hooks and on those of a model."""
    hooks = RemoteHooks()
    for register in (getattr(hooks, way), getattr(hooks.model("User"), way)):
        assert register("find", ignored) is ignored
        assert register("find")(ignored) is ignored
        assert not hasattr(ignored, "__interceptors__")


@pytest.mark.parametrize("way", WAYS)
def test_a_pattern_is_checked_where_it_is_written(way: str) -> None:
    """Also by a decorator, before there is a hook."""
    hooks = RemoteHooks()
    for register in (getattr(hooks, way), getattr(hooks.model("User"), way)):
        with pytest.raises(InvalidPatternError, match="inside a segment"):
            register("find*")
        with pytest.raises(InvalidPatternError, match="inside a segment"):
            register("find*", ignored)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrong", [5, "hook", int, lambda: None])
def test_a_hook_is_checked_where_it_is_registered(way: str, wrong: Any) -> None:
    """And nothing is registered then."""
    hooks = RemoteHooks()
    with pytest.raises(InvalidHookError):
        getattr(hooks, way)("**", wrong)
    with pytest.raises(InvalidHookError):
        getattr(hooks, way)("**")(wrong)
    assert list(hooks.find_problems([])) == []


def test_the_pattern_of_a_model_has_the_model_in_front() -> None:
    """Also in errors."""
    users = RemoteHooks().model("User")
    assert isinstance(users, ModelHooks)
    with pytest.raises(InvalidPatternError) as caught:
        users.before_remote("")
    assert caught.value.pattern == "User."


@pytest.mark.parametrize("name", ["", "*", "**", "User.find", "Us*r"])
def test_a_model_is_one_literal(name: str) -> None:
    """Neither a wildcard nor a dotted name."""
    with pytest.raises(
        ValueError, match="is no name of a model: write one segment, not empty and without `[*]`"
    ) as error:
        RemoteHooks().model(name)
    assert str(error.value).startswith(repr(name))


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_the_time_limit_is_more_than_nothing(seconds: float) -> None:
    """A ValueError where the hooks are made."""
    with pytest.raises(ValueError, match="next_timeout has to be more than 0 seconds"):
        RemoteHooks(next_timeout=seconds)
    assert RemoteHooks(next_timeout=math.inf)


# -- which hooks run ---------------------------------------------------------------------------------------------------


@on_both_backends
async def test_hooks_run_before_after_and_when_it_fails() -> None:
    """With one, two or three parameters."""
    log: list[Any] = []
    hooks = RemoteHooks()

    @hooks.before_remote("User.find")
    def before(ctx: Any, result: Any, next: Any) -> None:
        log.append(("before", result))
        next()

    @hooks.after_remote("User.find")
    async def after(ctx: Any, result: Any, next: Any) -> None:
        log.append(("after", result))

    @hooks.after_remote_error("User.find")
    def failed(ctx: Any, next: Any) -> None:
        log.append(("error", ctx.error))
        next()

    assert await call(hooks) == "found"
    assert log == [("before", None), ("after", "found")]
    log.clear()
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, raises=error)
    assert caught.value is error
    assert log == [("before", None), ("error", error)]


@on_both_backends
async def test_without_matching_hooks_it_is_only_next() -> None:
    """The same result, the same error."""
    log: list[str] = []
    hooks = RemoteHooks()
    hooks.before_remote("Order.*", noting(log, "before"))
    hooks.after_remote_error("Order.*", noting(log, "error"))
    assert await call(hooks) == "found"
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, raises=error)
    assert caught.value is error
    assert log == []


@pytest.mark.parametrize("source", [None, InvocationSource("proxy"), InvocationSource("proxy", "x")])
async def test_a_call_that_is_not_remote_passes_untouched(source: InvocationSource | None) -> None:
    """Direct ones and those of a proxy."""
    hooks = RemoteHooks()
    log: list[str] = []
    hooks.before_remote("**", noting(log, "before"))
    ctx = make_context(source=source)
    assert await run_interceptor(hooks, ctx, returns=1) == 1
    assert log == []


@pytest.mark.parametrize("type_", ["route", "job", "cli"])
async def test_any_other_source_is_remote(type_: str) -> None:
    """Also the application's own."""
    hooks = RemoteHooks()
    log: list[str] = []
    hooks.before_remote("**", noting(log, "before"))
    assert await run_interceptor(hooks, make_context(source=InvocationSource(type_)), returns=1) == 1
    assert log == ["before"]


async def test_hooks_may_be_added_at_any_time() -> None:
    """The next call sees them; the running one does not."""
    hooks = RemoteHooks()
    log: list[str] = []

    @hooks.before_remote("**")
    def before(ctx: Any) -> None:
        log.append("before")
        hooks.before_remote("**", noting(log, "added"))
        hooks.after_remote("**", noting(log, "added after"))

    ctx = context()
    await call(hooks, ctx=ctx)
    assert log == ["before"]
    log.clear()
    await call(hooks, ctx=ctx)
    assert log == ["before", "added", "added after"]


async def test_the_same_function_twice_runs_twice() -> None:
    """Also under the same pattern."""
    hooks = RemoteHooks()
    log: list[str] = []
    hook = noting(log, "hook")
    hooks.before_remote("**", hook)
    hooks.before_remote("**", hook)
    hooks.before_remote("User.*", hook)
    await call(hooks)
    assert log == ["hook"] * 3


async def test_what_matches_is_forgotten_with_the_method() -> None:
    """Nothing of a registry is kept alive by the hooks."""
    hooks = RemoteHooks()
    hooks.before_remote("**", ignored)

    class User:
        async def find(self) -> None: ...

    async def once() -> "weakref.ref[Any]":
        registry = InterceptorRegistry()
        registry.add_global(hooks)
        await registry.invoke(User(), "find", source=REMOTE)
        return weakref.ref(registry)

    gone = await once()
    gc.collect()
    assert gone() is None


# -- one call ----------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_done_before_answers_at_once() -> None:
    """Everything further in and every later hook is skipped."""
    hooks = RemoteHooks()
    log: list[str] = []
    hooks.before_remote("User.find", lambda ctx: ctx.done("answer"))
    hooks.before_remote("**", noting(log, "before"))
    hooks.after_remote("**", noting(log, "after"))
    hooks.after_remote_error("**", noting(log, "error"))
    assert await call(hooks, raises=ValueError("never raised")) == "answer"
    assert log == []


@on_both_backends
async def test_done_after_skips_the_remaining_after_hooks() -> None:
    """And its value goes out."""
    hooks = RemoteHooks()
    log: list[str] = []
    hooks.after_remote("User.find", lambda ctx: ctx.done([ctx.result]))
    hooks.after_remote("**", noting(log, "after"))
    assert await call(hooks) == ["found"]
    assert log == []


@on_both_backends
async def test_done_settles_an_error() -> None:
    """The remaining error hooks are skipped, and nothing is raised."""
    hooks = RemoteHooks()
    log: list[str] = []
    hooks.after_remote_error("User.find", lambda ctx: ctx.done("settled"))
    hooks.after_remote_error("**", noting(log, "error"))
    assert await call(hooks, raises=ValueError("no")) == "settled"
    assert log == []


@pytest.mark.parametrize("when", ["before", "after"])
@on_both_backends
async def test_a_failing_hook_ends_its_kind_and_what_follows(when: str) -> None:
    """The error hooks see it."""
    hooks = RemoteHooks()
    log: list[Any] = []
    error = ValueError("no")
    register = getattr(hooks, f"{when}_remote")
    register("User.find", lambda ctx, next: next(error))
    register("**", noting(log, "later"))
    hooks.after_remote_error("**", lambda ctx: log.append(ctx.error))

    async def method() -> str:
        log.append("method")
        return "found"

    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, target=method)
    assert caught.value is error
    assert log == ([error] if when == "before" else ["method", error])


@on_both_backends
async def test_an_error_hook_may_replace_the_error() -> None:
    """The remaining ones are skipped; the old one is the cause, unless there is one."""
    log: list[str] = []
    old, cause = ValueError("old"), KeyError("cause")
    for other, expected in [(RuntimeError("plain"), old), (RuntimeError("with a cause"), cause)]:
        if expected is cause:
            other.__cause__ = cause
        hooks = RemoteHooks()
        hooks.after_remote_error("User.find", lambda ctx, next, other=other: next(other))
        hooks.after_remote_error("**", noting(log, "error"))
        with pytest.raises(RuntimeError) as caught:
            await call(hooks, raises=old)
        assert caught.value is other
        assert other.__cause__ is expected
    assert log == []


@on_both_backends
async def test_an_error_hook_may_raise_the_error_again() -> None:
    """It is no cause of its own, but the remaining hooks are skipped as for any failure."""
    log: list[str] = []
    error = ValueError("no")
    hooks = RemoteHooks()

    def raising(ctx: Any) -> None:
        raise ctx.error

    hooks.after_remote_error("User.find", raising)
    hooks.after_remote_error("**", noting(log, "error"))
    with pytest.raises(ValueError, match="no") as caught:
        await call(hooks, raises=error)
    assert caught.value is error
    assert error.__cause__ is None
    assert log == []


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no attribute in the ordinary way."""

    text: str


@on_both_backends
async def test_a_frozen_error_is_not_lost() -> None:
    """Neither the method's, nor one in its place."""
    hooks = RemoteHooks()
    hooks.after_remote_error("Order.find", ignored)
    hooks.after_remote_error("User.find", lambda ctx, next: next(Frozen("replaced")))
    error = Frozen("no")
    with pytest.raises(Frozen) as caught:
        await call(hooks, "Order.find", raises=error)
    assert caught.value is error
    with pytest.raises(Frozen, match="replaced") as caught:
        await call(hooks, raises=error)
    assert caught.value.__cause__ is error


# -- what `interceptors check` asks ------------------------------------------------------------------------------------


def test_a_pattern_that_matches_no_method_is_reported() -> None:
    """With the hook and its line: LB3's silent dead hook."""
    hooks = RemoteHooks()
    hooks.before_remote("User.find", ignored)
    hooks.after_remote("User.upsert", ignored)
    hooks.model("Order").after_remote_error("**", ignored)
    hooks.before_remote("**", ignored)
    contexts = [type(context("User.find")), type(context("User.prototype.save"))]
    assert list(hooks.find_problems(contexts)) == [
        f"the after hook ignored ({place(ignored)}) never runs: the pattern 'User.upsert' matches no remote method",
        f"the after error hook ignored ({place(ignored)}) never runs: the pattern 'Order.**' matches no remote method",
    ]


def test_a_signal_is_what_it_says() -> None:
    """They compare by what was said."""
    assert Signal("end", 1) == Signal("end", 1) != Signal("end", 2)
