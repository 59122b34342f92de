"""The context of one execute: `res` and `results`, `end`, how a hook completes, and what it is warned of."""

import asyncio
import contextvars
from typing import Any

import anyio
import pytest

from interceptors.connectors import Connector
from interceptors.errors import DoubleCompletionWarning, ForgottenNextError, HookError, IgnoredAssignmentWarning
from tests.unit.connectors.support import EVENTS, Boom, Ctx, connector, echo, fail, place, warned
from tests.unit.helpers import on_both_backends

FALSY = pytest.mark.parametrize("value", [None, 0, "", False, [], {}], ids=repr)

# -- res and results ---------------------------------------------------------------------------------------------------


async def after(hook: Any) -> Any:
    """What an execute gives with this after observer."""
    one = connector()
    one.after_execute(hook)
    return await one.execute("q", echo)


WAYS: dict[str, Any] = {
    "res": lambda ctx, value: setattr(ctx, "res", value),
    "results[0]": lambda ctx, value: ctx.results.__setitem__(0, value),
    "results[-1]": lambda ctx, value: ctx.results.__setitem__(-1, value),
    "results[:]": lambda ctx, value: ctx.results.__setitem__(slice(None), [ctx.res, value]),
    "results": lambda ctx, value: setattr(ctx, "results", [value]),
    "results of two": lambda ctx, value: setattr(ctx, "results", (ctx.res, value)),
    "end": lambda ctx, value: ctx.end(None, value),
    "end of 3": lambda ctx, value: ctx.end(None, ctx, value),
    "end by name": lambda ctx, value: ctx.end(None, ctx, result=value),
}


@FALSY
@pytest.mark.parametrize("way", WAYS)
@on_both_backends
async def test_falsy_values_are_results(way: str, value: Any) -> None:
    assert await after(lambda ctx: WAYS[way](ctx, value)) is value


@on_both_backends
async def test_results_is_always_a_live_list_of_res() -> None:
    def look(ctx: Ctx) -> None:
        results = ctx.results
        assert (list(results), len(results), results[0], results[-1], repr(results)) == (
            ["<q>"],
            1,
            "<q>",
            "<q>",
            "['<q>']",
        )
        assert results == ["<q>"] == results
        assert results == ctx.results
        assert results != [1]
        ctx.res = "other"
        assert results[:] == ["other"]
        with pytest.raises(IndexError):
            results[1]
        with pytest.raises(TypeError):
            hash(results)

    assert await after(look) == "other"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda ctx: ctx.results.append("more"),
        lambda ctx: ctx.results.insert(0, "more"),
        lambda ctx: ctx.results.pop(),
        lambda ctx: ctx.results.clear(),
        lambda ctx: setattr(ctx, "results", []),
        lambda ctx: setattr(ctx, "results", [1, 2, 3]),
        lambda ctx: setattr(ctx, "results", None),
        lambda ctx: ctx.end(None, 1, 2, 3),
        lambda ctx: ctx.end(None, 1, 2, result=3),
    ],
    ids="append insert pop clear none three no-list end end-by-name".split(),
)
@on_both_backends
async def test_what_results_do_not_take_is_a_type_error_in_the_hooks_own_line(wrong: Any) -> None:
    def hook(ctx: Ctx) -> None:
        with pytest.raises(TypeError):
            wrong(ctx)

    assert await after(hook) == "<q>"


@on_both_backends
async def test_a_connector_says_what_requests_and_results_it_takes() -> None:
    class Numbers(Connector[int, int]):
        def take_request(self, ctx: Any, value: Any) -> int:
            return int(value)

        def take_result(self, ctx: Any, value: Any, source: Any = None) -> int:
            return int(value) + (source or 0)

    async def double(req: int) -> int:
        return 2 * req

    one = Numbers()

    @one.before_execute
    def request(ctx: Any) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            ctx.req = "x"
        ctx.req = "21"

    assert await one.execute(1, double) == 42
    one.after_execute(lambda ctx: setattr(ctx, "results", [100, "5"]))
    assert await one.execute(1, double) == 105

    @one.after_execute
    def result(ctx: Any) -> None:
        for way in WAYS.values():
            with pytest.raises((ValueError, TypeError)):
                way(ctx, "x")
        ctx.end(None, 1000, "7")

    assert await one.execute(1, double) == 1007


@on_both_backends
async def test_res_set_before_the_operation_is_overwritten() -> None:
    one = connector()
    one.before_execute(lambda ctx: setattr(ctx, "res", "too early"))
    assert await one.execute("q", echo) == "<q>"


# -- end ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), (None,), (False,), (0, None), ("", "ctx", None)], ids=repr)
@pytest.mark.parametrize("event", EVENTS)
@on_both_backends
async def test_an_end_without_a_result_gives_none(event: Any, arguments: tuple[Any, ...]) -> None:
    one = connector()
    one.observe(event, lambda ctx: ctx.end(*arguments))
    one.observe(event, lambda ctx: pytest.fail("the rest is skipped"))
    assert await one.execute("q", fail if "error" in event else echo) is None


@on_both_backends
async def test_an_end_before_skips_all_other_observers_and_the_operation() -> None:
    one, log = connector(), []

    @one.intercept
    async def layer(ctx: Ctx, next: Any) -> Any:
        log.append(await next())
        return log[0]

    one.before_execute(lambda ctx: ctx.end(None, "ended"))
    for event in EVENTS:
        one.observe(event, lambda ctx: pytest.fail("it is skipped"))
    assert await one.execute("q", lambda req: pytest.fail("it is skipped")) == "ended"
    assert log == ["ended"]


@pytest.mark.parametrize("more", [(), ("result",), ("ctx", "result")], ids=repr)
@on_both_backends
async def test_an_error_wins_over_a_result(more: tuple[Any, ...]) -> None:
    with pytest.raises(Boom):
        await after(lambda ctx: ctx.end(Boom(), *more))
    with pytest.raises(HookError) as raised:
        await after(lambda ctx: ctx.end("text", *more))
    assert raised.value.value == "text"


@on_both_backends
async def test_an_exception_may_be_falsy() -> None:
    class Falsy(Exception):
        def __bool__(self) -> bool:
            return False

    for hook in (lambda ctx, next_: ctx.end(Falsy()), lambda ctx, next_: next_(Falsy())):
        with pytest.raises(Falsy):
            await after(hook)


@on_both_backends
async def test_an_assignment_after_the_end_still_counts() -> None:
    def hook(ctx: Ctx) -> None:
        ctx.end(None, "ended")
        ctx.res = "assigned"

    assert await after(hook) == "assigned"


# -- completion: section 3 of the contract, row by row -----------------------------------------------------------------


@on_both_backends
async def test_a_def_without_next_completes_when_it_returns_whatever_that_is() -> None:
    assert await after(lambda ctx: "ignored") == "<q>"


@on_both_backends
async def test_a_def_that_returns_an_awaitable_completes_when_that_is_done() -> None:
    log: list[str] = []

    async def work() -> str:
        await anyio.sleep(0.01)
        log.append("done")
        return "ignored"

    assert await after(lambda ctx: work()) == "<q>"
    assert await after(lambda ctx, next_: work()) == "<q>"
    assert log == ["done", "done"]


@on_both_backends
async def test_an_async_def_completes_at_its_end_next_or_not() -> None:
    log: list[str] = []

    async def without(ctx: Ctx, next: Any) -> None:
        await anyio.sleep(0.01)
        log.append("without")

    async def plain(ctx: Ctx, next: Any) -> None:
        next()
        await anyio.sleep(0.01)
        log.append("plain")

    async def awaited(ctx: Ctx, next: Any) -> None:
        assert await next() is None
        await anyio.sleep(0.01)
        log.append("awaited")

    async def ended(ctx: Ctx) -> None:
        ctx.end(None, "ended")
        await anyio.sleep(0.01)
        log.append("ended")

    one = connector()
    for hook in (without, plain, awaited, ended):
        one.after_execute(hook)
    assert await one.execute("q", echo) == "ended"
    assert log == ["without", "plain", "awaited", "ended"]


@on_both_backends
async def test_a_def_with_next_completes_now_or_later() -> None:
    assert await after(lambda ctx, next_: next_()) == "<q>"
    assert await after(lambda ctx, next_: next_(None, "ignored", 3)) == "<q>"
    for signal, result in ((lambda ctx, next_: next_(), "<q>"), (lambda ctx, next_: ctx.end(None, 5), 5)):
        async with anyio.create_task_group() as group:

            def hook(ctx: Ctx, next: Any, signal: Any = signal, group: Any = group) -> None:
                async def later() -> None:
                    await anyio.sleep(0.01)
                    signal(ctx, next)

                group.start_soon(later)

            assert await after(hook) == result


@FALSY
@on_both_backends
async def test_next_with_something_falsy_is_success(value: Any) -> None:
    assert await after(lambda ctx, next_: next_(value)) == "<q>"


@pytest.mark.parametrize("signal", ["next", "end"])
@on_both_backends
async def test_an_exception_that_leaves_the_hook_fails_even_after_its_signal(signal: str) -> None:
    async def hook(ctx: Ctx, next: Any) -> None:
        if signal == "next":
            next()
        else:
            ctx.end(None, "ended")
        raise Boom

    with pytest.raises(Boom):
        await after(hook)


@pytest.mark.parametrize("signal", ["next", "end"])
@on_both_backends
async def test_after_its_own_error_the_first_one_stands(signal: str) -> None:
    first, second = Boom("first"), LookupError("second")

    def hook(ctx: Ctx, next: Any) -> None:
        (next if signal == "next" else ctx.end)(first)
        raise second

    with warned(DoubleCompletionWarning) as caught, pytest.raises(Boom) as raised:
        await after(hook)
    assert raised.value is first
    assert [warning.message.__cause__ for warning in caught] == [second]


DOUBLE: dict[str, Any] = {
    "next, next": lambda ctx, next_: (next_(), next_()),
    "next, next(error)": lambda ctx, next_: (next_(), next_(Boom())),
    "next, end": lambda ctx, next_: (next_(), ctx.end(None, "late")),
    "next, end(error)": lambda ctx, next_: (next_(), ctx.end(Boom())),
    "end, next": lambda ctx, next_: (ctx.end(None, "<q>"), next_()),
    "end, end": lambda ctx, next_: (ctx.end(None, "<q>"), ctx.end(None, "late")),
    "end, end(error)": lambda ctx, next_: (ctx.end(None, "<q>"), ctx.end(Boom())),
}


@pytest.mark.parametrize("way", DOUBLE)
@on_both_backends
async def test_a_second_signal_is_ignored_with_a_warning(way: str) -> None:
    hook = DOUBLE[way]
    with warned(DoubleCompletionWarning) as caught:
        assert await after(hook) == "<q>"
    file, line = place(hook)
    assert [(warning.filename, warning.lineno) for warning in caught] == [(file, line)]
    assert f"({file}:{line}), after execute of Connector, had completed already" in str(caught[0].message)
    assert isinstance(caught[0].message.__cause__, Boom if "error" in way else type(None))


@on_both_backends
async def test_a_late_end_counts_for_the_hook_that_called_it_not_for_the_one_whose_turn_it_is() -> None:
    one = connector()
    late, turn_of_other = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as group:

        @one.before_execute
        def leaves_a_task(ctx: Ctx, next: Any) -> None:
            async def end() -> None:
                await turn_of_other.wait()
                ctx.end(None, "late")
                late.set()

            group.start_soon(end)
            next()

        @one.before_execute
        async def other(ctx: Ctx) -> None:
            turn_of_other.set()
            await late.wait()

        with warned(DoubleCompletionWarning) as caught:
            assert await one.execute("q", echo) == "<q>"
    assert len(caught) == 1
    assert "leaves_a_task (" in str(caught[0].message)


async def test_a_callback_that_tells_nothing_counts_for_the_one_whose_turn_it_is() -> None:
    def hook(ctx: Ctx, next: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, ctx.end, None, "ended", context=contextvars.Context())

    assert await after(hook) == "ended"


@on_both_backends
async def test_an_end_of_the_outer_execute_inside_an_inner_one() -> None:
    inner, outer = connector(name="inner"), connector(name="outer")

    @outer.after_execute
    async def hook(ctx: Ctx) -> None:
        inner.clear_observers()
        inner.before_execute(lambda _: ctx.end(None, "ended from inside"))
        assert await inner.execute("inner", echo) == "<inner>"

    outer.after_execute(lambda ctx: pytest.fail("the rest is skipped"))
    assert await outer.execute("q", echo) == "ended from inside"


@on_both_backends
async def test_an_end_in_an_interceptor_is_ignored_with_a_warning() -> None:
    one, boom = connector(name="ldap"), Boom()

    @one.intercept
    async def layer(ctx: Ctx, next: Any) -> Any:
        ctx.end(None, "too early")
        res = await next()
        ctx.end(boom)
        return res

    one.after_execute(lambda ctx: None)
    with warned(DoubleCompletionWarning) as caught:
        assert await one.execute("q", echo) == "<q>"
    first = layer.__code__.co_firstlineno
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, first + 2), (__file__, first + 4)]
    assert "layer (" in str(caught[0].message)
    assert "ctx.end of ldap outside an observer's turn" in str(caught[0].message)
    assert [warning.message.__cause__ for warning in caught] == [None, boom]


@on_both_backends
async def test_an_end_after_the_execute_is_ignored_with_a_warning() -> None:
    contexts: list[Ctx] = []
    assert await after(contexts.append) == "<q>"
    with warned(DoubleCompletionWarning) as caught:
        contexts[0].end(None, "late")
    assert "test_an_end_after_the_execute" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert contexts[0].res == "<q>"


@on_both_backends
async def test_signals_after_the_time_limit_are_ignored_with_a_warning() -> None:
    one, late = connector(next_timeout=0.01), []
    one.before_execute(lambda ctx, next_: late.append(next_))
    with pytest.raises(ForgottenNextError):
        await one.execute("q", echo)
    with warned(DoubleCompletionWarning) as caught:
        late[0]()
    assert len(caught) == 1


# -- ctx.error ---------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_assigning_ctx_error_changes_nothing_and_warns() -> None:
    one = connector()

    @one.after_execute_error
    def assigns(ctx: Ctx) -> None:
        ctx.error = Boom()
        assert isinstance(ctx.error, LookupError)

    with warned(IgnoredAssignmentWarning) as caught, pytest.raises(LookupError):
        await one.execute("q", fail)
    assert [(warning.filename, warning.lineno) for warning in caught] == [place(assigns)]
    assert "assigns (" in str(caught[0].message)
    assert "`raise`, `next(error)` or `ctx.end(error)`" in str(caught[0].message)


@on_both_backends
async def test_an_interceptor_that_assigns_ctx_error_is_named_too() -> None:
    one = connector()

    @one.intercept
    async def layer(ctx: Ctx, next: Any) -> Any:
        ctx.error = None
        return await next()

    with warned(IgnoredAssignmentWarning) as caught:
        assert await one.execute("q", echo) == "<q>"
    assert "layer (" in str(caught[0].message)
    assert (caught[0].filename, caught[0].lineno) == (__file__, layer.__code__.co_firstlineno + 2)


@on_both_backends
async def test_a_hook_without_source_that_assigns_ctx_error() -> None:
    namespace: dict[str, Any] = {}
    exec(compile("class Hook:\n    def __call__(self, ctx):\n        ctx.error = None\n", "<made>", "exec"), namespace)
    with warned(IgnoredAssignmentWarning) as caught:
        assert await after(namespace["Hook"]()) == "<q>"
    assert caught[0].filename == "<made>"


@on_both_backends
async def test_the_error_stays_readable_after_a_recovery() -> None:
    one, contexts = connector(), []
    one.before_execute(contexts.append)
    one.after_execute_error(lambda ctx: ctx.end(None, "recovered"))
    assert await one.execute("q", fail) == "recovered"
    assert isinstance(contexts[0].error, LookupError)
    assert contexts[0].res == "recovered"
