"""What is in the table or on the broker and should not be: it dies alone, and starts nothing."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from taskiq import InMemoryBroker, TaskiqMessage, TaskiqMiddleware

from interceptors.events import DeadEvent, EventDispatcher
from tests.integration.events.shop import OrderPaid, Shop, until, until_done

SPOILED = {
    "no JSON": "{no",
    "nothing": "",
    "5,000 digits": '{"order_id": ' + "9" * 5000 + "}",
    "5,000 digits within": '{"order_id": 1, "more": [{"x": ' + "9" * 5000 + "}]}",
    "deeply nested": '{"order_id": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a list": "[1]",
    "a number": "1",
    "null": "null",
    "no text": b"\xff\xfe",
}


async def spoil(shop: Shop, table: str, payload: str | bytes) -> None:
    value = "CAST(:payload AS JSON)" if shop.engine.dialect.name == "postgresql" else ":payload"
    async with shop.engine.begin() as connection:
        await connection.execute(text(f"UPDATE {table} SET payload = {value}"), {"payload": payload})


@pytest.mark.parametrize("kind", SPOILED)
async def test_a_row_that_cannot_be_read_dies_alone(shop: Shop, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its reason is kept, logged and told; the rows beside and behind it are delivered; the operator sees its text."""
    seen: list[int] = []
    told: list[DeadEvent] = []
    events = shop.dispatcher(outbox=shop.outbox(on_dead=told.append), relay=False)

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid) -> None:
        seen.append(event.order_id)

    event_id = await events.publish(OrderPaid(order_id=0), key="k")
    try:
        await spoil(shop, events._outbox.table.name, SPOILED[kind])
    except DBAPIError:
        if shop.engine.dialect.name == "sqlite":
            raise
        return  # the database does not store it
    for number in range(1, 4):
        await events.publish(OrderPaid(order_id=number), key="k" if number == 3 else None)
    while await events.relay(once=True):
        pass
    assert sorted(seen) == [1, 2, 3]
    (dead,) = await events._outbox.dead()
    assert (dead.event_id, dead.handler, dead.attempts) == (event_id, "mail", 0)
    assert dead.error is not None
    assert dead.error.startswith("The payload cannot be read")
    assert dead.error in caplog.text
    assert [each.event_id for each in told] == [event_id]
    (row,) = await events._outbox.list()
    assert (row.state, row.payload) == ("dead", dead.payload)


class Sent(TaskiqMiddleware):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[TaskiqMessage] = []

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        self.messages.append(message)
        return message


async def forge(broker: InMemoryBroker, message: TaskiqMessage, row: int, attempt: int) -> None:
    """Send a message that names another row or attempt."""
    data = json.loads(message.model_dump_json()) | {"task_id": uuid4().hex, "args": [row, attempt]}
    await broker.kick(broker.formatter.dumps(TaskiqMessage.model_validate(data)))


def brokered(shop: Shop, **options: Any) -> tuple[EventDispatcher, InMemoryBroker, Sent]:
    sent = Sent()
    broker = InMemoryBroker().with_middlewares(sent)
    return shop.dispatcher(broker=broker, **options), broker, sent


async def test_a_forged_message_starts_nothing_that_is_not_sent(shop: Shop) -> None:
    """Neither before it is due, nor what is dead or waits for its key, nor rows of others; no attempt is lost."""
    starts: list[tuple[int, int]] = []
    events, broker, sent = brokered(shop, attempts=3, backoff=3600.0)

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid, attempt: int) -> None:
        starts.append((event.order_id, attempt))
        raise ConnectionError

    async with events:
        for number in (1, 2):
            await events.publish(OrderPaid(order_id=number), key="k")
        await until(lambda: starts)
        await broker.wait_all()

        async def is_put_back() -> bool:
            return [row.state for row in await events._outbox.list()] == ["retrying", "waiting"]

        await until(is_put_back)
        before = await shop.rows(events._outbox)
        for row in (1, 2, 99):
            for attempt in range(-1, 6):
                await forge(broker, sent.messages[0], row, attempt)
        await broker.wait_all()
        after = await shop.rows(events._outbox)
    assert starts == [(1, 1)]
    assert [(row.attempts, row.token, row.dead) for row in after] == [
        (row.attempts, row.token, row.dead) for row in before
    ]


async def test_a_forged_message_starts_nothing_twice_at_once(shop: Shop) -> None:
    """Whatever attempts are named while one runs."""
    running = most = 0
    released = asyncio.Event()
    events, broker, sent = brokered(shop)

    @events.on(OrderPaid, name="mail")
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await released.wait()
        running -= 1
        await shop.add_effect(session, event.order_id)

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: running)
        await asyncio.gather(*[forge(broker, sent.messages[0], 1, attempt) for attempt in (1, 2, 2, 3)])
        released.set()
        await until_done(events._outbox)
    assert most == 1
    assert await shop.all_effects() == [1]
