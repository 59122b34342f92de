"""The neutral part of connectors: registration, the order of one execute, its errors, and what concurrent ones share."""

import functools
import math
import operator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from dependency_injector import providers

from interceptors import Chain, compose
from interceptors.completion import replaced
from interceptors.connectors import Connector, ConnectorContext, Event
from interceptors.errors import (
    ForgottenNextError,
    HookError,
    InvalidHookError,
    InvalidInterceptorError,
    UnknownHookError,
)
from tests.unit.connectors.support import EVENTS, Boom, Ctx, connector, echo, fail
from tests.unit.helpers import on_both_backends, passing, recording

# -- registration ------------------------------------------------------------------------------------------------------


def test_a_name_is_the_classs_or_ones_own() -> None:
    class LDAP(Connector[Any, Any]):
        pass

    assert (Connector().name, LDAP().name, LDAP(name="ldap").name, Connector(name="").name) == (
        "Connector",
        "LDAP",
        "ldap",
        "",
    )


@pytest.mark.parametrize("event", EVENTS)
def test_registering_gives_the_hook_back(event: Event) -> None:
    one = connector()

    def hook(ctx: Ctx) -> None: ...

    assert one.observe(event, hook) is hook
    assert one.observe(event)(hook) is hook
    assert getattr(one, event.replace(" ", "_"))(hook) is hook
    assert [one.remove_observer(event, hook) for _ in range(4)] == [True, True, True, False]
    assert one.intercept(passing) is passing


@pytest.mark.parametrize(
    ("event", "nearest"),
    [("before", "before execute"), ("after_execute", "after execute"), ("beforeExecute", "before execute")],
)
def test_an_unknown_event_is_refused_with_the_nearest(event: Any, nearest: str) -> None:
    one = connector()
    calls = [
        lambda: one.observe(event),
        lambda: one.observe(event, echo),
        lambda: one.remove_observer(event, echo),
        lambda: one.clear_observers(event),
    ]
    for call in calls:
        with pytest.raises(UnknownHookError, match=f"Did you mean .*{nearest}") as raised:
            call()
        assert isinstance(raised.value, LookupError)
        assert nearest in raised.value.nearest


def test_an_event_like_no_other_is_refused_with_all_of_them() -> None:
    with pytest.raises(UnknownHookError, match=r"'xyz'\. There are: 'before execute', 'after execute', ") as raised:
        connector().observe("xyz", echo)  # type: ignore[arg-type]
    assert not raised.value.nearest


def generator(ctx: Ctx) -> Any:
    yield


async def asynchronous_generator(ctx: Ctx) -> Any:
    yield


REFUSED: dict[str, Any] = {
    "none": None,
    "text": "audit",
    "class": Boom,
    "generator": generator,
    "asynchronous generator": asynchronous_generator,
    "partial of a generator": functools.partial(generator),
    "no parameter": lambda: None,
    "three parameters": lambda a, b, c: None,
    "*args": lambda *args: None,
    "ctx and *args": lambda ctx, *args: None,
    "required keyword": lambda ctx, *, a: None,
    "without a signature": {}.update,
}


@pytest.mark.parametrize("hook", REFUSED)
@pytest.mark.parametrize("event", EVENTS)
def test_what_is_no_hook_is_refused(event: Event, hook: str) -> None:
    one = connector()
    with pytest.raises(InvalidHookError, match=r"write it with \(ctx\) or \(ctx, next\)") as raised:
        one.observe(event, REFUSED[hook])
    assert isinstance(raised.value, TypeError)
    assert raised.value.hook is REFUSED[hook]
    with pytest.raises(InvalidHookError):
        one.observe(event)(REFUSED[hook])
    assert not one.is_hooked


class WithCall:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def __call__(self, ctx: Ctx, next: Any) -> None:
        self.seen.append(ctx.req)

    def method(self, ctx: Ctx) -> None:
        self.seen.append(ctx.req)


@on_both_backends
async def test_methods_callables_partials_defaults_and_keywords_are_hooks() -> None:
    one, thing = connector(), WithCall()
    seen = thing.seen

    def with_more(ctx: Ctx, extra: Any = None, *, verbose: bool = False, **options: Any) -> None:
        seen.append((extra, verbose, options))

    for hook in (thing, thing.method, functools.partial(operator.setitem, {}, "ctx"), with_more, seen.append):
        one.before_execute(hook)
    await one.execute("q", echo)
    assert seen[:3] == ["q", "q", (None, False, {})]
    assert isinstance(seen[3], ConnectorContext)


@pytest.mark.parametrize("interceptor", ["key", lambda ctx, next_: None, 5, {}], ids="key function number dict".split())
def test_what_is_no_interceptor_is_refused(interceptor: Any) -> None:
    with pytest.raises(InvalidInterceptorError):
        connector().intercept(interceptor)


def test_a_provider_is_refused() -> None:
    with pytest.raises(InvalidInterceptorError, match="give the interceptor itself"):
        connector().intercept(providers.Object(passing))


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_timeout_is_more_than_nothing(seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Connector(next_timeout=seconds)


@on_both_backends
async def test_remove_observer_removes_the_first_equal_one_of_its_own() -> None:
    base = connector()
    one = connector(parent=base)
    log: list[Any] = []
    twice = functools.partial(log.append)
    base.before_execute(twice)
    for hook in (twice, log.append, twice):
        one.before_execute(hook)
    assert one.remove_observer("before execute", log.append)  # a bound method is equal, not identical
    assert not one.remove_observer("before execute", log.append)
    assert not one.remove_observer("after execute", twice)
    assert one.remove_observer("before execute", twice)
    await one.execute("q", echo)
    assert len(log) == 2
    assert one.remove_observer("before execute", twice)
    assert not one.remove_observer("before execute", twice)
    await one.execute("q", echo)
    assert len(log) == 3


@on_both_backends
async def test_clear_observers_clears_own_ones_of_one_event_or_all() -> None:
    base, log = connector(), []
    one = connector(parent=base)

    async def run() -> list[str]:
        log.clear()
        await one.execute("q", echo)
        with pytest.raises(LookupError):
            await one.execute("q", fail)
        return sorted({*log})

    one.intercept(passing)
    for event in EVENTS:
        base.observe(event, lambda ctx, event=event: log.append(f"base {event}"))
        one.observe(event, lambda ctx, event=event: log.append(f"own {event}"))
    assert len(await run()) == 6
    one.clear_observers("after execute")
    assert await run() == sorted([f"base {e}" for e in EVENTS] + ["own before execute", "own after execute error"])
    one.clear_observers()
    assert await run() == sorted(f"base {e}" for e in EVENTS)
    base.clear_observers()
    assert await run() == []
    assert one.is_hooked  # by its interceptor


# -- one execute -------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_order_of_one_execute() -> None:
    log: list[str] = []
    grand = connector()
    base = connector(parent=grand)
    one = connector(parent=base, name="one")
    for each, name in ((one, "own"), (base, "base"), (grand, "grand")):
        each.after_execute(lambda ctx, name=name: log.append(f"{name} after {ctx.connector.name}"))
        each.before_execute(lambda ctx, name=name: log.append(f"{name} before"))
        each.before_execute(lambda ctx, name=name: log.append(f"{name} before too"))
        each.intercept(recording(name, log))

    async def operation(req: Any) -> str:
        log.append("operation")
        return req

    assert await one.execute("q", operation) == "q"
    names = ["grand", "base", "own"]
    assert log == [
        *(f">{name}" for name in names),
        *(f"{name} before{too}" for name in names for too in ("", " too")),
        "operation",
        *(f"{name} after one" for name in names),
        *(f"<{name}" for name in reversed(names)),
    ]


@on_both_backends
async def test_error_observers_come_in_the_same_order() -> None:
    log: list[str] = []
    base = connector()
    one = connector(parent=base)
    for each, name in ((one, "own"), (base, "base")):
        for number in (1, 2):
            each.after_execute_error(lambda ctx, name=name, number=number: log.append(f"{name} {number}"))
        each.after_execute(lambda ctx: pytest.fail("it has failed"))
    with pytest.raises(LookupError):
        await one.execute("q", fail)
    assert log == ["base 1", "base 2", "own 1", "own 2"]


@on_both_backends
async def test_a_bare_connector_is_a_shared_list_also_for_what_comes_later() -> None:
    base, log = connector(), []
    ones = [connector(parent=base, name=name) for name in "ab"]
    for one in ones:
        await one.execute("q", echo)
    base.before_execute(lambda ctx: log.append(ctx.connector.name))
    for one in ones:
        await one.execute("q", echo)
    base.clear_observers()
    assert not ones[0].is_hooked
    assert log == ["a", "b"]


@on_both_backends
async def test_without_hooks_there_is_only_the_operation(monkeypatch: Any) -> None:
    monkeypatch.setattr("interceptors.connectors.connector.ConnectorContext", None)
    assert await connector(parent=connector()).execute("q", echo) == "<q>"
    with pytest.raises(LookupError):
        await connector().execute("q", fail)


@on_both_backends
async def test_the_hooks_are_those_of_the_start() -> None:
    base, log = connector(), []
    one = connector(parent=base)

    def late(ctx: Ctx) -> None:
        log.append("late")

    def removed(ctx: Ctx) -> None:
        log.append("removed")

    @one.before_execute
    def change(ctx: Ctx) -> None:
        one.before_execute(late)
        base.after_execute(late)
        one.remove_observer("before execute", change)
        one.remove_observer("before execute", removed)
        one.clear_observers("after execute")
        one.intercept(recording("late", log))

    one.before_execute(removed)
    one.after_execute(removed)
    await one.execute("q", echo)
    assert log == ["removed", "removed"]
    await one.execute("q", echo)
    assert log[2:] == [">late", "late", "late", "<late"]


@on_both_backends
async def test_what_the_context_holds() -> None:
    one, seen = connector(), []
    options = {"a": 1}

    @one.before_execute
    def before(ctx: Ctx) -> None:
        seen.append((ctx.connector, ctx.req, ctx.res, ctx.error, ctx.options, ctx.state))
        ctx.state["n"] = 1

    one.after_execute(lambda ctx: seen.append((ctx.res, ctx.error, ctx.state)))
    await one.execute("q", echo, options=options)
    assert seen == [(one, "q", None, None, options, {"n": 1}), ("<q>", None, {"n": 1})]
    assert seen[0][4] is options
    await one.execute("q", echo)
    assert seen[2][4:] == ({}, {"n": 1})


@on_both_backends
async def test_the_operation_gets_the_request_as_it_is_then() -> None:
    one = connector()
    one.before_execute(lambda ctx: ctx.req.append(1))
    one.before_execute(lambda ctx: setattr(ctx, "req", [*ctx.req, 2]))
    assert await one.execute([0], echo) == "<[0, 1, 2]>"


@on_both_backends
async def test_an_async_operation_may_be_any_awaitable() -> None:
    one = connector()
    one.before_execute(lambda ctx: None)

    class Answer:
        def __await__(self) -> Any:
            return (yield from echo("awaited").__await__())

    assert await one.execute("q", lambda req: Answer()) == "<awaited>"


# -- interceptors ------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_what_the_outermost_interceptor_returns_is_the_result() -> None:
    one = connector()

    @one.intercept
    async def outer(ctx: Ctx, next: Any) -> Any:
        res = await next()
        assert (res, ctx.res) == ("inner <q>", "inner <q>")
        return f"outer {res}"

    @one.intercept
    async def inner(ctx: Ctx, next: Any) -> Any:
        return f"inner {await next()}"

    assert await one.execute("q", echo) == "outer inner <q>"


@pytest.mark.parametrize("value", [None, 0, "", False, []], ids=repr)
@on_both_backends
async def test_falsy_returns_are_results(value: Any) -> None:
    one = connector()

    @one.intercept
    async def falsy(ctx: Ctx, next: Any) -> Any:
        await next()
        return value

    assert await one.execute("q", echo) is value


@on_both_backends
async def test_an_interceptor_may_not_call_next() -> None:
    one = connector()
    one.before_execute(lambda ctx: pytest.fail("nothing inside runs"))

    @one.intercept
    async def cached(ctx: Ctx, next: Any) -> Any:
        return "cached"

    assert await one.execute("q", fail) == "cached"


@on_both_backends
async def test_objects_classes_and_chains_are_interceptors() -> None:
    log: list[str] = []

    class Timed:
        async def intercept(self, ctx: Any, next: Any) -> Any:
            log.append("timed")
            return await next()

    one = connector()
    for interceptor in (Timed(), Timed, Chain([recording("a", log), recording("b", log)]), compose(Timed())):
        one.intercept(interceptor)
    assert await one.execute("q", echo) == "<q>"
    assert log == ["timed", "timed", ">a", ">b", "timed", "<b", "<a"]


@on_both_backends
async def test_next_again_runs_observers_and_operation_again() -> None:
    one, log = connector(), []

    @one.intercept
    async def retry(ctx: Ctx, next: Any) -> Any:
        for attempt in range(3):
            try:
                return await next()
            except LookupError:
                assert isinstance(ctx.error, LookupError)
                ctx.req = attempt
        pytest.fail("the third one succeeds")

    one.before_execute(lambda ctx: log.append(("before", ctx.req, ctx.res, ctx.error)))
    one.after_execute(lambda ctx: log.append(("after", ctx.res, ctx.error)))
    one.after_execute_error(lambda ctx: log.append(("error", str(ctx.error))))

    async def operation(req: Any) -> Any:
        return await (echo if req == 1 else fail)(req)

    assert await one.execute("q", operation) == "<1>"
    assert log == [
        ("before", "q", None, None),
        ("error", "q"),
        ("before", 0, None, None),
        ("error", "0"),
        ("before", 1, None, None),
        ("after", "<1>", None),
    ]


@on_both_backends
async def test_an_interceptor_that_recovers() -> None:
    one = connector()

    @one.intercept
    async def fallback(ctx: Ctx, next: Any) -> Any:
        try:
            return await next()
        except LookupError:
            return "fallback"

    assert await one.execute("q", fail) == "fallback"


# -- errors ------------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_failing_before_observer_is_the_end() -> None:
    one, boom = connector(), Boom()

    @one.before_execute
    def raising(ctx: Ctx) -> None:
        raise boom

    for event in EVENTS:
        one.observe(event, lambda ctx: pytest.fail("nothing else runs"))
    with pytest.raises(Boom) as raised:
        await one.execute("q", lambda req: pytest.fail("nothing else runs"))
    assert raised.value is boom
    assert boom.__cause__ is None


@on_both_backends
async def test_a_failing_after_observer_is_the_end() -> None:
    one, boom = connector(), Boom()

    @one.after_execute
    def giving(ctx: Ctx, next: Any) -> None:
        next(boom)

    one.after_execute(lambda ctx: pytest.fail("later ones don't run"))
    one.after_execute_error(lambda ctx: pytest.fail("it is not the operation's"))
    with pytest.raises(Boom) as raised:
        await one.execute("q", echo)
    assert raised.value is boom


@on_both_backends
async def test_error_observers_get_the_very_error_and_keep_it() -> None:
    one, seen = connector(), []
    for _ in range(2):
        one.after_execute_error(lambda ctx: seen.append((ctx.error, ctx.res)))
    with pytest.raises(LookupError) as raised:
        await one.execute("q", fail)
    assert [each[0] is raised.value for each in seen] == [True, True]
    assert [each[1] for each in seen] == [None, None]
    assert raised.value.__cause__ is None


def raise_it(ctx: Ctx, next: Any, error: Any) -> None:
    raise error


def give_it(ctx: Ctx, next: Any, error: Any) -> None:
    next(error, "ignored")


def end_with_it(ctx: Ctx, next: Any, error: Any) -> None:
    ctx.end(error, "a result that the error wins over")


WAYS = pytest.mark.parametrize("way", [raise_it, give_it, end_with_it])


@WAYS
@on_both_backends
async def test_an_error_observer_replaces_the_error(way: Any) -> None:
    one, boom = connector(), Boom()
    first: list[Any] = []

    @one.after_execute_error
    def replace(ctx: Ctx, next: Any) -> None:
        first.append(ctx.error)
        way(ctx, next, boom)

    one.after_execute_error(lambda ctx: pytest.fail("the rest is skipped"))
    with pytest.raises(Boom) as raised:
        await one.execute("q", fail)
    assert raised.value is boom
    assert boom.__cause__ is first[0]


@WAYS
@on_both_backends
async def test_the_same_error_again_is_no_replacement(way: Any) -> None:
    one = connector()

    @one.after_execute_error
    def same(ctx: Ctx, next: Any) -> None:
        way(ctx, next, ctx.error)

    with pytest.raises(LookupError) as raised:
        await one.execute("q", fail)
    assert raised.value.__cause__ is None


@on_both_backends
async def test_a_cause_of_its_own_stays() -> None:
    one, cause = connector(), ValueError()

    @one.after_execute_error
    def replace(ctx: Ctx) -> None:
        raise Boom from cause

    with pytest.raises(Boom) as raised:
        await one.execute("q", fail)
    assert raised.value.__cause__ is cause


@on_both_backends
async def test_the_cause_in_the_place_of_its_error_makes_no_circle() -> None:
    one = connector()

    async def wrapped(req: Any) -> Any:
        try:
            raise Boom
        except Boom as error:
            raise LookupError from error

    @one.after_execute_error
    def unwrap(ctx: Ctx) -> None:
        assert ctx.error is not None
        assert ctx.error.__cause__ is not None
        raise ctx.error.__cause__

    with pytest.raises(Boom) as raised:
        await one.execute("q", wrapped)
    assert raised.value.__cause__ is None


def test_causes_that_are_a_circle_already() -> None:
    error, other = LookupError(), ValueError()
    error.__cause__, other.__cause__ = other, error
    boom = Boom()
    assert replaced(error, boom) is boom
    assert boom.__cause__ is error


@pytest.mark.parametrize("value", ["text", 5, {"code": 1}], ids=repr)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("way", [give_it, end_with_it])
@on_both_backends
async def test_what_is_no_exception_becomes_a_hook_error(event: Event, way: Any, value: Any) -> None:
    one = connector()

    @one.observe(event)
    def hook(ctx: Ctx, next: Any) -> None:
        way(ctx, next, value)

    with pytest.raises(HookError) as raised:
        await one.execute("q", fail if "error" in event else echo)
    assert (raised.value.value, isinstance(raised.value, RuntimeError)) == (value, True)
    assert isinstance(raised.value.__cause__, LookupError if "error" in event else type(None))


@on_both_backends
async def test_ctx_end_recovers() -> None:
    one = connector()
    one.after_execute(lambda ctx: pytest.fail("the operation has failed"))
    one.after_execute_error(lambda ctx: ctx.end(None, "recovered"))
    one.after_execute_error(lambda ctx: pytest.fail("the rest is skipped"))
    assert await one.execute("q", fail) == "recovered"


@on_both_backends
async def test_a_forgotten_next_names_hook_event_and_connector() -> None:
    one = connector(name="ldap", next_timeout=0.02)

    @one.before_execute
    def forgets(ctx: Ctx, next: Any) -> None: ...

    with pytest.raises(
        ForgottenNextError, match=r"forgets \(.*test_connector\.py:\d+\), before execute of ldap"
    ) as raised:
        await one.execute("q", echo)
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.hook is forgets


@on_both_backends
async def test_next_may_come_late_if_the_time_is_infinite() -> None:
    one, calls = connector(next_timeout=math.inf), []
    one.before_execute(lambda ctx, next_: calls.append(next_))
    async with anyio.create_task_group() as group:

        async def later() -> None:
            while not calls:
                await anyio.sleep(0.001)
            calls[0]()

        group.start_soon(later)
        assert await one.execute("q", echo) == "<q>"


# -- cancellation, and what is no Exception ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", [*EVENTS, "operation", "interceptor"])
@on_both_backends
async def test_cancellation_runs_no_further_hook(where: str) -> None:
    one, log = connector(), []

    async def wait(*_: Any) -> Any:
        log.append("waits")
        await anyio.sleep(30)

    async def operation(req: Any) -> Any:
        if where == "operation":
            await wait()
        return await (fail if "error" in where else echo)(req)

    if where in EVENTS:
        one.observe(where, lambda ctx: wait())  # type: ignore[arg-type]
        one.observe(where, lambda ctx: log.append("further"))  # type: ignore[arg-type]
    if where == "interceptor":
        one.intercept(wait)
    if where == "before execute":
        one.after_execute(lambda ctx: log.append("further"))
    if where in ("operation", "after execute", "interceptor"):
        one.after_execute_error(lambda ctx: log.append("further"))
    with anyio.move_on_after(0.02) as scope:
        await one.execute("q", operation)
    assert scope.cancelled_caught
    assert log == ["waits"]
    one.clear_observers()
    assert one.is_hooked == (where == "interceptor")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
@pytest.mark.parametrize("where", ["operation", "before execute"])
async def test_what_is_no_exception_passes(where: str, stop: type[BaseException]) -> None:
    one = connector()

    async def stopping(req: Any) -> Any:
        raise stop

    if where == "before execute":
        one.before_execute(stopping)
    one.after_execute(lambda ctx: pytest.fail("no further hook"))
    one.after_execute_error(lambda ctx: pytest.fail("no further hook"))
    try:
        await one.execute("q", stopping)
    except stop:
        pass
    else:
        pytest.fail("it passes")
    assert one.is_hooked


# -- the guard, and concurrency ----------------------------------------------------------------------------------------


@on_both_backends
async def test_calls_inside_an_execute_are_not_hooked() -> None:
    one, log = connector(), []

    async def nested(_: Any) -> Any:
        assert not one.is_hooked
        assert await one.execute("inner", echo) == "<inner>"
        return "outer"

    one.intercept(recording("layer", log))
    one.before_execute(lambda ctx: log.append(ctx.req))
    one.before_execute(nested)
    one.after_execute(nested)
    assert one.is_hooked
    assert await one.execute("q", nested) == "outer"
    assert one.is_hooked
    assert log == [">layer", "q", "<layer"]
    with pytest.raises(LookupError):
        await one.execute("q", fail)
    assert one.is_hooked


@on_both_backends
async def test_tasks_that_an_execute_starts_are_not_hooked_and_others_are() -> None:
    one, log = connector(), []
    one.before_execute(lambda ctx: log.append(ctx.req))
    running = anyio.Event()

    async def operation(req: Any) -> Any:
        running.set()
        await anyio.sleep(0.02)
        async with anyio.create_task_group() as group:
            group.start_soon(one.execute, "child", echo)
        return req

    async def other() -> None:
        await running.wait()
        await one.execute("other task", echo)

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await one.execute("q", operation)
    assert log == ["q", "other task"]


@on_both_backends
async def test_another_connector_inside_is_hooked_also_with_the_same_parent() -> None:
    base, log = connector(), []
    one, other = connector(parent=base, name="one"), connector(parent=base, name="other")
    base.before_execute(lambda ctx: log.append(ctx.connector.name))

    async def operation(req: Any) -> Any:
        async def back(req: Any) -> Any:
            return await one.execute("not hooked", echo)

        return await other.execute(req, back)

    assert await one.execute("q", operation) == "<not hooked>"
    assert log == ["one", "other"]


@on_both_backends
async def test_concurrent_executes_share_nothing_but_the_connector() -> None:
    one, results = connector(), {}
    contexts: set[int] = set()

    @one.before_execute
    async def before(ctx: Ctx) -> None:
        contexts.add(id(ctx))
        ctx.state["n"] = ctx.req
        await anyio.sleep(0.001 * (ctx.req % 5))
        ctx.req = -ctx.state["n"]

    @one.before_execute
    def maybe(ctx: Ctx, next: Any) -> None:
        if ctx.state["n"] % 10 == 0:
            ctx.end(None, "ended")
        else:
            next()

    @one.after_execute
    async def after(ctx: Ctx) -> None:
        await anyio.lowlevel.checkpoint()
        ctx.res = f"{ctx.state['n']}: {ctx.res}"

    async def run(number: int) -> None:
        results[number] = await one.execute(number, echo)

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(run, number)
    assert results == {n: f"{n}: <{-n}>" if n % 10 else "ended" for n in range(100)}
    assert len(contexts) > 1
