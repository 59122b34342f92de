"""Limits of attempts, and what a handler may say of its failure: stored events."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from interceptors import InterceptorRegistry, InvocationContext, Next
from interceptors.events import DeadEvent, EventDispatcher, EventError, GiveUp, RetryLater
from tests.integration.events.shop import OrderPaid, OrderShipped, Shop, until, until_done


@pytest.mark.parametrize("where", ["handler", "dispatcher", "both"])
async def test_an_attempt_that_takes_too_long_has_failed(shop: Shop, where: str) -> None:
    """Its place is free, what it wrote is undone, it is tried again; the handler's own time goes before the dispatcher's."""
    starts: list[int] = []
    done = asyncio.Event()
    general = {"handler": None, "dispatcher": 0.1, "both": 60.0}[where]
    events = shop.dispatcher(attempts=2, max_running=1, timeout=general)

    @events.on(OrderPaid, timeout=None if where == "dispatcher" else 0.1)
    async def hangs(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        starts.append(attempt)
        await shop.add_effect(session, event.order_id)
        await asyncio.sleep(3600)

    @events.on(OrderShipped)
    async def works(event: OrderShipped) -> None:
        done.set()

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await events.publish(OrderShipped(order_id=1))
        await until_done(events._outbox)
    assert starts == [1, 2]
    assert done.is_set()
    assert await shop.all_effects() == []
    (dead,) = await events._outbox.dead()
    assert dead.error is not None
    assert "hangs" in dead.error and "took longer than 0.1 seconds" in dead.error


@contextmanager
def hanging() -> Iterator[threading.Event]:
    """Something that threads wait for, until the end of a test."""
    released = threading.Event()
    try:
        yield released
    finally:
        released.set()


async def test_a_thread_that_takes_too_long_is_given_up(shop: Shop) -> None:
    """It cannot be stopped, and goes on; its place is free."""
    attempts: list[int] = []
    events = shop.dispatcher(attempts=2, max_running=1, drain=0.1)
    with hanging() as released:

        @events.on(OrderPaid, timeout=0.1)
        def hangs(event: OrderPaid, attempt: int) -> None:
            attempts.append(attempt)
            released.wait()

        async with events:
            await events.publish(OrderPaid(order_id=1))
            await until_done(events._outbox)
    assert attempts == [1, 2]


async def test_a_thread_in_time_is_waited_for_when_the_relay_is_left(shop: Shop) -> None:
    """Cutting it would have it run twice at once."""
    started, ended = threading.Event(), threading.Event()
    events = shop.dispatcher(drain=0.0)

    @events.on(OrderPaid, timeout=60.0)
    def works(event: OrderPaid) -> None:
        started.set()
        time.sleep(0.2)
        ended.set()

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(started.is_set)
    assert ended.is_set()


async def test_giving_up_makes_it_dead_at_once(shop: Shop) -> None:
    """Also from an interceptor; what the session did is undone."""
    told: list[DeadEvent] = []
    registry = InterceptorRegistry()
    starts: list[int] = []

    async def refuse(ctx: InvocationContext, next: Next) -> object:
        if ctx.args["event"].order_id == 2:
            raise GiveUp("not that one")
        return await next()

    registry.add_global(refuse)
    events = shop.dispatcher(registry, outbox=shop.outbox(on_dead=told.append))

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        starts.append(event.order_id)
        await shop.add_effect(session, event.order_id)
        raise GiveUp("no such address")

    async with events:
        for number in (1, 2):
            await events.publish(OrderPaid(order_id=number), key="k")
        await until_done(events._outbox)
    assert starts == [1]
    assert await shop.all_effects() == []
    dead = await events._outbox.dead()
    assert [(each.error, each.attempts) for each in dead] == [
        ("GiveUp: no such address", 1),
        ("GiveUp: not that one", 1),
    ]
    assert sorted(told, key=lambda each: each.payload["order_id"]) == dead


async def test_trying_later_is_no_attempt(shop: Shop) -> None:
    """As often as it takes, not before its time; later rows of the key wait, also behind the last attempt."""
    starts: list[tuple[int, int, float]] = []
    events = shop.dispatcher(attempts=1)

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        starts.append((event.order_id, attempt, time.monotonic()))
        if len(starts) < 4:
            raise RetryLater(0.2, "too many requests")

    async with events:
        for number in (1, 2):
            await events.publish(OrderPaid(order_id=number), key="k")
        await until_done(events._outbox)
    assert [each[:2] for each in starts] == [(1, 1)] * 4 + [(2, 1)]
    assert all(after[2] - before[2] > 0.19 for before, after in pairwise(starts[:4]))
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="RetryLater"):
            RetryLater(wrong)


@pytest.mark.parametrize("kind", ["awaited", "fails"])
async def test_whoever_is_told_of_the_dead(shop: Shop, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """It may be async; if it fails that is logged, and disturbs nothing."""
    told: list[str] = []

    async def on_dead(dead: DeadEvent) -> None:
        await asyncio.sleep(0)
        told.append(dead.handler)
        if kind == "fails":
            raise RuntimeError("pager is down")

    events = shop.dispatcher(outbox=shop.outbox(attempts=1, on_dead=on_dead))

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid) -> None:
        raise ValueError

    async with events:
        for number in (1, 2):
            await events.publish(OrderPaid(order_id=number))
        await until(lambda: told == ["mail", "mail"])
    assert ("pager is down" in caplog.text) is (kind == "fails")


@pytest.mark.parametrize("mode", ["outbox", "in process"])
async def test_what_is_published_with_a_delay_waits(shop: Shop, mode: str) -> None:
    """From the commit on; what is cut by leaving is told of in process, and kept in an outbox."""
    seen: list[int] = []
    events = (
        shop.dispatcher(drain=0.0)
        if mode == "outbox"
        else EventDispatcher(InterceptorRegistry(), sessions=shop.sessions, drain=0.0)
    )

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    async with events:
        started = time.monotonic()
        async with shop.sessions() as session:
            await events.publish(OrderPaid(order_id=1), session=session, delay=0.4)
            await events.publish(OrderPaid(order_id=2), session=session)
            await session.commit()
        await until(lambda: seen == [2, 1])
        assert time.monotonic() - started > 0.39
        await events.publish(OrderPaid(order_id=3), delay=3600)
    assert seen == [2, 1]
    for wrong in (-1, float("nan"), float("inf"), "1"):
        with pytest.raises(EventError, match="delay="):
            await events.publish(OrderPaid(order_id=4), delay=wrong)  # type: ignore[arg-type]


def test_limits_that_cannot_be() -> None:
    """They are refused where they are declared."""
    with pytest.raises(ValueError, match="timeout"):
        EventDispatcher(InterceptorRegistry(), timeout=0.0)
    events = EventDispatcher(InterceptorRegistry())
    with pytest.raises(EventError, match="timeout=-1"):
        events.on(OrderPaid, timeout=-1.0)(_nothing)


async def test_threads_of_handlers_are_not_those_of_routes() -> None:
    """However many handlers hang in threads, a `def` elsewhere has its thread."""
    events = EventDispatcher(InterceptorRegistry(), drain=0.0)
    started: list[int] = []
    with hanging() as released:

        @events.on(OrderPaid)
        def hangs(event: OrderPaid) -> None:
            started.append(event.order_id)
            released.wait()

        async with events:
            for number in range(60):
                await events.publish(OrderPaid(order_id=number))
            await until(lambda: len(started) == 60)
            with anyio.fail_after(10):
                assert await anyio.to_thread.run_sync(lambda: "answered") == "answered"
            released.set()


async def _nothing(event: Any) -> None: ...
