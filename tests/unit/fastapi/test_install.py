"""`install`: a registry on an application, its controllers and functions; every decorated route has to be reached."""

import functools
import re
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Response, WebSocket
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from interceptors import (
    AlreadyInstalledError,
    InterceptorRegistry,
    InvocationContext,
    Next,
    UnknownKeyError,
    UnreachedInterceptorError,
    UnreachedRouteWarning,
    intercept,
    skip_interceptors,
)
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, websocket
from tests.unit.fastapi.serving import app_of, client_of, registry_of
from tests.unit.helpers import passing, place, recording


async def tag(ctx: InvocationContext, next: Next) -> Any:
    return f"tagged {await next()}"


def given(registry: InterceptorRegistry, *controllers: type, routers: bool = True) -> FastAPI:
    app = FastAPI()
    install(app, registry, controllers=controllers, routers=routers)
    return app


@controller(prefix="/shown")
class Shown:
    @get("/")
    async def show(self) -> str:
        return "shown"


# -- installing --------------------------------------------------------------------------------------------------------


def test_controllers_stand_directly_on_the_application() -> None:
    """FastAPI matches the routes of an included router twice."""
    app = given(registry_of(tag), Shown)

    assert [route.path for route in app.routes if isinstance(route, APIRoute)] == ["/shown/"]
    assert client_of(app).get("/shown/").json() == "tagged shown"


def test_functions_of_the_application_are_intercepted_before_and_after() -> None:
    """Whenever they are declared; a route that is known already stays the same object."""
    app = FastAPI()

    @app.get("/before")
    async def before() -> str:
        return "before"

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    known = app.routes[-2]
    install(app, registry_of(tag))

    @app.get("/after")
    async def after() -> str:
        return "after"

    client = client_of(app)

    assert [client.get(f"/{name}").json() for name in ("before", "plain", "after")] == [
        "tagged before",
        "tagged plain",
        "tagged after",
    ]
    assert known in app.routes


def test_functions_declared_before_keep_their_options() -> None:
    """Status, tags, models, classes, ids ...: the OpenAPI document is that of plain FastAPI, streams included."""

    def declare(app: FastAPI) -> None:
        @app.post("/a", status_code=201, tags=["a"], responses={404: {"description": "none"}}, deprecated=True)
        async def a(q: int = 1) -> dict[str, int]: ...

        @app.get("/b", response_model=None, response_class=PlainTextResponse, operation_id="idB")
        def b() -> Any: ...

        @app.get("/c")
        async def c() -> AsyncIterator[int]:
            yield 1

        @app.get("/d", response_model=dict[str, int])
        async def d() -> Any: ...

    plain, mine = FastAPI(), FastAPI()
    declare(plain)
    declare(mine)
    install(mine, registry_of(passing))

    assert mine.openapi() == plain.openapi()
    assert client_of(mine).get("/c").text == client_of(plain).get("/c").text


def test_installing_again_adds_controllers_only() -> None:
    """The same registry may be installed several times."""
    registry = registry_of(tag)
    app = given(registry)
    install(app, registry, controllers=[Shown])
    install(app, registry)

    assert client_of(app).get("/shown/").json() == "tagged shown"
    assert app.state.interceptors is registry


def test_another_registry_is_an_error() -> None:
    """An application has one; the message names the application and says what to do."""
    app = FastAPI(title="Shop")
    install(app, InterceptorRegistry())
    text = (
        "The application 'Shop' has another InterceptorRegistry; install one, and give it the controllers and global "
        "interceptors of both."
    )
    with pytest.raises(AlreadyInstalledError, match=f"^{re.escape(text)}$"):
        install(app, InterceptorRegistry(), controllers=[Shown])


# -- a controller's options --------------------------------------------------------------------------------------------


def unique_id(route: APIRoute) -> str:
    return f"id of {route.name}"


def note(name: str) -> Any:
    def dependency(response: Response) -> None:
        response.headers.append("x-dependency", name)

    return Depends(dependency)


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "none": ({}, {}),
    "lists": (
        {"tags": ["router"], "dependencies": [note("router")], "callbacks": []},
        {"tags": ["route"], "dependencies": [note("route")]},
    ),
    "lists of the router": ({"tags": ["router"], "dependencies": [note("router")]}, {}),
    "mappings": (
        {"responses": {404: {"description": "router"}, 409: {"description": "router"}}},
        {"responses": {404: {"description": "route"}}},
    ),
    "limits": ({"form_limits": {"max_files": 1}, "max_body_size": 1000}, {"form_limits": {"max_fields": 2}}),
    "flags": ({"deprecated": True, "include_in_schema": True}, {}),
    "flags of the route": ({}, {"deprecated": True}),
    "hidden": ({"include_in_schema": False}, {}),
    "hidden route": ({}, {"include_in_schema": False}),
    "classes": ({"default_response_class": PlainTextResponse, "generate_unique_id_function": unique_id}, {}),
    "class of the route": ({"default_response_class": PlainTextResponse}, {"response_class": JSONResponse}),
    "strict": ({"strict_content_type": False}, {}),
    "routers own": ({"redirect_slashes": False}, {"tags": ["route"]}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_count_as_on_an_included_router(case: str) -> None:
    """Installed directly a controller's routes are what FastAPI makes of its router when it is included."""
    of_router, of_route = OPTIONS[case]

    @controller(prefix="/orders", **of_router)
    class Controller:
        @get("/", **of_route)
        async def show(self) -> str:
            return "shown"

    async def show() -> str:
        return "shown"

    router = APIRouter(prefix="/orders", **of_router)
    router.get("/", **of_route)(show)
    plain = FastAPI()
    plain.include_router(router)
    mine = given(registry_of(passing), Controller)
    included = FastAPI()
    included.include_router(create_router(Controller, registry_of(passing)))

    assert mine.openapi() == included.openapi() == plain.openapi()
    answers = [client_of(app).get("/orders/") for app in (mine, included, plain)]
    assert len({(a.status_code, a.text, str(a.headers.get_list("x-dependency"))) for a in answers}) == 1
    assert len({answer.headers["content-type"] for answer in answers}) == 1


def test_a_controller_with_a_lifespan_of_its_own_is_included_as_a_router() -> None:
    """What only a router can do is left to one."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    @controller(lifespan=lifespan)
    class Controller:
        @get("/")
        async def show(self) -> str:
            return "shown"

    with client_of(given(registry_of(tag), Controller)) as client:
        assert client.get("/").json() == "tagged shown"
    assert events == ["up", "down"]


def test_websocket_options_reach_the_route() -> None:
    """Dependencies of the controller and of the method, and the name."""
    ran: list[str] = []

    def noting(name: str) -> Any:
        def dependency() -> None:
            ran.append(name)

        return Depends(dependency)

    @controller(prefix="/talk", dependencies=[noting("controller")])
    class Controller:
        @websocket("/ws", name="named", dependencies=[noting("method")])
        async def talk(self, socket: WebSocket) -> None:
            await socket.accept()

    app = given(InterceptorRegistry(), Controller)
    with client_of(app).websocket_connect("/talk/ws"):
        pass

    assert ran == ["controller", "method"]
    assert app.url_path_for("named") == "/talk/ws"


# -- reaching ----------------------------------------------------------------------------------------------------------


async def decorated() -> None: ...


intercept(passing)(decorated)


def start(app: FastAPI) -> None:
    with client_of(app):
        pass


def test_a_decorated_function_that_routers_false_leaves_out_is_an_error() -> None:
    """Not a silent no-op: the message has the function, its place, the route, and three ways out."""
    router = APIRouter(prefix="/v1")
    router.add_api_route("/x", decorated, methods=["GET", "POST"])
    app = given(InterceptorRegistry(), routers=False)
    app.include_router(router, prefix="/api")
    text = (
        f"decorated ({place(decorated)}) is decorated with @intercept, and that is never reached: GET, POST /api/v1/x, "
        "and no chain runs there. Call install(app, registry) on its application, make the router with "
        "`route_class=intercepted_route(registry)`, or make it a method of a controller."
    )
    with pytest.raises(UnreachedInterceptorError, match=f"^{re.escape(text)}$") as caught:
        start(app)
    assert caught.value.endpoint is decorated


def test_a_decorated_websocket_function_of_a_router_is_reached_or_an_error() -> None:
    """Reached where routers are; on the application in any case."""
    events: list[str] = []

    async def talk(socket: WebSocket) -> None:
        events.append("talks")
        await socket.accept()
        await socket.close()

    intercept(recording("layer", events))(talk)
    for routers, own in ((True, False), (True, True), (False, True)):
        app, router = given(InterceptorRegistry(), routers=routers), APIRouter()
        (app if own else router).websocket("/ws")(talk)
        app.include_router(router)
        with client_of(app) as client, client.websocket_connect("/ws"):
            pass
        assert events == [">layer", "talks", "<layer"]
        events.clear()
    app, router = given(InterceptorRegistry(), routers=False), APIRouter()
    router.websocket("/ws")(talk)
    app.include_router(router)
    with pytest.raises(UnreachedInterceptorError, match="WEBSOCKET /ws, and no chain runs there"):
        start(app)


def test_the_order_of_decorators_does_not_matter_for_the_check() -> None:
    """A function decorated after it was put on a plain router is found as well."""
    router = APIRouter()

    @intercept(passing)
    @router.get("/")
    async def show() -> None: ...

    app = given(InterceptorRegistry(), routers=False)
    app.include_router(router)
    with pytest.raises(UnreachedInterceptorError):
        start(app)


def handlers() -> dict[str, Any]:
    """Decorated handlers of every kind that FastAPI takes."""

    @intercept(passing)
    class OfClass:
        async def __call__(self) -> None: ...

        async def method(self) -> None: ...

        @classmethod
        async def of_class(cls) -> None: ...

    class OnMethod:
        @intercept(passing)
        async def __call__(self) -> None: ...

        @intercept(passing)
        async def method(self) -> None: ...

    class Override(OnMethod):
        async def method(self) -> None: ...

    @functools.wraps(decorated)
    async def wrapped() -> None: ...

    return {
        "object of a decorated class": OfClass(),
        "method of a decorated class": OfClass().method,
        "class method of a decorated class": OfClass.of_class,
        "decorated call": OnMethod(),
        "decorated method": OnMethod().method,
        "override of a decorated method": Override().method,
        "wrapped": wrapped,
    }


@pytest.mark.parametrize("kind", handlers())
def test_decorated_handlers_of_every_kind_have_to_be_reached(kind: str) -> None:
    """Objects, bound and class methods, overrides and wrapped functions, with what their class and base say."""
    router = APIRouter()
    router.add_api_route("/", handlers()[kind])
    app = given(InterceptorRegistry(), routers=False)
    app.include_router(router)
    with pytest.raises(UnreachedInterceptorError):
        start(app)


def test_plain_routes_that_a_global_misses_are_listed_once() -> None:
    """One warning names them all with their places; without such a global nothing is missed."""
    router = APIRouter(prefix="/v1")

    @router.get("/one")
    async def one() -> None: ...

    @router.post("/two")
    def two() -> None: ...

    @router.get("/quiet")
    @skip_interceptors()
    async def quiet() -> None: ...

    @router.websocket("/ws")
    async def talk(socket: WebSocket) -> None: ...

    registry = registry_of(passing)
    app = given(registry, Shown, routers=False)
    app.include_router(router)
    text = (
        "No chain runs around these functions, so no global interceptor reaches them: "
        f"GET /v1/one (one, {place(one)}); POST /v1/two (two, {place(two)}); WEBSOCKET /v1/ws (talk, {place(talk)}). "
        "Declare them on the application or on a router of it, give a mounted application a registry with install(), or "
        "say that it is on purpose with `@skip_interceptors()` on the function."
    )
    with pytest.warns(UnreachedRouteWarning, match=f"^{re.escape(text)}$") as caught:
        start(app)
    assert len(caught) == 1

    other = InterceptorRegistry()
    other.add_global(passing, source="proxy")
    app = given(other, routers=False)
    app.include_router(router)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start(app)


@pytest.mark.parametrize("unreached", ["warn", "error"])
@pytest.mark.parametrize("number", [5, 6, 300])
def test_of_many_five_are_named(number: int, unreached: str) -> None:
    """How many more there are, and the command that lists them all; the warning has every one of them."""
    app, router = FastAPI(), APIRouter()
    install(app, registry_of(passing), routers=False, unreached=unreached)
    for each in range(number):
        router.add_api_route(f"/{each:03}", lambda: None)
    app.include_router(router)
    if unreached == "error":
        with pytest.raises(UnreachedInterceptorError) as raised:
            start(app)
        text, functions = str(raised.value), raised.value.endpoint
    else:
        with pytest.warns(UnreachedRouteWarning) as caught:
            start(app)
        text, functions = str(caught[0].message), caught[0].message.functions  # type: ignore[union-attr]
    assert [f"GET /{each:03} (" in text for each in range(min(number, 8))] == [
        each < 5 for each in range(min(number, 8))
    ]
    assert len(functions) == number
    more = f"; and {number - 5} more (`interceptors check MODULE:APP` lists them all). Declare them"
    assert (more in text) is (number > 5)


def test_on_purpose_is_on_purpose_also_on_a_class() -> None:
    """`@skip_interceptors()` on the class of a handler object says so for its functions."""

    @skip_interceptors()
    class Quiet:
        async def __call__(self) -> None: ...

        async def method(self) -> None: ...

    router = APIRouter()
    router.add_api_route("/object", Quiet())
    router.add_api_route("/method", Quiet().method)
    app = given(registry_of(passing))
    app.include_router(router)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start(app)


def test_routes_that_no_chain_can_run_around_are_told() -> None:
    """Starlette's own routes, which a global misses; the documentation, static files and empty mounts are no concern."""
    app = given(registry_of(passing))
    app.mount("/mounted", FastAPI())
    app.mount("/files", StaticFiles(directory="."))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start(app)
    app = given(registry_of(passing))
    app.router.routes.append(Route("/starlette", lambda request: PlainTextResponse("text")))
    with pytest.warns(UnreachedRouteWarning, match="GET, HEAD /starlette"):
        start(app)
    assert client_of(app).get("/starlette").text == "text"


def test_every_chain_is_compiled_at_start_up() -> None:
    """Of controllers, functions, streams, WebSockets, of included and nested routers."""

    async def function() -> None: ...

    async def stream() -> AsyncIterator[int]:
        yield 1

    def plain_stream() -> Iterator[int]:
        yield 1

    @controller()
    class OfMethod:
        @get("/")
        @intercept("nowhere")
        async def show(self) -> None: ...

    @controller()
    class OfWebSocket:
        @websocket("/")
        @intercept("nowhere")
        async def talk(self) -> None: ...

    def apps() -> Iterator[FastAPI]:
        for cls in (OfMethod, OfWebSocket):
            yield given(InterceptorRegistry(), cls)
        for handler in (function, stream, plain_stream):
            intercept("nowhere")(handler)
            app = given(InterceptorRegistry())
            app.get("/")(handler)
            yield app
        registry = InterceptorRegistry()
        app = given(registry)
        inner, outer = APIRouter(route_class=intercepted_route(registry)), APIRouter()
        inner.get("/")(function)
        outer.include_router(inner, prefix="/inner")
        app.include_router(outer, prefix="/outer")
        yield app

    for app in apps():
        with pytest.raises(UnknownKeyError, match="'nowhere'"):
            start(app)


def test_globals_are_checked_whatever_their_source() -> None:
    """Also where no route uses them."""
    registry = InterceptorRegistry()
    registry.add_global("nowhere", source="proxy")
    with pytest.raises(UnknownKeyError):
        start(given(registry))


def test_an_application_without_anything_starts() -> None:
    """No controllers, no interceptors, no routes."""
    start(app_of())
