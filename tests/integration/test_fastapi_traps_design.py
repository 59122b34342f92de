"""Sections 4c and 4d of the notes on FastAPI: the recommendations, each turned into what must not go wrong.

Of 4d only what is ours can be tested: that `@inject` has to be innermost, and that a module has to exist before it is
wired, are rules of `container.wire()`, which is never used here.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.ext.starlette import Lifespan
from dependency_injector.wiring import Closing, Provide, Provider
from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket
from fastapi.testclient import TestClient

from interceptors import (
    InjectionError,
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    UnreachedInterceptorError,
    intercept,
)
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, post, websocket
from tests.integration.support import Next, app_with, ask, layer, outside, place, started

# -- 4c ----------------------------------------------------------------------------------------------------------------


async def test_4c_0_a_controller_that_is_included_is_overridden_like_any():
    """4c: `dependency_overrides` reach the dependencies of a method that two subclasses share."""

    async def name() -> str:
        return "real"

    class Base:
        @get("/who")
        async def who(self, name: Annotated[str, Depends(name)]) -> str:
            return f"{type(self).__name__} {name}"

    @controller(prefix="/a")
    class A(Base): ...

    @controller(prefix="/b")
    class B(Base): ...

    app = app_with(A)
    app.include_router(create_router(B, app.state.interceptors))
    app.dependency_overrides[name] = lambda: "fake"
    assert [(await ask(app, path)).json() for path in ("/a/who", "/b/who")] == ["A fake", "B fake"]
    app.dependency_overrides.clear()
    assert [(await ask(app, path)).json() for path in ("/a/who", "/b/who")] == ["A real", "B real"]


async def test_4c_1_decorators_only_record():
    """4c, 1: a decorator gives back what it was given, registers nothing, and a subclass's list is its own."""
    log: list[str] = []

    async def show(self: Any) -> None:
        log.append("show")

    assert intercept(layer(log, "a"))(get("/x")(show)) is show

    @controller(prefix="/base")
    class Base:
        method = show

    @controller(prefix="/sub")
    @intercept(layer(log, "sub"))
    class Sub(Base): ...

    await Base().method()
    assert log == ["show"]
    app = app_with(Base, Sub)
    log.clear()
    await ask(app, "/base/x")
    assert log == ["a-pre", "show", "a-post"]
    log.clear()
    await ask(app, "/sub/x")
    assert log == ["sub-pre", "a-pre", "show", "a-post", "sub-post"]


async def test_4c_2_an_override_without_a_decorator_keeps_the_route():
    """4c, 2: overriding a routed method without a decorator is neither a 404 nor the base's method."""

    @controller()
    class Base:
        @get("/x")
        async def x(self) -> str:
            return "base"

    class Sub(Base):
        async def x(self) -> str:
            return "sub"

    app, other = app_with(Sub), FastAPI()
    other.include_router(create_router(Sub, InterceptorRegistry()))
    assert [(await ask(a, "/x")).json() for a in (app, other)] == ["sub", "sub"]


async def test_4c_3_no_name_of_a_parameter_is_taken():
    """4c, 3: what we add to the signature collides with no name that a handler may use."""

    @controller()
    class C:
        @get("/x/{self_}")
        async def x(this, self_: int, request: str, response: str, next: int, ctx: int, values: int, args: int) -> Any:
            return [self_, request, response, next, ctx, values, args]

        @get("/stream")
        async def stream(this, request: int, values: int, items: int) -> AsyncIterator[int]:
            yield request
            yield values
            yield items

    app = app_with(C)
    answer = await ask(app, "/x/1?request=r&response=s&next=2&ctx=3&values=4&args=5")
    assert answer.json() == [1, "r", "s", 2, 3, 4, 5]
    assert (await ask(app, "/stream?request=1&values=2&items=3")).text == "1\n2\n3\n"
    names = {p["name"] for path in app.openapi()["paths"].values() for p in path["get"]["parameters"]}
    assert names == {"self_", "request", "response", "next", "ctx", "values", "args", "items"}


async def test_4c_4_depends_in_a_constructor_is_refused():
    """4c, 4: a controller is no FastAPI dependency, so `Depends` in its constructor is an error that says so."""

    class Base:
        def __init__(self, request: Request, session: Annotated[str, Depends(lambda: "s")]) -> None: ...

    @controller()
    class C(Base):
        @get("/x")
        async def x(self) -> None: ...

    app = app_with(C)
    with pytest.raises(InjectionError) as caught:
        async with app.router.lifespan_context(app):
            pass
    assert str(caught.value) == (
        f"The constructor parameter 'session' of the controller C ({place(C)}) cannot be injected: FastAPI's Depends "
        'works in a method\'s parameters, not in this constructor. Annotate it `Annotated[T, Provide["key"]]` or give '
        "it a default."
    )


@controller()
class Named:
    """A controller."""

    @get("/x")
    async def show(self) -> str:
        """The first line.

        The rest.
        """
        return "x"

    @get("/items")
    async def items(self) -> AsyncIterator[int]:
        """Some items."""
        yield 1

    @websocket("/ws")
    async def talk(self, socket: WebSocket) -> None:
        """A conversation."""


async def test_4c_5_names_and_documentation_are_the_handlers():
    """4c, 5: the endpoint bears the handler's name, module and documentation, so links, ids and spans do, too."""
    app = FastAPI()
    app.include_router(create_router(Named, InterceptorRegistry()), prefix="/v1")
    router = create_router(Named, InterceptorRegistry())
    for route, method in zip(router.routes, (Named.show, Named.items, Named.talk), strict=True):
        endpoint = route.endpoint  # type: ignore[attr-defined]
        assert endpoint.__name__ == method.__name__
        assert endpoint.__qualname__ == f"Named.{method.__name__}"
        assert (endpoint.__module__, endpoint.__doc__) == (__name__, method.__doc__)
    assert [app.url_path_for(name) for name in ("show", "items", "talk")] == ["/v1/x", "/v1/items", "/v1/ws"]
    assert app.openapi()["paths"]["/v1/x"]["get"]["description"] == "The first line.\n\nThe rest."


async def test_4c_6_layers_run_before_a_generator_and_may_wrap_it():
    """4c, 6: a generator method stays one; before-work is ahead of its first line, after-work wraps the iterator."""
    log: list[str] = []

    async def doubling(ctx: InvocationContext, next: Next) -> Any:
        log.append("layer")
        items = await next()

        async def doubled() -> AsyncIterator[int]:
            async for item in items:
                yield item * 2
            log.append("end")

        return doubled()

    @controller()
    @intercept(doubling)
    class C:
        @get("/x")
        async def x(self) -> AsyncIterator[int]:
            log.append("first line")
            yield 1
            yield 2

    assert (await ask(app_with(C), "/x")).text == "2\n4\n"
    assert log == ["layer", "first line", "end"]


async def test_4c_8_two_rings_by_two_names():
    """4c, 8: the outer ring is a route class of the controller, seeing the finished response; the layers see the result."""
    seen: list[Any] = []

    class Ring(APIRouter().route_class):  # type: ignore[misc]
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def ring(request: Request) -> Response:
                response = await handler(request)
                seen.append(bytes(response.body))
                return response

            return ring

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(await next())
        return seen[-1]

    @controller(route_class=Ring)
    @intercept(look)
    class C:
        @get("/x")
        async def x(self) -> dict[str, int]:
            return {"n": 1}

    await ask(app_with(C), "/x")
    assert seen == [{"n": 1}, b'{"n":1}']


async def test_what_is_decorated_after_the_start_is_in_the_chain_of_the_next_request():
    """A chain is never older than the function that it was made from, nor than the registry."""
    log: list[str] = []
    app = app_with()

    @app.get("/x")
    @intercept(layer(log, "early"))
    async def x() -> None: ...

    async with started(app) as client:
        intercept(layer(log, "late"))(x)
        await client.get("/x")
        assert log == ["late-pre", "early-pre", "early-post", "late-post"]
        log.clear()
        app.state.interceptors.add_global(layer(log, "global"))
        await client.get("/x")
        assert log == ["global-pre", "late-pre", "early-pre", "early-post", "late-post", "global-post"]


async def test_4c_10_without_the_private_key_the_route_itself_is_the_source():
    """4c, 10: where FastAPI left nothing in the scope the source is the route as it was declared, and nothing breaks."""

    async def forget(request: Request) -> None:
        request.scope.pop("fastapi", None)

    @controller(prefix="/c")
    class C:
        @get("/x", tags=["t"])
        async def x(self, ctx: InvocationContext) -> str:
            return f"{ctx.source} {ctx.source.value.tags}"

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry()), prefix="/v1", dependencies=[Depends(forget)])
    assert (await ask(app, "/v1/c/x")).json() == "route GET /c/x ('t',)"


@pytest.mark.parametrize("order", ["above", "below"])
async def test_4c_11_the_order_of_decorators_does_not_matter(order: str):
    """4c, 11: `@intercept` outside the route decorator is no silent no-op: on our routes it works all the same."""
    log: list[str] = []
    app = app_with()

    async def x() -> None: ...

    chain, route = intercept(layer(log, "ic")), app.get("/x")
    _ = chain(route(x)) if order == "above" else route(chain(x))
    await ask(app, "/x")
    assert log == ["ic-pre", "ic-post"]


@pytest.mark.parametrize("order", ["above", "below"])
async def test_4c_11_a_function_that_no_chain_reaches_is_reported(order: str):
    """4c, 11: where routers are not reached the marker is found at the start, whatever the order of the decorators."""
    router, app = APIRouter(), app_with(routers=False)

    async def x() -> None: ...

    chain, route = intercept(layer([], "ic")), router.get("/x")
    _ = chain(route(x)) if order == "above" else route(chain(x))
    app.include_router(router)
    with pytest.raises(UnreachedInterceptorError):
        async with app.router.lifespan_context(app):
            pass


# -- 4d: markers -------------------------------------------------------------------------------------------------------


async def test_4d_2_a_marker_is_never_what_a_handler_gets():
    """4d, 2: nothing has to be put on a handler for its markers to be values: there is no `@inject` to forget."""

    class Container(containers.DeclarativeContainer):
        number = providers.Object("7")

    app = app_with(registry=InterceptorRegistry(Container()))

    @app.get("/annotated")
    async def annotated(number: Annotated[str, Provide["number"]]) -> str:
        return number

    @app.get("/default")
    async def default(number: str = Provide["number"]) -> str:
        return number

    @app.get("/class")
    async def on_class(number: Annotated[str, Provide[Container.number]]) -> str:
        return number

    assert [(await ask(app, path)).json() for path in ("/annotated", "/default", "/class")] == ["7", "7", "7"]


async def test_4d_4_nothing_is_ever_wired():
    """4d, 4: containers may come to life after the controllers, several beside one another, and none is wired."""

    class Container(containers.DeclarativeContainer):
        name = providers.Object("?")

    @controller()
    class C:
        @get("/x")
        async def x(self, name: Annotated[str, Provide[Container.name]]) -> str:
            return name

    apps = []
    for name in ("a", "b"):
        container = Container(name=providers.Object(name))
        apps.append(app_with(C, registry=InterceptorRegistry(container)))
        assert not container.wired_to_modules
        assert not container.wired_to_packages
    assert [(await ask(app, "/x")).json() for app in apps] == ["a", "b"]


async def test_4d_6_generators_get_their_values_too():
    """4d, 6: a sync and an async generator handler are injected as any."""

    class Container(containers.DeclarativeContainer):
        word = providers.Factory(str, "w")

    app = app_with(registry=InterceptorRegistry(Container()))

    @app.get("/sync")
    def sync(word: Annotated[str, Provide["word"]]) -> Iterator[str]:
        yield word

    @app.get("/async")
    async def asynchronous(word: Annotated[str, Provide["word"]]) -> AsyncIterator[str]:
        yield word

    assert [(await ask(app, path)).text for path in ("/sync", "/async")] == ['"w"\n', '"w"\n']


async def test_4d_closing_is_refused_at_the_start():
    """4d, scopes: `Closing` would close a resource that concurrent requests share, so it is an error that says so."""
    app = app_with()

    @app.get("/x")
    async def x(session: Annotated[str, Closing[Provide["session"]]]) -> None: ...

    with pytest.raises(InjectionError) as caught:
        async with app.router.lifespan_context(app):
            pass
    assert (caught.value.owner, caught.value.parameter) == ("x", "session")
    assert str(caught.value).endswith(
        "only `Provide` and `Provider` are injected. Close resources where they are opened, or in an interceptor around "
        "the call."
    )


# -- 4d: scopes --------------------------------------------------------------------------------------------------------


class Thing:
    """Something to be provided."""

    def __init__(self, request: Any = None) -> None:
        self.request = request
        self.thread = threading.get_ident()


class Scopes(containers.DeclarativeContainer):
    factory = providers.Factory(Thing, InvocationBindings.request)
    singleton = providers.Singleton(Thing)
    thread_safe = providers.ThreadSafeSingleton(Thing)
    thread_local = providers.ThreadLocalSingleton(Thing)
    context_local = providers.ContextLocalSingleton(Thing)


@pytest.mark.parametrize(
    ("scope", "in_request", "across_requests"),
    [
        ("factory", False, False),
        ("singleton", True, True),
        ("thread_safe", True, True),
        ("thread_local", True, True),
        ("context_local", True, False),
    ],
)
async def test_4d_a_provider_decides_itself_how_long_an_object_lives(
    scope: str, in_request: bool, across_requests: bool
):
    """4d, scopes: what is injected twice in a request, and in two requests, is what the provider says."""
    seen: list[tuple[Thing, Thing]] = []

    @controller()
    class C:
        def __init__(self, thing: Annotated[Thing, Provide[scope]]) -> None:
            self.thing = thing

        @get("/x")
        def x(self, thing: Annotated[Thing, Provide[scope]]) -> None:
            seen.append((self.thing, thing))

    app = app_with(C, registry=InterceptorRegistry(Scopes()))
    for _ in range(2):
        await asyncio.create_task(ask(app, "/x"))
    (one, two), (three, _) = seen
    assert (one is two) is in_request
    assert (one is three) is across_requests
    assert {thing.thread for pair in seen for thing in pair} == {threading.get_ident()}


async def test_4d_a_context_local_resource_is_one_per_request():
    """4d, scopes: a `ContextLocalResource` is opened once for a request, also by a factory that needs it."""
    if not hasattr(providers, "ContextLocalResource"):
        pytest.skip("this dependency-injector has no ContextLocalResource")
    opened: list[object] = []

    def open_session() -> Iterator[object]:
        opened.append(object())
        yield opened[-1]

    class Container(containers.DeclarativeContainer):
        session = providers.ContextLocalResource(open_session)
        repository = providers.Factory(list, providers.List(session))

    app = app_with(registry=InterceptorRegistry(Container()))

    @app.get("/x")
    async def x(
        session: Annotated[object, Provide["session"]], repository: Annotated[list[object], Provide["repository"]]
    ) -> bool:
        return repository == [session]

    for _ in range(2):
        assert (await asyncio.create_task(ask(app, "/x"))).json() is True
    assert len(opened) == 2


async def connect() -> str:
    """An asynchronous factory."""
    await asyncio.sleep(0)
    return "connection"


async def opened() -> AsyncIterator[str]:
    """An asynchronous resource."""
    await asyncio.sleep(0)
    yield "connection"


@pytest.mark.parametrize(
    "connection",
    [
        providers.Factory(connect),
        providers.Callable(connect),
        providers.Coroutine(connect),
        providers.Singleton(connect),
        providers.Resource(opened),
    ],
    ids=lambda provider: type(provider).__name__,
)
async def test_4d_asynchronous_providers_are_awaited(connection: Any):
    """4d, async mode: what takes an `await` is awaited before it is injected, however deep it is, as by `@inject`."""

    class Container(containers.DeclarativeContainer):
        connection = providers.Object(None)
        repository = providers.Factory(Thing, connection)

    class Layer:
        def __init__(self, repository: Annotated[Thing, Provide["repository"]]) -> None:
            self.repository = repository

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return [self.repository.request, (await ctx.get("repository")).request, *(await next())]

    @controller()
    @intercept(Layer)
    class C:
        def __init__(self, repository: Annotated[Thing, Provide["repository"]]) -> None:
            self.repository = repository

        @get("/x")
        def x(self, repository: Annotated[Thing, Provide["repository"]], plain: Annotated[str, Provide["connection"]]):
            return [self.repository.request, repository.request, plain]

    container = Container(connection=connection)
    assert (await ask(app_with(C, registry=InterceptorRegistry(container)), "/x")).json() == ["connection"] * 5
    if closing := container.shutdown_resources():
        await closing


async def test_4d_an_override_is_for_tests_and_is_seen_at_once():
    """4d, override: `container.x.override(...)` reaches handlers, controllers and interceptors while it lasts."""

    class Container(containers.DeclarativeContainer):
        word = providers.Factory(str, "real")

    class Layer:
        def __init__(self, word: Annotated[str, Provide["word"]]) -> None:
            self.word = word

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return [self.word, *(await next())]

    @controller()
    @intercept(Layer)
    class C:
        def __init__(self, word: Annotated[str, Provide[Container.word]]) -> None:
            self.word = word

        @get("/x")
        async def x(self, word: Annotated[str, Provide["word"]]) -> list[str]:
            return [self.word, word]

    container = Container()
    async with started(app_with(C, registry=InterceptorRegistry(container))) as client:
        assert (await client.get("/x")).json() == ["real"] * 3
        with container.word.override(providers.Object("fake")):
            assert (await client.get("/x")).json() == ["fake"] * 3
        assert (await client.get("/x")).json() == ["real"] * 3


def test_4d_the_lifespan_of_dependency_injector_is_kept():
    """4d, lifespan: its `Lifespan` opens the resources before the chains are validated, and closes them."""
    log: list[str] = []

    def hold() -> Iterator[str]:
        log.append("opened")
        yield "r"
        log.append("closed")

    class Container(containers.DeclarativeContainer):
        resource = providers.Resource(hold)

    container = Container()
    app = FastAPI(lifespan=Lifespan(container))
    install(app, InterceptorRegistry(container))

    @app.get("/x")
    async def x(resource: Annotated[str, Provide["resource"]]) -> str:
        log.append("x")
        return resource

    with TestClient(app) as client:
        assert log == ["opened"]
        assert client.get("/x").json() == "r"
    assert log == ["opened", "x", "closed"]


# -- 4d: the recommended binding ---------------------------------------------------------------------------------------


class Audit:
    """Made from what runs just now."""

    def __init__(self, context: Any, request: Any, response: Any, user: Any) -> None:
        self.facts = [context.target_name, request.url.path, user]
        response.headers["x-audit"] = "1"


class Bound(containers.DeclarativeContainer):
    audit = providers.Factory(
        Audit,
        InvocationBindings.context,
        InvocationBindings.request,
        InvocationBindings.response,
        InvocationBindings.current_user,
    )


async def test_4d_a_container_may_be_built_on_the_invocation():
    """4d, binding: `InvocationBindings` in a container of one's own give each request its own, never an override."""
    both = asyncio.Barrier(2)

    async def user(request: Request) -> str:
        await both.wait()
        return request.query_params["user"]

    app = app_with(registry=InterceptorRegistry(Bound(), current_user=user))

    @app.get("/{n}")
    async def show(n: int, audit: Annotated[Audit, Provide["audit"]]) -> list[str]:
        return audit.facts

    answers = await asyncio.gather(ask(app, "/1?user=a"), ask(app, "/2?user=b"))
    assert [answer.json() for answer in answers] == [["show", "/1", "a"], ["show", "/2", "b"]]
    assert [answer.headers["x-audit"] for answer in answers] == ["1", "1"]
    assert outside()


async def test_4d_a_provider_marker_gives_the_provider():
    """4d, binding: `Provider[...]` hands the provider over, and what it makes still belongs to the invocation."""
    app = app_with(registry=InterceptorRegistry(Bound()))

    @app.get("/x")
    async def x(make: Annotated[Any, Provider["audit"]], ctx: InvocationContext) -> list[str | None]:
        await ctx.current_user()
        return make().facts

    assert (await ask(app, "/x")).json() == ["x", "/x", None]


async def test_4d_function_routes_of_a_router_are_injected_like_methods():
    """4d, wiring: the same markers work in a method, in a function on the application and on an intercepted router."""

    class Container(containers.DeclarativeContainer):
        word = providers.Object("w")

    registry = InterceptorRegistry(Container())
    Word = Annotated[str, Provide["word"]]

    @controller()
    class C:
        @post("/method")
        async def method(self, n: int, word: Word) -> str:
            return f"{word}{n}"

    app, router = app_with(C, registry=registry), APIRouter(route_class=intercepted_route(registry))

    @app.post("/function")
    @router.post("/routed")
    async def function(n: int, word: Word) -> str:
        return f"{word}{n}"

    app.include_router(router)
    paths = ("/method?n=1", "/function?n=2", "/routed?n=3")
    assert [(await ask(app, path, "POST")).json() for path in paths] == ["w1", "w2", "w3"]
    for path in app.openapi()["paths"].values():
        assert [parameter["name"] for parameter in path["post"]["parameters"]] == ["n"]
