"""Faults: a server that dies or is not there, errors that it is told to give, time-outs, cancellation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from interceptors.connectors.pymongo import MongoConnector, MongoContext
from tests.integration.connectors.mongo_support import Server, fail_command, free_port

Log = list[Any]

# PyMongo's monitor leaves a socket open when the client is closed while it connects.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
async def faulty(mongo_own: Server) -> AsyncIterator[str]:
    """A server that can be told to fail, and is told not to afterwards."""
    yield mongo_own.url
    async with AsyncMongoClient[Any](mongo_own.url) as client:
        await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        await client.drop_database("test")


class Observed:
    """A hooked client, and what its observers saw."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client: AsyncMongoClient[Any] = AsyncMongoClient(url, **options)
        self.mongo = MongoConnector(self.client)
        self.log: Log = []
        self.errors: Log = []
        self.mongo.before_execute(lambda ctx: self.log.append("before"))
        self.mongo.after_execute(lambda ctx: self.log.append("after"))

        @self.mongo.after_execute_error
        def failed(ctx: MongoContext) -> None:
            self.log.append("error")
            self.errors.append(ctx.error)

    async def __aenter__(self) -> "Observed":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()

    async def assert_usable(self) -> None:
        self.mongo.clear_observers()
        things = self.client.test.usable
        for _ in range(3):
            await things.insert_one({})
            assert await things.find().to_list()
        await things.drop()
        for server in self.client._topology._servers.values():
            assert server.pool.active_sockets == 0


async def iterated(collection: Any) -> Any:
    return [each async for each in collection.find()]


CALLS: dict[str, Any] = {
    "insert_one": lambda c: c.insert_one({}),
    "find_one": lambda c: c.find_one(),
    "find": lambda c: c.find().to_list(),
    "async for": iterated,
    "aggregate": lambda c: c.aggregate([]),
    "command": lambda c: c.database.command("ping"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_nobody_listens(name: str) -> None:
    async with Observed(f"mongodb://127.0.0.1:{free_port()}", serverSelectionTimeoutMS=200) as observed:
        with pytest.raises(ServerSelectionTimeoutError) as caught:
            await CALLS[name](observed.client.test.things)
        assert observed.log == ["before", "error"]
        assert observed.errors == [caught.value]


async def test_server_is_killed_while_commands_run(mongo_doomed: Server) -> None:
    async with Observed(mongo_doomed.url, serverSelectionTimeoutMS=500) as observed:
        things = observed.client.test.things
        await things.insert_many([{"n": n} for n in range(5)])
        await fail_command(observed.client, "find", blockConnection=True, blockTimeMS=60000)
        observed.log.clear()
        task = asyncio.create_task(things.find().to_list())
        await asyncio.sleep(0.3)
        assert observed.log == ["before"]
        mongo_doomed.kill()
        with pytest.raises(ConnectionFailure) as caught:
            await task
        assert observed.log == ["before", "error"]
        assert observed.errors == [caught.value]
        observed.log.clear()
        with pytest.raises(ConnectionFailure):
            await things.insert_one({})
        assert observed.log == ["before", "error"]


async def test_server_is_killed_between_the_batches(mongo_doomed: Server) -> None:
    async with Observed(mongo_doomed.url, serverSelectionTimeoutMS=500) as observed:
        things = observed.client.test.things
        await things.insert_many([{"n": n} for n in range(5)])
        observed.log.clear()
        cursor = things.find(batch_size=2)
        assert (await cursor.next())["n"] == 0
        mongo_doomed.kill()
        with pytest.raises(ConnectionFailure):
            await cursor.to_list()
        assert not cursor.alive
        assert observed.log == ["before", "after"]  # getMore is not hooked


async def test_the_client_finds_a_restarted_server(mongo_doomed: Server) -> None:
    async with Observed(mongo_doomed.url, serverSelectionTimeoutMS=500) as observed:
        things = observed.client.test.things
        await things.insert_one({})
        mongo_doomed.kill()
        for call in (things.insert_one({}), things.find().to_list()):
            observed.log.clear()
            with pytest.raises(ConnectionFailure) as caught:
                await call
            assert observed.log == ["before", "error"]
            assert observed.errors[-1] is caught.value
        for _ in range(20):  # the port may still be taken
            try:
                mongo_doomed.start(mongo_doomed.port)
            except OSError:
                await asyncio.sleep(0.2)
            else:
                break
        observed.mongo.clear_observers()
        async with asyncio.timeout(10):
            while True:
                try:
                    await things.find_one()
                except ConnectionFailure:
                    continue
                break
        await observed.assert_usable()


async def test_the_server_closes_the_connection(faulty: str) -> None:
    async with Observed(faulty, retryReads=False, retryWrites=False) as observed:
        for command, name in (("find", "find"), ("find", "find_one"), ("insert", "insert_one")):
            await fail_command(observed.client, command, closeConnection=True)
            observed.log.clear()
            observed.errors.clear()
            with pytest.raises(AutoReconnect) as caught:
                await CALLS[name](observed.client.test.things)
            assert observed.log == ["before", "error"]
            assert observed.errors == [caught.value]
        await observed.assert_usable()


async def test_what_pymongo_retries_is_one_execute(faulty: str) -> None:
    async with Observed(faulty) as observed:
        await fail_command(observed.client, "find", closeConnection=True)
        observed.log.clear()
        assert await observed.client.test.things.find().to_list() == []
        assert observed.log == ["before", "after"]


@pytest.mark.parametrize("name", ["find", "async for", "find_one"])
async def test_the_server_fails(faulty: str, name: str) -> None:
    async with Observed(faulty) as observed:
        await fail_command(observed.client, "find", errorCode=50)
        observed.log.clear()
        with pytest.raises(OperationFailure) as caught:
            await CALLS[name](observed.client.test.things)
        assert caught.value.code == 50
        assert observed.log == ["before", "error"]
        assert observed.errors == [caught.value]
        await observed.assert_usable()


async def test_an_error_hook_retries_on_its_own(faulty: str) -> None:
    async with Observed(faulty) as observed:
        things = observed.client.test.things
        await things.insert_one({"_id": 1})
        await fail_command(observed.client, "find", errorCode=50)

        @observed.mongo.after_execute_error
        async def again(ctx: MongoContext) -> None:
            ctx.end(None, await things.find(ctx.req.params["filter"]).to_list())

        assert await things.find({"_id": 1}).to_list() == [{"_id": 1}]


async def test_time_outs(faulty: str) -> None:
    async with Observed(faulty, socketTimeoutMS=200, retryReads=False) as observed:
        await fail_command(observed.client, "find", blockConnection=True, blockTimeMS=1000)
        observed.log.clear()
        with pytest.raises(NetworkTimeout) as caught:
            await observed.client.test.things.find().to_list()
        assert observed.log == ["before", "error"]
        assert observed.errors == [caught.value]
        await observed.assert_usable()


async def test_pymongos_own_deadline_covers_hooks(faulty: str) -> None:
    async with Observed(faulty) as observed:
        things = observed.client.test.things
        await things.insert_one({})
        observed.log.clear()

        @observed.mongo.before_execute
        async def slow(ctx: MongoContext) -> None:
            await asyncio.sleep(0.2)

        with pymongo.timeout(0.1), pytest.raises(PyMongoError) as caught:
            await things.find().to_list()
        assert caught.value.timeout
        assert observed.errors == [caught.value]
        await observed.assert_usable()


async def test_time_out_around_a_call(faulty: str) -> None:
    async with Observed(faulty) as observed:
        await fail_command(observed.client, "find", blockConnection=True, blockTimeMS=1000)
        observed.log.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(observed.client.test.things.find().to_list(), 0.1)
        assert observed.log == ["before"]
        await observed.assert_usable()


@pytest.mark.parametrize("event", ["before execute", "after execute", "after execute error", "interceptor"])
@pytest.mark.parametrize("name", ["find", "find_one", "aggregate", "insert_one"])
async def test_cancelled_while_a_hook_waits(faulty: str, event: Any, name: str) -> None:
    async with Observed(faulty) as observed:
        things = observed.client.test.things
        await things.insert_many([{"_id": n} for n in range(200)])
        observed.log.clear()
        waiting, later = asyncio.Event(), []

        async def waits(ctx: MongoContext, next: Any = None) -> None:
            waiting.set()
            await asyncio.Event().wait()

        async def around(ctx: MongoContext, next: Any) -> Any:
            result = await next()
            await waits(ctx)
            return result

        if event == "interceptor":
            observed.mongo.intercept(around)
        else:
            observed.mongo.observe(event, waits)
            observed.mongo.observe(event, later.append)
        if event == "after execute error":
            await fail_command(
                observed.client, "insert" if name == "insert_one" else name.partition("_")[0], errorCode=50
            )
            observed.log.clear()
        task = asyncio.create_task(CALLS[name](things))
        await waiting.wait()
        before = list(observed.log)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert observed.log == before
        assert later == []
        observed.mongo.clear_observers()
        observed.mongo._interceptors = ()
        observed.mongo._combined = None
        await observed.assert_usable()


async def test_cancelled_cursor_is_closed(faulty: str) -> None:
    async with Observed(faulty) as observed:
        things = observed.client.test.things
        await things.insert_many([{"_id": n} for n in range(5)])
        waiting, opened = asyncio.Event(), []

        @observed.mongo.after_execute
        async def waits(ctx: MongoContext) -> None:
            opened.append(ctx.res)
            waiting.set()
            await asyncio.Event().wait()

        cursor = things.find(batch_size=2)
        task = asyncio.create_task(cursor.next())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert opened[0]._killed
        assert not cursor.alive
        await observed.assert_usable()


async def test_cancelled_while_the_server_works(faulty: str) -> None:
    async with Observed(faulty) as observed:
        await fail_command(observed.client, "find", blockConnection=True, blockTimeMS=500)
        observed.log.clear()
        task = asyncio.create_task(observed.client.test.things.find_one())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert observed.log == ["before"]
        await observed.assert_usable()
