"""What is injected into controllers, interceptors and handlers on routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, Provider, as_, as_float, as_int, invariant, provided, required
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, Response, WebSocket
from fastapi.testclient import TestClient
from starlette import requests as starlette_requests
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from typing_extensions import TypeAliasType

import interceptors
from interceptors import InterceptorRegistry, InvocationBindings, InvocationContext, UnknownKeyError, intercept
from interceptors.fastapi import controller, create_router, get, intercepted_route, websocket
from tests.integration.support import Next, app_with, ask, place

if TYPE_CHECKING:
    from somewhere.repositories import OrderRepository
    from somewhere.settings import Settings as Configuration

Orders = Annotated["OrderRepository", Provide["orders"]]
MaybeOrders = Annotated[Optional["OrderRepository"], Provide["orders"]]
OrdersAlias = TypeAliasType("OrdersAlias", Annotated["OrderRepository", Provide["orders"]])
RequestAlias = TypeAliasType("RequestAlias", Request)


class Nested(containers.DeclarativeContainer):
    deep = providers.Object("deep")


class Service:
    """A service with parts to take out."""

    def __init__(self, orders: str) -> None:
        self.orders = orders
        self.parts = {"one": 1}

    def double(self) -> str:
        return self.orders * 2


class Container(containers.DeclarativeContainer):
    config = providers.Configuration()
    orders = providers.Object("orders")
    which = providers.Object("level")
    nested = providers.Container(Nested)
    service = providers.Factory(Service, orders)
    singleton = providers.Singleton(Service, orders)


def container() -> Container:
    made = Container()
    made.config.from_dict({"size": "12", "rate": "1.5", "level": {"name": "deep"}, "by": {"level": "chosen"}})
    return made


class EveryMarker:
    """An interceptor with a constructor of markers."""

    def __init__(
        self,
        key: Annotated[str, Provide["orders"]],
        on_class: Annotated[str, Provide[Container.orders]],
        dotted: Annotated[str, Provide["nested.deep"]],
        nested: Annotated[str, Provide[Container.nested.deep]],
        as_number: Annotated[int, Provide["config.size", as_int()]],
        default_style: str = Provide["orders"],
        plain_default: int = 3,
    ) -> None:
        self.values = [key, on_class, dotted, nested, as_number, default_style, plain_default]

    async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
        return [self.values, *(await next())]


@controller()
class Everything:
    """A controller with every marker, in the constructor and in a method."""

    def __init__(
        self,
        key: Annotated[str, Provide["orders"]],
        on_class: Annotated[str, Provide[Container.orders]],
        dotted: Annotated[str, Provide["nested.deep"]],
        nested: Annotated[str, Provide[Container.nested.deep]],
        as_number: Annotated[int, Provide["config.size", as_int()]],
        default_style: str = Provide["orders"],
        plain_default: int = 3,
    ) -> None:
        self.values = [key, on_class, dotted, nested, as_number, default_style, plain_default]

    @get("/x")
    @intercept(EveryMarker)
    async def x(
        self,
        n: int,
        key: Annotated[str, Provide["orders"]],
        on_class: Annotated[str, Provide[Container.orders]],
        dotted: Annotated[str, Provide["nested.deep"]],
        nested: Annotated[str, Provide[Container.nested.deep]],
        as_number: Annotated[int, Provide["config.size", as_int()]],
        default_style: str = Provide["orders"],
        plain_default: int = 3,
    ) -> Any:
        return [self.values, [key, on_class, dotted, nested, as_number, default_style, plain_default]]


async def test_markers_in_every_place():
    """Keys, dotted keys, providers of the class, modifiers, defaults: in interceptors, controllers and methods alike."""
    app = app_with(Everything, registry=InterceptorRegistry(container()))
    values = ["orders", "orders", "deep", "deep", 12, "orders", 3]
    assert (await ask(app, "/x?n=1")).json() == [values, values, values]
    names = [parameter["name"] for parameter in app.openapi()["paths"]["/x"]["get"]["parameters"]]
    assert names == ["n", "plain_default"]


async def test_modifiers_and_parts():
    """`as_int()`, `as_float()`, `as_()`, `required()`, `invariant()`, `provided()` and parts of a configuration work."""
    app = app_with(registry=InterceptorRegistry(container()))

    @app.get("/x")
    async def x(
        size: Annotated[int, Provide["config.size", as_int()]],
        rate: Annotated[float, Provide[Container.config.rate, as_float()]],
        text: Annotated[list[str], Provide["config.size", as_(list)]],
        needed: Annotated[str, Provide["config.level.name", required()]],
        chosen: Annotated[str, Provide["config.by", invariant("which")]],
        double: Annotated[str, Provide["service", provided().double.call()]],
        part: Annotated[int, Provide[Container.service.provided.parts["one"]]],
    ) -> Any:
        return [size, rate, text, needed, chosen, double, part]

    assert (await ask(app, "/x")).json() == [12, 1.5, ["1", "2"], "deep", "chosen", "ordersorders", 1]


async def test_providers_themselves():
    """`Provider[...]` gives the provider, of the registry's container; a bound key gives something that can be called."""
    made = container()
    app = app_with(registry=InterceptorRegistry(made))

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("bound", "b")
        return await next()

    @app.get("/x")
    @intercept(bind)
    async def x(
        factory: Annotated[Callable[[], Service], Provider["service"]],
        on_class: Annotated[Callable[[], Service], Provider[Container.singleton]],
        bound: Annotated[Callable[[], str], Provider["bound"]],
        default: Callable[[], Service] = Provider["service"],
    ) -> Any:
        assert factory() is not factory()
        return [factory().orders, on_class() is made.singleton(), bound(), default().orders]

    assert (await ask(app, "/x")).json() == ["orders", True, "b", "orders"]


async def test_special_types_in_every_spelling():
    """`Request`, `Response`, `InvocationContext`, their subclasses, aliases, unions and qualified names are injected."""

    class OwnRequest(Request):
        pass

    class Layer:
        def __init__(self, request: Request, response: Response, ctx: InvocationContext) -> None:
            self.seen = [request.url.path, response is ctx.response]

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return [self.seen, *(await next())]

    @controller()
    class C:
        def __init__(self, request: Request | None, response: Optional[Response], ctx: InvocationContext) -> None:
            self.seen = [request.url.path, response is ctx.response]

        @get("/x")
        @intercept(Layer)
        async def x(
            self,
            request: Request,
            starlette: StarletteRequest,
            qualified: starlette_requests.Request,
            optional: Request | None,
            old_optional: Optional[Request],
            union: Union[Request, None],
            annotated: Annotated[Request, "a note"],
            alias: RequestAlias,
            ctx: InvocationContext,
            qualified_ctx: interceptors.InvocationContext,
            maybe_ctx: InvocationContext | None,
            response: Response,
            other_response: StarletteResponse,
            sub_response: JSONResponse,
            defaulted: Request = None,
        ) -> Any:
            requests = (starlette, qualified, optional, old_optional, union, annotated, alias, defaulted, ctx.request)
            contexts = (qualified_ctx, maybe_ctx, InvocationBindings.context())
            responses = (other_response, sub_response, ctx.response)
            return [
                self.seen,
                [each is request for each in requests],
                [each is ctx for each in contexts],
                [each is response for each in responses],
                len(ctx.args),
            ]

    app = app_with(C)
    assert (await ask(app, "/x")).json() == [["/x", True], ["/x", True], [True] * 9, [True] * 3, [True] * 3, 0]
    assert "parameters" not in app.openapi()["paths"]["/x"]["get"]


async def test_names_that_exist_for_type_checkers_only():
    """They may stand in an injected parameter's annotation: direct, in an alias, in `X | None`, in a generic."""

    class Layer:
        def __init__(self, orders: Annotated[OrderRepository, Provide["orders"]], alias: Orders) -> None:
            self.values = [orders, alias]

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return [*self.values, *(await next())]

    @controller()
    class C:
        def __init__(self, orders: Annotated[OrderRepository | None, Provide["orders"]]) -> None:
            self.orders = orders

        @get("/x")
        @intercept(Layer)
        async def x(
            self,
            direct: Annotated[OrderRepository, Provide["orders"]],
            union: Annotated[OrderRepository | None, Provide["orders"]],
            nested: Annotated[list[OrderRepository], Provide["orders"]],
            function: Annotated[Callable[[OrderRepository], Configuration], Provide["orders"]],
            member: Annotated[Configuration.Inner, Provide["orders"]],
            alias: Orders,
            maybe: MaybeOrders,
            statement: OrdersAlias,
            n: int = 3,
            default: OrderRepository = Provide["orders"],
            defaulted_union: OrderRepository | None = Provide["orders"],
        ) -> Any:
            values = [direct, union, nested, function, member, alias, maybe, statement, default, defaulted_union]
            return [self.orders, *values, n]

    app = app_with(C, registry=InterceptorRegistry(container()))
    assert (await ask(app, "/x?n=4")).json() == [*["orders"] * 13, 4]
    names = [parameter["name"] for parameter in app.openapi()["paths"]["/x"]["get"]["parameters"]]
    assert names == ["n"]


async def test_parameters_of_functions_on_every_router():
    """Functions on the application before and after `install`, and on an intercepted router, are injected alike."""
    registry = InterceptorRegistry(container())
    app, router = app_with(registry=registry), APIRouter(route_class=intercepted_route(registry))

    @app.get("/app")
    @router.get("/router")
    def function(orders: Annotated[str, Provide["orders"]], request: Request, n: int = 1) -> Any:
        return [orders, request.url.path, n]

    app.include_router(router)
    assert [(await ask(app, path)).json() for path in ("/app", "/router?n=2")] == [
        ["orders", "/app", 1],
        ["orders", "/router", 2],
    ]


async def test_when_parameters_are_resolved():
    """Method parameters after the layers outside have run, interceptors' constructors at their turn, in order."""
    log: list[str] = []

    def note(name: str) -> str:
        log.append(name)
        return name

    class Noting(containers.DeclarativeContainer):
        parameter = providers.Callable(note, "parameter")
        construct = providers.Callable(note, "controller")
        inner = providers.Callable(note, "inner constructor")

    async def outer(ctx: InvocationContext, next: Next) -> Any:
        log.append("outer")
        ctx.bind("seen", "bound outside")
        return await next()

    class Inner:
        def __init__(self, inner: Annotated[str, Provide["inner"]], seen: Annotated[str, Provide["seen"]]) -> None:
            self.seen = seen

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            log.append(f"inner {self.seen}")
            ctx.bind("seen", "bound further in")
            return await next()

    @controller()
    @intercept(outer, Inner)
    class C:
        def __init__(self, construct: Annotated[str, Provide["construct"]]) -> None: ...

        @get("/x")
        async def x(
            self, parameter: Annotated[str, Provide["parameter"]], seen: Annotated[str, Provide["seen"]]
        ) -> Any:
            return seen

    assert (await ask(app_with(C, registry=InterceptorRegistry(Noting())), "/x")).json() == "bound further in"
    assert log == ["outer", "inner constructor", "inner bound outside", "controller", "parameter"]


async def test_a_class_is_built_for_every_invocation():
    """An interceptor class is new for each invocation; an object and a singleton provider are not."""
    built: list[str] = []

    class Layer:
        def __init__(self) -> None:
            built.append("built")

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return await next()

    class Layers(containers.DeclarativeContainer):
        factory = providers.Factory(Layer)
        singleton = providers.Singleton(Layer)

    for interceptor, expected in ((Layer, 3), (Layer(), 0), ("factory", 3), ("singleton", 1), (Layers.singleton, 1)):
        app = app_with(registry=InterceptorRegistry(Layers()))
        built.clear()

        @app.get("/x")
        @intercept(interceptor)
        async def x() -> None: ...

        for _ in range(3):
            await ask(app, "/x")
        assert len(built) == expected


async def test_an_injected_key_without_a_value():
    """A key that neither a layer nor the container has is an error when its turn comes: who asked, and what is alike."""

    @controller()
    class C:
        def __init__(self, ordres: Annotated[str, Provide["ordres"]]) -> None: ...

        @get("/x")
        async def x(self) -> None: ...

    app = app_with(C, registry=InterceptorRegistry(container()))
    with pytest.raises(UnknownKeyError) as caught:
        await ask(app, "/x")
    assert (caught.value.key, caught.value.nearest[0]) == ("ordres", "orders")
    assert str(caught.value).startswith(
        "No key 'ordres' is bound (asked for by the parameter 'ordres' of C.__init__). Did you mean 'orders'"
    )


async def test_everything_that_takes_an_await():
    """Async providers and providers on the current user, mixed with plain ones, in constructor and parameters."""

    async def connect() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield "connection"

    class Async(containers.DeclarativeContainer):
        connection = providers.Resource(connect)
        repository = providers.Factory(Service, connection)
        mine = providers.Factory(Service, InvocationBindings.current_user)
        plain = providers.Object("plain")

    async def user(request: Request) -> str:
        await asyncio.sleep(0)
        return "alice"

    @controller()
    class C:
        def __init__(
            self, repository: Annotated[Service, Provide["repository"]], plain: Annotated[str, Provide["plain"]]
        ) -> None:
            self.values = [repository.orders, plain]

        @get("/async/{n}")
        async def asynchronous(
            self, n: int, mine: Annotated[Service, Provide["mine"]], plain: Annotated[str, Provide["plain"]], /
        ) -> Any:
            return [*self.values, mine.orders, plain, n]

        @get("/sync/{n}")
        def sync(self, n: int, mine: Annotated[Service, Provide["mine"]]) -> Any:
            return [*self.values, mine.orders, n]

        @get("/items/{n}")
        def items(self, n: int, mine: Annotated[Service, Provide["mine"]]) -> Iterator[Any]:
            yield [*self.values, mine.orders, n]

    made = Async()
    app = app_with(C, registry=InterceptorRegistry(made, current_user=user))
    for _ in range(2):
        assert (await ask(app, "/async/1")).json() == ["connection", "plain", "alice", "plain", 1]
        assert (await ask(app, "/sync/2")).json() == ["connection", "plain", "alice", 2]
        assert (await ask(app, "/items/3")).text == '["connection","plain","alice",3]\n'
    closing: Any = made.shutdown_resources()
    await closing


def test_injection_in_a_websocket():
    """A WebSocket method may have markers and a context; its `Request`-typed parameter is the WebSocket."""

    @controller()
    class C:
        def __init__(self, orders: Orders) -> None:
            self.orders = orders

        @websocket("/ws")
        async def ws(
            self,
            socket: WebSocket,
            alias: OrdersAlias,
            ctx: InvocationContext,
            deep: Annotated[str, Provide["nested.deep"]],
        ) -> None:
            await socket.accept()
            await socket.send_json([self.orders, alias, deep, ctx.request is socket])
            await socket.close()

    app = FastAPI()
    app.include_router(create_router(C, InterceptorRegistry(container())))
    with TestClient(app) as client, client.websocket_connect("/ws") as session:
        assert session.receive_json() == ["orders", "orders", "deep", True]


async def test_background_tasks_are_fastapis_own():
    """`BackgroundTasks` stay FastAPI's: they are an argument that layers see."""
    log: list[str] = []

    async def add(ctx: InvocationContext, next: Next) -> Any:
        ctx.args["tasks"].add_task(log.append, "from the layer")
        return await next()

    @controller()
    @intercept(add)
    class C:
        @get("/x")
        async def x(self, tasks: BackgroundTasks) -> None:
            tasks.add_task(log.append, "from the handler")

    assert (await ask(app_with(C), "/x")).status_code == 200
    assert log == ["from the layer", "from the handler"]


def test_a_container_class_is_no_container():
    """A registry wants an instance: the class is refused with the call to write."""
    with pytest.raises(TypeError) as caught:
        InterceptorRegistry(Container)  # type: ignore[arg-type]
    assert str(caught.value) == "`container` is the class Container; give an instance: Container()"
    assert place(Container)
