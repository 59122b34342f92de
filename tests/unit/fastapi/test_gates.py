"""Gates: whatever others put around a handler, and whenever they do, each request runs the layers once, or is refused."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket, routing
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from interceptors import InterceptorRegistry, InvocationContext, Next, UnreachedInterceptorError
from interceptors.fastapi import controller, get, install, websocket
from interceptors.fastapi.found_routes import found_routes
from tests.unit.fastapi.serving import client_of, registry_of


async def coroutine(number: int) -> list[int]:
    return [number]


def in_a_thread(number: int) -> list[int]:
    return [number]


async def items(number: int) -> AsyncIterator[int]:
    yield number


def raw(number: int) -> Iterator[str]:
    yield f"[{number}]"


async def talk(socket: WebSocket, number: int) -> None:
    await socket.accept()
    await socket.send_json([number])
    await socket.close()


class Handler:
    async def __call__(self, number: int) -> list[int]:
        return [number]


@controller(prefix="/method")
class Methods:
    @get("/coroutine")
    async def coroutine(self, number: int) -> list[int]:
        return [number]

    @get("/def")
    def in_a_thread(self, number: int) -> list[int]:
        return [number]

    @get("/items")
    async def items(self, number: int) -> AsyncIterator[int]:
        yield number

    @get("/raw", response_class=StreamingResponse)
    def raw(self, number: int) -> Iterator[str]:
        yield f"[{number}]"

    @websocket("/talk")
    async def talk(self, socket: WebSocket, number: int) -> None:
        await talk(socket, number)


FUNCTIONS = ("coroutine", "object", "def", "items", "raw", "talk")
PATHS = [
    *(f"/{name}" for name in FUNCTIONS),
    *(f"/router/{name}" for name in FUNCTIONS),
    *(f"/method/{name}" for name in FUNCTIONS if name != "object"),
]


def declare(router: Any) -> None:
    router.get("/coroutine")(coroutine)
    router.get("/object")(Handler())
    router.get("/def")(in_a_thread)
    router.get("/items")(items)
    router.get("/raw", response_class=StreamingResponse)(raw)
    router.websocket("/talk")(talk)


def application(ran: list[tuple[str, str]]) -> FastAPI:
    async def layer(ctx: InvocationContext, next: Next) -> Any:
        result = await next()
        ran.append((str(ctx.source), type(result).__name__))
        return result

    app, router = FastAPI(), APIRouter()
    install(app, registry_of(layer), controllers=[Methods])
    declare(app)
    declare(router)
    app.include_router(router, prefix="/router")
    return app


def said(client: TestClient, path: str) -> str:
    if path.endswith("/talk"):
        with client.websocket_connect(f"{path}?number=5") as socket:
            return str(socket.receive_json())
    answer = client.get(f"{path}?number=5")
    assert answer.status_code == 200
    return answer.text


def once(path: str) -> tuple[str, str]:
    """What the layer notes: where it ran, and what `next` gave."""
    given = {"items": "async_generator", "raw": "generator", "talk": "NoneType"}.get(path.rpartition("/")[2], "list")
    return f"route {'WEBSOCKET' if path.endswith('/talk') else 'GET'} {path}", given


def dependant_of(app: FastAPI, path: str) -> Any:
    """What a library finds that looks for the function which FastAPI calls."""
    [picture] = [found.picture for found in found_routes(app.routes) if found.path == path]
    return picture.dependant


def hiding(call: Any) -> Any:
    """What a library puts around a handler without `functools.wraps`: nobody can see what it calls."""

    async def hidden(**values: Any) -> Any:
        result = call(**values)
        return await result if inspect.isawaitable(result) else result

    return hidden


@pytest.mark.parametrize("path", PATHS)
def test_what_is_put_around_a_door_may_be_taken_away_again(path: str) -> None:
    """As instrumentation does on a running application; once, twice, and not at all: the layers run once each time."""
    ran: list[tuple[str, str]] = []
    app = application(ran)
    with client_of(app) as client:
        expected = said(client, path)
        dependant = dependant_of(app, path)
        first = dependant.call
        dependant.call = hiding(first)
        assert said(client, path) == expected
        second = dependant.call
        dependant.call = hiding(second)
        assert said(client, path) == expected
        for call in (second, first):
            dependant.call = call
            assert said(client, path) == expected
    assert ran == [once(path)] * 5


async def asked(app: FastAPI, path: str) -> None:
    """A request that somebody makes within another one."""
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"number=0", "headers": []}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None: ...

    await app(scope, receive, send)


@pytest.mark.parametrize("path", ["/again", "/coroutine"])
@pytest.mark.parametrize("how", ["a request", "a call"])
def test_what_a_handler_asks_a_door_for_runs_the_layers(path: str, how: str) -> None:
    """The very route's door, and another one's: neither takes the handler for a door of its own around it."""
    ran: list[tuple[str, str]] = []
    app = application(ran)

    @app.get("/again")
    async def again(number: int) -> list[int]:
        if number:
            dependant.call = door
            await (asked(app, path) if how == "a request" else door(number=0))
        return [number]

    with client_of(app) as client:
        dependant = dependant_of(app, path)
        client.get(f"{path}?number=0")
        door = dependant.call
        dependant.call = hiding(door)
        client.get(f"{path}?number=0")
        if how == "a call":
            dependant.call = door
        ran.clear()
        assert said(client, "/again") == "[5]"
    assert ran == [once(path if how == "a request" else "/again"), once("/again")]  # a call is of the caller's request


@pytest.mark.parametrize("path", ["/method/coroutine", "/method/def", "/coroutine", "/object", "/def", "/talk"])
def test_what_hides_a_handler_before_the_start_is_inside_of_the_layers_or_around_them(path: str) -> None:
    """A method's endpoint runs them by itself, so that there they run inside; once in any case."""
    ran: list[tuple[str, str]] = []
    app = application(ran)
    dependant = dependant_of(app, path)
    dependant.call = hiding(dependant.call)
    with client_of(app) as client:
        assert said(client, path) == "[5]"
    assert ran == [once(path)]


def dropping(door: Any) -> Any:
    """What a library puts around a handler that gives it what it declares, and nothing else."""

    @functools.wraps(door)
    async def call(*, number: int, **others: Any) -> Any:
        return await door(number=number)

    return call


def test_a_door_that_is_not_given_the_request_runs_the_layers_without_it() -> None:
    """They have no request and no response then; what the handler gives and raises goes the same way."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx.request, ctx.response, ctx.args["number"]))
        return await next()

    app = FastAPI()
    install(app, registry_of(look))

    @app.get("/")
    async def handler(number: int) -> list[int]:
        return [10 // number]

    with client_of(app) as client:
        dependant = dependant_of(app, "/")
        dependant.call = dropping(dependant.call)
        assert client.get("/?number=2").json() == [5]
        with pytest.raises(ZeroDivisionError):
            client.get("/?number=0")
    assert seen == [(None, None, 2), (None, None, 0)]


class Around(APIRoute):
    """Puts something of the same kind around the call that FastAPI makes."""

    def get_route_handler(self) -> Any:
        call: Any = self.dependant.call
        self.dependant.call = hiding(call) if inspect.iscoroutinefunction(call) else functools.partial(call)
        return super().get_route_handler()


class ByItself(APIRoute):
    """Keeps the call, and makes it by itself."""

    def get_route_handler(self) -> Any:
        call = self.dependant.call

        async def handler(request: Any) -> Any:
            return JSONResponse(await hiding(call)(number=int(request.query_params["number"])))

        return handler


@pytest.mark.parametrize("route_class", [Around, ByItself])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_route_class_may_make_the_call_of_a_def_in_its_own_way(route_class: type[APIRoute], when: str) -> None:
    """Whatever it does with what it finds in the place of the handler, that leads through the layers, once."""
    ran: list[str] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ran.append(ctx.target_name)
        return await next()

    app = FastAPI()
    app.router.route_class = route_class
    if when == "before":
        app.get("/")(in_a_thread)
    install(app, registry_of(layer))
    if when == "after":
        app.get("/")(in_a_thread)
    with client_of(app) as client:
        assert said(client, "/") == "[5]"
    assert ran == ["in_a_thread"]


@pytest.mark.parametrize("place", ["application", "included", "copied"])
@pytest.mark.parametrize("handler", [in_a_thread, coroutine])
@pytest.mark.parametrize(("kinds", "when"), [("def", "before"), ("def", "after"), ("all", "before"), ("all", "after")])
def test_what_is_put_around_a_call_when_its_handler_is_made_runs_once(
    kinds: str, when: str, handler: Any, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sentry-sdk does with a `def`: it has to see the call itself, and no `async def` that stands in for it."""
    make, ran = routing.get_request_handler, list[str]()

    def making(*, dependant: Any, **options: Any) -> Any:
        call = dependant.call
        if not inspect.iscoroutinefunction(call):

            @functools.wraps(call)
            def wrapper(**values: Any) -> Any:
                ran.append("library")
                return call(**values)

            dependant.call = wrapper
        elif kinds == "all":

            @functools.wraps(call)
            async def awaiting(**values: Any) -> Any:
                ran.append("library")
                return await call(**values)

            dependant.call = awaiting
        return make(dependant=dependant, **options)

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ran.append("layer")
        return await next()

    monkeypatch.setattr(routing, "get_request_handler", making)
    app, router = FastAPI(), APIRouter()
    if when == "after":
        install(app, registry_of(layer))
    (router if place == "included" else app).get("/x")(handler)
    if place == "copied":
        copied(app)
    app.include_router(router)
    if when == "before":
        install(app, registry_of(layer))
    with client_of(app) as client:
        for _ in range(3):
            ran.clear()  # at first FastAPI has perhaps been probed
            assert said(client, "/x") == "[5]"
            assert ran == ["layer", *["library"] * (kinds == "all" or handler is in_a_thread)]


# -- around the application of a route ---------------------------------------------------------------------------------


class Wrapper:
    def __init__(self, app: Any) -> None:
        self.inner = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.inner(scope, receive, send)


class Opaque:
    """Shows nothing of what it serves with."""

    __slots__ = ("_serve",)

    def __init__(self, app: Any) -> None:
        self._serve = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._serve(scope, receive, send)


async def serve_with(inner: Any, scope: Any, receive: Any, send: Any) -> None:
    await inner(scope, receive, send)


def closure(app: Any) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        with suppress(NameError):
            unset()
        await app(scope, receive, send)

    if app is None:
        unset = serve
    return serve


def replaced(change: Callable[[Any], Any]) -> Callable[[FastAPI], None]:
    def replace(app: FastAPI) -> None:
        route: Any = app.routes[-1]
        route.app = change(route.app)

    return replace


def copied(app: FastAPI) -> None:
    """Its application is that of the first one, which calls what that one is told."""
    route: Any = app.routes[-1]
    route.dependency_overrides_provider = None  # the application, which cannot be copied
    app.router.routes[-1] = deepcopy(route)


SEEN: dict[str, Callable[[FastAPI], None]] = {
    "a closure with an unset variable": replaced(closure),
    "a partial": replaced(lambda app: functools.partial(serve_with, app)),
    "a bound method": replaced(lambda app: Wrapper(app).__call__),
    "an object": replaced(Wrapper),
    "a copy": copied,
}


@pytest.mark.parametrize("kind", SEEN)
def test_a_route_whose_application_was_changed_before_install_is_intercepted(kind: str) -> None:
    """Where it can be seen what it serves with, or made anew."""
    ran: list[str] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ran.append(str(ctx.source))
        return await next()

    app = FastAPI()
    app.get("/coroutine")(coroutine)
    SEEN[kind](app)
    install(app, registry_of(layer))
    with client_of(app) as client:
        assert said(client, "/coroutine") == "[5]"
    assert ran == ["route GET /coroutine"]


@pytest.mark.parametrize("handler", [coroutine, in_a_thread])
def test_a_route_that_cannot_be_intercepted_any_more_stops_the_start(handler: Any) -> None:
    """What is around its application shows nothing, and what somebody has put there is not taken away."""
    app = FastAPI()
    app.get("/")(handler)
    replaced(Opaque)(app)
    install(app, InterceptorRegistry())
    text = rf"^GET / \({handler.__name__}, .*cannot be intercepted any more: .*\(Opaque, .*Call install\(app, registry\) before"
    with pytest.raises(UnreachedInterceptorError, match=text) as caught, client_of(app):
        pass
    assert caught.value.endpoint is handler
