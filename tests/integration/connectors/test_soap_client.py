"""What of a zeep client is hooked, how it is made, and that the rest of zeep works as before."""

import asyncio
import importlib
import io
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import zeep
from anyio import move_on_after
from zeep.exceptions import Fault, TransportError, XMLSyntaxError
from zeep.proxy import AsyncOperationProxy, AsyncServiceProxy, ServiceProxy
from zeep.transports import AsyncTransport
from zeep.wsse.username import UsernameToken

from interceptors.connectors import Connector
from interceptors.connectors.httpx import RESTConnector, RESTContext
from interceptors.connectors.zeep import Httpx2Transport, SOAPConnector, SOAPContext
from interceptors.errors import AlreadyHookedError, MissingExtraError
from tests.integration.connectors.soap_support import (
    FOLDER,
    Log,
    Server,
    http,
    log,
    observe_all,
    server,
    shared_server,
    shop,
    soap,
)

__all__ = ["http", "log", "server", "shared_server", "shop", "soap"]


@pytest.fixture
def client(soap: SOAPConnector) -> zeep.AsyncClient:
    """Another one, not hooked."""
    return zeep.AsyncClient(soap.client.wsdl, transport=soap.client.transport)


# -- what is hooked ----------------------------------------------------------------------------------------------------


async def test_operations_by_attribute_and_by_item(soap: SOAPConnector, log: Log) -> None:
    observe_all(soap, log)
    client = soap.client
    services = [client.service, client.bind("Shop", "Archive"), client.bind(port_name="Front"), client.bind()]
    for service in services:
        assert await service.Add(1, 2) == await service["Add"](1, 2) == await dict(service)["Add"](1, 2) == 3
    assert len(log) == 2 * 3 * len(services)


async def test_a_bound_port_is_called_where_it_is(soap: SOAPConnector, server: Server, log: Log) -> None:
    archive = soap.client.bind("Shop", "Archive")

    @soap.before_execute
    def other(ctx: SOAPContext) -> None:
        ctx.req.operation = "Known"

    assert await archive.Echo("ann") is True
    assert [(call["path"], call["operation"]) for call in server.seen()] == [("/archive", "Known")]


async def test_proxies_stay_zeeps(soap: SOAPConnector, client: zeep.AsyncClient) -> None:
    hooked, plain = soap.client.service, client.service
    assert type(hooked) is AsyncServiceProxy
    assert hooked is soap.client.service
    assert isinstance(hooked.Add, AsyncOperationProxy)
    assert hooked.Add.__doc__ == plain.Add.__doc__
    assert sorted(name for name in dir(hooked) if name[0] != "_") == sorted(n for n in dir(plain) if n[0] != "_")
    message = soap.client.create_message(hooked, "Add", 1, 2)
    assert message.findtext(".//{urn:shop}b") == "2"


async def test_what_was_taken_before_stays_unhooked(client: zeep.AsyncClient, log: Log) -> None:
    before = client.service
    soap = SOAPConnector(client)
    observe_all(soap, log)
    assert await before.Add(1, 2) == 3
    assert log == []
    assert await client.service.Add(1, 2) == 3
    assert log == ["before", "after"]


async def test_create_service_is_not_hooked(soap: SOAPConnector, server: Server) -> None:
    service = soap.client.create_service("{urn:shop}ShopBinding", server.url("front"))
    assert type(service) is ServiceProxy


async def test_a_wsdl_without_services(soap: SOAPConnector, client: zeep.AsyncClient) -> None:
    client.wsdl.services = {}
    connector = SOAPConnector(client)
    assert connector.client.bind() is None
    with pytest.raises(ValueError, match="no default service"):
        connector.client.service  # noqa: B018


async def test_a_client_class_of_ones_own(soap: SOAPConnector, server: Server, log: Log) -> None:
    class Client(zeep.AsyncClient):
        def bind(self, service_name: str | None = None, port_name: str | None = None) -> Any:
            return super().bind(service_name, port_name or "Archive")

    connector = SOAPConnector(Client(soap.client.wsdl, transport=soap.client.transport))
    observe_all(connector, log)
    assert await connector.client.service.Add(1, 2) == 3
    assert log == ["before", "after"]
    assert [call["path"] for call in server.seen()] == ["/archive"]


async def test_a_synchronous_client_is_refused(soap: SOAPConnector) -> None:
    client = zeep.Client(soap.client.wsdl)
    with pytest.raises(TypeError, match=r"give it a zeep\.AsyncClient, not a synchronous zeep\.Client"):
        SOAPConnector(client)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"give it a zeep\.AsyncClient, not str"):
        SOAPConnector("wsdl")  # type: ignore[arg-type]


async def test_a_client_has_one_connector(soap: SOAPConnector) -> None:
    with pytest.raises(AlreadyHookedError, match=r"hooked by shop already.*parent=") as caught:
        SOAPConnector(soap.client)
    assert caught.value.client is soap.client


async def test_raw_responses(soap: SOAPConnector, shop: Any, log: Log) -> None:
    observe_all(soap, log)
    with soap.client.settings(raw_response=True):
        response = await shop.Divide(1, 0)
    assert response.status_code == 500
    assert b"division by zero" in response.content
    assert log == ["before", "after"]


# -- beside plugins, wsse and a connector on the HTTP client -----------------------------------------------------------


class Plugin(zeep.Plugin):  # type: ignore[misc]
    def __init__(self, log: Log) -> None:
        self.log = log

    def egress(self, envelope: Any, http_headers: Any, operation: Any, binding_options: Any) -> Any:
        self.log.append(f"egress {operation.name}")
        envelope.find(".//{urn:shop}text").text += "!"
        return envelope, http_headers | {"x-plugin": "yes"}

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> Any:
        self.log.append("ingress")
        envelope.find(".//{urn:shop}text").text += "?"
        return envelope, http_headers


async def test_plugins_run_inside_the_observers(server: Server, http: Any, log: Log) -> None:
    soap = await SOAPConnector.load(server.wsdl, http=http, plugins=[Plugin(log)])
    observe_all(soap, log)

    @soap.before_execute
    def edit(ctx: SOAPContext) -> None:
        ctx.req.args[0] += "y"

    assert await soap.client.service.Echo("x") == "xy!?"
    assert log == ["before", "egress Echo", "ingress", "after"]
    assert server.seen()[0]["http"]["x-plugin"] == "yes"


async def test_wsse(server: Server, http: Any, log: Log) -> None:
    soap = await SOAPConnector.load(server.wsdl, http=http, wsse=UsernameToken("ann", "secret"))
    observe_all(soap, log)
    assert await soap.client.bind(port_name="Secure").Add(1, 2) == 3
    headers = server.seen()[0]["headers"]
    assert headers["Security"]["UsernameToken"]["Username"] == "ann"
    soap.client.wsse = None
    with pytest.raises(Fault):
        await soap.client.bind(port_name="Secure").Add(1, 2)
    assert log == ["before", "after", "before", "error"]


async def test_settings(server: Server, http: Any) -> None:
    settings = zeep.Settings(extra_http_headers={"x-extra": "yes"})
    soap = await SOAPConnector.load(server.wsdl, http=http, settings=settings)
    soap.before_execute(lambda ctx: None)
    await soap.client.service.Nothing()
    assert server.seen()[0]["http"]["x-extra"] == "yes"


async def test_a_rest_connector_sees_raw_xml(server: Server, http: httpx2.AsyncClient, log: Log) -> None:
    rest = RESTConnector(http)
    soap = await SOAPConnector.load(server.wsdl, http=http)
    observe_all(rest, log, "http ")  # type: ignore[arg-type]
    observe_all(soap, log)

    @rest.before_execute
    def request(ctx: RESTContext) -> None:
        assert ctx.req.url == server.url("front")
        assert "<ns0:Divide" in ctx.req.body
        ctx.req.body = ctx.req.body.replace("b>7<", "b>5<")

    @rest.after_execute
    def answer(ctx: RESTContext) -> None:
        if ctx.res.status_code == 500:  # a fault is an answer here, as in LoopBack
            ctx.res.body = ctx.res.body.replace("division by zero", "b is zero")
        else:
            assert "<quotient>2<" in ctx.res.body.replace("shop:", "")
            ctx.res.body = ctx.res.body.replace("quotient>2<", "quotient>3<")

    assert await soap.client.service.Divide(10, 7) == 3
    with pytest.raises(Fault, match="b is zero"):
        await soap.client.service.Divide(1, 0)
    assert log == ["before", "http before", "http after", "after", "before", "http before", "http after", "error"]
    assert [call["args"]["b"] for call in server.seen()] == [5, 0]


# -- load --------------------------------------------------------------------------------------------------------------


async def test_the_wsdl_is_read_in_a_thread_and_past_every_hook(
    server: Server, http: httpx2.AsyncClient, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent: Connector[Any, Any] = Connector()
    observe_all(parent, log)  # type: ignore[arg-type]
    observe_all(RESTConnector(http), log)  # type: ignore[arg-type]
    load = Httpx2Transport.load
    threads: list[int] = []

    def noting(self: Any, url: str) -> Any:
        threads.append(threading.get_ident())
        return load(self, url)

    monkeypatch.setattr(Httpx2Transport, "load", noting)
    soap = await SOAPConnector.load(server.wsdl, http=http, name="shop", parent=parent, next_timeout=2)
    assert len(threads) == 2  # the types are a file of their own
    assert threading.get_ident() not in threads
    assert log == []
    assert (soap.name, soap._parent, soap._next_timeout) == ("shop", parent, 2)
    await soap.client.service.Nothing()
    assert log == ["before", "before", "after", "after"]


async def test_the_loop_runs_while_the_wsdl_is_fetched(server: Server) -> None:
    ticked = asyncio.Event()

    class Auth(httpx2.Auth):
        async def async_auth_flow(self, request: Any) -> Any:
            await ticked.wait()
            yield request

    async with httpx2.AsyncClient(auth=Auth(), verify=False) as http:
        loading = asyncio.create_task(SOAPConnector.load(server.wsdl, http=http))
        await asyncio.sleep(0.05)
        assert not loading.done()
        ticked.set()
        assert (await loading).client.wsdl.services


async def test_the_given_client_fetches_and_calls_as_it_is(server: Server) -> None:
    urls: list[str] = []

    async def note(request: Any) -> None:
        urls.append(request.url.path)
        assert request.headers["authorization"] == "Basic YW5uOnNlY3JldA=="
        assert request.headers["user-agent"] == "mine"

    options: Any = {"event_hooks": {"request": [note]}, "headers": {"user-agent": "mine"}, "auth": ("ann", "secret")}
    async with httpx2.AsyncClient(**options, verify=False) as http:
        soap = await SOAPConnector.load(server.wsdl, http=http)
        async with soap.client as client:
            assert await client.service.Add(1, 2) == 3
        assert not http.is_closed
        assert await soap.client.service.Add(1, 2) == 3
    assert urls == ["/front", "/types.xsd", "/front", "/front"]


async def test_a_client_of_its_own_is_closed(server: Server) -> None:
    soap = await SOAPConnector.load(server.wsdl)
    async with soap.client as client:
        assert await client.service.Add(1, 2) == 3
        http = client.transport.client
        assert not http.is_closed
    assert http.is_closed


@pytest.fixture
async def local(server: Server, tmp_path: Path) -> AsyncIterator[Path]:
    """The WSDL in a file."""
    (tmp_path / "types.xsd").write_bytes((FOLDER / "types.xsd").read_bytes())
    path = tmp_path / "the shop.wsdl"
    path.write_text((FOLDER / "shop.wsdl").read_text().replace("{port}", str(server.port)))
    yield path


@pytest.mark.parametrize("form", [str, Path, Path.as_uri])
async def test_a_wsdl_in_a_file(local: Path, http: Any, form: Any) -> None:
    soap = await SOAPConnector.load(form(local), http=http)
    assert await soap.client.service.Add(1, 2) == 3


async def test_a_wsdl_in_memory(local: Path, http: Any) -> None:
    text = local.read_text().replace("types.xsd", (local.parent / "types.xsd").as_uri())
    soap = await SOAPConnector.load(io.BytesIO(text.encode()), http=http)
    assert await soap.client.service.Add(1, 2) == 3


async def test_a_wsdl_that_has_moved(server: Server, http: Any) -> None:
    soap = await SOAPConnector.load(server.url("moved"), http=http)
    assert await soap.client.service.Add(1, 2) == 3


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[httpx2.AsyncClient]:
    """The clients that `load` makes."""
    clients: list[httpx2.AsyncClient] = []

    class Noted(httpx2.AsyncClient):
        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            client = super().__new__(cls)
            clients.append(client)
            return client

    monkeypatch.setattr("interceptors.connectors.zeep.httpx2.AsyncClient", Noted)
    return clients


async def test_a_wsdl_that_is_not_there(server: Server, made: list[httpx2.AsyncClient]) -> None:
    with pytest.raises(TransportError, match="/missing answered 404") as caught:
        await SOAPConnector.load(server.url("missing"))
    assert caught.value.status_code == 404
    assert [client.is_closed for client in made] == [True]


async def test_no_wsdl_at_all(server: Server, http: httpx2.AsyncClient) -> None:
    with pytest.raises(XMLSyntaxError):
        await SOAPConnector.load(server.url("html"), http=http)
    with pytest.raises(FileNotFoundError):
        await SOAPConnector.load("missing.wsdl", http=http)
    with pytest.raises(ValueError, match="No URL given"):
        await SOAPConnector.load("", http=http)
    assert not http.is_closed


async def test_wrong_options_leave_no_client_open(server: Server, made: list[httpx2.AsyncClient]) -> None:
    with pytest.raises(ValueError, match="next_timeout"):
        await SOAPConnector.load(server.wsdl, next_timeout=0)
    assert [client.is_closed for client in made] == [True]


async def test_a_synchronous_http_client_is_refused(server: Server) -> None:
    with httpx2.Client(verify=False) as http, pytest.raises(TypeError, match=r"httpx2\.AsyncClient, not Client"):
        await SOAPConnector.load(server.wsdl, http=http)  # type: ignore[arg-type]


async def test_load_is_cancelled(server: Server, made: list[httpx2.AsyncClient]) -> None:
    started = asyncio.Event()

    async def hang(request: Any) -> None:
        started.set()
        await asyncio.sleep(30)

    for how in ("asyncio", "anyio"):
        started.clear()
        async with httpx2.AsyncClient(event_hooks={"request": [hang]}, verify=False) as http:
            if how == "asyncio":
                loading = asyncio.create_task(SOAPConnector.load(server.wsdl, http=http))
                await started.wait()
                loading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await loading
            else:
                with move_on_after(0.1) as scope:
                    await SOAPConnector.load(server.wsdl, http=http)
                assert scope.cancelled_caught


# -- libraries that are there, or not ----------------------------------------------------------------------------------


async def test_over_httpx(server: Server, log: Log) -> None:
    httpx = pytest.importorskip("httpx")
    with httpx.Client() as reader:
        async with httpx.AsyncClient() as caller:
            transport = AsyncTransport(client=caller, wsdl_client=reader)
            soap = SOAPConnector(await asyncio.to_thread(zeep.AsyncClient, server.wsdl, transport=transport))
            observe_all(soap, log)
            assert await soap.client.service.Add(1, 2) == 3
    assert log == ["before", "after"]


def test_httpx_is_not_needed(server: Server) -> None:
    program = f"""
import asyncio, sys
sys.modules["httpx"] = None
from interceptors.connectors.zeep import SOAPConnector

async def main():
    soap = await SOAPConnector.load({server.wsdl!r})
    soap.after_execute(lambda ctx: ctx.end(None, ctx.res + 1))
    async with soap.client:
        return await soap.client.service.Add(1, 2)

print(asyncio.run(main()))
"""
    command = [sys.executable, "-W", "error", "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("4\n", "")


@pytest.mark.parametrize("missing", ["zeep", "httpx2"])
def test_a_missing_library_is_named_with_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "interceptors.connectors.zeep")
    with pytest.raises(MissingExtraError, match=r"interceptors\.connectors\.zeep .*pip install 'interceptors\[zeep\]'"):
        importlib.import_module("interceptors.connectors.zeep")


def test_the_lock_file_names_no_host() -> None:
    lock = (FOLDER / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
