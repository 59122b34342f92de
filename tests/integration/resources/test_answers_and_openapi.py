"""Answers of resources: statuses, bodies, the numbers of a page; and what OpenAPI says about them."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from jsonschema_rs import validator_for
from pydantic import BaseModel, Field
from sqlalchemy import ForeignKey, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from interceptors.resources import Handler, Resource
from tests.integration.resources.site_support import (
    RESOURCES,
    UNIQUE,
    Comment,
    Database,
    Post,
    Site,
    User,
    UserResource,
    database_of,
    only,
)
from tests.integration.resources.test_life_cycles import CALLS, READS
from tests.integration.resources.test_routes_and_options import BoxResource, TagResource, resources_of
from tests.integration.support import started

EACH = pytest.mark.parametrize("handler", list(Handler))


@pytest.fixture
async def shop(database: Database, site: Site) -> Site:
    """A user with two posts and a comment."""
    await database.add(
        User(name="änn", email="a@x"),
        Post(user_id=1, title="first", note="private"),
        Post(user_id=1, title="second"),
        Comment(post_id=2, text="hm"),
    )
    return site


# -- answers ---------------------------------------------------------------------------------------------------------------


@EACH
async def test_statuses(shop: Site, handler: Handler):
    """INSERT is 201, DELETE 204 and empty, the rest 200; bodies are JSON."""
    shop.use(*only(handler))
    async with shop.client() as client:
        answer = await CALLS[handler](client, nested=True)
    assert answer.status_code == {Handler.INSERT: 201, Handler.DELETE: 204}.get(handler, 200)
    if handler is Handler.DELETE:
        assert (answer.content, "content-type" in answer.headers) == (b"", False)
    else:
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json(), list) is (handler is Handler.ALL)


@pytest.mark.parametrize("handler", [Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE])
async def test_a_missing_row(shop: Site, handler: Handler):
    """`The item is not found on User.` names the model, not the path."""
    shop.use(*only(handler))
    async with shop.client() as client:
        body = {"json": {"name": "x"}} if CALLS[handler].body else {}
        answer = await client.request(CALLS[handler].verb, "/users/77", **body)
    assert (answer.status_code, answer.json()) == (404, {"error": "The item is not found on User."})


async def test_text_as_it_is(shop: Site):
    """Umlauts, emoji and signs that HTML knows come back as they were sent."""
    shop.use(*only(Handler.INSERT, Handler.SHOW))
    async with shop.client() as client:
        made = (await client.post("/users", json={"name": "<ö>&\"'\\ 🦊"})).json()
        assert made["name"] == "<ö>&\"'\\ 🦊"
        assert (await client.get(f"/users/{made['id']}")).json() == made


@pytest.mark.parametrize(
    ("rows", "query", "data", "numbers"),
    # total, lastPage, perPage, currentPage, from, to, prevPage, nextPage
    [
        (0, "", [], (0, 0, 10, 1, 0, 0, None, None)),
        (1, "", [1], (1, 1, 10, 1, 0, 1, None, None)),
        (10, "", list(range(1, 11)), (10, 1, 10, 1, 0, 10, None, None)),
        (11, "", list(range(1, 11)), (11, 2, 10, 1, 0, 10, None, 2)),
        (11, "page=2", [11], (11, 2, 10, 2, 10, 11, 1, None)),
        (6, "per_page=2", [1, 2], (6, 3, 2, 1, 0, 2, None, 2)),
        (6, "per_page=2&page=2", [3, 4], (6, 3, 2, 2, 2, 4, 1, 3)),
        (6, "per_page=2&page=3", [5, 6], (6, 3, 2, 3, 4, 6, 2, None)),
        (5, "per_page=2&page=3", [5], (5, 3, 2, 3, 4, 5, 2, None)),
        (5, "per_page=1&page=5", [5], (5, 5, 1, 5, 4, 5, 4, None)),
        (5, "per_page=100", [1, 2, 3, 4, 5], (5, 1, 100, 1, 0, 5, None, None)),
        (5, "page=0", [1, 2, 3, 4, 5], (5, 1, 10, 1, 0, 5, None, None)),
        (5, "page=-3", [1, 2, 3, 4, 5], (5, 1, 10, 1, 0, 5, None, None)),
        (5, "page=two", [1, 2, 3, 4, 5], (5, 1, 10, 1, 0, 5, None, None)),
        (5, "page=", [1, 2, 3, 4, 5], (5, 1, 10, 1, 0, 5, None, None)),
    ],
)
async def test_the_numbers_of_a_page(
    database: Database, site: Site, rows: int, query: str, data: list[int], numbers: tuple[Any, ...]
):
    """`from` counts from 0, `to` is from + rows on the page, and prevPage and nextPage are null at the ends."""
    await database.add(*(User(name=str(number)) for number in range(rows)))
    site.use(*only(Handler.PAGINATE))
    async with site.client() as client:
        answer = await client.get(f"/users?{query}")
    names = ("total", "lastPage", "perPage", "currentPage", "from", "to", "prevPage", "nextPage")
    assert answer.status_code == 200
    assert [row["id"] for row in answer.json()["data"]] == data
    assert answer.json()["pagination"] == dict(zip(names, numbers, strict=True))


async def test_a_page_past_the_end(shop: Site):
    """It is empty, and the total is right."""
    shop.use(*only(Handler.PAGINATE))
    async with shop.client() as client:
        for page in (2, 10**6, 10**30):
            found = (await client.get(f"/posts?page={page}")).json()
            assert (found["data"], found["pagination"]["total"]) == ([], 2)
            assert found["pagination"]["to"] == found["pagination"]["from"]
            assert found["pagination"]["nextPage"] is None


@pytest.mark.parametrize("per_page", ["0", "101", "-1", "ten", "", "1.5", "1e1"])
async def test_per_page_is_between_one_and_a_hundred(shop: Site, per_page: str):
    """Anything else is a 400."""
    shop.use(*only(Handler.PAGINATE))
    async with shop.client() as client:
        answer = await client.get(f"/posts?per_page={per_page}")
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_other_parameters_are_ignored(shop: Site):
    """Writes take no query parameters, reads ignore those they do not know; SHOW has no page and no order."""
    shop.use(*only(Handler.INSERT, Handler.SHOW, Handler.ALL))
    async with shop.client() as client:
        assert (await client.post("/users?fields=zzz&q={", json={"name": "x"})).status_code == 201
        assert (await client.get("/users/1?page=x&per_page=1000&sort=zzz&trashed=1")).status_code == 200
        assert len((await client.get("/posts/all?page=2&per_page=1&utm_source=x")).json()) == 2


async def test_two_routers_and_prefixes(shop: Site, database: Database):
    """Two routers on one application do not disturb each other, wherever they stand."""
    other = Site(database, only(Handler.SHOW))
    shop.use(*only(Handler.SHOW))

    @shop.hook(User)
    async def on_after_show(item: dict[str, Any]) -> None:
        item["by"] = "the first"

    shop.app.include_router(shop.router(), prefix="/v1")
    shop.app.include_router(other.router(), prefix="/v2/deep")
    mounted = FastAPI()
    mounted.include_router(other.router())
    shop.app.mount("/mounted", mounted)
    async with started(shop.app) as client:
        first = (await client.get("/v1/users/1")).json()
        second = (await client.get("/v2/deep/users/1")).json()
        third = (await client.get("/mounted/users/1")).json()
        assert (await client.get("/users/1")).status_code == 404
    assert first == {**second, "by": "the first"}
    assert second == third


# -- OpenAPI -----------------------------------------------------------------------------------------------------------------


def document_of(*resources: type[Resource], prefix: str = "") -> dict[str, Any]:
    app = FastAPI()
    app.include_router(resources_of(*resources).router(), prefix=prefix)
    return app.openapi()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return document_of(*RESOURCES, prefix="/api")


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By their ids."""
    found = [operation for path in document["paths"].values() for operation in path.values()]
    return {operation["operationId"]: operation for operation in found}


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, its reference followed."""
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    return document["components"]["schemas"][name] if name else schema


def body_of(document: dict[str, Any], operation_id: str) -> dict[str, Any]:
    content = operations(document)[operation_id]["requestBody"]
    assert content["required"] is True
    return resolved(document, content["content"]["application/json"]["schema"])


def answer_of(document: dict[str, Any], operation_id: str, status: str = "200") -> dict[str, Any]:
    return operations(document)[operation_id]["responses"][status]["content"]["application/json"]["schema"]


def test_operation_ids(document: dict[str, Any]):
    """The handler and the words of the path; prefixes are not in them."""
    places = ["users", "users_posts", "users_posts_comments", "posts", "posts_comments", "comments"]
    expected = {f"{handler.lower()}_{place}" for handler in Handler for place in places}
    assert set(operations(document)) == expected
    assert sum(len(path) for path in document["paths"].values()) == len(expected)


def test_operation_ids_of_long_paths():
    """Words of kebab-case are words of the id."""
    document = document_of(TagResource, BoxResource)
    assert set(operations(document)) == {
        "show_user_tags",
        "paginate_user_tags_owned_notes",
        "show_user_tags_owned_notes",
        "paginate_user_tags_other_notes",
        "show_user_tags_other_notes",
    }


def test_path_parameters(document: dict[str, Any]):
    """They are typed by their columns, and all of them are required."""
    [user, post] = [each for each in operations(document)["show_users_posts"]["parameters"] if each["in"] == "path"]
    assert (user["name"], user["required"], user["schema"]["type"]) == ("user_id", True, "integer")
    assert (post["name"], post["required"], post["schema"]["type"]) == ("id", True, "integer")
    tags = operations(document_of(TagResource, BoxResource))
    assert tags["show_user_tags"]["parameters"][0]["schema"] == {"type": "string", "format": "uuid"}
    for operation in operations(document).values():
        named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
        assert len(named) == len(set(named))
    for path, verbs in document["paths"].items():
        for operation in verbs.values():
            named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
            assert named == re.findall(r"\{(\w+)\}", path)


@EACH
def test_query_parameters(document: dict[str, Any], handler: Handler):
    """PAGINATE has all, ALL no pages, SHOW no order either, writes none; page and per_page say their range."""
    expected = {
        Handler.PAGINATE: ["page", "per_page", "sort", "fields", "q", "with"],
        Handler.ALL: ["sort", "fields", "q", "with"],
        Handler.SHOW: ["fields", "q", "with"],
    }.get(handler, [])
    given = operations(document)[f"{handler.lower()}_users"].get("parameters", [])
    found = {each["name"]: each["schema"] for each in given if each["in"] == "query"}
    assert list(found) == expected
    if handler is Handler.PAGINATE:
        assert (found["page"]["type"], found["page"]["minimum"]) == ("integer", 1)
        assert (found["per_page"]["minimum"], found["per_page"]["maximum"], found["per_page"]["default"]) == (
            1,
            100,
            10,
        )
    if "fields" in found:
        assert "secret" not in str(given)


def test_bodies_made_from_columns(document: dict[str, Any]):
    """The accepted fields, what POST requires, the length of text; PUT and PATCH require nothing."""
    insert = body_of(document, "insert_posts")
    assert set(insert["properties"]) == {"user_id", "title", "note", "stars"}
    assert set(insert["required"]) == {"user_id", "title"}
    assert insert["properties"]["title"]["maxLength"] == 20
    for verb in ("update", "patch"):
        changed = body_of(document, f"{verb}_posts")
        assert set(changed["properties"]) == set(insert["properties"])
        assert "required" not in changed
    assert "role" not in body_of(document, "insert_users")["properties"]


def test_the_foreign_key_is_no_part_of_a_nested_body(document: dict[str, Any]):
    """It comes from the path."""
    for verb in ("insert", "update", "patch"):
        assert "user_id" not in body_of(document, f"{verb}_users_posts")["properties"]
        assert "user_id" in body_of(document, f"{verb}_posts")["properties"]


class UserIn(BaseModel):
    name: str = Field(min_length=2)
    age: int = Field(alias="years")
    role: str = "guest"


class UserChange(BaseModel):
    name: str


def test_bodies_of_schemas():
    """A schema of one's own is documented as it is, the fields alone that are accepted; for PATCH all are optional."""

    class Users(UserResource):
        nested = relations = ()
        fillable = None
        validation = {"POST": UserIn, "PUT": UserChange}

    document = document_of(Users)
    made = body_of(document, "insert_users")
    assert (set(made["properties"]), set(made["required"])) == ({"name", "years", "role"}, {"name", "years"})
    assert made["properties"]["name"]["minLength"] == 2
    assert body_of(document, "update_users")["required"] == ["name"]
    patch = body_of(document, "patch_users")
    assert (set(patch["properties"]), "required" in patch) == ({"name"}, False)

    class Fewer(Users):
        fillable = {"name", "age"}

    assert set(body_of(document_of(Fewer), "insert_users")["properties"]) == {"name", "years"}


def test_answers_without_hidden_columns(document: dict[str, Any]):
    """The row's schema has every column but the hidden ones, in `components`; lists and pages are of it."""
    row = answer_of(document, "show_users")
    assert row == {"$ref": "#/components/schemas/User"}
    assert set(resolved(document, row)["properties"]) == {"id", "name", "email", "age", "role"}
    assert answer_of(document, "insert_users", "201") == answer_of(document, "update_users") == row
    assert answer_of(document, "patch_users") == row
    listed = answer_of(document, "all_users")
    assert (listed["type"], listed["items"]) == ("array", row)
    page = resolved(document, answer_of(document, "paginate_users"))
    assert page["properties"]["data"]["items"] == row
    numbers = resolved(document, page["properties"]["pagination"])
    assert set(numbers["properties"]) == {
        *("total", "lastPage", "perPage", "currentPage", "from", "to", "prevPage", "nextPage")
    }
    assert "secret" not in resolved(document, row)["properties"]


def test_a_serializer_model():
    """A model that has no hidden columns is the answer's schema as it is."""

    class Users(only(Handler.SHOW)[0]):
        nested = relations = ()
        serializer = UserIn

    document = document_of(Users)
    assert answer_of(document, "show_users") == {"$ref": "#/components/schemas/UserIn"}


def test_a_resource_that_hides_everything():
    """Without a column to name there are pages, and nothing else to ask for."""

    class Users(only(Handler.PAGINATE)[0]):
        nested = relations = ()
        hidden = {"id", "name", "email", "age", "role", "secret"}

    given = operations(document_of(Users))["paginate_users"]["parameters"]
    assert [each["name"] for each in given] == ["page", "per_page"]


@EACH
def test_error_answers(document: dict[str, Any], handler: Handler):
    """400 with `error`, with bodies also `errors`; 404 where the path names a row; 409 for writes; no 422."""
    operation = operations(document)[f"{handler.lower()}_users"]
    responses = operation["responses"]
    problem = {"$ref": "#/components/schemas/ResourceProblem"}
    keyed = handler in (Handler.SHOW, Handler.UPDATE, Handler.PATCH, Handler.DELETE)
    assert "422" not in responses
    assert ("404" in responses) is keyed
    assert ("409" in responses) is (handler not in READS)
    with_body = handler in (Handler.INSERT, Handler.UPDATE, Handler.PATCH)
    assert ("requestBody" in operation) is with_body
    refusal = responses["400"]["content"]["application/json"]["schema"]
    if with_body:
        assert problem in refusal["anyOf"]
        assert [set(resolved(document, each)["properties"]) for each in refusal["anyOf"]] == [{"error"}, {"errors"}]
    else:
        assert refusal == problem
    nested = operations(document)[f"{handler.lower()}_users_posts"]["responses"]
    assert "404" in nested


def test_delete_has_no_body(document: dict[str, Any]):
    """204 has no content."""
    assert "content" not in operations(document)["delete_users"]["responses"]["204"]


def test_tags(document: dict[str, Any]):
    """Each operation has its resource's tags."""
    found = operations(document)
    assert (found["show_users"]["tags"], found["show_users_posts"]["tags"]) == (["users"], ["posts"])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_is_there(document: dict[str, Any]):
    """Nothing refers to a schema that `components` has not, and no name was made long to be unique."""
    names = set(document["components"]["schemas"])
    assert {each.removeprefix("#/components/schemas/") for each in references(document["paths"])} <= names
    assert [name for name in names if "__" in name] == []


async def test_answers_are_as_documented(shop: Site):
    """What every handler answers, errors too, is valid by the schema of its status."""
    async with shop.client() as client:
        document = (await client.get("http://test/openapi.json")).json()
        by_id = operations(document)
        asked = [
            ("insert_users", await client.post("/users", json={"name": "x"})),
            ("insert_users", await client.post("/users", json={"name": 5})),
            ("insert_users", await client.post("/users", json=[])),
            ("insert_users", await client.post("/users", json={"name": "x", "email": "a@x"})),
            ("paginate_users", await client.get("/users?with=posts")),
            ("paginate_users", await client.get("/users?fields=name")),
            ("paginate_users", await client.get("/users?fields=zzz")),
            ("all_users", await client.get("/users/all?with=posts{title}")),
            ("show_users", await client.get("/users/1")),
            ("show_users", await client.get("/users/77")),
            ("show_users", await client.get("/users/x")),
            ("update_users_posts", await client.put("/users/1/posts/1", json={"title": "x"})),
            ("patch_users_posts", await client.patch("/users/1/posts/1", json={"title": None})),
            ("patch_users_posts", await client.patch("/users/7/posts/1", json={"title": "x"})),
            ("delete_users", await client.delete("/users/1")),
        ]
    for operation_id, answer in asked:
        schema = answer_of({**document}, operation_id, str(answer.status_code))
        validator = validator_for({**schema, "components": document["components"]})
        assert [error.message for error in validator.iter_errors(answer.json())] == [], (operation_id, answer.text)
        assert str(answer.status_code) in by_id[operation_id]["responses"]


class Odd(DeclarativeBase):
    pass


class Shelf(Odd):
    __tablename__ = f"shelves_{UNIQUE}"

    code: Mapped[str] = mapped_column(String(5), primary_key=True)
    price: Mapped[float] = mapped_column(Numeric(8, 2))
    items: Mapped[list["Item"]] = relationship()


class Item(Odd):
    __tablename__ = f"items_{UNIQUE}"

    code: Mapped[UUID] = mapped_column(primary_key=True)
    shelf_code: Mapped[str] = mapped_column(ForeignKey(Shelf.code))


class ShelfResource(Resource):
    model = Shelf
    path = "shelves"
    fillable = {"code", "price"}
    nested = ("items",)


class ItemResource(Resource):
    model = Item
    fillable = {"code", "shelf_code"}
    handlers = (Handler.INSERT, Handler.SHOW)


async def test_keys_of_other_types(tmp_path: Any):
    """Keys may be texts and UUIDs: the routes parse them, and the document says so."""
    key = "6f3c1a5e-0000-4000-8000-000000000001"
    async with database_of("sqlite", tmp_path, metadata=Odd.metadata) as database:
        async with Site(database, (ShelfResource, ItemResource)).client() as client:
            made = await client.post("/shelves", json={"code": "A1", "price": "1.50"})
            assert (made.status_code, made.json()) == (201, {"code": "A1", "price": "1.50"})
            assert (await client.post("/shelves/A1/items", json={"code": key})).status_code == 201
            assert (await client.get(f"/shelves/A1/items/{key.upper()}")).json() == {"code": key, "shelf_code": "A1"}
            assert (await client.get("/shelves/A1/items/7")).status_code == 400
            document = (await client.get("http://test/openapi.json")).json()
    [shelf, item] = operations(document)["show_shelves_items"]["parameters"][:2]
    assert (shelf["name"], shelf["schema"]["type"]) == ("shelf_code", "string")
    assert (item["name"], item["schema"]["format"]) == ("code", "uuid")


async def test_a_document_of_two_inclusions(shop: Site):
    """A router that is included twice is documented twice, and both work."""
    shop.use(*only(Handler.SHOW))
    router = shop.router()
    shop.app.include_router(router, prefix="/v1")
    shop.app.include_router(router, prefix="/v2")
    with pytest.warns(UserWarning, match="Duplicate Operation ID"):  # FastAPI's, as for every explicit id
        paths = shop.app.openapi()["paths"]
    assert {"/v1/users/{id}", "/v2/users/{id}"} <= set(paths)
    async with started(shop.app) as client:
        assert (await client.get("/v1/users/1")).json() == (await client.get("/v2/users/1")).json()
