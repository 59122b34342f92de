"""Delivery in this process: when, in which order, how many at once, and what leaving waits for."""

import asyncio
import logging
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from interceptors import InterceptorRegistry, InvocationSource
from interceptors.context import innermost
from interceptors.events import DispatcherNotRunningError, EventContext, EventDispatcher
from interceptors.events.handlers import EventHandler


class Paid(BaseModel):
    order_id: int


class Shipped(BaseModel):
    order_id: int


def dispatcher(**options: Any) -> EventDispatcher:
    return EventDispatcher(InterceptorRegistry(), **options)


async def test_every_handler_gets_a_copy_of_its_own() -> None:
    """Changing the event changes nothing for the others, or for the publisher."""
    events = dispatcher()
    got: list[Any] = []

    class Listed(BaseModel):
        numbers: list[int]

    @events.on(Listed)
    async def first(event: Listed, ctx: EventContext) -> None:
        event.numbers.append(1)
        ctx.payload["numbers"].append(2)
        got.append(event)

    @events.on(Listed)
    async def second(event: Listed) -> None:
        got.append(event)

    sent = Listed(numbers=[0])
    async with events:
        await events.publish(sent)
    assert sent.numbers == [0]
    assert sorted(event.numbers for event in got) == [[0], [0, 1]]
    assert first.__name__ == "first"


async def test_events_start_in_the_order_of_publishing() -> None:
    """At most `max_running` at once; the rest waits, and none is dropped."""
    events = dispatcher(max_running=3)
    started: list[int] = []
    running = most = 0

    @events.on(Paid)
    async def handle(event: Paid) -> None:
        nonlocal running, most
        started.append(event.order_id)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    async with events:
        for number in range(50):
            await events.publish(Paid(order_id=number))
    assert started == list(range(50))
    assert most == 3


async def test_a_thousand_publishers_of_which_some_are_cancelled() -> None:
    """Whoever came as far as to have published is heard, and nobody else; the publisher is never held up."""
    events = dispatcher(max_running=7)
    handled: list[int] = []
    published: list[int] = []

    @events.on(Paid)
    async def handle(event: Paid) -> None:
        await asyncio.sleep(0)
        handled.append(event.order_id)

    async def publish(number: int) -> None:
        await asyncio.sleep((number * 7919 % 13) / 1000)
        await events.publish(Paid(order_id=number))
        published.append(number)
        await asyncio.sleep(1)

    async with events:
        tasks = [asyncio.create_task(publish(number)) for number in range(1000)]
        await asyncio.sleep(0.006)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert 0 < len(published) < 1000
    assert handled == published


async def test_nothing_of_the_publisher_reaches_the_handler() -> None:
    """Neither context variables nor the running invocation; what the handler sets stays with it."""
    variable = ContextVar("variable", default="nobody's")
    registry = InterceptorRegistry()
    events = EventDispatcher(registry)
    seen: list[Any] = []

    @events.on(Paid)
    async def handle(event: Paid, ctx: EventContext) -> None:
        seen.append((variable.get(), ctx.bound("secret") is not None, ctx.request, ctx.response, innermost() is ctx))
        seen.append(await ctx.get("secret", default=None))
        variable.set("handler's")
        ctx.bind_request("secret", "handler's")

    class Service:
        async def publish(self, ctx: EventContext) -> None:
            await events.publish(Paid(order_id=1))

    async def bind(ctx: Any, next: Any) -> Any:
        ctx.bind_request("secret", "publisher's")
        return await next()

    registry.add_global(bind, source="job")
    async with events:
        variable.set("publisher's")
        await registry.invoke(Service(), "publish", source=InvocationSource("job"))
        await registry.invoke(Service(), "publish", source=InvocationSource("job"))
    assert seen == [("nobody's", True, None, None, True), None] * 2


async def test_an_error_is_logged_and_nothing_else_happens(caplog: pytest.LogCaptureFixture) -> None:
    """At ERROR, with the event and the handler; a cancellation of the handler's own making, too."""
    events = dispatcher()

    @events.on(Paid, name="failing")
    async def failing(event: Paid) -> None:
        raise ValueError("boom")

    @events.on(Paid, name="odd")
    async def odd(event: Paid) -> None:
        raise BaseExceptionGroup("odd", [GeneratorExit()])

    @events.on(Paid, name="cancelled")
    async def cancelled(event: Paid) -> None:
        if event.order_id == 1:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    @events.on(Paid)
    async def fine(event: Paid) -> None: ...

    async with events:
        await events.publish(Paid(order_id=1))
        await events.publish(Paid(order_id=2))
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 6
    assert {record.name for record in caplog.records} == {"interceptors.events"}
    assert all("Paid" in record.getMessage() and record.exc_info for record in caplog.records)
    assert {
        name for record in caplog.records for name in ("failing", "odd", "cancelled") if name in record.getMessage()
    } == {
        "failing",
        "odd",
        "cancelled",
    }


async def test_leaving_waits_for_what_runs_and_for_what_that_publishes() -> None:
    """Also when the block is left by an error, or cancelled."""
    seen: list[str] = []

    def make() -> EventDispatcher:
        events = dispatcher(max_running=1)

        @events.on(Paid)
        async def first(event: Paid) -> None:
            await asyncio.sleep(0.01)
            seen.append("paid")
            if event.order_id:
                await events.publish(Shipped(order_id=1))

        @events.on(Shipped)
        def second(event: Shipped) -> None:
            seen.append("shipped")

        return events

    async with make() as events:
        await events.publish(Paid(order_id=1))
    assert seen == ["paid", "shipped"]

    seen.clear()
    with pytest.raises(ZeroDivisionError):
        async with make() as events:
            await events.publish(Paid(order_id=1))
            raise ZeroDivisionError
    assert seen == ["paid", "shipped"]

    seen.clear()
    with anyio.CancelScope() as scope:
        async with make() as events:
            scope.cancel()
            await events.publish(Paid(order_id=1))
            await asyncio.sleep(60)
    assert scope.cancelled_caught
    assert seen == ["paid", "shipped"]

    seen.clear()

    async def serve() -> None:
        async with make() as events:
            await events.publish(Paid(order_id=1))
            await asyncio.sleep(60)

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["paid", "shipped"]


async def test_what_takes_too_long_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """One warning with the names and how many of each ran or waited; who publishes while being cut is told."""
    events = dispatcher(max_running=2, drain=0.02)
    told: list[type] = []

    @events.on(Paid)
    async def slow(event: Paid) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            try:
                await events.publish(Paid(order_id=9))
            except DispatcherNotRunningError as error:
                told.append(type(error))

    @events.on(Shipped)
    async def never(event: Shipped) -> None:
        raise AssertionError

    async with events:
        for number in range(3):
            await events.publish(Paid(order_id=number))
        await events.publish(Shipped(order_id=1))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Paid (3), Shipped (1)" in record.getMessage()
    assert told == [DispatcherNotRunningError] * 2


async def test_cancelling_twice_does_not_wait() -> None:
    """The first time drains, the second time cuts."""
    events = dispatcher()
    started, ended = asyncio.Event(), asyncio.Event()

    @events.on(Paid)
    async def slow(event: Paid) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def serve() -> None:
        async with events:
            await events.publish(Paid(order_id=1))
            await asyncio.sleep(60)

    task = asyncio.create_task(serve())
    await started.wait()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended.wait()


async def test_outside_the_dispatcher_nothing_can_be_published() -> None:
    """Before it is entered and after it was left; the error says how to enter it."""
    events = dispatcher()
    events.on(Paid)(_nothing)
    with pytest.raises(DispatcherNotRunningError, match="lifespan=events.lifespan"):
        await events.publish(Paid(order_id=1))
    async with events:
        await events.publish(Paid(order_id=1))
    with pytest.raises(DispatcherNotRunningError):
        await events.publish(Paid(order_id=1))


async def _nothing(event: Paid) -> None: ...


async def test_entering_nests_and_happens_in_any_task() -> None:
    """It runs from the first entering to the last leaving, whichever tasks these are; then it can be entered again."""
    events = dispatcher()
    events.on(Paid)(_nothing)
    await asyncio.create_task(events.__aenter__())
    async with events, events:
        await events.publish(Paid(order_id=1))
    await events.publish(Paid(order_id=2))
    await asyncio.create_task(events.__aexit__(None, None, None))
    with pytest.raises(DispatcherNotRunningError):
        await events.publish(Paid(order_id=3))
    async with events:
        await events.publish(Paid(order_id=4))


def test_a_lifespan_of_fastapi() -> None:
    """`FastAPI(lifespan=events.lifespan)`."""
    events = dispatcher()
    seen: list[int] = []

    @events.on(Paid)
    def handle(event: Paid) -> None:
        seen.append(event.order_id)

    app = FastAPI(lifespan=events.lifespan)

    @app.post("/pay")
    async def pay() -> str:
        return await events.publish(Paid(order_id=1))

    with TestClient(app) as client:
        answer = client.post("/pay").json()
    assert len(answer) == 32
    assert seen == [1]


async def test_an_event_in_flight_when_the_loop_ends() -> None:
    """`asyncio.run` cancels what is left of a dispatcher that was never left; it can be entered again."""
    events = dispatcher()
    ended: list[bool] = []

    @events.on(Paid)
    async def slow(event: Paid) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def main() -> None:
        await events.__aenter__()
        await events.publish(Paid(order_id=1))
        await asyncio.sleep(0.01)

    await asyncio.to_thread(asyncio.run, main())
    assert ended == [True]
    await asyncio.to_thread(asyncio.run, main())
    assert ended == [True, True]


async def test_live_objects_reach_handlers_of_this_process() -> None:
    """What resources hand along: the request, say."""
    events = dispatcher()
    seen: list[Any] = []

    async def handle(item: dict[str, Any], marker: Any) -> None:
        seen.append((item, marker))

    def arguments(ctx: EventContext) -> dict[str, Any]:
        seen.append(ctx.request)
        return {"item": ctx.payload["item"], "marker": ctx._live["marker"]}

    events.add(EventHandler("User.on_after_insert", "h", handle, arguments))
    assert events._has("User.on_after_insert")
    assert not events._has("User.on_before_insert")
    marker = object()
    async with events:
        await events.emit("User.on_before_insert", {})
        await events.emit(
            "User.on_after_insert", {"item": {"id": 1}}, live={"marker": marker, "request": "R"}, durable=False
        )
    assert seen == ["R", ({"id": 1}, marker)]


async def test_a_handler_that_exits_ends_the_program() -> None:
    """`SystemExit` and `KeyboardInterrupt` are not a handler's failure."""
    events = dispatcher()

    @events.on(Paid)
    async def leave(event: Paid) -> None:
        raise SystemExit(3)

    async def main() -> None:
        async with events:
            await events.publish(Paid(order_id=1))
            await asyncio.sleep(60)

    with pytest.raises(SystemExit):
        await asyncio.to_thread(asyncio.run, main())


async def test_a_commit_after_the_dispatcher_was_left(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing may disturb a commit: what cannot be delivered any more is logged."""
    events = dispatcher()
    handler = EventHandler("Paid", "h", _nothing, lambda ctx: {})
    events._put([handler], "id", None, "{}", {}, 0.0)
    (record,) = caplog.records
    assert (record.levelno, "Paid" in record.getMessage()) == (logging.ERROR, True)
