"""The door: the one way into a chain, as somebody writes an integration of their own with it."""

import asyncio
import contextvars
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide

from interceptors import (
    Entry,
    InterceptorRegistry,
    InvalidTargetError,
    InvocationBindings,
    InvocationContext,
    InvocationSource,
    Next,
    OutsideInvocationError,
    UnknownKeyError,
    annotate,
    intercept,
)
from interceptors.target import Target
from tests.unit.helpers import on_both_backends, passing, recording


class Orders:
    @annotate(role="clerk")
    async def close(self, order_id: int, reason: str = "paid") -> str:
        return f"closed {order_id}: {reason}"

    @staticmethod
    async def fixed(order_id: int) -> int:
        return order_id

    @classmethod
    async def of_class(cls, order_id: int) -> tuple[type, int]:
        return cls, order_id

    def plain(self, order_id: int) -> int:
        return order_id


async def handle(order_id: int) -> int:
    return order_id


class Callable:
    async def __call__(self, order_id: int) -> int:
        return order_id


orders = Orders()


@pytest.mark.parametrize(
    ("target", "method", "title", "result"),
    [
        (orders, "close", "Orders.close", "closed 7: paid"),
        (orders, "plain", "Orders.plain", 7),
        (orders, "fixed", "Orders.fixed", 7),
        (Orders, "of_class", "Orders.of_class", (Orders, 7)),
        (handle, None, "handle", 7),
        (orders.close, None, "Orders.close", "closed 7: paid"),
        (Callable(), None, "Callable.__call__", 7),
    ],
)
@on_both_backends
async def test_whatever_can_be_called_has_a_door(target: Any, method: Any, title: str, result: Any) -> None:
    """An object's or a class's method, a function, a bound method, a callable object."""
    events: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(recording("layer", events), source="queue")
    entry = Entry(registry, target, method, source="queue")
    assert entry.title == title == entry.explain().target
    assert await entry(7) == await entry(order_id=7) == result
    assert events == [">layer", "<layer"] * 2


@pytest.mark.parametrize(("target", "method"), [(Orders, "close"), (orders, "nothing"), (7, None)])
def test_what_cannot_be_called_is_refused_where_the_door_is_made(target: Any, method: Any) -> None:
    """An instance method needs an instance; the others are no functions."""
    with pytest.raises(InvalidTargetError):
        Entry(InterceptorRegistry(), target, method)


async def test_the_source_is_a_type_or_tells_more_or_there_is_none() -> None:
    """It decides which globals run, and interceptors see it."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.source)
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(look)
    for source in ("queue", InvocationSource("queue", "orders"), None):
        await Entry(registry, handle, source=source)(1)
    assert seen == [InvocationSource("queue"), InvocationSource("queue", "orders"), None]
    assert Entry(registry, handle).explain().source == "job"


class QueueContext(InvocationContext):
    """A message of a queue."""

    message_id: str = ""


async def test_an_integration_fills_the_context_between_the_two_steps() -> None:
    """It has a class of its own for it, and may commit inside of the invocation when the chain has returned."""
    seen: list[Any] = []

    async def by_message(ctx: QueueContext, next: Next) -> Any:
        seen.append((ctx.message_id, ctx.args["order_id"], ctx.annotations["role"], ctx.target))
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(by_message)
    entry = Entry(registry, orders, "close", source="queue", context_class=QueueContext)
    ctx = entry.context((), {"order_id": 7})
    assert isinstance(ctx, QueueContext)
    ctx.message_id = "m1"
    async with entry.running_as(ctx):
        assert await entry.run(ctx) == "closed 7: paid"
        assert InvocationBindings.context() is ctx  # here it would commit
    with pytest.raises(OutsideInvocationError):
        InvocationBindings.context()
    assert seen == [("m1", 7, "clerk", orders)]


@pytest.mark.parametrize("fails_in", ["the target", "its constructor", "what is injected"])
async def test_a_context_can_take_back_what_a_failed_run_has_set(fails_in: str) -> None:
    """The target's own part of it: what layers have noted stays, and a run that succeeds keeps all."""

    class Noting(InvocationContext):
        def begin_run(self) -> Any:
            before = list(notes)

            def take_back() -> None:
                notes[:] = before

            return take_back

    async def retries(ctx: InvocationContext, next: Next) -> Any:
        notes.append("layer")
        try:
            return await next()
        except ValueError:
            return await next()

    def fail(where: str) -> None:
        notes.append(where)
        if where == fails_in and failures:
            raise failures.pop()

    class Container(containers.DeclarativeContainer):
        injected = providers.Callable(fail, "what is injected")
        constructor = providers.Callable(fail, "its constructor")

    class Service:
        def __init__(self, given: Annotated[None, Provide["constructor"]]) -> None: ...

        async def work(self, given: Annotated[None, Provide["injected"]]) -> None:
            fail("the target")

    notes: list[str] = []
    failures = [ValueError()]
    registry = InterceptorRegistry(Container())
    registry.add_global(retries)
    target = Target.method(Service, "work", builds=True, binds=False, context_class=Noting)
    await Entry(registry, target)()
    assert notes == ["layer", "its constructor", "what is injected", "the target"]


async def test_a_context_class_may_extend_what_its_base_takes_back() -> None:
    """It asks `super()`, however far down it stands: `InvocationContext` itself has nothing to take back."""
    taken: list[str] = []

    def noting(base: type[InvocationContext], name: str) -> type[InvocationContext]:
        class Noting(base):  # type: ignore[misc, valid-type]
            def begin_run(self) -> Any:
                inner = super().begin_run()

                def take_back() -> None:
                    taken.append(name)
                    inner()

                return take_back

        return Noting

    async def fail() -> None:
        raise LookupError

    context_class = noting(noting(InvocationContext, "inner"), "outer")
    with pytest.raises(LookupError):
        await Entry(InterceptorRegistry(), fail, context_class=context_class)()
    assert taken == ["outer", "inner"]


async def test_what_is_wrong_with_the_chain_can_be_asked_for_at_the_start() -> None:
    """An integration checks when it starts; else the first call tells."""
    registry = InterceptorRegistry()
    registry.add_global("missing", source="queue")
    entry = Entry(registry, handle, source="queue")
    with pytest.raises(UnknownKeyError):
        entry.check()
    with pytest.raises(UnknownKeyError):
        await entry(1)
    registry.bind("missing", passing)
    entry.check()
    assert await entry(1) == 1


@on_both_backends
async def test_a_change_of_the_registry_counts_from_the_next_call_on() -> None:
    """Also what a decorator records later, and another method that the class gets."""

    class Service:
        async def work(self) -> str:
            return "worked"

    events: list[str] = []
    registry = InterceptorRegistry()
    entry = Entry(registry, Service(), "work")
    assert await entry() == "worked" and events == []
    registry.add_global(recording("global", events))
    assert await entry() == "worked" and events == [">global", "<global"]
    intercept(recording("late", events))(Service)
    events.clear()
    assert await entry() == "worked" and events == [">global", ">late", "<late", "<global"]

    async def other(self: Any, amount: int = 2) -> int:
        return amount

    Service.work = other  # type: ignore[assignment]
    assert await entry(amount=3) == 3


async def test_a_call_inside_an_invocation_belongs_to_its_request_unless_it_starts_afresh() -> None:
    """With the request's bindings and user; `request=` begins a request of its own."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx.request, await ctx.get("tenant", default=None)))
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(look)
    inner = Entry(registry, handle)

    async def outside() -> None:
        InvocationBindings.context().bind_request("tenant", "t1")
        await inner(1)
        await inner.run(inner.context((1,), request="other"))

    await Entry(registry, outside).run(Entry(registry, outside).context(request="first"))
    assert seen == [("first", None), ("first", "t1"), ("other", None)]


@pytest.mark.parametrize("started_in", ["invocation", "one inside", "a proxy", "invoke", "running_as"])
async def test_a_task_belongs_to_the_request_as_long_as_that_runs(started_in: str) -> None:
    """Also where the inner invocation that started it has ended; afterwards it belongs to none."""
    registry = InterceptorRegistry()
    ask, answers = asyncio.Queue[None](), asyncio.Queue[Any]()

    async def tells() -> None:
        await answers.put(InvocationBindings.context().request)

    tell = Entry(registry, tells)

    async def work() -> None:
        while True:
            await ask.get()
            await tell()

    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        tasks.append(asyncio.create_task(work()))

    Starter = type("Starter", (), {"start": staticmethod(start)})

    async def outside() -> None:
        if started_in == "one inside":
            await Entry(registry, start)()
        elif started_in == "a proxy":
            await registry.intercepted(Starter()).start()
        elif started_in == "invoke":
            await registry.invoke(Starter(), "start")
        elif started_in == "invocation":
            await start()
        await ask.put(None)
        answered.append(await answers.get())

    answered: list[Any] = []
    entry = Entry(registry, outside)
    ctx = entry.context(request="the request")
    async with entry.running_as(ctx):
        if started_in == "running_as":
            await start()
        await entry.run(ctx)
    await ask.put(None)
    answered.append(await answers.get())
    tasks[0].cancel()
    assert answered == ["the request", None]


class Body:
    """Stands for what a request holds."""


@pytest.mark.parametrize("by", ["door", "invoke"])
@pytest.mark.parametrize("keep", ["copy", "task", "timer"])
async def test_a_context_that_somebody_keeps_keeps_no_request_alive(keep: str, by: str) -> None:
    """A contextvars copy, a task that waits, a timer: freed by counting references, without the collector."""
    registry, kept = InterceptorRegistry(), []

    async def starts() -> None:
        if keep == "copy":
            kept.append(contextvars.copy_context())
        elif keep == "task":
            kept.append(asyncio.create_task(asyncio.Event().wait()))
        else:
            kept.append(asyncio.get_running_loop().call_later(60, print))

    body = Body()
    alive = weakref.ref(body)
    entry, starter = Entry(registry, starts), type("Starter", (), {"starts": staticmethod(starts)})
    gc.disable()
    try:
        if by == "door":
            await entry.run(entry.context(request=body))
        else:
            await registry.invoke(starter(), "starts", request=body)
        del body
        await asyncio.sleep(0)
        assert alive() is None
    finally:
        gc.enable()
        if keep != "copy":
            kept[0].cancel()


@on_both_backends
async def test_a_layer_that_answers_early_does_not_reopen_the_request() -> None:
    """What it has left running has its own context in hand, but what that starts belongs to no request."""
    go, done = anyio.Event(), anyio.Event()
    seen: list[Any] = []
    registry = InterceptorRegistry()

    async def tells() -> None:
        seen.append(InvocationBindings.context().request)

    async def slow() -> None:
        await go.wait()
        with pytest.raises(OutsideInvocationError):
            InvocationBindings.request()
        await Entry(registry, tells)()
        done.set()

    async with anyio.create_task_group() as tasks:

        async def early(ctx: InvocationContext, next: Next) -> Any:
            tasks.start_soon(next)
            return "early"

        entry = Entry(registry, intercept(early)(slow))
        assert await entry.run(entry.context(request="the request")) == "early"
        go.set()
        await done.wait()
    assert seen == [None]


@pytest.mark.parametrize("by", ["door", "invoke", "proxy"])
async def test_nor_does_one_that_leaves_next_to_a_task_of_nobody(by: str) -> None:
    """A task that was given an empty context knows of the invocation by `next` alone, and only while that runs."""
    go, registry, tasks, seen = asyncio.Event(), InterceptorRegistry(), list[asyncio.Task[Any]](), list[Any]()

    async def early(ctx: InvocationContext, next: Next) -> Any:
        tasks.append(asyncio.create_task(next(), context=contextvars.Context()))
        await asyncio.sleep(0)
        return "early"

    async def tells() -> None:
        seen.append(InvocationBindings.context().request)

    class Service:
        @intercept(early)
        async def slow(self) -> None:
            seen.append(InvocationBindings.request())
            await go.wait()
            with pytest.raises(OutsideInvocationError):
                InvocationBindings.request()
            await Entry(registry, tells)()

        async def asks(self) -> Any:
            return await registry.intercepted(self).slow()

    service = Service()
    if by == "door":
        entry = Entry(registry, service, "slow")
        answer = await entry.run(entry.context(request="the request"))
    else:
        answer = await registry.invoke(service, "slow" if by == "invoke" else "asks", request="the request")
    assert answer == "early"
    go.set()
    await tasks[0]
    assert seen == ["the request", None]


async def waits(*_: Any) -> None:
    await asyncio.Event().wait()


class Container(containers.DeclarativeContainer):
    slow = providers.Coroutine(waits, InvocationBindings.request)


class Waiting:
    async def itself(self) -> None:
        await waits()

    async def for_the_user(self, user: Annotated[Any, Provide["current_user"]]) -> None: ...

    async def for_a_provider(self, slow: Annotated[Any, Provide["slow"]]) -> None: ...

    async def in_another_call(self, ctx: InvocationContext) -> None:
        await InterceptorRegistry().invoke(self, "run", ctx.get("slow"))

    async def run(self, what: Any) -> None:
        await what


async def around(entry: Entry) -> None:
    async with entry.running_as(entry.context()):
        await waits()


CALLS: dict[str, Any] = {
    "door": lambda registry: Entry(registry, Waiting(), "itself")(),
    "invoke": lambda registry: registry.invoke(Waiting(), "itself"),
    "proxy": lambda registry: registry.intercepted(Waiting()).itself(),
    "running_as": lambda registry: around(Entry(registry, Waiting(), "itself")),
    "current user": lambda registry: registry.invoke(Waiting(), "for_the_user", request="the request"),
    "provider": lambda registry: registry.invoke(Waiting(), "for_a_provider"),
    "provider for an outer call": lambda registry: registry.invoke(Waiting(), "in_another_call"),
}


@pytest.mark.parametrize("by", CALLS)
async def test_a_call_that_is_closed_in_another_context_closes(by: str) -> None:
    """As the event loop does with what is left at its end; the context it is closed in stays as it is."""
    call = CALLS[by](InterceptorRegistry(Container(), current_user=waits))
    context = contextvars.copy_context()
    while context.run(call.send, None) is None:  # a checkpoint of anyio's
        pass
    call.close()
    with pytest.raises(OutsideInvocationError):
        InvocationBindings.context()


async def test_hundreds_of_calls_at_once_see_their_own_context() -> None:
    """Whatever the order in which they go on."""
    registry = InterceptorRegistry()

    async def mine(number: int) -> bool:
        await anyio.sleep(0)
        before = InvocationBindings.context().args["number"]
        await anyio.sleep(0)
        return bool(before == number == InvocationBindings.context().args["number"])

    entry = Entry(registry, mine)
    assert all(await asyncio.gather(*(entry(number) for number in range(300))))


# -- an integration of one's own: the example of the README ------------------------------------------------------------


class Consumer:
    """A queue's consumer, as it would be written over a broker's client."""

    def __init__(self, registry: InterceptorRegistry, function: Any) -> None:
        self.entry = Entry(registry, function, source="queue", context_class=QueueContext)

    @asynccontextmanager
    async def started(self) -> AsyncIterator["Consumer"]:
        self.entry.check()
        yield self

    async def receive(self, message_id: str, body: dict[str, Any]) -> Any:
        ctx = self.entry.context((), body)
        ctx.message_id = message_id  # type: ignore[attr-defined]
        return await self.entry.run(ctx)


async def test_messages_of_a_queue_go_through_the_chain() -> None:
    """With keys, groups, skips and explain as anywhere."""
    seen: list[str] = []

    async def deduplicate(ctx: QueueContext, next: Next) -> Any:
        if ctx.message_id in seen:
            return "seen before"
        seen.append(ctx.message_id)
        return await next()

    registry = InterceptorRegistry()
    registry.bind("deduplicate", deduplicate)

    @intercept("deduplicate")
    async def handle_order(order_id: int) -> int:
        return order_id

    async with Consumer(registry, handle_order).started() as consumer:
        assert await consumer.receive("a", {"order_id": 1}) == 1
        assert await consumer.receive("a", {"order_id": 1}) == "seen before"
