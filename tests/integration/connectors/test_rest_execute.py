"""REST: order, errors, cancellation, concurrency, the guard, and the samples of LoopBack's documentation."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from interceptors.connectors import Connector
from interceptors.connectors.httpx import RESTConnector, RESTContext, RESTRequest, RESTResponse
from interceptors.errors import AlreadyHookedError
from tests.integration.connectors.rest_support import NO_TLS, answering, app, assert_usable, client, library, url
from tests.unit.helpers import on_both_backends

pytestmark = pytest.mark.slow

__all__ = ["client", "library", "url"]


def log_of(api: RESTConnector) -> list[str]:
    log: list[str] = []
    api.before_execute(lambda ctx: log.append("before"))
    api.after_execute(lambda ctx: log.append("after"))
    api.after_execute_error(lambda ctx: log.append(f"error {type(ctx.error).__name__}"))
    return log


@asynccontextmanager
async def opened(library: Any, url: str, **options: Any) -> AsyncIterator[Any]:
    """A client in the event loop of the test."""
    async with library.AsyncClient(base_url=url, verify=NO_TLS, **options) as client:
        yield client
        await assert_usable(client)


# -- connectors --------------------------------------------------------------------------------------------------------


async def test_a_synchronous_client_is_refused(library: Any) -> None:
    with library.Client(verify=NO_TLS) as client, pytest.raises(TypeError, match=rf"{library.__name__}\.AsyncClient"):
        RESTConnector(client)


@pytest.mark.parametrize(
    "thing", [None, "https://example.org", Connector(), socket.timeout], ids="none text connector class".split()
)
def test_what_is_no_client_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match="takes an AsyncClient of httpx2 or httpx"):
        RESTConnector(thing)


def test_what_only_comes_from_the_library_is_refused(library: Any) -> None:
    with pytest.raises(TypeError, match="takes an AsyncClient of httpx2 or httpx, not Headers"):
        RESTConnector(library.Headers())


async def test_a_second_connector_is_refused(client: Any) -> None:
    RESTConnector(client, name="first")
    with pytest.raises(AlreadyHookedError, match=r"hooked by first already; .*parent=") as raised:
        RESTConnector(client)
    assert raised.value.client is client


async def test_parents_are_shared(client: Any, library: Any, url: str) -> None:
    base: Connector[Any, Any] = Connector()
    names: list[str] = []
    base.before_execute(lambda ctx: names.append(ctx.connector.name))
    async with opened(library, url) as other:
        apis = RESTConnector(client, parent=base, name="one"), RESTConnector(other, parent=base)
        assert [api.client for api in apis] == [client, other]
        await client.get("/x")
        await other.get("/x")
    assert names == ["one", "RESTConnector"]


async def test_a_client_of_a_subclass(library: Any, url: str) -> None:
    class Own(library.AsyncClient):
        async def send(self, request: Any, **options: Any) -> Any:
            request.headers["x-own"] = "1"
            return await super().send(request, **options)

    async with Own(base_url=url, verify=NO_TLS) as client:
        RESTConnector(client).before_execute(lambda ctx: ctx.req.headers.update({"x-hook": "1"}))
        headers = (await client.get("/x")).json()["headers"]
        assert (headers["x-own"], headers["x-hook"]) == ("1", "1")


async def test_a_request_before_it_is_used() -> None:
    req = RESTRequest("GET", "/x", headers={"a": "b"})
    req.url = "/y"
    req.headers = {"c": "d"}
    req.body = [1]
    assert (req.url, req.headers, req.body, RESTRequest("GET", "/").body) == ("/y", {"c": "d"}, [1], None)
    assert RESTResponse().raw is None


# -- errors ------------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_refused_connection(library: Any, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with opened(library, url) as client:
        log = log_of(RESTConnector(client))
        with pytest.raises(library.ConnectError) as raised:
            await client.get(f"http://127.0.0.1:{port}/x")
        assert raised.value.request.url.port == port
    assert log == ["before", "error ConnectError"]


@on_both_backends
async def test_a_time_out(library: Any, url: str) -> None:
    async with opened(library, url) as client:
        log = log_of(api := RESTConnector(client))
        seen: list[Any] = []
        api.after_execute_error(lambda ctx: seen.append((ctx.error, ctx.res)))
        with pytest.raises(library.ReadTimeout) as raised:
            await client.get("/slow", params={"seconds": 2}, timeout=0.05)
        assert seen == [(raised.value, None)]
    assert log == ["before", "error ReadTimeout"]


@on_both_backends
async def test_an_exhausted_pool(library: Any, url: str) -> None:
    async with opened(library, url, limits=library.Limits(max_connections=1), timeout=0.05) as client:
        log = log_of(RESTConnector(client))
        async with client.stream("GET", "/chunks"):
            with pytest.raises(library.PoolTimeout):
                await client.get("/x")
        assert (await client.get("/x")).status_code == 200
    assert log == ["before", "after", "before", "error PoolTimeout", "before", "after"]


async def test_other_errors_of_the_library(client: Any, library: Any) -> None:
    log = log_of(RESTConnector(client))
    with pytest.raises(library.TooManyRedirects):
        await client.get("/redirect/50", follow_redirects=True)
    with pytest.raises(library.DecodingError):
        await client.get("/answer", params=answering(b"no gzip", headers='{"content-encoding": "gzip"}'))
    assert log == ["before", "error TooManyRedirects", "before", "error DecodingError"]


async def test_a_closed_client(library: Any, url: str) -> None:
    async with library.AsyncClient(base_url=url, verify=NO_TLS) as client:
        log = log_of(RESTConnector(client))
    with pytest.raises(RuntimeError, match="closed"):
        await client.get("/x")
    assert log == ["before", "error RuntimeError"]


async def test_an_upload_that_fails(client: Any) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("disk")

    log = log_of(RESTConnector(client))
    with pytest.raises(LookupError, match="disk"):
        await client.post("/x", content=content())
    assert log == ["before", "error LookupError"]


async def test_an_upload_cannot_be_repeated(client: Any, library: Any) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"a"

    log = log_of(api := RESTConnector(client))

    @api.intercept
    async def twice(ctx: RESTContext, next: Any) -> Any:
        await next()
        return await next()

    with pytest.raises(library.StreamConsumed):
        await client.post("/x", content=content())
    assert (await client.post("/x", json=[1])).json()["body"] == "[1]"
    assert log == ["before", "after", "before", "error StreamConsumed", "before", "after", "before", "after"]


async def test_errors_are_mapped_and_recovered_from(client: Any, library: Any) -> None:
    class Unavailable(Exception):
        pass

    async def fetch() -> Any:
        return await client.get("/slow", params={"seconds": 1}, timeout=0.05)

    api = RESTConnector(client)

    @api.after_execute_error
    def replace(ctx: RESTContext) -> None:
        raise Unavailable

    with pytest.raises(Unavailable) as raised:
        await fetch()
    assert isinstance(raised.value.__cause__, library.ReadTimeout)
    api.clear_observers()
    api.after_execute_error(lambda ctx: ctx.end(None, RESTResponse(503, body={"later": True})))
    response = await fetch()
    assert (response.status_code, response.json(), response.request.url.path) == (503, {"later": True}, "/slow")
    api.clear_observers()
    api.after_execute_error(lambda ctx: setattr(ctx, "res", {"ignored": True}))
    with pytest.raises(library.ReadTimeout):
        await fetch()


@pytest.mark.parametrize(("event", "ran"), [("before execute", ["before"]), ("after execute", ["before", "after"])])
async def test_errors_of_hooks_start_no_error_observers(client: Any, event: Any, ran: list[str]) -> None:
    log = log_of(api := RESTConnector(client))

    @api.observe(event)
    def fail(ctx: RESTContext) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await client.get("/x")
    assert log == ran


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["before execute", "after execute", "after execute error"])
@pytest.mark.parametrize("stream", [False, True], ids=["read", "streamed"])
@on_both_backends
async def test_cancellation_while_a_hook_awaits(library: Any, url: str, event: Any, stream: bool) -> None:
    async with opened(library, url) as client:
        api = RESTConnector(client)
        log: list[str] = []
        waiting = anyio.Event()

        @api.observe(event)
        async def wait(ctx: RESTContext) -> None:
            waiting.set()
            await anyio.sleep(30)

        for each in ("before execute", "after execute", "after execute error"):
            api.observe(each, lambda ctx, each=each: log.append(each))
        target, timeout = ("/chunks?count=1000000", 5.0) if stream else ("/x", 5.0)
        if event == "after execute error":
            target, timeout = "/slow?seconds=1", 0.05

        async def fetch() -> None:
            await client.send(client.build_request("GET", target, timeout=timeout), stream=stream)

        async with anyio.create_task_group() as group:
            group.start_soon(fetch)
            await waiting.wait()
            group.cancel_scope.cancel()
        assert log == ([] if event == "before execute" else ["before execute"])
        api.clear_observers()
        assert (await client.get("/x")).status_code == 200


@on_both_backends
async def test_cancellation_of_the_request(library: Any, url: str) -> None:
    async with opened(library, url) as client:
        log = log_of(RESTConnector(client))
        with anyio.move_on_after(0.05) as scope:
            await client.get("/slow", params={"seconds": 2})
        assert scope.cancelled_caught
        assert log == ["before"]


# -- concurrency and the guard -----------------------------------------------------------------------------------------


@on_both_backends
async def test_two_hundred_at_once_do_not_mix(library: Any, url: str) -> None:
    async with opened(library, url, timeout=30) as client:
        api = RESTConnector(client)
        got: dict[int, Any] = {}

        @api.before_execute
        async def before(ctx: RESTContext) -> None:
            ctx.state["number"] = ctx.req.body["number"]
            await anyio.sleep(0.001 * (ctx.state["number"] % 7))
            ctx.req.body["again"] = ctx.state["number"]

        @api.after_execute
        async def after(ctx: RESTContext) -> None:
            await anyio.sleep(0.001 * (ctx.state["number"] % 5))
            ctx.res = {"number": ctx.state["number"], "body": ctx.res.body["body"]}

        async def post(number: int) -> None:
            got[number] = (await client.post("/x", json={"number": number})).json()

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(post, number)
        assert got == {n: {"number": n, "body": f'{{"number":{n},"again":{n}}}'} for n in range(200)}


@on_both_backends
async def test_a_hook_may_use_its_own_client(library: Any, url: str) -> None:
    async with opened(library, url) as client:
        log = log_of(api := RESTConnector(client))

        @api.before_execute
        async def authorize(ctx: RESTContext) -> None:
            token = (await client.get("/token")).json()["path"]
            ctx.req.headers["authorization"] = f"Bearer {token}"

        @api.after_execute
        async def audit(ctx: RESTContext) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(client.post, "/audit")

        response = await client.get("/x")
        assert response.json()["headers"]["authorization"] == "Bearer /token"
        assert log == ["before", "after"]
        await client.get("/y")
        assert log == ["before", "after"] * 2
    assert app.state.seen.count("POST /audit") >= 2


@on_both_backends
async def test_two_clients_hook_each_other(library: Any, url: str) -> None:
    async with opened(library, url) as client, opened(library, url) as other:
        api, log = RESTConnector(client), log_of(RESTConnector(other))

        @api.before_execute
        async def ask(ctx: RESTContext) -> None:
            assert (await other.get("/other")).status_code == 200

        assert (await client.get("/x")).json()["path"] == "/x"
        assert log == ["before", "after"]


@on_both_backends
async def test_an_answer_without_a_request(library: Any, url: str) -> None:
    async with opened(library, url) as client:
        api = RESTConnector(client)
        before = app.state.seen.count("GET /never")
        api.before_execute(lambda ctx: ctx.end(None, {"cached": True}))
        assert (await client.get("/never")).json() == {"cached": True}
        async with client.stream("GET", "/never") as response:
            assert await response.aread() == b'{"cached":true}'
        assert app.state.seen.count("GET /never") == before


async def test_asyncio_cancellation_by_task(client: Any) -> None:
    api = RESTConnector(client)
    waiting = asyncio.Event()

    @api.after_execute
    async def wait(ctx: RESTContext) -> None:
        waiting.set()
        await asyncio.sleep(30)

    task = asyncio.create_task(client.get("/x"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- the samples of LoopBack's documentation ---------------------------------------------------------------------------


async def test_sample_location_into_the_body(client: Any) -> None:
    api = RESTConnector(client)

    @api.observe("after execute")
    def location(ctx: RESTContext, next: Any) -> Any:
        if ctx.req.method == "POST":
            ctx.res.body["location"] = ctx.res.headers["location"]
            return ctx.end(None, ctx, ctx.res.body)
        return next()

    params = answering({"id": 7}, status="201", headers='{"location": "/things/7"}')
    response = await client.post("/answer", params=params)
    assert (response.status_code, response.json()) == (201, {"id": 7, "location": "/things/7"})
    assert (await client.get("/answer", params=params)).json() == {"id": 7}


async def test_sample_guarded_by_status_and_header(client: Any) -> None:
    api = RESTConnector(client)

    @api.observe("after execute")
    def location(ctx: RESTContext, next: Any) -> Any:
        if ctx.req.method == "POST" and ctx.res.status_code == 201 and "location" in ctx.res.headers:
            ctx.res.body["location"] = ctx.res.headers["location"]
            return ctx.end(None, ctx, ctx.res.body)
        return next()

    async def post(**query: Any) -> Any:
        return (await client.post("/answer", params=answering({"id": 7}, **query))).json()

    header = '{"location": "/things/7"}'
    assert await post(status="201", headers=header) == {"id": 7, "location": "/things/7"}
    assert await post(status="201") == {"id": 7}
    assert await post(status="500", headers=header) == {"id": 7}


async def test_sample_the_apis_own_error(client: Any) -> None:
    class ApiError(Exception):
        status = 500

    api = RESTConnector(client)
    api.after_execute_error(lambda ctx: pytest.fail("an after observer's error starts no error observer"))

    @api.observe("after execute")
    def forbidden(ctx: RESTContext, next: Any) -> Any:
        if ctx.res.status_code >= 500:
            err = ApiError(ctx.res.body["message"])
            err.status = 403
            return ctx.end(err, ctx, ctx.res.body)
        return next()

    with pytest.raises(ApiError, match="no such account") as raised:
        await client.get("/answer", params=answering({"message": "no such account"}, status="502"))
    assert raised.value.status == 403
    assert (await client.get("/answer", params=answering({}, status="404"))).status_code == 404


async def test_sample_xml_reformatted(client: Any) -> None:
    api = RESTConnector(client)

    @api.after_execute
    def reformat(ctx: RESTContext) -> None:
        ctx.res = {"name": ctx.res.body.removeprefix("<name>").removesuffix("</name>")}

    response = await client.get("/answer", params=answering(b"<name>Ann</name>", type="application/xml"))
    assert (response.json(), response.headers["content-type"]) == ({"name": "Ann"}, "application/json")


async def test_sample_what_a_hook_sees(client: Any) -> None:
    api = RESTConnector(client)
    seen: list[Any] = []
    api.after_execute(lambda ctx: seen.append((ctx.req.method, ctx.res.status_code, ctx.res.headers["x-a"])))
    await client.post("/answer", params=answering({}, status="202", headers='{"x-a": "1"}'))
    assert seen == [("POST", 202, "1")]
