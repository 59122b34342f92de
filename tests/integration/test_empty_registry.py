"""An empty registry changes nothing: kinds of handlers x ways to register them x options of their routes.

Each row is served by plain FastAPI, and with `install(app, InterceptorRegistry())` before and after its functions are
declared. All that a client, OpenAPI and a reader of the routes see is the same.
"""

import asyncio
import dataclasses
import functools
import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache, partial, update_wrapper, wraps
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    HTTPException,
    Query,
    Request,
    Response,
    WebSocket,
    routing,
)
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import EventSourceResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection

from interceptors import InterceptorRegistry
from interceptors.fastapi import install
from tests.integration.support import ask, ask_quietly

# -- kinds of handlers -------------------------------------------------------------------------------------------------


async def coroutine(q: int, z: int = 1) -> int:
    """Documented."""
    return q + z


def function(q: int, z: int = 1) -> int:
    return q + z


async def items(q: int) -> AsyncIterator[int]:
    yield q
    yield q + 1


def plain_items(q: int) -> Iterator[int]:
    yield from (q, q + 1)


async def texts(q: int) -> AsyncIterator[str]:
    yield f"{q} "


class Callables:
    """Every way to be called that a class can have."""

    async def __call__(self, q: int) -> int:
        return q

    async def method(self, q: int) -> int:
        return q

    def plain(self, q: int) -> int:
        return q

    async def stream(self, q: int) -> AsyncIterator[int]:
        yield q

    @classmethod
    async def of_class(cls, q: int) -> int:
        return q

    @staticmethod
    def static(q: int) -> int:
        return q

    part = functools.partialmethod(method)


class Called:
    def __call__(self, q: int) -> int:
        return q


class CalledStream:
    async def __call__(self, q: int) -> AsyncIterator[int]:
        yield q


class View:
    def __init__(self, q: int) -> None:
        self.q = q


class Model(BaseModel):
    q: int


@dataclasses.dataclass
class Data:
    q: int


class Pair(NamedTuple):
    q: int
    z: int = 1


class Timed:
    """A class decorator, as many libraries have one."""

    def __init__(self, function: Any) -> None:
        update_wrapper(self, function)
        self.function = function

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.function(*args, **kwargs)


class TimedPlain(Timed):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return self.function(*args, **kwargs)


class TimedItems(Timed):
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        async for item in self.function(*args, **kwargs):
            yield item


class ToThread(Timed):
    """An object that is marked as a coroutine function, as asgiref's `sync_to_async` gives it."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(self)
        else:
            self._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(self.function, *args, **kwargs)


class OwnSignature:
    def __init__(self) -> None:
        self.__signature__ = inspect.Signature([inspect.Parameter("q", inspect.Parameter.KEYWORD_ONLY, annotation=int)])

    async def __call__(self, **values: Any) -> Any:
        return values


class Forwarding:
    """An object that has everything from another one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __call__(self, q: int) -> int:
        return q


def asynchronous(function: Any) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def passing_on(function: Any) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def raised(status: int) -> Any:
    raise HTTPException(status, {"why": "because"}, {"x-why": "because"})


async def raising(q: int) -> int:
    return raised(400 + q)


def failing(q: int) -> int:
    raise ValueError(q)


async def own_response(q: int, response: Response) -> Response:
    response.headers["x-dropped"] = "FastAPI drops it"
    response.status_code = 299
    return PlainTextResponse(f"{q}", 203, {"x-own": "1"}, background=BackgroundTask(function, 1))


async def injected(q: int, request: Request, response: Response, tasks: BackgroundTasks) -> Any:
    response.headers["x-injected"] = request.headers["host"]
    response.set_cookie("a", "b")
    response.status_code = 298
    tasks.add_task(function, q)
    return q


async def connected(q: int, connection: HTTPConnection) -> Any:
    return [q, connection.url.path]


def depending(q: int, found: Annotated[int, Depends(coroutine)], part: Annotated[list[int], Query()] = []) -> Any:  # noqa: B006
    return [q, found, part]


EVENTS = {"response_class": EventSourceResponse}
RAW = {"response_class": StreamingResponse}
UNTYPED: dict[str, Any] = {"response_model": None}

KINDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "async def": (lambda: coroutine, {}),
    "def": (lambda: function, {}),
    "lambda": (lambda: lambda q: [q], {}),
    "partial": (lambda: partial(coroutine, z=5), {}),
    "partial of a def": (lambda: partial(function, z=5), {}),
    "partial of a partial": (lambda: partial(partial(coroutine, z=5), z=6), {}),
    "partial of an object": (lambda: partial(Callables()), {}),
    "partial of a class": (lambda: partial(View), UNTYPED),
    "partial of a bound method": (lambda: partial(Callables().method), {}),
    "object": (Callables, {}),
    "object that is a def": (Called, {}),
    "object that streams": (CalledStream, {}),
    "object that forwards": (lambda: Forwarding(Callables()), {}),
    "bound method": (lambda: Callables().method, {}),
    "bound def": (lambda: Callables().plain, {}),
    "bound stream": (lambda: Callables().stream, {}),
    "class method": (lambda: Callables.of_class, {}),
    "static method": (lambda: Callables.static, {}),
    "staticmethod object": (lambda: staticmethod(function), {}),
    "partialmethod": (lambda: Callables().part, {}),
    "class": (lambda: View, UNTYPED),
    "pydantic class": (lambda: Model, {}),
    "dataclass": (lambda: Data, {}),
    "named tuple": (lambda: Pair, {}),
    "class decorator": (lambda: Timed(coroutine), {}),
    "class decorator of a def": (lambda: TimedPlain(function), {}),
    "class decorator of a stream": (lambda: TimedItems(items), UNTYPED),
    "like sync_to_async": (lambda: ToThread(function), {}),
    "__signature__": (OwnSignature, {}),
    "wraps, async over def": (lambda: asynchronous(function), {}),
    "wraps, def over async": (lambda: passing_on(coroutine), {}),
    "wraps, def over a stream": (lambda: passing_on(items), UNTYPED),
    "cache": (lambda: functools.cache(function), {}),
    "singledispatch": (lambda: functools.singledispatch(function), {}),
    "async generator": (lambda: items, {}),
    "generator": (lambda: plain_items, {}),
    "partial of a generator": (lambda: partial(plain_items), {}),
    "events": (lambda: items, EVENTS),
    "events of a def": (lambda: plain_items, EVENTS),
    "raw stream": (lambda: texts, RAW),
    "raising": (lambda: raising, {}),
    "failing": (lambda: failing, {}),
    "response": (lambda: own_response, {}),
    "injected": (lambda: injected, {}),
    "connection": (lambda: connected, {}),
    "depending": (lambda: depending, {}),
}

# -- ways to register them, and options of their routes ----------------------------------------------------------------

Install = Callable[[FastAPI], None]


class OwnRoute(APIRoute):
    """A route class that puts something around its handler."""

    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await handler(request)
            response.headers["x-route-class"] = self.path
            return response

        return handle


def on_the_application(app: FastAPI, handler: Any, **options: Any) -> None:
    app.get("/x", **options)(handler)


def by_add_api_route(app: FastAPI, handler: Any, **options: Any) -> None:
    app.add_api_route("/x", handler, **options)


def with_several_methods(app: FastAPI, handler: Any, **options: Any) -> None:
    app.api_route("/x", methods=["GET", "POST", "DELETE"], **options)(handler)


def on_a_router(app: FastAPI, handler: Any, **options: Any) -> None:
    router = APIRouter()
    router.get("/x", **options)(handler)
    app.include_router(router)


def on_a_nested_router(app: FastAPI, handler: Any, **options: Any) -> None:
    inner, outer = APIRouter(tags=["inner"]), APIRouter(prefix="/outer", dependencies=[Depends(noting)])
    inner.get("/x", **options)(handler)
    outer.include_router(inner, prefix="/inner", responses={409: {"description": "conflict"}})
    app.include_router(outer)


def on_a_router_that_is_included_twice(app: FastAPI, handler: Any, **options: Any) -> None:
    router = APIRouter()
    app.include_router(router)
    router.get("/x", **options)(handler)
    app.include_router(router, prefix="/again", include_in_schema=False, default_response_class=OwnJSON)


def on_a_router_with_a_route_class(app: FastAPI, handler: Any, **options: Any) -> None:
    router = APIRouter(route_class=OwnRoute)
    router.get("/x", **options)(handler)
    app.include_router(router)


def on_a_mounted_application(app: FastAPI, handler: Any, **options: Any) -> None:
    sub = FastAPI()
    sub.get("/x", **options)(handler)
    app.mount("/sub", sub)


WAYS: list[Callable[..., None]] = [
    on_the_application,
    by_add_api_route,
    with_several_methods,
    on_a_router,
    on_a_nested_router,
    on_a_router_that_is_included_twice,
    on_a_router_with_a_route_class,
    on_a_mounted_application,
]


PREFIXES = {
    on_a_nested_router: "/outer/inner",
    on_a_router_that_is_included_twice: "/again",
    on_a_mounted_application: "/sub",
}


class OwnJSON(JSONResponse):
    media_type = "application/vnd.own+json"


def noting(response: Response, tasks: BackgroundTasks) -> None:
    response.headers.append("x-noted", "yes")
    tasks.add_task(function, 1)


OPTIONS: list[dict[str, Any]] = [
    {},
    UNTYPED,
    {"response_model": Any, "response_model_exclude_none": True},
    {"status_code": 202},
    {"dependencies": [Depends(noting)]},
    {"responses": {404: {"model": Model}}, "summary": "a summary", "tags": ["tag"]},
    {"response_class": OwnJSON},
    {"operation_id": "an_id", "deprecated": True, "name": "named"},
    {"include_in_schema": False, "openapi_extra": {"x-extra": 1}},
]

# -- the comparison ----------------------------------------------------------------------------------------------------


def none(app: FastAPI) -> None:
    """Plain FastAPI."""


def empty(app: FastAPI) -> None:
    install(app, InterceptorRegistry())


def built(first: Install, last: Install, fill: Callable[[FastAPI], None]) -> FastAPI:
    app = FastAPI()
    first(app)
    fill(app)
    last(app)
    return app


def shown_by(route: Any) -> dict[str, Any]:
    """The public attributes of a route, less its methods."""
    names = [name for name in dir(route) if not name.startswith("_")]
    found = {name: getattr(route, name) for name in names}
    return {name: value for name, value in found.items() if name == "endpoint" or not callable(value)}


@cache
def comparable() -> set[str]:
    """The attributes that two routes of plain FastAPI have in common; other objects each makes for itself."""
    options: dict[str, Any] = {"response_model": Model, "responses": {404: {"model": Model}}}
    pairs = [
        [shown_by(APIRoute("/x", handler, **given)) for _ in range(2)]
        for handler, given in ((coroutine, options), (items, {}))
    ]
    return {name for one, _ in pairs for name in one if all(a.get(name) == b.get(name) for a, b in pairs)}


def attributes(app: FastAPI) -> list[dict[str, Any]]:
    """Those of all routes, as they were declared and as they are included."""
    routes = [route for route in app.routes if getattr(route, "name", "") not in DOCUMENTATION]
    shown = [{**shown_by(each.original_route), **shown_by(each)} for each in routing.iter_route_contexts(routes)]
    return [{name: value for name, value in each.items() if name in comparable()} for each in shown]


DOCUMENTATION = {"openapi", "swagger_ui_html", "swagger_ui_redirect", "redoc_html"}


async def seen_of(app: FastAPI, prefix: str) -> dict[str, Any]:
    """Everything that somebody sees of an application."""
    seen: dict[str, Any] = {}
    for verb, query in (("GET", "?q=3"), ("GET", "?q=z"), ("POST", "?q=3")):
        answer = await ask_quietly(app, f"{prefix}/x{query}", verb)
        seen[f"{verb} {query}"] = answer.status_code, sorted(answer.headers.multi_items()), answer.content
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen["OpenAPI"] = app.openapi()
    seen["warnings"] = [str(warning.message) for warning in caught]
    return {**seen, "attributes": attributes(app)}


ROWS = [
    pytest.param(*row, id=f"{row[0]}, {row[1].__name__}, {', '.join(row[2]) or 'no options'}")
    for number, kind in enumerate(KINDS)
    for row in ((kind, WAYS[(number + 3 * n) % len(WAYS)], OPTIONS[(number + n) % len(OPTIONS)]) for n in range(2))
]


@pytest.mark.parametrize(("kind", "register", "options"), ROWS)
async def test_an_empty_registry_changes_nothing(kind: str, register: Any, options: dict[str, Any]) -> None:
    """Status, headers and body of what is right and what is wrong, OpenAPI, warnings, attributes of the routes."""
    make, own = KINDS[kind]
    handler, options = make(), {**options, **own}
    plain, early, late = (
        built(first, last, lambda app: register(app, handler, **options))
        for first, last in ((none, none), (empty, none), (none, empty))
    )
    prefix = PREFIXES.get(register, "")
    expected = await seen_of(plain, prefix)
    assert expected["GET ?q=3"][0] != 404
    for app in (early, late):
        assert await seen_of(app, prefix) == expected


# -- WebSockets --------------------------------------------------------------------------------------------------------


async def talk(socket: WebSocket, q: int, z: Annotated[int, Depends(lambda q: q)] = 0) -> None:
    await socket.accept("chat", [(b"x-own", b"1")])
    await socket.send_json([q, z, await socket.receive_text()])
    await socket.close(3001, "bye")


async def by_connection(connection: HTTPConnection, q: int) -> None:
    socket = WebSocket(connection.scope, connection._receive, connection._send)  # type: ignore[attr-defined]
    await talk(socket, q)


async def refusing(socket: WebSocket) -> None:
    raise HTTPException(418)


async def silent(socket: WebSocket) -> None: ...


async def failing_talk(socket: WebSocket) -> None:
    await socket.accept()
    raise ValueError(1)


class Talks:
    async def __call__(self, socket: WebSocket, q: int) -> None:
        await talk(socket, q)

    async def method(self, socket: WebSocket, q: int) -> None:
        await talk(socket, q)


SOCKETS: dict[str, Callable[[], Any]] = {
    "async def": lambda: talk,
    "connection": lambda: by_connection,
    "object": Talks,
    "bound method": lambda: Talks().method,
    "partial": lambda: partial(talk, z=4),
    "partial of a bound method": lambda: partial(Talks().method),
    "class decorator": lambda: Timed(talk),
    "wraps, def over async": lambda: passing_on(talk),
    "refusing": lambda: refusing,
    "silent": lambda: silent,
    "failing": lambda: failing_talk,
}


def on_routers(app: FastAPI, handler: Any) -> None:
    inner, outer = APIRouter(), APIRouter(prefix="/outer", dependencies=[Depends(depending)])
    inner.websocket("/x", name="named")(handler)
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer)


def by_add_api_websocket_route(app: FastAPI, handler: Any) -> None:
    app.add_api_websocket_route("/x", handler, dependencies=[Depends(depending)])


async def conversation(app: FastAPI, path: str, query: bytes) -> list[Any]:
    """What an application says to a client that connects, says one word and waits."""
    said: list[Any] = []
    heard = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    scope = {"type": "websocket", "path": path, "query_string": query, "headers": [], "subprotocols": ["chat"]}

    async def receive() -> Any:
        return heard.pop(0) if heard else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        said.append(message)

    try:
        await app({**scope, "extensions": {"websocket.http.response": {}}}, receive, send)
    except Exception as error:
        said.append(repr(error))
    return said


@pytest.mark.parametrize("register", [on_routers, by_add_api_websocket_route])
@pytest.mark.parametrize("kind", SOCKETS)
async def test_an_empty_registry_changes_no_conversation(kind: str, register: Any) -> None:
    """Everything that is sent, and every error, of a right and of a wrong request to connect.

    But for one: a socket that nobody has accepted is closed, where plain FastAPI lets the client wait.
    """
    handler = SOCKETS[kind]()
    plain, early, late = (
        built(first, last, lambda app: register(app, handler))
        for first, last in ((none, none), (empty, none), (none, empty))
    )
    path = "/outer/inner/x" if register is on_routers else "/x"
    for query in (b"q=3", b"q=z"):
        expected = await conversation(plain, path, query)
        if kind == "silent" and not expected:
            expected = [{"type": "websocket.close", "code": 1008, "reason": ""}]
        for app in (early, late):
            assert await conversation(app, path, query) == expected
    assert attributes(early) == attributes(late) == attributes(plain)


# -- what is told of errors --------------------------------------------------------------------------------------------


class Strict(BaseModel):
    n: int


async def wrong_answer() -> Strict:
    return {"n": "no number"}  # type: ignore[return-value]


def wrong_answer_of_a_thread() -> Strict:
    return {"n": "no number"}  # type: ignore[return-value]


async def wrong_items() -> AsyncIterator[Strict]:
    yield {"n": "no number"}  # type: ignore[misc]


class WrongAnswers:
    async def __call__(self) -> Strict:
        return {"n": "no number"}  # type: ignore[return-value]


@pytest.mark.parametrize(
    "handler",
    [wrong_answer, wrong_answer_of_a_thread, wrong_items, partial(wrong_answer), WrongAnswers()],
    ids=["coroutine", "function", "stream", "partial", "object"],
)
@pytest.mark.parametrize("later", [False, True])
async def test_errors_of_validation_name_the_handler_s_own_place(handler: Any, later: bool) -> None:
    """File, line and name stand in the text of FastAPI's error, which is what somebody has in a log."""
    texts = []
    for is_installed in (False, True):
        app = FastAPI()
        if is_installed and not later:
            install(app, InterceptorRegistry())
        app.get("/x")(handler)
        if is_installed and later:
            install(app, InterceptorRegistry())
        with pytest.raises(ResponseValidationError) as caught:
            await ask(app, "/x")
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert "/x" in texts[0]
