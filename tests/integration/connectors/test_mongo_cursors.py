"""`find`: one execute at the first fetch, and a cursor that is PyMongo's to its caller."""

import copy
import gc
from collections.abc import AsyncIterator
from typing import Any

import bson
import pytest
from bson.code import Code
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, CursorType
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor, AsyncRawBatchCursor
from pymongo.collation import Collation
from pymongo.errors import InvalidOperation, OperationFailure

from interceptors.connectors.pymongo import MongoConnector, MongoContext
from tests.integration.connectors import mongo_support as support

Log = list[Any]
client, mongo, database, things, plain, executes = (
    support.client, support.mongo, support.database, support.things, support.plain, support.executes
)  # fmt: skip


def n(documents: list[Any]) -> list[int]:
    return [each["n"] for each in documents]


@pytest.fixture
def passing(mongo: MongoConnector) -> None:
    """A hook that changes nothing: the way through the hooks is taken."""
    mongo.before_execute(lambda ctx: None)


# -- what a caller sees is what PyMongo does ---------------------------------------------------------------------------


async def read_all(cursor: Any) -> Any:
    return await cursor.to_list()


async def read_some(cursor: Any) -> Any:
    first = await cursor.to_list(2)
    return first, await cursor.to_list(1), cursor.retrieved, await cursor.to_list(), await cursor.to_list()


async def read_each(cursor: Any) -> Any:
    return [each async for each in cursor], cursor.alive


async def read_next(cursor: Any) -> Any:
    found = [await cursor.next(), await anext(cursor)], cursor.alive
    with pytest.raises(StopAsyncIteration):
        while True:
            await cursor.next()
    with pytest.raises(StopAsyncIteration):
        await cursor.next()
    return found, cursor.alive, cursor.cursor_id


async def read_closed(cursor: Any) -> Any:
    async with cursor:
        found = await cursor.next()
    return found, cursor.alive, await cursor.to_list()


async def read_never(cursor: Any) -> Any:
    before = cursor.alive, cursor.retrieved, cursor.cursor_id, cursor.address
    await cursor.close()
    await cursor.close()
    with pytest.raises(StopAsyncIteration):
        await cursor.next()
    return before, cursor.alive, await cursor.to_list()


async def read_again(cursor: Any) -> Any:
    first = await cursor.next()
    assert await cursor.rewind() is cursor
    again = await cursor.to_list()
    await cursor.rewind()
    return first, again, await cursor.to_list()


async def read_clones(cursor: Any) -> Any:
    clone = cursor.clone()
    clone.skip(1)
    first = await cursor.to_list()
    return first, await clone.to_list(), await copy.copy(cursor).to_list(), await copy.deepcopy(cursor).to_list()


async def read_distinct(cursor: Any) -> Any:
    return await cursor.distinct("n"), await cursor.to_list()


READERS = [read_all, read_some, read_each, read_next, read_closed, read_never, read_again, read_clones, read_distinct]


async def _tailable(cursor: Any) -> Any:
    return await cursor.add_option(16)


FINDS: dict[str, Any] = {
    "all": lambda c: c.find(),
    "arguments": lambda c: c.find({"n": {"$gt": 0}}, ["n"], 1, 3, sort=[("n", -1)], batch_size=2),
    "chain": lambda c: c.find({"n": {"$gt": 0}}).sort("n", DESCENDING).skip(1).limit(3).batch_size(2),
    "by name": lambda c: c.find().limit(limit=2).skip(skip=1).sort(key_or_list="n", direction=-1),
    "sorts": lambda c: c.find().sort("n"),
    "sort by several": lambda c: c.find().sort([("m", 1), ("n", -1)]),
    "sort by names": lambda c: c.find().sort(["m", ("n", DESCENDING)]),
    "sort by a dict": lambda c: c.find().sort({"n": -1}),
    "bounds": lambda c: c.find().min([("n", 1)]).max([("n", 4)]).hint([("n", 1)]),
    "hint": lambda c: c.find({"n": {"$lt": 9}}).hint("n_1").comment("why").max_time_ms(5000).allow_disk_use(True),
    "collation": lambda c: c.find().collation(Collation("en")).max_await_time_ms(10).remove_option(16),
    "projection": lambda c: c.find({}, {"_id": False}, show_record_id=False),
}


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("name", FINDS)
async def test_a_cursor_behaves_as_ever(
    things: AsyncCollection[Any], plain: AsyncCollection[Any], passing: None, name: str, read: Any
) -> None:
    await plain.create_index("n")
    assert await read(FINDS[name](things)) == await read(FINDS[name](plain))


async def test_without_hooks_too(things: AsyncCollection[Any], plain: AsyncCollection[Any]) -> None:
    for read in READERS:
        assert await read(FINDS["chain"](things)) == await read(FINDS["chain"](plain))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.find(3),
        lambda c: c.find(limit="x"),
        lambda c: c.find().limit("x"),
        lambda c: c.find().limit(),
        lambda c: c.find().skip(-1),
        lambda c: c.find().max(3),
        lambda c: c.find().batch_size(-1),
        lambda c: c.find().sort("n", 1, 2),
        lambda c: c.find().sort([]),
        lambda c: c.find().max_await_time_ms("x"),
        lambda c: c.find().remove_option("x"),
        lambda c: c.find()[0],
        lambda c: c.find(cursor_type=9),
        lambda c: c.find_raw_batches(3),
    ],
    ids=map(str, range(14)),
)
def test_wrong_options_are_refused_where_they_stand(
    things: AsyncCollection[Any], plain: AsyncCollection[Any], passing: None, wrong: Any
) -> None:
    with pytest.raises(Exception) as expected:
        wrong(plain)
    with pytest.raises(type(expected.value)):
        wrong(things)


async def test_no_options_after_the_first_fetch(things: AsyncCollection[Any], passing: None) -> None:
    cursor = things.find().batch_size(2)
    await cursor.next()
    for told in (lambda: cursor.limit(3), lambda: cursor.sort("n"), lambda: cursor.where("true")):
        with pytest.raises(InvalidOperation, match="cannot set options after executing query"):
            told()
    with pytest.raises(InvalidOperation):
        await cursor.add_option(16)
    assert cursor.retrieved == 2
    assert cursor.cursor_id
    assert cursor.address is not None
    await cursor.close()


async def test_it_is_pymongos_cursor(things: AsyncCollection[Any], passing: None) -> None:
    cursor = things.find()
    assert isinstance(cursor, AsyncCursor)
    assert cursor.collection is things
    assert cursor.session is None
    assert isinstance(things.find_raw_batches(), AsyncRawBatchCursor)
    async with things.database.client.start_session() as session:
        assert things.find(session=session).session is session
        assert things.find(session=session).clone().session is session


async def test_raw_batches(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    seen: Log = []

    @mongo.before_execute
    def before(ctx: MongoContext) -> None:
        ctx.req.params["filter"]["n"] = {"$gt": 2}
        seen.append(ctx.req.command)

    batches = await things.find_raw_batches().sort("n", -1).to_list()
    assert n(bson.decode_all(b"".join(batches))) == [4, 3]
    mongo.before_execute(lambda ctx: ctx.end(None, [b"raw"]))
    assert [each async for each in things.find_raw_batches()] == [b"raw"]
    assert seen == ["find_raw_batches"] * 2
    clone = things.find_raw_batches().clone()
    assert isinstance(clone, AsyncRawBatchCursor)


# -- what a hook sees --------------------------------------------------------------------------------------------------


async def test_one_execute_at_the_first_fetch(things: AsyncCollection[Any], executes: Log) -> None:
    cursor = things.find({"n": {"$gt": 0}}, {"n": 1}, comment="why").sort("n", -1).skip(1).limit(2).batch_size(1)
    cursor.hint([("_id", 1)]).max_time_ms(5000).collation(Collation("en"))
    assert executes == []
    assert n([each async for each in cursor]) == [3, 2]
    (req,) = executes
    assert (req.database, req.collection, req.command) == (things.database.name, "things", "find")
    given = {name: value for name, value in req.params.items() if value not in (None, False, 0)}
    assert given == {
        "filter": {"n": {"$gt": 0}},
        "projection": {"n": 1},
        "skip": 1,
        "limit": 2,
        "sort": [("n", -1)],
        "batch_size": 1,
        "hint": [("_id", 1)],
        "max_time_ms": 5000,
        "comment": "why",
        "collation": Collation("en"),
    }


async def test_where_is_part_of_the_filter(things: AsyncCollection[Any], mongo: MongoConnector, executes: Log) -> None:
    mongo.before_execute(lambda ctx: ctx.end(None, []))  # not every server runs JavaScript
    condition = {"n": 1}
    await things.find(condition).where("this.n > 0").to_list()
    await things.find().where(Code("true")).to_list()
    assert [req.params["filter"] for req in executes] == [
        {"n": 1, "$where": Code("this.n > 0")},
        {"$where": Code("true")},
    ]
    assert all(type(req.params["filter"]["$where"]) is Code for req in executes)
    assert condition == {"n": 1}


async def test_options_that_are_no_parameters(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    flags: Log = []
    mongo.after_execute(lambda ctx: flags.append(ctx.res._query_flags))
    cursor = await things.find().add_option(16)
    await cursor.remove_option(16).clone().to_list()
    await (await things.find().add_option(16)).to_list()
    assert flags == [0, 16]


async def test_tailable_cursor(things: AsyncCollection[Any], passing: None) -> None:
    capped = await things.database.create_collection("capped", capped=True, size=10000)
    await capped.insert_one({"n": 1})
    cursor = capped.find(cursor_type=CursorType.TAILABLE_AWAIT).max_await_time_ms(10)
    assert (await cursor.next())["n"] == 1
    with pytest.raises(StopAsyncIteration):
        await cursor.next()
    assert cursor.alive
    await capped.insert_one({"n": 2})
    assert (await cursor.next())["n"] == 2
    await cursor.close()


async def test_every_clone_and_rewind_is_an_execute(things: AsyncCollection[Any], executes: Log) -> None:
    cursor = things.find({"n": {"$in": [1]}})
    await cursor.to_list()
    executes[0].params["filter"]["n"]["$in"].append(2)
    assert n(await cursor.clone().to_list()) == [1]
    await cursor.rewind()
    assert n(await cursor.to_list()) == [1]
    assert len(executes) == 3


async def test_many_batches_are_one_execute(things: AsyncCollection[Any], executes: Log) -> None:
    await things.insert_many([{"n": each} for each in range(500)])
    executes.clear()
    assert len(await things.find(batch_size=50).to_list()) == 505
    assert len([each async for each in things.find(batch_size=50)]) == 505
    assert len(executes) == 2


async def test_distinct_of_a_cursor_is_the_collections(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    mongo.before_execute(lambda ctx: ctx.req.params["filter"].update({"n": {"$lt": 2}}))
    assert await things.find({"_id": {"$gt": 0}}).distinct("n") == [1]


async def test_explain_is_not_hooked(things: AsyncCollection[Any], plain: AsyncCollection[Any], executes: Log) -> None:
    explained = await (await things.find({"n": 1}).sort("n").add_option(16)).explain()
    assert set(explained) == set(await plain.find({"n": 1}).sort("n").explain())
    assert await things.find_raw_batches({"n": 1}).explain()
    assert executes == []


# -- the result --------------------------------------------------------------------------------------------------------


async def test_res_is_the_open_cursor(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    seen: Log = []

    @mongo.after_execute
    async def after(ctx: MongoContext) -> None:
        seen.append((type(ctx.res), ctx.res.retrieved, ctx.results[0] is ctx.res))
        ctx.res = [{**each, "seen": True} for each in await ctx.res.to_list()]

    @mongo.after_execute
    async def again(ctx: MongoContext) -> None:
        ctx.res = [each for each in await ctx.res.to_list() if each["n"]]

    assert await things.find().limit(2).to_list() == [{"_id": 1, "n": 1, "seen": True}]
    assert seen == [(AsyncCursor, 2, True)]


async def documents() -> AsyncIterator[Any]:
    yield {"a": 1}
    yield {"a": 2}


@pytest.mark.parametrize(
    "answer",
    [
        lambda: [{"a": 1}, {"a": 2}],
        lambda: ({"a": 1}, {"a": 2}),
        lambda: ({"a": each} for each in (1, 2)),
        documents,
    ],
    ids=["list", "tuple", "iterable", "async iterable"],
)
async def test_answers(things: AsyncCollection[Any], mongo: MongoConnector, answer: Any) -> None:
    mongo.before_execute(lambda ctx: ctx.end(None, answer()))
    expected = [{"a": 1}, {"a": 2}]
    assert await things.find().to_list() == expected
    assert [each async for each in things.find().limit(1)] == expected
    cursor = things.find()
    assert await cursor.to_list(1) == expected[:1]
    assert (cursor.alive, cursor.retrieved, cursor.cursor_id, cursor.address) == (True, 0, 0, None)
    assert await cursor.next() == expected[1]
    assert await cursor.to_list() == []
    with pytest.raises(StopAsyncIteration):
        await cursor.next()
    assert not cursor.alive
    await cursor.rewind()
    assert await cursor.to_list() == expected
    async with things.find() as closed:
        await closed.next()
    assert await closed.to_list() == []
    with pytest.raises(ValueError, match="greater than 0"):
        await things.find().to_list(0)
    aggregated = await things.aggregate([])
    assert await aggregated.try_next() == expected[0]
    assert await aggregated.to_list(5) == expected[1:]
    assert await aggregated.try_next() is None


async def test_answers_are_closed(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    log: Log = []

    async def generated() -> AsyncIterator[Any]:
        try:
            yield {"a": 1}
            yield {"a": 2}
        finally:
            log.append("closed")

    class Closing:
        def __init__(self) -> None:
            self.left = 2

        def __aiter__(self) -> "Closing":
            return self

        async def __anext__(self) -> Any:
            self.left -= 1
            return {"a": self.left}

        def close(self) -> None:
            log.append("closed, too")

    for answer in (generated(), Closing(), things.find()):
        mongo.clear_observers()
        mongo.before_execute(lambda ctx, answer=answer: ctx.end(None, answer))
        async with things.find() as cursor:
            await cursor.next()
    async with await things.aggregate([]) as unread:
        pass
    assert not unread.alive
    assert log == ["closed", "closed, too"]


@pytest.mark.parametrize("empty", [[], (), iter(())])
async def test_no_documents(things: AsyncCollection[Any], mongo: MongoConnector, empty: Any) -> None:
    mongo.before_execute(lambda ctx: ctx.end(None, empty))
    assert await things.find().to_list() == []
    assert [each async for each in things.find()] == []


@pytest.mark.parametrize("value", [None, 0, 7, "text", b"", {"a": 1}])
async def test_what_is_no_cursor_is_refused_in_the_hooks_line(
    things: AsyncCollection[Any], mongo: MongoConnector, value: Any
) -> None:
    @mongo.after_execute
    def wrong(ctx: MongoContext) -> None:
        with pytest.raises(TypeError, match="The result of find is a cursor, or a list"):
            ctx.res = value
        with pytest.raises(TypeError, match="The result of find"):
            ctx.results[0] = value
        ctx.end(None, value)

    with pytest.raises(TypeError, match=f"not {type(value).__name__}") as caught:
        await things.find().to_list()
    assert "wrong" in [each.name for each in caught.traceback]


async def test_interceptors(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    @mongo.intercept
    async def outer(ctx: MongoContext, next: Any) -> Any:
        cursor = await next()
        assert cursor is ctx.res
        assert isinstance(cursor, AsyncCommandCursor)
        return cursor

    @mongo.intercept
    async def doubled(ctx: MongoContext, next: Any) -> Any:
        first = await (await next()).to_list()
        ctx.req.params["filter"] = {"n": 0}
        return [*first, *await (await next()).to_list()]

    assert n(await things.find({"n": {"$gt": 2}}).to_list()) == [3, 4, 0]


async def test_forgotten_return(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    log: Log = []

    @mongo.intercept
    async def forgets(ctx: MongoContext, next: Any) -> None:
        if log:
            await next()

    for _ in range(2):
        with pytest.raises(TypeError, match="The result of find is a cursor.*not NoneType"):
            await things.find().to_list()
        log.append("next")


async def test_a_stream_around_the_cursor(things: AsyncCollection[Any], mongo: MongoConnector) -> None:
    async def squared(cursor: Any) -> AsyncIterator[Any]:
        async for each in cursor:
            yield {"n": each["n"] ** 2}

    mongo.after_execute(lambda ctx: setattr(ctx, "res", squared(ctx.res)))
    assert n(await things.find(batch_size=2).sort("n").to_list()) == [0, 1, 4, 9, 16]


# -- errors ------------------------------------------------------------------------------------------------------------


async def test_errors_of_the_first_batch_reach_the_error_observers(
    things: AsyncCollection[Any], mongo: MongoConnector
) -> None:
    errors: Log = []
    mongo.after_execute_error(lambda ctx: errors.append(ctx.error))
    cursor = things.find({"$nonsense": 1})
    with pytest.raises(OperationFailure) as caught:
        await cursor.to_list()
    assert errors == [caught.value]
    assert not cursor.alive
    assert await cursor.to_list() == []
    mongo.after_execute_error(lambda ctx: ctx.end(None, [{"n": "recovered"}]))
    assert n([each async for each in things.find({"$nonsense": 1})]) == ["recovered"]


async def test_cursors_are_closed_when_a_later_hook_fails(
    things: AsyncCollection[Any], mongo: MongoConnector, mongo_client: AsyncMongoClient[Any]
) -> None:
    opened: Log = []

    @mongo.after_execute
    def after(ctx: MongoContext) -> None:
        opened.append(ctx.res)
        assert ctx.res.alive
        assert ctx.res.cursor_id
        raise LookupError

    for call in (things.find(batch_size=2).to_list(), things.aggregate([], batchSize=2)):
        with pytest.raises(LookupError):
            await call
    assert [each._killed for each in opened] == [True, True]


async def test_the_replaced_cursor_is_closed_with_the_callers(
    things: AsyncCollection[Any], mongo: MongoConnector
) -> None:
    opened: Log = []

    @mongo.after_execute
    def after(ctx: MongoContext) -> None:
        opened.append(ctx.res)
        ctx.res = [{"n": 1}]

    async with things.find(batch_size=2) as cursor:
        await cursor.next()
        assert not opened[0]._killed
    assert opened[0]._killed


async def test_a_forgotten_cursor_is_collected(things: AsyncCollection[Any], passing: None) -> None:
    cursor = things.find(batch_size=2)
    await cursor.next()
    del cursor
    gc.collect()
    assert await things.count_documents({}) == 5


async def test_sort_default(things: AsyncCollection[Any], executes: Log) -> None:
    await things.find().sort("n").to_list()
    await things.find().sort([("n", ASCENDING)]).to_list()
    assert [req.params["sort"] for req in executes] == [[("n", 1)], [("n", 1)]]
