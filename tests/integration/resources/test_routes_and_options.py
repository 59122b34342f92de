"""The routes of resources, every option of the table, and what is refused at start-up."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import JSON, Column, ForeignKey, Integer, String, Table, update
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from interceptors import InterceptorRegistry
from interceptors.resources import Handler, Resource, ResourceContext, ResourceError, Resources
from tests.integration.resources.site_support import (
    UNIQUE,
    Comment,
    CommentResource,
    Database,
    Post,
    PostResource,
    Site,
    User,
    UserResource,
    database_of,
    only,
    taking,
    watch,
)
from tests.integration.resources.test_life_cycles import CALLS, names_of


class Tree(DeclarativeBase):
    pass


class ExamLessonDefault(Tree):
    __tablename__ = f"defaults_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    options: Mapped[Any | None] = mapped_column(JSON)


class Category(Tree):
    __tablename__ = f"categories_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey(f"categories_{UNIQUE}.id"))
    name: Mapped[str] = mapped_column(String(20), default="")
    categories: Mapped[list["Category"]] = relationship()


class UserTag(Tree):
    __tablename__ = f"tags_{UNIQUE}"

    uuid: Mapped[UUID] = mapped_column(primary_key=True)
    owned_notes: Mapped[list["Box"]] = relationship(foreign_keys="Box.tag_uuid")
    other_notes: Mapped[list["Box"]] = relationship(foreign_keys="Box.other_uuid")


class Box(Tree):
    __tablename__ = f"boxes_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    tag_uuid: Mapped[UUID | None] = mapped_column(ForeignKey(UserTag.uuid))
    other_uuid: Mapped[UUID | None] = mapped_column(ForeignKey(UserTag.uuid))
    tag: Mapped[UserTag | None] = relationship(foreign_keys=tag_uuid, overlaps="owned_notes")


class DefaultsResource(Resource):
    model = ExamLessonDefault


class CategoryResource(Resource):
    model = Category
    fillable = {"name", "parent_id"}
    nested = ("categories",)
    handlers = (Handler.INSERT, Handler.PAGINATE, Handler.SHOW)


class TagResource(Resource):
    model = UserTag
    nested = ("owned_notes", "other_notes")
    handlers = (Handler.SHOW,)


class BoxResource(Resource):
    model = Box
    handlers = (Handler.PAGINATE, Handler.SHOW)


def resources_of(*resources: type[Resource], **options: Any) -> Resources:
    made = Resources(InterceptorRegistry(), async_sessionmaker(), **options)
    made.add(*resources)
    return made


def routes(*resources: type[Resource]) -> list[tuple[str, str]]:
    """(verb, path) of every route, in their order."""
    found = resources_of(*resources).router().routes
    return [(next(iter(route.methods)), route.path) for route in found]  # type: ignore[attr-defined]


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """Two users; the first has two posts, of which the first has two comments; the second has one post."""
    await database.add(
        User(name="ann", email="a@x", secret="s", age=30),
        User(name="bob"),
        Post(user_id=1, title="first", note="private"),
        Post(user_id=1, title="second"),
        Post(user_id=2, title="other"),
        Comment(post_id=1, text="one"),
        Comment(post_id=1, text="two"),
        Comment(post_id=3, text="three"),
    )
    return site


# -- routes ----------------------------------------------------------------------------------------------------------------


def test_the_routes_of_a_resource():
    """All handlers but ALL are on by default; paths are plural and in kebab-case."""
    base = "/exam-lesson-defaults"
    assert routes(DefaultsResource) == [
        ("POST", base),
        ("GET", base),
        ("GET", f"{base}/{{id}}"),
        ("PUT", f"{base}/{{id}}"),
        ("PATCH", f"{base}/{{id}}"),
        ("DELETE", f"{base}/{{id}}"),
    ]


def test_all_comes_before_show():
    """`/all` is registered before `/{id}`, which would take it."""

    class Everything(DefaultsResource):
        handlers = (Handler.SHOW, Handler.ALL)

    assert routes(Everything) == [("GET", "/exam-lesson-defaults/all"), ("GET", "/exam-lesson-defaults/{id}")]


@pytest.mark.parametrize(("on", "status"), [(True, 200), (False, 400)])
async def test_all_with_and_without(shop: Site, on: bool, status: int):
    """`GET /users/all` is the list; with ALL off it is SHOW with a key that is no number."""
    shop.use(*only(Handler.SHOW, *([Handler.ALL] if on else [])))
    async with shop.client() as client:
        answer = await client.get("/users/all")
    assert answer.status_code == status
    assert isinstance(answer.json(), list) if on else answer.json() == {"error": "Unacceptable parameter: all"}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("User", "users"),
        ("Category", "categories"),
        ("Day", "days"),
        ("Box", "boxes"),
        ("Bus", "buses"),
        ("Dish", "dishes"),
        ("Match", "matches"),
        ("HTTPLog", "http-logs"),
        ("ExamLessonDefault", "exam-lesson-defaults"),
    ],
)
def test_plurals(name: str, path: str):
    """The path is the model's name in kebab-case, in the plural of a regular noun."""
    base = type("Base", (DeclarativeBase,), {})
    model = type(name, (base,), {"__tablename__": name, "id": Column(Integer, primary_key=True)})
    resource = type("R", (Resource,), {"model": model, "handlers": (Handler.PAGINATE,)})
    assert routes(resource) == [("GET", f"/{path}")]


def test_a_path_of_ones_own():
    """`path` replaces the last segment, and may have several."""

    class Own(DefaultsResource):
        path = "/admin/defaults/"
        handlers = (Handler.SHOW,)

    assert routes(Own) == [("GET", "/admin/defaults/{id}")]


def test_nested_paths():
    """The segment is the relationship in kebab-case, the parameter the parent's model and key; a nested one has no top."""
    assert routes(TagResource, BoxResource) == [
        ("GET", "/user-tags/{uuid}"),
        ("GET", "/user-tags/{user_tag_uuid}/owned-notes"),
        ("GET", "/user-tags/{user_tag_uuid}/owned-notes/{id}"),
        ("GET", "/user-tags/{user_tag_uuid}/other-notes"),
        ("GET", "/user-tags/{user_tag_uuid}/other-notes/{id}"),
    ]


def test_top_level_keeps_the_routes_at_the_top():
    """With `top_level` a nested resource has both."""

    class Boxes(BoxResource):
        top_level = True

    assert [path for _, path in routes(TagResource, Boxes) if path.startswith("/boxes")] == ["/boxes", "/boxes/{id}"]


def test_any_depth():
    """Nesting goes on below what is nested."""

    class Posts(PostResource):
        top_level = False
        relations = ()
        handlers = ()

    class Comments(CommentResource):
        top_level = False
        handlers = (Handler.SHOW,)

    class Users(UserResource):
        handlers = ()
        relations = ()

    assert routes(Users, Posts, Comments) == [("GET", "/users/{user_id}/posts/{post_id}/comments/{id}")]


def test_a_self_relation_has_one_level():
    """Categories of categories: once, and the resource keeps its routes at the top."""
    assert routes(CategoryResource) == [
        ("POST", "/categories"),
        ("GET", "/categories"),
        ("GET", "/categories/{id}"),
        ("POST", "/categories/{category_id}/categories"),
        ("GET", "/categories/{category_id}/categories"),
        ("GET", "/categories/{category_id}/categories/{id}"),
    ]


async def test_a_self_relation_works(tmp_path: Path):
    """The nested routes hold what belongs to the category in the path."""
    async with database_of("sqlite", tmp_path, metadata=Tree.metadata) as database:
        await database.add(Category(name="a"), Category(name="b"), Category(name="c", parent_id=1))
        async with Site(database, (CategoryResource,)).client() as client:
            made = await client.post("/categories/1/categories", json={"name": "d", "parent_id": 2})
            assert (made.status_code, made.json()) == (201, {"id": 4, "parent_id": 1, "name": "d"})
            found = (await client.get("/categories/1/categories")).json()["data"]
            assert [row["name"] for row in found] == ["c", "d"]
            assert (await client.get("/categories/2/categories/3")).status_code == 404


# -- parents -----------------------------------------------------------------------------------------------------------------

ABSENT = {"error": "The resource is not found"}


@pytest.mark.parametrize("handler", list(Handler))
@pytest.mark.parametrize(
    "path",
    ["/users/77/posts/1/comments", "/users/1/posts/77/comments", "/users/2/posts/1/comments", "/posts/77/comments"],
)
async def test_every_parent_exists_and_belongs(shop: Site, database: Database, handler: Handler, path: str):
    """A parent that is missing, or that belongs to another one, is a 404 for every handler, before any hook."""
    ran: list[str] = []

    class Posts(PostResource):
        handlers = ()

    class Users(UserResource):
        handlers = ()

    class Comments(CommentResource):
        handlers = (handler,)
        top_level = False

    shop.use(Users, Posts, Comments)
    for name in names_of(handler):
        shop.hook(Comment, name)(taking((), lambda _, name=name: ran.append(name), called=name))
    call = CALLS[handler]
    async with shop.client() as client:
        body = {"json": {"text": "new"}} if call.body else {}
        missing = await client.request(call.verb, path + call.path, **body)
        there = await client.request(call.verb, "/users/1/posts/1/comments" + call.path, **body)
    assert (missing.status_code, missing.json()) == (404, ABSENT)
    assert there.is_success
    assert ran == names_of(handler)
    assert await database.count(Comment) == {Handler.INSERT: 4, Handler.DELETE: 2}.get(handler, 3)


@pytest.mark.parametrize("handler", [Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_a_row_of_another_parent(shop: Site, database: Database, handler: Handler):
    """A row that exists and belongs to another parent is a missing one."""
    shop.use(*only(handler))
    async with shop.client() as client:
        body = {"json": {"title": "x"}} if CALLS[handler].body else {}
        answer = await client.request(CALLS[handler].verb, "/users/2/posts/1", **body)
    assert (answer.status_code, answer.json()) == (404, {"error": "The item is not found on Post."})
    assert await database.values(Post.title) == ["first", "second", "other"]


async def test_nested_lists(shop: Site):
    """PAGINATE and ALL hold the rows of the parent alone."""
    shop.use(*only(Handler.PAGINATE, Handler.ALL))
    async with shop.client() as client:
        assert [row["id"] for row in (await client.get("/users/2/posts")).json()["data"]] == [3]
        assert [row["id"] for row in (await client.get("/users/1/posts/all")).json()] == [1, 2]


async def test_the_foreign_key_comes_from_the_path(shop: Site, database: Database):
    """On nested routes a body neither says to whom a new row belongs nor moves one."""
    shop.use(*only(Handler.INSERT, Handler.UPDATE, Handler.PATCH))
    async with shop.client() as client:
        made = await client.post("/users/2/posts", json={"title": "new", "user_id": 1})
        assert (made.status_code, made.json()["user_id"]) == (201, 2)
        for verb in ("PUT", "PATCH"):
            moved = await client.request(verb, "/users/1/posts/1", json={"title": "kept", "user_id": 2})
            assert (moved.status_code, moved.json()["user_id"]) == (200, 1)
        assert (await client.put("/posts/1", json={"user_id": 2})).json()["user_id"] == 2


@pytest.mark.parametrize(
    ("path", "shown"), [("/posts/abc", "abc"), ("/users/x1/posts/1", "x1"), ("/posts/1.5", "1.5"), ("/posts/%20", " ")]
)
@pytest.mark.parametrize("handler", [Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_an_unacceptable_parameter(shop: Site, database: Database, handler: Handler, path: str, shown: str):
    """A key that its column cannot hold is a 400 before any hook and before the database is asked."""
    journal: list[str] = []
    shop.use(*only(handler))
    for name in names_of(handler):
        shop.hook(Post, name)(taking((), lambda _, name=name: journal.append(name), called=name))
    async with shop.client() as client:
        watch(database, journal)
        answer = await client.request(CALLS[handler].verb, path, json={"title": "x"})
    assert (answer.status_code, answer.json()) == (400, {"error": f"Unacceptable parameter: {shown}"})
    assert journal == []


# -- bodies ------------------------------------------------------------------------------------------------------------------


NO_OBJECTS = [b"", b"{", b"[]", b"1", b'"x"', b"null", b"\xff", b"[" * 100_000, b'{"name": NaN}']


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
async def test_a_body_that_is_no_object(shop: Site, verb: str):
    """Anything but a JSON object is a 400 with an `error`."""
    shop.use(*only(Handler.INSERT, Handler.UPDATE, Handler.PATCH))
    path = "/users" if verb == "POST" else "/users/1"
    async with shop.client() as client:
        for content in NO_OBJECTS:
            answer = await client.request(verb, path, content=content, headers={"content-type": "application/json"})
            assert (answer.status_code, list(answer.json())) == (400, ["error"]), content[:20]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 201),
        ("application/vnd.api+json", 201),
        ("APPLICATION/JSON", 201),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("application/xml", 400),
        ("", 400),
    ],
)
async def test_the_type_of_a_body(shop: Site, kind: str, status: int):
    """It has to be said to be JSON: a form of another site could send it otherwise."""
    shop.use(*only(Handler.INSERT))
    async with shop.client() as client:
        answer = await client.post("/users", content=b'{"name": "x"}', headers={"content-type": kind})
    assert answer.status_code == status


# -- fillable and validation ---------------------------------------------------------------------------------------------------

FULL = {"name": "cleo", "email": "c@x", "age": 5, "role": "admin", "secret": "t"}


async def accepted(shop: Site, verb: str, **options: Any) -> dict[str, Any]:
    """The `form_data` that a verb makes of a body with every field."""
    handler = {"POST": Handler.INSERT, "PUT": Handler.UPDATE, "PATCH": Handler.PATCH}[verb]
    users, posts = only(handler)
    shop.app = FastAPI()
    shop.use(type("Users", (users,), options), posts)
    found: list[dict[str, Any]] = []

    @shop.hook(User, names_of(handler)[-2])
    async def note(form_data: dict[str, Any]) -> None:
        found.append(dict(form_data))
        form_data.setdefault("name", "x")

    async with shop.client() as client:
        answer = await client.request(verb, "/users" if verb == "POST" else "/users/1", json=FULL)
    assert answer.is_success, answer.text
    return found[0]


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
async def test_fillable_is_a_set(shop: Site, verb: str):
    """The fields of the set are taken from bodies, and no others."""
    assert await accepted(shop, verb, fillable={"name", "age"}) == {"name": "cleo", "age": 5}


@pytest.mark.parametrize(("verb", "names"), [("POST", {"name", "email"}), ("PUT", {"age"}), ("PATCH", set())])
async def test_fillable_per_verb(shop: Site, verb: str, names: set[str]):
    """Each verb has its own; a verb left out accepts nothing."""
    fillable = {"POST": {"name", "email"}, "PUT": {"age"}}
    assert await accepted(shop, verb, fillable=fillable) == {name: FULL[name] for name in names}


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
async def test_without_fillable_and_schema(shop: Site, verb: str):
    """Without both nothing is accepted."""
    assert await accepted(shop, verb, fillable=None) == {}


class UserSchema(BaseModel):
    name: str = Field(min_length=2)
    age: int | None = Field(None, ge=0)
    role: str = "guest"


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
async def test_a_schema_says_what_is_accepted(shop: Site, verb: str):
    """Without `fillable` the fields of the schema are."""
    found = await accepted(shop, verb, fillable=None, validation=UserSchema)
    assert found == {"name": "cleo", "age": 5, "role": "admin"}


async def test_fillable_filters_before_the_schema(shop: Site):
    """Given both, only fillable fields reach the schema, whose defaults count for POST."""
    found = await accepted(shop, "POST", fillable={"name", "email"}, validation=UserSchema)
    assert found == {"name": "cleo", "age": None, "role": "guest"}


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
async def test_defaults_of_a_schema_do_not_overwrite(shop: Site, verb: str):
    """PUT and PATCH write sent keys only, not the defaults of the schema."""
    assert await accepted(shop, verb, fillable={"name"}, validation=UserSchema) == {"name": "cleo"}


class Insert(BaseModel):
    name: str


class Update(BaseModel):
    age: int


class Patch(BaseModel):
    role: str


async def test_a_schema_per_verb(shop: Site):
    """Each verb has its own schema; PATCH falls back to that of PUT."""
    both = {"POST": Insert, "PUT": Update}
    assert await accepted(shop, "POST", fillable=None, validation=both) == {"name": "cleo"}
    assert await accepted(shop, "PUT", fillable=None, validation=both) == {"age": 5}
    assert await accepted(shop, "PATCH", fillable=None, validation=both) == {"age": 5}
    assert await accepted(shop, "PATCH", fillable=None, validation={**both, "PATCH": Patch}) == {"role": "admin"}


async def test_a_verb_without_schema(shop: Site):
    """A verb that has no schema has the one made from the columns, for its fillable fields."""
    options = {"fillable": {"POST": {"name"}, "PUT": {"age"}}, "validation": {"POST": Insert}}
    assert await accepted(shop, "PUT", **options) == {"age": 5}


async def test_all_errors_at_once(shop: Site):
    """`{"errors": {field: [messages]}}` has every field that is wrong, by the names that clients write."""

    class Aliased(BaseModel):
        name: str = Field(alias="fullName")
        age: int = Field(ge=18)
        email: str
        tags: list[int] = []

    shop.use(type("Users", (only(Handler.INSERT)[0],), {"validation": Aliased, "fillable": None}), only()[1])
    async with shop.client() as client:
        answer = await client.post("/users", json={"fullName": 1, "age": 3, "tags": [1, "x"]})
    errors = answer.json()["errors"]
    assert (answer.status_code, set(answer.json())) == (400, {"errors"})
    assert set(errors) == {"fullName", "age", "email", "tags.1"}
    assert all(isinstance(messages, list) and messages[0] for messages in errors.values())


async def test_an_alias_is_written_under_the_fields_name(shop: Site, database: Database):
    """A client writes the alias, the column is the field's name."""

    class Aliased(BaseModel):
        name: str = Field(alias="fullName")

    shop.use(type("Users", (only(Handler.INSERT)[0],), {"validation": Aliased, "fillable": None}), only()[1])
    async with shop.client() as client:
        assert (await client.post("/users", json={"fullName": "dora"})).json()["name"] == "dora"
        assert (await client.post("/users", json={"name": "dora"})).status_code == 400


class Pair(BaseModel):
    """Rules over several fields."""

    name: str
    age: int | None = None

    @model_validator(mode="after")
    def check(self) -> "Pair":
        if self.name == "child" and (self.age or 0) >= 18:
            raise ValueError("a child is younger")
        return self


async def test_patch_validates_the_row_overlaid(shop: Site, database: Database):
    """PATCH validates the row with the sent keys over it: a rule over two fields sees the one that was not sent."""
    shop.use(type("Users", (only(Handler.PATCH)[0],), {"validation": Pair, "fillable": None}), only()[1])
    async with shop.client() as client:
        refused = await client.patch("/users/1", json={"name": "child"})
        assert (refused.status_code, list(refused.json())) == (400, ["errors"])
        assert "a child is younger" in refused.text
        assert (await client.patch("/users/1", json={"name": "child", "age": 7})).status_code == 200
        assert (await client.patch("/users/1", json={"age": 70})).status_code == 400
    assert await database.values(User.age) == [7, None]


async def test_patch_writes_what_was_sent(shop: Site, database: Database):
    """A change of another column, made meanwhile by somebody else, survives."""
    shop.use(type("Users", (only(Handler.PATCH)[0],), {"validation": Pair, "fillable": None}), only()[1])
    seen: list[Any] = []

    @shop.hook(User)
    async def on_after_patch_query(session: Any) -> None:
        await session.commit()  # SQLite would let nobody else write
        async with database.sessions() as another, another.begin():
            await another.execute(update(User).where(User.id == 1).values(age=31))

    @shop.hook(User)
    async def on_before_patch(form_data: dict[str, Any]) -> None:
        seen.append(form_data)

    async with shop.client() as client:
        answer = await client.patch("/users/1", json={"name": "anna"})
    assert seen == [{"name": "anna"}]
    assert (answer.json()["name"], answer.json()["age"]) == ("anna", 31)


async def test_put_validates_what_was_sent(shop: Site):
    """PUT validates the body alone: what the schema requires has to be sent."""
    shop.use(type("Users", (only(Handler.UPDATE)[0],), {"validation": Pair, "fillable": None}), only()[1])
    async with shop.client() as client:
        assert set((await client.put("/users/1", json={"age": 7})).json()["errors"]) == {"name"}


async def test_a_schema_with_the_foreign_key(shop: Site):
    """On a nested route the path gives it to the schema, too: it need not be sent, and what is sent does not count."""

    class PostSchema(BaseModel):
        user_id: int = Field(lt=2)
        title: str

    shop.use(only(Handler.INSERT)[0], type("Posts", (only(Handler.INSERT)[1],), {"validation": PostSchema}))
    async with shop.client() as client:
        assert (await client.post("/users/1/posts", json={"title": "x", "user_id": 9})).json()["user_id"] == 1
        assert set((await client.post("/users/2/posts", json={"title": "x"})).json()["errors"]) == {"user_id"}


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({}, {"title", "user_id"}),
        ({"title": None, "user_id": None}, {"title", "user_id"}),
        ({"title": "x" * 21, "user_id": "one"}, {"title", "user_id"}),
        ({"title": 5, "user_id": 1.5}, {"title", "user_id"}),
        ({"title": "x" * 20, "user_id": 1}, set()),
        ({"title": "x", "user_id": 1, "note": None, "stars": 3}, set()),
        ({"title": "x", "user_id": 1, "stars": None}, {"stars"}),
        ({"title": "x\0", "user_id": 1}, {"title"}),
    ],
)
async def test_validation_made_from_the_columns(shop: Site, sent: dict[str, Any], wrong: set[str]):
    """Type, length and nullability; on POST required is what may not be null and has no default."""
    shop.use(*only(Handler.INSERT))
    async with shop.client() as client:
        answer = await client.post("/posts", json=sent)
    assert set(answer.json().get("errors", {})) == wrong
    assert answer.status_code == (400 if wrong else 201)


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
async def test_made_validation_of_changes(shop: Site, verb: str):
    """Nothing is required of a change, but what is sent has to be right."""
    shop.use(*only(Handler.UPDATE, Handler.PATCH))
    async with shop.client() as client:
        assert (await client.request(verb, "/posts/1", json={})).json()["title"] == "first"
        assert (await client.request(verb, "/posts/1", json={"note": "new"})).status_code == 200
        wrong = await client.request(verb, "/posts/1", json={"title": None, "stars": "x", "note": None})
    assert set(wrong.json()["errors"]) == {"title", "stars"}


async def test_validation_is_after_the_query_hooks(shop: Site):
    """On UPDATE and PATCH a row that is missing is a 404 whatever the body; the query hooks have run by then."""
    ran: list[str] = []
    shop.use(*only(Handler.UPDATE))
    for name in names_of(Handler.UPDATE):
        shop.hook(Post, name)(taking((), lambda _, name=name: ran.append(name), called=name))
    async with shop.client() as client:
        assert (await client.put("/posts/77", json={"title": None})).status_code == 404
        assert (await client.put("/posts/1", json={"title": None})).status_code == 400
    assert ran == ["on_before_update_query", *names_of(Handler.UPDATE)[:2]]


class Option(BaseModel):
    name: str


class WithOptions(BaseModel):
    options: list[Option] | Option


async def test_models_in_a_schema(tmp_path: Path):
    """Models inside a schema become what a JSON column holds."""

    class Defaults(DefaultsResource):
        validation = WithOptions

    async with database_of("sqlite", tmp_path, metadata=Tree.metadata) as database:
        async with Site(database, (Defaults,)).client() as client:
            for options in ({"name": "a"}, [{"name": "a"}, {"name": "b"}]):
                made = await client.post("/exam-lesson-defaults", json={"options": options})
                assert (made.status_code, made.json()["options"]) == (201, options)
        assert await database.values(ExamLessonDefault.options) == [{"name": "a"}, [{"name": "a"}, {"name": "b"}]]


# -- hidden, relations, serializer -----------------------------------------------------------------------------------------------


async def test_hidden_columns_never_leave(shop: Site):
    """Not in any answer, nor in rows loaded by `with`; although a client may set them."""
    async with shop.client() as client:
        answers = [
            await client.post("/users", json={"name": "cleo", "secret": "covert"}),
            await client.put("/users/1", json={"secret": "covert"}),
            await client.patch("/users/1", json={"secret": "covert"}),
            await client.get("/users?with=posts"),
            await client.get("/users/all?with=posts"),
            await client.get("/users/1?with=posts{title}"),
            await client.get("/posts/1?with=user"),
            await client.get("/users/1/posts/1?with=user{name|posts}"),
        ]
    for answer in answers:
        assert answer.is_success, answer.text
        assert not any(word in answer.text for word in ("covert", "secret", "private", "note"))


async def test_hidden_columns_are_unknown(shop: Site):
    """To a query string they do not exist."""
    shop.use(*only(Handler.PAGINATE))
    async with shop.client() as client:
        for query in ("fields=secret", "sort=secret", "sort=-secret", 'q={"secret":"s"}', "fields=zzz"):
            answer = await client.get(f"/users?{query}")
            name = "zzz" if "zzz" in query else "secret"
            assert (answer.status_code, answer.json()) == (400, {"error": f"Undefined column names: {name}"})


async def test_only_listed_relations_can_be_loaded(shop: Site):
    """`with` takes what `relations` lists; another relationship of the model is a 400."""

    class Posts(PostResource):
        relations = ("comments",)

    shop.use(UserResource, Posts, CommentResource)
    async with shop.client() as client:
        loaded = await client.get("/posts/1?with=comments{text}")
        assert loaded.json()["comments"] == [{"text": "one"}, {"text": "two"}]
        assert (await client.get("/posts/1?with=user")).status_code == 400
        assert (await client.get("/users?with=posts{id|user}")).status_code == 400


async def test_a_relation_that_is_null(tmp_path: Path):
    """A row that refers to nothing has null for the relation."""

    class Boxes(BoxResource):
        relations = ("tag",)

    async with database_of("sqlite", tmp_path, metadata=Tree.metadata) as database:
        await database.add(Box())
        async with Site(database, (Boxes, type("Tags", (TagResource,), {"nested": ()}))).client() as client:
            assert (await client.get("/boxes/1?with=tag&fields=id")).json() == {"id": 1, "tag": None}


def shout(item: dict[str, Any], request: Request) -> dict[str, Any]:
    return {**item, "title": item["title"].upper(), "at": request.url.path}


@pytest.mark.parametrize("handler", [handler for handler in Handler if handler is not Handler.DELETE])
@pytest.mark.parametrize("given", [shout, staticmethod(shout)], ids=["function", "staticmethod"])
async def test_a_serializer(shop: Site, handler: Handler, given: Any):
    """It makes of each row what a client sees; it is called as a function, never bound, with the row and the request."""
    users, posts = only(handler)
    shop.use(users, type("Posts", (posts,), {"serializer": given}))
    async with shop.client() as client:
        found = (await CALLS[handler](client, nested=True)).json()
    rows = found["data"] if handler is Handler.PAGINATE else found if handler is Handler.ALL else [found]
    assert rows
    for row in rows:
        assert row["title"] == row["title"].upper()
        assert row["at"].startswith("/api/users/1/posts")
        assert "note" not in row


async def test_fields_and_a_serializer(shop: Site):
    """`fields` leaves columns out after the serializer; what it added stays, and it gets every column."""

    class Posts(PostResource):
        serializer = lambda item, request: {**item, "both": f"{item['id']} {item['title']}"}

    shop.use(UserResource, Posts, CommentResource)
    async with shop.client() as client:
        assert (await client.get("/posts/1?fields=stars")).json() == {"stars": 0, "both": "1 first"}
        related = (await client.get("/users/1?fields=name&with=posts{id}")).json()
    assert related == {
        "name": "ann",
        "posts": [{"id": 1, "both": "1 first"}, {"id": 2, "both": "2 second"}],
    }


class Shown(BaseModel):
    title: Annotated[str, Field(serialization_alias="headline")]
    stars: int = 0
    note: str | None = None
    when: datetime = datetime(2026, 1, 1)


async def test_a_serializer_model(shop: Site):
    """A pydantic model makes the answer of the row; hidden columns are removed from it, too."""
    users, posts = only(Handler.SHOW)
    shop.use(users, type("Posts", (posts,), {"serializer": Shown}))
    async with shop.client() as client:
        found = (await client.get("/posts/1")).json()
        schema = (await client.get("http://test/openapi.json")).json()
    assert found == {"headline": "first", "stars": 0, "when": "2026-01-01T00:00:00"}
    content = schema["paths"]["/api/posts/{id}"]["get"]["responses"]["200"]["content"]
    shown = schema["components"]["schemas"][content["application/json"]["schema"]["$ref"].rpartition("/")[2]]
    assert set(shown["properties"]) == {"headline", "stars", "when"}


# -- dependencies, tags ------------------------------------------------------------------------------------------------------------


async def test_dependencies_run_before_anything(shop: Site, database: Database):
    """Before path parameters, bodies, interceptors and the session: what a dependency refuses has cost nothing."""
    journal: list[str] = []

    async def layer(ctx: Any, next: Any) -> Any:
        journal.append("layer")
        return await next()

    async def check(request: Request) -> AsyncIterator[None]:
        if "x-in" not in request.headers:
            raise HTTPException(401)
        journal.append("dependency")
        yield
        journal.append("left")

    class Users(only(*Handler)[0]):
        dependencies = (Depends(check),)

    shop.registry.add_global(layer)
    shop.use(Users, only()[1])
    async with shop.client() as client:
        watch(database, journal)
        for verb, path in [("GET", "/users/abc"), ("GET", "/users?page=x"), ("POST", "/users"), ("DELETE", "/users/1")]:
            assert (await client.request(verb, path)).status_code == 401
        assert journal == []
        assert (await client.get("/users/1", headers={"x-in": "yes"})).status_code == 200
    assert journal[:3] == ["dependency", "layer", "select User"]
    assert journal[-1] == "left"


async def test_dependencies_per_handler(shop: Site):
    """`{Handler: [...]}` names them for some handlers; the others have none."""

    def refuse() -> None:
        raise HTTPException(403)

    class Users(only(Handler.DELETE, Handler.SHOW, Handler.PAGINATE)[0]):
        dependencies = {Handler.DELETE: [Depends(refuse)], Handler.SHOW: ()}

    shop.use(Users, only()[1])
    async with shop.client() as client:
        assert (await client.delete("/users/1")).status_code == 403
        assert (await client.get("/users/1")).status_code == 200
        assert (await client.get("/users")).status_code == 200


async def test_tags(shop: Site):
    """The tag is the path, or what `tags` says; interceptors see them."""
    seen: list[tuple[str, ...]] = []

    class Users(only(Handler.SHOW)[0]):
        tags = ["people", "first"]

    async def note(ctx: Any, next: Any) -> Any:
        seen.append(ctx.source.value.tags)
        return await next()

    shop.registry.add_global(note, source="route")
    shop.use(Users, only(Handler.SHOW)[1])
    async with shop.client() as client:
        await client.get("/users/1")
        await client.get("/posts/1")
        await client.get("/users/1/posts/1")
    assert seen == [("people", "first"), ("posts",), ("posts",)]


# -- handlers that are off -------------------------------------------------------------------------------------------------------------


async def test_handlers_that_are_off(shop: Site):
    """A path without any handler is FastAPI's 404, another verb on a path its 405."""
    shop.use(*only(Handler.SHOW))
    async with shop.client() as client:
        assert (await client.get("/users")).json() == {"detail": "Not Found"}
        answer = await client.delete("/users/1")
        assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
        assert (await client.get("/comments")).status_code == 404


# -- what is refused at start-up -------------------------------------------------------------------------------------------------------


def refused(*resources: Any) -> str:
    """The message of what is wrong with these resources."""
    with pytest.raises(ResourceError) as raised:
        resources_of(*resources).router()
    assert isinstance(raised.value, ValueError)
    return str(raised.value)


def users(**options: Any) -> type[Resource]:
    return type("Users", (only(*Handler)[0],), {"relations": (), "nested": (), **options})


HERE = re.escape(Path(__file__).name)


WRONG_OPTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"fillable": {"nmae"}}, ["Users.fillable", "'nmae'", "User", "Did you mean 'name'"]),
    ({"fillable": {"POST": {"nmae"}}}, ["Users.fillable", "'nmae'", "Did you mean 'name'"]),
    ({"fillable": {"nmae"}, "validation": UserSchema}, ["'nmae'", "UserSchema", "Did you mean 'name'"]),
    ({"fillable": "name"}, ["Users.fillable", "{'name'}"]),
    ({"fillable": {"GET": {"name"}}}, ["Users.fillable", "'GET'", "'POST', 'PUT', 'PATCH'"]),
    ({"fillable": {"PAT": {"name"}}}, ["Users.fillable", "'PAT'", "Did you mean 'PATCH'"]),
    ({"validation": {"PST": UserSchema}}, ["Users.validation", "'PST'", "Did you mean 'POST'"]),
    ({"validation": "UserSchema"}, ["Users.validation", "'UserSchema'", "pydantic"]),
    ({"validation": {"POST": dict}}, ["Users.validation", "dict", "pydantic"]),
    ({"hidden": {"secrte"}}, ["Users.hidden", "'secrte'", "Did you mean 'secret'"]),
    ({"hidden": "secret"}, ["Users.hidden", "'secret'", "hidden = ('secret',)"]),
    ({"nested": ("post",)}, ["Users.nested", "'post'", "Did you mean 'posts'"]),
    ({"nested": "posts"}, ["Users.nested", "'posts'"]),
    ({"relations": ("post",)}, ["Users.relations", "'post'", "Did you mean 'posts'"]),
    ({"relations": "posts"}, ["Users.relations", "'posts'"]),
    ({"nested": ("posts",)}, ["Users.nested", "'posts'", "no resource has its model Post"]),
    ({"relations": ("posts",)}, ["Users.relations", "'posts'", "no resource has its model Post"]),
    ({"handlers": ("SHWO",)}, ["Users.handlers", "'SHWO'", "Did you mean", "'SHOW'"]),
    ({"handlers": "SHOW"}, ["Users.handlers", "'SHOW'"]),
    ({"handlers": 5}, ["Users.handlers", "5"]),
    ({"transaction": {"SHWO": True}}, ["Users.transaction", "'SHWO'", "Did you mean", "'SHOW'"]),
    ({"transaction": "yes"}, ["Users.transaction", "'yes'"]),
    ({"dependencies": {"SHWO": ()}}, ["Users.dependencies", "'SHWO'", "Did you mean", "'SHOW'"]),
    ({"dependencies": (refused,)}, ["Users.dependencies", "Depends("]),
    ({"path": ""}, ["Users.path", "''"]),
    ({"path": "users/{id}"}, ["Users.path", "'users/{id}'"]),
    ({"path": 5}, ["Users.path", "5"]),
    ({"serializer": "shout"}, ["Users.serializer", "'shout'"]),
    ({"model": None}, ["Users", "model = User"]),
    ({"model": dict}, ["Users", "dict", "mapped"]),
]


@pytest.mark.parametrize(
    ("options", "parts"),
    WRONG_OPTIONS,
    ids=[f"{n}-{next(iter(options))}" for n, (options, _) in enumerate(WRONG_OPTIONS)],
)
def test_a_wrong_option(options: dict[str, Any], parts: list[str]):
    """Each is a ResourceError, a ValueError, that names the class, the option, what is wrong and the nearest names."""
    message = refused(users(**options))
    assert [part for part in parts if part not in message] == [], message


async def _async_serializer(item: Any, request: Any) -> Any:
    raise AssertionError


def test_a_serializer_is_no_coroutine():
    """An `async def` serializer would put a coroutine into the answer."""
    assert "serializer" in refused(users(serializer=_async_serializer))


def test_no_resource():
    """What is no subclass of Resource is refused, and so is one without a model."""
    assert "User" in refused(User)
    assert "no resource" in refused(users()())
    assert "Bare has no model" in refused(type("Bare", (Resource,), {}))


def test_the_place_of_a_mistake():
    """Messages name the file and the line of the class."""

    class Wrong(UserResource):
        hidden = {"zzz"}

    assert re.search(rf"Wrong\.hidden \({HERE if '/' in HERE else '.*' + HERE}:\d+\)", refused(Wrong))


def test_two_resources_of_one_model():
    """A model has one resource."""
    message = refused(users(), type("Others", (users(),), {}))
    assert "Users" in message
    assert "Others" in message


def test_models_of_one_name():
    """Events and hook files know models by name, so two of one name are refused, in any spelling."""
    base = type("Base", (DeclarativeBase,), {})
    other = type("User", (base,), {"__tablename__": "other", "id": Column(Integer, primary_key=True)})
    assert "User" in refused(users(), type("Others", (Resource,), {"model": other}))


class Wrong(DeclarativeBase):
    pass


links = Table(
    "links",
    Wrong.metadata,
    Column("left_id", ForeignKey("left.id"), primary_key=True),
    Column("right_id", ForeignKey("right.id"), primary_key=True),
)


class Right(Wrong):
    __tablename__ = "right"

    id: Mapped[int] = mapped_column(primary_key=True)
    left_id: Mapped[int | None] = mapped_column(ForeignKey("left.id"))
    left_name: Mapped[str | None] = mapped_column(ForeignKey("left.name"))
    lefts_below: Mapped[list["Left"]] = relationship(foreign_keys="Left.right_id")
    left: Mapped["Left | None"] = relationship(foreign_keys=left_id, overlaps="rights_below")


class Left(Wrong):
    __tablename__ = "left"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    right_id: Mapped[int | None] = mapped_column(ForeignKey("right.id"))
    rights: Mapped[list[Right]] = relationship(secondary=links)
    rights_below: Mapped[list[Right]] = relationship(foreign_keys=Right.left_id)
    rights_by_name: Mapped[list[Right]] = relationship(foreign_keys=Right.left_name)


class Composite(Wrong):
    __tablename__ = "composite"

    first: Mapped[int] = mapped_column(primary_key=True)
    second: Mapped[int] = mapped_column(primary_key=True)


class RightResource(Resource):
    model = Right


def lefts(*nested: str) -> type[Resource]:
    return type("Lefts", (Resource,), {"model": Left, "nested": nested})


def rights(*nested: str) -> type[Resource]:
    return type("Rights", (Resource,), {"model": Right, "nested": nested})


def test_many_to_many_cannot_be_nested():
    """Nested routes need one foreign key that the path can give."""
    message = refused(lefts("rights"), RightResource)
    assert "Lefts.nested" in message
    assert "'rights'" in message
    assert "many" in message


def test_many_to_one_cannot_be_nested():
    """Nor can the other end of the relationship be nested."""
    message = refused(lefts(), rights("left"))
    assert "Rights.nested" in message
    assert "'left'" in message


def test_a_foreign_key_to_another_column():
    """A nested row has to refer to the primary key, which is what the path names."""
    message = refused(lefts("rights_by_name"), RightResource)
    assert "Lefts.nested" in message
    assert "'rights_by_name'" in message
    assert "primary key" in message


def test_a_cycle():
    """Nesting that comes back would have no end."""
    message = refused(lefts("rights_below"), rights("lefts_below"))
    assert "cycle" in message
    assert re.search(r"Left -> Right -> Left|Right -> Left -> Right", message)


def test_a_composite_key():
    """A key of two columns fits in no path parameter."""
    message = refused(type("Composites", (Resource,), {"model": Composite}))
    assert "Composites" in message
    assert "composite" in message
    assert "first, second" in message


def test_a_handler_that_is_no_coroutine():
    """A handler is overridden by an `async def`."""

    class Plain(UserResource):
        nested = relations = ()

        def show(self, ctx: ResourceContext) -> Any:  # type: ignore[override]
            raise AssertionError

    message = refused(Plain)
    assert "Plain.show" in message
    assert "async def" in message


def test_nothing_is_added_after_the_router():
    """What is declared after `router()` would be ignored, so it is refused."""
    resources = resources_of(users())
    resources.router()
    for declare in (
        lambda: resources.add(CommentResource),
        lambda: resources.hook(User),
        lambda: resources.event(User),
        lambda: resources.discover("app"),
    ):
        with pytest.raises(ResourceError, match="router"):
            declare()


@pytest.mark.parametrize(
    ("misspelt", "option"), [("hiden", "hidden"), ("fillables", "fillable"), ("relation", "relations")]
)
def test_a_misspelt_option(misspelt: str, option: str):
    """A name that is nearly an option's is refused: a `hiden` column would be shown. Any other name is one's own."""
    base = {"model": User, "_hiden": (), "colour": "red"}
    right, wrong = type("Right", (Resource,), base), type("Wrong", (Resource,), {**base, misspelt: ("email",)})
    for resource in (right, wrong):
        resources = Resources(InterceptorRegistry(), None)  # type: ignore[arg-type]
        resources.add(resource)
        if resource is right:
            resources.router()
        else:
            with pytest.raises(ResourceError, match=rf"Wrong .*'{misspelt}'.*'{option}'"):
                resources.router()
