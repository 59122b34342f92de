"""Handlers are methods: decorated, overridden, injected; and what interceptors see of a request to a resource."""

from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import HTTPException, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field
from sqlalchemy import Select, insert, select

from interceptors import InjectionError, InvocationContext, UnknownKeyError, annotate, intercept, skip_interceptors
from interceptors.resources import ApiError, Conditions, Handler, ResourceContext
from tests.integration.resources.site_support import Database, Post, Site, User, only, taking, watch
from tests.integration.resources.test_life_cycles import CALLS, PLACES, READS, names_of, row, where
from tests.integration.support import Next, layer, started

EACH = pytest.mark.parametrize("handler", list(Handler))


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """A user with two posts."""
    await database.add(
        User(name="ann", email="a@x"),
        Post(user_id=1, title="first", note="private"),
        Post(user_id=1, title="second"),
    )
    return site


async def call(site: Site, handler: Handler, *, nested: bool = True) -> Any:
    async with site.client() as client:
        return await CALLS[handler](client, nested=nested)


# -- decorating and overriding ----------------------------------------------------------------------------------------------


async def test_super_inside_an_override(shop: Site, database: Database):
    """An override does something before and after `await super()`, and gives what it likes; its super is the whole rest."""
    users, posts = only(Handler.UPDATE)
    journal: list[Any] = []

    class Posts(posts):
        async def update(self, ctx: ResourceContext) -> Any:
            journal.append(ctx.form_data)
            item = await super().update(ctx)
            journal.append(item)
            return {**item, "extra": type(self).__name__}

    shop.use(users, Posts)

    @shop.hook(Post)
    async def on_after_update() -> None:
        journal.append("hook")

    assert (await call(shop, Handler.UPDATE)).json() == {
        "id": 1,
        "user_id": 1,
        "title": "changed",
        "stars": 0,
        "extra": "Posts",
    }
    assert journal == [None, "hook", row(1, "changed", "private")]


async def test_an_override_without_super(shop: Site, database: Database):
    """It is the whole handler: no hook runs, and what it gives is the answer, serialized and without hidden columns."""
    users, posts = only(Handler.SHOW)
    ran: list[str] = []

    class Posts(posts):
        async def show(self, ctx: ResourceContext) -> Any:
            return {"id": ctx.params["id"], "note": "hidden", "title": await ctx.session.scalar(select(User.name))}

    shop.use(users, Posts)
    for name in names_of(Handler.SHOW):
        shop.hook(Post, name)(taking((), lambda _: ran.append("hook"), called=name))
    assert (await call(shop, Handler.SHOW)).json() == {"id": 1, "title": "ann"}
    assert ran == []


async def test_decorators_on_class_and_method(shop: Site):
    """Class level is around all handlers, method level around one; a base's come first; a subclass may skip."""
    journal: list[str] = []
    general, base, first, own = (layer(journal, name) for name in ("global", "base", "class", "method"))
    users, posts = only(Handler.SHOW, Handler.PAGINATE, Handler.ALL)

    @intercept(base)
    class Base(posts):
        pass

    @intercept(first)
    class Posts(Base):
        @intercept(own)
        async def show(self, ctx: ResourceContext) -> Any:
            return await super().show(ctx)

        @skip_interceptors(base, general)
        async def all(self, ctx: ResourceContext) -> Any:
            return await super().all(ctx)

    shop.registry.add_global(general)
    shop.use(users, Posts)
    async with shop.client() as client:
        entered = []
        for path in ("/posts/1", "/posts", "/posts/all", "/users/1"):
            journal.clear()
            assert (await client.get(path)).status_code == 200
            entered.append([each.removesuffix("-pre") for each in journal if each.endswith("-pre")])
    assert entered == [["global", "base", "class", "method"], ["global", "base", "class"], ["class"], ["global"]]


async def test_annotations(shop: Site):
    """`@annotate` on class and method reaches interceptors: an authorization layer needs no more."""
    users, posts = only(Handler.SHOW, Handler.PAGINATE)

    @annotate(roles=["clerk"])
    class Posts(posts):
        @annotate(roles=["admin"])
        async def show(self, ctx: ResourceContext) -> Any:
            return await super().show(ctx)

    async def authorize(ctx: InvocationContext, next: Next) -> Any:
        if ctx.request.headers.get("x-role") not in ctx.annotations.get("roles", [None]):
            raise HTTPException(403)
        return await next()

    shop.registry.add_global(authorize, source="route")
    shop.use(users, Posts)
    async with shop.client() as client:
        statuses = [
            (await client.get(path, headers={"x-role": role})).status_code
            for path in ("/posts/1", "/posts")
            for role in ("admin", "clerk")
        ]
        assert (await client.get("/users/1")).status_code == 200
    assert statuses == [200, 403, 403, 200]


@EACH
@PLACES
async def test_a_refusing_layer_is_before_the_database(shop: Site, database: Database, handler: Handler, nested: bool):
    """An authorization layer for routes covers resources, and refuses before anything is asked of the database."""
    journal: list[str] = []
    shop.use(*only(handler))

    async def authorize(ctx: InvocationContext, next: Next) -> Any:
        journal.append(str(ctx.source))
        raise ApiError("Who are you?", 401)

    shop.registry.add_global(authorize, source="route")
    async with shop.client() as client:
        watch(database, journal)
        answer = await CALLS[handler](client, nested=nested)
    assert (answer.status_code, answer.json()) == (401, {"error": "Who are you?"})
    path = "/api/users/{user_id}/posts" if nested else "/api/posts"
    path += {Handler.ALL: "/all", Handler.INSERT: "", Handler.PAGINATE: ""}.get(handler, "/{id}")
    assert journal == [f"route {CALLS[handler].verb} {path}"]


class Stamp:
    def __init__(self, number: int) -> None:
        self.number = number


class Container(containers.DeclarativeContainer):
    stamp = providers.Factory(Stamp, 7)


async def test_injection(database: Database):
    """Constructors and handlers have parameters injected; the instance is built when the method's turn comes."""
    site = Site(database, container=Container())
    users, posts = only(Handler.INSERT)
    built: list[Any] = []

    class Users(users):
        def __init__(self, stamp: Annotated[Stamp, Provide["stamp"]], who: Annotated[str, Provide["who"]]) -> None:
            built.append((stamp.number, who))
            self.stamp = stamp

        async def insert(self, ctx: ResourceContext, own: Annotated[Stamp, Provide["stamp"]]) -> Any:
            assert own is not self.stamp
            ctx.form_data["age"] = self.stamp.number + own.number
            return await super().insert(ctx)

    async def bind(ctx: ResourceContext, next: Next) -> Any:
        if "x-stop" in ctx.request.headers:
            raise ApiError("no")
        ctx.bind("who", "ann")
        assert ctx.target_class is Users
        return await next()

    site.registry.add_global(bind, source="route")
    site.use(Users, posts)
    async with site.client() as client:
        assert (await client.post("/users", json={"name": "x"}, headers={"x-stop": "1"})).status_code == 400
        assert built == []
        assert (await client.post("/users", json={"name": "x"})).json()["age"] == 14
    assert built == [(7, "ann")]


async def test_a_constructor_that_cannot_be_called(shop: Site):
    """A constructor parameter that nothing gives stops the start of the application."""
    users, posts = only(Handler.SHOW)

    class Posts(posts):
        def __init__(self, number: int) -> None:
            raise AssertionError

    shop.use(users, Posts)
    shop.app.include_router(shop.router())
    with pytest.raises(InjectionError, match="number"):
        async with started(shop.app):
            raise AssertionError


async def test_an_interceptor_key_that_is_not_bound(shop: Site):
    """Chains of resources are checked at the start, too."""
    users, posts = only(Handler.SHOW)
    shop.use(users, intercept("cachign")(type("Posts", (posts,), {})))
    shop.app.include_router(shop.router())
    with pytest.raises(UnknownKeyError, match="cachign"):
        async with started(shop.app):
            raise AssertionError


# -- what interceptors see -----------------------------------------------------------------------------------------------------


@EACH
@PLACES
async def test_before_and_after_next(shop: Site, handler: Handler, nested: bool):
    """Before `next()` the query or the body is there, afterwards the rows; what is not known yet is None."""
    seen: list[Any] = []
    shop.use(*only(handler))

    async def look(ctx: ResourceContext, next: Next) -> Any:
        assert isinstance(ctx, ResourceContext)
        assert (ctx.handler, ctx.model, ctx.method_name) == (handler, Post, handler.lower())
        assert ctx.target_name == f"Posts.{handler.lower()}"
        assert (ctx.source.type, ctx.source.value.verb) == ("route", CALLS[handler].verb)
        assert (ctx.relation, ctx.parent_model) == (("posts", User) if nested else (None, None))
        assert ctx.request.method == CALLS[handler].verb
        expects_query = handler is not Handler.INSERT
        assert isinstance(ctx.query, Select) is expects_query
        assert where(ctx.query) == ("posts.user_id = 1" if nested else None) if expects_query else ctx.query is None
        assert isinstance(ctx.conditions, Conditions) is (handler in READS)
        assert ctx.form_data == ({"title": "third", "user_id": 1} if handler is Handler.INSERT else None)
        assert (ctx.item, ctx.result) == (None, None)
        seen.append((dict(ctx.params), await next(), ctx.item, ctx.result))
        return seen[-1][1]

    shop.registry.add_global(look, source="route")
    assert (await call(shop, handler, nested=nested)).is_success
    [(params, given, item, result)] = seen
    keyed = handler not in (Handler.INSERT, Handler.PAGINATE, Handler.ALL)
    assert params == ({"user_id": 1} if nested else {}) | ({"id": 1} if keyed else {})
    first, second = row(1, "first", "private"), row(2, "second", None)
    if handler is Handler.PAGINATE:
        assert given["data"] == [second]
        assert given["pagination"]["total"] == 2
    else:
        assert (
            given
            == {
                Handler.INSERT: row(3, "third", None),
                Handler.ALL: [second, first],
                Handler.SHOW: first,
                Handler.UPDATE: row(1, "changed", "private"),
                Handler.PATCH: row(1, "changed", "private"),
                Handler.DELETE: first,
            }[handler]
        )
    assert (given is result, given is item) == ((True, False) if handler in READS[:2] else (False, True))


@pytest.mark.parametrize("handler", list(READS))
async def test_an_interceptor_narrows_a_read(shop: Site, handler: Handler):
    """`ctx.query` and `ctx.conditions` may be changed before `next()`, for every resource at once."""
    shop.use(*only(handler))

    async def tenant(ctx: ResourceContext, next: Next) -> Any:
        ctx.query = ctx.query.where(Post.title == "second")
        return await next()

    shop.registry.add_global(tenant, source="route")
    answer = await call(shop, handler)
    if handler is Handler.SHOW:
        assert answer.status_code == 404
    else:
        rows = answer.json()["data"] if handler is Handler.PAGINATE else answer.json()
        assert [each["title"] for each in rows] == ["second"]


@pytest.mark.parametrize("handler", [Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_an_interceptor_narrows_a_write(shop: Site, database: Database, handler: Handler):
    """A row that the interceptor's condition leaves out is a missing one."""
    shop.use(*only(handler))

    async def tenant(ctx: ResourceContext, next: Next) -> Any:
        ctx.query = ctx.query.where(Post.title == "second")
        return await next()

    shop.registry.add_global(tenant, source="route")
    assert (await call(shop, handler)).status_code == 404
    assert await database.values(Post.title) == ["first", "second"]


async def test_an_interceptor_changes_the_body(shop: Site):
    """`form_data` of INSERT is there before `next()`, and is what the first hook gets."""
    shop.use(*only(Handler.INSERT))
    hooked: list[Any] = []

    async def stamp(ctx: ResourceContext, next: Next) -> Any:
        ctx.args["form_data"]["note"] = "stamped"
        return await next()

    @shop.hook(Post)
    async def on_before_insert(form_data: dict[str, Any]) -> None:
        hooked.append(form_data)

    shop.registry.add_global(stamp, source="route")
    assert (await call(shop, Handler.INSERT)).status_code == 201
    assert hooked == [{"title": "third", "user_id": 1, "note": "stamped"}]


@EACH
async def test_what_leaves_the_chain_is_the_answer(shop: Site, handler: Handler):
    """An interceptor may give other rows than the handler did; hidden columns are removed from them, too."""
    shop.use(*only(handler))
    instead: Any = {"title": "cached", "note": "hidden"}
    if handler is Handler.PAGINATE:
        instead = {"data": [instead], "pagination": {}}
    elif handler is Handler.ALL:
        instead = [instead]

    async def replace(ctx: ResourceContext, next: Next) -> Any:
        await next()
        return instead

    shop.registry.add_global(replace, source="route")
    answer = await call(shop, handler)
    expected: Any = {"title": "cached"}
    if handler is Handler.PAGINATE:
        expected = {"data": [expected], "pagination": {}}
    elif handler is Handler.ALL:
        expected = [expected]
    if handler is Handler.DELETE:
        assert (answer.status_code, answer.content) == (204, b"")
    else:
        assert (answer.is_success, answer.json()) == (True, expected)


class Headline(BaseModel):
    title: str = Field(serialization_alias="headline")
    note: str = "hidden"


@pytest.mark.parametrize(
    ("left", "answer"),
    [(Headline(title="x"), {"headline": "x"}), ("text", "text"), (None, None), ([1, "x"], [1, "x"]), (5, 5)],
    ids=["model", "text", "none", "list", "number"],
)
async def test_what_is_no_row(shop: Site, left: Any, answer: Any):
    """A pydantic model is a row; what is none at all is answered as JSON, as it is."""
    shop.use(*only(Handler.SHOW))

    async def replace(ctx: ResourceContext, next: Next) -> Any:
        return left

    shop.registry.add_global(replace, source="route")
    found = await call(shop, Handler.SHOW)
    assert (found.status_code, found.json()) == (200, answer)


@EACH
async def test_without_next(shop: Site, database: Database, handler: Handler):
    """An interceptor that does not call `next()` skips the hooks and the database; what it gives is the answer."""
    journal: list[str] = []
    shop.use(*only(handler))
    for name in names_of(handler):
        shop.hook(Post, name)(taking((), lambda _: journal.append("hook"), called=name))

    async def cached(ctx: ResourceContext, next: Next) -> Any:
        return {"cached": True}

    shop.registry.add_global(cached, source="route")
    async with shop.client() as client:
        watch(database, journal)
        answer = await CALLS[handler](client, nested=True)
    status = {Handler.INSERT: 201, Handler.DELETE: 204}.get(handler, 200)
    assert (answer.status_code, answer.content) == (status, b"" if handler is Handler.DELETE else b'{"cached":true}')
    assert journal == []


@pytest.mark.parametrize("again", [True, False], ids=["savepoint", "plain"])
async def test_next_twice(shop: Site, database: Database, again: bool):
    """`next()` again runs all of it again; only `begin_nested` undoes what the first try has done."""
    shop.use(*only(Handler.INSERT))
    tries: list[Any] = []

    @shop.hook(Post)
    async def on_before_insert(form_data: dict[str, Any]) -> None:
        tries.append(dict(form_data))
        form_data["title"] = f"try {len(tries)}"

    @shop.hook(Post)
    async def on_after_insert() -> None:
        if len(tries) == 1:
            raise LookupError

    async def retry(ctx: ResourceContext, next: Next) -> Any:
        try:
            if not again:
                return await next()
            async with ctx.session.begin_nested():
                return await next()
        except LookupError:
            return await next()

    shop.registry.add_global(retry, source="route")
    assert (await call(shop, Handler.INSERT)).json()["title"] == "try 2"
    assert [each["title"] for each in tries] == ["third", "try 1"]
    assert await database.values(Post.title) == ["first", "second", *(["try 2"] if again else ["try 1", "try 2"])]


@pytest.mark.parametrize("handler", [Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_a_write_that_is_tried_again(shop: Site, database: Database, handler: Handler):
    """A try that was undone is done again, on the row as the database has it."""
    shop.use(*only(handler))
    items: list[Any] = []

    @shop.hook(Post, names_of(handler)[1])
    async def note(item: dict[str, Any]) -> None:
        items.append(item["title"])

    async def retry(ctx: ResourceContext, next: Next) -> Any:
        try:
            async with ctx.session.begin_nested():
                await next()
                raise LookupError
        except LookupError:
            return await next()

    shop.registry.add_global(retry, source="route")
    assert (await call(shop, handler)).is_success
    assert items == ["first", "first"]
    assert await database.values(Post.title) == (["second"] if handler is Handler.DELETE else ["changed", "second"])


async def test_a_database_error_that_is_tried_again(shop: Site, database: Database):
    """After a statement that failed in a savepoint the second try has a session that works."""
    shop.use(*only(Handler.INSERT))

    async def another_address(ctx: ResourceContext, next: Next) -> Any:
        try:
            async with ctx.session.begin_nested():
                return await next()
        except Exception:
            ctx.form_data["email"] = "b@x"
            return await next()

    shop.registry.add_global(another_address, source="route")
    async with shop.client() as client:
        made = await client.post("/users", json={"name": "bob", "email": "a@x"})
    assert (made.status_code, made.json()["email"]) == (201, "b@x")
    assert await database.values(User.email) == ["a@x", "b@x"]


@EACH
@pytest.mark.parametrize(("status", "stays"), [(203, True), (409, False)])
async def test_a_response_that_leaves_the_chain(
    shop: Site, database: Database, handler: Handler, status: int, stays: bool
):
    """It is the answer, with the headers that hooks set; its status says whether to commit."""
    shop.transaction = True
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[0])
    async def write(session: Any, response: Response) -> None:
        response.headers["x-hook"] = "yes"
        await session.execute(insert(User).values(name="of the hook"))

    async def answer_itself(ctx: ResourceContext, next: Next) -> Any:
        await next()
        return PlainTextResponse("own", status)

    shop.registry.add_global(answer_itself, source="route")
    answer = await call(shop, handler)
    assert (answer.status_code, answer.text, answer.headers["x-hook"]) == (status, "own", "yes")
    assert ("of the hook" in await database.values(User.name)) is stays


async def test_a_hooks_response_passes_through_interceptors(shop: Site):
    """What a hook answers is what `next()` gives."""
    shop.use(*only(Handler.SHOW))
    seen: list[Any] = []

    @shop.hook(Post)
    async def on_before_show() -> Response:
        return JSONResponse({"from": "hook"})

    async def look(ctx: ResourceContext, next: Next) -> Any:
        seen.append(await next())
        return seen[0]

    shop.registry.add_global(look, source="route")
    assert (await call(shop, Handler.SHOW)).json() == {"from": "hook"}
    assert isinstance(seen[0], JSONResponse)


async def test_interceptors_use_the_requests_session(shop: Site, database: Database):
    """`ctx.session` is there before `next()`, and what is written in it belongs to the request."""
    shop.use(*only(Handler.INSERT))

    async def log(ctx: ResourceContext, next: Next) -> Any:
        ctx.session.add(User(name="logged"))
        return await next()

    shop.registry.add_global(log, source="route")
    async with shop.client() as client:
        assert (await client.post("/posts", json={"user_id": 1, "title": "x"})).status_code == 201
        assert (await client.post("/posts", json={"user_id": 77, "title": "x"})).status_code == 409
    assert await database.values(User.name) == ["ann", "logged"]


async def test_a_resource_may_be_explained(shop: Site):
    """`registry.explain` shows the chain of a handler, as of any method."""
    users, posts = only(Handler.SHOW)

    async def general(ctx: Any, next: Next) -> Any:
        return await next()

    shop.registry.add_global(general, source="route")
    shop.use(users, posts)
    assert "general" in str(shop.registry.explain(posts, "show", source="route"))
