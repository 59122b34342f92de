"""What goes wrong between the application and its SOAP server, and that the client is usable afterwards."""

import asyncio
import time
from typing import Any

import httpx2
import pytest
from zeep.exceptions import Fault, TransportError

from interceptors.connectors.zeep import SOAPConnector, SOAPContext
from tests.integration.connectors.soap_support import (
    Boom,
    Log,
    Server,
    http,
    log,
    observe_all,
    own_server,
    server,
    shared_server,
    shop,
    soap,
)

__all__ = ["http", "log", "own_server", "server", "shared_server", "shop", "soap"]


async def arrived(server: Server, operation: str) -> None:
    """Wait until the call is there."""
    async with asyncio.timeout(10):
        while operation not in await asyncio.to_thread(server.operations):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["as it is", "mapped", "recovered", "interceptor"])
async def test_a_server_killed_while_a_call_runs(own_server: Server, http: httpx2.AsyncClient, how: str) -> None:
    soap = await SOAPConnector.load(own_server.wsdl, http=http)
    shop, seen = soap.client.service, Log()

    @soap.after_execute_error
    def note(ctx: SOAPContext) -> None:
        seen.append(ctx.error)
        if how == "mapped":
            raise Boom
        if how == "recovered":
            ctx.end(None, "recovered")

    if how == "interceptor":

        @soap.intercept
        async def again(ctx: SOAPContext, next: Any) -> Any:
            try:
                return await next()
            except httpx2.TransportError:
                own_server.start()
                ctx.req.operation, ctx.req.args = "Echo", ["again"]
                return await next()

    call = asyncio.create_task(shop.Wait(30_000))
    await arrived(own_server, "Wait")
    own_server.kill()
    match how:
        case "as it is":
            with pytest.raises(httpx2.TransportError) as caught:
                await call
            assert seen == [caught.value]
        case "mapped":
            with pytest.raises(Boom) as boom:
                await call
            assert boom.value.__cause__ is seen[0]
        case "recovered":
            assert await call == "recovered"
        case _:
            assert await call == "again"
    assert [isinstance(error, httpx2.TransportError) for error in seen] == [True]
    if how != "interceptor":
        own_server.start()
    assert await shop.Add(1, 2) == 3


async def test_a_refused_connection(own_server: Server, http: httpx2.AsyncClient, log: Log) -> None:
    soap = await SOAPConnector.load(own_server.wsdl, http=http)
    observe_all(soap, log)
    own_server.kill()
    with pytest.raises(httpx2.ConnectError):
        await soap.client.service.Add(1, 2)
    assert log == ["before", "error"]
    own_server.start()
    assert await soap.client.service.Add(1, 2) == 3
    own_server.kill()
    with pytest.raises(httpx2.ConnectError):
        await SOAPConnector.load(own_server.wsdl, http=http)


async def test_a_time_out_of_the_http_client(server: Server, log: Log) -> None:
    async with httpx2.AsyncClient(timeout=0.5, verify=False) as http:
        soap = await SOAPConnector.load(server.wsdl, http=http)
        observe_all(soap, log)
        with pytest.raises(httpx2.ReadTimeout):
            await soap.client.service.Wait(30_000)
        assert log == ["before", "error"]
        assert await soap.client.service.Add(1, 2) == 3


async def test_a_time_out_of_the_caller_runs_no_hook(
    soap: SOAPConnector, shop: Any, http: httpx2.AsyncClient, log: Log
) -> None:
    observe_all(soap, log)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await shop.Wait(30_000)
    assert time.monotonic() - started < 10
    assert log == ["before"]
    assert await shop.Add(1, 2) == 3


@pytest.mark.parametrize("event", ["before execute", "after execute", "after execute error"])
async def test_cancelled_while_a_hook_awaits(soap: SOAPConnector, shop: Any, event: Any, log: Log) -> None:
    waiting = asyncio.Event()

    @soap.observe(event)
    async def hang(ctx: SOAPContext) -> None:
        waiting.set()
        await asyncio.sleep(30)

    observe_all(soap, log)
    call = asyncio.create_task(shop.Divide(1, 0 if event == "after execute error" else 1))
    await waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert log == ([] if event == "before execute" else ["before"])
    soap.remove_observer(event, hang)
    assert await asyncio.gather(*(shop.Add(1, 2) for _ in range(20))) == [3] * 20


async def test_cancelled_while_the_call_runs(server: Server, log: Log) -> None:
    """No connection of the pool is lost."""
    limits = httpx2.Limits(max_connections=1)
    async with httpx2.AsyncClient(timeout=10, limits=limits, verify=False) as http:
        soap = await SOAPConnector.load(server.wsdl, http=http)
        observe_all(soap, log)
        for _ in range(3):
            call = asyncio.create_task(soap.client.service.Wait(30_000))
            await arrived(server, "Wait")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert log == ["before"] * 3
        assert await soap.client.service.Add(1, 2) == 3


async def test_an_answer_that_is_no_soap(soap: SOAPConnector, server: Server, log: Log) -> None:
    observe_all(soap, log)
    front, archive = soap.client.bind(port_name="Front"), soap.client.bind(port_name="Archive")
    front._binding_options["address"] = server.url("missing")
    archive._binding_options["address"] = server.url("html")
    with pytest.raises(TransportError) as caught:
        await front.Add(1, 2)
    assert caught.value.status_code == 404
    with pytest.raises(TransportError, match="invalid XML"):
        await archive.Add(1, 2)
    assert log == ["before", "error"] * 2


async def test_a_closed_http_client(soap: SOAPConnector, shop: Any, http: httpx2.AsyncClient, log: Log) -> None:
    observe_all(soap, log)
    await http.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await shop.Add(1, 2)
    assert log == ["before", "error"]


async def test_a_wsse_that_does_not_verify(soap: SOAPConnector, shop: Any, log: Log) -> None:
    class Suspicious:
        def apply(self, envelope: Any, headers: Any) -> Any:
            return envelope, headers

        def verify(self, envelope: Any) -> Any:
            raise Boom

    soap.client.wsse = Suspicious()
    observe_all(soap, log)
    with pytest.raises(Boom):
        await shop.Add(1, 2)
    assert log == ["before", "error"]


async def test_many_faults_at_once(soap: SOAPConnector, shop: Any) -> None:
    @soap.after_execute_error
    async def map_some(ctx: SOAPContext) -> None:
        await asyncio.sleep(0.001)
        if ctx.req.args[0] % 3 == 0:
            raise Boom(ctx.req.args[0])
        if ctx.req.args[0] % 3 == 1:
            ctx.end(None, ctx.req.args[0])

    results = await asyncio.gather(*(shop.Divide(n, 0) for n in range(60)), return_exceptions=True)
    for n, result in enumerate(results):
        match n % 3:
            case 0:
                assert isinstance(result, Boom) and result.args == (n,)
            case 1:
                assert result == n
            case _:
                assert isinstance(result, Fault)
