"""The context of a route: arguments, bindings, the current user, services called from it, mounts."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware

from interceptors import (
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    InvocationSource,
    UnknownKeyError,
    UserNotResolvedError,
    annotate,
    intercept,
)
from interceptors.fastapi import bind_request, controller, create_router, get, install, intercepted_route, post
from tests.integration.support import Next, app_with, ask, layer, outside, started


class Item(BaseModel):
    n: int


# -- arguments ---------------------------------------------------------------------------------------------------------


async def test_the_arguments_of_a_route():
    """By position and by name, typed, defaults filled in, results of `Depends` among them, what is injected not."""
    seen: dict[str, Any] = {}

    async def needed() -> str:
        return "needed"

    async def look(ctx: InvocationContext, next: Next) -> Any:
        args = ctx.args
        seen.update(names=args.names, values=list(args), items=args.items(), first=args[0], length=len(args))
        seen.update(inside="item" in args, missing="request" in args, get=args.get("nope", 5))
        with pytest.raises(KeyError, match="show has no argument 'request'; it has: item_id, item, needed, q"):
            _ = args["request"]
        with pytest.raises(KeyError, match="show has no argument 'other'"):
            args["other"] = 1
        with pytest.raises(IndexError):
            _ = args[4]
        args[0] += 1
        args["q"] = "changed"
        args["item"] = Item(n=args["item"].n * 2)
        return await next()

    @controller()
    class C:
        @post("/{item_id}")
        @intercept(look)
        async def show(
            self,
            request: Request,
            item_id: int,
            item: Item,
            response: Response,
            needed: Annotated[str, Depends(needed)],
            ctx: InvocationContext,
            word: Annotated[str, Provide["word"]],
            q: Annotated[str, Query(max_length=9)] = "default",
        ) -> Any:
            return [item_id, item.n, needed, word, q]

    class Values(containers.DeclarativeContainer):
        word = providers.Object("w")

    app = app_with(C, registry=InterceptorRegistry(Values()))
    assert (await ask(app, "/3", "POST", json={"n": 4})).json() == [4, 8, "needed", "w", "changed"]
    assert seen == {
        "names": ("item_id", "item", "needed", "q"),
        "values": [3, Item(n=4), "needed", "default"],
        "items": [("item_id", 3), ("item", Item(n=4)), ("needed", "needed"), ("q", "default")],
        "first": 3,
        "length": 4,
        "inside": True,
        "missing": False,
        "get": 5,
    }


async def test_what_the_arguments_hold_is_what_the_target_gets():
    """An argument of another type is not parsed again, and each request has its own."""
    app = app_with()

    async def change(ctx: InvocationContext, next: Next) -> Any:
        ctx.args["n"] = f"no number: {ctx.args['n']}"
        return await next()

    @app.get("/{n}")
    @intercept(change)
    async def x(n: int) -> Any:
        return n

    assert [(await ask(app, f"/{n}")).json() for n in (1, 2)] == ["no number: 1", "no number: 2"]


async def test_the_facts_of_a_context():
    """Names, class, annotations, source, request and response of a controller's method."""

    @controller(prefix="/c")
    @annotate(roles=["user"], area="shop")
    class C:
        @get("/x")
        @annotate(roles=["admin"])
        async def x(self, ctx: InvocationContext, request: Request, response: Response) -> Any:
            with pytest.raises(TypeError):
                ctx.annotations["roles"] = []  # type: ignore[index]
            return [
                ctx.method_name,
                ctx.target_name.rpartition("<locals>.")[2],
                ctx.target_class is C,
                ctx.target is self,
                dict(ctx.annotations),
                ctx.request is request,
                ctx.response is response,
                ctx.source.type,
                str(ctx.source),
            ]

    assert (await ask(app_with(C), "/c/x")).json() == [
        "x",
        "C.x",
        True,
        True,
        {"roles": ["admin"], "area": "shop"},
        True,
        True,
        "route",
        "route GET /c/x",
    ]


async def test_state_is_shared_by_the_layers_of_one_invocation():
    """`ctx.state` is one dict for the layers and the handler of an invocation, and a new one for the next."""
    app = app_with()

    async def count(ctx: InvocationContext, next: Next) -> Any:
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        return await next()

    async def count_again(ctx: InvocationContext, next: Next) -> Any:
        return await count(ctx, next)

    @app.get("/x")
    @intercept(count, count_again)
    async def x(ctx: InvocationContext) -> Any:
        return ctx.state

    assert [(await ask(app, "/x")).json() for _ in range(2)] == [{"n": 2}, {"n": 2}]


# -- bindings ----------------------------------------------------------------------------------------------------------


class Store(containers.DeclarativeContainer):
    word = providers.Object("container")


async def test_where_a_key_is_looked_up():
    """The invocation before the request before the container; a default for none; else an error that names the nearest."""
    registry = InterceptorRegistry(Store())
    app = app_with(registry=registry)
    seen: list[Any] = []

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        seen.append(await ctx.get("word"))
        ctx.bind_request("word", "request")
        seen.append(await ctx.get("word"))
        ctx.bind("word", None)
        seen.append(await ctx.get("word"))
        seen.append(await ctx.get("nothing", default="default"))
        with pytest.raises(UnknownKeyError) as caught:
            await ctx.get("words")
        assert str(caught.value) == (
            f"No key 'words' is bound (asked for by ctx.get in {ctx.target_name}). Did you mean 'word'? Give the "
            "container such a provider, or bind the key with ctx.bind or ctx.bind_request further out."
        )
        return await next()

    @app.get("/x")
    @intercept(bind)
    async def x(word: Annotated[str, Provide["word"]]) -> None:
        seen.append(word)

    await ask(app, "/x")
    assert seen == ["container", "request", None, "default", None]


async def test_the_names_of_the_invocation_bindings():
    """`request`, `response`, `context` and `current_user` mean the invocation's own, unless they are bound."""
    registry = InterceptorRegistry(Store(), current_user=lambda request: "alice")
    app = app_with(registry=registry)

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        assert await ctx.get("request") is ctx.request
        assert await ctx.get("response") is ctx.response
        assert await ctx.get("context") is ctx
        assert await ctx.get("current_user") == "alice"
        if "bind" in ctx.request.query_params:
            ctx.bind("request", "bound request")
            ctx.bind_request("current_user", "bob")
        return await next()

    @app.get("/x")
    @intercept(bind)
    async def x(
        request: Annotated[Any, Provide["request"]],
        context: Annotated[Any, Provide["context"]],
        user: Annotated[str, Provide["current_user"]],
        real: Request,
        ctx: InvocationContext,
    ) -> Any:
        return [request if isinstance(request, str) else request is real, context is ctx, user]

    assert (await ask(app, "/x")).json() == [True, True, "alice"]
    assert (await ask(app, "/x?bind=1")).json() == ["bound request", True, "bob"]


async def test_a_service_that_is_called_belongs_to_the_request():
    """A nested invocation shares request, response, user and `bind_request`; it has its own bindings, state, arguments."""
    registry = InterceptorRegistry(current_user=lambda request: "alice")

    class Service:
        async def work(self, n: int) -> dict[str, Any]:
            ctx = InvocationBindings.context()
            ctx.response.headers["x-service"] = str(n)
            ctx.bind_request("from service", n)
            return {
                "source": str(ctx.source),
                "path": ctx.request.url.path,
                "user": await ctx.current_user(),
                "shared": await ctx.get("shared"),
                "own": await ctx.get("own", default=None),
                "state": dict(ctx.state),
                "args": ctx.args.items(),
            }

    service = registry.intercepted(Service())
    app = app_with(registry=registry)

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("own", "route's")
        ctx.bind_request("shared", "everybody's")
        ctx.state["layer"] = True
        return await next()

    @app.get("/{n}")
    @intercept(bind)
    async def x(n: int, ctx: InvocationContext) -> Any:
        child = await asyncio.create_task(service.work(n + 1))
        return [await service.work(n), child, await ctx.get("from service"), await ctx.get("own")]

    answer = await ask(app, "/5")
    direct, child, from_service, own = answer.json()
    expected = {
        "source": "proxy",
        "path": "/5",
        "user": "alice",
        "shared": "everybody's",
        "own": None,
        "state": {},
        "args": [["n", 5]],
    }
    assert (direct, child) == (expected, {**expected, "args": [["n", 6]]})
    assert (from_service, own, answer.headers["x-service"]) == (5, "route's", "5")


async def test_invoke_with_a_source_or_another_request():
    """`registry.invoke` inside a route belongs to it, with the source it is given; `request=` starts afresh."""
    registry = InterceptorRegistry()

    class Service:
        async def look(self) -> Any:
            ctx = InvocationBindings.context()
            return [str(ctx.source), ctx.request.url.path, await ctx.get("shared", default=None)]

    app = app_with(registry=registry)

    @app.get("/x")
    async def x(ctx: InvocationContext) -> Any:
        ctx.bind_request("shared", "x's")
        other = Request({"type": "http", "method": "GET", "path": "/other", "headers": [], "query_string": b""})
        job = InvocationSource("job", "nightly")
        return [
            await registry.invoke(Service(), "look", source=job),
            await registry.invoke(Service(), "look", source=job, request=other),
            await ctx.get("shared"),
        ]

    assert (await ask(app, "/x")).json() == [["job nightly", "/x", "x's"], ["job nightly", "/other", None], "x's"]


async def test_bind_request_from_a_dependency():
    """What a dependency binds is there for layers, injection and services of this request, and of no other."""
    registry = InterceptorRegistry()

    class Service:
        async def tenant(self) -> str:
            return await InvocationBindings.context().get("tenant")

    service = registry.intercepted(Service())
    together = asyncio.Barrier(2)

    async def tenant(request: Request, tenant: str) -> None:
        bind_request(request, "tenant", tenant)
        await together.wait()

    @controller(dependencies=[Depends(tenant)])
    class C:
        def __init__(self, tenant: Annotated[str, Provide["tenant"]]) -> None:
            self.tenant = tenant

        @get("/x")
        async def x(self, ctx: InvocationContext) -> Any:
            return [self.tenant, await ctx.get("tenant"), await service.tenant()]

    app = app_with(C, registry=registry)
    answers = await asyncio.gather(ask(app, "/x?tenant=a"), ask(app, "/x?tenant=b"))
    assert [answer.json() for answer in answers] == [["a"] * 3, ["b"] * 3]


# -- the current user --------------------------------------------------------------------------------------------------


async def asynchronous_user(request: Request) -> str:
    await asyncio.sleep(0)
    return request.headers["x-user"]


class Users(containers.DeclarativeContainer):
    user = providers.Callable(lambda request: request.headers["x-user"], InvocationBindings.request)


class Who:
    """A callable object."""

    def __call__(self, request: Request) -> str:
        return request.headers["x-user"]


SOURCES: dict[str, Callable[[], dict[str, Any]]] = {
    "function": lambda: {"current_user": lambda request: request.headers["x-user"]},
    "async function": lambda: {"current_user": asynchronous_user},
    "object": lambda: {"current_user": Who()},
    "provider on the class": lambda: {"container": Users(), "current_user": Users.user},
    "provider of the instance": lambda: {"container": (users := Users()), "current_user": users.user},
    "provider of a coroutine": lambda: {
        "current_user": providers.Coroutine(asynchronous_user, InvocationBindings.request)
    },
}


def asking_app(registry: InterceptorRegistry) -> FastAPI:
    """An application whose only route says who asks, in every way there is."""

    class Service:
        async def who(self) -> Any:
            return await InvocationBindings.context().current_user()

    service = registry.intercepted(Service())
    app = app_with(registry=registry)

    @app.get("/x")
    async def x(ctx: InvocationContext, injected: Annotated[Any, Provide["current_user"]]) -> Any:
        return [injected, await ctx.current_user(), await ctx.get("current_user"), await service.who()]

    return app


@pytest.mark.parametrize("source", SOURCES)
async def test_every_source_of_the_user(source: str):
    """The registry's `current_user` may be a function, a coroutine function, an object or a provider."""
    app = asking_app(InterceptorRegistry(**SOURCES[source]()))
    for name in ("alice", "bob"):
        assert (await ask(app, "/x", headers={"x-user": name})).json() == [name] * 4


async def test_the_user_of_an_authentication_middleware():
    """Without another source it is Starlette's `scope["user"]`; its anonymous user is None, and so is no middleware."""

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> Any:
            name = conn.headers.get("x-user")
            return name and (AuthCredentials(), SimpleUser(name))

    app = app_with()
    app.add_middleware(AuthenticationMiddleware, backend=Backend())

    @app.get("/x")
    async def x(ctx: InvocationContext, injected: Annotated[Any, Provide["current_user"]]) -> Any:
        user = await ctx.current_user()
        assert user is injected
        return user and user.username

    assert [(await ask(app, "/x", headers=headers)).json() for headers in ({"x-user": "alice"}, {})] == ["alice", None]
    assert (await ask(asking_app(InterceptorRegistry()), "/x")).json() == [None] * 4


async def test_a_registrys_user_before_the_middlewares():
    """The registry's `current_user` counts before the middleware's, and what was bound before both."""

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> Any:
            return AuthCredentials(), SimpleUser("middleware")

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        if "bind" in ctx.request.query_params:
            ctx.bind_request("current_user", "bound")
        return await next()

    registry = InterceptorRegistry(current_user=lambda request: "registry")
    registry.add_global(bind, source="route")
    app = asking_app(registry)
    app.add_middleware(AuthenticationMiddleware, backend=Backend())
    assert (await ask(app, "/x")).json() == ["registry"] * 4
    assert (await ask(app, "/x?bind=1")).json() == ["bound"] * 4


async def test_an_anonymous_user_is_asked_for_once_too():
    """None is an answer: it is remembered for the request like any."""
    asked: list[str] = []

    def user(request: Request) -> None:
        asked.append(request.url.path)

    app = asking_app(InterceptorRegistry(current_user=user))
    assert (await ask(app, "/x")).json() == [None] * 4
    assert asked == ["/x"]


async def test_the_user_is_asked_once_per_request_by_all_at_once():
    """Layers, services and tasks of one request that ask at the same time share one question; the next request asks anew."""
    asked: list[str] = []
    go_on = asyncio.Event()
    waiting = asyncio.Event()

    async def user(request: Request) -> object:
        asked.append(request.query_params["n"])
        waiting.set()
        await go_on.wait()
        return f"user {request.query_params['n']}"

    registry = InterceptorRegistry(current_user=user)

    class Service:
        async def who(self) -> Any:
            return await InvocationBindings.context().current_user()

    service = registry.intercepted(Service())
    app = app_with(registry=registry)

    @app.get("/x")
    async def x(ctx: InvocationContext) -> Any:
        return await asyncio.gather(*(service.who() for _ in range(10)), ctx.current_user(), ctx.get("current_user"))

    requests = [asyncio.create_task(ask(app, f"/x?n={n}")) for n in range(3)]
    await waiting.wait()
    go_on.set()
    answers = await asyncio.gather(*requests)
    assert [answer.json() for answer in answers] == [[f"user {n}"] * 12 for n in range(3)]
    assert sorted(asked) == ["0", "1", "2"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_exception_is_not_remembered(asynchronous: bool):
    """Who asks gets the error; who asks again, asks again."""
    asked: list[int] = []

    def find(request: Request) -> str:
        asked.append(len(asked))
        if len(asked) < 3:
            raise HTTPException(401, f"attempt {len(asked)}")
        return "alice"

    async def find_later(request: Request) -> str:
        await asyncio.sleep(0)
        return find(request)

    app = app_with(registry=InterceptorRegistry(current_user=find_later if asynchronous else find))

    async def retry(ctx: InvocationContext, next: Next) -> Any:
        seen = []
        for _ in range(2):
            with pytest.raises(HTTPException) as caught:
                await ctx.current_user()
            seen.append(caught.value.detail)
        return [*seen, await ctx.current_user(), await next()]

    @app.get("/x")
    @intercept(retry)
    async def x(user: Annotated[str, Provide["current_user"]]) -> Any:
        return user

    assert (await ask(app, "/x")).json() == ["attempt 1", "attempt 2", "alice", "alice"]
    assert asked == [0, 1, 2]


async def test_a_cancelled_question_is_asked_again():
    """A task that gives up while it asks for the user does not spoil it for the others."""
    asked: list[int] = []
    started_asking = asyncio.Event()

    async def user(request: Request) -> str:
        asked.append(1)
        if len(asked) == 1:
            started_asking.set()
            await asyncio.Event().wait()
        return "alice"

    app = app_with(registry=InterceptorRegistry(current_user=user))

    @app.get("/x")
    async def x(ctx: InvocationContext) -> Any:
        first = asyncio.create_task(ctx.current_user())
        await started_asking.wait()
        second = asyncio.create_task(ctx.current_user())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return [await second, await ctx.current_user()]

    assert (await asyncio.wait_for(ask(app, "/x"), 60)).json() == ["alice", "alice"]
    assert len(asked) == 2


async def test_a_provider_that_asks_synchronously_too_early():
    """A plain call of `InvocationBindings.current_user()` before anybody awaited the user is an error that says so."""
    app = app_with(registry=InterceptorRegistry(current_user=asynchronous_user))

    @app.get("/x")
    async def x(ctx: InvocationContext) -> Any:
        with pytest.raises(UserNotResolvedError) as caught:
            InvocationBindings.current_user()
        assert str(caught.value) == (
            f"The current user of {ctx.target_name} is not known yet; `await ctx.current_user()` first."
        )
        await ctx.current_user()
        return InvocationBindings.current_user()

    assert (await ask(app, "/x", headers={"x-user": "alice"})).json() == "alice"


async def test_the_user_is_not_asked_for_if_nobody_wants_it():
    """Asking is lazy: a request whose layers do not need the user does not find out."""
    asked: list[int] = []
    registry = InterceptorRegistry(current_user=lambda request: asked.append(1))
    app = app_with(registry=registry)

    @app.get("/x")
    @intercept(layer([], "ic"))
    async def x(ctx: InvocationContext) -> None: ...

    await ask(app, "/x")
    assert asked == []


# -- nothing mixes -----------------------------------------------------------------------------------------------------


async def test_a_request_inside_a_request():
    """A handler that calls its own application in process starts an invocation of that request, not of its own."""
    registry = InterceptorRegistry(current_user=lambda request: request.query_params["user"])
    app = app_with(registry=registry)

    @app.get("/inner")
    async def inner(ctx: InvocationContext) -> Any:
        return [str(ctx.source), await ctx.current_user(), await ctx.get("shared", default=None)]

    @app.get("/outer")
    async def outer(ctx: InvocationContext) -> Any:
        ctx.bind_request("shared", "outer's")
        answer = (await ask(app, "/inner?user=inside")).json()
        return [answer, str(ctx.source), await ctx.current_user(), InvocationBindings.context() is ctx]

    assert (await ask(app, "/outer?user=outside")).json() == [
        ["route GET /inner", "inside", None],
        "route GET /outer",
        "outside",
        True,
    ]


async def test_two_registries_in_one_process():
    """Registries share nothing: neither globals nor keys nor users."""
    log: list[str] = []

    @controller()
    class C:
        @get("/x")
        @intercept("key")
        async def x(self, ctx: InvocationContext) -> Any:
            return await ctx.current_user()

    apps = []
    for name in ("one", "two"):
        registry = InterceptorRegistry(current_user=lambda request, name=name: name)
        registry.bind("key", layer(log, name))
        apps.append(app_with(C, registry=registry))
    assert [(await ask(app, "/x")).json() for app in apps] == ["one", "two"]
    assert log == ["one-pre", "one-post", "two-pre", "two-post"]


# -- mounts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2])
async def test_mounted_applications(depth: int):
    """A mounted application has its own registry, overrides, source paths and validation; the outer layers do not run."""
    log: list[str] = []

    async def value() -> str:
        return "real"

    def build(name: str) -> FastAPI:
        registry = InterceptorRegistry(current_user=lambda request: name)
        registry.add_global(layer(log, name))

        @controller(prefix="/c")
        class C:
            @get("/x")
            async def x(self, ctx: InvocationContext, value: Annotated[str, Depends(value)]) -> Any:
                return [name, value, await ctx.current_user(), str(ctx.source)]

        return app_with(C, registry=registry)

    apps = [build(f"app {level}") for level in range(depth + 1)]
    for outer, inner in zip(apps, apps[1:], strict=False):
        outer.mount("/sub", inner)
    apps[-1].dependency_overrides[value] = lambda: "fake"
    async with started(apps[0]) as client:
        assert (await client.get("/c/x")).json() == ["app 0", "real", "app 0", "route GET /c/x"]
        log.clear()
        innermost = f"app {depth}"
        expected = [innermost, "fake", innermost, "route GET /c/x"]
        assert (await client.get(f"{'/sub' * depth}/c/x")).json() == expected
        assert log == [f"{innermost}-pre", f"{innermost}-post"]


async def test_a_mount_below_an_included_router():
    """A sub-application mounted on a router that is included is reached, with its own chains."""
    log: list[str] = []
    sub, app, router = app_with(), app_with(), APIRouter()

    @sub.get("/x")
    @intercept(layer(log, "sub"))
    async def x(ctx: InvocationContext) -> str:
        return str(ctx.source)

    router.mount("/sub", sub)
    app.include_router(router, prefix="/v1")
    answer = await ask(app, "/v1/sub/x")
    if answer.status_code == 404:
        pytest.skip("this FastAPI does not mount below an included router")
    assert answer.json() == "route GET /x"
    assert log == ["sub-pre", "sub-post"]


def test_one_registry_on_two_applications():
    """One registry may serve several applications; each has its own requests."""
    log: list[str] = []
    registry = InterceptorRegistry()
    registry.add_global(layer(log, "global"))

    @controller()
    class C:
        @get("/x")
        async def x(self) -> None: ...

    first, second = app_with(C, registry=registry), app_with(C, registry=registry)
    with TestClient(first) as one, TestClient(second) as two:
        assert [client.get("/x").status_code for client in (one, two)] == [200, 200]
    assert log == ["global-pre", "global-post"] * 2


async def test_a_body_is_still_readable():
    """A layer may read the request's body after FastAPI has parsed it."""

    async def read(ctx: InvocationContext, next: Next) -> Any:
        return [(await ctx.request.json())["n"], await next()]

    app, router = FastAPI(), APIRouter(route_class=intercepted_route(InterceptorRegistry()))

    @router.post("/x")
    @intercept(read)
    async def x(n: Annotated[int, Body(embed=True)], tasks: BackgroundTasks) -> Any:
        return n

    app.include_router(router)
    assert (await ask(app, "/x", "POST", json={"n": 3})).json() == [3, 3]


async def test_contexts_end_with_the_request():
    """After a request, whatever its outcome, no invocation is current in the task that made it."""
    app = app_with()
    router = create_router(controller()(type("Empty", (), {})), app.state.interceptors)
    app.include_router(router, prefix="/empty")

    @app.get("/{what}")
    async def x(what: str) -> None:
        if what == "http":
            raise HTTPException(400)
        if what == "error":
            raise ValueError

    for path in ("/ok", "/http", "/error"):
        try:
            await ask(app, path)
        except ValueError:
            assert path == "/error"
        assert outside()
    install(app, app.state.interceptors)
