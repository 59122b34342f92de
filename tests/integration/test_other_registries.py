"""What was made with another registry would run past the globals of the application: an error, however it gets there."""

import copy
import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.routing import APIRoute

from interceptors import AlreadyInstalledError, InterceptorRegistry, InvocationContext
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, websocket
from tests.integration.support import Next, started

User = Annotated[Any, Provide["current_user"]]


async def plugin() -> str:
    return "plugin"


async def plugin_of(user: User) -> str:
    return f"plugin of {user}"


@controller()
class PluginTalk:
    @websocket("/x")
    async def talk(self, socket: WebSocket) -> None: ...


@controller()
class PluginDef:
    @get("/x")
    def plugin(self) -> str:
        return "plugin"


Add = Callable[[FastAPI, InterceptorRegistry], None]


def route_of(other: InterceptorRegistry, handler: Any = plugin) -> APIRoute:
    return intercepted_route(other)("/x", handler)


def router_of(other: InterceptorRegistry) -> APIRouter:
    router = APIRouter()
    router.routes.append(route_of(other))
    return router


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def class_for_one_route(app: FastAPI, other: InterceptorRegistry) -> None:
    app.router.add_api_route("/x", plugin, route_class_override=intercepted_route(other))


def list_of_routes(app: FastAPI, other: InterceptorRegistry) -> None:
    app.routes.insert(0, route_of(other))


def copied_route(app: FastAPI, other: InterceptorRegistry) -> None:
    app.routes.append(copy.deepcopy(route_of(other)))


def taken_from_an_application(app: FastAPI, other: InterceptorRegistry) -> None:
    part = FastAPI(openapi_url=None)
    install(part, other)
    part.get("/x")(plugin)
    app.router.routes.extend(part.routes)


def wrapped_endpoint(app: FastAPI, other: InterceptorRegistry) -> None:
    app.add_api_route("/x", wrapped(route_of(other, plugin_of).endpoint))


def partial_of_an_endpoint(app: FastAPI, other: InterceptorRegistry) -> None:
    app.add_api_route("/x", functools.partial(route_of(other, plugin_of).endpoint))


def endpoint_on_a_router(app: FastAPI, other: InterceptorRegistry) -> None:
    router = APIRouter()
    router.add_api_route("/x", route_of(other, plugin_of).endpoint)
    app.include_router(router)


def def_of_a_controller(app: FastAPI, other: InterceptorRegistry) -> None:
    app.include_router(create_router(PluginDef, other))


def talk_of_a_controller(app: FastAPI, other: InterceptorRegistry) -> None:
    app.include_router(create_router(PluginTalk, other), prefix="/v1")


def router_twice(app: FastAPI, other: InterceptorRegistry) -> None:
    router, outer = router_of(other), APIRouter()
    outer.include_router(router, prefix="/inner")
    app.include_router(outer)
    app.include_router(router)


WAYS: list[Add] = [
    class_for_one_route,
    list_of_routes,
    copied_route,
    taken_from_an_application,
    wrapped_endpoint,
    partial_of_an_endpoint,
    endpoint_on_a_router,
    def_of_a_controller,
    talk_of_a_controller,
    router_twice,
]


@pytest.mark.parametrize("routers", [True, False])
@pytest.mark.parametrize("add", WAYS)
async def test_it_stops_the_start(add: Add, routers: bool) -> None:
    """Before the installation and after it, whether routers are reached or not; of the same registry it is sound."""
    for before in (True, False):
        for same in (True, False):
            app, registry = FastAPI(), InterceptorRegistry()
            other = registry if same else InterceptorRegistry()
            if before:
                add(app, other)
            install(app, registry, routers=routers)
            if not before:
                add(app, other)
            if same:
                async with started(app):
                    pass
                continue
            with pytest.raises(AlreadyInstalledError, match=r"/x \((Plugin|plugin).*another InterceptorRegistry"):
                async with started(app):
                    pass


LATER: dict[str, Callable[[APIRouter, InterceptorRegistry], None]] = {
    "a route": lambda router, other: router.add_api_route("/x", plugin, route_class_override=intercepted_route(other)),
    "a router": lambda router, other: router.include_router(router_of(other)),
}


@pytest.mark.parametrize("routers", [True, False])
@pytest.mark.parametrize("way", LATER)
async def test_what_comes_later_on_an_included_router_is_refused(way: str, routers: bool) -> None:
    """At each request, and the others go on; the other registry's layers do not run either."""
    ran: list[str] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ran.append(str(ctx.source))
        return await next()

    app, router, other = FastAPI(), APIRouter(), InterceptorRegistry()
    other.add_global(layer)
    app.include_router(router, prefix="/v1")
    app.get("/first")(plugin)
    install(app, InterceptorRegistry(), routers=routers)
    async with started(app) as client:
        LATER[way](router, other)
        for _ in range(2):
            with pytest.raises(AlreadyInstalledError, match="/v1/x"):
                await client.get("/v1/x")
            assert (await client.get("/first")).json() == "plugin"
    assert ran == []


def test_a_route_class_of_another_registry_is_refused_at_once() -> None:
    """As the base of one's own, and as that of the application, which would be the class of all its functions."""
    other = intercepted_route(InterceptorRegistry())
    with pytest.raises(AlreadyInstalledError, match="Own runs the chain of another InterceptorRegistry"):
        intercepted_route(InterceptorRegistry(), base=type("Own", (other,), {}))
    app = FastAPI()
    app.router.route_class = other
    with pytest.raises(AlreadyInstalledError, match="another InterceptorRegistry"):
        install(app, InterceptorRegistry())
