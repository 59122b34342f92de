"""Controllers and routers: verbs, prefixes, inheritance, inclusion, providers, installation."""

import asyncio
import threading
import warnings
from functools import partial
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, File, Form, Header, HTTPException, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Route

from interceptors import (
    ForgottenReturnWarning,
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    TargetNotBuiltError,
    UnreachedRouteWarning,
    intercept,
)
from interceptors.fastapi import (
    bind_request,
    controller,
    create_router,
    delete,
    get,
    head,
    install,
    intercepted_route,
    options,
    patch,
    post,
    put,
)
from tests.integration.support import Next, app_with, ask, client_of, layer, started

HOW = ["install", "include"]


def application(how: str, *controllers: type, registry: InterceptorRegistry | None = None) -> FastAPI:
    """The controllers on an application, one way or the other."""
    registry = registry or InterceptorRegistry()
    if how == "install":
        return app_with(*controllers, registry=registry)
    app = FastAPI()
    for cls in controllers:
        app.include_router(create_router(cls, registry))
    return app


# -- verbs and paths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOW)
async def test_every_verb(how: str):
    """get, post, put, patch, delete, head and options are routes of that verb, each through the chain."""
    log: list[str] = []

    @controller(prefix="/verbs")
    @intercept(layer(log, "ic"))
    class Verbs:
        @get("")
        @post("")
        @put("")
        @patch("")
        @delete("")
        @head("")
        @options("")
        async def verb(self, ctx: InvocationContext) -> Response:
            return PlainTextResponse("", headers={"x-verb": ctx.source.value.verb})

    app = application(how, Verbs)
    for verb in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        answer = await ask(app, "/verbs", verb)
        assert (answer.status_code, answer.headers["x-verb"]) == (200, verb)
    assert log == ["ic-pre", "ic-post"] * 7
    assert (await ask(app, "/verbs", "TRACE")).status_code == 405


@pytest.mark.parametrize("how", HOW)
async def test_a_parameter_in_the_prefix(how: str):
    """A prefix may have parameters; they are arguments of every method that names them."""

    @controller(prefix="/shops/{shop}")
    class Shop:
        @get("/orders/{order}")
        async def order(self, shop: str, order: int, ctx: InvocationContext) -> Any:
            return [shop, order, ctx.source.value.path]

    answer = await ask(application(how, Shop), "/shops/s/orders/3")
    assert answer.json() == ["s", 3, "/shops/{shop}/orders/{order}"]


@pytest.mark.parametrize("how", HOW)
async def test_the_order_of_routes_decides(how: str):
    """Routes are matched in the order of the methods, so a fixed path before a pattern wins."""

    @controller()
    class C:
        @get("/me")
        async def me(self) -> str:
            return "me"

        @get("/{name}")
        async def anybody(self, name: str) -> str:
            return f"anybody {name}"

        @get("/last")
        async def never(self) -> str:
            return "never"

    app = application(how, C)
    assert [(await ask(app, path)).json() for path in ("/me", "/last")] == ["me", "anybody last"]


@pytest.mark.parametrize("how", HOW)
async def test_forms_and_files(how: str):
    """Forms and files arrive as on plain FastAPI, and layers see them among the arguments."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.args.names)
        ctx.args["name"] = ctx.args["name"].upper()
        return await next()

    @controller()
    @intercept(look)
    class C:
        @post("/form")
        async def form(self, name: Annotated[str, Form()], age: Annotated[int, Form()] = 7) -> Any:
            return [name, age]

        @post("/files")
        async def files(self, name: Annotated[str, Form()], one: UploadFile, raw: Annotated[bytes, File()]) -> Any:
            return [name, one.filename, (await one.read()).decode(), raw.decode()]

    app = application(how, C)
    assert (await ask(app, "/form", "POST", data={"name": "n"})).json() == ["N", 7]
    files = {"one": ("one.txt", b"first"), "raw": ("raw.bin", b"second")}
    assert (await ask(app, "/files", "POST", data={"name": "n"}, files=files)).json() == [
        "N",
        "one.txt",
        "first",
        "second",
    ]
    assert seen == [("name", "age"), ("name", "one", "raw")]


async def test_static_and_class_methods():
    """Static and class methods are routes as instance methods are; no instance is built for them."""
    built: list[str] = []

    @controller()
    class C:
        def __init__(self) -> None:
            built.append("instance")

        @get("/static")
        @staticmethod
        async def static(n: int) -> int:
            return n

        @staticmethod
        @get("/static-2")
        async def static_2(n: int) -> int:
            return n

        @get("/class")
        @classmethod
        def of_class(cls, n: int) -> str:
            return f"{cls.__name__} {n}"

        @get("/instance")
        def of_instance(self, n: int) -> int:
            return n

    app = app_with(C)
    paths = ("/static?n=1", "/static-2?n=2", "/class?n=3", "/instance?n=4")
    assert [(await ask(app, path)).json() for path in paths] == [1, 2, "C 3", 4]
    assert built == ["instance"]


# -- inheritance -------------------------------------------------------------------------------------------------------


@controller(prefix="/base", tags=["base"])
class Base:
    """A controller to inherit from."""

    @get("/first")
    async def first(self) -> str:
        return f"{type(self).__name__} base first"

    @get("/second")
    @post("/second")
    async def second(self) -> str:
        return f"{type(self).__name__} base second"

    @get("/third")
    async def third(self) -> str:
        return f"{type(self).__name__} base third"


def paths_of(cls: type) -> list[str]:
    """What is registered, in its order."""
    routes: Any = create_router(cls, InterceptorRegistry()).routes
    return [f"{'/'.join(sorted(route.methods))} {route.path} {route.name}" for route in routes]


def test_routes_are_inherited_with_the_methods():
    """A subclass has its bases' routes, under its own prefix if it has one."""

    class Plain(Base): ...

    @controller(prefix="/sub")
    class Sub(Base): ...

    expected = ["GET /first first", "POST /second second", "GET /second second", "GET /third third"]
    assert paths_of(Plain) == [line.replace(" /", " /base/") for line in expected]
    assert paths_of(Sub) == [line.replace(" /", " /sub/") for line in expected]


async def test_an_override_without_a_decorator():
    """It keeps the base's routes, their place and their options, and is what is called."""

    class Sub(Base):
        async def second(self) -> str:
            return "overridden"

    assert paths_of(Sub) == paths_of(Base)
    app = app_with(Sub)
    assert [(await ask(app, path)).json() for path in ("/base/first", "/base/second")] == [
        "Sub base first",
        "overridden",
    ]
    assert (await ask(app, "/base/second", "POST")).json() == "overridden"


async def test_an_override_with_a_decorator():
    """It has the routes it says, not the base's, and a class's own routes come before its bases'."""

    class Sub(Base):
        @get("/other")
        async def third(self) -> str:
            return "other"

        @get("/{anything}")
        async def fourth(self, anything: str) -> str:
            return anything

    assert paths_of(Sub) == [
        "GET /base/other third",
        "GET /base/{anything} fourth",
        "GET /base/first first",
        "POST /base/second second",
        "GET /base/second second",
    ]
    app = app_with(Sub)
    assert (await ask(app, "/base/third")).json() == "third"
    assert (await ask(app, "/base/first")).json() == "first"


async def test_none_removes_a_route():
    """`name = None` takes a base's routes away, for this class and those below it, and for no other."""

    class Sub(Base):
        second = None

    class SubSub(Sub): ...

    for cls in (Sub, SubSub):
        assert paths_of(cls) == ["GET /base/first first", "GET /base/third third"]
        assert (await ask(app_with(cls), "/base/second")).status_code == 404
    assert len(paths_of(Base)) == 4


def test_the_order_along_a_diamond():
    """Own routes, then those of each class in the MRO; each method once."""

    class Left:
        @get("/left")
        async def left(self) -> None: ...

        @get("/both")
        async def both(self) -> None: ...

    class Right:
        @get("/right")
        async def right(self) -> None: ...

        @get("/both-right")
        async def both(self) -> None: ...

    @controller()
    class Bottom(Left, Right):
        @get("/own")
        async def own(self) -> None: ...

    assert [line.split()[1] for line in paths_of(Bottom)] == ["/own", "/left", "/both", "/right"]


async def test_options_are_inherited_and_dependencies_add_up():
    """What a subclass gives `@controller` replaces the base's, but dependencies accumulate, the base's first."""
    log: list[str] = []

    def noting(name: str) -> Any:
        async def dependency() -> None:
            log.append(name)

        return Depends(dependency)

    @controller(prefix="/a", tags=["a"], dependencies=[noting("a")], deprecated=True)
    class A:
        @get("/x", tags=["x"], dependencies=[noting("x")])
        async def x(self, ctx: InvocationContext) -> Any:
            return list(ctx.source.value.tags)

    @controller(prefix="/b", dependencies=[noting("b")])
    class B(A): ...

    @controller(tags=["c"])
    class C(B): ...

    app = app_with(A, B)
    assert [(await ask(app, path)).json() for path in ("/a/x", "/b/x")] == [["a", "x"], ["a", "x"]]
    assert log == ["a", "x", "a", "b", "x"]
    app = app_with(C)
    assert (await ask(app, "/b/x")).json() == ["c", "x"]
    assert app.openapi()["paths"]["/b/x"]["get"]["deprecated"] is True


# -- inclusion ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID remove_order")
async def test_one_router_included_twice():
    """Each inclusion has its own path, operation id and tags; `ctx.source.value` is that of the request."""

    @controller(prefix="/orders", tags=["orders"])
    class Orders:
        @get("/{order_id}", tags=["one"])
        @delete("/{order_id}", operation_id="remove_order")
        async def show(self, order_id: int, ctx: InvocationContext) -> Any:
            value = ctx.source.value
            return [str(ctx.source), ctx.source.type, value.verb, value.path, value.operation_id, list(value.tags)]

    registry, app = InterceptorRegistry(), FastAPI()
    router, middle = create_router(Orders, registry), APIRouter(tags=["middle"])
    middle.include_router(router, prefix="/shop")
    app.include_router(middle, prefix="/v1", tags=["v1"])
    app.include_router(router, tags=["plain"])
    assert (await ask(app, "/v1/shop/orders/1")).json() == [
        "route GET /v1/shop/orders/{order_id}",
        "route",
        "GET",
        "/v1/shop/orders/{order_id}",
        "show_v1_shop_orders__order_id__get",
        ["v1", "middle", "orders", "one"],
    ]
    assert (await ask(app, "/orders/1", "DELETE")).json() == [
        "route DELETE /orders/{order_id}",
        "route",
        "DELETE",
        "/orders/{order_id}",
        "remove_order",
        ["plain", "orders"],
    ]
    documented = app.openapi()["paths"]["/v1/shop/orders/{order_id}"]["get"]
    assert documented["operationId"] == "show_v1_shop_orders__order_id__get"
    assert documented["tags"] == ["v1", "middle", "orders", "one"]


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID f_f_get")
@pytest.mark.filterwarnings("ignore:Duplicate Operation ID f_f_post")
async def test_the_source_of_an_installed_controller_and_of_functions():
    """Routes on the application itself have the same facts."""

    @controller(prefix="/c", tags=["c"])
    class C:
        @get("/x", operation_id="the_x")
        async def x(self, ctx: InvocationContext) -> Any:
            return [str(ctx.source), ctx.source.value.operation_id, list(ctx.source.value.tags)]

    app = app_with(C)

    @app.api_route("/f", methods=["GET", "POST"], tags=["f"])
    async def f(ctx: InvocationContext) -> Any:
        return [str(ctx.source), ctx.source.value.operation_id, list(ctx.source.value.tags)]

    assert (await ask(app, "/c/x")).json() == ["route GET /c/x", "the_x", ["c"]]
    documented = app.openapi()["paths"]["/f"]
    ids = {operation["operationId"] for operation in documented.values()}
    for verb in ("GET", "POST"):
        source, operation_id, tags = (await ask(app, "/f", verb)).json()
        assert (source, tags) == (f"route {verb} /f", ["f"])
        assert operation_id in ids


async def test_include_level_dependencies_and_overrides():
    """Dependencies of an inclusion run before the chain, may refuse, and are overridden like any."""
    log: list[str] = []

    async def guard(x_pass: Annotated[str, Header()] = "no") -> None:
        log.append("guard")
        if x_pass != "yes":
            raise HTTPException(401)

    @controller(prefix="/c")
    @intercept(layer(log, "ic"))
    class C:
        @get("/x")
        async def x(self) -> str:
            return "x"

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry()), dependencies=[Depends(guard)])
    assert (await ask(app, "/c/x")).status_code == 401
    assert log == ["guard"]
    assert (await ask(app, "/c/x", headers={"x-pass": "yes"})).json() == "x"
    assert log == ["guard", "guard", "ic-pre", "ic-post"]
    log.clear()
    app.dependency_overrides[guard] = lambda: None
    assert (await ask(app, "/c/x")).json() == "x"
    assert log == ["ic-pre", "ic-post"]


@pytest.mark.parametrize("how", HOW)
async def test_dependency_overrides(how: str):
    """`app.dependency_overrides` replace the dependencies of methods, and layers see the replaced value."""
    seen: list[Any] = []

    async def database() -> str:
        return "real"

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.args["database"])
        return await next()

    @controller()
    @intercept(look)
    class C:
        @get("/async")
        async def asynchronous(self, database: Annotated[str, Depends(database)]) -> str:
            return database

        @get("/sync")
        def sync(self, database: Annotated[str, Depends(database)]) -> str:
            return database

        @get("/items")
        async def items(self, database: Annotated[str, Depends(database)]) -> Any:
            yield database

    app = application(how, C)
    app.dependency_overrides[database] = lambda: "fake"
    assert [(await ask(app, path)).text for path in ("/async", "/sync", "/items")] == ['"fake"', '"fake"', '"fake"\n']
    app.dependency_overrides.clear()
    assert [(await ask(app, path)).text for path in ("/async", "/sync", "/items")] == ['"real"', '"real"', '"real"\n']
    assert seen == ["fake"] * 3 + ["real"] * 3


# -- handlers ----------------------------------------------------------------------------------------------------------


async def test_def_handlers_run_in_the_thread_pool():
    """`def` methods and functions run in a worker thread each, so they do not hold up one another or the loop."""
    together = threading.Barrier(3)
    threads: set[int] = set()

    def work() -> str:
        threads.add(threading.get_ident())
        together.wait(10)
        return "done"

    @controller()
    class C:
        @get("/method")
        def method(self) -> str:
            return work()

        @get("/static")
        @staticmethod
        def static() -> str:
            return work()

    app = app_with(C)
    app.get("/function")(intercept(layer([], "ic"))(work))
    answers = await asyncio.gather(*(ask(app, path) for path in ("/method", "/static", "/function")))
    assert [answer.json() for answer in answers] == ["done"] * 3
    assert len(threads) == 3
    assert threading.get_ident() not in threads


async def test_the_controller_is_built_when_its_turn_comes():
    """A denied request builds nothing, and a constructor sees what the layers bound; `next()` again keeps the instance."""
    built: list[str] = []

    async def guard(ctx: InvocationContext, next: Next) -> Any:
        assert ctx.target_class is C
        with pytest.raises(
            TargetNotBuiltError, match="use `ctx.target_class`, or read `ctx.target` after `next\\(\\)`"
        ):
            _ = ctx.target
        if "deny" in ctx.request.query_params:
            raise HTTPException(403)
        ctx.bind("who", "bound by a layer")
        first = await next()
        target = ctx.target
        assert isinstance(target, C)
        assert await next() == first
        assert ctx.target is not target and isinstance(ctx.target, C)
        return first

    @controller()
    @intercept(guard)
    class C:
        def __init__(self, who: Annotated[str, Provide["who"]]) -> None:
            built.append(who)
            self.who = who

        @get("/x")
        async def x(self) -> str:
            return self.who

    app = app_with(C)
    assert ((await ask(app, "/x?deny=1")).status_code, built) == (403, [])
    assert (await ask(app, "/x")).json() == "bound by a layer"
    assert built == ["bound by a layer"] * 2


async def test_the_target_of_a_controller_without_injection():
    """Where the constructor takes nothing injected `ctx.target` is the instance, early and late."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.target)
        result = await next()
        seen.append(ctx.target)
        return result

    @controller()
    @intercept(look)
    class C:
        def __init__(self, size: int = 3) -> None:
            self.size = size

        @get("/x")
        async def x(self) -> int:
            seen.append(self)
            return self.size

    app = app_with(C)
    assert (await ask(app, "/x")).json() == 3
    early, inside, late = seen
    assert isinstance(early, C)
    assert early is inside is late
    await ask(app, "/x")
    assert seen[3] is not early


async def test_the_target_of_a_function():
    """For a function `ctx.target` is the function, `ctx.target_class` None and `ctx.method_name` its name."""
    app = app_with()

    @app.get("/x")
    async def handler(ctx: InvocationContext) -> Any:
        return [ctx.target is handler, ctx.target_class, ctx.method_name, ctx.target_name.rpartition(".")[2]]

    assert (await ask(app, "/x")).json() == [True, None, "handler", "handler"]


# -- provider= ---------------------------------------------------------------------------------------------------------


@controller(prefix="/provided")
class Provided:
    """A controller that a container makes."""

    def __init__(self, name: str, request: Request | None = None) -> None:
        self.name = name
        self.path = None if request is None else request.url.path

    @get("/x")
    async def x(self) -> Any:
        return [self.name, self.path]


class Makers(containers.DeclarativeContainer):
    name = providers.Object("class")
    factory = providers.Factory(Provided, name, InvocationBindings.request)
    singleton = providers.Singleton(Provided, name)


async def test_a_controller_from_a_provider():
    """`create_router(C, registry, provider=...)` asks the provider, for each request if it is a factory."""
    container = Makers(name=providers.Object("instance"))
    registry = InterceptorRegistry(container)
    for provider, path in ((container.factory, "/provided/x"), (container.singleton, None)):
        app = FastAPI()
        app.include_router(create_router(Provided, registry, provider=provider))
        async with started(app) as client:
            assert (await client.get("/provided/x")).json() == ["instance", path]
            assert (await client.get("/provided/x")).json() == ["instance", path]


async def test_a_provider_that_is_overridden():
    """A test's override of the provider is seen at once, and so is its end."""
    container = Makers()
    app = FastAPI()
    app.include_router(create_router(Provided, InterceptorRegistry(container), provider=container.factory))
    async with started(app) as client:
        with container.factory.override(providers.Object(Provided("fake"))):
            assert (await client.get("/provided/x")).json() == ["fake", None]
        assert (await client.get("/provided/x")).json() == ["class", "/provided/x"]


async def test_a_provider_named_on_the_containers_class():
    """A provider of the class means the copy of the registry's container, as it does in every marker."""
    registry = InterceptorRegistry(Makers(name=providers.Object("instance")))
    app = FastAPI()
    app.include_router(create_router(Provided, registry, provider=Makers.factory))
    assert (await ask(app, "/provided/x")).json() == ["instance", "/provided/x"]


async def test_an_asynchronous_provider_of_a_controller():
    """A controller whose provider takes an `await`, or the current user, is awaited at its turn."""

    class Resources(containers.DeclarativeContainer):
        user = providers.Factory(Provided, InvocationBindings.current_user)

        @staticmethod
        async def connect() -> str:
            await asyncio.sleep(0)
            return "connected"

    async def user(request: Request) -> str:
        await asyncio.sleep(0)
        return "alice"

    container = Resources()
    connection = providers.Resource(Resources.connect)
    registry = InterceptorRegistry(container, current_user=user)
    for provider, name in ((container.user, "alice"), (providers.Factory(Provided, connection), "connected")):
        app = FastAPI()
        app.include_router(create_router(Provided, registry, provider=provider))
        assert (await ask(app, "/provided/x")).json() == [name, None]


# -- what else can be a handler ----------------------------------------------------------------------------------------


async def multiply(n: int, factor: int = 1) -> int:
    """Multiply."""
    return n * factor


class Callable_:
    """An object that can be called."""

    async def __call__(self, n: int) -> int:
        """Call it."""
        return n

    @intercept(layer([], "ic"))
    async def method(self, n: int) -> int:
        """A method."""
        return n


HANDLERS: dict[str, Any] = {
    "partial": lambda: partial(multiply, factor=2),
    "object": Callable_,
    "bound method": lambda: Callable_().method,
    "lambda": lambda: lambda n: n,
}


@pytest.mark.parametrize("kind", HANDLERS)
@pytest.mark.parametrize("when", ["before", "after", "router"])
async def test_other_things_that_fastapi_takes_for_a_handler(kind: str, when: str):
    """Partial functions, callable objects, bound methods and lambdas are intercepted and documented like functions."""
    log: list[str] = []
    registry, app, plain = InterceptorRegistry(), FastAPI(), FastAPI()
    registry.add_global(layer(log, "global"))
    router: Any = APIRouter(route_class=intercepted_route(registry)) if when == "router" else app
    handler = HANDLERS[kind]()
    if when == "after":
        install(app, registry)
    router.add_api_route("/x", handler)
    plain.add_api_route("/x", handler)
    if when == "before":
        install(app, registry)
    if when == "router":
        app.include_router(router)
    assert app.openapi() == plain.openapi()
    found, expected = await ask(app, "/x?n=3"), await ask(plain, "/x?n=3")
    assert (found.status_code, found.json()) == (expected.status_code, expected.json()) == (200, expected.json())
    assert log == ["global-pre", "global-post"]


async def test_the_class_of_a_bound_method_counts():
    """A bound method as a handler has the chain of its class and its method."""
    log: list[str] = []

    @intercept(layer(log, "class"))
    class Handlers:
        name = "h"

        @intercept(layer(log, "method"))
        async def show(self, ctx: InvocationContext) -> Any:
            return [self.name, ctx.target_class is Handlers, ctx.method_name]

    app = app_with()
    app.get("/x")(Handlers().show)
    assert (await ask(app, "/x")).json() == ["h", True, "show"]
    assert log == ["class-pre", "method-pre", "method-post", "class-post"]


async def test_what_starlette_takes_for_a_handler():
    """Classes, mounts of any ASGI application and hosts of Starlette's are left alone, and do not stop the start: a
    warning tells that a global interceptor misses them."""

    class Endpoint(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("endpoint")

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("asgi")(scope, receive, send)

    registry = InterceptorRegistry()
    registry.add_global(layer([], "global"))
    app = app_with(registry=registry)
    app.router.routes.append(Route("/endpoint", Endpoint))
    app.router.routes.append(Route("/partial", partial(asgi_like, "partial")))
    app.mount("/asgi", asgi)
    app.host("sub.test", asgi)
    with pytest.warns(UnreachedRouteWarning, match="ANY /endpoint"):
        async with started(app) as client:
            answers = [(await client.get(path)).text for path in ("/endpoint", "/asgi/x", "/partial")]
    assert answers == ["endpoint", "asgi", "partial"]


async def asgi_like(text: str, request: Request) -> Response:
    return PlainTextResponse(text)


async def test_a_forgotten_return_is_reported_once():
    """With `debug=True` a layer that loses the result is a warning, once; the answer is what it is without."""

    async def forgetful(ctx: InvocationContext, next: Next) -> Any:
        await next()

    for debug in (False, True):
        app = app_with(registry=InterceptorRegistry(debug=debug))

        @app.get("/x")
        @intercept(forgetful)
        async def x() -> Any:
            return 1

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert [(await ask(app, "/x")).json() for _ in range(2)] == [None, None]
        assert [warning.category for warning in caught] == [ForgottenReturnWarning] * debug


# -- route classes -----------------------------------------------------------------------------------------------------


class Timed(APIRoute):
    """A route class of the user's."""

    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def timed(request: Request) -> Response:
            response = await handler(request)
            response.headers["x-timed"] = "yes"
            return response

        return timed


async def test_a_route_class_of_ones_own():
    """`intercepted_route(registry, base=MyRoute)` is a MyRoute that runs the chain."""
    log: list[str] = []
    route_class = intercepted_route(InterceptorRegistry(), base=Timed)
    assert issubclass(route_class, Timed)
    router, app = APIRouter(route_class=route_class), FastAPI()

    @router.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> str:
        return "x"

    app.include_router(router)
    answer = await ask(app, "/x")
    assert (answer.json(), answer.headers["x-timed"], log) == ("x", "yes", ["ic-pre", "ic-post"])


async def test_a_route_class_set_on_the_application_is_kept():
    """Functions declared before and after, and installed controllers, keep the application's route class."""
    log: list[str] = []
    app = FastAPI()
    app.router.route_class = Timed

    @app.get("/before")
    @intercept(layer(log, "before"))
    async def before() -> None: ...

    @controller()
    @intercept(layer(log, "c"))
    class C:
        @get("/c")
        async def c(self) -> None: ...

    install(app, InterceptorRegistry(), controllers=[C])

    @app.get("/after")
    @intercept(layer(log, "after"))
    async def after() -> None: ...

    for path in ("/before", "/c", "/after"):
        assert (await ask(app, path)).headers["x-timed"] == "yes"
    assert log == ["before-pre", "before-post", "c-pre", "c-post", "after-pre", "after-post"]


async def test_a_route_class_of_a_controller():
    """`@controller(route_class=...)` is the class of its routes, installed and included."""

    @controller(route_class=Timed)
    class C:
        @get("/c")
        async def c(self) -> None: ...

    for how in HOW:
        assert (await ask(application(how, C), "/c")).headers["x-timed"] == "yes"


# -- install -----------------------------------------------------------------------------------------------------------


async def test_a_second_installation_adds_controllers_only():
    """The same registry again adds its controllers, wraps nothing twice and checks nothing twice."""
    log: list[str] = []
    registry, app = InterceptorRegistry(), FastAPI()
    registry.add_global(layer(log, "global"))

    @app.get("/f")
    async def f() -> str:
        return "f"

    @controller(prefix="/a")
    class A:
        @get("/x")
        async def x(self) -> str:
            return "a"

    @controller(prefix="/b")
    class B(A): ...

    install(app, registry, controllers=[A])
    route_class = app.router.route_class
    install(app, registry, controllers=[B])
    install(app, registry)
    assert app.router.route_class is route_class
    async with started(app) as client:
        assert [(await client.get(path)).json() for path in ("/f", "/a/x", "/b/x")] == ["f", "a", "a"]
    assert log == ["global-pre", "global-post"] * 3


async def test_functions_before_and_after_the_installation():
    """Functions on the application are intercepted, globals included, whenever they are declared."""
    log: list[str] = []
    registry, app = InterceptorRegistry(), FastAPI()
    registry.add_global(layer(log, "global"))

    @app.get("/before")
    @intercept(layer(log, "before"))
    async def before(n: int = 1) -> int:
        return n

    install(app, registry)

    @app.get("/after")
    @intercept(layer(log, "after"))
    def after(n: int = 1) -> int:
        return n

    assert [(await ask(app, path)).json() for path in ("/before?n=2", "/after?n=3")] == [2, 3]
    expected: list[str] = []
    for name in ("before", "after"):
        expected += ["global-pre", f"{name}-pre", f"{name}-post", "global-post"]
    assert log == expected


async def test_an_application_that_has_served_already():
    """`install` on an application that has answered requests takes effect at the next one."""
    log: list[str] = []
    app = FastAPI()

    @app.get("/x")
    @intercept(layer(log, "ic"))
    async def x() -> str:
        return "x"

    assert (await ask(app, "/x")).json() == "x"
    assert log == []
    install(app, InterceptorRegistry())
    assert (await ask(app, "/x")).json() == "x"
    assert log == ["ic-pre", "ic-post"]


async def test_globals_come_and_go_while_the_application_runs():
    """Adding, replacing and removing takes effect at the next request."""
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.bind("key", layer(log, "first"))

    @controller()
    class C:
        @get("/x")
        @intercept("key")
        async def x(self) -> None: ...

    async with started(app_with(C, registry=registry)) as client:

        async def entered() -> list[str]:
            log.clear()
            await client.get("/x")
            return [entry.removesuffix("-pre") for entry in log if entry.endswith("-pre")]

        assert await entered() == ["first"]
        added = layer(log, "global")
        registry.add_global(added)
        assert await entered() == ["global", "first"]
        registry.bind("key", layer(log, "second"))
        assert await entered() == ["global", "second"]
        registry.remove_global(added)
        assert await entered() == ["second"]


async def test_a_global_of_one_source_type():
    """A global with `source="proxy"` does not run on routes, one with `source="route"` not on proxies."""
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(layer(log, "route"), source="route")
    registry.add_global(layer(log, "proxy"), source="proxy")
    registry.add_global(layer(log, "both"), source=("route", "proxy"))

    class Service:
        async def work(self) -> str:
            return "done"

    service = registry.intercepted(Service())
    app = app_with(registry=registry)

    @app.get("/x")
    async def x() -> str:
        return await service.work()

    assert (await ask(app, "/x")).json() == "done"
    assert log == [
        "route-pre",
        "both-pre",
        "proxy-pre",
        "both-pre",
        "both-post",
        "proxy-post",
        "both-post",
        "route-post",
    ]


# -- dependencies that know the user -----------------------------------------------------------------------------------


async def test_a_security_scheme_binds_the_user_it_knows():
    """A security dependency documents itself, and tells the chain the user with `bind_request`."""
    scheme = HTTPBearer()

    async def authenticate(request: Request, token: Annotated[HTTPAuthorizationCredentials, Depends(scheme)]) -> None:
        bind_request(request, "current_user", f"user of {token.credentials}")
        bind_request(request, "tenant", "t")

    class Layer:
        def __init__(self, tenant: Annotated[str, Provide["tenant"]]) -> None:
            self.tenant = tenant

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return [self.tenant, await next()]

    @controller(dependencies=[Depends(authenticate)])
    @intercept(Layer)
    class C:
        @get("/x")
        async def x(self, ctx: InvocationContext, user: Annotated[str, Provide["current_user"]]) -> Any:
            return [user, await ctx.current_user(), await ctx.get("tenant")]

    app = app_with(C)
    async with client_of(app) as client:
        answers = [await client.get("/x", headers={"authorization": f"Bearer {token}"}) for token in ("a", "b")]
    for answer, token in zip(answers, ("a", "b"), strict=True):
        assert answer.json() == ["t", [f"user of {token}", f"user of {token}", "t"]]
    assert (await ask(app, "/x")).status_code in {401, 403}
    assert app.openapi()["paths"]["/x"]["get"]["security"] == [{"HTTPBearer": []}]
