"""What is decorated runs its layers or is refused, wherever FastAPI and Starlette call functions: never silently nothing."""

import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security, WebSocket
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute

from interceptors import InterceptorRegistry, InvocationContext, UnreachedInterceptorError, annotate, intercept
from interceptors.fastapi import install
from interceptors.fastapi.found_routes import found_routes
from interceptors.fastapi.problems import find_problems
from tests.integration.support import Next, ask, started


async def deny(ctx: InvocationContext, next: Next) -> Any:
    raise HTTPException(403)


@intercept(deny)
async def secret() -> str:
    return "in"


@intercept(deny)
def secret_def() -> str:
    return "in"


@intercept(deny)
async def secret_answer(request: Any) -> Any:
    return PlainTextResponse("in")


@intercept(deny)
class Secrets:
    """Decorated as a whole."""

    async def method(self) -> str:
        return "in"

    @classmethod
    async def of_class(cls) -> str:
        return "in"


class SecretMethod:
    @intercept(deny)
    async def secret(self) -> str:
        return "in"


class InheritsSecret(SecretMethod):
    async def secret(self) -> str:
        return "in"


class SecretScheme(HTTPBearer):
    @intercept(deny)
    async def __call__(self, request: Any) -> Any:
        return "in"


@intercept(deny)
class SecretTalk:
    async def __call__(self, socket: WebSocket) -> None: ...


class Timed:
    """A class decorator, as many libraries have one."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.function(*args, **kwargs)


def passing_on(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


async def plain() -> str:
    return "plain"


Change = Callable[[FastAPI], Any]


def app_of(change: Change, *, routers: bool = True) -> FastAPI:
    app = FastAPI()
    change(app)
    install(app, InterceptorRegistry(), routers=routers)
    return app


async def refused_at_start(app: FastAPI) -> str:
    with pytest.raises(UnreachedInterceptorError) as caught:
        async with started(app):
            pass
    assert re.search(r"([Ss]ecret|Timed).* is decorated with @intercept, and that is never reached", str(caught.value))
    return str(caught.value)


# -- handlers ----------------------------------------------------------------------------------------------------------

HANDLERS: dict[str, Any] = {
    "partial of a bound method": functools.partial(Secrets().method),
    "partial of a decorated method": functools.partial(SecretMethod().secret),
    "partial of an inherited one": functools.partial(InheritsSecret().secret),
    "partial of a class method": functools.partial(Secrets.of_class),
    "partial of a class decorator": functools.partial(Timed(secret)),
    "class decorator of a bound method": Timed(SecretMethod().secret),
    "class decorator of a class decorator": Timed(Timed(secret)),
    "class decorator of a partial": Timed(functools.partial(secret)),
    "partialmethod": type("Holds", (), {"part": functools.partialmethod(SecretMethod.secret)})().part,
    "wraps over a class decorator": passing_on(Timed(secret)),
}


def on_a_router(handler: Any) -> Change:
    def change(app: FastAPI) -> None:
        router = APIRouter()
        router.add_api_route("/x", handler, response_model=None)
        app.include_router(router)

    return change


@pytest.mark.parametrize("kind", HANDLERS)
async def test_a_decorated_handler_is_intercepted_or_refused(kind: str) -> None:
    """On the application and on routers it denies; where no chain runs on routers it stops the start."""
    handler = HANDLERS[kind]
    for app in (
        app_of(lambda app: app.add_api_route("/x", handler, response_model=None)),
        app_of(on_a_router(handler)),
    ):
        async with started(app) as client:
            assert (await client.get("/x")).status_code == 403
    await refused_at_start(app_of(on_a_router(handler), routers=False))


# -- dependencies, and other functions of an application ---------------------------------------------------------------


def above(found: Annotated[Any, Depends(secret)]) -> Any:
    return found


class Service:
    def __init__(self, found: Annotated[Any, Depends(above)]) -> None:
        self.found = found


@intercept(deny)
class SecretService:
    pass


@intercept(deny)
async def secret_after() -> AsyncIterator[str]:
    yield "in"


DEPENDENCIES: dict[str, Any] = {
    "of a class that is a dependency": Depends(Service),
    "a decorated class": Depends(SecretService),
    "a bound method": Depends(SecretMethod().secret),
    "an overridden method": Depends(InheritsSecret().secret),
    "a partial of a bound method": Depends(functools.partial(Secrets().method)),
    "a class decorator": Depends(Timed(secret)),
    "a security scheme": Security(SecretScheme(), scopes=["a"]),
    "with yield": Depends(secret_after, use_cache=False),
}


def of_a_websocket(app: FastAPI, dependency: Any) -> None:
    async def talk(socket: WebSocket, found: Annotated[Any, dependency]) -> None: ...

    app.add_api_websocket_route("/x", talk)


def of_a_stream(app: FastAPI, dependency: Any) -> None:
    def numbers(found: Annotated[Any, dependency]) -> Iterator[int]:
        yield 1

    app.add_api_route("/x", numbers)


def of_an_outer_inclusion(app: FastAPI, dependency: Any) -> None:
    inner, outer = APIRouter(), APIRouter()
    inner.add_api_route("/x", plain)
    outer.include_router(inner, dependencies=[dependency])
    app.include_router(outer)


def of_a_router_without_routes(app: FastAPI, dependency: Any) -> None:
    outer = APIRouter()
    outer.include_router(APIRouter(dependencies=[dependency]))
    app.include_router(outer)


def of_an_empty_inclusion(app: FastAPI, dependency: Any) -> None:
    app.include_router(APIRouter(), dependencies=[dependency])


def of_a_mounted_application(app: FastAPI, dependency: Any) -> None:
    app.mount("/sub", FastAPI(dependencies=[dependency]))


def of_a_route_in_a_mounted_application(app: FastAPI, dependency: Any) -> None:
    sub = FastAPI()
    sub.add_api_route("/x", plain, dependencies=[dependency])
    app.mount("/sub", GZipMiddleware(sub))


PLACES: list[Callable[[FastAPI, Any], None]] = [
    of_a_websocket,
    of_a_stream,
    of_an_outer_inclusion,
    of_a_router_without_routes,
    of_an_empty_inclusion,
    of_a_mounted_application,
    of_a_route_in_a_mounted_application,
]


@pytest.mark.parametrize(("put", "kind"), [(PLACES[n % len(PLACES)], kind) for n, kind in enumerate(DEPENDENCIES)])
async def test_a_decorated_dependency_stops_the_start(put: Any, kind: str) -> None:
    """FastAPI calls it without a chain; the message says where to put the interceptor instead."""
    said = await refused_at_start(app_of(lambda app: put(app, DEPENDENCIES[kind])))
    assert "dependency" in said
    assert "Put the interceptor on the function of the route" in said


class SecretCall:
    @intercept(deny)
    async def __call__(self) -> str:
        return "in"


PROXIED: dict[str, Any] = {
    "a method": InterceptorRegistry().intercepted(SecretMethod()).secret,
    "a partial of a method": functools.partial(InterceptorRegistry().intercepted(SecretMethod()).secret),
    "an object that is called": InterceptorRegistry().intercepted(SecretCall()),
}


@pytest.mark.parametrize("kind", PROXIED)
async def test_a_dependency_that_runs_its_chain_by_itself_is_no_mistake(kind: str) -> None:
    """What is recorded behind a proxy's method is the proxy's to run."""
    app = app_of(lambda app: app.add_api_route("/x", plain, dependencies=[Depends(PROXIED[kind])]))
    async with started(app) as client:
        assert (await client.get("/x")).status_code == 403


@intercept(deny)
@asynccontextmanager
async def secret_lifespan(app: Any) -> AsyncIterator[None]:
    yield


class SecretMiddleware:
    def __init__(self, app: Any, dispatch: Any = None) -> None:
        self.app = app

    @intercept(deny)
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


@intercept(deny)
def secret_middleware(app: Any) -> Any: ...


@intercept(deny)
def secret_hook() -> None: ...


def overriding() -> FastAPI:
    app = FastAPI()
    app.dependency_overrides[plain] = secret
    return app


def answering_unknown_paths() -> FastAPI:
    app = FastAPI()
    app.router.default = secret_answer
    return app


FUNCTIONS: dict[str, tuple[Callable[[], FastAPI], str]] = {
    "handler of exceptions": (lambda: FastAPI(exception_handlers={418: secret_answer}), "a handler of exceptions"),
    "middleware": (lambda: FastAPI(middleware=[Middleware(SecretMiddleware)]), "a method of middleware (__call__)"),
    "argument of middleware": (
        lambda: FastAPI(middleware=[Middleware(GZipMiddleware, dispatch=secret_answer)]),
        "it is middleware",
    ),
    "function that makes middleware": (lambda: FastAPI(middleware=[Middleware(secret_middleware)]), "it is middleware"),
    "lifespan": (lambda: FastAPI(lifespan=secret_lifespan), "`lifespan_context`"),
    "hook of the start": (lambda: FastAPI(on_startup=[secret_hook]), "called at on_startup"),
    "override": (overriding, "stands for another"),
    "default": (answering_unknown_paths, "`default`"),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_other_functions_of_an_application_are_found(kind: str) -> None:
    """Before it starts, and without `install` as well, which is what `interceptors check` asks."""
    make, where = FUNCTIONS[kind]
    [problem] = find_problems(make(), None)
    assert isinstance(problem, UnreachedInterceptorError)
    assert where in str(problem)


# -- Starlette's routes, and what is mounted ---------------------------------------------------------------------------


class SecretEndpoint(HTTPEndpoint):
    @intercept(deny)
    async def post(self, request: Any) -> Any: ...


class InheritsEndpoint(SecretEndpoint):
    async def get(self, request: Any) -> Any: ...


def sub_application() -> FastAPI:
    sub = FastAPI()
    sub.add_api_route("/x", secret)
    return sub


class Wrapper:
    """Middleware of somebody's own, which names what it wraps as it likes."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.inside(scope, receive, send)


async def serve_with(inside: Any, scope: Any, receive: Any, send: Any) -> None:
    await inside(scope, receive, send)


def mounting(router: APIRouter) -> APIRouter:
    router.mount("/m", GZipMiddleware(sub_application()))
    return router


def including(router: APIRouter) -> APIRouter:
    inner = APIRouter()
    inner.add_api_route("/x", secret)
    router.include_router(inner)
    return router


class Switch(BaseRoute):
    """A route of somebody's own, with public routes."""

    def __init__(self, *routes: Any) -> None:
        self.routes = list(routes)

    def __call__(self) -> None: ...


BELOW: dict[str, Change] = {
    "inherited method of an endpoint class": lambda app: app.add_route("/x", InheritsEndpoint),
    "route with a partial": lambda app: app.add_route("/x", functools.partial(secret_answer)),
    "WebSocket with a function": lambda app: app.router.routes.append(WebSocketRoute("/x", secret_answer)),
    "host": lambda app: app.host("secret.example", sub_application()),
    "mount with middleware": lambda app: app.router.routes.append(
        Mount("/m", routes=[Route("/x", SecretEndpoint)], middleware=[Middleware(GZipMiddleware)])
    ),
    "two wrappers": lambda app: app.mount("/m", CORSMiddleware(Wrapper(sub_application()))),
    "bound method of a wrapper": lambda app: app.mount("/m", Wrapper(sub_application()).__call__),
    "partial": lambda app: app.mount("/m", functools.partial(serve_with, sub_application())),
    "wraps": lambda app: app.mount("/m", passing_on(sub_application())),
    "mount in a mount": lambda app: app.mount("/m", Starlette(routes=[Mount("/n", GZipMiddleware(sub_application()))])),
    "mount in an included router": lambda app: app.include_router(mounting(APIRouter())),
    "router in a mounted router": lambda app: app.mount("/m", including(APIRouter())),
    "router without an application": lambda app: app.mount("/m", Router(routes=[Route("/x", secret_answer)])),
    "route of somebody's own": lambda app: app.router.routes.append(Switch(Route("/x", secret_answer))),
}


@pytest.mark.parametrize("kind", BELOW)
async def test_what_is_decorated_below_other_applications_stops_the_start(kind: str) -> None:
    """Endpoint classes, hosts, mounts, and everything that public attributes of a wrapper lead to."""
    await refused_at_start(app_of(BELOW[kind]))
    bare = FastAPI()
    BELOW[kind](bare)
    assert [type(problem) for problem in find_problems(bare, None)] == [UnreachedInterceptorError]


def test_an_application_without_install_says_what_to_do() -> None:
    """What `interceptors check` finds there: decorated functions of routes, in whatever they are wrapped."""
    app, router = FastAPI(), APIRouter()
    for number, handler in enumerate((secret, secret_def, *HANDLERS.values())):
        app.add_api_route(f"/{number}", handler, response_model=None)
    router.add_api_websocket_route("/socket", SecretTalk())
    app.include_router(router)
    problems = list(find_problems(app, None))
    assert len(problems) == len(HANDLERS) + 3
    assert all("Call install(app, registry)" in str(problem) for problem in problems)


# -- routes that come later --------------------------------------------------------------------------------------------


class World:
    """An application, with the routers and applications that are there when it starts."""

    def __init__(self) -> None:
        self.app, self.mounted = FastAPI(), FastAPI()
        self.router, self.inner, self.below = APIRouter(), APIRouter(), APIRouter()
        outer = APIRouter(prefix="/outer")
        outer.include_router(self.inner)
        self.router.add_api_route("/first", plain)
        self.app.include_router(self.router)
        self.app.include_router(outer)
        self.mounted.include_router(self.below)
        self.app.mount("/sub", self.mounted)
        self.app.add_api_route("/last", plain)


LATE: dict[str, tuple[Callable[[World, Any], Any], str]] = {
    "a new router": (lambda world, handler: on_a_router(handler)(world.app), "/x"),
    "an included router": (lambda world, handler: world.router.add_api_route("/x", handler), "/x"),
    "a nested router": (lambda world, handler: world.inner.add_api_route("/x", handler), "/outer/x"),
    "a new router in an included one": (lambda world, handler: on_a_router(handler)(world.router), "/x"),
    "the list of routes": (lambda world, handler: world.app.routes.insert(0, APIRoute("/x", handler)), "/x"),
    "another route's place": (lambda world, handler: world.app.routes.__setitem__(-1, APIRoute("/x", handler)), "/x"),
    "a mounted application": (lambda world, handler: world.mounted.add_api_route("/x", handler), "/sub/x"),
    "a router of a mounted one": (lambda world, handler: world.below.add_api_route("/x", handler), "/sub/x"),
    "a router in such a router": (lambda world, handler: on_a_router(handler)(world.below), "/sub/x"),
}
OWN = ("the list of routes", "another route's place")


@pytest.mark.parametrize("routers", [True, False])
@pytest.mark.parametrize("way", LATE)
async def test_a_decorated_route_that_comes_later_is_intercepted_or_refused(way: str, routers: bool) -> None:
    """Again and again, and the others go on; a plain one is served, with the globals where they reach."""
    add, path = LATE[way]
    is_reached = way in OWN or (routers and path != "/sub/x")
    for handler in (secret, plain):
        ran: list[str] = []

        async def layer(ctx: InvocationContext, next: Next) -> Any:
            ran.append(str(ctx.source))  # noqa: B023 (called below)
            return await next()

        world, registry = World(), InterceptorRegistry()
        install(world.app, registry, routers=routers)
        async with started(world.app) as client:
            registry.add_global(layer)
            assert (await client.get("/first")).json() == "plain"
            add(world, handler)
            ran.clear()
            for _ in range(2):
                if handler is secret and not is_reached:
                    with pytest.raises(UnreachedInterceptorError, match=r"^secret .* never reached"):
                        await client.get(path)
                else:
                    assert (await client.get(path)).status_code == (403 if handler is secret else 200)
            assert ran == ([f"route GET {path}"] * 2 if is_reached else [])
            assert (await client.get("/first")).json() == "plain"


@pytest.mark.parametrize("routers", [True, False])
async def test_so_is_a_websocket_where_no_lifespan_runs(routers: bool) -> None:
    """The first request checks; later ones look at what has come since."""
    world = World()
    install(world.app, InterceptorRegistry(), routers=routers)
    assert (await ask(world.app, "/first")).json() == "plain"
    world.router.add_api_websocket_route("/x", SecretTalk())
    said: list[str] = []
    scope = {"type": "websocket", "path": "/x", "query_string": b"", "headers": [], "subprotocols": []}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        said.append(message["type"])

    if routers:
        await world.app(scope, receive, send)
        assert said == ["websocket.close"]
    else:
        with pytest.raises(UnreachedInterceptorError):
            await world.app(scope, receive, send)
        assert said == []


async def test_what_comes_later_on_a_plain_router_is_not_told_as_intercepted() -> None:
    """With `routers=False` a look at the routes shows chains on the application's own only, as they are served."""
    world = World()
    install(world.app, InterceptorRegistry(), routers=False)
    async with started(world.app):
        assert intercepted(world.app) == {"/last"}
        for add, _ in LATE.values():
            add(world, plain)
        assert intercepted(world.app) == {"/last"}
        await ask(world.app, "/x")
        assert intercepted(world.app) == {"/last", "/x"}


def intercepted(app: FastAPI) -> set[str]:
    return {found.path for found in found_routes(app.routes) if found.is_reached}


class Auth:
    async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
        raise HTTPException(401)


async def with_auth(auth: Annotated[Any, Depends(Auth)]) -> str:
    return "in"


async def public() -> str:
    return "in"


async def talk(socket: WebSocket) -> None: ...


def router_with(function: Callable[..., Any]) -> APIRouter:
    router = APIRouter()
    router.get("/x")(function)
    return router


@pytest.mark.parametrize(
    "declare",
    [
        lambda app: app.get("/x", dependencies=[Depends(Auth)])(public),
        lambda app: app.get("/x")(with_auth),
        lambda app: app.get("/x", dependencies=[Depends(with_auth)])(public),
        lambda app: app.include_router(router_with(public), dependencies=[Security(Auth)]),
        lambda app: app.router.dependencies.append(Depends(Auth)),
        lambda app: app.websocket("/x", dependencies=[Depends(Auth)])(talk),
    ],
    ids=["route", "parameter", "of a dependency", "inclusion", "application", "websocket"],
)
async def test_an_interceptor_is_no_dependency(declare: Callable[[FastAPI], object]) -> None:
    """FastAPI would make an object of it for each request, and let everybody in."""
    app = FastAPI()
    install(app, InterceptorRegistry())
    declare(app)
    with pytest.raises(UnreachedInterceptorError, match=r"Auth .* is an interceptor.* Write `@intercept\(Auth\)`"):
        async with started(app):
            pass


router_in_a_class = APIRouter()


@annotate(area="shop")
class Base: ...


@intercept(deny)
class Handlers(Base):
    @router_in_a_class.get("/x")
    async def x() -> str:
        return "in"

    class Inner:
        @router_in_a_class.get("/{self}")
        async def y(self) -> str:
            return "in"


class MoreHandlers(Handlers):
    @staticmethod
    async def z() -> str:
        return "in"


@pytest.mark.parametrize("function", [Handlers.x, MoreHandlers.z, MoreHandlers.x], ids=["x", "inherits", "inherited"])
async def test_a_decorated_class_is_not_reached_by_functions_that_only_stand_in_it(function: Any) -> None:
    """FastAPI calls the function by itself: the class has to be a controller."""
    app = FastAPI()
    install(app, InterceptorRegistry())
    app.get("/x")(function)
    with pytest.raises(UnreachedInterceptorError, match=r"Handlers .* never reached by GET /x") as caught:
        async with started(app):
            pass
    assert "`@controller()`" in str(caught.value)


async def test_a_class_that_is_not_decorated_may_hold_functions() -> None:
    """It is a namespace."""
    app = FastAPI()
    install(app, InterceptorRegistry())
    app.get("/{self}")(Handlers.Inner.y)
    assert (await ask(app, "/x")).json() == "in"


@pytest.mark.parametrize("by", ["layer", "handler"])
async def test_an_error_that_is_returned_is_no_answer(by: str) -> None:
    """FastAPI would send it as a body with status 200."""
    app = FastAPI()
    install(app, InterceptorRegistry())

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        return HTTPException(403, "no") if by == "layer" else await next()

    @app.get("/x")
    @intercept(layer)
    async def handler() -> Any:
        return HTTPException(403, "no")

    with pytest.raises(TypeError, match=r"handler or a layer .* write `raise HTTPException\(\.\.\.\)`"):
        await ask(app, "/x")


async def test_without_a_layer_it_is_fastapis_business() -> None:
    """A registry without interceptors changes no answer."""
    app, plain = FastAPI(), FastAPI()
    install(app, InterceptorRegistry())

    async def handler():
        return HTTPException(403, "no")

    for each in (app, plain):
        each.get("/x")(handler)
    assert (await ask(app, "/x")).text == (await ask(plain, "/x")).text
