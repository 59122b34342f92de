"""What holds for every connector: the same hooks over each backend of `backends.BACKENDS`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from interceptors.connectors import Connector, ConnectorContext
from tests.integration.connectors.backends import BACKENDS, Backend

Ctx = ConnectorContext[Any, Any]


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.__name__)
async def backend(request: Any) -> AsyncIterator[Backend]:
    async with request.param() as backend:
        yield backend


class Boom(Exception):
    pass


# -- order -------------------------------------------------------------------------------------------------------------


async def test_order(backend: Backend) -> None:
    log: list[str] = []
    connector = backend.connector

    def interceptor(name: str) -> Any:
        async def run(ctx: Ctx, next: Any) -> Any:
            log.append(f"{name} in")
            res = await next()
            assert res is ctx.res
            log.append(f"{name} out")
            return res

        return run

    for number in (1, 2):
        connector.before_execute(lambda ctx, number=number: log.append(f"before {number}"))
        connector.after_execute(lambda ctx, number=number: log.append(f"after {number}"))
        connector.intercept(interceptor(f"layer {number}"))
    connector.after_execute_error(lambda ctx: log.append("error"))
    assert await backend.ask("q") == "q"
    assert log == [
        *("layer 1 in", "layer 2 in", "before 1", "before 2"),
        *("after 1", "after 2", "layer 2 out", "layer 1 out"),
    ]
    assert backend.asked == ["q"]


async def test_each_form_of_a_hook_is_awaited_in_turn(backend: Backend) -> None:
    log: list[str] = []

    def with_next(ctx: Ctx, next: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, lambda: (log.append("with next"), next()))

    async def asynchronous(ctx: Ctx, next: Any) -> None:
        await next()
        await asyncio.sleep(0.01)
        log.append("asynchronous")

    def returning(ctx: Ctx) -> Any:
        return asyncio.sleep(0.01, log.append("returning"))

    for hook in (with_next, asynchronous, returning, lambda ctx: log.append("plain")):
        backend.connector.before_execute(hook)
    assert await backend.ask("q") == "q"
    assert log == ["with next", "asynchronous", "returning", "plain"]


async def test_a_hook_that_is_removed_runs_no_more(backend: Backend) -> None:
    log: list[str] = []

    def once(ctx: Ctx) -> None:
        log.append("once")
        assert backend.connector.remove_observer("before execute", once)

    backend.connector.before_execute(once)
    backend.connector.before_execute(lambda ctx: log.append("always"))
    await backend.ask("a")
    await backend.ask("b")
    assert log == ["once", "always", "always"]


# -- what the hooks see, and change ------------------------------------------------------------------------------------


async def test_what_the_hooks_see(backend: Backend) -> None:
    seen: list[Any] = []
    connector = backend.connector
    connector.before_execute(
        lambda ctx: seen.extend([backend.question(ctx.req), ctx.res, ctx.error, list(ctx.results)])
    )
    connector.after_execute(lambda ctx: seen.extend([backend.answer(ctx.res), ctx.results == [ctx.res], ctx.error]))
    connector.after_execute(lambda ctx: seen.extend([ctx.connector is connector, ctx.state]))
    await backend.ask("q")
    assert seen == ["q", None, None, [None], "q", True, None, True, {}]


async def test_a_question_edited_in_place(backend: Backend) -> None:
    backend.connector.before_execute(lambda ctx: backend.edit_question(ctx.req, "edited"))
    assert await backend.ask("q") == "edited"
    assert backend.asked == ["edited"]


async def test_a_question_replaced(backend: Backend) -> None:
    connector = backend.connector
    connector.before_execute(lambda ctx: setattr(ctx, "req", backend.request(ctx.req, "replaced")))
    connector.before_execute(lambda ctx: backend.edit_question(ctx.req, backend.question(ctx.req) + " and edited"))
    assert await backend.ask("q") == "replaced and edited"
    assert backend.asked == ["replaced and edited"]


async def test_an_answer_edited_in_place(backend: Backend) -> None:
    backend.connector.after_execute(lambda ctx: backend.edit_answer(ctx.res, backend.answer(ctx.res) + " edited"))
    assert await backend.ask("q") == "q edited"


REPLACEMENTS: dict[str, Any] = {
    "res": lambda ctx, value: setattr(ctx, "res", value),
    "results[0]": lambda ctx, value: ctx.results.__setitem__(0, value),
    "results": lambda ctx, value: setattr(ctx, "results", [value]),
    "results of two": lambda ctx, value: setattr(ctx, "results", [ctx.res, value]),
    "end of 2": lambda ctx, value: ctx.end(None, value),
    "end of 3": lambda ctx, value: ctx.end(None, ctx, value),
    "end of 3, res": lambda ctx, value: ctx.end(None, ctx.res, value),
    "end, named": lambda ctx, value: ctx.end(result=value),
}


@pytest.mark.parametrize("way", REPLACEMENTS)
async def test_an_answer_replaced(backend: Backend, way: str) -> None:
    backend.connector.after_execute(lambda ctx: REPLACEMENTS[way](ctx, backend.result("replaced")))
    assert await backend.ask("q") == "replaced"
    assert backend.asked == ["q"]


async def test_the_last_replacement_wins(backend: Backend) -> None:
    connector = backend.connector
    connector.after_execute(lambda ctx: setattr(ctx, "res", backend.result("first")))
    connector.after_execute(lambda ctx: backend.edit_answer(ctx.res, backend.answer(ctx.res) + ", edited"))
    assert await backend.ask("q") == "first, edited"
    connector.after_execute(lambda ctx: setattr(ctx, "res", backend.result("last")))
    assert await backend.ask("q") == "last"


async def test_what_an_interceptor_returns(backend: Backend) -> None:
    async def outer(ctx: Ctx, next: Any) -> Any:
        res = await next()
        assert backend.answer(res) == "intercepted"
        return res

    async def inner(ctx: Ctx, next: Any) -> Any:
        await next()
        return backend.result("intercepted")

    backend.connector.intercept(outer)
    backend.connector.intercept(inner)
    assert await backend.ask("q") == "intercepted"


async def test_an_interceptor_that_asks_again(backend: Backend) -> None:
    @backend.connector.intercept
    async def again(ctx: Ctx, next: Any) -> Any:
        await next()
        backend.edit_question(ctx.req, "again")
        return await next()

    log: list[Any] = []
    backend.connector.before_execute(lambda ctx: log.append(ctx.res))
    assert await backend.ask("q") == "again"
    assert backend.asked == ["q", "again"]
    assert log == [None, None]


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [way for way in REPLACEMENTS if way.startswith("end")])
async def test_an_end_before_skips_everything(backend: Backend, way: str) -> None:
    connector = backend.connector
    connector.before_execute(lambda ctx: REPLACEMENTS[way](ctx, backend.result("cached")))
    for event in ("before execute", "after execute", "after execute error"):
        connector.observe(event, lambda ctx: pytest.fail("it is skipped"))
    assert await backend.ask("q") == "cached"
    assert backend.asked == []


async def test_an_end_after_skips_the_rest(backend: Backend) -> None:
    backend.connector.after_execute(lambda ctx: ctx.end(None, backend.result("ended")))
    backend.connector.after_execute(lambda ctx: pytest.fail("it is skipped"))
    assert await backend.ask("q") == "ended"


@pytest.mark.parametrize("event", ["before execute", "after execute"])
@pytest.mark.parametrize("arguments", [0, 1, 2])
async def test_an_end_with_an_error(backend: Backend, event: Any, arguments: int) -> None:
    boom = Boom()

    def end(ctx: Ctx) -> None:
        ctx.end(boom, *[ctx, backend.result("no")][2 - arguments :])

    backend.connector.observe(event, end)
    backend.connector.after_execute_error(lambda ctx: pytest.fail("a hook's error is not the backend's"))
    with pytest.raises(Boom) as raised:
        await backend.ask("q")
    assert raised.value is boom
    assert backend.asked == ([] if event == "before execute" else ["q"])


@pytest.mark.parametrize("event", ["before execute", "after execute"])
async def test_falsy_results(backend: Backend, event: Any) -> None:
    for value, expected in backend.falsy:
        backend.connector.clear_observers()
        backend.connector.observe(event, lambda ctx, value=value: ctx.end(None, value))
        got = await backend.ask("q")
        assert (got, type(got)) == (expected, type(expected))


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["before execute", "after execute"])
async def test_a_failing_hook(backend: Backend, event: Any) -> None:
    @backend.connector.observe(event)
    def fail(ctx: Ctx) -> None:
        raise Boom

    backend.connector.observe(event, lambda ctx: pytest.fail("later ones do not run"))
    backend.connector.after_execute_error(lambda ctx: pytest.fail("a hook's error is not the backend's"))
    with pytest.raises(Boom):
        await backend.ask("q")


async def test_the_error_observers_see_what_the_caller_gets(backend: Backend) -> None:
    seen: list[Any] = []
    backend.connector.after_execute(lambda ctx: pytest.fail("it has failed"))
    for _ in range(2):
        backend.connector.after_execute_error(lambda ctx: seen.extend([ctx.error, ctx.res]))
    with pytest.raises(Exception) as raised:
        await backend.fail()
    assert seen == [raised.value, None] * 2
    assert seen[0] is raised.value


@pytest.mark.parametrize("way", ["raise", "next", "end"])
async def test_an_error_replaced(backend: Backend, way: str) -> None:
    seen: list[Any] = []

    @backend.connector.after_execute_error
    def replace(ctx: Ctx, next: Any) -> None:
        seen.append(ctx.error)
        if way == "raise":
            raise Boom
        (next if way == "next" else ctx.end)(Boom())

    backend.connector.after_execute_error(lambda ctx: pytest.fail("the rest is skipped"))
    with pytest.raises(Boom) as raised:
        await backend.fail()
    assert raised.value.__cause__ is not None
    assert raised.value.__cause__ in (seen[0], getattr(seen[0], "orig", None))


async def test_an_error_recovered_from(backend: Backend) -> None:
    backend.connector.after_execute_error(lambda ctx: ctx.end(None, backend.result("recovered")))
    backend.connector.after_execute_error(lambda ctx: pytest.fail("the rest is skipped"))
    await backend.fail()


async def test_an_interceptor_that_catches_the_error(backend: Backend) -> None:
    @backend.connector.intercept
    async def catch(ctx: Ctx, next: Any) -> Any:
        with pytest.raises(Exception) as raised:
            await next()
        assert raised.value is ctx.error
        return backend.result("caught")

    await backend.fail()


# -- concurrency -------------------------------------------------------------------------------------------------------


async def test_concurrent_executes_do_not_mix(backend: Backend) -> None:
    @backend.connector.before_execute
    async def before(ctx: Ctx) -> None:
        ctx.state["question"] = backend.question(ctx.req)
        await asyncio.sleep(0.001 * int(ctx.state["question"]))
        backend.edit_question(ctx.req, f"<{ctx.state['question']}>")

    @backend.connector.after_execute
    async def after(ctx: Ctx) -> None:
        await asyncio.sleep(0.001 * (20 - int(ctx.state["question"])))
        backend.edit_answer(ctx.res, f"{ctx.state['question']}: {backend.answer(ctx.res)}")

    answers = await asyncio.gather(*(backend.ask(str(number)) for number in range(20)))
    assert answers == [f"{number}: <{number}>" for number in range(20)]


async def test_a_hook_may_ask_its_own_backend(backend: Backend) -> None:
    log: list[str] = []

    @backend.connector.before_execute
    async def ask(ctx: Ctx) -> None:
        log.append(backend.question(ctx.req))
        assert await backend.ask("inner") == "inner"
        assert await asyncio.create_task(backend.ask("task")) == "task"

    assert await backend.ask("q") == "q"
    assert log == ["q"]
    assert backend.asked == ["inner", "task", "q"]
    await backend.ask("next")
    assert log == ["q", "next"]


async def test_cancellation_runs_no_further_hook(backend: Backend) -> None:
    waiting = asyncio.Event()

    @backend.connector.before_execute
    async def wait(ctx: Ctx) -> None:
        waiting.set()
        await asyncio.sleep(30)

    for event in ("before execute", "after execute", "after execute error"):
        backend.connector.observe(event, lambda ctx: pytest.fail("it is cancelled"))
    task = asyncio.create_task(backend.ask("q"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    backend.connector.clear_observers()
    assert await backend.ask("again") == "again"


async def test_connectors_do_not_see_each_other(backend: Backend) -> None:
    async def operation(req: Any) -> Any:
        return await backend.ask(req)

    log: list[str] = []
    other: Connector[Any, Any] = Connector(name="other")
    for connector in (other, backend.connector):
        connector.before_execute(lambda ctx: log.append(ctx.connector.name))
    assert await other.execute("q", operation) == "q"
    assert log == ["other", backend.connector.name]
