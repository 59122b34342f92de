"""An intercepted application answers every request as plain FastAPI does: status, headers and body.

Each handler of the table is asked the same things, right and wrong, as a method that is installed, as a method that is
included, as a function on the application and as one on an intercepted router.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
)
from fastapi.responses import (
    EventSourceResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel, Field, field_serializer
from starlette.background import BackgroundTask

from interceptors import InterceptorRegistry
from interceptors.fastapi import controller, create_router, install, intercepted_route, post
from tests.integration.cases import Case, Table, add_all, comparable, controller_of
from tests.integration.support import app_with, ask_quietly

CASES = Table()
ASKED: dict[str, list[dict[str, Any]]] = {}


def case(verb: str, path: str, *asked: dict[str, Any] | str, **options: Any) -> Callable[[Any], Any]:
    """Put a handler on the table, with what it is asked; a text is a query or what follows the path."""

    def add(function: Any) -> Any:
        ASKED[function.__name__] = [each if isinstance(each, dict) else {"path": each} for each in asked or ("",)]
        return CASES.case(verb, path, **options)(function)

    return add


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str = Field(min_length=2)
    price: float | None = None
    alias: int = Field(0, alias="otherName")


class Secret(Item):
    password: str = "p"

    @field_serializer("password")
    def hidden(self, value: str) -> str:
        return "*" * len(value)


class Filters(BaseModel):
    model_config = {"extra": "forbid"}

    limit: int = Field(10, gt=0)
    order: Literal["asc", "desc"] = "asc"


class Data(BaseModel):
    user: str
    level: int = 1


class OwnJSON(JSONResponse):
    media_type = "application/vnd.own+json"


bearer = HTTPBearer()
oauth2 = OAuth2PasswordBearer(tokenUrl="token")


async def common(q: str = "q", x_needed: Annotated[int, Header()] = 1) -> list[Any]:
    return [q, x_needed]


def session(response: Response) -> Iterator[str]:
    response.headers["x-session"] = "opened"
    yield "session"


async def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth2)]) -> str:
    if token == "bad":
        raise HTTPException(401, "bad token", {"WWW-Authenticate": f'Bearer scope="{scopes.scope_str}"'})
    return f"{token} {scopes.scope_str}"


# -- the table ---------------------------------------------------------------------------------------------------------


@case("get", "/plain", "", "?unasked=1")
async def plain_handler():
    return {"hello": "world"}


@case("get", "/path/{n}/{color}", "/path/1/red", "/path/x/red", "/path/1/green", "/path/9.5/blue")
async def path_parameters(n: Annotated[int, Path(ge=1, le=9)], color: Color) -> list[Any]:
    return [n, color]


@case("get", "/convertor/{rest:path}", "/convertor/a/b/c", "/convertor/")
def path_convertor(rest: str) -> str:
    return rest


@case("get", "/query", "?q=1&q=2&day=2026-01-02", "?day=yesterday", "?flag=maybe", "?flag=on&q=toolong", "?b=1.5")
async def query_parameters(
    q: Annotated[list[str] | None, Query(max_length=5)] = None,
    day: date = date(2026, 2, 3),
    flag: bool = False,
    b: float | int = 0,
) -> Any:
    return [q, day, flag, b]


@case("get", "/model", "?limit=3&order=desc", "?limit=0", "?other=1")
async def model_parameters(filters: Annotated[Filters, Query()]) -> Filters:
    return filters


@case(
    "get",
    "/headers",
    {"headers": {"x-list": "a", "cookie": "session=s", "user-agent": "me"}},
    {"headers": {"x-number": "no"}},
    {},
)
async def headers_and_cookies(
    x_list: Annotated[list[str] | None, Header()] = None,
    x_number: Annotated[int, Header()] = 1,
    session: Annotated[str | None, Cookie()] = None,
) -> Any:
    return [x_list, x_number, session]


@case(
    "post",
    "/body",
    {"json": {"name": "nn", "otherName": 3}},
    {"json": {"name": "n"}},
    {"json": []},
    {"content": b"{broken", "headers": {"content-type": "application/json"}},
    {"content": b'{"name": "nn"}', "headers": {"content-type": "text/plain"}},
    {"content": b'{"name": "nn"}', "headers": {"content-type": "application/merge-patch+json"}},
    {},
    status_code=201,
)
async def body(item: Item) -> Item:
    return item


@case(
    "put",
    "/bodies/{n}",
    {"path": "/bodies/1", "json": {"item": {"name": "nn"}, "level": 2}},
    {"path": "/bodies/1", "json": {"item": {"name": "nn"}, "level": 0}},
    {"path": "/bodies/x", "json": {"level": 1}},
)
async def several_bodies(n: int, item: Item, other: Item | None = None, level: Annotated[int, Body(gt=0)] = 1) -> Any:
    return [n, item, other, level]


@case("post", "/embed", {"json": {"item": {"name": "nn"}}}, {"json": {"name": "nn"}})
async def embedded(item: Annotated[Item, Body(embed=True)]) -> Any:
    return item


@case("post", "/scalars", {"json": [1, 2]}, {"json": ["x"]}, {"json": None})
async def scalars(numbers: list[int]) -> list[int]:
    return numbers


@case("post", "/raw-body", {"content": b"anything"}, {})
async def raw_body(request: Request) -> Any:
    return (await request.body()).decode()


@case("post", "/form", {"data": {"name": "n", "age": "3"}}, {"data": {"age": "x"}}, {"json": {"name": "n"}}, {})
async def form(name: Annotated[str, Form()], age: Annotated[int, Form(ge=0)] = 0) -> Any:
    return [name, age]


@case("post", "/form-model", {"data": {"user": "u", "level": "2"}}, {"data": {"level": "2"}})
async def form_model(data: Annotated[Data, Form()]) -> Any:
    return data


@case(
    "post",
    "/files",
    {"data": {"note": "n"}, "files": [("one", ("1.txt", b"1")), ("many", ("2.txt", b"2")), ("many", ("3.txt", b"3"))]},
    {"data": {"note": "n"}},
)
async def files(
    one: UploadFile, many: list[UploadFile], note: Annotated[str, Form()], raw: Annotated[bytes | None, File()] = None
) -> Any:
    return [one.filename, [(await each.read()).decode() for each in many], note, raw]


@case("get", "/depends", "?q=x", {"headers": {"x-needed": "no"}}, "", dependencies=[Depends(session)])
async def dependencies(found: Annotated[list[Any], Depends(common)], held: Annotated[str, Depends(session)]) -> Any:
    return [found, held]


@case("get", "/secured", {"headers": {"authorization": "Bearer t"}}, {"headers": {"authorization": "Basic t"}}, {})
async def secured(token: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Any:
    return token.credentials


@case("get", "/scopes", {"headers": {"authorization": "Bearer t"}}, {"headers": {"authorization": "Bearer bad"}}, {})
async def scopes(name: Annotated[str, Security(user, scopes=["read", "write"])]) -> Any:
    return name


@case("get", "/filtered", response_model=Item, response_model_exclude_unset=True, response_model_by_alias=False)
async def filtered() -> Any:
    return Secret(name="nn", password="secret", otherName=4)


@case("get", "/included", response_model_include={"name", "password"})
async def only_some() -> Secret:
    return Secret(name="nn", password="secret")


@case("get", "/no-none", response_model_exclude_none=True, response_model_exclude_defaults=True)
def without_none() -> Item:
    return Item(name="nn")


@case("get", "/union")
async def union() -> Item | list[int] | None:
    return [1, 2]


@case("get", "/invalid")
async def invalid_result() -> Item:
    return {"name": 1}  # type: ignore[return-value]


@case("get", "/unserialisable", response_model=None)
async def unserialisable() -> Any:
    return {"a": {1, 2}, "color": Color.RED, "day": date(2026, 1, 2), "item": Item(name="nn")}


@case("delete", "/nothing", status_code=204)
async def nothing() -> None: ...


@case("get", "/html", response_class=HTMLResponse, status_code=203)
async def html() -> str:
    return "<p>"


@case("get", "/redirect", response_class=RedirectResponse)
async def redirect() -> str:
    return "/elsewhere"


@case("get", "/response", "?status=418", "")
async def own_response(status: int = 200) -> Response:
    return PlainTextResponse("own", status, {"x-own": "1"})


@case("get", "/injected")
async def injected(response: Response, tasks: BackgroundTasks) -> Any:
    response.headers["x-injected"] = "1"
    response.set_cookie("a", "b")
    response.status_code = 299
    tasks.add_task(len, "")
    return [1]


@case("get", "/raises", "?status=404", "?status=503", "?status=500")
async def raises(status: int) -> None:
    raise HTTPException(status, {"why": "because"}, {"x-why": "because"})


@case("get", "/fails")
def fails() -> None:
    raise ValueError("broken")


@case("head", "/head", "?n=1", "?n=x")
async def head_request(n: int) -> Response:
    return Response(headers={"x-n": str(n)})


@case("options", "/options")
def options_request() -> Response:
    return Response(headers={"allow": "OPTIONS"})


@case("patch", "/patch/{n}", {"path": "/patch/1", "json": {"a": [1]}}, {"path": "/patch/1", "json": 3})
async def patch_request(n: int, changes: dict[str, Any]) -> Any:
    return [n, changes]


@case("get", "/jsonl/{n}", "/jsonl/2", "/jsonl/x", "/jsonl/0", status_code=201)
async def json_lines(n: int, response: Response) -> AsyncIterator[Item]:
    for number in range(n):
        yield Secret(name=f"item {number}")


@case("get", "/jsonl-sync", "?n=2", "", dependencies=[Depends(session)])
def json_lines_sync(n: int, held: Annotated[str, Depends(session)]) -> Iterator[Any]:
    yield from range(n)


@case("post", "/jsonl-body", {"json": {"name": "nn"}}, {"json": {"name": "n"}}, {})
async def json_lines_body(item: Item) -> AsyncIterator[Any]:
    yield item
    yield item.name


@case("post", "/jsonl-form", {"data": {"name": "n"}}, {})
async def json_lines_form(name: Annotated[str, Form()]) -> AsyncIterator[Any]:
    yield name


@case("get", "/jsonl-secured", {"headers": {"authorization": "Bearer t"}}, {})
async def json_lines_secured(name: Annotated[str, Security(user, scopes=["read"])]) -> AsyncIterator[Any]:
    yield name


@case("get", "/sse", "?n=2", "?n=x", response_class=EventSourceResponse)
async def server_sent_events(n: int = 1) -> AsyncIterator[Item]:
    for number in range(n):
        yield Item(name=f"item {number}")


@case("get", "/sse-sync", "?n=2", response_class=EventSourceResponse, status_code=206)
def server_sent_events_sync(n: int = 1):
    yield from range(n)


@case("get", "/raw", "?n=3", "?n=x", response_class=StreamingResponse)
async def raw_stream(n: int) -> AsyncIterator[bytes]:
    for number in range(n):
        yield b"%d " % number


@case("get", "/raw-sync", "?n=3", response_class=StreamingResponse, dependencies=[Depends(session)])
def raw_stream_sync(n: int) -> Iterator[str]:
    for number in range(n):
        yield f"{number} "


@case("get", "/task")
async def own_task() -> Any:
    return JSONResponse([1], background=BackgroundTask(len, ""))


# -- the comparison ----------------------------------------------------------------------------------------------------


ROUTERS: dict[str, dict[str, Any]] = {
    "bare": {},
    "everything": {
        "prefix": "/p",
        "dependencies": [Depends(common)],
        "default_response_class": OwnJSON,
    },
}


def untouched(cases: list[Case], router: dict[str, Any]) -> FastAPI:
    app, api = FastAPI(), APIRouter(**router)
    add_all(api, cases)
    app.include_router(api)
    return app


def installed(cases: list[Case], router: dict[str, Any]) -> FastAPI:
    return app_with(controller_of(cases, router))


def included(cases: list[Case], router: dict[str, Any]) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(controller_of(cases, router), InterceptorRegistry()))
    return app


def routed(cases: list[Case], router: dict[str, Any]) -> FastAPI:
    app, api = FastAPI(), APIRouter(route_class=intercepted_route(InterceptorRegistry()), **router)
    add_all(api, cases)
    app.include_router(api)
    return app


def declared(cases: list[Case], router: dict[str, Any]) -> FastAPI:
    """Functions on the application, before and after; what is a router's is given to the application's own."""
    app = FastAPI()
    app.router = APIRouter(dependency_overrides_provider=app, **router)
    add_all(app.router, cases[::2])
    install(app, InterceptorRegistry())
    add_all(app.router, cases[1::2])
    return app


WAYS = {"installed": installed, "included": included, "routed": routed, "declared": declared}


async def answer(app: FastAPI, case: Case, prefix: str, asked: dict[str, Any]) -> tuple[Any, ...]:
    """Everything that a client sees."""
    asked = dict(asked)
    path = asked.pop("path", "")
    path = prefix + (path if path.startswith("/") else case.path + path)
    found = await ask_quietly(app, path, case.verb.upper(), follow_redirects=False, **asked)
    return found.status_code, sorted(found.headers.multi_items()), found.content


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("way", WAYS)
async def test_every_answer_is_fastapis(way: str, router: str):
    """Status, headers and body of each answer are those of plain FastAPI, for what is right and for what is wrong."""
    cases, options = list(CASES.values()), ROUTERS[router]
    if way in {"installed", "declared"}:
        cases = comparable(cases)
    found, expected = WAYS[way](cases, options), untouched(cases, options)
    prefix = options.get("prefix", "")
    statuses = set()
    for each in cases:
        for asked in ASKED[each.function.__name__]:
            answers = [await answer(app, each, prefix, asked) for app in (found, expected)]
            assert answers[0] == answers[1], (each.function.__name__, asked)
            statuses.add(answers[0][0])
    assert statuses >= {200, 201, 204, 422, 404, 418, 500}


LIMITS: dict[str, dict[str, Any]] = {
    "max_body_size": {"max_body_size": 10},
    "form_limits": {"form_limits": {"max_fields": 1}},
    "strict_content_type": {"strict_content_type": False},
    "redirect_slashes": {"redirect_slashes": False},
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("way", ["installed", "included"])
async def test_limits_of_a_controller(way: str, name: str):
    """Limits and switches of a controller hold as they do for a router, and a route's own win."""
    if name not in inspect.signature(APIRouter).parameters:
        pytest.skip(f"this FastAPI has no {name}")
    cases = [CASES[name] for name in ("body", "form", "raw_body", "scalars")]
    found, expected = WAYS[way](cases, LIMITS[name]), untouched(cases, LIMITS[name])
    asks: list[dict[str, Any]] = [
        {"json": {"name": "a very long name"}},
        {"json": [1]},
        {"content": b'{"name": "nn"}'},
        {"content": b"[1]"},
        {"data": {"name": "n"}},
        {"data": {"name": "n", "age": "1"}},
    ]
    for each in cases:
        for asked in [*asks, *({**ask, "path": f"{each.path}/"} for ask in asks)]:
            answers = [await answer(app, each, "", asked) for app in (found, expected)]
            assert answers[0] == answers[1], (each.function.__name__, asked)


@pytest.mark.skipif("max_body_size" not in inspect.signature(APIRouter).parameters, reason="this FastAPI has no limits")
async def test_limits_of_a_route():
    """A limit of one method holds for it alone, and counts before its controller's."""

    @controller(max_body_size=3)
    class C:
        @post("/small")
        async def small(self, request: Request) -> int:
            return len(await request.body())

        @post("/large", max_body_size=100)
        async def large(self, request: Request) -> int:
            return len(await request.body())

    other = FastAPI()
    other.include_router(create_router(C, InterceptorRegistry()))
    for app in (app_with(C), other):
        statuses = [
            (await ask_quietly(app, path, "POST", content=b"x" * 50)).status_code for path in ("/small", "/large")
        ]
        assert statuses == [413, 200]
