"""The types of `interceptors.fastapi`: verbs and `controller` keep what they decorate."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, assert_type

from dependency_injector import providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from interceptors import InterceptorRegistry, InvocationContext, Next, intercept
from interceptors.fastapi import (
    RouteContext,
    RouteValue,
    WebSocketContext,
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
    websocket,
)


async def log(ctx: InvocationContext, next: Next) -> object:
    return await next()


def dependency() -> str:
    return ""


class Repository: ...


@controller(
    prefix="/orders",
    tags=["orders"],
    dependencies=[Depends(dependency)],
    default_response_class=JSONResponse,
    route_class=APIRoute,
    model="order",
)
@intercept(log)
class OrderController:
    def __init__(self, orders: Annotated[Repository, Provide["orders"]]) -> None:
        self.orders = orders

    @get("/{order_id}", status_code=200, response_model=None, tags=["one"])
    @intercept("caching")
    async def show(self, order_id: int, found: Annotated[str, Depends(dependency)]) -> list[str]:
        return [found]

    @post("/")
    @put("/")
    @patch("/")
    @delete("/")
    @head("/")
    @options("/")
    def change(self, amount: int = 1) -> dict[str, int]:
        return {"amount": amount}

    @get("/static")
    @staticmethod
    async def static(amount: int) -> bytes:
        return b""

    @get("/stream")
    async def stream(self) -> AsyncIterator[int]:
        yield 1

    @websocket("/talk", name="talk", dependencies=[Depends(dependency)])
    async def talk(self, socket: WebSocket) -> None:
        await socket.accept()


async def methods(orders: OrderController, socket: WebSocket) -> None:
    assert_type(OrderController(Repository()), OrderController)
    assert_type(await orders.show(1, "found"), list[str])
    assert_type(orders.change(amount=2), dict[str, int])
    assert_type(await OrderController.static(1), bytes)
    assert_type(orders.stream(), AsyncIterator[int])
    assert_type(await orders.talk(socket), None)
    OrderController()  # type: ignore[call-arg]
    await orders.show("1", "found")  # type: ignore[arg-type]
    await orders.show(1)  # type: ignore[call-arg]


def wrong() -> None:
    get(5)  # type: ignore[arg-type]
    get("/", status="200")  # type: ignore[call-arg]
    post("/", status_code="200")  # type: ignore[arg-type]
    websocket("/", status_code=200)  # type: ignore[call-arg]
    controller("/orders")  # type: ignore[call-arg]
    controller(prefix=5)  # type: ignore[arg-type]
    controller(middleware=[])  # type: ignore[call-arg]


def application(app: FastAPI, registry: InterceptorRegistry) -> None:
    install(app, registry)
    install(app, registry, controllers=[OrderController])
    assert_type(create_router(OrderController, registry), APIRouter)
    assert_type(create_router(OrderController, registry, provider=providers.Factory(OrderController)), APIRouter)
    assert_type(intercepted_route(registry), type[APIRoute])
    assert_type(intercepted_route(registry, base=APIRoute), type[APIRoute])
    install(app)  # type: ignore[call-arg]
    install(registry, app)  # type: ignore[arg-type]
    create_router(OrderController(Repository()), registry)  # type: ignore[arg-type]
    intercepted_route(registry, base=OrderController)  # type: ignore[arg-type]


def requests(request: Request, socket: WebSocket) -> None:
    bind_request(request, "current_user", "alice")
    bind_request(socket, "tenant", 5)
    bind_request("request", "key", 5)  # type: ignore[arg-type]


def route_values(value: RouteValue) -> None:
    assert_type((value.verb, value.path), tuple[str, str])
    assert_type(value.operation_id, str | None)
    assert_type(value.tags, tuple[str, ...])
    anything: Any = value
    assert_type(anything, Any)


async def of_routes(ctx: RouteContext, next: Next) -> object:
    assert_type(ctx.request, Request)
    assert_type(ctx.response, Response)
    ctx.response.status_code = 201
    ctx.response.hedders["x"] = "misspelt"  # type: ignore[attr-defined]
    ctx.request.hedders  # type: ignore[attr-defined]
    return await next()


async def of_sockets(ctx: WebSocketContext, next: Next) -> object:
    assert_type(ctx.request, WebSocket)
    assert_type(ctx.response, None)
    await ctx.request.send_tekst("misspelt")  # type: ignore[attr-defined]
    return await next()


intercept(of_routes, of_sockets)(OrderController)
