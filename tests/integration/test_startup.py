"""Bad input: what is wrong is said where it is declared or when the application starts, in whole sentences."""

import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.routing import Match, Mount, Route, WebSocketRoute

from interceptors import (
    AlreadyInstalledError,
    GroupOrderError,
    InjectionError,
    InterceptorError,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    InvocationContext,
    UnknownGroupWarning,
    UnknownKeyError,
    UnknownSourceWarning,
    UnreachedGlobalWarning,
    UnreachedInterceptorError,
    UnreachedRouteWarning,
    global_interceptor,
    intercept,
    skip_interceptors,
)
from interceptors.fastapi import controller, create_router, get, install, websocket
from tests.integration.support import Next, app_with, ask, client_of, layer, place, started


async def passing(ctx: InvocationContext, next: Next) -> Any:
    """An interceptor that does nothing."""
    return await next()


async def start(app: FastAPI) -> None:
    """Start an application and stop it."""
    async with app.router.lifespan_context(app):
        pass


# -- where it is declared ----------------------------------------------------------------------------------------------


def no_coroutine(ctx: InvocationContext, next: Next) -> Any:
    return next()


async def too_few(ctx: InvocationContext) -> Any: ...


async def items(ctx: InvocationContext, next: Next) -> AsyncIterator[Any]:
    yield next


class WithoutIntercept:
    pass


class WithSyncIntercept:
    def intercept(self, ctx: InvocationContext, next: Next) -> Any: ...


class WithBadIntercept:
    async def intercept(self, ctx: InvocationContext) -> Any: ...


NO_INTERCEPTORS: dict[str, tuple[Any, str]] = {
    "plain def": (
        no_coroutine,
        f"no_coroutine ({place(no_coroutine)}) is not `async def`; write `async def no_coroutine(ctx, next)`.",
    ),
    "generator": (items, f"items ({place(items)}) is a generator function; write `async def items(ctx, next)`."),
    "one argument": (
        too_few,
        f"too_few ({place(too_few)}) does not take two arguments; write `async def too_few(ctx, next)`.",
    ),
    "class without intercept": (
        WithoutIntercept,
        (
            f"WithoutIntercept ({place(WithoutIntercept)}) is a class without `intercept`; give it "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    "class with def intercept": (
        WithSyncIntercept,
        (
            f"WithSyncIntercept ({place(WithSyncIntercept)}) has an `intercept` that is not `async def`; write "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    "class with a bad intercept": (
        WithBadIntercept,
        (
            f"WithBadIntercept ({place(WithBadIntercept)}) has an `intercept` that does not take two arguments; write "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    "object with def intercept": (
        WithSyncIntercept(),
        (
            f"WithSyncIntercept ({place(WithSyncIntercept)}) has an `intercept` that is not `async def`; write "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    "object": (
        WithoutIntercept(),
        (
            f"WithoutIntercept ({place(WithoutIntercept)}) is no interceptor; write `async def f(ctx, next)` or a class "
            "with `async def intercept(self, ctx, next)`."
        ),
    ),
    "property": (
        property(no_coroutine),
        (
            f"no_coroutine ({place(no_coroutine)}) is a descriptor, no interceptor; give the function itself: "
            "`async def f(ctx, next)`."
        ),
    ),
    "number": (
        3,
        (
            "int (no source file) is no interceptor; write `async def f(ctx, next)` or a class with "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    "empty key": ("", "An empty string is no key; write the name the interceptor is bound to."),
}

PLACES: dict[str, Callable[[Any], Any]] = {
    "intercept": lambda thing: intercept(passing, thing),
    "skip": lambda thing: skip_interceptors(passing, thing),
    "bind": lambda thing: InterceptorRegistry().bind("key", thing),
    "add_global": lambda thing: InterceptorRegistry().add_global(thing),
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("what", NO_INTERCEPTORS)
def test_no_interceptor_is_refused_where_it_is_declared(what: str, where: str):
    """Each thing that is no interceptor is a TypeError at its declaration: its name, its place, what to write instead."""
    thing, message = NO_INTERCEPTORS[what]
    with pytest.raises(InvalidInterceptorError) as caught:
        PLACES[where](thing)
    assert str(caught.value) == message
    assert isinstance(caught.value, TypeError)
    assert caught.value.interceptor is thing


def test_a_marked_global_is_checked_too():
    """`@global_interceptor` on what is no interceptor is refused in the same words."""
    with pytest.raises(InvalidInterceptorError) as caught:
        global_interceptor(group="g")(no_coroutine)
    assert str(caught.value) == NO_INTERCEPTORS["plain def"][1]


def test_intercept_on_a_property():
    """`@intercept` on a property is a TypeError that names the property and what to do."""
    with pytest.raises(InvalidTargetError) as caught:

        class C:
            @intercept(passing)
            @property
            def value(self) -> int:
                return 1

    function = caught.value.target.fget  # type: ignore[attr-defined]
    assert str(caught.value) == (
        f"@intercept cannot be used on a property: test_intercept_on_a_property.<locals>.C.value ({place(function)}). "
        "Put it on a class, a method or a function."
    ).replace("test_intercept_on_a_property.<locals>.", "")


def test_intercept_on_an_object():
    """`@intercept` on something that is neither class nor function is a TypeError."""
    with pytest.raises(InvalidTargetError) as caught:
        intercept(passing)(partial(print))
    assert str(caught.value).startswith("@intercept cannot be used on 'partial' objects: print (")
    assert str(caught.value).endswith("Put it on a class, a method or a function.")


def test_a_route_decorator_on_a_property():
    """A verb on a property is refused where it stands."""
    with pytest.raises(InvalidTargetError) as caught:

        class C:
            @get("/x")
            @property
            def value(self) -> int:
                return 1

    function = caught.value.target.fget  # type: ignore[attr-defined]
    assert str(caught.value) == (
        f"A route decorator cannot be used on C.value ({place(function)}); put it on a method."
    )


def test_a_prefix_that_fastapi_will_not_take():
    """`@controller` refuses a bad prefix at once, and not when the router is made."""
    for prefix in ("orders", "/orders/"):
        with pytest.raises(ValueError) as caught:
            controller(prefix=prefix)
        assert str(caught.value) == f"The prefix {prefix!r} has to start with '/' and must not end with '/'."


def test_a_controller_that_is_none():
    """A class without `@controller`, and a function with it, are refused in one sentence each."""

    class C: ...

    for use in (lambda: create_router(C, InterceptorRegistry()), lambda: app_with(C)):
        with pytest.raises(InvalidTargetError) as caught:
            use()
        assert str(caught.value) == f"C ({place(C)}) is no controller; mark it with @controller()."
    with pytest.raises(InvalidTargetError) as caught:
        controller()(passing)  # type: ignore[type-var]
    assert str(caught.value) == f"@controller cannot be used on passing ({place(passing)}); mark a class."


def test_a_websocket_method_that_is_no_coroutine():
    """A `def` method cannot hold a conversation: it is refused when the router is made."""

    @controller()
    class C:
        @websocket("/ws")
        def ws(self) -> None: ...

    with pytest.raises(InvalidTargetError) as caught:
        app_with(C)
    assert str(caught.value) == f"C.ws ({place(C.ws)}) handles a WebSocket, so it has to be `async def`."


def test_another_registry():
    """An application has one registry: another one is an error that says what to do."""
    app = app_with(title="Shop")
    with pytest.raises(AlreadyInstalledError) as caught:
        install(app, InterceptorRegistry())
    assert str(caught.value) == (
        "The application 'Shop' has another InterceptorRegistry; install one, and give it the controllers and global "
        "interceptors of both."
    )


def test_a_cycle_of_groups():
    """Contradicting demands are refused by the call that brings the contradiction, with the cycle and who demands what."""
    registry = InterceptorRegistry(ordered_groups=("auth", "log"))
    registry.add_global(passing, group="log", before="cache")

    async def caching(ctx: InvocationContext, next: Next) -> Any: ...

    with pytest.raises(GroupOrderError) as caught:
        registry.add_global(caching, group="cache", before="auth")
    assert caught.value.cycle == ("auth", "log", "cache", "auth")
    assert str(caught.value) == (
        "The order of the groups is a cycle: 'auth' -> 'log' -> 'cache' -> 'auth'\n"
        "  'auth' before 'log': ordered_groups\n"
        "  'log' before 'cache': before='cache' of passing\n"
        "  'cache' before 'auth': before='auth' of caching\n"
        "Take one of these demands away."
    )


def test_a_proxy_that_cannot_intercept_a_decorated_method():
    """A decorated plain `def` or generator is refused when the proxy is made: it would be a silent no-op."""

    class Service:
        @intercept(passing)
        def count(self) -> int:
            return 1

    class Streaming:
        @intercept(passing)
        async def items(self) -> AsyncIterator[int]:
            yield 1

    with pytest.raises(InvalidTargetError) as caught:
        InterceptorRegistry().intercepted(Service())
    assert str(caught.value) == (
        f"Service.count ({place(Service.count)}) has interceptors but is no `async def`, so a proxy cannot run them; "
        'make it `async def`, or call it with `await registry.invoke(target, "count")`.'
    )
    with pytest.raises(InvalidTargetError) as caught:
        InterceptorRegistry().intercepted(Streaming())
    assert str(caught.value) == (
        f"Streaming.items ({place(Streaming.items)}) has interceptors but is a generator, so a proxy cannot run them; "
        'make it `async def`, or call it with `await registry.invoke(target, "items")`.'
    )


# -- when the application starts ---------------------------------------------------------------------------------------


class NeedsMore:
    """An interceptor with a parameter that nothing gives."""

    def __init__(self, size: int) -> None: ...

    async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
        return await next()


@controller()
class BadController:
    """A controller with a parameter that nothing gives."""

    def __init__(self, repository: str) -> None: ...

    @get("/x")
    async def x(self) -> str:
        return "x"


@controller()
class UnknownKey:
    @get("/x")
    @intercept("cachign")
    async def x(self) -> str:
        return "x"


@controller()
@intercept("cachign")
class UnknownKeyOnClass:
    @get("/x")
    async def x(self) -> str:
        return "x"


@controller()
class BadInterceptor:
    @get("/x")
    @intercept(passing, NeedsMore)
    async def x(self) -> str:
        return "x"


@controller()
class BadDepends:
    def __init__(self, name: str = Depends(lambda: "n")) -> None: ...

    @get("/x")
    async def x(self) -> str:
        return "x"


@controller()
class BadMarker:
    @get("/x")
    async def x(self, session: Annotated[str, Closing[Provide["session"]]]) -> str:
        return "x"


@controller()
class Sound:
    @get("/x")
    async def x(self) -> str:
        return "x"


async def decorated() -> str:
    return "x"


intercept(passing)(decorated)


async def talking(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


intercept(passing)(talking)


def with_controller(cls: type) -> Callable[[], FastAPI]:
    def build() -> FastAPI:
        registry = InterceptorRegistry()
        registry.bind("caching", passing)
        return app_with(cls, registry=registry)

    return build


def included(cls: type) -> Callable[[], FastAPI]:
    def build() -> FastAPI:
        registry = InterceptorRegistry()
        registry.bind("caching", passing)
        app = app_with(registry=registry)
        app.include_router(create_router(cls, registry))
        return app

    return build


def with_global(interceptor: Any) -> Callable[[], FastAPI]:
    def build() -> FastAPI:
        registry = InterceptorRegistry()
        registry.bind("caching", passing)
        registry.add_global(interceptor)
        return app_with(Sound, registry=registry)

    return build


def plain_router() -> FastAPI:
    app, inner, outer = app_with(Sound, routers=False), APIRouter(), APIRouter(prefix="/outer")
    inner.add_api_route("/plain", decorated, methods=["GET", "PUT"])
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    return app


def included_websocket() -> FastAPI:
    app, router = app_with(Sound, routers=False), APIRouter()
    router.websocket("/ws")(talking)
    app.include_router(router, prefix="/v1")
    return app


def starlette_route() -> FastAPI:
    async def asking(request: Request) -> PlainTextResponse:
        return PlainTextResponse("x")

    app = app_with(Sound)
    app.router.routes.append(Route("/starlette", intercept(passing)(asking)))
    return app


def starlette_websocket() -> FastAPI:
    app = app_with(Sound)
    app.router.routes.append(WebSocketRoute("/starlette", talking))
    return app


def mounted_routes() -> FastAPI:
    router = APIRouter()
    router.add_api_route("/inside", decorated)
    app = app_with(Sound)
    app.router.routes.append(Mount("/mounted", routes=router.routes))
    return app


def mounted_application() -> FastAPI:
    app, sub = app_with(Sound), FastAPI()
    sub.get("/inside")(decorated)
    app.mount("/mounted", sub)
    return app


NO_CHAIN = (
    "and no chain runs there. Call install(app, registry) on its application, make the router with "
    "`route_class=intercepted_route(registry)`, or make it a method of a controller."
)
UNKNOWN = "Did you mean 'caching'? Bind it with registry.bind, or give the container such a provider."

PROBLEMS: dict[str, tuple[Callable[[], FastAPI], type[InterceptorError], str]] = {
    "unknown key": (
        with_controller(UnknownKey),
        UnknownKeyError,
        f"No key 'cachign' is bound (asked for by @intercept on UnknownKey.x, {place(UnknownKey.x)}). {UNKNOWN}",
    ),
    "unknown key, included": (
        included(UnknownKey),
        UnknownKeyError,
        f"No key 'cachign' is bound (asked for by @intercept on UnknownKey.x, {place(UnknownKey.x)}). {UNKNOWN}",
    ),
    "unknown key on a class": (
        with_controller(UnknownKeyOnClass),
        UnknownKeyError,
        (
            f"No key 'cachign' is bound (asked for by @intercept on UnknownKeyOnClass, {place(UnknownKeyOnClass)}). "
            f"{UNKNOWN}"
        ),
    ),
    "unknown global": (
        with_global("cachign"),
        UnknownKeyError,
        f"No key 'cachign' is bound (asked for by a global interceptor). {UNKNOWN}",
    ),
    "interceptor's constructor": (
        with_controller(BadInterceptor),
        InjectionError,
        (
            f"The constructor parameter 'size' of the interceptor NeedsMore ({place(NeedsMore)}) cannot be injected: nothing "
            'gives it. Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
        ),
    ),
    "global interceptor's constructor": (
        with_global(NeedsMore),
        InjectionError,
        (
            f"The constructor parameter 'size' of the interceptor NeedsMore ({place(NeedsMore)}) cannot be injected: nothing "
            'gives it. Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
        ),
    ),
    "controller's constructor": (
        with_controller(BadController),
        InjectionError,
        (
            f"The constructor parameter 'repository' of the controller BadController ({place(BadController)}) cannot be "
            'injected: nothing gives it. Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
        ),
    ),
    "controller's constructor, included": (
        included(BadController),
        InjectionError,
        (
            f"The constructor parameter 'repository' of the controller BadController ({place(BadController)}) cannot be "
            'injected: nothing gives it. Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
        ),
    ),
    "Depends in a constructor": (
        with_controller(BadDepends),
        InjectionError,
        (
            f"The constructor parameter 'name' of the controller BadDepends ({place(BadDepends)}) cannot be injected: "
            "FastAPI's Depends works in a method's parameters, not in this constructor. Annotate it "
            '`Annotated[T, Provide["key"]]` or give it a default.'
        ),
    ),
    "Closing": (
        with_controller(BadMarker),
        InjectionError,
        (
            f"The parameter 'session' of BadMarker.x ({place(BadMarker.x)}) is marked Closing[Provide['session']]; only `Provide` and `Provider` "
            "are injected. Close resources where they are opened, or in an interceptor around the call."
        ),
    ),
    "function of a plain router": (
        plain_router,
        UnreachedInterceptorError,
        (
            f"decorated ({place(decorated)}) is decorated with @intercept, and that is never reached: GET, PUT "
            f"/v1/outer/plain, {NO_CHAIN}"
        ),
    ),
    "function of an included WebSocket": (
        included_websocket,
        UnreachedInterceptorError,
        (
            f"talking ({place(talking)}) is decorated with @intercept, and that is never reached: WEBSOCKET /v1/ws, "
            f"{NO_CHAIN}"
        ),
    ),
}

PATHS = {"function of a plain router": "/v1/outer/plain"}


@pytest.mark.parametrize("what", PROBLEMS)
async def test_the_start_fails(what: str):
    """Each mistake stops the start of the application, with the whole message."""
    build, error, message = PROBLEMS[what]
    app = build()
    with pytest.raises(error) as caught:
        await start(app)
    assert str(caught.value) == message


@pytest.mark.parametrize("what", PROBLEMS)
async def test_without_a_lifespan_the_first_request_fails(what: str):
    """Where no lifespan runs the first request says the same, to whatever path, and so does every one after it."""
    build, error, message = PROBLEMS[what]
    app = build()
    async with client_of(app) as client:
        for path in (PATHS.get(what, "/x"), "/nowhere"):
            with pytest.raises(error) as caught:
                await client.get(path)
            assert str(caught.value) == message


@pytest.mark.parametrize("what", PROBLEMS)
def test_without_a_lifespan_the_first_websocket_fails(what: str):
    """A WebSocket is a first request, too."""
    build, error, message = PROBLEMS[what]
    client = TestClient(build())
    with pytest.raises(error) as caught:
        with client.websocket_connect("/ws"):
            pass
    assert str(caught.value) == message


@pytest.mark.parametrize("build", [starlette_route, starlette_websocket, mounted_routes, mounted_application])
async def test_a_decorated_function_is_never_a_silent_no_op(build: Callable[[], FastAPI]):
    """A decorated function on a route of Starlette's, or below a mount without a registry, is reported as well."""
    with pytest.raises(UnreachedInterceptorError):
        await start(build())


async def test_a_mount_with_its_own_registry_is_its_own_business():
    """The chains of a sub-application with `install` are validated by itself, at its first request."""
    app, sub = app_with(Sound), app_with(UnknownKey)
    app.mount("/sub", sub)
    async with started(app) as client:
        assert (await client.get("/x")).json() == "x"
        with pytest.raises(UnknownKeyError):
            await client.get("/sub/x")


async def test_a_router_that_is_created_is_validated_without_install():
    """`create_router` alone checks its controller's chains when the application starts."""
    app = FastAPI()
    app.include_router(create_router(UnknownKey, InterceptorRegistry()))
    with pytest.raises(UnknownKeyError):
        await start(app)


async def test_a_sound_application_starts_and_serves():
    """What is right raises nothing, with and without a lifespan, once and again."""
    app = app_with(Sound)
    assert (await ask(app, "/x")).json() == "x"
    for _ in range(2):
        async with started(app) as client:
            assert (await client.get("/x")).json() == "x"


# -- the warning -------------------------------------------------------------------------------------------------------


async def first() -> None: ...
async def second() -> None: ...
async def socket(socket: WebSocket) -> None: ...


@skip_interceptors()
async def on_purpose() -> None: ...


def missed(source: str | None = None, *, skipped: bool = False) -> FastAPI:
    """An application with a global, and a plain router that it misses."""
    registry = InterceptorRegistry()
    registry.add_global(passing, source=source)
    app, router = app_with(Sound, registry=registry, routers=False), APIRouter(prefix="/plain")
    router.get("/purpose")(on_purpose)
    if not skipped:
        router.get("/first")(first)
        router.post("/second")(second)
        router.websocket("/socket")(socket)
    app.include_router(router, prefix="/v1")
    return app


async def test_a_global_that_misses_a_plain_router_is_a_warning():
    """One warning lists every function that no global reaches, with verb, path and place, and what to do."""
    app = missed()
    with pytest.warns(UnreachedRouteWarning) as caught:
        await start(app)
    assert [str(warning.message) for warning in caught] == [
        (
            "No chain runs around these functions, so no global interceptor reaches them: "
            f"GET /v1/plain/first (first, {place(first)}); POST /v1/plain/second (second, {place(second)}); "
            f"WEBSOCKET /v1/plain/socket (socket, {place(socket)}). Declare them on the application or on a router of it, "
            "give a mounted application a registry with install(), or say that it is on purpose with "
            "`@skip_interceptors()` on the function."
        )
    ]


async def test_the_warning_comes_once():
    """Without a lifespan it comes with the first request, and only with the first."""
    app = missed()
    with pytest.warns(UnreachedRouteWarning):
        await ask(app, "/x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (await ask(app, "/v1/plain/first")).status_code == 200


async def test_a_plain_router_may_be_on_purpose():
    """`@skip_interceptors()` on the functions silences the warning; so does a global that concerns no routes."""
    for app in (missed(skipped=True), missed("proxy")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await start(app)


async def test_a_warning_that_is_an_error_stops_the_start():
    """Under `-W error` the application does not start."""
    app = missed()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreachedRouteWarning):
            await start(app)


async def test_what_a_global_misses_is_an_error_where_that_was_asked_for():
    """With `unreached="error"`: the same text, and the functions that it names."""
    app = missed()
    install(app, app.state.interceptors, unreached="error")
    with pytest.raises(
        UnreachedInterceptorError, match=r"^No chain runs around these functions.*GET /v1/plain/first"
    ) as caught:
        await start(app)
    assert [title.partition(" (")[0] for title in caught.value.endpoint] == [
        "GET /v1/plain/first",
        "POST /v1/plain/second",
        "WEBSOCKET /v1/plain/socket",
    ]


async def test_plain_routes_without_globals_are_fine():
    """Where no global applies nothing is missed."""
    app, router = app_with(Sound), APIRouter()
    router.get("/first")(first)
    app.include_router(router)
    async with started(app) as client:
        assert (await client.get("/first")).status_code == 200


# -- the application's own lifespan ------------------------------------------------------------------------------------


def lifespan_of(log: list[str], style: str) -> Any:
    """A lifespan as people write them."""

    @asynccontextmanager
    async def plain(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        log.append("up")
        yield {"who": "app"}
        log.append("down")

    @asynccontextmanager
    async def guarded(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        log.append("up")
        try:
            yield {"who": "app"}
        finally:
            log.append("down")

    @asynccontextmanager
    async def swallowing(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        log.append("up")
        try:
            yield {"who": "app"}
        except Exception as error:
            log.append(f"swallowed {type(error).__name__}")
        log.append("down")

    return {"plain": plain, "guarded": guarded, "swallowing": swallowing}[style]


@pytest.mark.parametrize("style", ["plain", "guarded", "swallowing"])
async def test_the_applications_lifespan_is_shut_down_when_the_validation_fails(style: str):
    """The application's lifespan has started before the validation, and runs its shut-down whatever way it is written."""
    log: list[str] = []
    app = FastAPI(lifespan=lifespan_of(log, style))
    install(app, InterceptorRegistry(), controllers=[BadController])
    with pytest.raises(InjectionError):
        await start(app)
    assert log == ["up", "down"]


@pytest.mark.parametrize("style", ["plain", "guarded", "swallowing"])
def test_the_lifespans_state_is_preserved(style: str):
    """What the application's lifespan yields is the request's state, and start and stop happen once, in order."""
    log: list[str] = []
    app = FastAPI(lifespan=lifespan_of(log, style))
    install(app, InterceptorRegistry(), controllers=[Sound])

    @app.get("/who")
    async def who(request: Request) -> str:
        return request.state.who

    with TestClient(app) as client:
        assert client.get("/who").json() == "app"
        assert log == ["up"]
    assert log == ["up", "down"]


async def test_an_error_of_the_lifespan_itself_is_the_one_that_is_seen():
    """A lifespan that fails to start is not hidden behind a mistake in a chain."""

    @asynccontextmanager
    async def failing(app: FastAPI) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    app = FastAPI(lifespan=failing)
    install(app, InterceptorRegistry(), controllers=[BadController])
    with pytest.raises(OSError, match="no database"):
        await start(app)


async def test_an_error_while_serving_reaches_the_lifespan():
    """What is raised inside the lifespan, by the server, still reaches the application's own."""
    log: list[str] = []
    app = FastAPI(lifespan=lifespan_of(log, "swallowing"))
    install(app, InterceptorRegistry())
    async with app.router.lifespan_context(app):
        raise ValueError
    assert log == ["up", "swallowed ValueError", "down"]


async def test_a_lifespan_may_bind_what_the_chains_need():
    """The validation comes after the application's lifespan has started, so it may still bind and open things."""
    registry = InterceptorRegistry()

    @asynccontextmanager
    async def binding(app: FastAPI) -> AsyncIterator[None]:
        registry.bind("cachign", passing)
        yield

    app = FastAPI(lifespan=binding)
    install(app, registry, controllers=[UnknownKey])
    async with started(app) as client:
        assert (await client.get("/x")).json() == "x"


def test_a_lifespan_that_is_no_async_generator_function():
    """A lifespan may be any async context manager factory."""
    log: list[str] = []

    class Lifespan:
        def __init__(self, app: Any) -> None: ...

        async def __aenter__(self) -> dict[str, str]:
            log.append("up")
            return {"who": "class"}

        async def __aexit__(self, *error: object) -> None:
            log.append("down")

    app = FastAPI(lifespan=Lifespan)
    install(app, InterceptorRegistry())

    @app.get("/who")
    def who(request: Request) -> str:
        return request.state.who

    with TestClient(app) as client:
        assert client.get("/who").json() == "class"
    assert log == ["up", "down"]


def test_nothing_is_opened_by_the_validation():
    """Validating builds no interceptor, no controller and no value: the providers are not called at the start."""
    log: list[str] = []

    def note(name: str) -> str:
        log.append(name)
        return name

    class Container(containers.DeclarativeContainer):
        value = providers.Factory(note, "value")

    class Layer:
        def __init__(self, value: Annotated[str, Provide["value"]]) -> None:
            log.append("layer")

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return await next()

    @controller()
    @intercept(Layer)
    class C:
        def __init__(self, value: Annotated[str, Provide["value"]]) -> None:
            log.append("controller")

        @get("/x")
        async def x(self) -> None: ...

    with TestClient(app_with(C, registry=InterceptorRegistry(Container()))) as client:
        assert log == []
        client.get("/x")
        assert log == ["value", "layer", "value", "controller"]


def test_an_injected_key_that_may_still_be_bound_is_no_mistake():
    """A value's key that the container lacks may be bound by a layer: the start passes, and its turn names what lacks."""

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        if "bind" in ctx.request.query_params:
            ctx.bind("tenant", "t")
        return await next()

    class Container(containers.DeclarativeContainer):
        tenants = providers.Object([])

    @controller()
    @intercept(bind)
    class C:
        @get("/x")
        async def x(self, tenant: Annotated[str, Provide["tenant"]]) -> str:
            return tenant

    with TestClient(app_with(C, registry=InterceptorRegistry(Container()))) as client:
        assert client.get("/x?bind=1").json() == "t"
        with pytest.raises(UnknownKeyError) as caught:
            client.get("/x")
    assert str(caught.value) == (
        "No key 'tenant' is bound (asked for by the parameter 'tenant' of C.x). Did you mean 'tenants'? Give the "
        "container such a provider, or bind the key with ctx.bind or ctx.bind_request further out."
    )
    assert (caught.value.key, caught.value.nearest) == ("tenant", ["tenants"])


def test_layers_of_a_started_application_run():
    """A validated chain is the chain that runs."""
    log: list[str] = []

    def sync_dependency() -> Iterator[str]:
        yield "d"

    @controller()
    @intercept(layer(log, "ic"))
    class C:
        @get("/x")
        async def x(self, value: Annotated[str, Depends(sync_dependency)]) -> str:
            return value

    with TestClient(app_with(C)) as client:
        assert client.get("/x").json() == "d"
    assert log == ["ic-pre", "ic-post"]


# -- what is surely not meant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["source", "group", "skip", "unreached"])
def test_a_near_miss_is_told_when_the_application_starts(kind: str):
    """Also what concerns the methods of controllers; the application runs, as it may be meant."""
    app, registry = FastAPI(), InterceptorRegistry(ordered_groups=["auth"])

    @controller()
    class Shown:
        @get("/")
        @skip_interceptors(group="auht" if kind == "skip" else "auth")
        async def show(self) -> str:
            return "shown"

    install(app, registry, [Shown])
    source = {"source": "events", "unreached": "route"}.get(kind)
    registry.add_global(passing, source=source, group="Auth" if kind == "group" else "auth")
    warning = {"source": UnknownSourceWarning, "unreached": UnreachedGlobalWarning}.get(kind, UnknownGroupWarning)
    with pytest.warns(warning) as caught, TestClient(app) as client:
        assert client.get("/").json() == "shown"
    assert len(caught) == 1


class Calling(APIRouter):
    """A router that calls its routes in its own way, past its stack, as Cadwyn's does."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        for route in self.routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                await route.handle({**scope, **child}, receive, send)
                return


def application_that_calls_by_itself() -> FastAPI:
    app = FastAPI()
    app.router.__class__ = Calling
    return app


@pytest.mark.parametrize("order", ["install, declare", "declare, install"])
@pytest.mark.parametrize("has_lifespan", [True, False])
async def test_a_router_that_calls_its_routes_in_its_own_way(order: str, has_lifespan: bool):
    """Functions of included routers and routes that come late are reached, and wrong ones are refused."""
    log: list[str] = []
    app, registry, router = application_that_calls_by_itself(), InterceptorRegistry(), APIRouter()
    registry.add_global(layer(log, "global"))
    for step in order.split(", "):
        if step == "install":
            install(app, registry)
        else:
            router.get("/x")(lambda: 1)
            app.include_router(router)
    async with started(app) if has_lifespan else client_of(app) as client:
        assert (await client.get("/x")).json() == 1
        app.get("/late")(lambda: 2)
        assert (await client.get("/late")).json() == 2
    assert log == ["global-pre", "global-post"] * 2


async def test_where_a_router_calls_its_own_way_it_is_too_late_after_the_start():
    """Nothing could look after its routes: refused, and not open."""
    app = application_that_calls_by_itself()
    app.get("/x")(lambda: 1)
    assert (await ask(app, "/x")).json() == 1
    with pytest.raises(UnreachedInterceptorError, match="before the first request: Calling"):
        install(app, InterceptorRegistry())
