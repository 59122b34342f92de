"""The OpenAPI document is, byte for byte, what plain FastAPI gives for the same signatures."""

import difflib
import json
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from datetime import date
from enum import Enum
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from dependency_injector.wiring import Provide
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
    WebSocket,
)
from fastapi.responses import EventSourceResponse, HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import (
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    SecurityScopes,
)
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from interceptors import InterceptorRegistry, InvocationContext, intercept
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, post, websocket
from tests.integration.cases import VERBS, Case, Table, add_all, comparable, controller_of

CASES = Table()
case = CASES.case


# -- what the handlers are made of -------------------------------------------------------------------------------------


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Tag(Enum):
    SHOP = "shop"
    STOCK = "stock"


class Item(BaseModel):
    """An item of the shop."""

    name: str = Field(min_length=1, examples=["Foo"])
    price: float | None = None
    tags: list[str] = []


class Order(BaseModel):
    """An order."""

    items: list[Item]
    color: Color = Color.RED


class Problem(BaseModel):
    code: str


class Filters(BaseModel):
    model_config = {"extra": "forbid"}

    limit: int = Field(100, gt=0)
    order: Literal["asc", "desc"] = "asc"


class FormData(BaseModel):
    user: str
    password: str


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


oauth2 = OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "Read.", "write": "Write."})
bearer = HTTPBearer(description="A token.")
basic = HTTPBasic()
header_key = APIKeyHeader(name="x-key")
query_key = APIKeyQuery(name="key", auto_error=False)


def common(q: str | None = None, skip: int = 0, limit: Annotated[int, Query(le=100)] = 10) -> dict[str, Any]:
    return {"q": q, "skip": skip, "limit": limit}


async def tenant(x_tenant: Annotated[str, Header()], options: Annotated[dict[str, Any], Depends(common)]) -> str:
    return x_tenant


async def session(cookie: Annotated[str | None, Cookie(alias="session")] = None) -> AsyncIterator[str | None]:
    yield cookie


async def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth2)]) -> str:
    return token


async def admin(name: Annotated[str, Security(user, scopes=["read"])]) -> str:
    return name


class Pagination:
    """A class as a dependency."""

    def __init__(self, page: int = 1, size: Annotated[int, Query(ge=1)] = 20) -> None:
        self.page = page
        self.size = size


def unique_id(route: APIRoute) -> str:
    return f"{'-'.join(sorted(map(str, route.tags)))}:{route.name}"


callbacks = APIRouter()


@callbacks.post("{$callback_url}/paid/{$request.body.id}", response_model=Problem)
async def paid(body: Item) -> None: ...


# -- the table ---------------------------------------------------------------------------------------------------------


@case("get", "/plain")
async def plain():
    """No parameters, no annotation."""


@case("get", "/items/{item_id}")
async def path_parameter(item_id: int) -> Item:
    """A summary line.

    And a description with **markdown**.
    \f
    Not for the public.
    """


@case("get", "/files/{file_path:path}")
def path_convertor(file_path: str, color: Color) -> str: ...


@case("get", "/validated/{n}")
async def validated(
    n: Annotated[int, Path(title="The number", ge=1, le=9)],
    q: Annotated[list[str] | None, Query(alias="q-s", max_length=5, deprecated=True, description="Search.")] = None,
    day: date = date(2026, 1, 2),
) -> list[Item]: ...


@case("get", "/old-style")
async def old_style(q: str = Query("x", min_length=1), h: str | None = Header(None), c: int = Cookie(3)): ...


@case("get", "/hidden")
async def hidden_parameter(seen: int, unseen: Annotated[int, Query(include_in_schema=False)] = 1) -> None: ...


@case("get", "/headers")
async def header_and_cookie(
    user_agent: Annotated[str | None, Header()] = None,
    x_token: Annotated[list[str], Header(convert_underscores=True)] = [],
    session_id: Annotated[str | None, Cookie()] = None,
) -> dict[str, str]: ...


@case("get", "/model-parameters")
async def model_parameters(filters: Annotated[Filters, Query()]) -> Filters: ...


@case("post", "/body", status_code=201)
async def body(item: Item) -> Item: ...


@case("put", "/bodies/{n}")
async def several_bodies(n: int, item: Item, order: Order | None = None, level: Annotated[int, Body(gt=0)] = 1): ...


@case("post", "/embedded")
async def embedded(item: Annotated[Item, Body(embed=True, openapi_examples={"one": {"value": {"name": "n"}}})]): ...


@case("post", "/scalar-body")
async def scalar_body(numbers: list[int], flag: bool = False) -> list[int]: ...


@case("post", "/form")
async def form(name: Annotated[str, Form()], age: Annotated[int, Form(ge=0)] = 0) -> None: ...


@case("post", "/form-model")
async def form_model(data: Annotated[FormData, Form()]) -> None: ...


@case("post", "/files")
async def files(
    one: UploadFile, raw: Annotated[bytes, File()], many: list[UploadFile], note: Annotated[str, Form()]
) -> int: ...


@case("get", "/dependency")
async def dependency(options: Annotated[dict[str, Any], Depends(common)], page: Annotated[Pagination, Depends()]): ...


@case("get", "/nested-dependency/{n}", dependencies=[Depends(session), Depends(tenant)])
async def nested_dependency(n: int, who: Annotated[str, Depends(tenant)], q: int = 0) -> None: ...


@case("get", "/oauth2")
async def security_scopes(name: Annotated[str, Security(admin, scopes=["write"])], q: int = 0) -> str: ...


@case("get", "/bearer", dependencies=[Security(header_key)])
async def security_bearer(
    token: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], key: Annotated[str | None, Security(query_key)]
) -> None: ...


@case("post", "/token")
def password_form(form: Annotated[OAuth2PasswordRequestForm, Depends()], who: Annotated[Any, Depends(basic)]): ...


@case("get", "/response-model", response_model=Page[Item], response_model_exclude={"total"})
async def response_model() -> Any: ...


@case("get", "/no-response-model", response_model=None)
async def no_response_model() -> Item | Response: ...


@case("get", "/union")
async def union_model() -> Item | Order | None: ...


@case("get", "/response-annotation")
async def response_annotation() -> PlainTextResponse: ...


@case("get", "/html", response_class=HTMLResponse, response_description="A page.")
async def response_class() -> str: ...


@case("get", "/redirect", response_class=RedirectResponse, status_code=HTTPStatus.FOUND)
async def redirect() -> str: ...


@case("delete", "/nothing", status_code=204)
async def nothing(n: int) -> None: ...


@case(
    "get",
    "/responses/{n}",
    responses={
        404: {"model": Problem, "description": "There is none."},
        "5XX": {"description": "Our fault."},
        200: {"content": {"image/png": {}}, "description": "Either."},
    },
)
async def responses(n: int) -> Item: ...


@case("post", "/callback", callbacks=callbacks.routes)
async def callback(item: Item, callback_url: str | None = None) -> None: ...


@case("get", "/deprecated", deprecated=True, summary="Short.", description="Long.", name="another name")
async def deprecated_operation() -> None: ...


@case("get", "/operation-id", operation_id="the_one_and_only")
async def operation_id() -> None: ...


@case("get", "/unique-id", generate_unique_id_function=unique_id, tags=["a", "b"])
async def unique_id_function(item: Annotated[str, Query()]) -> Item: ...


@case("post", "/enum-tags", tags=[Tag.SHOP, "other"])
async def enum_tags(order: Order) -> Order: ...


@case("get", "/extra", openapi_extra={"x-rate": 7, "externalDocs": {"url": "http://docs.test"}})
async def openapi_extra() -> None: ...


@case("get", "/unseen", include_in_schema=False)
async def unseen(n: int) -> Order: ...


@case("head", "/head")
async def head_request(n: int) -> None: ...


@case("options", "/options")
def options_request() -> None: ...


@case("patch", "/patch/{n}")
async def patch_request(n: int, changes: dict[str, Any]) -> Item: ...


@case("get", "/special/{n}")
async def special_parameters(
    request: Request, n: int, response: Response, tasks: BackgroundTasks, connection: HTTPConnection
) -> None: ...


@case("get", "/special-optional")
async def special_optional(tasks: BackgroundTasks, request: Request = None, n: int = 1) -> None: ...


@case("get", "/jsonl/{n}")
async def json_lines(n: int, q: str = "x") -> AsyncIterator[Item]:
    """A stream of items."""
    yield Item(name="n")


@case("get", "/jsonl-sync")
def json_lines_sync(limit: Annotated[int, Query(gt=0)] = 3) -> Iterable[Order]:
    yield Order(items=[])


@case("get", "/jsonl-untyped")
async def json_lines_untyped():
    yield 1


@case("post", "/jsonl-body", status_code=202)
async def json_lines_body(item: Item, order: Order) -> AsyncIterable[Order]:
    yield order


@case("post", "/jsonl-one-body")
async def json_lines_one_body(item: Item) -> AsyncIterable[Item]:
    yield item


@case("post", "/jsonl-embedded")
async def json_lines_embedded(item: Annotated[Item, Body(embed=True)]) -> AsyncIterable[Item]:
    yield item


@case("post", "/jsonl-form")
def json_lines_form(name: Annotated[str, Form()], file: UploadFile) -> Iterator[str]:
    yield name


@case("get", "/jsonl-secured/{n}", dependencies=[Depends(tenant)])
async def json_lines_secured(
    n: int, name: Annotated[str, Security(admin, scopes=["write"])], q: int = 0, h: Annotated[str, Header()] = ""
) -> AsyncIterator[str]:
    yield name


@case("get", "/jsonl-dependency/{n}", dependencies=[Depends(session)])
async def json_lines_dependency(
    request: Request, n: int, options: Annotated[dict[str, Any], Depends(common)], last: int, response: Response
) -> AsyncIterator[str]:
    yield ""


@case("get", "/sse", response_class=EventSourceResponse)
async def server_sent_events(n: int = 3) -> AsyncIterable[Item]:
    yield Item(name="n")


@case("post", "/sse-sync", response_class=EventSourceResponse, tags=["sse"])
def server_sent_events_sync(item: Item):
    yield item


@case("get", "/raw", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}})
async def raw_stream(n: int) -> AsyncIterator[bytes]:
    yield b""


@case("get", "/raw-sync", response_class=PlainTextResponse, response_model=None)
def raw_stream_sync(tasks: BackgroundTasks, n: int = 2) -> Iterator[str]:
    yield ""


ROUTERS: dict[str, dict[str, Any]] = {
    "bare": {},
    "prefix": {"prefix": "/shop"},
    "everything": {
        "prefix": "/all/{shop_id}",
        "tags": ["shop", Tag.STOCK],
        "dependencies": [Depends(tenant), Security(header_key)],
        "responses": {404: {"description": "No shop."}, 418: {"model": Problem}},
        "callbacks": callbacks.routes,
        "deprecated": True,
        "default_response_class": PlainTextResponse,
        "generate_unique_id_function": unique_id,
    },
    "unseen": {"prefix": "/unseen", "include_in_schema": False},
    "default response class": {"default_response_class": HTMLResponse, "responses": {"4XX": {"description": "Yours."}}},
}

INCLUSIONS: dict[str, dict[str, Any]] = {
    "bare": {},
    "everything": {
        "prefix": "/v1",
        "tags": ["v1"],
        "dependencies": [Depends(session)],
        "responses": {500: {"model": Problem}},
        "default_response_class": HTMLResponse,
        "callbacks": callbacks.routes,
        "deprecated": True,
        "generate_unique_id_function": unique_id,
    },
}

APPS: dict[str, dict[str, Any]] = {
    "bare": {},
    "everything": {
        "title": "Shop",
        "dependencies": [Depends(common)],
        "responses": {503: {"description": "Closed."}},
        "default_response_class": PlainTextResponse,
        "callbacks": callbacks.routes,
        "generate_unique_id_function": lambda route: f"app-{route.name}",
        "separate_input_output_schemas": False,
        "servers": [{"url": "http://shop.test"}],
    },
    "deprecated": {"deprecated": True},
    "unseen": {"include_in_schema": False},
}


def document(app: FastAPI) -> str:
    """The document as it is sent."""
    with warnings.catch_warnings():  # a callback of a router is one operation for each of its routes
        warnings.filterwarnings("ignore", "Duplicate Operation ID", UserWarning)
        text = json.dumps(app.openapi(), ensure_ascii=False)
    assert '"paths": {' in text
    return text


def same(found: str, expected: str) -> bool:
    """Are they equal, byte for byte? Says where not."""
    if found != expected:
        left, right = (json.dumps(json.loads(text), indent=1).splitlines() for text in (expected, found))
        lines = difflib.unified_diff(left, right, "FastAPI", "ours", n=6, lineterm="")
        pytest.fail("\n".join(list(lines)[:60]), pytrace=False)
    return True


def plain(  # noqa: F811 (a handler of that name is on the table)
    cases: Iterable[Case],
    router: dict[str, Any],
    inclusion: dict[str, Any] | None = None,
    app: dict[str, Any] | None = None,
    **how: bool,
) -> str:
    """What plain FastAPI gives."""
    application, api = FastAPI(**(app or {})), APIRouter(**router)
    add_all(api, cases, **how)
    application.include_router(api, **(inclusion or {}))
    return document(application)


def installed(cases: Iterable[Case], router: dict[str, Any], app: dict[str, Any] | None = None, **how: bool) -> str:
    application = FastAPI(**(app or {}))
    install(application, InterceptorRegistry(), controllers=[controller_of(cases, router, **how)])
    return document(application)


def included(
    cases: Iterable[Case],
    router: dict[str, Any],
    inclusion: dict[str, Any],
    app: dict[str, Any] | None = None,
    **how: bool,
) -> str:
    application = FastAPI(**(app or {}))
    created = create_router(controller_of(cases, router, **how), InterceptorRegistry())
    application.include_router(created, **inclusion)
    return document(application)


def test_the_table_is_long_enough():
    """The table covers every verb, and more signatures than the contract asks for."""
    assert len(CASES) >= 25
    assert {each.verb for each in CASES.values()} == set(VERBS)


@pytest.mark.parametrize("name", CASES)
def test_each_signature(name: str):
    """One handler alone: installed, included, postponed annotations or not: the same document."""
    cases, router, inclusion = [CASES[name]], ROUTERS["everything"], INCLUSIONS["everything"]
    assert same(included(cases, {}, {}), plain(cases, {}))
    assert same(included(cases, router, inclusion), plain(cases, router, inclusion))
    for made in ({}, router) if comparable(cases) else ():
        assert same(installed(cases, made), plain(cases, made))
    assert same(included(cases, router, {}, postponed=True), plain(cases, router, postponed=True))


@cache
def expected(router: str = "bare", inclusion: str = "bare", app: str = "bare") -> str:
    """What plain FastAPI gives for the whole table on one router."""
    return plain(CASES.values(), ROUTERS[router], INCLUSIONS[inclusion], APPS[app])


def _of_each_router(*more: str) -> Iterator[Any]:
    """In the quick run the one with nothing and the one with everything."""
    for router in ROUTERS:
        yield pytest.param(router, *more, marks=() if router in {"bare", "everything"} else pytest.mark.slow)


@pytest.mark.parametrize(
    ("router", "app"),
    [*_of_each_router("bare"), *(("everything", app) for app in APPS if app != "bare")],
)
def test_a_controller_that_is_installed(router: str, app: str):
    """All handlers on one controller, registered on the application itself: the document of an included router."""
    cases = comparable(CASES.values())
    assert same(installed(cases, ROUTERS[router], APPS[app]), plain(cases, ROUTERS[router], app=APPS[app]))


@pytest.mark.parametrize(
    ("router", "inclusion", "app"),
    [
        *_of_each_router("everything", "bare"),
        ("everything", "bare", "bare"),
        *(pytest.param("everything", "everything", app, marks=pytest.mark.slow) for app in APPS if app != "bare"),
    ],
)
def test_a_controller_that_is_included(router: str, inclusion: str, app: str):
    """All handlers on one router, included with everything that an inclusion may add: the same document."""
    found = included(CASES.values(), ROUTERS[router], INCLUSIONS[inclusion], APPS[app])
    assert same(found, expected(router, inclusion, app))


def some_of(app: str) -> list[Case]:
    """All handlers, or every third where only the application's own settings make a difference."""
    return list(CASES.values())[:: 1 if app in {"bare", "everything"} else 3]


@cache
def untouched(app: str, *, postponed: bool) -> str:
    """What plain FastAPI gives for the whole table as functions on the application."""
    application = FastAPI(**APPS[app])
    add_all(application, some_of(app), postponed=postponed)
    return document(application)


@pytest.mark.parametrize(("app", "postponed"), [*((app, False) for app in APPS), ("bare", True)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_functions_on_the_application(when: str, app: str, postponed: bool):
    """Functions declared on the application before and after `install` have the document of an untouched application."""
    application = FastAPI(**APPS[app])
    if when == "after":
        install(application, InterceptorRegistry())
    add_all(application, some_of(app), postponed=postponed)
    if when == "before":
        install(application, InterceptorRegistry())
    assert same(document(application), untouched(app, postponed=postponed))


@pytest.mark.parametrize(("router", "inclusion"), [("bare", "bare"), *_of_each_router("everything")])
def test_functions_on_an_intercepted_router(router: str, inclusion: str):
    """`APIRouter(route_class=intercepted_route(registry))` documents its functions as a plain router does."""
    application = FastAPI()
    api = APIRouter(route_class=intercepted_route(InterceptorRegistry()), **ROUTERS[router])
    add_all(api, CASES.values())
    application.include_router(api, **INCLUSIONS[inclusion])
    assert same(document(application), expected(router, inclusion))


def test_a_router_that_is_included_twice_and_deep():
    """Two inclusions on two levels: ids, tags and paths of each are FastAPI's own."""

    def build(router: APIRouter) -> str:
        middle, app = APIRouter(prefix="/middle", tags=["m"]), FastAPI()
        middle.include_router(router, prefix="/one")
        middle.include_router(router, prefix="/two", tags=["two"])
        app.include_router(middle, prefix="/v1")
        app.include_router(router)
        return document(app)

    some = some_of("twice")
    api = APIRouter(**ROUTERS["prefix"])
    add_all(api, some)
    ours = create_router(controller_of(some, ROUTERS["prefix"]), InterceptorRegistry())
    assert same(build(ours), build(api))


def test_static_and_class_methods():
    """Static and class methods are documented as the functions they are."""
    names = ("several_bodies", "json_lines_secured", "security_scopes", "special_parameters")
    some = comparable(CASES[name] for name in names)

    @controller(**ROUTERS["everything"])
    class C: ...

    for each in some:
        method = staticmethod(each.made())
        setattr(C, each.function.__name__, VERBS[each.verb](each.path, **each.options)(method))
    app = FastAPI()
    install(app, InterceptorRegistry(), controllers=[C])
    assert same(document(app), plain(some, ROUTERS["everything"]))

    @controller(**ROUTERS["everything"])
    class D: ...

    for each in some:
        method = classmethod(each.made(method=True))
        setattr(D, each.function.__name__, VERBS[each.verb](each.path, **each.options)(method))
    assert same(included(some, {}, {}), plain(some, {}))
    app = FastAPI()
    app.include_router(create_router(D, InterceptorRegistry()))
    assert same(document(app), plain(some, ROUTERS["everything"]))


def test_several_routes_of_one_method():
    """Decorators stacked on a method are registered like those stacked on a function: the lower one first."""

    @controller()
    class C:
        @get("/a", tags=["upper"])
        @post("/b", operation_id="middle")
        @get("/c/{n}")
        async def x(self, n: int) -> Item: ...

    router = APIRouter()

    @router.get("/a", tags=["upper"])
    @router.post("/b", operation_id="middle")
    @router.get("/c/{n}")
    async def x(n: int) -> Item: ...

    app, other = FastAPI(), FastAPI()
    install(app, InterceptorRegistry(), controllers=[C])
    other.include_router(router)
    assert same(document(app), document(other))


def test_what_is_injected_is_not_documented():
    """Parameters with markers and special types are nobody's business: the document is the one without them."""

    @controller(prefix="/c")
    class C:
        def __init__(self, shop: Annotated[str, Provide["shop"]]) -> None: ...

        @post("/x/{n}")
        async def x(
            self,
            request: Request,
            one: Annotated[str, Provide["one"]],
            n: int,
            item: Item,
            ctx: InvocationContext,
            maybe: Annotated[str | None, Provide["maybe"]] = None,
            q: int = 1,
            two: str = Provide["two"],
        ) -> Order:
            """The documentation."""

    async def x(n: int, item: Item, q: int = 1) -> Order:
        """The documentation."""

    app, other, router = FastAPI(), FastAPI(), APIRouter(prefix="/c")
    install(app, InterceptorRegistry(), controllers=[C])
    router.post("/x/{n}")(x)
    other.include_router(router)
    assert same(document(app), document(other))


def test_websockets_are_not_documented():
    """A WebSocket method adds nothing to the document."""

    @controller()
    class C:
        @websocket("/ws")
        async def ws(self, socket: WebSocket, n: int) -> None: ...

    app = FastAPI()
    install(app, InterceptorRegistry(), controllers=[C])
    assert same(document(app), document(FastAPI()))


def test_a_document_that_was_asked_for_before_the_installation():
    """Installing does not change a document that is cached already, nor what a new one says."""
    app = FastAPI()
    add_all(app, some_of("cached"))
    before = document(app)
    install(app, InterceptorRegistry())
    assert same(document(app), before)
    app.openapi_schema = None
    assert same(document(app), before)


def test_what_a_handler_may_raise_is_documented_by_responses_alone():
    """Layers that deny add nothing: what the document says of 401 and 403 is what `responses=` says."""

    async def deny(ctx: InvocationContext, next: Any) -> Any:
        raise HTTPException(403)

    @controller()
    @intercept(deny)
    class C:
        @get("/x", responses={403: {"description": "Not you."}})
        async def x(self) -> None: ...

        @get("/y")
        async def y(self) -> None: ...

    app = FastAPI()
    install(app, InterceptorRegistry(), controllers=[C])
    paths = app.openapi()["paths"]
    assert (set(paths["/x"]["get"]["responses"]), set(paths["/y"]["get"]["responses"])) == ({"200", "403"}, {"200"})
