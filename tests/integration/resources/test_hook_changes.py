"""What a hook can change: what is written, what is found, what is answered; and what it cannot."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import delete, func, insert, select

from interceptors.resources import Condition, Conditions, Handler, ResourceContext, Sort
from tests.integration.resources.site_support import Database, Post, Site, User, only, taking, watch
from tests.integration.resources.test_life_cycles import CALLS, CYCLES, READS, names_of

WRITES = [Handler.INSERT, Handler.UPDATE, Handler.PATCH]
BEFORE_WRITE = {
    Handler.INSERT: "on_before_insert",
    Handler.UPDATE: "on_before_update",
    Handler.PATCH: "on_before_patch",
}


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """Two users; the first has posts 1, 2 and 3, the second 4."""
    await database.add(
        User(name="ann", email="a@x", secret="s"),
        User(name="bob", email="b@x"),
        Post(user_id=1, title="first", note="private"),
        Post(user_id=1, title="second", stars=2),
        Post(user_id=1, title="third", stars=3),
        Post(user_id=2, title="fourth", stars=4),
    )
    return site


async def call(site: Site, handler: Handler, *, nested: bool = True) -> Any:
    """One request by a handler to post 1, or to the posts, of user 1."""
    async with site.client() as client:
        return await CALLS[handler](client, nested=nested)


# -- form_data -------------------------------------------------------------------------------------------------------------


def mutate(ctx: ResourceContext) -> None:
    ctx.form_data["title"] = "hooked"


def reassign(ctx: ResourceContext) -> None:
    ctx.form_data = {**ctx.form_data, "title": "hooked"}


def reassign_argument(ctx: ResourceContext) -> None:
    ctx.args["form_data"] = {**ctx.args["form_data"], "title": "hooked"}


@pytest.mark.parametrize("handler", WRITES)
@pytest.mark.parametrize("change", [mutate, reassign, reassign_argument])
async def test_form_data_is_what_is_written(
    shop: Site, database: Database, handler: Handler, change: Callable[[ResourceContext], None]
):
    """Changed in place, replaced on the context or among its arguments: it is stored, answered and given to later hooks."""
    later: list[Any] = []
    shop.use(*only(handler))

    @shop.hook(Post, BEFORE_WRITE[handler])
    async def before(ctx: ResourceContext) -> None:
        change(ctx)

    @shop.hook(Post, BEFORE_WRITE[handler].replace("before", "after"))
    async def after(form_data: dict[str, Any], item: dict[str, Any]) -> None:
        later.append((form_data["title"], item["title"]))

    answer = await call(shop, handler)
    assert answer.json()["title"] == "hooked"
    assert (await database.values(Post.title))[answer.json()["id"] - 1] == "hooked"
    assert later == [("hooked", "hooked")]


@pytest.mark.parametrize("handler", WRITES)
async def test_columns_outside_fillable(shop: Site, database: Database, handler: Handler):
    """A client cannot set a column that is not fillable, a hook can."""

    class Users(only(handler)[0]):
        fillable = {"name"}
        validation = None

    shop.use(Users, only(handler)[1])
    sent = {"name": "cleo", "role": "admin", "age": 7}
    roles: list[Any] = []

    @shop.hook(User, BEFORE_WRITE[handler])
    async def before(form_data: dict[str, Any]) -> None:
        roles.append(dict(form_data))
        form_data["role"] = "editor"

    async with shop.client() as client:
        answer = await client.request(CALLS[handler].verb, "/users" + CALLS[handler].path, json=sent)
    assert answer.is_success
    assert roles == [{"name": "cleo"}]
    assert (answer.json()["role"], answer.json()["age"]) == ("editor", None)
    assert "editor" in await database.values(User.role)


async def test_no_second_validation(shop: Site):
    """What a hook puts into `form_data` is not validated again: that is the hook's business."""
    shop.use(*only(Handler.PATCH))

    @shop.hook(Post)
    async def on_before_patch(form_data: dict[str, Any]) -> None:
        form_data["title"] = "longer than twenty characters"

    assert (await call(shop, Handler.PATCH)).json()["title"] == "longer than twenty characters"


@pytest.mark.parametrize("handler", WRITES)
async def test_an_unknown_key_is_an_error(
    shop: Site, database: Database, handler: Handler, caplog: pytest.LogCaptureFixture
):
    """A key of `form_data` that is no column is a mistake of the program: logged with its name, 500, nothing written."""
    shop.use(*only(handler))

    @shop.hook(Post, BEFORE_WRITE[handler])
    async def before(form_data: dict[str, Any]) -> None:
        form_data["titel"] = "hooked"

    before_it = await database.values(Post.title)
    answer = await call(shop, handler)
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
    assert "'titel'" in caplog.text
    assert "Did you mean 'title'" in caplog.text
    assert await database.values(Post.title) == before_it


@pytest.mark.parametrize("handler", [Handler.UPDATE, Handler.PATCH])
async def test_an_empty_form_data_writes_nothing(shop: Site, database: Database, handler: Handler):
    """A hook that leaves nothing to write has nothing written; the answer is the row."""
    journal: list[str] = []
    shop.use(*only(handler))

    @shop.hook(Post, BEFORE_WRITE[handler])
    async def before(form_data: dict[str, Any]) -> None:
        form_data.clear()

    watch(database, journal)
    answer = await call(shop, handler)
    assert (answer.status_code, answer.json()["title"]) == (200, "first")
    assert [step for step in journal if step.startswith("update")] == []


# -- query ------------------------------------------------------------------------------------------------------------------


async def test_a_narrowed_query_of_paginate(shop: Site):
    """A condition that a hook adds limits the rows and the total."""
    shop.use(*only(Handler.PAGINATE))

    @shop.hook(Post)
    async def on_before_paginate(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.where(Post.stars >= 2)

    async with shop.client() as client:
        nested = (await client.get("/users/1/posts?per_page=1")).json()
        top = (await client.get("/posts")).json()
    assert ([row["id"] for row in nested["data"]], nested["pagination"]["total"]) == ([2], 2)
    assert ([row["id"] for row in top["data"]], top["pagination"]["total"]) == ([2, 3, 4], 3)


async def test_a_narrowed_query_of_all(shop: Site):
    """A condition that a hook adds limits the rows of ALL."""
    shop.use(*only(Handler.ALL))

    @shop.hook(Post)
    async def on_before_all(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.where(Post.stars >= 2)

    assert [row["id"] for row in (await call(shop, Handler.ALL)).json()] == [3, 2]


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (Handler.SHOW, "on_before_show"),
        (Handler.UPDATE, "on_before_update_query"),
        (Handler.PATCH, "on_before_patch_query"),
        (Handler.DELETE, "on_before_delete_query"),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
async def test_a_narrowed_query_hides_the_row(
    shop: Site, database: Database, handler: Handler, name: str, nested: bool
):
    """A condition added before the row is looked for makes it a missing row: 404, and nothing is written."""
    later: list[str] = []
    shop.use(*only(handler))

    @shop.hook(Post, name)
    async def narrow(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.where(Post.stars > 100)

    for other in names_of(handler)[1:]:
        shop.hook(Post, other)(taking((), lambda _, other=other: later.append(other), called=other))
    answer = await call(shop, handler, nested=nested)
    assert (answer.status_code, answer.json()) == (404, {"error": "The item is not found on Post."})
    assert later == []
    assert (await database.values(Post.title))[0] == "first"


@pytest.mark.parametrize(
    ("database", "name"),
    [
        ("sqlite", "on_after_update_query"),
        ("sqlite", "on_before_update"),
        ("sqlite", "on_after_patch_query"),
        ("sqlite", "on_before_patch"),
        ("postgresql", "on_before_update"),
        ("mysql", "on_before_update"),
    ],
    indirect=["database"],
)
@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
async def test_the_guard_of_a_write(shop: Site, database: Database, name: str, nested: bool):
    """A condition added after the row was found guards the write: 200 with the row as it is, and the database unchanged."""
    handler = Handler.UPDATE if "update" in name else Handler.PATCH
    shop.use(*only(handler))
    after: list[Any] = []

    @shop.hook(Post, name)
    async def narrow(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.where(Post.stars > 100)

    @shop.hook(Post, names_of(handler)[-1])
    async def see(item: dict[str, Any]) -> None:
        after.append(item["title"])

    answer = await call(shop, handler, nested=nested)
    assert (answer.status_code, answer.json()["title"]) == (200, "first")
    assert after == ["first"]
    assert await database.values(Post.title) == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize("name", ["on_after_delete_query", "on_before_delete"])
@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
async def test_the_guard_of_a_delete(shop: Site, database: Database, name: str, nested: bool):
    """A condition added after the row was found guards DELETE: 204, and the row stays."""
    shop.use(*only(Handler.DELETE))

    @shop.hook(Post, name)
    async def narrow(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.where(Post.stars > 100)

    answer = await call(shop, Handler.DELETE, nested=nested)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await database.count(Post) == 4


@pytest.mark.parametrize("handler", [Handler.PATCH, Handler.DELETE])
async def test_a_guarded_row_that_is_gone(shop: Site, database: Database, handler: Handler):
    """Where somebody else has deleted the row meanwhile nothing is written, and the client is not told of a 5xx."""
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[-2])
    async def narrow(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.where(Post.id == 1)
        await ctx.session.commit()  # SQLite would let nobody else write
        async with database.sessions() as another, another.begin():
            await another.execute(delete(Post).where(Post.id == 1))

    answer = await call(shop, handler)
    assert answer.status_code in ({204} if handler is Handler.DELETE else {404, 409})
    assert await database.values(Post.title) == ["second", "third", "fourth"]


@pytest.mark.parametrize("handler", [Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_a_guard_that_lets_through(shop: Site, database: Database, handler: Handler):
    """A row that matches the hook's condition is written, also where the condition needs a join."""
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[-2])
    async def narrow(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.join(User).where(User.name == "ann").distinct()

    assert (await call(shop, handler)).is_success
    found = await database.values(Post.title)
    assert found == (["second", "third", "fourth"] if handler is Handler.DELETE else ["changed", *found[1:]])


async def test_a_query_with_a_join(shop: Site):
    """A join that multiplies rows and a DISTINCT that takes the doubles out: rows and total agree."""
    shop.use(*only(Handler.PAGINATE))

    @shop.hook(User)
    async def on_before_paginate(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.join(Post).where(Post.stars >= 2).distinct()

    async with shop.client() as client:
        found = (await client.get("/users")).json()
    assert ([row["id"] for row in found["data"]], found["pagination"]["total"]) == ([1, 2], 2)


@pytest.mark.parametrize("handler", list(READS))
async def test_a_query_of_other_columns(shop: Site, handler: Handler):
    """What a hook's query selects does not matter: the answer has all columns of the row."""
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[0])
    async def narrow(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.with_only_columns(Post.id).where(Post.id == 1)

    found = (await call(shop, handler)).json()
    rows = {Handler.PAGINATE: lambda: found["data"], Handler.ALL: lambda: found, Handler.SHOW: lambda: [found]}
    assert rows[handler]() == [{"id": 1, "user_id": 1, "title": "first", "stars": 0}]


# -- conditions --------------------------------------------------------------------------------------------------------------


def set_page(conditions: Conditions) -> None:
    conditions.page, conditions.per_page = 2, 2


def set_sort(conditions: Conditions) -> None:
    conditions.sort = [Sort("stars", "DESC")]


def add_condition(conditions: Conditions) -> None:
    conditions.q.append(Condition("title", ["first", "third"], "in"))


def set_fields(conditions: Conditions) -> None:
    conditions.fields = ["id"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [(set_page, [3]), (set_sort, [3, 2, 1]), (add_condition, [1, 3]), (set_fields, [1, 2, 3])],
)
async def test_changed_conditions_of_paginate(shop: Site, change: Callable[[Conditions], None], expected: list[int]):
    """They are applied after the before hook: page, sort, conditions and fields as it left them."""
    shop.use(*only(Handler.PAGINATE))

    @shop.hook(Post)
    async def on_before_paginate(conditions: Conditions) -> None:
        change(conditions)

    async with shop.client() as client:
        found = (await client.get("/users/1/posts")).json()
    assert [row["id"] for row in found["data"]] == expected
    assert set(found["data"][0]) == ({"id"} if change is set_fields else {"id", "user_id", "title", "stars"})
    assert found["pagination"]["total"] == (2 if change is add_condition else 3)


async def test_replaced_conditions(shop: Site):
    """A hook may put other conditions on the context: then nothing that the client asked for counts."""
    shop.use(*only(*READS))

    @shop.hook(Post, "on_before_paginate", "on_before_all", "on_before_show")
    async def replace(ctx: ResourceContext) -> None:
        ctx.conditions = Conditions(per_page=1, sort=[Sort("title", "DESC")], fields=["title"])

    async with shop.client() as client:
        paged = (await client.get('/users/1/posts?page=3&fields=id&q={"id":1}')).json()
        every = (await client.get('/users/1/posts/all?fields=id&q={"id":1}')).json()
        one = (await client.get("/users/1/posts/2?fields=id&with=user")).json()
    assert (paged["data"], paged["pagination"]["perPage"]) == ([{"title": "third"}], 1)
    assert [row["title"] for row in every] == ["third", "second", "first"]
    assert one == {"title": "second"}


async def test_a_condition_of_show(shop: Site):
    """A condition that a hook adds to SHOW makes a row that does not match a missing one."""
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    async def on_before_show(conditions: Conditions) -> None:
        conditions.q.append(Condition("stars", 2, "gte"))

    async with shop.client() as client:
        assert [(await client.get(f"/posts/{key}")).status_code for key in (1, 2)] == [404, 200]


async def test_a_hooks_condition_narrows_whatever_the_client_writes(shop: Site):
    """A client's `$or.` joins what the client wrote and never a hook's condition."""
    shop.use(*only(Handler.PAGINATE))

    @shop.hook(Post)
    async def on_before_paginate(conditions: Conditions) -> None:
        conditions.q.append(Condition("note", "private"))  # hidden columns are the hook's to use

    async with shop.client() as client:
        found = (await client.get('/posts?q=[{"title":"first"},{"$or.id$gt":0}]')).json()
    assert [row["id"] for row in found["data"]] == [1]


# -- item and result ---------------------------------------------------------------------------------------------------------

AFTER = {
    Handler.INSERT: "on_after_insert",
    Handler.PAGINATE: "on_after_paginate",
    Handler.ALL: "on_after_all",
    Handler.SHOW: "on_after_show",
    Handler.UPDATE: "on_after_update",
    Handler.PATCH: "on_after_patch",
}


def rows_of(ctx: ResourceContext) -> list[dict[str, Any]]:
    if ctx.handler is Handler.PAGINATE:
        return ctx.result["data"]
    return ctx.result if ctx.handler is Handler.ALL else [ctx.item]


@pytest.mark.parametrize("handler", AFTER)
async def test_a_changed_row_reaches_the_answer_alone(shop: Site, database: Database, handler: Handler):
    """Changing the rows in an after hook changes the answer and never the database; hidden columns go nevertheless."""
    shop.use(*only(handler))

    @shop.hook(Post, AFTER[handler])
    async def change(ctx: ResourceContext) -> None:
        for row in rows_of(ctx):
            assert "note" in row
            row.update(title="shown", note="leak", extra=[1])

    titles = [] if handler in READS else ["third" if handler is Handler.INSERT else "changed"]
    found = (await call(shop, handler)).json()
    if handler is Handler.PAGINATE:
        assert found["pagination"]["total"] == 3
        found = found["data"]
    for row in found if isinstance(found, list) else [found]:
        assert (row["title"], row["extra"], "note" in row) == ("shown", [1], False)
    stored = await database.values(Post.title)
    assert "shown" not in stored
    assert set(titles) <= set(stored)


@pytest.mark.parametrize("handler", AFTER)
async def test_a_replaced_row_is_the_answer(shop: Site, handler: Handler):
    """`ctx.item` and `ctx.result` may be other objects than before; hidden columns are taken out of them, too."""
    shop.use(*only(handler))

    @shop.hook(Post, AFTER[handler])
    async def replace(ctx: ResourceContext) -> None:
        row = {"instead": True, "note": "leak"}
        if handler is Handler.PAGINATE:
            ctx.result = {"data": [row], "pagination": {"total": "many"}}
        elif handler is Handler.ALL:
            ctx.result = [row]
        else:
            ctx.item = row

    expected: Any = {"instead": True}
    if handler is Handler.PAGINATE:
        expected = {"data": [expected], "pagination": {"total": "many"}}
    elif handler is Handler.ALL:
        expected = [expected]
    assert (await call(shop, handler)).json() == expected


async def test_the_serializer_runs_after_the_hooks(shop: Site):
    """It gets what the after hook left; columns that it adds under a hidden name are removed."""

    class Posts(only(Handler.SHOW)[1]):
        def serializer(item: dict[str, Any], request: Any) -> dict[str, Any]:  # type: ignore[misc]
            return {"shout": item["title"].upper(), "note": "leak", "at": request.url.path}

    shop.use(only(Handler.SHOW)[0], Posts)

    @shop.hook(Post)
    async def on_after_show(item: dict[str, Any]) -> None:
        item["title"] = "hooked"

    assert (await call(shop, Handler.SHOW)).json() == {"shout": "HOOKED", "at": "/api/users/1/posts/1"}


# -- the response ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", list(Handler))
async def test_headers_cookies_and_status_of_hooks(shop: Site, handler: Handler):
    """What hooks set on `response` is in the answer, from every hook; the last status counts."""
    shop.use(*only(handler))
    for number, name in enumerate(names_of(handler)):

        def note(given: dict[str, Any], number: int = number) -> None:
            given["response"].headers[f"x-{number}"] = str(number)
            given["response"].set_cookie(f"c{number}", "v")
            given["response"].status_code = 230 + number

        shop.hook(Post, name)(taking(["response"], note, called=name))
    answer = await call(shop, handler)
    last = len(names_of(handler)) - 1
    assert answer.status_code == 230 + last
    assert [answer.headers[f"x-{number}"] for number in range(last + 1)] == [str(n) for n in range(last + 1)]
    assert set(answer.cookies) == {f"c{number}" for number in range(last + 1)}


@pytest.mark.parametrize("status", [200, 299, 399, 400, 499, 500, 599])
async def test_a_status_set_by_a_hook_decides_about_the_transaction(shop: Site, database: Database, status: int):
    """Below 400 what was written is committed, from 400 on it is rolled back, 599 too."""
    shop.use(*only(Handler.INSERT))

    @shop.hook(Post)
    async def on_after_insert(response: Response) -> None:
        response.status_code = status

    answer = await call(shop, Handler.INSERT)
    assert (answer.status_code, answer.json()["title"]) == (status, "third")
    assert await database.count(Post) == (5 if status < 400 else 4)


EVERY_HOOK = [(handler, name) for handler in Handler for name in names_of(handler)]


@pytest.mark.parametrize(("handler", "name"), EVERY_HOOK, ids=[f"{h}-{n}" for h, n in EVERY_HOOK])
async def test_a_response_from_a_hook_is_the_answer(shop: Site, database: Database, handler: Handler, name: str):
    """No later step runs, the event of the same name does not start, and what was done by then is committed."""
    journal: list[str] = []
    started: list[str] = []
    shop.use(*only(handler))
    for each in names_of(handler):
        shop.event(Post, each)(taking((), lambda _, each=each: started.append(each), called=each))
        if each != name:
            shop.hook(Post, each)(taking((), lambda _, each=each: journal.append(f"hook {each}"), called=each))

    @shop.hook(Post, name)
    async def answering(session: Any, response: Response) -> Response:
        response.headers["x-hook"] = "yes"
        await session.execute(insert(User).values(name="from the hook"))
        journal.append(f"hook {name}")
        return JSONResponse({"from": name}, 202, headers={"x-own": "yes"})

    async with shop.client() as client:
        watch(database, journal)
        answer = await CALLS[handler](client, nested=False)
    assert (answer.status_code, answer.json()) == (202, {"from": name})
    assert (answer.headers["x-hook"], answer.headers["x-own"]) == ("yes", "yes")
    steps = CYCLES[handler][: CYCLES[handler].index(f"hook {name}") + 1]
    assert [each for each in journal if each not in ("commit", "insert User")] == steps
    assert journal[-1] == "commit"
    names = names_of(handler)
    assert started == names[: names.index(name)]
    assert "from the hook" in await database.values(User.name)


@pytest.mark.parametrize("name", ["on_before_update", "on_after_update"])
async def test_a_response_that_refuses_rolls_back(shop: Site, database: Database, name: str):
    """With a status from 400 on nothing stays of what was done, by the hook or by the handler."""
    shop.use(*only(Handler.UPDATE))

    @shop.hook(Post, name)
    async def refusing(session: Any) -> Response:
        await session.execute(insert(User).values(name="from the hook"))
        return PlainTextResponse("no", 403)

    answer = await call(shop, Handler.UPDATE)
    assert (answer.status_code, answer.text) == (403, "no")
    assert await database.values(User.name) == ["ann", "bob"]
    assert (await database.values(Post.title))[0] == "first"


@pytest.mark.parametrize("value", [{"title": "returned"}, [1], "text", 0, False, (1, 2), 404], ids=repr)
async def test_return_values_are_ignored(shop: Site, database: Database, value: Any):
    """What a hook returns counts only if it is a `Response`."""
    shop.use(*only(Handler.PATCH))

    @shop.hook(Post, *names_of(Handler.PATCH))
    async def returning() -> Any:
        return value

    answer = await call(shop, Handler.PATCH)
    assert (answer.status_code, answer.json()["title"]) == (200, "changed")
    assert (await database.values(Post.title))[0] == "changed"


async def test_def_hooks_may_answer_too(shop: Site):
    """A `Response` that a hook returns in the thread pool is the answer as well."""
    shop.use(*only(Handler.SHOW))

    @shop.hook(Post)
    def on_before_show() -> Response:
        return PlainTextResponse("from a thread")

    assert (await call(shop, Handler.SHOW)).text == "from a thread"


# -- the session -------------------------------------------------------------------------------------------------------------


async def test_hooks_write_in_the_requests_transaction(shop: Site, database: Database):
    """What hooks write with `session` is committed with the row, and sees it before the commit."""
    shop.use(*only(Handler.INSERT))
    seen: list[Any] = []

    @shop.hook(Post)
    async def on_before_insert(session: Any) -> None:
        session.add(User(name="added"))

    @shop.hook(Post)
    async def on_after_insert(session: Any, database: Any) -> None:
        assert database is session
        seen.append(await session.scalar(select(func.count()).select_from(Post)))

    assert (await call(shop, Handler.INSERT)).status_code == 201
    assert seen == [5]
    assert await database.values(User.name) == ["ann", "bob", "added"]


@pytest.mark.parametrize("handler", [Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_a_hook_that_changes_item_changes_no_row(shop: Site, database: Database, handler: Handler):
    """`item` before a write is a copy of the old row, too: changing it writes nothing."""
    shop.use(*only(handler))

    @shop.hook(Post, names_of(handler)[1])
    async def change(item: dict[str, Any]) -> None:
        item["stars"] = 99

    assert (await call(shop, handler)).is_success
    assert 99 not in await database.values(Post.stars)


async def test_a_limit_of_a_hook_changes_nothing(shop: Site):
    """How many rows a page has is the page's business: a hook's LIMIT and OFFSET change neither rows nor total."""
    shop.use(*only(Handler.PAGINATE))

    @shop.hook(Post)
    async def on_before_paginate(ctx: ResourceContext) -> None:
        ctx.query = ctx.query.limit(1).offset(1)

    async with shop.client() as client:
        page = (await client.get("/posts")).json()
    assert [row["title"] for row in page["data"]] == ["first", "second", "third", "fourth"]
    assert (page["pagination"]["total"], page["pagination"]["to"]) == (4, 4)
