"""Events of resources: when they start, what they are told, whose session they have, and which are stored."""

import asyncio
import enum
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from dependency_injector.wiring import Provide
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy import Numeric, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from interceptors import InterceptorRegistry, InvalidTargetError, InvocationBindings, UnknownKeyError, intercept
from interceptors.events import EventContext, EventDispatcher, EventError, Outbox, event
from interceptors.resources import (
    ApiError,
    Conditions,
    Handler,
    HookParameterError,
    Resource,
    ResourceContext,
    Resources,
)
from tests.integration.resources.site_support import (
    UNIQUE,
    Base,
    Database,
    Post,
    Site,
    User,
    database_of,
    only,
    taking,
    watch,
)
from tests.integration.resources.test_life_cycles import CALLS, names_of
from tests.integration.support import Next, client_of, started

AFTER_WRITE = {
    Handler.INSERT: "on_after_insert",
    Handler.UPDATE: "on_after_update",
    Handler.PATCH: "on_after_patch",
    Handler.DELETE: "on_after_delete",
}
AT_ONCE = [(handler, name) for handler in Handler for name in names_of(handler) if name != AFTER_WRITE.get(handler)]


async def seed(database: Database) -> None:
    """A user with two posts."""
    await database.add(
        User(name="ann", email="a@x", secret="s"),
        Post(user_id=1, title="first", note="private"),
        Post(user_id=1, title="second"),
    )


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    await seed(database)
    return site


async def call(site: Site, handler: Handler) -> Any:
    async with site.client() as client:
        return await CALLS[handler](client, nested=True)


# -- when they start -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("handler", "name"), [each for each in AT_ONCE if each[1] != names_of(each[0])[-1]])
async def test_events_start_at_their_place(shop: Site, handler: Handler, name: str):
    """A Before- or Query-event has started before a later hook is done: it does not wait for the request."""
    has_started = asyncio.Event()
    shop.use(*only(handler))

    @shop.event(Post, name)
    async def handle() -> None:
        has_started.set()

    @shop.hook(Post, names_of(handler)[names_of(handler).index(name) + 1])
    async def later() -> None:
        await asyncio.wait_for(has_started.wait(), 60)

    assert (await call(shop, handler)).is_success


@pytest.mark.parametrize("handler", list(Handler))
async def test_events_are_not_awaited(shop: Site, handler: Handler):
    """The client has its answer while every event of the request still runs."""
    answered = asyncio.Event()
    ended: list[str] = []
    shop.use(*only(handler))

    @shop.event(Post, *names_of(handler))
    async def handle(ctx: EventContext) -> None:
        await asyncio.wait_for(answered.wait(), 60)
        ended.append(ctx.name)

    async with shop.client() as client:
        assert (await CALLS[handler](client, nested=True)).is_success
        assert ended == []
        answered.set()
    assert sorted(ended) == sorted(f"Post.{name}" for name in names_of(handler))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("handler", AFTER_WRITE)
async def test_after_events_start_after_the_commit(shop: Site, database: Database, handler: Handler):
    """The After-event of a write finds in a session of its own what was written."""
    journal: list[str] = []
    found: list[Any] = []
    shop.use(*only(handler))

    @shop.event(Post, AFTER_WRITE[handler])
    async def handle(session: AsyncSession) -> None:
        journal.append("event")
        found.extend(await session.scalars(select(Post.title).order_by(Post.id)))

    async with shop.client() as client:
        watch(database, journal)
        await CALLS[handler](client, nested=True)
    assert journal[journal.index("event") - 1] == "commit"
    assert (
        found
        == {
            Handler.INSERT: ["first", "second", "third"],
            Handler.UPDATE: ["changed", "second"],
            Handler.PATCH: ["changed", "second"],
            Handler.DELETE: ["second"],
        }[handler]
    )


def api_error(ctx: ResourceContext) -> None:
    raise ApiError("no")


def http_error(ctx: ResourceContext) -> None:
    raise HTTPException(418)


def any_error(ctx: ResourceContext) -> None:
    raise ZeroDivisionError


def bad_status(ctx: ResourceContext) -> None:
    ctx.response.status_code = 422


ENDS = [api_error, http_error, any_error, bad_status]


@pytest.mark.parametrize("handler", AFTER_WRITE)
@pytest.mark.parametrize("end", ENDS)
async def test_no_after_event_of_what_is_rolled_back(
    shop: Site, database: Database, handler: Handler, end: Callable[[ResourceContext], None]
):
    """The request fails after the event was due: what came before runs on, the After-event of the write never starts."""
    names: list[str] = []
    shop.use(*only(handler))
    before = await database.values(Post.title)

    @shop.event(Post, *names_of(handler))
    async def handle(ctx: EventContext) -> None:
        names.append(ctx.name.removeprefix("Post."))

    async def failing(ctx: ResourceContext, next: Next) -> Any:
        result = await next()
        end(ctx)
        return result

    shop.registry.add_global(failing, source="route")
    assert (await call(shop, handler)).is_error
    assert names == names_of(handler)[:-1]
    assert await database.values(Post.title) == before


async def test_a_response_that_refuses_stops_the_after_event(shop: Site):
    """A `Response` from 400 on that leaves the chain rolls back, and the After-event does not start."""
    names: list[str] = []
    shop.use(*only(Handler.INSERT))

    @shop.event(Post, "on_before_insert", "on_after_insert")
    async def handle(ctx: EventContext) -> None:
        names.append(ctx.name)

    async def refuse(ctx: Any, next: Next) -> Any:
        await next()
        return Response("no", 409)

    shop.registry.add_global(refuse, source="route")
    assert (await call(shop, Handler.INSERT)).status_code == 409
    assert names == ["Post.on_before_insert"]


@pytest.mark.parametrize(("handler", "name"), [(h, n) for h in Handler for n in names_of(h)])
async def test_a_hook_that_fails_stops_its_own_event(shop: Site, handler: Handler, name: str):
    """Events that have started go on; that of the failing hook and all later ones do not start."""
    names: list[str] = []
    shop.use(*only(handler))

    @shop.event(Post, *names_of(handler))
    async def handle(ctx: EventContext) -> None:
        names.append(ctx.name.removeprefix("Post."))

    @shop.hook(Post, name)
    async def fail() -> None:
        raise ApiError("no")

    assert (await call(shop, handler)).status_code == 400
    assert names == names_of(handler)[: names_of(handler).index(name)]


@pytest.mark.parametrize(
    ("handler", "name"),
    [(h, names_of(h)[0]) for h in (Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE)],
)
async def test_the_event_before_a_missing_row(shop: Site, handler: Handler, name: str):
    """A row that is not there is a 404 after the first hook and its event."""
    names: list[str] = []
    shop.use(*only(handler))

    @shop.event(Post, *names_of(handler))
    async def handle(ctx: EventContext) -> None:
        names.append(ctx.name.removeprefix("Post."))

    async with shop.client() as client:
        answer = await client.request(CALLS[handler].verb, "/posts/77", json=CALLS[handler].body)
    assert answer.status_code == 404
    assert names == [name]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("savepoint", [True, False], ids=["savepoint", "plain"])
async def test_a_retry_and_its_events(shop: Site, database: Database, savepoint: bool):
    """A try that was rolled back to a savepoint has no After-event; without one both tries are real, and so are both events."""
    told: list[Any] = []
    tries: list[int] = []
    shop.use(*only(Handler.INSERT))

    @shop.event(Post, "on_after_insert")
    async def handle(item: dict[str, Any]) -> None:
        told.append(item["title"])

    @shop.hook(Post)
    async def on_before_insert(form_data: dict[str, Any]) -> None:
        form_data["title"] = f"try {len(tries)}"

    async def retry(ctx: ResourceContext, next: Next) -> Any:
        try:
            if not savepoint:
                return await next()
            async with ctx.session.begin_nested():
                return await next()
        except LookupError:
            return await next()

    async def fail_once(ctx: ResourceContext, next: Next) -> Any:
        result = await next()
        tries.append(1)
        if len(tries) == 1:
            raise LookupError
        return result

    shop.registry.add_global(retry, source="route")
    shop.registry.add_global(fail_once, source="route")
    assert (await call(shop, Handler.INSERT)).json()["title"] == "try 1"
    expected = ["try 1"] if savepoint else ["try 0", "try 1"]
    assert told == expected
    assert await database.values(Post.title) == ["first", "second", *expected]


@pytest.mark.parametrize("handler", AFTER_WRITE)
async def test_without_a_transaction_after_events_start_at_their_place(shop: Site, handler: Handler):
    """What was written is committed by then: the event starts although the request fails later."""
    names: list[str] = []
    shop.transaction = False
    shop.use(*only(handler))

    @shop.event(Post, AFTER_WRITE[handler])
    async def handle(ctx: EventContext, session: AsyncSession) -> None:
        names.append(ctx.name)

    async def failing(ctx: ResourceContext, next: Next) -> Any:
        await next()
        raise ApiError("no")

    shop.registry.add_global(failing, source="route")
    assert (await call(shop, handler)).status_code == 400
    assert names == [f"Post.{AFTER_WRITE[handler]}"]


async def test_an_event_that_fails_is_logged(shop: Site, caplog: pytest.LogCaptureFixture):
    """It is logged at ERROR on `interceptors.events` with the event's name; the client notices nothing."""
    shop.use(*only(Handler.INSERT))

    @shop.event(Post, "on_before_insert", "on_after_insert")
    async def handle() -> None:
        raise ZeroDivisionError("event")

    assert (await call(shop, Handler.INSERT)).status_code == 201
    logged = [(r.name, r.levelno) for r in caplog.records]
    assert logged == [("interceptors.events", logging.ERROR)] * 2
    assert "Post.on_before_insert" in caplog.messages[0]
    assert "Post.on_after_insert" in caplog.messages[1]


async def test_without_a_running_dispatcher(shop: Site, database: Database, caplog: pytest.LogCaptureFixture):
    """Where no lifespan has started the dispatcher a write whose event could not be told of is an error, and undone."""
    shop.use(*only(Handler.INSERT))

    @shop.event(Post)
    async def on_after_insert() -> None:
        raise AssertionError

    shop.app.include_router(shop.router())
    async with client_of(shop.app) as client:
        assert (await client.post("/posts", json={"user_id": 1, "title": "third"})).status_code == 500
    assert "enter the dispatcher first" in caplog.text
    assert await database.count(Post) == 2


# -- what they are told ------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Own(DeclarativeBase):
    pass


class Thing(Own):
    __tablename__ = f"things_{UNIQUE}"

    key: Mapped[UUID] = mapped_column(primary_key=True)
    made: Mapped[datetime]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    data: Mapped[bytes | None]
    colour: Mapped[Colour]


class ThingResource(Resource):
    model = Thing
    fillable = {"key", "made", "price", "data", "colour"}


KEY = "6f3c1a5e-0000-4000-8000-000000000001"
SENT = {"key": KEY, "made": "2026-05-04T03:02:01", "price": "12.50", "data": "/wA=", "colour": "red"}


@pytest.fixture
async def things(tmp_path: Path) -> AsyncIterator[Site]:
    """A resource whose columns are no JSON values."""
    async with database_of("sqlite", tmp_path, metadata=Own.metadata) as database:
        yield Site(database, (ThingResource,))


async def test_json_values(things: Site):
    """Datetimes are ISO strings and bytes base64 in every mode; hooks get Python values."""
    hooked: list[Any] = []
    told: list[Any] = []

    @things.hook(Thing)
    async def on_after_update(item: dict[str, Any], form_data: dict[str, Any], params: dict[str, Any]) -> None:
        hooked.append((item, form_data, params))

    @things.event(Thing, "on_after_update")
    async def handle(item: dict[str, Any], form_data: dict[str, Any], params: dict[str, Any]) -> None:
        told.append((item, form_data, params))

    @things.event(Thing)
    async def on_after_paginate(result: dict[str, Any]) -> None:
        told.append(result["data"])

    @things.event(Thing)
    async def on_after_show(item: dict[str, Any]) -> None:
        told.append(item)

    async with things.client() as client:
        assert (await client.post("/things", json=SENT)).status_code == 201
        assert (await client.put(f"/things/{KEY}", json={"price": 13})).status_code == 200
        assert (await client.get("/things")).json()["data"] == [{**SENT, "price": "13.00"}]
        assert (await client.get(f"/things/{KEY}")).json() == {**SENT, "price": "13.00"}
    item = {
        "key": UUID(KEY),
        "made": datetime(2026, 5, 4, 3, 2, 1),
        "price": Decimal("13.00"),
        "data": b"\xff\x00",
        "colour": Colour.RED,
    }
    assert hooked == [(item, {"price": Decimal(13)}, {"key": UUID(KEY)})]
    row = {**SENT, "price": "13.00"}
    assert told == [(row, {"price": "13"}, {"key": KEY}), [row], row]


class Made(BaseModel):
    made: datetime
    colour: Colour


async def test_parsed_parameters(things: Site):
    """A parameter annotated with another type than dict, list or Any is parsed by pydantic; these stay JSON values."""
    told: list[Any] = []

    @things.event(Thing)
    async def on_after_insert(item: Made, form_data: dict[str, str], params: Any) -> None:
        told.append((item, form_data["made"], params))

    @things.event(Thing)
    async def on_after_paginate(result: dict[str, list[Made] | Any]) -> None:
        told.append(type(result["data"][0]))

    @things.event(Thing)
    async def on_after_update(item: "Made", params: dict) -> None:
        told.append((type(item), params))

    async with things.client() as client:
        await client.post("/things", json=SENT)
        await client.put(f"/things/{KEY}", json={"price": 1})
        await client.get("/things")
    made = Made(made=datetime(2026, 5, 4, 3, 2, 1), colour=Colour.RED)
    assert told == [(made, "2026-05-04T03:02:01", {}), (Made, {"key": KEY}), dict]


class StrictlyMade(BaseModel, strict=True):
    key: UUID
    made: datetime


async def test_parsed_by_a_strict_model(things: Site):
    """What is told is JSON, so a strict model takes a text for a datetime, as it does of a declared event."""
    told: list[Any] = []

    @things.event(Thing)
    async def on_after_insert(item: StrictlyMade) -> None:
        told.append(item)

    async with things.client() as client:
        await client.post("/things", json=SENT)
    assert told == [StrictlyMade(key=UUID(KEY), made=datetime(2026, 5, 4, 3, 2, 1))]


async def test_a_snapshot_does_not_change(shop: Site):
    """What later hooks do to `form_data` and `item` does not show in an event that has been started."""
    go_on = asyncio.Event()
    told: list[Any] = []
    shop.use(*only(Handler.PATCH))

    @shop.event(Post, "on_before_patch")
    async def early(form_data: dict[str, Any], item: dict[str, Any], query: Select[Any]) -> None:
        await asyncio.wait_for(go_on.wait(), 60)
        told.append((form_data, item["title"], query.whereclause is None))

    @shop.hook(Post)
    async def on_before_patch(form_data: dict[str, Any]) -> None:
        form_data["stars"] = 1

    @shop.hook(Post)
    async def on_after_patch(ctx: ResourceContext) -> None:
        ctx.form_data["title"] = "later"
        ctx.item["title"] = "later"
        ctx.query = ctx.query.where(Post.id == 0)

    async with shop.client() as client:
        assert (await client.patch("/posts/1", json={"title": "sent"})).json()["title"] == "later"
        go_on.set()
    assert told == [({"title": "sent", "stars": 1}, "first", True)]


async def test_a_snapshot_of_conditions(shop: Site):
    """`conditions` of an event in this process are a copy of then."""
    go_on = asyncio.Event()
    told: list[Any] = []
    shop.use(*only(Handler.ALL))

    @shop.event(Post)
    async def on_before_all(conditions: Conditions) -> None:
        await asyncio.wait_for(go_on.wait(), 60)
        told.append(conditions)
        conditions.per_page = 99

    @shop.hook(Post)
    async def on_after_all(conditions: Conditions) -> None:
        conditions.page = 7
        conditions.q.append("changed")

    async with shop.client() as client:
        assert (await client.get("/posts/all")).status_code == 200
        go_on.set()
    assert told == [Conditions(per_page=99)]


async def test_an_event_changes_nothing_of_the_request(shop: Site, database: Database):
    """Code of an event that runs while the request still does cannot reach its `form_data`."""
    changed = asyncio.Event()
    shop.use(*only(Handler.UPDATE))

    @shop.event(Post)
    async def on_after_update_query(item: dict[str, Any], params: dict[str, Any]) -> None:
        item["title"] = params["id"] = "from the event"
        changed.set()

    @shop.event(Post, "on_before_update")
    async def early(form_data: dict[str, Any]) -> None:
        form_data["title"] = "from the event"

    @shop.hook(Post)
    async def on_before_update(item: dict[str, Any], params: dict[str, Any]) -> None:
        await asyncio.wait_for(changed.wait(), 60)
        assert (item["title"], params["id"]) == ("first", 1)

    assert (await call(shop, Handler.UPDATE)).json()["title"] == "changed"
    assert await database.values(Post.title) == ["changed", "second"]


async def test_hidden_columns_are_not_told(shop: Site):
    """They are in no `item`, `form_data` or `result`, nor in rows loaded by `with`, at any depth."""
    told: list[Any] = []
    names = {name for handler in Handler for name in names_of(handler)}
    for name in names:
        for model in (User, Post):
            note = taking(["ctx"], lambda given: told.append(given["ctx"].payload), called=name)
            shop.event(model, name)(note)
    secrets = {"name": "bob", "secret": "covert"}
    async with shop.client() as client:
        for answer in (
            await client.post("/users", json=secrets),
            await client.put("/users/1", json={"secret": "covert"}),
            await client.patch("/users/1", json={"secret": "covert"}),
            await client.post("/users/1/posts", json={"title": "x", "note": "covert"}),
            await client.put("/users/1/posts/1", json={"note": "covert"}),
            await client.get("/users?with=posts"),
            await client.get("/users/all?with=posts"),
            await client.get("/users/1?with=posts{title|user}"),
            await client.get("/posts/1?with=user{name|posts}"),
            await client.delete("/users/2"),
        ):
            assert answer.is_success, answer.text
    assert len(told) == 2 + 4 + 4 + 2 + 4 + 2 + 2 + 2 + 2 + 4
    assert "covert" not in str(told)
    assert "private" not in str(told)
    assert "'posts': [{" in str(told)


async def test_facts(shop: Site):
    """`event_facts` says what every event is told besides, asked right after the hook, as JSON values; it may be async."""
    told: list[Any] = []

    async def facts(ctx: ResourceContext) -> dict[str, Any]:
        return {"by": await ctx.get("who"), "at": datetime(2026, 1, 1, tzinfo=UTC), "handler": ctx.handler}

    async def authenticate(ctx: ResourceContext, next: Next) -> Any:
        ctx.bind_request("who", ctx.request.headers["x-user"])
        return await next()

    shop.event_facts = facts
    shop.use(*only(Handler.INSERT))
    shop.registry.add_global(authenticate, source="route")

    @shop.event(Post, "on_before_insert", "on_after_insert")
    async def handle(facts: dict[str, Any]) -> None:
        told.append(facts)

    async with shop.client() as client:
        sent = {"user_id": 1, "title": "third"}
        assert (await client.post("/posts", json=sent, headers={"x-user": "ann"})).status_code == 201
    assert told == [{"by": "ann", "at": "2026-01-01T00:00:00Z", "handler": "INSERT"}] * 2


async def test_facts_that_are_no_json(shop: Site, caplog: pytest.LogCaptureFixture):
    """Facts that cannot be written as JSON are an error of the program, and the request fails."""
    shop.event_facts = lambda ctx: {"ctx": object()}
    shop.use(*only(Handler.SHOW))

    @shop.event(Post)
    async def on_before_show() -> None:
        raise AssertionError

    assert (await call(shop, Handler.SHOW)).status_code == 500
    assert "PydanticSerializationError" in caplog.text


async def test_the_request_in_an_event(shop: Site):
    """In process an event may look at the request's headers and address; the body is not there any more."""
    told: list[Any] = []
    shop.use(*only(Handler.INSERT))

    @shop.event(Post)
    async def on_after_insert(request: Request) -> None:
        told.append((request.method, request.url.path, request.headers["x-a"], request.query_params["b"]))
        with pytest.raises(RuntimeError):
            await request.body()
        told.append("no body")

    async with shop.client() as client:
        sent = {"user_id": 1, "title": "third"}
        assert (await client.post("/posts?b=c", json=sent, headers={"x-a": "1"})).status_code == 201
    assert told == [("POST", "/api/posts", "1", "c"), "no body"]


# -- whose session, bindings and context variables --------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["session", "database"])
async def test_an_events_session_is_committed(shop: Site, database: Database, parameter: str):
    """It is the handler's own, committed when the handler returns."""
    shop.use(*only(Handler.INSERT))

    async def write(given: dict[str, Any]) -> None:
        await given[parameter].execute(insert(User).values(name="event"))

    shop.event(Post, "on_after_insert")(_awaiting(parameter, write))
    assert (await call(shop, Handler.INSERT)).status_code == 201
    assert await database.values(User.name) == ["ann", "event"]


def _awaiting(parameter: str, work: Callable[[dict[str, Any]], Any]) -> Any:
    if parameter == "session":

        async def handle(session: AsyncSession) -> None:
            await work({"session": session})
    else:

        async def handle(database: AsyncSession) -> None:
            await work({"database": database})

    return handle


async def test_an_events_session_is_rolled_back(shop: Site, database: Database, caplog: pytest.LogCaptureFixture):
    """What a failing handler did in its session is undone; what the request wrote stays."""
    shop.use(*only(Handler.INSERT))

    @shop.event(Post)
    async def on_after_insert(session: AsyncSession) -> None:
        await session.execute(insert(User).values(name="event"))
        raise ZeroDivisionError

    assert (await call(shop, Handler.INSERT)).status_code == 201
    assert await database.values(User.name) == ["ann"]
    assert await database.count(Post) == 3
    assert "ZeroDivisionError" in caplog.text


variable: ContextVar[str] = ContextVar("variable")


async def test_nothing_of_the_request_is_inherited(shop: Site):
    """Neither context variables, nor what was bound on the invocation or the request, nor its user reach an event."""
    told: list[Any] = []
    names = names_of(Handler.UPDATE)
    shop.use(*only(Handler.UPDATE))

    async def bind(ctx: ResourceContext, next: Next) -> Any:
        variable.set("the request's")
        ctx.bind("own", 1)
        ctx.bind_request("shared", 2)
        ctx.bind_request("current_user", "ann")
        ctx.state["key"] = 3
        ctx.request.state.key = 4
        return await next()

    shop.registry.add_global(bind, source="route")

    @shop.event(Post, *names)
    async def handle(ctx: EventContext) -> None:
        found = [await ctx.get(key, default=None) for key in ("own", "shared")]
        assert InvocationBindings.context() is ctx
        told.append((found, await ctx.current_user(), ctx.state, ctx.response, variable.get("nothing")))

    assert (await call(shop, Handler.UPDATE)).status_code == 200
    assert told == [([None, None], None, {}, None, "nothing")] * len(names)


async def test_a_key_that_only_the_request_has(shop: Site, caplog: pytest.LogCaptureFixture):
    """A parameter that an interceptor of the request bound is not given to an event: its delivery fails."""
    shop.use(*only(Handler.UPDATE))

    async def bind(ctx: ResourceContext, next: Next) -> Any:
        ctx.bind_request("shared", 2)
        return await next()

    shop.registry.add_global(bind, source="route")

    @shop.event(Post)
    async def on_before_update(shared: Annotated[int, Provide["shared"]]) -> None:
        raise AssertionError

    assert (await call(shop, Handler.UPDATE)).status_code == 200
    assert UnknownKeyError.__name__ in caplog.text
    assert "AssertionError" not in caplog.text


async def test_events_run_through_the_chain(shop: Site):
    """Globals of the source `event`, then what `@intercept` puts around the function; globals of routes stay away."""
    journal: list[str] = []
    shop.use(*only(Handler.INSERT))

    def layer(name: str) -> Any:
        async def note(ctx: Any, next: Next) -> Any:
            journal.append(f"{name} of {ctx.source}")
            return await next()

        return note

    shop.registry.add_global(layer("general"))
    shop.registry.add_global(layer("routes"), source="route")
    shop.registry.add_global(layer("events"), source="event")

    @shop.event(Post)
    @intercept(layer("own"))
    async def on_after_insert(item: dict[str, Any]) -> None:
        journal.append(f"handler of {item['id']}")

    assert (await call(shop, Handler.INSERT)).status_code == 201
    route, event_ = "route POST /api/users/{user_id}/posts", "event Post.on_after_insert"
    assert journal == [
        f"general of {route}",
        f"routes of {route}",
        f"general of {event_}",
        f"events of {event_}",
        f"own of {event_}",
        "handler of 3",
    ]


async def test_an_interceptor_changes_an_events_arguments(shop: Site):
    """`ctx.args` holds the handler's arguments, and retrying is an interceptor."""
    told: list[Any] = []
    shop.use(*only(Handler.INSERT))

    async def twice(ctx: EventContext, next: Next) -> Any:
        await next()
        ctx.args["item"] = "changed"
        await next()

    @shop.event(Post)
    @intercept(twice)
    async def on_after_insert(item: Any) -> None:
        told.append(item)

    assert (await call(shop, Handler.INSERT)).status_code == 201
    assert [told[0]["title"], told[1]] == ["third", "changed"]


# -- what is refused at start-up ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def stored(database: Database, *resources: type[Resource], **options: Any) -> AsyncIterator["Stored"]:
    """Resources whose events are stored."""
    metadata = Base.metadata.__class__()
    site = Stored(database, metadata, resources, options)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    try:
        yield site
    finally:
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)


class Stored(Site):
    """A site with an outbox that nothing relays by itself."""

    def __init__(self, database: Database, metadata: Any, resources: tuple[type[Resource], ...], options: Any) -> None:
        self.outbox = Outbox(database.sessions, metadata=metadata, table=f"outbox_{UNIQUE}", backoff=0.0)
        super().__init__(database, resources or only(*Handler), **options)

    def renew(self) -> None:
        self.events = EventDispatcher(self.registry, outbox=self.outbox, relay=False)
        super().renew()


async def test_events_need_a_dispatcher(database: Database):
    """An event that nothing would deliver is an EventError that names it."""
    resources = Resources(InterceptorRegistry(), database.sessions)
    resources.add(*only(Handler.SHOW))

    @resources.event(Post)
    async def on_after_show() -> None:
        raise AssertionError

    with pytest.raises(EventError, match=rf"on_after_show .*{Path(__file__).name}:\d+.*EventDispatcher"):
        resources.router()


@pytest.mark.parametrize("decorated", ["for one model", "for each", "before"])
async def test_a_function_of_two_models_is_not_decorated_for_one_of_them(site: Site, decorated: str):
    """It would be for both, so the dispatcher does not start; what was decorated before is right."""

    async def layer(ctx: EventContext, next: Next) -> object:
        return await next()

    async def other(ctx: EventContext, next: Next) -> object:
        return await next()

    async def on_after_insert() -> None:
        raise AssertionError

    def with_layer(function: Any, one: Any) -> Any:
        return intercept(one)(function)

    if decorated == "before":
        with_layer(on_after_insert, layer)
    site.event(User)(with_layer(on_after_insert, other) if decorated == "for each" else on_after_insert)
    site.event(Post)(on_after_insert if decorated == "before" else with_layer(on_after_insert, layer))
    site.router()
    if decorated == "before":
        async with site.events:
            return
    with pytest.raises(
        InvalidTargetError, match=r"the event 'Post\.on_after_insert'; the event 'User\.on_after_insert'"
    ):
        async with site.events:
            raise AssertionError


def test_durable_needs_an_outbox(site: Site):
    """`durable=True` where nothing is stored is an EventError."""

    @site.event(Post, durable=True)
    async def on_after_insert() -> None:
        raise AssertionError

    with pytest.raises(EventError, match=r"on_after_insert .*outbox"):
        site.router()


@pytest.mark.parametrize("name", [name for handler, name in AT_ONCE])
def test_only_after_events_of_writes_are_durable(site: Site, name: str):
    """`durable=True` on any other event is an EventError that says which can be."""
    with pytest.raises(EventError, match="on_after_insert, on_after_update, on_after_patch, on_after_delete"):
        site.event(Post, name, durable=True)(taking((), lambda _: None, called=name))


async def by_type(asked: Request) -> None:
    raise AssertionError


@pytest.mark.parametrize("name", ["request", "query", "type"])
async def test_a_durable_event_asks_for_what_is_stored(database: Database, name: str):
    """Asking for `request` or `query` is an EventError that says what to do; `durable=False` allows it."""
    async with stored(database) as site:
        function = by_type if name == "type" else taking([name], lambda _: None, called="f")
        site.event(Post, "on_after_update")(function)
        with pytest.raises(EventError, match=r"'(request|query)', which exists only in this process.*durable=False"):
            site.router()
        site.renew()
        site.event(Post, "on_after_update", durable=False)(function)
        site.router()


async def test_a_durable_event_needs_a_transaction(database: Database):
    """A durable event of a handler that runs without a transaction is an EventError; in process it may be."""

    class Posts(only(*Handler)[1]):
        transaction = {Handler.UPDATE: False}

    async with stored(database, only(*Handler)[0], Posts) as site:
        for name, refused in [("on_after_update", True), ("on_after_insert", False)]:
            site.renew()
            site.event(Post, name)(taking((), lambda _: None, called=name))
            if refused:
                with pytest.raises(EventError, match=r"UPDATE of .*Posts runs without a transaction.*durable=False"):
                    site.router()
            else:
                site.router()
        site.renew()
        site.event(Post, "on_after_update", durable=False)(taking((), lambda _: None, called="on_after_update"))
        site.router()


async def test_a_patch_by_the_update_event_needs_a_transaction_too(database: Database):
    """PATCH takes the Update event: without a transaction that is an EventError as well."""

    class Posts(only(Handler.PATCH)[1]):
        transaction = {Handler.PATCH: False}

    async with stored(database, only(Handler.PATCH)[0], Posts) as site:
        site.event(Post, "on_after_update")(taking((), lambda _: None, called="on_after_update"))
        with pytest.raises(EventError, match="PATCH"):
            site.router()


def test_no_event_is_given_the_response(site: Site):
    """An event has no answer: asking for it by its type, whatever the parameter is called, is a boot error."""

    async def handle(answer: Response) -> None:
        raise AssertionError

    with pytest.raises(HookParameterError, match="answer"):
        site.event(Post, "on_after_insert")(handle)


# -- stored events -----------------------------------------------------------------------------------------------------------------

ON_ALL = pytest.mark.parametrize("database", ["sqlite", "postgresql", "mysql"], indirect=True)


@ON_ALL
@pytest.mark.parametrize("handler", AFTER_WRITE)
async def test_rows_in_the_callers_transaction(database: Database, handler: Handler):
    """The row is written with the request's: it is there after the commit and not after a rollback; the relay delivers it."""
    told: list[Any] = []
    await seed(database)
    async with stored(database, *only(handler)) as site:
        fails = True

        @site.event(Post, AFTER_WRITE[handler])
        async def handle(item: dict[str, Any], params: dict[str, Any], attempt: int, ctx: EventContext) -> None:
            told.append((item["id"], params, attempt, ctx.name))

        async def end(ctx: ResourceContext, next: Next) -> Any:
            result = await next()
            if fails:
                raise ApiError("no")
            return result

        site.registry.add_global(end, source="route")
        async with site.client() as client:
            assert (await CALLS[handler](client, nested=True)).status_code == 400
            assert await site.outbox.pending() == 0
            fails = False
            assert (await CALLS[handler](client, nested=True)).is_success
            assert (await site.outbox.pending(), told) == (1, [])
            assert await site.events.relay(once=True) == 1
        assert await site.outbox.pending() == 0
    key = {} if handler is Handler.INSERT else {"id": 1}
    assert [(params, *rest) for _, params, *rest in told] == [
        ({"user_id": 1, **key}, 1, f"Post.{AFTER_WRITE[handler]}")
    ]
    assert handler is Handler.INSERT or told[0][0] == 1


@ON_ALL
async def test_the_mode_changes_nothing_for_a_handler(database: Database):
    """A stored event has the same arguments as one in this process."""
    told: list[dict[str, Any]] = []
    await seed(database)
    parameters = ["form_data", "item", "params", "facts", "model", "parent_model", "relation", "handler", "attempt"]

    def note(given: dict[str, Any]) -> None:
        told.append(given)

    async with stored(database, *only(Handler.PATCH), event_facts=lambda ctx: {"by": "ann"}) as site:
        for durable in (None, False):
            site.renew()
            site.event(Post, "on_after_patch", durable=durable)(taking(parameters, note, called="on_after_patch"))
            async with site.client() as client:
                sent = {"title": "same", "note": "covert", "stars": 5}
                assert (await client.patch("/users/1/posts/1", json=sent)).status_code == 200
                await site.events.relay(once=True)
            site.app = FastAPI()
    assert told[0] == told[1]
    assert told[0] == {
        "form_data": {"title": "same", "stars": 5},
        "item": {"id": 1, "user_id": 1, "title": "same", "stars": 5},
        "params": {"user_id": 1, "id": 1},
        "facts": {"by": "ann"},
        "model": Post,
        "parent_model": User,
        "relation": "posts",
        "handler": Handler.PATCH,
        "attempt": 1,
    }


async def test_which_events_are_stored(database: Database):
    """With an outbox the After-events of writes are stored, all others start in this process, as those of durable=False."""
    told: list[str] = []
    await seed(database)

    async with stored(database, *only(Handler.UPDATE, Handler.PATCH, Handler.SHOW)) as site:

        @event(durable=False)
        async def kept_here(ctx: EventContext) -> None:
            told.append(ctx.name)

        async def handle(ctx: EventContext) -> None:
            told.append(ctx.name)

        site.event(Post, *names_of(Handler.UPDATE), *names_of(Handler.SHOW))(handle)
        site.event(Post, "on_after_patch", durable=False)(kept_here)
        async with site.client() as client:
            assert (await client.put("/posts/1", json={"title": "x"})).status_code == 200
            assert await site.outbox.pending() == 1
            assert (await client.get("/posts/1")).status_code == 200
            assert (await client.patch("/posts/1", json={"title": "y"})).status_code == 200
            assert await site.outbox.pending() == 1
        at_once = [*names_of(Handler.UPDATE)[:-1], *names_of(Handler.SHOW), *names_of(Handler.UPDATE)[:-1]]
        assert told == [f"Post.{name}" for name in [*at_once, "on_after_patch"]]
        assert await site.events.relay(once=True) == 1
        assert told[-1] == "Post.on_after_update"


async def test_the_key_of_a_stored_event(database: Database):
    """Events of one row are handled in the order of their commits: its key is the model's name and the row's key."""
    await seed(database)
    async with stored(database, *only(*Handler)) as site:
        site.event(Post, *AFTER_WRITE.values())(_fails)
        site.outbox.attempts = 1
        async with site.client() as client:
            created = (await client.post("/users/1/posts", json={"title": "x"})).json()["id"]
            await client.put(f"/posts/{created}", json={"title": "y"})
            await client.patch("/posts/1", json={"title": "z"})
            await client.delete("/posts/2")
            async with database.sessions() as session:
                keys = list(await session.scalars(select(site.outbox.table.c.key).order_by(site.outbox.table.c.id)))
    assert keys == ["Post:3", "Post:3", "Post:1", "Post:2"]


async def _fails() -> None:
    raise ZeroDivisionError


async def test_the_key_does_not_depend_on_what_is_answered(database: Database):
    """A hook that replaces `item` changes the answer, and not which row the event is of."""
    await seed(database)
    async with stored(database, *only(Handler.UPDATE)) as site:
        site.event(Post, "on_after_update")(_fails)

        @site.hook(Post)
        async def on_after_update(ctx: ResourceContext) -> None:
            ctx.item = {"instead": True}

        async with site.client() as client:
            await client.put("/posts/1", json={"title": "y"})
            async with database.sessions() as session:
                assert await session.scalar(select(site.outbox.table.c.key)) == "Post:1"


async def test_a_stored_event_of_a_retried_write(database: Database):
    """A try that was rolled back to a savepoint leaves no row in the outbox."""
    await seed(database)
    tries: list[int] = []
    async with stored(database, *only(Handler.INSERT)) as site:
        site.event(Post, "on_after_insert")(_fails)

        async def retry(ctx: ResourceContext, next: Next) -> Any:
            try:
                async with ctx.session.begin_nested():
                    return await next()
            except LookupError:
                return await next()

        async def fail_once(ctx: ResourceContext, next: Next) -> Any:
            result = await next()
            tries.append(1)
            if len(tries) == 1:
                raise LookupError
            return result

        site.registry.add_global(retry, source="route")
        site.registry.add_global(fail_once, source="route")
        async with site.client() as client:
            assert (await client.post("/users/1/posts", json={"title": "x"})).status_code == 201
            assert await site.outbox.pending() == 1
    assert len(tries) == 2


async def test_what_a_stored_handler_writes(database: Database):
    """A handler's own session works in the relay as it does in process: what it writes is committed."""
    await seed(database)
    async with stored(database, *only(Handler.INSERT)) as site:

        @site.event(Post)
        async def on_after_insert(item: dict[str, Any], session: AsyncSession) -> None:
            await session.execute(insert(User).values(name=f"post {item['id']}"))

        async with site.client() as client:
            assert (await client.post("/users/1/posts", json={"title": "x"})).status_code == 201
            assert await site.events.relay(once=True) == 1
    assert await database.values(User.name) == ["ann", "post 3"]


async def test_the_routers_lifespan_runs_the_relay(database: Database):
    """With `relay=True` an application that includes the router delivers what it stores."""
    await seed(database)
    delivered = asyncio.Event()
    async with stored(database, *only(Handler.INSERT)) as site:
        site.events = EventDispatcher(site.registry, outbox=site.outbox)
        Site.renew(site)

        @site.event(Post)
        async def on_after_insert() -> None:
            delivered.set()

        async with site.client() as client:
            assert (await client.post("/users/1/posts", json={"title": "x"})).status_code == 201
            await asyncio.wait_for(delivered.wait(), 60)
        assert await site.outbox.pending() == 0


async def test_two_routers_share_the_dispatcher(shop: Site):
    """An application may include the router twice: the dispatcher runs until the last lifespan ends."""
    told: list[str] = []
    shop.use(*only(Handler.INSERT))

    @shop.event(Post)
    async def on_after_insert(request: Request) -> None:
        told.append(request.url.path)

    for prefix in ("/v1", "/v2"):
        shop.app.include_router(shop.router(), prefix=prefix)
    async with started(shop.app) as client:
        for prefix in ("/v1", "/v2"):
            sent = {"user_id": 1, "title": "third"}
            assert (await client.post(f"{prefix}/posts", json=sent)).status_code == 201
    assert told == ["/v1/posts", "/v2/posts"]
