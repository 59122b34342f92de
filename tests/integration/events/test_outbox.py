"""Stored events on each database: when they are handled, how often, in which order, and what is left of them."""

import asyncio
import logging
import re
from datetime import UTC, datetime
from typing import Any, ClassVar

import anyio
import pytest
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, MetaData, Table, Text, select, text, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from interceptors import InterceptorRegistry, Next, intercept
from interceptors.events import DeadEvent, DispatcherNotRunningError, EventContext, EventDispatcher, EventError, Outbox
from tests.integration.events.shop import OrderPaid, OrderShipped, Shop, shop_at, until, until_done


async def test_an_event_is_handled_after_the_commit_and_its_row_is_gone(shop: Shop) -> None:
    """Not before the commit; every handler gets the same event and the same id, in a session of its own."""
    events = shop.dispatcher()
    seen: list[Any] = []

    @events.on(OrderPaid)
    async def one(event: OrderPaid, session: AsyncSession, event_id: str, attempt: int) -> None:
        await shop.add_effect(session, event.order_id)
        seen.append(("one", event, event_id, attempt))

    @events.on(OrderPaid)
    def two(event: OrderPaid, event_id: str, attempt: int) -> None:
        seen.append(("two", event, event_id, attempt))

    async with events:
        async with shop.sessions() as session:
            event_id = await events.publish(OrderPaid(order_id=1), session=session)
            assert await session.scalar(select(events._outbox.table.c.claim)) == 0
            assert seen == []
            await session.commit()
        await until_done(events._outbox)

    assert sorted(seen, key=lambda each: each[0]) == [
        (name, OrderPaid(order_id=1), event_id, 1) for name in ("one", "two")
    ]
    assert await shop.all_effects() == [1]
    assert await shop.rows(events._outbox) == []


async def test_a_rolled_back_event_never_happened(shop: Shop) -> None:
    """Neither one of a transaction that is rolled back, nor one of a savepoint, nor one of a session that is closed."""
    events = shop.dispatcher()

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        await shop.add_effect(session, event.order_id)

    async with events, shop.sessions() as session:
        await events.publish(OrderPaid(order_id=1), session=session)
        await session.rollback()
        await events.publish(OrderPaid(order_id=2), session=session)
        async with session.begin_nested() as savepoint:
            await events.publish(OrderPaid(order_id=3), session=session)
            await savepoint.rollback()
        await session.commit()
        await events.publish(OrderPaid(order_id=4), session=session)
        await session.close()
        await until_done(events._outbox)

    assert await shop.all_effects() == [2]


async def test_publishing_needs_no_running_dispatcher(shop: Shop) -> None:
    """A stored event waits for a relay; one that is to be handled in this process needs it running."""
    events = shop.dispatcher()

    @events.on(OrderPaid)
    async def stored(event: OrderPaid, session: AsyncSession) -> None:
        await shop.add_effect(session, event.order_id)

    await events.publish(OrderPaid(order_id=1))
    assert await events._outbox.pending() == 1

    @events.on(OrderShipped, durable=False)
    async def here(event: OrderShipped) -> None: ...

    with pytest.raises(DispatcherNotRunningError):
        await events.publish(OrderShipped(order_id=1))

    assert await events.relay(once=True) == 1
    assert await shop.all_effects() == [1]


async def test_one_event_for_handlers_of_both_kinds(shop: Shop) -> None:
    """The stored ones are stored, the others run in this process after the commit."""
    events = shop.dispatcher(relay=False)
    seen: list[int] = []

    @events.on(OrderPaid)
    async def stored(event: OrderPaid) -> None: ...

    @events.on(OrderPaid, durable=False)
    async def here(event: OrderPaid) -> None:
        seen.append(event.order_id)

    async with events:
        async with shop.sessions() as session:
            await events.publish(OrderPaid(order_id=1), session=session)
            await events.publish(OrderPaid(order_id=2), session=session)
            await asyncio.sleep(0)
            assert seen == []
            await session.commit()
        await events.publish(OrderPaid(order_id=3))
        await until(lambda: seen == [1, 2, 3])
    assert await events._outbox.pending() == 3


async def test_a_failing_handler_is_tried_again_and_then_dead(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """What it wrote is rolled back each time; each handler has its own attempts; the dead can be revived."""
    events = shop.dispatcher(attempts=3)
    attempts: list[tuple[str, int]] = []
    heals = False

    @events.on(OrderPaid, name="bad")
    async def bad(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        attempts.append(("bad", attempt))
        await shop.add_effect(session, event.order_id)
        if not heals:
            raise ValueError("boom \0")

    @events.on(OrderPaid, attempts=1, name="worse")
    async def worse(event: OrderPaid, attempt: int) -> None:
        attempts.append(("worse", attempt))
        raise RuntimeError

    @events.on(OrderPaid, name="good")
    async def good(event: OrderPaid) -> None: ...

    async with events:
        event_id = await events.publish(OrderPaid(order_id=1), key="order:1")
        await until_done(events._outbox)

        assert sorted(attempts) == [("bad", 1), ("bad", 2), ("bad", 3), ("worse", 1)]
        assert await shop.all_effects() == []
        assert await events._outbox.dead() == [
            DeadEvent(event_id, "OrderPaid", "bad", "order:1", 3, "ValueError: boom \\x00", {"order_id": 1}),
            DeadEvent(event_id, "OrderPaid", "worse", "order:1", 1, "RuntimeError: ", {"order_id": 1}),
        ]
        levels = [(record.levelname, record.exc_info is not None) for record in caplog.records]
        assert sorted(levels) == [("ERROR", True)] * 2 + [("WARNING", True)] * 2
        assert "OrderPaid" in caplog.text and "bad" in caplog.text

        heals = True
        attempts.clear()
        assert await events._outbox.revive("nobody's") == 0
        assert await events._outbox.revive(event_id) == 2
        await until_done(events._outbox)
        assert sorted(attempts) == [("bad", 1), ("worse", 1)]
        assert await shop.all_effects() == [1]
        assert [dead.handler for dead in await events._outbox.dead()] == ["worse"]


@pytest.mark.parametrize("mode", ["in process", "outbox"])
async def test_log_lines_tell_which_delivery(shop: Shop, caplog: pytest.LogCaptureFixture, mode: str) -> None:
    """In their text, and as fields of the record: whoever reads of a failure can find the row."""
    events = (
        EventDispatcher(InterceptorRegistry(), sessions=shop.sessions)
        if mode == "in process"
        else shop.dispatcher(attempts=2)
    )

    @events.on(OrderPaid, name="shop.mail")
    async def mail(event: OrderPaid) -> None:
        raise RuntimeError("smtp is down")

    async with events:
        event_id = await events.publish(OrderPaid(order_id=1), key="order:7")
        if mode == "outbox":
            await until_done(events._outbox)
    records: list[Any] = caplog.records
    assert len(records) == (1 if mode == "in process" else 2)
    for attempt, record in enumerate(records, 1):
        assert (record.event_id, record.handler, record.key, record.attempt) == (
            event_id,
            "shop.mail",
            "order:7",
            attempt,
        )
        assert f"event_id={event_id} handler=shop.mail key=order:7 attempt={attempt}" in record.getMessage()


async def test_the_wait_is_random_up_to_a_limit_that_doubles(shop: Shop) -> None:
    """By the database's clock: `due` is up to `backoff * 2 ** (n - 1)` ahead after attempt n, anywhere in that time."""
    events = shop.dispatcher(attempts=9, backoff=1e5, max_backoff=3.5e5, relay=False)

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        raise ValueError

    outbox = events._outbox
    for number in range(40):
        await events.publish(OrderPaid(order_id=number))
    for longest in (1e5, 2e5, 3.5e5, 3.5e5):
        assert await events.relay(once=True) == 40
        waits = [row.due - datetime.now(UTC).timestamp() for row in await shop.rows(outbox)]
        assert max(waits) <= longest
        assert max(waits) - min(waits) > longest / 2
        async with shop.engine.begin() as connection:
            await connection.execute(update(outbox.table).values(due=0.0))
    (row, *_) = await shop.rows(outbox)
    assert (row.attempts, row.claim, row.dead, row.error) == (4, 0, False, "ValueError: ")


async def test_one_key_is_handled_in_the_order_of_commits(shop: Shop) -> None:
    """One after the other; what fails holds the later ones back until it is done, or dead. Other keys do not wait."""
    events = shop.dispatcher(attempts=2)
    log: list[str] = []
    running = 0

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, attempt: int) -> None:
        nonlocal running
        running += 1
        assert running == 1
        log.append(f"{event.order_id}.{attempt}")
        await asyncio.sleep(0.01)
        running -= 1
        if event.order_id == 2 or (event.order_id == 1 and attempt == 1):
            raise ValueError

    @events.on(OrderShipped)
    async def other(event: OrderShipped) -> None:
        log.append(f"other {event.order_id}")

    for number in (1, 2, 3):
        await events.publish(OrderPaid(order_id=number), key="k")
    await events.publish(OrderShipped(order_id=1), key="l")
    async with events:
        await until_done(events._outbox)

    assert [entry for entry in log if "other" not in entry] == ["1.1", "1.2", "2.1", "2.2", "3.1"]
    assert log.index("other 1") < log.index("2.1")


async def test_an_unknown_handler_is_left_for_others(shop: Shop) -> None:
    """A row that nobody here can handle is not touched, and waits for a process that can."""
    elsewhere = shop.dispatcher()
    elsewhere.on(OrderPaid, name="theirs")(_nothing)
    await elsewhere.publish(OrderPaid(order_id=1))
    mine = shop.dispatcher()
    assert await mine.relay(once=True) == 0
    mine.on(OrderPaid, name="mine")(_nothing)
    assert await mine.relay(once=True) == 0
    assert await mine._outbox.pending() == 1
    assert await elsewhere.relay(once=True) == 1


async def _nothing(event: OrderPaid) -> None: ...


async def test_a_chain_runs_around_the_handler(shop: Shop) -> None:
    """Interceptors see the event and may try again, each time with a clean session; what leaves the chain counts."""
    registry = InterceptorRegistry()
    seen: list[Any] = []

    async def observe(ctx: EventContext, next: Next) -> Any:
        source = ctx.source
        seen.append((str(source), source.value.name, source.value.handler, ctx.name, ctx.attempt, ctx.payload))
        assert ctx.request is None
        await shop.add_effect(ctx.session, 10)
        return await next()

    async def again(ctx: EventContext, next: Next) -> Any:
        try:
            return await next()
        except ValueError:
            return await next()

    registry.add_global(observe, source="event")
    events = shop.dispatcher(registry)
    failed = False

    @events.on(OrderPaid, name="shop.handle")
    @intercept(again)
    async def handle(event: OrderPaid, session: AsyncSession, ctx: EventContext) -> None:
        nonlocal failed
        assert ctx.args["event"] is event and ctx.session is session
        await shop.add_effect(session, event.order_id)
        if not failed:
            failed = True
            raise ValueError

    await events.publish(OrderPaid(order_id=1))
    assert await events.relay(once=True) == 1
    assert seen == [("event OrderPaid", "OrderPaid", "shop.handle", "OrderPaid", 1, {"order_id": 1})]
    assert await shop.all_effects() == [1]


class Telling(BaseModel):
    """An event with everything that JSON lacks, aliases and a rule about extra keys."""

    model_config = ConfigDict(strict=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
    event_name: ClassVar[str] = "told"
    at: datetime
    data: bytes
    text: str
    amount: int = Field(alias="theAmount")


async def test_an_event_arrives_as_it_was_published(shop: Shop) -> None:
    """Types that JSON lacks, aliases, and every sign of Unicode."""
    events = shop.dispatcher()
    got: list[Telling] = []

    @events.on(Telling)
    async def handle(telling: Telling, ctx: EventContext) -> None:
        got.append(telling)
        assert ctx.name == "told"

    sent = Telling(at=datetime(2026, 1, 2, tzinfo=UTC), data=b"\x00\xff", text="ä\u2028😀\0'\"\\", theAmount=2**60)
    await events.publish(sent)
    await events.relay(once=True)
    assert got == [sent]


async def test_a_payload_that_no_longer_parses_is_a_failing_attempt(shop: Shop) -> None:
    """As after a release that changed the class: it is kept, and can be revived after the next release."""
    old = shop.dispatcher()
    old.on(type("Changed", (OrderPaid,), {}), name="h")(_nothing)
    new = shop.dispatcher(attempts=1)

    class Changed(BaseModel):
        customer: str

    @new.on(Changed, name="h")
    async def handle(event: Changed) -> None:
        raise AssertionError

    await old.emit("Changed", {"order_id": 1})
    await new.relay(once=True)
    (dead,) = await new._outbox.dead()
    assert "ValidationError" in (dead.error or "") and "customer" in (dead.error or "")


async def test_a_handler_that_breaks_its_session_fails(shop: Shop) -> None:
    """An error of the database that it swallowed, or one of the flush or the commit, is a failing attempt."""
    events = shop.dispatcher(attempts=1)

    @events.on(OrderPaid, name="swallows")
    async def swallows(event: OrderPaid, session: AsyncSession) -> None:
        await shop.add_effect(session, 5)
        await session.execute(text(f"INSERT INTO {shop.orders.name} (id) VALUES (1)"))
        try:
            await session.execute(text(f"INSERT INTO {shop.orders.name} (id) VALUES (1)"))
        except SQLAlchemyError:
            await session.rollback()
            raise

    await events.publish(OrderPaid(order_id=1))
    await events.relay(once=True)
    assert len(await events._outbox.dead()) == 1
    assert await shop.all_effects() == []


async def test_an_interceptor_may_swallow_an_error(shop: Shop) -> None:
    """Then the event is done, and what the handler had written is rolled back all the same."""

    async def forgiving(ctx: EventContext, next: Next) -> Any:
        try:
            return await next()
        except ValueError:
            await shop.add_effect(ctx.session, 99)

    events = shop.dispatcher()

    @events.on(OrderPaid)
    @intercept(forgiving)
    async def handle(event: OrderPaid, session: AsyncSession) -> None:
        await shop.add_effect(session, event.order_id)
        raise ValueError

    await events.publish(OrderPaid(order_id=1))
    await events.relay(once=True)
    assert await shop.all_effects() == [99]
    assert await events._outbox.pending() == 0


async def test_leaving_cuts_what_takes_too_long_and_it_runs_again(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """One warning with name and count; what it wrote is rolled back; also on the last attempt it runs again."""
    events = shop.dispatcher(attempts=1, drain=0.05)
    attempts: list[int] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, session: AsyncSession, attempt: int) -> None:
        attempts.append(attempt)
        await shop.add_effect(session, event.order_id)
        if len(attempts) == 1:
            await asyncio.sleep(60)

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await until(lambda: attempts)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "OrderPaid (1)" in warning.getMessage()
    assert await events._outbox.pending() == 1
    assert await events.relay(once=True) == 1
    assert attempts == [1, 1]
    assert await shop.all_effects() == [1]


async def test_leaving_waits_for_what_runs_and_for_what_that_publishes(shop: Shop) -> None:
    """What was started ends; in-process events of it are handled, too."""
    events = shop.dispatcher()
    seen: list[str] = []
    started = asyncio.Event()

    @events.on(OrderShipped, durable=False)
    async def here(event: OrderShipped) -> None:
        await asyncio.sleep(0.01)
        seen.append("here")

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        started.set()
        await asyncio.sleep(0.05)
        await events.publish(OrderShipped(order_id=1))
        seen.append("stored")

    async with events:
        await events.publish(OrderPaid(order_id=1))
        await started.wait()
    assert seen == ["stored", "here"]
    assert await events._outbox.pending() == 0


async def test_no_more_than_max_running_at_once(shop: Shop) -> None:
    """A relay takes as many as it may run, and the next when one has ended: it does not wait for its next look."""
    events = shop.dispatcher(max_running=3, poll=60.0)
    running = most = 0

    @events.on(OrderPaid)
    async def handle(event: OrderPaid) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    async with shop.sessions() as session:
        for number in range(12):
            await events.publish(OrderPaid(order_id=number), session=session)
        await session.commit()
    async with events:
        await until_done(events._outbox)
    assert most == 3


async def test_a_local_commit_wakes_the_relay(shop: Shop) -> None:
    """It does not wait for its next look."""
    events = shop.dispatcher(poll=60.0)
    events.on(OrderPaid)(_nothing)
    async with events:
        await events.relay(once=True)  # the other relay has looked, too
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)
        async with shop.sessions() as session, session.begin():
            await events.publish(OrderPaid(order_id=1), session=session)
        await until_done(events._outbox)


async def test_without_the_table_nothing_starts(shop: Shop) -> None:
    """An error says what to do, when the dispatcher is entered."""
    events = shop.dispatcher(outbox=Outbox(shop.sessions, metadata=MetaData(), table="ev_never_created"))
    with pytest.raises(EventError, match="'ev_never_created'.*create_all.*alembic"):
        async with events:
            raise AssertionError
    with pytest.raises(EventError, match="ev_never_created"):
        await events.relay(once=True)


async def test_the_table_is_in_the_metadata(shop: Shop) -> None:
    """For `create_all` and Alembic; an application that is built again takes it back."""
    metadata = MetaData()
    outbox = Outbox(shop.sessions, metadata=metadata)
    assert list(metadata.tables) == ["interceptors_outbox"]
    assert Outbox(shop.sessions, metadata=metadata).table is outbox.table
    Table("mine", metadata, Column("x", Text))
    with pytest.raises(EventError, match="'mine'.*table="):
        Outbox(shop.sessions, metadata=metadata, table="mine")
    other = MetaData(schema="s")
    assert Outbox(shop.sessions, metadata=other).table is Outbox(shop.sessions, metadata=other).table


async def test_a_key_fits_the_column(shop: Shop) -> None:
    """Too long a key, or an empty one, is the publisher's error."""
    events = shop.dispatcher()
    events.on(OrderPaid)(_nothing)
    for key in ("", "k" * 256):
        with pytest.raises(EventError, match="255"):
            await events.publish(OrderPaid(order_id=1), key=key)
    await events.publish(OrderPaid(order_id=1), key="ä" * 255)
    assert await events.relay(once=True) == 1


async def test_sessions_of_its_own_kind(shop: Shop) -> None:
    """`sessions=` makes the handlers' sessions; the row is deleted by them."""

    class Own(AsyncSession):
        pass

    events = shop.dispatcher(sessions=async_sessionmaker(shop.engine, class_=Own))
    seen: list[type] = []

    @events.on(OrderPaid)
    async def handle(event: OrderPaid, database: AsyncSession) -> None:
        seen.append(type(database))

    await events.publish(OrderPaid(order_id=1))
    await events.relay(once=True)
    assert seen == [Own]
    assert await events._outbox.pending() == 0


async def test_a_relay_survives_an_outage(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """One record when it begins and one when it ends; a relay that is to run once raises."""
    events = shop.dispatcher(poll=0.01)
    events.on(OrderPaid)(_nothing)
    table = events._outbox.table

    async with events:
        async with shop.engine.begin() as connection:
            await connection.run_sync(table.drop)
        await until(lambda: "The relay of events failed" in caplog.text)
        with pytest.raises((SQLAlchemyError, EventError)):
            await events._side.relay(once=True)
        async with shop.engine.begin() as connection:
            await connection.run_sync(table.create)
        await events.publish(OrderPaid(order_id=1))
        await until_done(events._outbox)
        await until(lambda: "works again" in caplog.text)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_session_within_a_connection_of_somebody_else(postgres: Shop) -> None:
    """Sessions that join a connection's transaction, as in tests that roll everything back: its level is left alone."""
    async with postgres.engine.connect() as connection:
        sessions = async_sessionmaker(connection, join_transaction_mode="create_savepoint")
        transaction = await connection.begin()
        outbox = Outbox(sessions, metadata=postgres.metadata, table=f"{postgres.prefix}_outbox")
        events = postgres.dispatcher(outbox=outbox)
        events.on(OrderPaid)(_nothing)
        await events.publish(OrderPaid(order_id=1))
        assert await outbox.pending() == 1
        await transaction.rollback()
    assert await postgres.outbox().pending() == 0


async def test_a_database_that_cannot_be_reached(caplog: pytest.LogCaptureFixture) -> None:
    """Entering the dispatcher raises what the driver raises."""
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    outbox = Outbox(async_sessionmaker(engine), metadata=MetaData())
    with pytest.raises(OSError):
        await outbox.pending()
    await engine.dispose()


@pytest.mark.parametrize("key", [5, "", "k" * 256, "a\0b"])
async def test_a_key_is_checked_in_every_mode(postgres: Shop, key: Any) -> None:
    """In process, too, where keys do nothing: the mode changes nothing. The error names the key."""
    for events in (postgres.dispatcher(), EventDispatcher(InterceptorRegistry())):
        events.on(OrderPaid)(nothing)
        async with events:
            with pytest.raises(EventError, match=re.escape(repr(key))):
                await events.publish(OrderPaid(order_id=1), key=key)


async def nothing(event: OrderPaid) -> None:
    raise AssertionError


class Scanned(BaseModel):
    image: bytes


async def test_bytes_that_are_no_text(postgres: Shop) -> None:
    """JSON cannot hold them as they are: an EventError that names the event, in every mode."""
    for events in (postgres.dispatcher(), EventDispatcher(InterceptorRegistry())):
        events.on(Scanned, name="nobody")(nothing_scanned)
        async with events:
            with pytest.raises(EventError, match=r"'Scanned'.*JSON"):
                await events.publish(Scanned(image=b"\xff"))


async def nothing_scanned(event: Scanned) -> None:
    raise AssertionError


async def test_publishers_of_a_key_wait_for_each_other(postgres: Shop) -> None:
    """On PostgreSQL: what is published first is committed first, so that the order of the ids is that of the commits."""
    events = postgres.dispatcher(relay=False)
    seen: list[int] = []

    @events.on(OrderPaid)
    async def pay(event: OrderPaid) -> None:
        seen.append(event.order_id)

    async with anyio.create_task_group() as tasks, postgres.sessions() as first:
        await first.execute(text("SET LOCAL lock_timeout = '7s'"))
        await events.publish(OrderPaid(order_id=1), session=first, key="k")

        async def second() -> None:
            async with postgres.sessions.begin() as session:
                await session.execute(text("SET LOCAL lock_timeout = '6s'"))
                await events.publish(OrderPaid(order_id=2), session=session, key="k")
                assert await session.scalar(text("SHOW lock_timeout")) == "6s"  # it was another only for the wait

        tasks.start_soon(second)

        async def somebody_waits() -> bool:
            async with postgres.sessions() as session:
                waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                return bool(await session.scalar(waiting))

        await until(somebody_waits)
        await events.publish(OrderPaid(order_id=3), key="another")  # nobody waits for another key
        await first.commit()
    assert await events.relay(once=True) == 3
    assert [number for number in seen if number != 3] == [1, 2]


async def test_a_key_that_is_never_released(postgres: Shop) -> None:
    """Who publishes a key without the session in which it has been published already gets an error, not a dead lock."""
    events = postgres.dispatcher(lease=0.2, relay=False)
    events.on(OrderPaid)(nothing)
    async with postgres.sessions.begin() as session:
        await events.publish(OrderPaid(order_id=1), session=session, key="k")
        with pytest.raises(EventError, match=r"'k'.*session"):
            await events.publish(OrderPaid(order_id=2), key="k")
    async with postgres.sessions() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    outbox = postgres.outbox()
    assert [row.payload["order_id"] for row in await postgres.rows(outbox)] == [1]


async def test_another_error_while_waiting_for_a_key(postgres: Shop) -> None:
    """What the database says besides is raised as it is: a dead lock of two who publish two keys crosswise."""
    events = postgres.dispatcher(lease=30.0, relay=False)
    events.on(OrderPaid)(nothing)
    failed: list[DBAPIError] = []

    async def publish(session: AsyncSession, key: str) -> None:
        try:
            await events.publish(OrderPaid(order_id=1), session=session, key=key)
            await session.commit()
        except DBAPIError as error:
            failed.append(error)
            await session.rollback()

    async with postgres.sessions() as one, postgres.sessions() as other:
        await events.publish(OrderPaid(order_id=1), session=one, key="a")
        await events.publish(OrderPaid(order_id=2), session=other, key="b")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish, one, "b")
            tasks.start_soon(publish, other, "a")
    assert [getattr(error.orig, "sqlstate", None) for error in failed] == ["40P01"]


async def test_one_connection_for_all(caplog: pytest.LogCaptureFixture) -> None:
    """SQLite in memory shares one transaction among all sessions: whoever enters is warned, once."""
    async with shop_at("sqlite+aiosqlite://") as shop:
        async with shop.dispatcher(relay=False):
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            assert "one connection" in caplog.text
