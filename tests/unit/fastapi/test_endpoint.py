"""The function that FastAPI calls for a route: what FastAPI sees of the handler, and what the layers and the handler get."""

import contextvars
import functools
import gc
import re
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.security import HTTPBearer

from interceptors import (
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    Next,
    OutsideInvocationError,
    WrongCallError,
    annotate,
    intercept,
)
from interceptors.fastapi import (
    bind_request,
    controller,
    create_router,
    get,
    install,
    intercepted_route,
    post,
    websocket,
)
from tests.unit.fastapi import postponed_routes
from tests.unit.fastapi.serving import app_of, client_of, registry_of
from tests.unit.helpers import passing


class Container(containers.DeclarativeContainer):
    greeting = providers.Object("hello")


def function_app(registry: InterceptorRegistry) -> FastAPI:
    """An application whose functions are intercepted."""
    app = FastAPI()
    install(app, registry)
    return app


def dependency(q: str = "none") -> str:
    return f"dependency {q}"


# -- what FastAPI sees -------------------------------------------------------------------------------------------------


def test_openapi_is_what_fastapi_gives_for_the_same_signature() -> None:
    """Injected parameters are not in it; names, ids, texts, bodies and models are as without interceptors."""

    def declare(app: Any) -> None:
        @app.get("/orders/{order_id}", tags=["orders"])
        async def show(order_id: int, q: str | None = None, found: str = Depends(dependency)) -> dict[str, int]:
            """Shows an order."""
            return {"id": order_id}

        @app.post("/orders", status_code=201)
        def create(order: Annotated[dict[str, int], Body()]) -> None: ...

    plain, mine = FastAPI(), FastAPI()
    install(mine, registry_of(passing))
    declare(plain)
    declare(mine)

    assert mine.openapi() == plain.openapi()


def test_injected_parameters_do_not_appear_in_openapi() -> None:
    """Neither markers nor Request, Response and InvocationContext are parameters of the operation."""

    @controller()
    class Controller:
        @get("/")
        async def show(
            self,
            amount: int,
            request: Request,
            response: Response,
            ctx: InvocationContext,
            greeting: Annotated[str, Provide["greeting"]],
            default: str = Provide["greeting"],
        ) -> None: ...

    operation = app_of(Controller).openapi()["paths"]["/"]["get"]

    assert [parameter["name"] for parameter in operation["parameters"]] == ["amount"]


def test_the_endpoint_is_the_handler_or_looks_like_it() -> None:
    """A function or an object is the endpoint itself; of a method name, module and text, for OpenAPI and telemetry."""

    @controller()
    class Controller:
        @get("/method")
        async def show(self) -> None:
            """Shows."""

    class Handler:
        async def __call__(self) -> None: ...

    async def function() -> None: ...

    app = app_of(Controller)
    app.get("/function")(function)
    handler = Handler()
    app.get("/object")(handler)
    app.get("/class-method")(Namespace.of_class)
    method, of_function, of_object, of_class = (route.endpoint for route in app.routes[-4:])

    assert (method.__name__, method.__qualname__, method.__doc__) == ("show", "Controller.show", "Shows.")
    assert (of_function, of_object, of_class) == (function, handler, Namespace.of_class)
    assert method.__module__ == __name__
    assert [route.name for route in app.routes[-4:]] == ["show", "function", "Handler", "of_class"]


@intercept(passing)
class Namespace:
    @classmethod
    async def of_class(cls) -> str:
        return cls.__name__


def test_postponed_annotations_reach_fastapi() -> None:
    """Models, dependencies and markers in a module with `from __future__ import annotations`."""
    app = app_of(postponed_routes.Controller, registry=InterceptorRegistry(Container()))
    app.post("/function")(postponed_routes.function)
    client = client_of(app)
    expected = {"name": "x", "q": "dependency", "greeting": "hello", "path": True, "args": ["item", "q"]}

    assert client.post("/", json={"name": "x"}).json() == expected | {"args": ["item", "q", "ready"], "ready": True}
    assert client.post("/function", json={"name": "x"}).json() == expected
    assert client.post("/function", json={}).status_code == 422


@pytest.mark.parametrize("handler", [postponed_routes.unknown_argument, postponed_routes.unknown_result])
def test_a_name_that_does_not_exist_is_fastapis_to_deal_with(handler: Any) -> None:
    """What cannot be evaluated reaches FastAPI as it was written, in an argument and in the result."""
    plain, mine = FastAPI(), FastAPI()
    install(mine, InterceptorRegistry())
    for app in (plain, mine):
        app.get("/")(handler)
    theirs, ours = plain.routes[-1], mine.routes[-1]

    assert ours.response_model == theirs.response_model
    assert [field.field_info.annotation for field in ours.dependant.query_params] == [
        field.field_info.annotation for field in theirs.dependant.query_params
    ]


# -- what the layers and the handler get -------------------------------------------------------------------------------


def test_ctx_args_hold_what_fastapi_parsed() -> None:
    """Path, query, body and dependency values, parsed and typed; what is assigned reaches the handler."""
    seen: list[Any] = []

    async def change(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.args.items())
        ctx.args["amount"] += 1
        ctx.args[3] = "changed"
        with pytest.raises(KeyError, match=r"Controller\.create has no argument 'request'; it has: order_id, amount"):
            ctx.args["request"]
        return await next()

    @controller()
    class Controller:
        @post("/{order_id}")
        async def create(
            self,
            order_id: int,
            request: Request,
            amount: int = 1,
            body: Annotated[dict[str, int], Body()] = None,
            found: str = Depends(dependency),
        ) -> Any:
            return [order_id, amount, body, found, request.method]

    client = client_of(app_of(Controller, registry=registry_of(change)))

    assert client.post("/5?q=x", json={"a": 1}).json() == [5, 2, {"a": 1}, "changed", "POST"]
    assert seen == [[("order_id", 5), ("amount", 1), ("body", {"a": 1}), ("found", "dependency x")]]


def test_the_context_describes_the_route() -> None:
    """Class, method, annotations, request and response."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        ctx.response.headers["x-layer"] = "set"
        ctx.response.status_code = 202
        seen.append(
            (ctx.target_class, ctx.method_name, ctx.target_name, dict(ctx.annotations), ctx.request.url.path, ctx.state)
        )
        return await next()

    @annotate(role="admin")
    @controller()
    class Controller:
        @get("/")
        async def show(self) -> None: ...

    answer = client_of(app_of(Controller, registry=registry_of(look))).get("/")

    assert seen == [(Controller, "show", "Controller.show", {"role": "admin"}, "/", {})]
    assert (answer.status_code, answer.headers["x-layer"]) == (202, "set")


def test_a_function_route_has_its_function_for_a_target() -> None:
    """And no class."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx.target, ctx.target_class, ctx.target_name))
        return await next()

    @intercept(look)
    async def show() -> None: ...

    app = function_app(InterceptorRegistry())
    app.get("/")(show)
    client_of(app).get("/")

    assert seen == [(show, None, "show")]


def test_requests_are_kept_apart() -> None:
    """Each has a context, arguments and bindings of its own."""

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("name", ctx.args["name"])
        ctx.state["name"] = ctx.args["name"]
        return await next()

    @controller()
    class Controller:
        @get("/{name}")
        async def show(self, name: str, bound: Annotated[str, Provide["name"]], ctx: InvocationContext) -> Any:
            await anyio.sleep(0)
            return [name, bound, ctx.state["name"]]

    client = client_of(app_of(Controller, registry=registry_of(bind)))

    assert [client.get(f"/{name}").json() for name in "ab"] == [["a"] * 3, ["b"] * 3]


def test_plain_handlers_run_in_the_thread_pool_with_the_layers_context() -> None:
    """A `def` method or function does not block the loop, and sees the context variables that layers set."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    loop_threads: list[int] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        loop_threads.append(threading.get_ident())
        variable.set("set by a layer")
        return await next()

    @controller()
    class Controller:
        @get("/method")
        def method(self, amount: int, greeting: Annotated[str, Provide["greeting"]]) -> Any:
            return [amount, greeting, variable.get(), threading.get_ident(), InvocationBindings.request().url.path]

    app = app_of(Controller, registry=registry_of(layer, container=Container()))

    @app.get("/function")
    def function(amount: int, greeting: Annotated[str, Provide["greeting"]]) -> Any:
        return [amount, greeting, variable.get(), threading.get_ident(), InvocationBindings.request().url.path]

    client = client_of(app)
    for path in ("/method", "/function"):
        found = client.get(f"{path}?amount=2").json()
        assert found[:3] + found[4:] == [2, "hello", "set by a layer", path]
        assert found[3] != loop_threads[-1]


def test_positional_only_parameters_reach_the_handler() -> None:
    """FastAPI gives everything by name; the handler gets it as it declares it."""

    @controller()
    class Controller:
        @get("/")
        async def show(self, first: int, second: int = 2, /, third: int = 3) -> Any:
            return [first, second, third]

    client = client_of(app_of(Controller))

    assert client.get("/?first=1").json() == [1, 2, 3]
    assert client.get("/?first=1&second=5&third=6").json() == [1, 5, 6]


def test_an_exception_leaves_the_chain_as_it_is() -> None:
    """Layers see it; FastAPI's handlers make the answer of what leaves the chain."""
    seen: list[Exception] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        try:
            return await next()
        except Exception as error:
            seen.append(error)
            raise

    error = HTTPException(418, "teapot")

    @controller()
    @intercept(look)
    class Controller:
        @get("/")
        async def show(self, fail: bool = True) -> None:
            raise error

    client = client_of(app_of(Controller))

    assert (client.get("/").status_code, seen) == (418, [error])
    assert client.get("/?fail=wrong").status_code == 422
    assert len(seen) == 1


def test_background_tasks_run_outside_the_invocation() -> None:
    """They may use what they were given; `InvocationBindings` say that nothing runs."""
    ran: list[Any] = []

    def task(word: str) -> None:
        ran.append(word)
        with pytest.raises(OutsideInvocationError):
            InvocationBindings.request()

    @controller()
    class Controller:
        @get("/")
        async def show(self, tasks: BackgroundTasks) -> None:
            tasks.add_task(task, "ran")

    client_of(app_of(Controller, registry=registry_of(passing))).get("/")

    assert ran == ["ran"]


@controller()
class Called:
    @get("/coroutine")
    async def coroutine(self, first: int, second: int = 2) -> list[int]:
        return [first, second]

    @get("/plain")
    def plain(self, first: int, second: int = 2) -> list[int]:
        return [first, second]

    @get("/items")
    async def items(self, first: int, second: int = 2) -> AsyncIterator[int]:
        yield first
        yield second

    @get("/generator")
    def generator(self, first: int, second: int = 2) -> Iterator[int]:
        yield from (first, second)

    @websocket("/talk")
    async def talk(self, socket: WebSocket, first: int, second: int = 2) -> None:
        raise RuntimeError(socket, first, second)


@pytest.mark.parametrize("name", ["coroutine", "plain", "items", "generator", "talk"])
async def test_the_endpoint_of_a_method_may_be_called_as_the_method_is(name: str) -> None:
    """By position and by name, defaults filled in, through the chain; wrong arguments are a TypeError."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx.request, dict(ctx.args.items())))
        return await next()

    router = create_router(Called, registry_of(look))
    [endpoint] = [route.endpoint for route in router.routes if route.path == f"/{name}"]  # type: ignore[attr-defined]
    first = {"socket": "a socket"} if name == "talk" else {}

    async def called(*args: Any, **kwargs: Any) -> Any:
        if name in ("items", "generator"):
            return [item async for item in endpoint(*args, **kwargs)]
        try:
            return await endpoint(*args, **kwargs)
        except RuntimeError as error:
            return [*error.args[1:]]

    assert await called(*first.values(), 1) == [1, 2]
    assert await called(**first, second=4, first=3) == [3, 4]
    assert seen == [(None, {**first, "first": 1, "second": 2}), (None, {**first, "first": 3, "second": 4})]
    with pytest.raises(TypeError):
        await called(*first.values(), other=1)


@pytest.mark.parametrize("name", ["coroutine", "plain", "items", "generator"])
def test_the_endpoint_of_a_method_may_be_wrapped_by_a_plain_function(name: str) -> None:
    """With `functools.wraps`, on an application that knows nothing of us: FastAPI calls it as what it is."""
    ran: list[str] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ran.append(ctx.target_name)
        return await next()

    router = create_router(Called, registry_of(layer))
    [endpoint] = [route.endpoint for route in router.routes if route.path == f"/{name}"]  # type: ignore[attr-defined]

    @functools.wraps(endpoint)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return endpoint(*args, **kwargs)

    app = FastAPI()
    app.get("/")(wrapper)
    answer = client_of(app).get("/?first=1")

    assert answer.text == ("1\n2\n" if name in ("items", "generator") else "[1,2]")
    assert ran == [f"Called.{name}"]


# -- bind_request ------------------------------------------------------------------------------------------------------


def test_a_dependency_may_bind_for_the_whole_request() -> None:
    """A security scheme that knows the user says so to every invocation of the request."""
    scheme = HTTPBearer()

    async def authenticate(request: Request, token: Any = Depends(scheme)) -> None:
        bind_request(request, "current_user", f"user {token.credentials}")
        bind_request(request, "tenant", "acme")

    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((await ctx.current_user(), await ctx.get("tenant")))
        return await next()

    def never(request: Any) -> Any:
        raise AssertionError

    @controller(dependencies=[Depends(authenticate)])
    @intercept(look)
    class Controller:
        @get("/")
        async def show(self, user: Annotated[str, Provide["current_user"]]) -> str:
            return user

    app = app_of(Controller, registry=InterceptorRegistry(current_user=never))
    client = client_of(app)

    assert client.get("/", headers={"Authorization": "Bearer x"}).json() == "user x"
    assert seen == [("user x", "acme")]
    assert client.get("/").status_code == 401
    assert app.openapi()["paths"]["/"]["get"]["security"] == [{"HTTPBearer": []}]


@pytest.mark.parametrize("thing", [None, "a request", {"type": "http"}], ids=repr)
def test_bind_request_takes_a_request(thing: Any) -> None:
    """Anything without an ASGI scope is refused."""
    text = (
        f'bind_request takes the Request or the WebSocket first, not {thing!r}: bind_request(request, "tenant", tenant)'
    )
    with pytest.raises(WrongCallError, match=f"^{re.escape(text)}$"):
        bind_request(thing, "key", 1)


def test_a_nested_invocation_belongs_to_the_request() -> None:
    """A service called through a proxy finds the request, the response, the user and what was bound."""
    registry = InterceptorRegistry(current_user=lambda request: request.headers["x-user"])

    class Service:
        async def work(self, ctx: InvocationContext) -> Any:
            ctx.response.headers["x-inner"] = "set inside"
            return [ctx.request.url.path, await ctx.current_user(), await ctx.get("tenant")]

    service = registry.intercepted(Service())

    @controller()
    class Controller:
        @get("/")
        async def show(self, ctx: InvocationContext) -> Any:
            ctx.bind_request("tenant", "acme")
            return await service.work()

    answer = client_of(app_of(Controller, registry=registry)).get("/", headers={"x-user": "alice"})

    assert answer.json() == ["/", "alice", "acme"]
    assert answer.headers["x-inner"] == "set inside"


def test_what_changes_in_the_registry_takes_effect_at_the_next_request() -> None:
    """Chains are computed anew after a change."""
    registry = InterceptorRegistry()
    router = APIRouter(route_class=intercepted_route(registry))

    @router.get("/")
    async def show() -> str:
        return "shown"

    async def tag(ctx: InvocationContext, next: Next) -> Any:
        return f"tagged {await next()}"

    app = FastAPI()
    app.include_router(router)
    client = client_of(app)

    assert client.get("/").json() == "shown"
    registry.add_global(tag)
    assert client.get("/").json() == "tagged shown"
    registry.remove_global(tag)
    assert client.get("/").json() == "shown"


async def test_the_context_of_a_request_is_freed_at_once() -> None:
    """No reference cycle is left of a request: with the collector off the context goes with the answer, or the error."""
    contexts: list[weakref.ref[Any]] = []

    async def watch(ctx: InvocationContext, next: Next) -> Any:
        contexts.append(weakref.ref(ctx))
        ctx.bind("key", 1)
        ctx.bind_request("key", 1)
        ctx.state["args"] = list(ctx.args)
        ctx.state["source"] = str(ctx.source)
        await ctx.current_user()
        return await next()

    @controller()
    class Controller:
        def __init__(self, greeting: Annotated[str, Provide["greeting"]]) -> None: ...

        @get("/")
        async def show(self, fail: bool, key: Annotated[int, Provide["key"]]) -> Response:
            if fail:
                raise HTTPException(404)
            return Response()

    registry = registry_of(watch, container=Container(), current_user=lambda request: "alice")
    endpoint = app_of(Controller, registry=registry).routes[-1].endpoint

    async def call(*, fail: bool) -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await endpoint(_interceptors_request=Request(scope), _interceptors_response=Response(), fail=fail)

    gc.collect()
    gc.disable()
    try:
        await call(fail=False)
        try:
            await call(fail=True)
        except HTTPException:
            pass
        assert [ref() for ref in contexts] == [None, None]
    finally:
        gc.enable()
