"""Declaring events and handlers: what is refused where it is written, and what a handler's parameters get."""

import functools
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import Request, Response
from pydantic import BaseModel, Field, Json, computed_field
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypeAliasType

from interceptors import (
    InterceptorRegistry,
    InvalidTargetError,
    InvocationContext,
    UnknownKeyError,
    WrongCallError,
    annotate,
    intercept,
    skip_interceptors,
)
from interceptors.events import EventContext, EventDispatcher, EventError, UnknownEventError, event
from interceptors.events.handlers import EventHandler
from interceptors.events.marks import EventOptions, event_options
from interceptors.events.own_session import OwnSession
from tests.unit.helpers import place


class Paid(BaseModel):
    order_id: int


class Shipped(BaseModel):
    order_id: int


class Named(BaseModel):
    event_name: ClassVar[str] = "order.named"
    order_id: int


def dispatcher(registry: InterceptorRegistry | None = None, **options: Any) -> EventDispatcher:
    return EventDispatcher(registry or InterceptorRegistry(), **options)


async def deliver(handler: Callable[..., Any], sent: BaseModel, registry: InterceptorRegistry | None = None) -> None:
    events = dispatcher(registry, sessions=lambda: None)
    assert events.on(type(sent))(handler) is handler
    async with events:
        await events.publish(sent)


async def test_the_parameter_with_the_class_is_the_event() -> None:
    """Whatever its name and place; the others are given by name, or have a default."""
    seen: list[Any] = []

    async def handle(
        attempt: int, session: Annotated[Paid, "note"], /, other: int = 5, *, event_id: str, **rest: Any
    ) -> None:
        seen.append((attempt, session, other, len(event_id), rest))

    await deliver(handle, Paid(order_id=1))
    assert seen == [(1, Paid(order_id=1), 5, 32, {})]


async def test_else_the_first_without_a_special_name() -> None:
    """Without an annotation, or with a wider one."""
    seen: list[Any] = []

    async def bare(event_id, paid, *args):  # type: ignore[no-untyped-def]
        seen.append(paid)

    def wide(what: BaseModel, ctx: Any) -> None:
        seen.append(ctx.args["what"] is what)

    async def either(what: "Paid | Shipped") -> None:
        seen.append(what)

    async def none(attempt: int = 7) -> None:
        seen.append(attempt)

    for handler in (bare, wide, either, none):
        await deliver(handler, Paid(order_id=1))
    assert seen == [Paid(order_id=1), True, Paid(order_id=1), 1]


async def test_injected_parameters() -> None:
    """`Provide[...]`, and the context by its type."""

    class Container(containers.DeclarativeContainer):
        mailer = providers.Object("mailer")

    seen: list[Any] = []

    async def handle(
        event: Paid, about: EventContext, outer: InvocationContext, mailer: Annotated[str, Provide["mailer"]]
    ) -> None:
        seen.append((about is outer, about.name, about.attempt, mailer, about.args.names, about.method_name))

    await deliver(handle, Paid(order_id=1), InterceptorRegistry(Container()))
    assert seen == [(True, "Paid", 1, "mailer", ("event",), "handle")]


async def test_what_an_alias_of_an_alias_injects_is_no_event() -> None:
    """A handler's parameter behind aliases, generic and in a union, is given what the container has."""
    Mailer = TypeAliasType("Mailer", Annotated[str, Provide["mailer"]])
    Again = TypeAliasType("Again", Mailer)
    T = TypeVar("T")
    Maybe = TypeAliasType("Maybe", T | None, type_params=(T,))
    About = TypeAliasType("About", EventContext)

    class Container(containers.DeclarativeContainer):
        mailer = providers.Object("mailer")

    seen: list[Any] = []

    async def handle(first: Again, second: Maybe[Again], about: Maybe[About], event: Paid) -> None:
        seen.append((first, second, about.name, event))

    await deliver(handle, Paid(order_id=1), InterceptorRegistry(Container()))
    assert seen == [("mailer", "mailer", "Paid", Paid(order_id=1))]


def _takes_unknown(event: Paid, customer: str) -> None: ...
def _takes_request(event: Paid, request: Request) -> None: ...
def _takes_response(event: Paid, response: Response) -> None: ...
def _takes_another(event: Shipped) -> None: ...
def _generates(event: Paid) -> Any:
    yield


class _Handlers:
    def method(self, event: Paid) -> None: ...

    def __call__(self, event: Paid) -> None: ...


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (_takes_unknown, "'customer'.*event_id, attempt, session, database, ctx"),
        (_takes_request, "request.*Put what you need of it into the event"),
        (_takes_response, "response"),
        (_takes_another, "handles Paid.*'event' is annotated Shipped"),
        (_generates, "generator"),
        (_Handlers, "no function"),
        (_Handlers().method, "no function"),
        (_Handlers(), "no function"),
        (functools.partial(_takes_another), "no function"),
        (staticmethod(_takes_another), "no function"),
        (print, "no function"),
        (None, "no function"),
    ],
)
def test_what_cannot_handle_an_event_is_refused(handler: Any, says: str) -> None:
    """Where it is declared, with its place and what to write instead."""
    with pytest.raises(EventError, match=f"(?s){says}") as error:
        dispatcher().on(Paid)(handler)
    if callable(handler) and hasattr(handler, "__code__"):
        assert place(handler) in str(error.value)


@pytest.mark.parametrize("thing", [dict, int])
def test_what_is_no_event(thing: Any) -> None:
    """Only classes of pydantic's models."""
    with pytest.raises(EventError, match="is no event.*BaseModel"):
        dispatcher().on(thing)


@pytest.mark.parametrize("thing", [Paid(order_id=1), "Paid", None, BaseModel.model_validate])
def test_what_is_no_class_is_no_event(thing: Any) -> None:
    """An event is named by its class, not by its name or by one of its objects."""
    with pytest.raises(WrongCallError, match=re.escape("Write `@events.on(OrderPaid)`.")):
        dispatcher().on(thing)


def test_a_name_that_is_none() -> None:
    """`event_name` has to be a text, and fit an outbox."""
    for name in ("", 5):
        with pytest.raises(EventError, match="event_name"):
            dispatcher().on(
                type("Odd", (BaseModel,), {"event_name": name, "__annotations__": {"event_name": ClassVar[Any]}})
            )
    with pytest.raises(EventError, match="255"):
        dispatcher().on(type("L" * 256, (BaseModel,), {}))(_nothing)
    with pytest.raises(EventError, match="255"):
        dispatcher().on(Paid, name="h" * 256)(_nothing)
    with pytest.raises(EventError, match="at least one"):
        dispatcher().on(Paid, attempts=0)(_nothing)


async def _nothing(event: Any) -> None: ...


async def test_names_of_events() -> None:
    """The class's, or its own `event_name`; a subclass does not inherit it."""

    class More(Named):
        pass

    events = dispatcher()
    seen: list[str] = []

    @events.on(Named)
    @events.on(More)
    async def handle(event: Named, ctx: EventContext) -> None:
        seen.append(f"{ctx.name} {ctx.source}")

    async with events:
        await events.publish(Named(order_id=1))
        await events.publish(More(order_id=1))
    assert seen == ["order.named event order.named", "More event More"]


async def test_two_classes_of_one_name() -> None:
    """Are refused where the second one is handled, or published."""
    events = dispatcher()
    events.on(Paid)(_nothing)
    other = type("Paid", (BaseModel,), {})
    with pytest.raises(EventError, match="both called 'Paid'.*event_name"):
        events.on(other)(_nothing)
    async with events:
        with pytest.raises(EventError, match="is not the event that is handled as 'Paid'"):
            await events.publish(other())


async def test_an_event_without_a_handler() -> None:
    """Is an error, with the names that look alike."""
    events = dispatcher()
    events.on(Shipped)(_nothing)
    async with events:
        with pytest.raises(UnknownEventError, match="'Shiped'.*Did you mean 'Shipped'") as error:
            await events.publish(type("Shiped", (BaseModel,), {})())
        with pytest.raises(LookupError, match="'Named'"):
            await events.publish(type("Named", (BaseModel,), {})())
    assert (error.value.name, error.value.nearest) == ("Shiped", ["Shipped"])


def test_two_handlers_of_one_name() -> None:
    """Of one event are refused, both named with their places; of two events they are fine."""
    events = dispatcher()
    events.on(Paid, name="h")(_nothing)
    events.on(Shipped, name="h")(_nothing)
    with pytest.raises(EventError) as error:
        events.on(Paid, name="h")(_takes_unknown_with_default)
    assert place(_nothing) in str(error.value) and place(_takes_unknown_with_default) in str(error.value)


def _takes_unknown_with_default(event: Paid, customer: str = "") -> None: ...


def test_options_that_need_more() -> None:
    """`durable` needs an outbox, a session sessions, a broker an outbox; numbers have their limits."""
    events = dispatcher()
    with pytest.raises(EventError, match="no outbox"):
        events.on(Paid, durable=True)(_nothing)

    async def session(event: Paid, session: AsyncSession) -> None: ...
    async def database(event: Paid, database: AsyncSession) -> None: ...

    for handler in (session, database):
        with pytest.raises(EventError, match="takes a session.*sessions="):
            events.on(Paid)(handler)
    with pytest.raises(EventError, match="outbox"):
        dispatcher(broker=object())
    for options in ({"max_running": 0}, {"drain": -1.0}, {"drain": float("nan")}):
        with pytest.raises(ValueError):
            dispatcher(**options)
    assert not events.stores(EventHandler("Paid", "h", _nothing, lambda ctx: {}))


async def test_a_session_that_nobody_makes() -> None:
    """`ctx.session` says what to give the dispatcher; a relay without an outbox is an error, too."""
    with pytest.raises(EventError, match="sessions="):
        OwnSession(None).get()
    with pytest.raises(EventError, match="without an outbox"):
        await dispatcher().relay()


async def test_chains_are_compiled_when_the_dispatcher_is_entered() -> None:
    """An unknown key fails at start-up, and where a handler comes later, there."""
    events = dispatcher()

    @events.on(Paid)
    @intercept("missing")
    async def handle(event: Paid) -> None: ...

    with pytest.raises(UnknownKeyError, match="missing"):
        async with events:
            raise AssertionError
    later = dispatcher()
    async with later:
        with pytest.raises(UnknownKeyError):
            later.on(Paid)(handle)
    assert not later._has("Paid")


class Shipped(BaseModel):
    order_id: int


def layer(name: str) -> Any:
    async def interceptor(ctx: Any, next: Any) -> Any:
        return await next()

    return interceptor


SHARED: dict[str, tuple[Any, bool]] = {
    "decorated for each": (
        lambda events, f: [events.on(e)(intercept(layer("a"))(f)) for e in (Paid, Shipped)],
        True,
    ),
    "decorated for one": (lambda events, f: [events.on(Paid)(f), events.on(Shipped)(annotate(public=True)(f))], True),
    "decorated after one": (lambda events, f: [skip_interceptors()(events.on(Paid)(f)), events.on(Shipped)(f)], True),
    "decorated before both": (
        lambda events, f: [events.on(e)(f) for f in [intercept(layer("a"))(f)] for e in (Paid, Shipped)],
        False,
    ),
    "for one event": (lambda events, f: [events.on(Paid, name=n)(annotate()(f)) for n in ("one", "two")], False),
    "not at all": (lambda events, f: [events.on(e)(f) for e in (Paid, Shipped)], False),
}


@pytest.mark.parametrize("kind", SHARED)
async def test_a_handler_of_two_events_is_not_decorated_for_one_of_them(kind: str) -> None:
    """It would be for both; what was decorated before it was declared for any is right."""
    declare, is_refused = SHARED[kind]
    events = dispatcher()

    async def handle(event: BaseModel) -> None: ...

    declare(events, handle)
    if not is_refused:
        async with events:
            return
    with pytest.raises(InvalidTargetError, match="handle .* stands in 2 places.*the event 'Paid'; the event 'Shipped'"):
        async with events:
            raise AssertionError


async def test_decorators_above_a_handler_count_for_all_its_events() -> None:
    """In any order."""
    events = dispatcher()

    @annotate(a=1)
    @events.on(Paid)
    @intercept(layer("a"))
    @events.on(Shipped)
    @skip_interceptors(layer("b"))
    async def handle(event: BaseModel) -> None: ...

    async with events:
        assert handle.__name__ == "handle"


class Rich(BaseModel):
    """An event whose JSON would not make it again by itself."""

    amount: int = Field(alias="theAmount")
    raw: Json[list[int]]

    @computed_field
    @property
    def double(self) -> int:
        return self.amount * 2

    model_config = {"extra": "forbid"}


async def test_a_snapshot_makes_the_same_event_again() -> None:
    """By the names of its fields, computed ones left out."""
    seen: list[Any] = []

    async def handle(event: Rich, ctx: EventContext) -> None:
        seen.append((event, ctx.payload))

    sent = Rich(theAmount=4, raw="[1, 2]")  # type: ignore[arg-type]
    await deliver(handle, sent)
    assert seen == [(sent, {"amount": 4, "raw": "[1,2]"})]


async def test_what_json_cannot_say_is_the_publishers_error() -> None:
    """In every mode."""
    events = dispatcher()

    class Measured(BaseModel):
        value: float

    events.on(Measured)(_nothing)
    async with events:
        with pytest.raises(EventError, match="'Measured' cannot be written as JSON"):
            await events.publish(Measured(value=float("nan")))
        with pytest.raises(EventError, match="JSON"):
            await events.emit("Measured", {"value": object()})


def test_the_mark_only_records() -> None:
    """`@event` gives the very function back; what was not marked has the defaults."""

    def plain(item: Any) -> None: ...

    def marked(item: Any) -> None: ...

    assert event(durable=False, attempts=3)(marked) is marked
    assert event_options(marked) == EventOptions(durable=False, attempts=3)
    assert event_options(plain) == EventOptions(None, None)
    with pytest.raises(EventError, match="no function"):
        event()(_Handlers)
