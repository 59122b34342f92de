"""The connector's contract on MongoDB: sections 2, 3 and 5."""

import asyncio
import importlib.util
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import gridfs
import pymongo
import pytest
from bson import SON, DBRef, ObjectId
from pymongo import AsyncMongoClient, DeleteOne, InsertOne, MongoClient, ReadPreference, ReplaceOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, ConfigurationError, DuplicateKeyError, OperationFailure

from interceptors.arguments import Arguments
from interceptors.chain import Chain
from interceptors.connectors import Connector
from interceptors.connectors.pymongo import MongoConnector, MongoContext, MongoRequest
from interceptors.errors import (
    AlreadyHookedError,
    DoubleCompletionWarning,
    ForgottenNextError,
    HookError,
    IgnoredAssignmentWarning,
    MissingExtraError,
    UnknownHookError,
)
from tests.integration.connectors import mongo_support as support

Log = list[Any]


client, mongo, database, things, plain, executes = (
    support.client, support.mongo, support.database, support.things, support.plain, support.executes
)  # fmt: skip


def commands(log: Log) -> list[str]:
    return [req.command for req in log]


async def ns(collection: AsyncCollection[Any]) -> list[int]:
    return [document["n"] for document in await collection.find().sort("_id").to_list()]


# -- the connector and its client --------------------------------------------------------------------------------------


def test_sync_client_is_refused() -> None:
    with (
        MongoClient[Any](connect=False) as client,
        pytest.raises(TypeError, match="takes an AsyncMongoClient, not Mon"),
    ):
        MongoConnector(client)  # type: ignore[arg-type]


async def test_second_connector_is_refused(mongo: MongoConnector) -> None:
    with pytest.raises(AlreadyHookedError, match=r"hooked by MongoConnector already.*parent=") as caught:
        MongoConnector(mongo.client)
    assert caught.value.client is mongo.client


async def test_client_stays_what_it_is(client: AsyncMongoClient[Any], mongo_client: AsyncMongoClient[Any]) -> None:
    before, text = client["x"], repr(client)
    connector = MongoConnector(client, name="mongo")
    assert connector.client is client
    assert connector.name == "mongo"
    assert isinstance(client, AsyncMongoClient)
    assert repr(client) == text
    assert client == mongo_client
    assert mongo_client == client
    assert before == client["x"]
    assert type(client.x).__name__ == "AsyncDatabase"
    with pytest.raises(AttributeError):
        _ = client._x


async def test_what_was_taken_before_stays_unhooked(client: AsyncMongoClient[Any], mongo_url: str) -> None:
    database = client.test_before
    collection = database.things
    log: Log = []
    mongo = MongoConnector(client)
    mongo.before_execute(log.append)
    await collection.find_one()
    await database.other.find().to_list()
    await database.command("ping")
    assert log == []
    await client.test_before.things.find_one()
    assert len(log) == 1


async def test_own_subclass_of_the_client_is_kept(mongo_client: AsyncMongoClient[Any], mongo_url: str) -> None:
    class Collection(AsyncCollection[Any]):
        async def find_one(self, *args: Any, **kwargs: Any) -> Any:
            return {"mine": await super().find_one(*args, **kwargs)}

    class Client(AsyncMongoClient[Any]):
        def __getitem__(self, name: str) -> Any:
            database = super().__getitem__(name)
            database.own = Collection(database, "own")
            return database

        def get_database(self, name: Any = None, *args: Any, **kwargs: Any) -> Any:
            return self[name or "test"]

    async with Client(mongo_url) as client:
        mongo = MongoConnector(client)
        mongo.after_execute(lambda ctx: setattr(ctx, "res", {"hooked": ctx.res}))
        own = client["test"].own
        assert await own.find_one() == {"mine": None}  # made by hand: not hooked
        assert await client["test"].things.find_one({"_id": "none"}) == {"hooked": None}
        assert await client.get_database().things.find_one({"_id": "none"}) == {"hooked": None}


@pytest.mark.parametrize(
    "take",
    [
        lambda client: client["t"]["c"],
        lambda client: client.t.c,
        lambda client: client.get_database("t").get_collection("c"),
        lambda client: client.get_database("t", read_preference=ReadPreference.SECONDARY_PREFERRED)["c"],
        lambda client: client.get_default_database("t").c,
        lambda client: client.t.with_options(read_preference=ReadPreference.SECONDARY_PREFERRED).c,
        lambda client: client.t.c.with_options(read_preference=ReadPreference.SECONDARY_PREFERRED),
        lambda client: client.t.c.sub.sub,
        lambda client: client.t.c["sub"],
        lambda client: client.t.get_collection("c", read_preference=ReadPreference.SECONDARY_PREFERRED).database.d,
        lambda client: client.t.client.t.c,
        lambda client: client.t.c.find().collection,
        lambda client: client.t.c.find().clone().collection.database.c,
    ],
    ids=map(str, range(13)),
)
async def test_every_way_to_a_collection_is_hooked(mongo: MongoConnector, executes: Log, take: Any) -> None:
    collection = take(mongo.client)
    assert isinstance(collection, AsyncCollection)
    await collection.find_one({"_id": 1})
    (req,) = executes
    assert (req.database, req.collection, req.command) == ("t", collection.name, "find_one")


async def test_options_are_kept(mongo: MongoConnector) -> None:
    database = mongo.client.get_database("t", read_preference=ReadPreference.SECONDARY_PREFERRED)
    assert database.c.read_preference == ReadPreference.SECONDARY_PREFERRED
    assert database.c.with_options().sub.read_preference == ReadPreference.SECONDARY_PREFERRED


async def test_created_collection_is_hooked(database: AsyncDatabase[Any], executes: Log) -> None:
    collection = await database.create_collection("made", read_preference=ReadPreference.SECONDARY_PREFERRED)
    assert collection.read_preference == ReadPreference.SECONDARY_PREFERRED
    assert commands(executes) == []
    await collection.insert_one({})
    assert commands(executes) == ["insert_one"]
    with pytest.raises(CollectionInvalid):
        await database.create_collection("made")


def test_missing_pymongo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    spec = importlib.util.find_spec("interceptors.connectors.pymongo")
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[pymongo\]'") as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert caught.value.extra == "pymongo"
    assert isinstance(caught.value.__cause__, ImportError)


# -- what is hooked ----------------------------------------------------------------------------------------------------


async def test_every_method_is_one_execute(things: AsyncCollection[Any], executes: Log) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("insert_one", ({"_id": 10, "n": 10},)),
        ("insert_many", ([{"_id": 11, "n": 11}, {"_id": 12, "n": 12}],)),
        ("bulk_write", ([InsertOne({"_id": 13, "n": 13})],)),
        ("update_one", ({"_id": 10}, {"$set": {"a": 1}})),
        ("update_many", ({}, {"$set": {"a": 1}})),
        ("replace_one", ({"_id": 10}, {"n": 10})),
        ("delete_one", ({"_id": 10},)),
        ("delete_many", ({"_id": 11},)),
        ("find_one", ({"_id": 1},)),
        ("find_one_and_update", ({"_id": 1}, {"$set": {"b": 1}})),
        ("find_one_and_replace", ({"_id": 1}, {"n": 1})),
        ("find_one_and_delete", ({"_id": 12},)),
        ("count_documents", ({},)),
        ("estimated_document_count", ()),
        ("distinct", ("n",)),
        ("aggregate", ([],)),
        ("create_index", ("n",)),
        ("create_indexes", ([pymongo.IndexModel("a")],)),
        ("index_information", ()),
        ("list_indexes", ()),
        ("drop_index", ("n_1",)),
        ("drop_indexes", ()),
        ("options", ()),
        ("rename", (f"renamed_{uuid.uuid4().hex}",)),
        ("drop", ()),
    ]
    for name, args in calls:
        await getattr(things, name)(*args)
    assert commands(executes) == [name for name, _ in calls]
    executes.clear()
    await things.find().to_list()
    await things.find_raw_batches().to_list()
    assert commands(executes) == ["find", "find_raw_batches"]
    assert {(req.database, req.collection) for req in executes} == {(things.database.name, "things")}


async def test_every_method_gives_what_it_gives_without_hooks(
    things: AsyncCollection[Any], plain: AsyncCollection[Any], executes: Log
) -> None:
    assert (await things.insert_one({"_id": 9, "n": 9})).inserted_id == 9
    assert (await things.update_many({"n": {"$gt": 3}}, {"$inc": {"n": 1}})).modified_count == 2
    assert await things.find_one({"_id": 9}) == {"_id": 9, "n": 10}
    assert await things.find_one(9) == {"_id": 9, "n": 10}
    assert await things.find_one("none") is None
    assert (await things.delete_one({"_id": 9})).deleted_count == 1
    assert await things.count_documents({}, limit=2) == 2
    assert await things.estimated_document_count() == 5
    assert await things.index_information() == await plain.index_information()
    aggregated = await things.aggregate([{"$match": {"n": 1}}], batchSize=1)
    assert isinstance(aggregated, AsyncCommandCursor)
    assert await aggregated.to_list() == [{"_id": 1, "n": 1}]
    assert await things.distinct("n", {"n": {"$lt": 2}}) == [0, 1]
    assert await (await things.list_indexes()).to_list() == await (await plain.list_indexes()).to_list()


async def test_methods_are_still_coroutine_functions_with_their_names(things: AsyncCollection[Any]) -> None:
    assert asyncio.iscoroutinefunction(things.find_one)
    assert things.find_one.__name__ == "find_one"
    assert things.find_one.__doc__ == AsyncCollection.find_one.__doc__


async def test_database_command(database: AsyncDatabase[Any], executes: Log) -> None:
    document = SON([("ping", 1), ("comment", {"by": ["me"]})])
    assert (await database.command(document))["ok"] == 1
    (req,) = executes
    assert (req.database, req.collection, req.command) == (database.name, None, "command")
    assert req.params["command"] == document
    assert type(req.params["command"]) is SON
    assert req.params["command"] is not document
    assert req.params[0]["comment"]["by"] is not document["comment"]["by"]
    assert list(document) == ["ping", "comment"]


async def test_methods_of_a_database_that_use_others(things: AsyncCollection[Any], executes: Log) -> None:
    assert await things.database.dereference(DBRef("things", 3)) == {"_id": 3, "n": 3}
    assert commands(executes) == ["find_one"]


async def test_client_commands_are_not_hooked(
    things: AsyncCollection[Any], mongo: MongoConnector, executes: Log
) -> None:
    await mongo.client.server_info()
    assert things.database.name in await mongo.client.list_database_names()
    await mongo.client.drop_database(things.database)
    assert things.database.name not in await mongo.client.list_database_names()
    assert executes == []


async def test_gridfs_is_not_hooked(things: AsyncCollection[Any], executes: Log) -> None:
    bucket = gridfs.AsyncGridFSBucket(things.database)
    file_id = await bucket.upload_from_stream("a", b"content")
    assert await (await bucket.open_download_stream(file_id)).read() == b"content"
    files = gridfs.AsyncGridFS(things.database, "other")
    async with files.new_file(filename="b") as file:
        await file.write(b"more")
    assert await (await files.get_last_version("b")).read() == b"more"
    assert [each.filename async for each in files.find()] == ["b"]
    async with gridfs.AsyncGridIn(things.database.own, filename="c") as own:
        await own.write(b"own")
    assert executes == []


async def test_change_streams_are_not_hooked(things: AsyncCollection[Any], executes: Log) -> None:
    async with await things.watch(max_await_time_ms=1000) as stream:
        await things.insert_one({"_id": 7})
        assert (await stream.next())["documentKey"] == {"_id": 7}
    assert commands(executes) == ["insert_one"]


# -- the request -------------------------------------------------------------------------------------------------------


async def test_params_by_name_and_position(things: AsyncCollection[Any], executes: Log) -> None:
    await things.update_one({"_id": 1}, {"$set": {"a": 1}}, upsert=True)
    (req,) = executes
    assert isinstance(req.params, Arguments)
    assert req.params[0] == req.params["filter"] == {"_id": 1}
    assert req.params[1] == req.params["update"] == {"$set": {"a": 1}}
    assert req.params["upsert"] is True
    assert req.params["hint"] is None
    assert repr(req).startswith(f"MongoRequest('{things.database.name}', 'things', 'update_one', Arguments(filter=")


async def test_filter_is_always_there(things: AsyncCollection[Any], executes: Log) -> None:
    await things.find().to_list()
    await things.find(None).to_list()
    await things.find_one()
    await things.find_one(3)
    await things.distinct("n")
    await things.find({"n": 3}).distinct("n")
    await things.find_raw_batches().to_list()
    assert [req.params["filter"] for req in executes] == [{}, {}, {}, {"_id": 3}, {}, {"n": 3}, {}]


async def test_a_missing_filter_is_never_invented_for_a_write(things: AsyncCollection[Any], executes: Log) -> None:
    with pytest.raises(TypeError, match="filter"):
        await things.delete_many()  # type: ignore[call-arg]
    assert "filter" not in executes[0].params
    with pytest.raises(TypeError):
        await things.delete_many(None)  # type: ignore[arg-type]


async def test_a_hook_may_give_what_is_missing(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    mongo.before_execute(lambda ctx: ctx.req.params.__setitem__("filter", {"n": 1}))
    assert await things.count_documents() == 1  # type: ignore[call-arg]


async def test_unknown_arguments_are_refused_before_the_hooks(things: AsyncCollection[Any], executes: Log) -> None:
    with pytest.raises(TypeError, match=r"AsyncCollection.find_one\(\) got an unexpected keyword argument 'nonsense'"):
        await things.find_one(nonsense=1)
    with pytest.raises(TypeError, match="nonsense"):
        things.find(nonsense=1)
    assert executes == []


async def test_edit_in_place(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    @mongo.before_execute
    async def small(ctx: MongoContext) -> None:
        ctx.req.params["filter"]["n"] = {"$lt": 3}
        if ctx.req.command == "find":
            ctx.req.params["limit"] = 2
            ctx.req.params["sort"] = [("n", -1)]

    assert await things.count_documents({}) == 3
    assert [each["n"] async for each in things.find()] == [2, 1]


async def test_the_callers_dicts_never_change(
    things: AsyncCollection[Any], mongo: MongoConnector, plain: AsyncCollection[Any]
) -> None:
    @mongo.before_execute
    def edit(ctx: MongoContext) -> None:
        match ctx.req.command:
            case "bulk_write":
                for operation in ctx.req.params["requests"]:
                    operation._filter["n"] = 1
                ctx.req.params["requests"].pop()
            case "aggregate":
                ctx.req.params["pipeline"][0]["$match"]["n"]["$in"].append(2)
            case _:
                ctx.req.params["filter"]["n"]["$in"].append(2)

    condition = {"n": {"$in": [1]}}
    assert await things.count_documents(condition) == 2
    assert len(await things.find(condition).to_list()) == 2
    pipeline = [{"$match": condition}]
    assert len(await (await things.aggregate(pipeline)).to_list()) == 2
    assert condition == {"n": {"$in": [1]}}
    one: dict[str, Any] = {}
    operations = [
        UpdateOne(one, {"$set": {"seen": 1}}),
        ReplaceOne(one, {"n": 1, "seen": 2}),
        DeleteOne({"_id": "none"}),
    ]
    await things.bulk_write(operations)
    assert one == {}
    assert len(operations) == 3
    assert await plain.distinct("seen") == [2]


async def test_documents_to_insert_are_the_callers(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    given: Log = []

    @mongo.before_execute
    def seen(ctx: MongoContext) -> None:
        documents = ctx.req.params[0]
        given.extend([documents] if isinstance(documents, dict) else documents)

    one: dict[str, Any] = {}
    await things.insert_one(one)
    many: list[dict[str, Any]] = [{}, {}]
    await things.insert_many(many)
    iterated: dict[str, Any] = {}
    await things.insert_many(each for each in [iterated])
    bulk: dict[str, Any] = {}
    await things.bulk_write([InsertOne(bulk)])
    assert [given[0], given[1], given[2], given[3]] == [one, *many, iterated]
    assert given[0] is one
    assert given[3] is iterated
    assert given[4]._doc is bulk
    assert all(isinstance(each["_id"], ObjectId) for each in (one, *many, iterated, bulk))


async def test_insert_many_refuses_what_it_refuses(things: AsyncCollection[Any], executes: Log) -> None:
    for wrong in ({"a": 1}, 3, []):
        with pytest.raises(TypeError, match="documents must be a non-empty list"):
            await things.insert_many(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="requests must be a list"):
        await things.bulk_write(())  # type: ignore[arg-type]


async def test_database_collection_and_command_are_obeyed(
    things: AsyncCollection[Any], mongo: MongoConnector, mongo_client: AsyncMongoClient[Any]
) -> None:
    other = mongo_client[f"{things.database.name}_other"]
    await other.elsewhere.insert_one({"_id": "there"})
    changes: dict[str, str] = {}

    @mongo.before_execute
    def change(ctx: MongoContext) -> None:
        for name, value in changes.items():
            setattr(ctx.req, name, value)

    try:
        changes["collection"] = "elsewhere"
        assert await things.find_one({}) is None
        changes["database"] = other.name
        assert await things.find_one({}) == {"_id": "there"}
        assert await things.find().to_list() == [{"_id": "there"}]
        assert await things.count_documents({}) == 1
        await things.drop()
        assert await other.list_collection_names() == []
        changes.clear()
        changes["command"] = "count_documents"
        assert await things.find_one({"n": {"$lt": 2}}) == 2
        changes["command"] = "distinct"
        changes.clear()
        changes["database"] = other.name
        await other.elsewhere.insert_one({})
        assert (await things.database.command("dbStats"))["db"] == other.name
    finally:
        await mongo_client.drop_database(other.name)


async def test_options_of_the_collection_go_along_to_another(
    things: AsyncCollection[Any], mongo: MongoConnector
) -> None:
    things = things.with_options(codec_options=things.codec_options.with_options(document_class=SON))
    mongo.before_execute(lambda ctx: setattr(ctx.req, "collection", "other"))
    await things.insert_one({"a": 1})
    assert type(await things.find_one()) is SON


async def test_soft_delete(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    @mongo.before_execute
    async def soft(ctx: MongoContext) -> None:
        if ctx.req.command == "delete_one":
            ctx.req.command = "update_one"
            ctx.req.params["update"] = {"$set": {"deleted": True}}
        elif ctx.req.command == "find":
            ctx.req.params["filter"]["deleted"] = {"$ne": True}

    result = await things.delete_one({"_id": 2}, comment="c")
    assert result.modified_count == 1
    assert await ns(things) == [0, 1, 3, 4]
    mongo.clear_observers()
    assert await ns(things) == [0, 1, 2, 3, 4]


async def test_replaced_request(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    requests: Log = [
        MongoRequest(things.database.name, "things", "find_one", {"filter": {"_id": 3}}),
        MongoRequest(things.database.name, "things", "find_one", [{"_id": 3}, ["n"]]),
        MongoRequest(things.database.name, "things", "command", ["ping"]),
    ]
    seen: Log = []

    @mongo.before_execute
    def replace(ctx: MongoContext) -> None:
        ctx.req = requests.pop(0)

    @mongo.before_execute
    def look(ctx: MongoContext) -> None:
        seen.append((type(ctx.req.params), ctx.req.params[0]))

    assert await things.find_one({"_id": 1}) == {"_id": 3, "n": 3}
    assert await things.find_one({"_id": 1}) == {"_id": 3, "n": 3}
    assert (await things.find_one({"_id": 1}))["ok"] == 1
    assert seen == [(Arguments, {"_id": 3}), (Arguments, {"_id": 3}), (Arguments, "ping")]


async def test_find_becomes_an_aggregate(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    @mongo.before_execute
    def aggregate(ctx: MongoContext) -> None:
        condition = ctx.req.params["filter"]
        ctx.req.params = {"pipeline": [{"$match": condition}, {"$project": {"m": "$n"}}]}
        ctx.req.command = "aggregate"

    cursor = things.find({"n": {"$gt": 3}})
    assert await cursor.to_list() == [{"_id": 4, "m": 4}]
    assert cursor.retrieved == 0

    mongo.clear_observers()

    @mongo.before_execute
    def in_place(ctx: MongoContext) -> None:
        ctx.req.command = "aggregate"
        ctx.req.params["pipeline"] = [{"$match": {"n": 1}}]
        assert "filter" not in ctx.req.params

    assert await things.find().to_list() == [{"_id": 1, "n": 1}]


async def test_wrong_requests(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    wrong: Log = []
    errors: Log = []

    @mongo.before_execute
    def before(ctx: MongoContext) -> None:
        wrong[0](ctx)

    @mongo.after_execute_error
    def failed(ctx: MongoContext) -> None:
        errors.append(ctx.error)

    def command(ctx: MongoContext) -> None:
        ctx.req.command = "findone"

    def req(ctx: MongoContext) -> None:
        ctx.req = {"filter": {}}  # type: ignore[assignment]

    def params(ctx: MongoContext) -> None:
        ctx.req.params = "n"

    def no_collection(ctx: MongoContext) -> None:
        ctx.req.collection = None

    def unknown(ctx: MongoContext) -> None:
        ctx.req.params = {"filter": {}, "nonsense": 1}

    wrong[:] = [command]
    with pytest.raises(UnknownHookError, match="no hooked method of PyMongo 'findone'. Did you mean 'find_one'"):
        await things.find_one()
    for hook, message in (
        (req, "ctx.req takes a MongoRequest, not dict"),
        (params, "Arguments, a dict or a list, not"),
    ):
        wrong[:] = [hook]
        with pytest.raises(TypeError, match=message):
            await things.find_one()
    assert errors == []
    for hook, message in ((no_collection, "find_one is a collection's method"), (unknown, "'nonsense'")):
        wrong[:] = [hook]
        with pytest.raises(TypeError, match=message) as caught:
            await things.find_one()
        assert errors[-1] is caught.value


@pytest.mark.parametrize(
    ("command", "legacy"),
    [
        ("insert_one", "insert"),
        ("update_one", "save"),
        ("find_one_and_update", "findAndModify"),
        ("delete_one", "delete"),
        ("delete_many", "delete"),
        ("replace_one", "update"),
        ("update_many", "update"),
        ("count_documents", "count"),
        ("estimated_document_count", "count"),
        ("find", "find"),
        ("find_one", "findOne"),
        ("insert_many", "insertMany"),
        ("find_one_and_delete", "findOneAndDelete"),
        ("aggregate", "aggregate"),
        ("command", "command"),
    ],
)
def test_legacy_command(command: str, legacy: str) -> None:
    assert MongoRequest("d", "c", command, {}).legacy_command == legacy


async def test_options_and_state(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    seen: Log = []

    @mongo.before_execute
    def before(ctx: MongoContext) -> None:
        assert ctx.connector is mongo
        assert ctx.options == {}
        ctx.state["n"] = ctx.req.command

    mongo.after_execute(lambda ctx: seen.append(ctx.state))
    await things.find_one()
    await things.find().to_list()
    assert seen == [{"n": "find_one"}, {"n": "find"}]


# -- one execute -------------------------------------------------------------------------------------------------------


async def test_order(things: AsyncCollection[Any], client: AsyncMongoClient[Any], mongo_url: str) -> None:
    log: Log = []

    def observer(name: str) -> Any:
        return lambda ctx: log.append(name)

    def layer(name: str) -> Any:
        async def run(ctx: MongoContext, next: Any) -> Any:
            log.append(f"{name} in")
            result = await next()
            log.append(f"{name} out")
            assert result is ctx.res
            return result

        return run

    base: Connector[Any, Any] = Connector(name="base")
    async with AsyncMongoClient[Any](mongo_url) as other:
        mongo = MongoConnector(other, parent=base)
        mongo.intercept(Chain([layer("own 1"), layer("own 2")]))
        base.intercept(layer("base"))
        for name in ("1", "2"):
            mongo.before_execute(observer(f"before {name}"))
            mongo.after_execute(observer(f"after {name}"))
            base.observe("before execute", observer(f"base before {name}"))
            base.observe("after execute", observer(f"base after {name}"))
        await other[things.database.name].things.find_one()
    assert log == [
        "base in", "own 1 in", "own 2 in",
        "base before 1", "base before 2", "before 1", "before 2",
        "base after 1", "base after 2", "after 1", "after 2",
        "own 2 out", "own 1 out", "base out",
    ]  # fmt: skip


async def test_res_and_results(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    seen: Log = []

    @mongo.before_execute
    def before(ctx: MongoContext) -> None:
        assert ctx.res is None
        assert ctx.results == [None]

    @mongo.after_execute
    def after(ctx: MongoContext) -> None:
        seen.append(ctx.res)
        assert ctx.results == [ctx.res]
        ctx.res["edited"] = True

    @mongo.after_execute
    def replaced(ctx: MongoContext) -> None:
        ctx.results[0] = {**ctx.res, "replaced": True}

    @mongo.after_execute
    def replaced_list(ctx: MongoContext) -> None:
        ctx.results = [{**ctx.res, "list": True}]

    assert await things.find_one({"_id": 1}) == {"_id": 1, "n": 1, "edited": True, "replaced": True, "list": True}
    assert seen == [{"_id": 1, "n": 1, "edited": True}]


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, 7])
@pytest.mark.parametrize("event", ["before execute", "after execute"])
async def test_end_with_any_value(things: AsyncCollection[Any], mongo: MongoConnector, event: Any, value: Any) -> None:
    later: Log = []
    mongo.observe(event, lambda ctx: ctx.end(None, value))
    mongo.observe(event, later.append)
    mongo.after_execute_error(later.append)
    assert await things.find_one({"_id": 1}) == value
    assert await things.insert_one({}) == value
    assert later == []


async def test_end_forms(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    ends: Log = []
    mongo.after_execute(lambda ctx: ctx.end(*ends, *([ctx, "third"] if len(ends) == 1 else [])))
    ends[:] = []
    assert await things.find_one() is None
    ends[:] = [None]
    assert await things.find_one() == "third"
    ends[:] = [None, "second"]
    mongo.clear_observers()
    mongo.after_execute(lambda ctx: ctx.end(*ends))
    assert await things.find_one() == "second"
    ends[:] = [ValueError("no"), "second"]
    with pytest.raises(ValueError, match="no"):
        await things.find_one()
    ends[:] = ["text"]
    with pytest.raises(HookError) as caught:
        await things.find_one()
    assert caught.value.value == "text"


async def test_answered_before_sends_nothing(
    things: AsyncCollection[Any], mongo: MongoConnector, plain: AsyncCollection[Any]
) -> None:
    @mongo.observe("before execute")
    def answered(ctx: MongoContext, next: Any) -> Any:
        return ctx.end(None, "not deleted")

    assert await things.delete_many({}) == "not deleted"
    assert await plain.count_documents({}) == 5


@pytest.mark.parametrize("event", ["before execute", "after execute"])
@pytest.mark.parametrize("how", ["raise", "next", "end"])
async def test_failing_observers_do_not_start_the_error_observers(
    things: AsyncCollection[Any], mongo: MongoConnector, plain: AsyncCollection[Any], event: Any, how: str
) -> None:
    later: Log = []

    @mongo.observe(event)
    def failing(ctx: MongoContext, next: Any) -> None:
        if how == "raise":
            raise LookupError("no")
        (next if how == "next" else ctx.end)(LookupError("no"))

    mongo.observe(event, later.append)
    mongo.after_execute_error(later.append)
    for call in (things.delete_one({"_id": 1}), things.find().to_list()):
        with pytest.raises(LookupError, match="no"):
            await call
    assert later == []
    assert await plain.count_documents({}) == (5 if event == "before execute" else 4)


async def test_error_observers(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    seen: Log = []
    mongo.after_execute(seen.append)
    mongo.after_execute_error(lambda ctx: seen.append((ctx.error, ctx.res, ctx.req.command)))
    with pytest.raises(DuplicateKeyError) as caught:
        await things.insert_one({"_id": 1})
    assert seen == [(caught.value, None, "insert_one")]
    assert caught.value.__cause__ is None


async def test_error_hook_recovers(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    later: Log = []
    mongo.after_execute_error(lambda ctx: ctx.end(None, "there already"))
    mongo.after_execute_error(later.append)
    assert await things.insert_one({"_id": 1}) == "there already"
    assert later == []


@pytest.mark.parametrize("how", ["raise", "next", "end"])
async def test_error_hook_replaces(things: AsyncCollection[Any], mongo: MongoConnector, how: str) -> None:
    @mongo.after_execute_error
    def replace(ctx: MongoContext, next: Any) -> None:
        conflict = LookupError("conflict")
        if how == "raise":
            raise conflict
        (next if how == "next" else ctx.end)(conflict)

    with pytest.raises(LookupError, match="conflict") as caught:
        await things.insert_one({"_id": 1})
    assert isinstance(caught.value.__cause__, DuplicateKeyError)


async def test_assigning_the_error_warns(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    @mongo.after_execute_error
    def assigns(ctx: MongoContext) -> None:
        ctx.error = None

    with pytest.warns(IgnoredAssignmentWarning, match="assigns"), pytest.raises(DuplicateKeyError):
        await things.insert_one({"_id": 1})


async def test_completion(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    log: Log = []

    def later(ctx: MongoContext, next: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, next)

    async def twice(ctx: MongoContext, next: Any) -> None:
        await next()
        await asyncio.sleep(0.01)
        log.append("after next")

    mongo.before_execute(later)
    mongo.before_execute(twice)
    assert await things.count_documents({}) == 5
    assert log == ["after next"]
    mongo.clear_observers()

    @mongo.before_execute
    def forgets(ctx: MongoContext, next: Any) -> None:
        pass

    with pytest.raises(ForgottenNextError, match="forgets.*before execute of MongoConnector"):
        await things.count_documents({})
    mongo.clear_observers()

    @mongo.before_execute
    def doubles(ctx: MongoContext, next: Any) -> None:
        next()
        ctx.end(None, "ignored")

    with pytest.warns(DoubleCompletionWarning, match="doubles"):
        assert await things.count_documents({}) == 5


async def test_interceptor_retries(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    before: Log = []
    mongo.before_execute(lambda ctx: before.append(dict(ctx.req.params.items())["document"]["_id"]))

    @mongo.intercept
    async def next_id(ctx: MongoContext, next: Any) -> Any:
        while True:
            try:
                return await next()
            except DuplicateKeyError:
                ctx.req.params["document"]["_id"] += 1

    document = {"_id": 3}
    assert (await things.insert_one(document)).inserted_id == 5
    assert before == [3, 4, 5]
    assert document == {"_id": 5}


async def test_interceptor_answers(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    cache: dict[Any, Any] = {}

    @mongo.intercept
    async def cached(ctx: MongoContext, next: Any) -> Any:
        key = repr(ctx.req)
        if key not in cache:
            cache[key] = await next()
        return cache[key]

    assert await things.find_one({"_id": 1}) is await things.find_one({"_id": 1})
    assert len(cache) == 1


# -- who is hooked when ------------------------------------------------------------------------------------------------


async def test_hooks_may_query_without_recursion(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    log: Log = []

    @mongo.before_execute
    async def before(ctx: MongoContext) -> None:
        log.append(ctx.req.command)
        assert await things.count_documents({}) == 5
        assert len(await things.find().to_list()) == 5
        assert len(await asyncio.create_task(things.find().to_list())) == 5
        await things.database.command("ping")

    await things.find_one()
    await things.find().to_list()
    assert log == ["find_one", "find"]


async def test_a_hooks_cursor_is_not_hooked_when_the_caller_reads_it(
    things: AsyncCollection[Any], mongo: MongoConnector
) -> None:
    log: Log = []

    @mongo.before_execute
    def other(ctx: MongoContext) -> None:
        log.append(ctx.req.command)
        ctx.end(None, things.find({"n": {"$gt": 3}}))

    assert await things.find().to_list() == [{"_id": 4, "n": 4}]
    assert log == ["find"]
    mongo.clear_observers()

    async def generated() -> AsyncIterator[Any]:
        async for each in things.find({"n": {"$gt": 3}}):
            yield each

    @mongo.before_execute
    def generator(ctx: MongoContext) -> None:
        log.append(ctx.req.command)
        ctx.end(None, generated())

    assert await things.find().to_list() == [{"_id": 4, "n": 4}]
    mongo.clear_observers()
    mongo.before_execute(lambda ctx: ctx.end(None, things.find_raw_batches()))
    assert len(await things.find_raw_batches().to_list()) == 1
    assert log == ["find", "find"]


async def test_concurrent_executes_share_nothing(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    @mongo.intercept
    async def outer(ctx: MongoContext, next: Any) -> Any:
        await asyncio.sleep(0)
        return await next()

    @mongo.before_execute
    async def before(ctx: MongoContext) -> None:
        ctx.state["n"] = ctx.req.params["filter"]["n"]
        await asyncio.sleep(0.001 * (ctx.state["n"] % 7))
        ctx.req.params["filter"] = {"_id": ctx.state["n"] % 5}

    @mongo.after_execute
    async def after(ctx: MongoContext) -> None:
        await asyncio.sleep(0.001 * (ctx.state["n"] % 3))
        found = ctx.res if ctx.req.command == "find_one" else (await ctx.res.to_list())[0]
        value = {"asked": ctx.state["n"], "found": found["n"]}
        ctx.res = value if ctx.req.command == "find_one" else [value]

    async def one(n: int) -> Any:
        return await things.find_one({"n": n}) if n % 2 else (await things.find({"n": n}).to_list())[0]

    results = await asyncio.gather(*(one(n) for n in range(200)))
    assert results == [{"asked": n, "found": n % 5} for n in range(200)]


async def test_hooks_of_an_execute_are_those_of_its_start(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    log: Log = []

    @mongo.before_execute
    def once(ctx: MongoContext) -> None:
        mongo.remove_observer("before execute", once)
        mongo.before_execute(log.append)

    mongo.before_execute(lambda ctx: log.append("second"))
    await things.find_one()
    assert log == ["second"]


async def test_a_cursor_has_the_hooks_of_its_first_fetch(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    cursor = things.find()
    mongo.before_execute(lambda ctx: ctx.end(None, ["hooked"]))
    assert await cursor.to_list() == ["hooked"]


async def test_an_execute_by_hand(mongo: MongoConnector) -> None:
    async def call(req: MongoRequest) -> Any:
        return req.params["filter"]

    mongo.before_execute(lambda ctx: ctx.req.params["filter"].update({"tenant": 1}))
    mongo.after_execute(lambda ctx: ctx.end(None, [ctx.res]))
    assert await mongo.execute(MongoRequest("d", "fs.files", "find", {"filter": {}}), call) == [{"tenant": 1}]


async def test_two_connectors_of_two_clients(
    things: AsyncCollection[Any], executes: Log, mongo_client: AsyncMongoClient[Any], mongo_url: str
) -> None:
    async with AsyncMongoClient[Any](mongo_url) as client:
        other = MongoConnector(client)

        @other.before_execute
        async def asks(ctx: MongoContext) -> None:
            await things.find_one()

        await client[things.database.name].things.count_documents({})
    assert commands(executes) == ["find_one"]


# -- sessions ----------------------------------------------------------------------------------------------------------


async def test_transactions(things: AsyncCollection[Any], executes: Log, plain: AsyncCollection[Any]) -> None:
    async with things.database.client.start_session() as session:
        async with await session.start_transaction():
            await things.insert_one({"_id": 10}, session=session)
            assert len(await things.find(session=session).to_list()) == 6
            await session.abort_transaction()
        assert executes[0].params["session"] is session
        assert await plain.count_documents({}) == 5

        async def work(each: Any) -> Any:
            await things.delete_many({}, session=each)
            return await things.count_documents({}, session=each)

        assert await session.with_transaction(work) == 0
    assert await plain.count_documents({}) == 0
    assert commands(executes) == ["insert_one", "find", "delete_many", "count_documents"]


async def test_a_hook_in_the_callers_transaction(
    things: AsyncCollection[Any], mongo: MongoConnector, plain: AsyncCollection[Any]
) -> None:
    @mongo.after_execute
    async def audit(ctx: MongoContext) -> None:
        await things.database.audit.insert_one({"did": ctx.req.command}, session=ctx.req.params["session"])

    async with things.database.client.start_session() as session, await session.start_transaction():
        await things.delete_one({"_id": 1}, session=session)
        await session.abort_transaction()
    assert await plain.database.audit.count_documents({}) == 0
    await things.delete_one({"_id": 1})
    assert await plain.database.audit.count_documents({}) == 1


async def test_a_hook_that_fails_aborts_the_transaction(
    things: AsyncCollection[Any], mongo: MongoConnector, plain: AsyncCollection[Any]
) -> None:
    @mongo.after_execute
    def refuse(ctx: MongoContext) -> None:
        raise PermissionError

    async with things.database.client.start_session() as session:
        with pytest.raises(PermissionError):
            async with await session.start_transaction():
                await things.delete_many({}, session=session)
    assert await plain.count_documents({}) == 5


async def test_errors_of_the_server_keep_their_facts(things: AsyncCollection[Any], executes: Log) -> None:
    with pytest.raises(OperationFailure) as caught:
        await things.database.command("noSuchCommand")
    assert caught.value.code == 59
    with pytest.raises(ConfigurationError):
        await things.estimated_document_count(session=None)


async def test_cursors_of_other_methods_take_lists(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    mongo.before_execute(lambda ctx: ctx.end(None, [{"a": 1}, {"a": 2}]))
    for cursor in (await things.aggregate([]), await things.list_indexes(), await things.aggregate_raw_batches([])):
        assert isinstance(cursor, AsyncCommandCursor)
        assert [each async for each in cursor] == [{"a": 1}, {"a": 2}]
        assert not cursor.alive
    assert isinstance(things.find(), AsyncCursor)
