"""What goes wrong, what the client is told of it, and what stays in the database."""

import asyncio
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Integer, TypeDecorator, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.exceptions import HTTPException as StarletteHTTPException

from interceptors.events import EventContext
from interceptors.resources import ApiError, Handler, Resource, ResourceContext
from tests.integration.resources.site_support import (
    UNIQUE,
    Database,
    Post,
    Site,
    User,
    database_of,
    only,
    served_at_once,
    taking,
)
from tests.integration.resources.test_life_cycles import CALLS, READS, names_of
from tests.integration.support import Next, served

EVERY = pytest.mark.parametrize("database", ["sqlite", "postgresql", "mysql"], indirect=True)
BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
STRICT = pytest.mark.parametrize("database", ["postgresql", "mysql"], indirect=True)
WRITES = [handler for handler in Handler if handler not in READS]
EVERY_HOOK = [(handler, name) for handler in Handler for name in names_of(handler)]


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """Two users; the first has two posts."""
    await database.add(
        User(name="ann", email="a@x"),
        User(name="bob", email="b@x"),
        Post(user_id=1, title="first"),
        Post(user_id=1, title="second"),
    )
    return site


async def call(site: Site, handler: Handler) -> Any:
    async with site.client() as client:
        return await CALLS[handler](client, nested=True)


# -- errors of hooks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("handler", "name"), EVERY_HOOK)
async def test_an_api_error_from_any_hook(shop: Site, database: Database, handler: Handler, name: str):
    """`ApiError(message)` is 400 `{"error": message}`; no later hook runs, and nothing is written."""
    ran: list[str] = []
    shop.use(*only(handler))
    for each in names_of(handler):
        if each != name:
            shop.hook(Post, each)(taking((), lambda _, each=each: ran.append(each), called=each))

    @shop.hook(Post, name)
    async def refuse(session: Any) -> None:
        await session.execute(insert(User).values(name="from the hook"))
        raise ApiError("Not today")

    answer = await call(shop, handler)
    assert (answer.status_code, answer.json()) == (400, {"error": "Not today"})
    assert ran == names_of(handler)[: names_of(handler).index(name)]
    assert await database.values(Post.title) == ["first", "second"]
    assert await database.values(User.name) == ["ann", "bob"]


async def test_an_api_error_with_a_status(shop: Site):
    """The second argument is the status, the third are headers."""
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    def on_before_show() -> None:
        raise ApiError("Pay first", 402, {"x-price": "7"})

    answer = await call(shop, Handler.SHOW)
    assert (answer.status_code, answer.json(), answer.headers["x-price"]) == (402, {"error": "Pay first"}, "7")


@pytest.mark.parametrize("status", [200, 399, 600])
def test_an_api_error_is_an_error(status: int):
    """A status that is none of an error is refused where the error is made."""
    with pytest.raises(ValueError, match=str(status)):
        ApiError("no", status)


async def test_an_api_error_from_an_interceptor(shop: Site, database: Database):
    """The whole chain may raise it: before the handler, and after it, when what was written is rolled back."""
    shop.use(*only(Handler.INSERT))

    async def refuse(ctx: ResourceContext, next: Next) -> Any:
        if ctx.request.headers["x-when"] == "before":
            raise ApiError("before", 401)
        await next()
        raise ApiError("after", 409)

    shop.registry.add_global(refuse, source="route")
    async with shop.client() as client:
        for when, status in (("before", 401), ("after", 409)):
            sent = {"user_id": 1, "title": "third"}
            answer = await client.post("/posts", json=sent, headers={"x-when": when})
            assert (answer.status_code, answer.json()) == (status, {"error": when})
    assert await database.count(Post) == 2


@pytest.mark.parametrize("kind", [HTTPException, StarletteHTTPException], ids=["fastapi", "starlette"])
async def test_an_http_exception(shop: Site, database: Database, kind: Any):
    """It is answered as FastAPI does, with its headers, and rolls back."""
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    async def on_after_insert() -> None:
        raise kind(418, "teapot", {"x-tea": "green"})

    answer = await call(shop, Handler.INSERT)
    assert (answer.status_code, answer.json(), answer.headers["x-tea"]) == (418, {"detail": "teapot"}, "green")
    assert await database.count(Post) == 2


async def test_errors_leave_out_what_hooks_set(shop: Site):
    """Headers and the status that hooks set are not in an answer that is made from an exception."""
    shop.use(*only(Handler.UPDATE))

    @shop.hook(Post)
    async def on_before_update_query(response: Response) -> None:
        response.headers["x-set"] = "yes"
        response.status_code = 299

    @shop.hook(Post)
    async def on_before_update() -> None:
        raise ApiError("no")

    answer = await call(shop, Handler.UPDATE)
    assert (answer.status_code, "x-set" in answer.headers) == (400, False)


@pytest.mark.parametrize("handler", list(Handler))
async def test_any_other_error(shop: Site, database: Database, handler: Handler, caplog: pytest.LogCaptureFixture):
    """It is logged with its traceback, and the client gets a 500 that tells nothing of it."""
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[-1])
    async def fail() -> None:
        raise ZeroDivisionError("the password is 1234")

    answer = await call(shop, handler)
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
    assert await database.values(Post.title) == ["first", "second"]
    [record] = [record for record in caplog.records if record.name.startswith("interceptors")]
    assert (record.levelno, record.exc_info and record.exc_info[0]) == (logging.ERROR, ZeroDivisionError)
    assert CALLS[handler].verb in record.getMessage()
    assert "/api/users/1/posts" in record.getMessage()


class OwnError(Exception):
    """An error of the application's."""


class NarrowError(OwnError):
    """A kind of it."""


def raising(error: Exception) -> Any:
    async def on_after_insert() -> None:
        raise error

    return on_after_insert


@pytest.mark.parametrize(
    ("handled", "error"),
    [
        (OwnError, OwnError("x")),
        (OwnError, NarrowError("x")),
        (ApiError, ApiError("x", 402)),
        (KeyError, KeyError("x")),
    ],
)
async def test_the_applications_exception_handlers(
    shop: Site, database: Database, handled: type[Exception], error: Exception
):
    """An exception that the application has a handler for goes there, the very same object; the write is rolled back."""
    seen: list[Exception] = []
    shop.use(*only(Handler.INSERT))
    shop.hook(Post)(raising(error))

    @shop.app.exception_handler(handled)
    async def handle(request: Request, found: Exception) -> JSONResponse:
        seen.append(found)
        return JSONResponse({"handled": str(found)}, 499)

    answer = await call(shop, Handler.INSERT)
    assert (answer.status_code, answer.json()) == (499, {"handled": str(error)})
    assert len(seen) == 1
    assert seen[0] is error
    assert await database.count(Post) == 2


async def test_a_handler_of_database_errors(shop: Site):
    """Also for what would be a 409: an `exception_handler(IntegrityError)` gets the error of the database."""
    seen: list[Exception] = []
    shop.use(*only(Handler.INSERT))

    @shop.app.exception_handler(IntegrityError)
    async def handle(request: Request, error: Exception) -> JSONResponse:
        seen.append(error)
        return JSONResponse({}, 410)

    async with shop.client() as client:
        assert (await client.post("/users", json={"name": "x", "email": "a@x"})).status_code == 410
    assert [type(error) for error in seen] == [IntegrityError]


@pytest.mark.parametrize("key", [Exception, 500])
async def test_a_handler_of_every_exception(shop: Site, key: Any, caplog: pytest.LogCaptureFixture):
    """One for Exception, or for 500, gets what nobody else answers, and not what has an answer of ours."""
    seen: list[Exception] = []
    error = ZeroDivisionError("x")
    shop.use(*only(Handler.INSERT))
    shop.hook(Post)(raising(error))

    @shop.app.exception_handler(key)
    async def handle(request: Request, found: Exception) -> JSONResponse:
        seen.append(found)
        return JSONResponse({"own": True}, 555)

    async with shop.client(raise_app_exceptions=False) as client:
        answer = await CALLS[Handler.INSERT](client, nested=True)
        assert (answer.status_code, answer.json()) == (555, {"own": True})
        missing = await client.post("/users/77/posts", json={"title": "x"})
        assert (missing.status_code, missing.json()) == (404, {"error": "The resource is not found"})
        assert (await client.post("/users", json={"name": "x", "email": "a@x"})).status_code == 409
    assert len(seen) == 1
    assert seen[0] is error


# -- errors of the database ----------------------------------------------------------------------------------------------------


def tells_no_sql(answer: Any) -> bool:
    """Nothing of statements, tables, columns or constraints is in the body; it is `{"error": ...}`."""
    body = answer.text.lower()
    words = (
        "insert into",
        "update ",
        "select ",
        "users_",
        "posts_",
        "user_id",
        "email",
        "constraint",
        "sqlalche",
        "a@x",
    )
    return set(answer.json()) == {"error"} and not any(word in body for word in words)


@EVERY
async def test_a_unique_violation(shop: Site, database: Database):
    """A value that another row has is a 409, on INSERT, UPDATE and PATCH."""
    shop.use(*only(Handler.INSERT, Handler.UPDATE, Handler.PATCH))
    async with shop.client() as client:
        for answer in (
            await client.post("/users", json={"name": "cleo", "email": "a@x"}),
            await client.put("/users/2", json={"email": "a@x"}),
            await client.patch("/users/2", json={"email": "a@x"}),
        ):
            assert (answer.status_code, tells_no_sql(answer)) == (409, True), answer.text
    assert await database.values(User.email) == ["a@x", "b@x"]


@EVERY
async def test_a_foreign_key_violation(shop: Site, database: Database):
    """A row that refers to nothing, and a row that others refer to, are 409."""
    shop.use(*only(Handler.INSERT, Handler.PATCH, Handler.DELETE))
    async with shop.client() as client:
        for answer in (
            await client.post("/posts", json={"user_id": 77, "title": "x"}),
            await client.patch("/posts/1", json={"user_id": 77}),
            await client.delete("/users/1"),
        ):
            assert (answer.status_code, tells_no_sql(answer)) == (409, True), answer.text
    assert await database.values(Post.user_id) == [1, 1]
    assert await database.count(User) == 2


@EVERY
async def test_a_null_where_none_may_be(shop: Site, database: Database):
    """A hook that leaves a NOT NULL column empty: the database refuses, 400."""
    shop.use(*only(Handler.PATCH))

    @shop.hook(Post)
    async def on_before_patch(form_data: dict[str, Any]) -> None:
        form_data["title"] = None

    answer = await call(shop, Handler.PATCH)
    assert (answer.status_code, tells_no_sql(answer)) == (400, True), answer.text


class Loose(BaseModel):
    """A schema that lets through what no column takes."""

    name: str = "x"
    age: Any = None


@STRICT
@pytest.mark.parametrize(
    "sent",
    [{"name": "x" * 21}, {"age": 2**31}, {"age": -(2**31) - 1}, {"age": 2**63}, {"age": 10**30}, {"age": "many"}],
    ids=str,
)
async def test_a_value_that_the_database_refuses(shop: Site, database: Database, sent: dict[str, Any]):
    """Too long, out of range, or no number: 400 on INSERT and on PATCH, and nothing of the database in the body."""

    class Users(only(Handler.INSERT, Handler.PATCH)[0]):
        validation = Loose

    shop.use(Users, only(Handler.INSERT)[1])
    async with shop.client() as client:
        for answer in (await client.post("/users", json=sent), await client.patch("/users/1", json=sent)):
            assert (answer.status_code, tells_no_sql(answer)) == (400, True), answer.text
    assert await database.count(User) == 2


@EVERY
@pytest.mark.parametrize("age", [2**63, -(2**63) - 1, 10**30], ids=str)
async def test_a_number_that_no_database_takes(shop: Site, database: Database, age: int):
    """A schema of `int` lets through what cannot even be sent to the database: that is a 400, too."""

    class Users(only(Handler.INSERT)[0]):
        validation = Loose

    shop.use(Users, only(Handler.INSERT)[1])
    async with shop.client() as client:
        answer = await client.post("/users", json={"age": age})
    assert (answer.status_code, tells_no_sql(answer)) == (400, True), answer.text
    assert await database.count(User) == 2


@EVERY
@pytest.mark.parametrize("handler", [Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE, Handler.PAGINATE])
async def test_a_key_out_of_range(shop: Site, handler: Handler):
    """A key that no row can have is never a 5xx: as a row's key, and as a parent's."""
    shop.use(*only(handler))
    body = {"json": CALLS[handler].body} if CALLS[handler].body else {}
    async with shop.client() as client:
        for key in (2**31, 2**63 - 1, 2**63, 10**30, -1):
            if handler is not Handler.PAGINATE:
                answer = await client.request(CALLS[handler].verb, f"/posts/{key}", **body)
                assert (answer.status_code in (400, 404), tells_no_sql(answer)) == (True, True), answer.text
            answer = await client.request(
                CALLS[handler].verb, f"/users/{key}/posts{'' if handler is Handler.PAGINATE else '/1'}", **body
            )
            assert (answer.status_code in (400, 404), tells_no_sql(answer)) == (True, True), answer.text


@BOTH
async def test_an_error_of_the_database_itself(shop: Site, caplog: pytest.LogCaptureFixture):
    """A broken statement is the program's error, not the client's: 500, logged, and not told."""
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    async def on_before_show(session: Any) -> None:
        await session.execute(text("SELECT * FROM no_such_table"))

    answer = await call(shop, Handler.SHOW)
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
    assert "no_such_table" in caplog.text


async def test_a_statement_that_is_incomplete(shop: Site):
    """A hook's statement without a value that it needs is the program's error, too."""
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    async def on_before_show(session: Any) -> None:
        await session.execute(text("SELECT :missing"))

    assert (await call(shop, Handler.SHOW)).status_code == 500


class Deferred(DeclarativeBase):
    pass


class Even(TypeDecorator[int]):
    """A type of the application's that does not take every number."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> int | None:
        if value is not None and value % 2:
            raise ValueError("odd")
        return value


class Tally(Deferred):
    __tablename__ = f"counters_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Even)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}


class TallyResource(Resource):
    model = Tally
    path = "counters"
    fillable = {"number"}


async def test_a_value_that_a_type_refuses(tmp_path: Path):
    """What a type of the application's cannot bind is a 400."""
    async with database_of("sqlite", tmp_path, metadata=Deferred.metadata) as database:
        async with Site(database, (TallyResource,)).client() as client:
            answer = await client.post("/counters", json={"number": 3})
            assert (answer.status_code, tells_no_sql(answer)) == (400, True)
            assert (await client.post("/counters", json={"number": 4})).status_code == 201


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
async def test_a_row_that_was_changed_meanwhile(tmp_path: Path, verb: str):
    """Where the model counts its versions a row that somebody else has changed meanwhile is a 409."""
    async with database_of("sqlite", tmp_path, metadata=Deferred.metadata) as database:
        await database.add(Tally(number=2))
        site = Site(database, (TallyResource,))

        @site.hook(Tally, "on_before_update", "on_before_delete")
        async def meanwhile(session: Any) -> None:
            await session.commit()  # SQLite would let nobody else write
            async with database.sessions() as another, another.begin():
                (await another.get_one(Tally, 1)).number = 4

        async with site.client() as client:
            body = {} if verb == "DELETE" else {"json": {"number": 6}}
            answer = await client.request(verb, "/counters/1", **body)
        assert (answer.status_code, tells_no_sql(answer)) == (409, True)
        assert await database.values(Tally.number) == [4]


class Owner(Deferred):
    __tablename__ = f"owners_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)


class Pet(Deferred):
    __tablename__ = f"pets_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey(Owner.id, deferrable=True, initially="DEFERRED"))


class PetResource(Resource):
    model = Pet
    handlers = (Handler.INSERT, Handler.SHOW)
    fillable = {"owner_id"}


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
async def test_a_commit_that_fails(name: str, tmp_path: Path):
    """A constraint that is checked at the commit is a 409 like any other, and the After-event does not start."""
    told: list[str] = []
    async with database_of(name, tmp_path, metadata=Deferred.metadata) as database:
        site = Site(database, (PetResource,))

        @site.event(Pet, "on_before_insert", "on_after_insert")
        async def handle(ctx: EventContext) -> None:
            told.append(ctx.name)

        async with site.client() as client:
            answer = await client.post("/pets", json={"owner_id": 7})
            assert (answer.status_code, set(answer.json())) == (409, {"error"})
            assert (await client.get("/pets/1")).status_code == 404
    assert told == ["Pet.on_before_insert"]


# -- is it a transaction? -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [Handler.INSERT, Handler.SHOW])
@pytest.mark.parametrize("own", [None, True, False, "on", "off", "another"])
@pytest.mark.parametrize("general", [None, True, False])
async def test_the_priorities(shop: Site, handler: Handler, own: Any, general: bool | None):
    """The handler's setting over the resource's over that of `Resources` over the default: writes yes, reads no."""
    found: list[bool] = []
    default = handler is Handler.INSERT if general is None else general
    settings = {"on": {handler: True}, "off": {handler: False}, "another": {Handler.DELETE: not default}}
    expected = {None: default, True: True, False: False, "on": True, "off": False, "another": default}[own]

    class Posts(only(handler)[1]):
        transaction = settings.get(own, own)

    shop.transaction = general
    shop.use(only(handler)[0], Posts)

    @shop.hook(Post, names_of(handler)[0])
    async def note(in_transaction: bool) -> None:
        found.append(in_transaction)

    assert (await call(shop, handler)).is_success
    assert found == [expected]


@BOTH
@pytest.mark.parametrize("handler", WRITES)
@pytest.mark.parametrize("transaction", [True, False])
async def test_an_error_after_the_write(shop: Site, database: Database, handler: Handler, transaction: bool):
    """In a transaction nothing stays; without one what was written stays, though the answer is an error."""
    shop.transaction = transaction
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[-1])
    async def fail(session: Any) -> None:
        await session.execute(insert(User).values(name="of the failing hook"))
        raise ZeroDivisionError

    assert (await call(shop, handler)).status_code == 500
    written = {
        Handler.INSERT: ["first", "second", "third"],
        Handler.UPDATE: ["changed", "second"],
        Handler.PATCH: ["changed", "second"],
        Handler.DELETE: ["second"],
    }[handler]
    assert await database.values(Post.title) == (["first", "second"] if transaction else written)
    assert await database.values(User.name) == ["ann", "bob"]  # a hook that has not finished has done nothing


@pytest.mark.parametrize("handler", list(Handler))
@pytest.mark.parametrize("transaction", [True, False])
async def test_what_a_finished_hook_did(shop: Site, database: Database, handler: Handler, transaction: bool):
    """Without a transaction it stays whatever fails later; in one it goes."""
    shop.transaction = transaction
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[0])
    async def write(session: Any) -> None:
        await session.execute(insert(User).values(name="of the hook"))

    @shop.hook(Post, names_of(handler)[1])
    async def fail() -> None:
        raise ApiError("no")

    assert (await call(shop, handler)).status_code == 400
    assert ("of the hook" in await database.values(User.name)) is not transaction


async def test_reads_in_a_transaction_are_committed(shop: Site, database: Database):
    """A read that is a transaction commits with its answer."""
    shop.transaction = True
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    async def on_before_show(session: Any) -> None:
        await session.execute(insert(User).values(name="of the hook"))

    assert (await call(shop, Handler.SHOW)).status_code == 200
    assert "of the hook" in await database.values(User.name)


async def test_a_refusing_response_without_a_transaction(shop: Site, database: Database):
    """Earlier hooks' work stays, that of the hook that answers with an error goes."""
    shop.transaction = False
    shop.use(*only(Handler.UPDATE))

    @shop.hook(Post)
    async def on_before_update_query(session: Any) -> None:
        await session.execute(insert(User).values(name="earlier"))

    @shop.hook(Post)
    async def on_before_update(session: Any) -> Response:
        await session.execute(insert(User).values(name="of the refusing hook"))
        return Response(status_code=403)

    assert (await call(shop, Handler.UPDATE)).status_code == 403
    assert await database.values(User.name) == ["ann", "bob", "earlier"]
    assert await database.values(Post.title) == ["first", "second"]


# -- when it is committed -----------------------------------------------------------------------------------------------------------


class Watching:
    """Looks into the database when the answer is about to be sent."""

    def __init__(self, app: Any, database: Database, seen: list[Any]) -> None:
        self.app, self.database, self.seen = app, database, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.seen.append((await self.database.values(Post.title), self.database.taken))
            await send(message)

        await self.app(scope, receive, watched)


@BOTH
@pytest.mark.parametrize("handler", WRITES)
async def test_the_commit_is_before_the_answer(shop: Site, database: Database, handler: Handler):
    """When the first byte of the answer is sent others see what was written, and the connection is given back."""
    seen: list[Any] = []
    shop.use(*only(handler))
    shop.app.add_middleware(Watching, database=database, seen=seen)
    assert (await call(shop, handler)).is_success
    assert seen == [(await database.values(Post.title), 0)]
    assert seen[0][0] != ["first", "second"]


class Line:
    """A connection to a server, without a client library's milliseconds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of one answer."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{verb} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(answer.lower().partition("content-length: ")[2].split()[0])
        return int(answer.split()[1]), json.loads(await self.reader.readexactly(length))


@BOTH
@pytest.mark.slow
async def test_clients_read_their_own_writes(database: Database):
    """A thousand times: what a client has just written, it reads, by another connection to a real server."""
    site = Site(database, only(Handler.INSERT, Handler.SHOW))
    site.app.include_router(site.router())
    missed = 0
    async with served_at_once(site.app) as port:
        lines = [Line(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(2)]
        for number in range(1000):
            status, written = await lines[0].ask("POST", "/users", {"name": f"n{number}"})
            read = await lines[1].ask("GET", f"/users/{written['id']}")
            missed += (status, read) != (201, (200, written))
        for line in lines:
            line.writer.close()
            await line.writer.wait_closed()
    assert missed == 0
    assert await database.count(User) == 1000


# -- being cancelled, and many at once ----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("handler", "name"), [each for each in EVERY_HOOK if each[0] in WRITES])
async def test_a_cancelled_request(shop: Site, database: Database, handler: Handler, name: str):
    """Cancelled in any hook: what was done is rolled back, the connection is given back, the After-event does not start."""
    there = asyncio.Event()
    told: list[str] = []
    shop.use(*only(handler))

    @shop.hook(Post, name)
    async def wait(session: Any) -> None:
        await session.execute(insert(User).values(name="of the hook"))
        there.set()
        await asyncio.Event().wait()

    @shop.event(Post, names_of(handler)[-1])
    async def handle() -> None:
        told.append(name)

    async with shop.client() as client:
        request = asyncio.create_task(CALLS[handler](client, nested=True))
        await asyncio.wait_for(there.wait(), 60)
        request.cancel()
        await asyncio.wait([request])
        assert request.cancelled()
        assert database.taken == 0
        assert (await database.values(Post.title), await database.values(User.name)) == (
            ["first", "second"],
            ["ann", "bob"],
        )
    assert told == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_cancelled_in_a_statement(shop: Site, database: Database):
    """Cancelled while the database works: the transaction is rolled back, and the pool gives usable connections."""
    there = asyncio.Event()
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    async def on_after_insert(session: Any) -> None:
        there.set()
        await session.execute(text("SELECT pg_sleep(60)"))

    async with shop.client() as client:
        for _ in range(3):
            there.clear()
            request = asyncio.create_task(CALLS[Handler.INSERT](client, nested=True))
            await asyncio.wait_for(there.wait(), 60)
            await asyncio.sleep(0)  # on into the statement
            request.cancel()
            await asyncio.wait([request])
            assert request.cancelled()
        assert database.taken == 0
    assert await database.count(Post) == 2


async def test_a_client_that_goes_away(shop: Site, database: Database):
    """A middleware that cancels when the client has left: nothing stays of what was begun."""
    there, left = asyncio.Event(), asyncio.Event()
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    async def on_after_insert() -> None:
        there.set()
        await asyncio.Event().wait()

    class UntilTheClientLeaves:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            body = await receive()
            first = True

            async def again() -> Any:
                nonlocal first
                if first:
                    first = False
                    return body
                return await asyncio.Event().wait()

            work = asyncio.create_task(self.app(scope, again, send))
            assert (await receive())["type"] == "http.disconnect"
            work.cancel()
            await asyncio.wait([work])
            assert work.cancelled()
            left.set()

    shop.app.add_middleware(UntilTheClientLeaves)
    shop.app.include_router(shop.router())
    async with served(shop.app) as port:
        line = Line(*await asyncio.open_connection("127.0.0.1", port))
        asked = asyncio.create_task(line.ask("POST", "/posts", {"user_id": 1, "title": "third"}))
        await asyncio.wait_for(there.wait(), 60)
        line.writer.close()
        await asyncio.wait_for(left.wait(), 60)
        await asyncio.wait([asked])
        assert isinstance(asked.exception(), asyncio.IncompleteReadError | ConnectionError)
        assert database.taken == 0
    assert await database.count(Post) == 2


@BOTH
async def test_hundreds_of_requests_at_once(shop: Site, database: Database):
    """Each answer is its own request's, what fails leaves nothing, and every event is of a write that was committed."""
    told: list[str] = []
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    async def on_before_insert(form_data: dict[str, Any]) -> None:
        form_data["note"] = form_data["title"]

    @shop.hook(Post)
    async def on_after_insert(item: dict[str, Any], request: Request) -> None:
        if item["id"] is None or int(item["title"]) % 3 == 0:
            raise ApiError(item["title"])

    @shop.event(Post, "on_after_insert")
    async def handle(item: dict[str, Any]) -> None:
        told.append(item["title"])

    async with shop.client() as client:
        answers = await asyncio.gather(
            *(client.post("/posts", json={"user_id": 1, "title": str(number)}) for number in range(200))
        )
    for number, answer in enumerate(answers):
        shown = answer.json().get("error") or answer.json().get("title")
        assert (answer.status_code, shown) == (400 if number % 3 == 0 else 201, str(number)), answer.text
    kept = {str(number) for number in range(200) if number % 3}
    assert set(await database.values(Post.title)) == {"first", "second"} | kept
    assert Counter(told) == Counter(kept)
    assert set(await database.values(Post.note)) == {None} | kept


async def test_a_bare_database_error_is_no_api(shop: Site, database: Database):
    """`DBAPIError`s that hooks catch are theirs: the session goes on after a savepoint."""
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    async def on_before_insert(session: Any) -> None:
        with pytest.raises(DBAPIError):
            async with session.begin_nested():
                await session.execute(insert(User).values(name="x", email="a@x"))

    assert (await call(shop, Handler.INSERT)).status_code == 201
    assert await database.values(User.name) == ["ann", "bob"]
