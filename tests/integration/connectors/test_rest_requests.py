"""REST: every way to send is one execute, and what the hooks make of a request is what the server gets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from interceptors.connectors.httpx import RESTConnector, RESTContext, RESTRequest
from tests.integration.connectors.rest_support import NO_TLS, answering, app, assert_usable, client, library, url

__all__ = ["client", "library", "url"]

COPYRIGHT = "© Ærø"


def log_of(api: RESTConnector) -> list[str]:
    log: list[str] = []
    api.before_execute(lambda ctx: log.append(f"before {ctx.req.method} {ctx.req.url.path}"))
    api.after_execute(lambda ctx: log.append(f"after {ctx.res.status_code}"))
    api.after_execute_error(lambda ctx: log.append(f"error {type(ctx.error).__name__}"))
    return log


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


# -- every public way to send ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "options", "head", "post", "put", "patch", "delete"])
async def test_each_method_is_one_execute(client: Any, method: str) -> None:
    log = log_of(RESTConnector(client))
    assert (await getattr(client, method)("/x")).headers["x-echo"] == "yes"
    assert log == [f"before {method.upper()} /x", "after 200"]


async def test_request_send_and_stream_are_one_execute_each(client: Any, library: Any) -> None:
    log = log_of(RESTConnector(client))
    assert (await client.request("PUT", "/x")).status_code == 200
    assert (await client.send(client.build_request("GET", "/y"))).status_code == 200
    async with client.stream("GET", "/chunks") as response:
        assert [line async for line in response.aiter_lines()] == ["line 0", "line 1", "line 2"]
    streamed = await client.send(client.build_request("GET", "/chunks"), stream=True)
    assert b"".join([chunk async for chunk in streamed.aiter_raw()]).startswith(b"line 0")
    await streamed.aclose()
    assert log == ["before PUT /x", "after 200", "before GET /y", "after 200"] + ["before GET /chunks", "after 200"] * 2


@pytest.mark.parametrize("library", [httpx2], ids=["httpx2"], indirect=True)  # httpx has none
async def test_server_sent_events(client: Any) -> None:
    log = log_of(RESTConnector(client))
    async with client.sse("/events") as source:
        assert [event.data async for event in source] == ["one", "two"]
    assert log == ["before GET /events", "after 200"]


async def test_redirects_are_inside_one_execute(client: Any) -> None:
    log = log_of(RESTConnector(client))
    response = await client.post("/redirect/2", json={"a": 1}, follow_redirects=True)
    assert (response.json()["path"], response.json()["body"]) == ("/echo", '{"a":1}')
    assert [each.status_code for each in response.history] == [307, 307, 307]
    assert log == ["before POST /redirect/2", "after 200"]
    response = await client.get("/redirect/0")
    assert (response.status_code, str(response.next_request.url.path)) == (307, "/echo")


async def test_an_edited_request_is_redirected_like_any_other(client: Any) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.req.body.update(b=2))
    response = await client.post("/redirect/1", json={"a": 1}, follow_redirects=True)
    assert json.loads(response.json()["body"]) == {"a": 1, "b": 2}
    assert len(response.history) == 2


async def test_authentication_is_inside_one_execute(client: Any, library: Any) -> None:
    log = log_of(RESTConnector(client))

    class Late(library.Auth):  # answers the server's challenge, and asks the same client for the password
        async def async_auth_flow(self, request: Any) -> Any:
            response = yield request
            if response.status_code == 401:
                assert (await client.get("/password")).status_code == 200
                request.headers["Authorization"] = "Basic abc"
                yield request

    assert (await client.get("/basic", auth=Late())).json() == {"authorization": "Basic abc"}
    assert (await client.get("/basic", auth=("ann", "pw"))).json()["authorization"].startswith("Basic ")
    assert log == ["before GET /basic", "after 200"] * 2


async def test_cookies_base_url_params_and_event_hooks_stay(client: Any) -> None:
    seen: list[str] = []

    async def on_request(request: Any) -> None:
        seen.append(request.headers["x-hook"])

    async def on_response(response: Any) -> None:
        seen.append(str(response.status_code))

    client.event_hooks = {"request": [on_request], "response": [on_response]}
    client.params = {"lang": "da"}
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.req.headers.update({"x-hook": "1"}))
    assert (await client.get("/cookie")).json() == {}
    assert (await client.get("/cookie")).json() == {"visited": "yes"}
    assert (await client.get("/x", params={"page": 2})).json()["query"] == "lang=da&page=2"
    assert seen == ["1", "200"] * 3
    client.event_hooks = {}


async def test_what_was_taken_before_stays_unhooked(client: Any) -> None:
    send = client.send
    log = log_of(RESTConnector(client))
    assert (await send(client.build_request("GET", "/x"))).status_code == 200
    assert log == []


async def test_without_hooks_the_request_goes_straight_through(client: Any, monkeypatch: Any) -> None:
    RESTConnector(client)
    monkeypatch.setattr("interceptors.connectors.httpx.RESTRequest", None)
    assert (await client.get("/x")).status_code == 200


# -- what a request holds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({"json": {"a": [1, None]}}, {"a": [1, None]}),
        ({"json": []}, []),
        ({"content": b"[1]", "headers": {"content-type": "application/problem+json; charset=utf-8"}}, [1]),
        ({"content": b"{no", "headers": {"content-type": "application/json"}}, "{no"),
        ({"data": {"a": "1", "b": "x y"}}, "a=1&b=x+y"),
        ({"content": "<a>ø</a>", "headers": {"content-type": "text/xml"}}, "<a>ø</a>"),
        ({"content": "ø".encode("latin-1"), "headers": {"content-type": "text/plain; charset=latin-1"}}, "ø"),
        ({"content": b"\x00\xff"}, b"\x00\xff"),
        ({"content": b"{}", "headers": {"content-type": "application/json", "content-encoding": "x"}}, b"{}"),
        ({}, None),
        ({"content": b""}, None),
        ({"content": b"", "headers": {"content-encoding": "x"}}, None),
        ({"files": {"f": ("a.txt", b"one")}}, None),
        ({"content": parts(b"a", b"b")}, None),
    ],
    ids="json list problem invalid form xml latin bytes encoded nothing empty encoded-empty multipart iterator".split(),
)
async def test_bodies(client: Any, arguments: Any, body: Any) -> None:
    api = RESTConnector(client)
    seen: list[RESTRequest] = []
    api.before_execute(lambda ctx: seen.append(ctx.req))
    api.before_execute(lambda ctx: ctx.end(None, {}))
    await client.post("/x", **arguments)
    assert seen[0].body == body
    assert type(seen[0].body) is type(body)
    assert (seen[0].method, seen[0].url.path, repr(seen[0])[:18]) == ("POST", "/x", "<RESTRequest POST ")


async def test_a_request_that_no_hook_changed_is_the_callers_own(client: Any, library: Any) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def look(ctx: RESTContext) -> None:
        assert ctx.req.body == {"a": [1]}
        ctx.req.headers = ctx.req.headers
        ctx.req.url = str(ctx.req.url)
        ctx.req.body = {"a": [1]}

    request = client.build_request("POST", "/x", json={"a": [1]})
    response = await client.send(request)
    assert response.request is request


async def test_the_callers_request_never_changes(client: Any) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def change(ctx: RESTContext) -> None:
        ctx.req.body["a"].append(2)
        ctx.req.headers["x-a"] = "1"
        ctx.req.method = "PUT"
        ctx.options["trace"] = None

    request = client.build_request("POST", "/x", json={"a": [1]})
    before = request.method, request.headers.raw, request.content, dict(request.extensions)
    assert (await client.send(request)).json()["body"] == '{"a":[1,2]}'
    assert (request.method, request.headers.raw, request.content, request.extensions) == before


# -- edits -------------------------------------------------------------------------------------------------------------


async def test_headers_url_and_method_in_place(client: Any, library: Any) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def change(ctx: RESTContext) -> None:
        ctx.req.method = "put"
        ctx.req.url = ctx.req.url.copy_with(path="/other", query=b"q=1")
        ctx.req.headers["x-a"] = "1"
        del ctx.req.headers["accept"]

    response = await client.post("/x", content=b"abc")
    got = response.json()
    assert (got["method"], got["path"], got["query"], got["body"]) == ("PUT", "/other", "q=1", "abc")
    assert got["headers"]["x-a"] == "1"
    assert "accept" not in got["headers"]
    assert response.request.content == b"abc"
    assert response.url.path == "/other"


async def test_assigned_headers_and_urls_become_the_librarys(client: Any, library: Any) -> None:
    api = RESTConnector(client)
    client.params = {"lang": "da"}

    @api.before_execute
    def change(ctx: RESTContext) -> None:
        ctx.req.headers = {"X-A": "1"}
        assert ctx.req.headers["x-a"] == "1"
        ctx.req.url = "/relative?q=2"
        assert isinstance(ctx.req.url, library.URL)

    got = (await client.get("/x")).json()
    assert (got["path"], got["query"], got["headers"]["x-a"]) == ("/relative", "q=2", "1")
    assert "user-agent" not in got["headers"]


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda ctx: setattr(ctx.req, "url", 5), TypeError),
        (lambda ctx: setattr(ctx.req, "headers", 5), TypeError),
        (lambda ctx: setattr(ctx, "req", {"method": "GET"}), TypeError),
        (lambda ctx: setattr(ctx, "req", RESTRequest("GET", None)), TypeError),
    ],
    ids="url headers dict request".split(),
)
async def test_what_is_no_request_is_refused_in_the_hooks_own_line(client: Any, edit: Any, error: Any) -> None:
    api = RESTConnector(client)
    api.before_execute(edit)
    with pytest.raises(error) as raised:
        await client.get("/x")
    assert any(entry.frame.code.raw is edit.__code__ for entry in raised.traceback)


@pytest.mark.parametrize(
    ("arguments", "edit", "content", "content_type"),
    [
        (
            {"json": {"a": 1}},
            lambda req: req.body.update(b=COPYRIGHT),
            f'{{"a":1,"b":"{COPYRIGHT}"}}',
            "application/json",
        ),
        ({"data": {"a": "1"}}, lambda req: setattr(req, "body", req.body + "&b=2"), "a=1&b=2", "x-www-form-urlencoded"),
        ({"data": {"a": "1"}}, lambda req: setattr(req, "body", {"b": 2}), '{"b":2}', "application/json"),
        ({"content": b"1"}, lambda req: setattr(req, "body", req.body + b"2"), "12", None),
        ({"content": b"1"}, lambda req: setattr(req, "body", bytearray(b"3")), "3", None),
        ({"content": b"1"}, lambda req: setattr(req, "body", "text"), '"text"', "application/json"),
        ({"json": {"a": 1}}, lambda req: setattr(req, "body", "text"), '"text"', "application/json"),
        ({"json": {"a": 1}}, lambda req: setattr(req, "body", 0), "0", "application/json"),
        ({"json": {"a": 1}}, lambda req: setattr(req, "body", None), "", "application/json"),
        ({}, lambda req: setattr(req, "body", []), "[]", "application/json"),
    ],
    ids="json form form-to-json bytes bytearray bytes-to-text json-to-text falsy none from-nothing".split(),
)
async def test_bodies_in_place(client: Any, arguments: Any, edit: Any, content: str, content_type: str | None) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: edit(ctx.req))
    got = (await client.post("/x", **arguments)).json()
    assert got["body"].encode("latin-1").decode() == content
    assert got["headers"]["content-length"] == str(len(content.encode()))
    assert (content_type or "") in got["headers"].get("content-type", "")
    assert content_type or "content-type" not in got["headers"]


@pytest.mark.parametrize(
    ("content_type", "before", "after", "sent", "sent_type"),
    [
        ("text/plain; charset=latin-1", b"\xf8", "øø", b"\xf8\xf8", "text/plain; charset=latin-1"),
        ("text/plain; charset=latin-1", b"\xf8", "€", "€".encode(), "text/plain; charset=utf-8"),
        ("text/plain; charset=nonsense", b"a", "ø", "ø".encode(), "text/plain; charset=utf-8"),
        (
            "text/xml",
            b'<?xml version="1.0" encoding="iso-8859-1"?><a>\xf8</a>',
            '<?xml version="1.0" encoding="iso-8859-1"?><a>øø</a>',
            b'<?xml version="1.0" encoding="iso-8859-1"?><a>\xf8\xf8</a>',
            "text/xml",
        ),
    ],
    ids="latin to-utf8 unknown declared".split(),
)
async def test_texts_are_written_in_their_encoding(
    client: Any, content_type: str, before: bytes, after: str, sent: bytes, sent_type: str
) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def change(ctx: RESTContext) -> None:
        assert isinstance(ctx.req.body, str)
        assert "\ufffd" not in ctx.req.body
        ctx.req.body = after

    got = (await client.post("/x", content=before, headers={"content-type": content_type})).json()
    assert got["body"].encode("latin-1") == sent
    assert got["headers"]["content-type"] == sent_type


async def test_what_the_hook_compressed_stays_compressed(client: Any) -> None:
    api = RESTConnector(client)
    values: list[Any] = [b"zipped", {"a": 1}]
    api.before_execute(lambda ctx: setattr(ctx.req, "body", values.pop(0)))
    headers = {"content-encoding": "x", "content-type": "application/json"}
    got = [(await client.post("/x", content=b"abc", headers=headers)).json() for _ in range(2)]
    assert [(each["body"], each["headers"].get("content-encoding")) for each in got] == [
        ("zipped", "x"),
        ('{"a":1}', None),
    ]


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), [b"bytes"]], ids="object set nan bytes".split())
async def test_a_body_that_json_cannot_hold_is_an_error_of_the_call(client: Any, value: Any) -> None:
    log = log_of(api := RESTConnector(client))
    api.before_execute(lambda ctx: ctx.req.body.update(a=value))
    with pytest.raises(TypeError, match="JSON cannot hold the body"):
        await client.post("/x", json={})
    assert log == ["before POST /x", "error TypeError"]


async def test_a_body_that_contains_itself_is_an_error_of_the_call(client: Any) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.req.body.update(a=ctx.req.body))
    with pytest.raises(TypeError, match="JSON cannot hold the body"):
        await client.post("/x", json={})


async def test_another_host_gets_its_own_host_header(client: Any, url: str) -> None:
    api = RESTConnector(client)
    other = url.replace("127.0.0.1", "localhost")
    api.before_execute(lambda ctx: setattr(ctx.req, "url", f"{other}/there"))
    for content in (b"abc", parts(b"a", b"bc")):
        got = (await client.post("/x", content=content)).json()
        assert (got["path"], got["body"], got["headers"]["host"]) == ("/there", "abc", other.removeprefix("http://"))


async def test_a_host_header_that_a_hook_wrote_stays(client: Any, url: str) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def change(ctx: RESTContext) -> None:
        ctx.req.url = url.replace("127.0.0.1", "localhost")
        ctx.req.headers["Host"] = "example.org"

    assert (await client.get("/x")).json()["headers"]["host"] == "example.org"


async def test_relative_urls_without_a_base_url_stay_so(library: Any, url: str) -> None:
    async with library.AsyncClient(verify=NO_TLS) as client:
        api = RESTConnector(client)
        api.before_execute(lambda ctx: setattr(ctx.req, "url", "/x"))
        with pytest.raises(library.UnsupportedProtocol):
            await client.get(url)
    async with library.AsyncClient(base_url=f"{url}/v1", verify=NO_TLS) as client:
        RESTConnector(client).before_execute(lambda ctx: setattr(ctx.req, "url", "/x?q=1"))
        got = (await client.get("/y")).json()
        assert (got["path"], got["query"]) == ("/v1/x", "q=1")


# -- uploads that are not read -----------------------------------------------------------------------------------------


async def test_uploads_survive_edits_of_the_head(client: Any) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def change(ctx: RESTContext) -> None:
        assert ctx.req.body is None
        ctx.req.headers["x-a"] = "1"
        ctx.req.url = ctx.req.url.copy_with(query=b"q=1")

    got = (await client.post("/x", content=parts(b"a", b"b"))).json()
    assert (got["body"], got["query"], got["headers"]["x-a"]) == ("ab", "q=1", "1")
    assert got["headers"]["transfer-encoding"] == "chunked"
    response = await client.post("/form", files={"f": ("a.txt", b"one")}, data={"g": "two"})
    assert response.json() == {"f": "one", "g": "two"}


async def test_a_body_in_the_place_of_an_upload(client: Any) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: setattr(ctx.req, "body", {"a": 1}))
    got = (await client.post("/x", content=parts(b"a", b"b"))).json()
    assert (got["body"], got["headers"]["content-length"]) == ('{"a":1}', "7")
    assert "transfer-encoding" not in got["headers"]


async def test_a_host_header_that_a_hook_deleted_is_written_again(client: Any, url: str) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.req.headers.pop("host"))
    for content in (b"abc", parts(b"a", b"bc")):
        got = (await client.post("/x", content=content)).json()
        assert (got["body"], got["headers"]["host"]) == ("abc", url.removeprefix("http://"))


# -- replacements ------------------------------------------------------------------------------------------------------


async def test_a_rest_request_in_its_place(client: Any, library: Any, url: str) -> None:
    api = RESTConnector(client)

    @api.before_execute
    def replace(ctx: RESTContext) -> None:
        ctx.req = RESTRequest("PUT", "/other", headers={"X-A": "1"}, body={"a": 1})
        assert isinstance(ctx.req.url, library.URL)
        assert isinstance(ctx.req.headers, library.Headers)
        ctx.req.body["b"] = 2

    got = (await client.post("/x", json={"no": "more"})).json()
    assert (got["method"], got["path"], got["body"]) == ("PUT", "/other", '{"a":1,"b":2}')
    assert got["headers"] == {
        "host": url.removeprefix("http://"),
        "x-a": "1",
        "content-type": "application/json",
        "content-length": "13",
    }


async def test_a_rest_request_without_a_body(client: Any) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: setattr(ctx, "req", RESTRequest("POST", ctx.req.url)))
    api.before_execute(lambda ctx: pytest.fail("it is empty") if ctx.req.body is not None else None)
    got = (await client.post("/x", content=b"abc")).json()
    assert (got["body"], got["headers"]["content-length"]) == ("", "0")


async def test_headers_taken_over_to_another_host(client: Any, url: str) -> None:
    api = RESTConnector(client)
    other = url.replace("127.0.0.1", "localhost")

    @api.before_execute
    def replace(ctx: RESTContext) -> None:
        ctx.req = RESTRequest(ctx.req.method, other, headers=ctx.req.headers, body=ctx.req.body)

    got = (await client.post("/x", json={"a": 1})).json()
    assert (got["body"], got["headers"]["host"]) == ('{"a":1}', other.removeprefix("http://"))


async def test_the_librarys_request_in_its_place(client: Any, library: Any, url: str) -> None:
    api = RESTConnector(client)
    contents: list[Any] = [b"abc", parts(b"d", b"e")]

    @api.before_execute
    def replace(ctx: RESTContext) -> None:
        extensions = {"timeout": {"read": 9.0}}
        ctx.req = library.Request("PUT", f"{url}/other", content=contents.pop(0), extensions=extensions)
        assert isinstance(ctx.req, RESTRequest)
        assert ctx.options["timeout"] == {"read": 9.0}

    for content in ("abc", "de"):
        got = (await client.post("/x", content=b"no more")).json()
        assert (got["method"], got["path"], got["body"]) == ("PUT", "/other", content)


async def test_options_are_the_extensions(client: Any, library: Any) -> None:
    api = RESTConnector(client)
    seen: list[Any] = []
    api.before_execute(lambda ctx: seen.append(ctx.options["timeout"]["read"]))
    assert (await client.get("/x", timeout=7)).status_code == 200
    api.before_execute(lambda ctx: ctx.options.update(timeout={"read": 0.05, "connect": 5, "pool": 5, "write": 5}))
    with pytest.raises(library.ReadTimeout):
        await client.get("/slow", params={"seconds": 1}, timeout=8)
    assert seen == [7, 8]


async def test_a_retry_sends_what_the_request_is_then(client: Any) -> None:
    api = RESTConnector(client)

    @api.intercept
    async def retry(ctx: RESTContext, next: Any) -> Any:
        res = await next()
        while res.status_code == 503:
            ctx.req.url = ctx.req.url.copy_merge_params({"status": "200"})
            res = await next()
        return res

    before = len(app.state.seen)
    query = answering({"a": 1}, status="503")
    assert (await client.get("/answer", params=query)).json() == {"a": 1}
    async with client.stream("GET", "/answer", params=query) as response:
        assert json.loads(await response.aread()) == {"a": 1}
    assert len(app.state.seen) == before
    await assert_usable(client)
