"""One adapter for each backend, so that the same tests run over all connectors. Add yours to `BACKENDS`.

Each backend answers a question with the same text. An adapter says how to ask, and how a hook reads and writes that
question and that answer.
"""

import atexit
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

import httpx2
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from interceptors.connectors import Connector
from interceptors.connectors.httpx import RESTConnector, RESTRequest
from interceptors.connectors.pymongo import MongoConnector, MongoRequest
from interceptors.connectors.sqlalchemy import SQLConnector, SQLRequest, SQLResult
from interceptors.connectors.zeep import SOAPConnector, SOAPRequest
from tests.integration.connectors import mongo_support, soap_support

__all__ = ["BACKENDS", "Backend"]


class Backend:
    """What the tests need of a backend. `asked` notes every question that has reached it."""

    connector: Connector[Any, Any]
    falsy: list[tuple[Any, Any]]
    """Falsy result values, and what `ask` gives for each."""

    def __init__(self, connector: Connector[Any, Any]) -> None:
        self.connector = connector
        self.asked: list[str] = []

    async def ask(self, question: str) -> Any:
        """One call of the application; gives the answer."""
        raise NotImplementedError

    async def fail(self) -> Any:
        """One call that the backend cannot answer."""
        raise NotImplementedError

    def question(self, req: Any) -> str:
        """The question in `ctx.req`."""
        raise NotImplementedError

    def edit_question(self, req: Any, question: str) -> None:
        """Change `ctx.req` in place."""
        raise NotImplementedError

    def request(self, req: Any, question: str) -> Any:
        """Another request, for `ctx.req = ...`."""
        raise NotImplementedError

    def answer(self, res: Any) -> Any:
        """The answer in `ctx.res`."""
        raise NotImplementedError

    def edit_answer(self, res: Any, answer: str) -> None:
        """Change `ctx.res` in place."""
        raise NotImplementedError

    def result(self, answer: str) -> Any:
        """A result value, for `ctx.res = ...` and `ctx.end(None, ...)`."""
        raise NotImplementedError


# -- a connector of one's own ------------------------------------------------------------------------------------------


class Neutral(Backend):
    falsy = [(value, value) for value in ({}, [], "", 0, False, None)]

    async def ask(self, question: str) -> Any:
        async def operation(req: dict[str, str]) -> dict[str, str]:
            self.asked.append(req["question"])
            return {"answer": req["question"]}

        res = await self.connector.execute({"question": question}, operation)
        return res["answer"] if res else res

    async def fail(self) -> Any:
        async def operation(req: Any) -> Any:
            raise LookupError(req)

        return await self.connector.execute("what?", operation)

    def question(self, req: Any) -> str:
        return req["question"]

    def edit_question(self, req: Any, question: str) -> None:
        req["question"] = question

    def request(self, req: Any, question: str) -> Any:
        return {"question": question}

    def answer(self, res: Any) -> Any:
        return res["answer"]

    def edit_answer(self, res: Any, answer: str) -> None:
        res["answer"] = answer

    def result(self, answer: str) -> Any:
        return {"answer": answer}


@asynccontextmanager
async def neutral() -> AsyncIterator[Backend]:
    """`Connector` itself."""
    yield Neutral(Connector())


# -- REST --------------------------------------------------------------------------------------------------------------


class REST(Backend):
    connector: RESTConnector
    falsy = [(value, value) for value in ({}, [], "", 0, False, None)]

    async def ask(self, question: str) -> Any:
        answer = (await self.connector.client.post("/", json={"text": question})).json()
        return answer["text"] if answer else answer

    async def fail(self) -> Any:
        return await self.connector.client.get("unknown://x")

    def question(self, req: Any) -> str:
        return req.body["text"]

    def edit_question(self, req: Any, question: str) -> None:
        req.body["text"] = question

    def request(self, req: Any, question: str) -> Any:
        return RESTRequest(req.method, req.url, headers=req.headers, body={"text": question})

    def answer(self, res: Any) -> Any:
        return res.body["text"]

    def edit_answer(self, res: Any, answer: str) -> None:
        res.body["text"] = answer

    def result(self, answer: str) -> Any:
        return {"text": answer}


@asynccontextmanager
async def rest() -> AsyncIterator[Backend]:
    """`RESTConnector`; its own tests use a real server."""

    async def echo(request: Request) -> Response:
        content = await request.json()
        backend.asked.append(content["text"])
        return JSONResponse(content)

    app = Starlette(routes=[Route("/", echo, methods=["POST"])])
    mounts = {"http://": httpx2.ASGITransport(app)}
    async with httpx2.AsyncClient(base_url="http://test", mounts=mounts, verify=False) as client:
        backend = REST(RESTConnector(client))
        yield backend


# -- SQL ---------------------------------------------------------------------------------------------------------------


class SQL(Backend):
    connector: SQLConnector
    falsy = [([], None), (None, None)]

    async def ask(self, question: str) -> Any:
        async with self.connector.engine.connect() as connection:
            return (await connection.execute(text("SELECT :question || '' AS answer"), {"question": question})).scalar()

    async def fail(self) -> Any:
        async with self.connector.engine.connect() as connection:
            return await connection.execute(text("SELECT what"))

    def question(self, req: Any) -> str:
        return req.params[0]

    def edit_question(self, req: Any, question: str) -> None:
        req.params[0] = question

    def request(self, req: Any, question: str) -> Any:
        return SQLRequest(req.sql, [question])

    def answer(self, res: Any) -> Any:
        return res.rows[0][0]

    def edit_answer(self, res: Any, answer: str) -> None:
        res.rows[0] = (answer,)

    def result(self, answer: str) -> Any:
        return SQLResult(["answer"], [(answer,)])


@asynccontextmanager
async def sql() -> AsyncIterator[Backend]:
    """`SQLConnector` on SQLite; its own tests use the other servers, too."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=NullPool)
    backend = SQL(SQLConnector(engine))
    statements = engine.sync_engine.dialect
    execute = statements.do_execute

    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        backend.asked.extend(parameters)
        execute(cursor, statement, parameters, context)

    statements.do_execute = do_execute  # type: ignore[method-assign]
    try:
        yield backend
    finally:
        await engine.dispose()


# -- MongoDB -----------------------------------------------------------------------------------------------------------


class Asked(CommandListener):
    """Notes what is really sent."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def started(self, event: Any) -> None:
        if event.command_name == "findAndModify":
            self._asked.append(event.command["query"].get("_id"))

    def succeeded(self, event: Any) -> None:
        """Of no interest."""

    def failed(self, event: Any) -> None:
        """Of no interest."""


class Mongo(Backend):
    connector: MongoConnector
    falsy = [(value, value) for value in ({}, [], "", 0, False, None)]

    def collection(self) -> Any:
        return self.connector.client["interceptors_all_connectors"]["questions"]

    async def ask(self, question: str) -> Any:
        document = await self.collection().find_one_and_update(
            {"_id": question}, {"$set": {"asked": True}}, upsert=True, return_document=True
        )
        return document["_id"] if document else document

    async def fail(self) -> Any:
        return await self.collection().find_one_and_update({"$what": 1}, {"$set": {"asked": True}})

    def question(self, req: Any) -> str:
        return req.params["filter"]["_id"]

    def edit_question(self, req: Any, question: str) -> None:
        req.params["filter"]["_id"] = question

    def request(self, req: Any, question: str) -> Any:
        params = {**dict(req.params.items()), "filter": {"_id": question}}
        return MongoRequest(req.database, req.collection, req.command, params)

    def answer(self, res: Any) -> Any:
        return res["_id"]

    def edit_answer(self, res: Any, answer: str) -> None:
        res["_id"] = answer

    def result(self, answer: str) -> Any:
        return {"_id": answer}


@cache
def mongo_url() -> str:
    """The URL in INTERCEPTORS_TEST_MONGODB_URL, or that of a server of this process's own."""
    if url := os.environ.get("INTERCEPTORS_TEST_MONGODB_URL"):
        return url
    server = mongo_support.Server()
    if not server.is_installed:
        mongo_support.no_server("SecantusDB is not installed")
    server.start()
    atexit.register(server.kill)
    return server.url


@asynccontextmanager
async def mongo() -> AsyncIterator[Backend]:
    """`MongoConnector`."""
    asked: list[str] = []
    async with AsyncMongoClient[Any](mongo_url(), event_listeners=[Asked(asked)]) as client:
        backend = Mongo(MongoConnector(client))
        backend.asked = asked
        yield backend


# -- SOAP --------------------------------------------------------------------------------------------------------------


class SOAP(Backend):
    connector: SOAPConnector
    falsy = [(value, value) for value in ({}, [], "", 0, False, None)]

    async def ask(self, question: str) -> Any:
        order = await self.connector.client.service.Order(customer=question, lines=[{"article": "pen", "quantity": 1}])
        return order["customer"] if order else order

    async def fail(self) -> Any:
        return await self.connector.client.service.Divide(a=1, b=0)

    def question(self, req: Any) -> str:
        return req.kwargs["customer"]

    def edit_question(self, req: Any, question: str) -> None:
        req.kwargs["customer"] = question

    def request(self, req: Any, question: str) -> Any:
        return SOAPRequest(req.operation, req.args, {**req.kwargs, "customer": question}, req.headers)

    def answer(self, res: Any) -> Any:
        return res["customer"]

    def edit_answer(self, res: Any, answer: str) -> None:
        res["customer"] = answer

    def result(self, answer: str) -> Any:
        return {"customer": answer}


class Arrived(list[str]):
    """The customers of the orders that have arrived at the server, asked for when they are compared."""

    def __init__(self, server: soap_support.Server) -> None:
        super().__init__()
        self._server = server

    def __eq__(self, other: object) -> bool:
        self.extend(call["args"].get("customer") for call in self._server.seen())
        return super().__eq__(other)

    def __iter__(self) -> Any:
        self.extend(call["args"].get("customer") for call in self._server.seen())
        return super().__iter__()

    __hash__ = None  # type: ignore[assignment]


@cache
def soap_server() -> soap_support.Server:
    """A server of this process's own."""
    server = soap_support.Server()
    server.start()
    atexit.register(server.kill)
    return server


@asynccontextmanager
async def soap() -> AsyncIterator[Backend]:
    """`SOAPConnector`."""
    server = soap_server()
    server.seen()
    connector = await SOAPConnector.load(server.wsdl)
    async with connector.client:
        backend = SOAP(connector)
        backend.asked = Arrived(server)
        yield backend


BACKENDS: list[Callable[[], AbstractAsyncContextManager[Backend]]] = [neutral, rest, sql, mongo, soap]
