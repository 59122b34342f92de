"""Where a request entered: `ctx.source` of a route, in the inclusion through which the request came."""

from enum import Enum
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from interceptors import InvocationContext, InvocationSource, Next
from interceptors.fastapi import RouteValue, controller, create_router, get, install, post, websocket
from tests.unit.fastapi.serving import client_of, registry_of


class Tag(Enum):
    ORDERS = "orders"


@pytest.fixture
def seen() -> list[InvocationSource]:
    return []


def looking(seen: list[Any]) -> Any:
    async def look(ctx: InvocationContext, next: Next) -> Any:
        assert ctx.source is ctx.source
        seen.append(ctx.source)
        return await next()

    return look


@controller(prefix="/orders", tags=[Tag.ORDERS])
class Orders:
    @get("/{order_id}", tags=["one"], operation_id="showOrder")
    async def show(self, order_id: int) -> None: ...

    @post("/")
    async def create(self) -> None: ...

    @websocket("/talk")
    async def talk(self) -> None: ...


def test_a_route_of_the_application(seen: list[Any]) -> None:
    """Verb, path template, operation id and tags; the text is `route GET /orders/{order_id}`."""
    app = FastAPI()
    install(app, registry_of(looking(seen)), controllers=[Orders])
    client_of(app).get("/orders/5")
    (source,) = seen

    assert source == InvocationSource("route", RouteValue("GET", "/orders/{order_id}", "showOrder", ("orders", "one")))
    assert str(source) == "route GET /orders/{order_id}"


def test_a_route_in_each_of_its_inclusions(seen: list[Any]) -> None:
    """The path has the prefixes of this inclusion, the tags those of its routers, the id that of OpenAPI."""
    router = create_router(Orders, registry_of(looking(seen)))
    between = APIRouter(prefix="/deep", tags=["between"])
    between.include_router(router)
    app = FastAPI()
    app.include_router(router, prefix="/v1")
    app.include_router(between, prefix="/v2", tags=["outer"])
    client = client_of(app)
    client.post("/v1/orders/")
    client.post("/v2/deep/orders/")
    values = [source.value for source in seen]

    assert [value.path for value in values] == ["/v1/orders/", "/v2/deep/orders/"]
    assert [value.tags for value in values] == [("orders",), ("outer", "between", "orders")]
    with pytest.warns(UserWarning, match="Duplicate Operation ID showOrder"):  # it is given once, and included twice
        paths = app.openapi()["paths"]
    assert [value.operation_id for value in values] == [paths[value.path]["post"]["operationId"] for value in values]


def test_a_websocket(seen: list[Any]) -> None:
    """The verb is WEBSOCKET, there is no operation and no tag; the path is that of the inclusion, too."""
    registry = registry_of(looking(seen))
    app = FastAPI()
    install(app, registry, controllers=[Orders])
    app.include_router(create_router(Orders, registry), prefix="/v1")
    client = client_of(app)
    for path in ("/orders/talk", "/v1/orders/talk"):
        with pytest.raises(Exception), client.websocket_connect(path):
            pass

    assert [source.value for source in seen] == [
        RouteValue("WEBSOCKET", "/orders/talk", None, ()),
        RouteValue("WEBSOCKET", "/v1/orders/talk", None, ()),
    ]


def test_a_function(seen: list[Any]) -> None:
    """A function route has a source like any other."""
    app = FastAPI()
    install(app, registry_of(looking(seen)))

    @app.put("/{name}")
    async def change(name: str) -> None: ...

    client_of(app).put("/x")

    assert str(seen[0]) == "route PUT /{name}"


async def test_without_fastapis_private_knowledge_the_route_itself_is_used(seen: list[Any]) -> None:
    """And without a route the path of the request: the source is there whatever calls the endpoint."""
    app = FastAPI()
    install(app, registry_of(looking(seen)), controllers=[Orders])
    route = next(route for route in app.routes if getattr(route, "path", "") == "/orders/{order_id}")
    for extra in ({"route": route}, {}):
        scope = {"type": "http", "method": "GET", "path": "/orders/5", "headers": [], **extra}
        await route.endpoint(_interceptors_request=Request(scope), _interceptors_response=Response(), order_id=5)

    assert [source.value for source in seen] == [
        RouteValue("GET", "/orders/{order_id}", "showOrder", ("orders", "one")),
        RouteValue("GET", "/orders/5", None, ()),
    ]


def test_globals_for_routes_run_on_routes_only() -> None:
    """The source type of every invocation that FastAPI starts is "route"."""
    ran: list[str] = []

    def note(name: str) -> Any:
        async def interceptor(ctx: InvocationContext, next: Next) -> Any:
            ran.append(name)
            return await next()

        return interceptor

    registry = registry_of(note("everywhere"))
    registry.add_global(note("route"), source="route")
    registry.add_global(note("proxy"), source="proxy")
    app = FastAPI()
    install(app, registry, controllers=[Orders])
    client_of(app).get("/orders/5")

    assert ran == ["everywhere", "route"]
