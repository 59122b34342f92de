"""REST: what the hooks see of a response, and what they make of it for the caller."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from interceptors.connectors.httpx import RESTConnector, RESTContext, RESTResponse
from tests.integration.connectors.rest_support import NO_TLS, answering, assert_usable, client, library, url

__all__ = ["client", "library", "url"]

JSON = "application/json"


def after(client: Any, hook: Any) -> RESTConnector:
    api = RESTConnector(client)
    api.after_execute(hook)
    return api


async def get(client: Any, content: Any, **query: Any) -> Any:
    return await client.get("/answer", params=answering(content, **query))


# -- what a response holds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "query", "body"),
    [
        (b'{"a": [1]}', {"type": JSON}, {"a": [1]}),
        (b'{"a": 1}', {"type": "application/hal+json; charset=utf-8"}, {"a": 1}),
        ('"ø"'.encode("utf-16"), {"type": JSON}, "ø"),
        (b"null", {"type": JSON}, None),
        (b"{no", {"type": JSON}, "{no"),
        (b"\xff", {"type": f"{JSON}; charset=nonsense"}, "\ufffd"),
        (b"1" * 5000, {"type": JSON}, "1" * 5000),
        (b"<a/>", {"type": "application/soap+xml"}, "<a/>"),
        (
            b'<?xml version="1.0" encoding="latin-1"?><a>\xf8</a>',
            {"type": "text/xml"},
            '<?xml version="1.0" encoding="latin-1"?><a>ø</a>',
        ),
        (b"\xf8", {"type": "text/html; charset=ISO-8859-1"}, "ø"),
        (b"\xf8", {"type": "text/plain"}, "\ufffd"),
        (b"a=1", {"type": "application/x-www-form-urlencoded"}, "a=1"),
        (b"a", {"type": "text/plain; charset=base64"}, "a"),
        (b"\x00\xff", {"type": "image/png"}, b"\x00\xff"),
        (b"{}", {}, b"{}"),
        (b"", {"type": JSON}, None),
        (b"", {"status": "204"}, None),
        (b'{"a": 1}', {"type": JSON, "gzip": "1"}, {"a": 1}),
    ],
    ids="json hal utf16 null invalid unknown-charset digits xml declared latin no-charset form no-charset-at-all bytes typeless "
    "empty no-content gzip".split(),
)
async def test_bodies_and_the_very_response(client: Any, content: bytes, query: Any, body: Any) -> None:
    seen: list[RESTResponse] = []
    after(client, lambda ctx: seen.append(ctx.res))
    response = await client.get("/answer", params={"hex": content.hex(), **query})
    assert response is seen[0].raw
    assert response.content == content
    assert seen[0].body == body
    assert seen[0].body is seen[0].body or body is None
    assert type(seen[0].body) is type(body)
    assert seen[0].status_code == response.status_code
    assert seen[0].headers == response.headers


async def test_the_clients_default_encoding_counts(library: Any, url: str) -> None:
    for encoding, body in (("latin-1", "ø"), ("base64", "\ufffd"), (lambda content: "cp865", "°")):
        async with library.AsyncClient(base_url=url, default_encoding=encoding, verify=NO_TLS) as client:
            seen: list[Any] = []
            after(client, lambda ctx, seen=seen: seen.append(ctx.res.body))
            response = await get(client, b"\xf8", type="text/plain")
            assert seen == [body]
            response.encoding = "utf-8"  # no hook has read `text`
            assert response.text == "\ufffd"


async def test_a_response_that_nobody_read_is_not_parsed(client: Any, monkeypatch: Any) -> None:
    after(client, lambda ctx: None)
    monkeypatch.setattr("interceptors.connectors.rest.bodies.json", None)
    assert (await get(client, {"a": 1})).json() == {"a": 1}


async def test_looking_and_putting_back_changes_nothing(client: Any) -> None:
    seen: list[Any] = []

    def look(ctx: RESTContext) -> None:
        ctx.res.body = json.loads(json.dumps(ctx.res.body))
        ctx.res.headers = ctx.res.headers
        ctx.res = ctx.res
        ctx.results = list(ctx.results)
        seen.append(ctx.res.raw)

    after(client, look)
    assert (await get(client, b'{"a" :  1}', type=JSON)) is seen[0]
    assert repr(RESTResponse(204)) == "<RESTResponse 204>"


# -- edits in place ----------------------------------------------------------------------------------------------------


async def test_status_headers_and_body_in_place(client: Any) -> None:
    def change(ctx: RESTContext) -> None:
        ctx.res.status_code = 201
        ctx.res.headers["x-a"] = "1"
        ctx.res.body["b"] = "ø"

    after(client, change)
    response = await get(client, {"a": 1}, gzip="1", headers='{"x-old": "1"}')
    assert (response.status_code, response.reason_phrase, response.is_closed) == (201, "Created", True)
    assert response.json() == {"a": 1, "b": "ø"}
    assert (response.headers["x-a"], response.headers["x-old"]) == ("1", "1")
    assert "content-encoding" not in response.headers
    assert response.headers["content-length"] == str(len(response.content))
    assert (response.http_version, response.url.path) == ("HTTP/1.1", "/answer")
    assert response.elapsed > timedelta(0)
    assert response.history == []


async def test_only_the_head_in_place(client: Any) -> None:
    def change(ctx: RESTContext) -> None:
        ctx.res.headers = {**ctx.res.headers, "x-a": "1"}
        assert ctx.res.headers["X-A"] == "1"

    after(client, change)
    for query in ({}, {"gzip": "1"}):
        response = await get(client, b'{"a" :  1}', type=JSON, **query)
        assert (response.content, response.headers["x-a"], response.reason_phrase) == (b'{"a" :  1}', "1", "OK")
        assert response.headers["content-length"] == "10"
    response = await client.head("/answer", params=answering({"a": 1}, gzip="1"))
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) > 10
    assert (response.content, response.headers["x-a"]) == (b"", "1")


async def test_an_edited_head_keeps_the_default_encoding(library: Any, url: str) -> None:
    async with library.AsyncClient(base_url=url, default_encoding="latin-1", verify=NO_TLS) as client:
        api = after(client, lambda ctx: ctx.res.headers.update({"x-a": "1"}))
        assert (await get(client, b"\xf8", type="text/plain")).text == "ø"
        api.after_execute(lambda ctx: setattr(ctx.res, "body", ctx.res.body + "å"))
        assert (await get(client, b"\xf8", type="text/plain")).text == "øå"


async def test_history_cookies_and_redirects_stay(client: Any) -> None:
    api = after(client, lambda ctx: ctx.res.body.update(more=1))
    response = await client.get("/redirect/1", follow_redirects=True)
    assert (response.json()["more"], response.url.path) == (1, "/echo")
    assert [each.status_code for each in response.history] == [307, 307]
    response = await client.get("/cookie")
    assert response.cookies["visited"] == "yes"
    api.clear_observers()
    api.after_execute(lambda ctx: ctx.res.headers.update({"x-a": "1"}))
    response = await client.get("/redirect/0")
    assert response.headers["x-a"] == "1"
    assert response.next_request.url.path == "/echo"


@pytest.mark.parametrize(
    ("edit", "content", "content_type"),
    [
        (lambda res: setattr(res, "body", None), b"null", JSON),
        (lambda res: setattr(res, "body", 0), b"0", JSON),
        (lambda res: setattr(res, "body", b"\x00"), b"\x00", "text/xml"),
        (lambda res: setattr(res, "body", "<b/>"), b"<b/>", "text/xml"),
        (lambda res: setattr(res, "body", {"b": 1}), b'{"b":1}', JSON),
    ],
    ids="null zero bytes text json".split(),
)
async def test_an_xml_body_in_place(client: Any, edit: Any, content: bytes, content_type: str) -> None:
    after(client, lambda ctx: edit(ctx.res))
    response = await get(client, b"<a/>", type="text/xml")
    assert (response.content, response.headers["content-type"]) == (content, content_type)


async def test_nothing_in_the_place_of_nothing_stays_nothing(client: Any) -> None:
    after(client, lambda ctx: setattr(ctx.res, "body", None))
    assert (await get(client, b"", status="204")).content == b""


async def test_what_json_cannot_hold_in_place_is_the_callers_error(client: Any) -> None:
    after(client, lambda ctx: ctx.res.body.update(a=object()))
    with pytest.raises(TypeError, match="JSON cannot hold the body"):
        await get(client, {})


# -- result values -----------------------------------------------------------------------------------------------------

VALUES = {
    "dict": ({"b": "ø"}, b'{"b":"\xc3\xb8"}'),
    "list": ([], b"[]"),
    "text": ("x", b'"x"'),
    "zero": (0, b"0"),
    "false": (False, b"false"),
    "none": (None, b"null"),
    "bytes": (b"\x00", b"\x00"),
}
WAYS: dict[str, Any] = {
    "res": lambda ctx, value: setattr(ctx, "res", value),
    "results[0]": lambda ctx, value: ctx.results.__setitem__(0, value),
    "results": lambda ctx, value: setattr(ctx, "results", [value]),
    "results of two": lambda ctx, value: setattr(ctx, "results", [ctx.res, value]),
    "end": lambda ctx, value: ctx.end(None, value),
    "end with ctx": lambda ctx, value: ctx.end(None, ctx, value),
    "end with res": lambda ctx, value: ctx.end(None, ctx.res, value),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", VALUES)
async def test_a_body_keeps_status_and_headers(client: Any, way: str, value: str) -> None:
    after(client, lambda ctx: WAYS[way](ctx, VALUES[value][0]))
    response = await get(client, {"a": 1}, status="418", headers='{"x-a": "1"}', gzip="1")
    assert (response.status_code, response.headers["x-a"]) == (418, "1")
    assert response.content == VALUES[value][1]
    assert response.headers["content-length"] == str(len(VALUES[value][1]))
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("way", ["end", "end with ctx", "end with res"])
@pytest.mark.parametrize("value", VALUES)
async def test_a_body_without_a_response_is_200(client: Any, way: str, value: str) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: WAYS[way](ctx, VALUES[value][0]))
    api.after_execute(lambda ctx: pytest.fail("there was no operation"))
    response = await client.get("/x")
    assert (response.status_code, response.content) == (200, VALUES[value][1])
    assert response.headers.get("content-type") == (None if value == "bytes" else JSON)
    assert (response.request.url.path, response.history, response.elapsed) == ("/x", [], timedelta(0))
    assert response.raise_for_status() is response


async def test_end_without_a_result_gives_null(client: Any) -> None:
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.end())
    assert (await client.get("/x")).json() is None
    api.clear_observers()
    api.after_execute(lambda ctx: ctx.end())
    assert (await get(client, {"a": 1}, status="418")).json() is None


async def test_an_interceptors_return_is_a_result_value(client: Any, library: Any) -> None:
    api = RESTConnector(client)
    results: list[Any] = [{"b": 1}, RESTResponse(201, body=[]), library.Response(202, json=[1])]

    @api.intercept
    async def outer(ctx: RESTContext, next: Any) -> Any:
        res = await next()
        assert isinstance(res, RESTResponse)
        assert res is ctx.res
        return res

    @api.intercept
    async def inner(ctx: RESTContext, next: Any) -> Any:
        return results.pop(0)

    got = [await client.get("/x") for _ in range(3)]
    assert [(each.status_code, each.json()) for each in got] == [(200, {"b": 1}), (201, []), (202, [1])]


async def test_a_rest_response(client: Any) -> None:
    cached = RESTResponse(203, headers={"X-A": "1"}, body={"b": 1})
    after(client, lambda ctx: ctx.end(None, ctx, cached))
    for _ in range(2):
        response = await get(client, {"a": 1})
        assert (response.status_code, response.headers["x-a"], response.json()) == (203, "1", {"b": 1})
        assert (response.url.path, cached.raw, response.headers["content-type"]) == ("/answer", None, JSON)


async def test_a_rest_response_without_a_body_is_empty(client: Any) -> None:
    after(client, lambda ctx: setattr(ctx, "res", RESTResponse(204)))
    response = await get(client, {"a": 1})
    assert (response.status_code, response.content, dict(response.headers)) == (204, b"", {})
    async with client.stream("GET", "/chunks") as response:
        assert await response.aread() == b""


async def test_the_librarys_response(client: Any, library: Any) -> None:
    zipped = gzip.compress(b"[1]")
    cached = library.Response(
        203, content=zipped, headers={"content-encoding": "gzip", "content-type": JSON, "x-a": "1"}
    )
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.end(None, cached))
    for path in ("/x", "/y"):
        response = await client.get(path)
        assert (response.status_code, response.json(), response.headers["x-a"]) == (203, [1], "1")
        assert response.raise_for_status().url.path == path  # the request is its own, also if the response is shared
    api.clear_observers()
    api.after_execute(lambda ctx: ctx.end(None, cached))
    api.after_execute(lambda ctx: pytest.fail("the rest is skipped"))
    assert (await client.get("/z")).url.path == "/z"


async def test_a_response_of_another_call_is_that_very_response(client: Any) -> None:
    kept = await get(client, {"a": 1}, status="203")
    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.end(None, kept))
    assert (await client.get("/x")) is kept
    api.clear_observers()
    api.before_execute(lambda ctx: ctx.end(None, kept, {"b": 2}))
    response = await client.get("/x")
    assert (response.status_code, response.json(), kept.json()) == (203, {"b": 2}, {"a": 1})


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (object(), None),
        ({1}, None),
        (float("inf"), None),
        (RESTResponse(200, body={1}), None),
        (1, {"statusCode": 200}),
        (1, "200"),
        (1, SimpleNamespace(res=5)),
    ],
    ids="object set infinite response dict text namespace".split(),
)
async def test_what_is_no_result_is_refused_in_the_hooks_own_line(client: Any, value: Any, source: Any) -> None:
    refused: list[TypeError] = []

    def try_it(ctx: RESTContext) -> None:
        for assign in (lambda: ctx.end(None, source, value), lambda: setattr(ctx, "results", [source, value])):
            with pytest.raises(TypeError) as raised:
                assign()
            refused.append(raised.value)

    after(client, try_it)
    assert (await get(client, {"a": 1})).json() == {"a": 1}
    assert len(refused) == 2


async def test_a_synchronous_stream_is_refused_unless_it_was_read(client: Any, library: Any) -> None:
    def end(ctx: RESTContext) -> None:
        response = library.Response(200, content=iter([b"a", b"b"]))
        with pytest.raises(TypeError, match="synchronous stream"):
            ctx.end(None, response)
        response.read()
        ctx.end(None, response)

    after(client, end)
    assert (await client.get("/x")).content == b"ab"


async def test_the_last_one_wins(client: Any) -> None:
    def change(ctx: RESTContext) -> None:
        ctx.res.body["b"] = 1
        ctx.res = {"c": 1}
        ctx.res.body["d"] = 1
        ctx.res.status_code = 202

    after(client, change).after_execute(lambda ctx: ctx.res.headers.update({"x-a": "1"}))
    response = await get(client, {"a": 1})
    assert (response.status_code, response.json(), response.headers["x-a"]) == (202, {"c": 1, "d": 1}, "1")


# -- statuses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_bad_statuses_are_answers(client: Any, library: Any, status: int) -> None:
    seen: list[int] = []
    api = after(client, lambda ctx: seen.append(ctx.res.status_code))
    api.after_execute_error(lambda ctx: pytest.fail("it is an answer"))
    response = await get(client, {"message": "no"}, status=str(status))
    with pytest.raises(library.HTTPStatusError):
        response.raise_for_status()
    assert seen == [status]
    api.after_execute(lambda ctx: setattr(ctx.res, "status_code", 200))
    response = await get(client, {"message": "no"}, status=str(status))
    assert response.raise_for_status().json() == {"message": "no"}


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_stream_is_not_read_for_the_hooks(client: Any) -> None:
    seen: list[Any] = []
    after(client, lambda ctx: seen.append((ctx.res.body, ctx.res.raw)))
    async with client.stream("GET", "/chunks") as response:
        assert seen == [(None, response)]
        assert not response.is_stream_consumed
        assert [line async for line in response.aiter_lines()] == ["line 0", "line 1", "line 2"]


async def test_a_hook_may_read_the_stream(client: Any) -> None:
    async def read(ctx: RESTContext) -> None:
        await ctx.res.raw.aread()
        assert ctx.res.body.startswith("line 0")
        ctx.res.headers["x-a"] = "1"

    after(client, read)
    async with client.stream("GET", "/chunks") as response:
        assert [line async for line in response.aiter_lines()] == ["line 0", "line 1", "line 2"]
        assert response.headers["x-a"] == "1"


async def test_the_head_of_a_stream_in_place(client: Any) -> None:
    def change(ctx: RESTContext) -> None:
        ctx.res.headers["x-a"] = "1"
        ctx.res.status_code = 203

    after(client, change)
    async with client.stream("GET", "/answer", params=answering({"a": 1}, gzip="1")) as response:
        assert (response.status_code, response.reason_phrase) == (203, "Non-Authoritative Information")
        assert json.loads(await response.aread()) == {"a": 1}
        assert response.headers["x-a"] == "1"
    assert response.elapsed > timedelta(0)


@pytest.mark.parametrize("way", WAYS)
async def test_a_body_in_the_place_of_a_stream(client: Any, way: str) -> None:
    after(client, lambda ctx: WAYS[way](ctx, {"b": 1}))
    for _ in range(3):
        async with client.stream("GET", "/chunks", params={"count": "100000"}) as response:
            assert b"".join([chunk async for chunk in response.aiter_raw()]) == b'{"b":1}'
            assert (response.headers["content-length"], response.elapsed) == ("7", timedelta(0))
            await asyncio.sleep(0.01)
            await assert_usable(client)  # the client's own is closed already


async def test_a_hooks_stream_may_read_from_the_clients(client: Any, library: Any) -> None:
    def upper(ctx: RESTContext) -> None:
        raw = ctx.res.raw

        async def lines() -> AsyncIterator[bytes]:
            async for line in raw.aiter_lines():
                yield f"{line.upper()}\n".encode()

        ctx.res = library.Response(200, content=lines(), headers={"x-a": "1"})

    after(client, upper)
    async with client.stream("GET", "/chunks") as response:
        assert (await response.aread(), response.headers["x-a"]) == (b"LINE 0\nLINE 1\nLINE 2\n", "1")
    async with client.stream("GET", "/chunks", params={"count": "100000"}) as response:
        assert await anext(response.aiter_lines()) == "LINE 0"
    await assert_usable(client)


async def test_a_hooks_stream_is_read_for_a_caller_who_wants_no_stream(client: Any, library: Any) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    api = RESTConnector(client)
    api.before_execute(lambda ctx: ctx.end(None, library.Response(200, content=content())))
    response = await client.get("/x")
    assert (response.content, response.is_closed) == (b"ab", True)
    assert response.request.url.path == "/x"


async def test_a_hooks_stream_that_is_replaced_is_closed(client: Any, library: Any) -> None:
    response = None

    class Stream(library.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b""

    def change(ctx: RESTContext) -> None:
        nonlocal response
        response = library.Response(200, stream=Stream())
        ctx.res = response
        ctx.res.body = {"b": 1}

    after(client, change)
    assert (await client.get("/x")).json() == {"b": 1}
    assert response is not None
    assert response.is_closed


async def test_a_hook_that_fails_leaves_no_stream_open(client: Any) -> None:
    def fail(ctx: RESTContext) -> None:
        raise LookupError

    after(client, fail)
    for _ in range(3):
        with pytest.raises(LookupError):
            async with client.stream("GET", "/chunks", params={"count": "100000"}):
                pytest.fail("never reached")
    await assert_usable(client)


async def test_retried_streams_are_closed(client: Any) -> None:
    api = RESTConnector(client)

    @api.intercept
    async def thrice(ctx: RESTContext, next: Any) -> Any:
        await next()
        await next()
        return await next()

    async with client.stream("GET", "/chunks", params={"count": "100000"}) as response:
        assert len([c for c in client._transport._pool.connections if not c.is_idle()]) == 1
        assert await anext(response.aiter_lines()) == "line 0"
    await assert_usable(client)
