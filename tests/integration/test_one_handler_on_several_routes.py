"""A function on several routes: what is called with it for one of them must not count for all."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from interceptors import InterceptorRegistry, InvalidTargetError, annotate, intercept
from interceptors.fastapi import install, intercepted_route


async def plain() -> str:
    return "plain"


async def asking(context: Annotated[Any, Provide["context"]]) -> str:
    """Has a parameter that FastAPI must not see, so that the route is given something else."""
    return "asking"


def thread() -> str:
    return "thread"


def copy_of(function: Callable[..., Any]) -> Any:
    """Another function each time, as what decorators record stays on it."""
    return type(function)(function.__code__, function.__globals__, function.__name__, function.__defaults__)


def made(function: Any) -> Any:
    handler = copy_of(function)
    handler.__annotations__ = dict(function.__annotations__)
    return handler


def allowing(role: str) -> Any:
    async def allow(ctx: Any, next: Any) -> Any:
        ctx.response.headers.append("x-role", role)
        return await next()

    return allow


def application(register_on: str) -> tuple[FastAPI, Any]:
    app, registry = FastAPI(), InterceptorRegistry()
    install(app, registry)
    router = APIRouter(route_class=intercepted_route(registry))
    return app, router if register_on == "router" else app


def answers(app: FastAPI, *paths: str) -> list[Any]:
    with TestClient(app) as client:
        return [(answer.status_code, answer.headers.get_list("x-role")) for answer in map(client.get, paths)]


@pytest.mark.parametrize("register_on", ["app", "router"])
@pytest.mark.parametrize("handler", [plain, asking, thread])
def test_a_loop_that_decorates_the_handler_for_each_route_is_refused(handler: Any, register_on: str) -> None:
    app, router = application(register_on)
    handler = made(handler)
    for path in ("/admin", "/clerk"):
        router.get(path)(intercept(allowing(path))(handler))
    if router is not app:
        app.include_router(router)
    with pytest.raises(InvalidTargetError, match="stands in 2 places.*GET /admin; GET /clerk"):
        answers(app, "/admin", "/clerk")


def test_so_is_whatever_else_decorates_it_for_one_of_them() -> None:
    app, _ = application("app")
    handler = made(plain)
    app.get("/open")(handler)
    app.get("/admin")(annotate(role="admin")(handler))
    with pytest.raises(InvalidTargetError, match="GET /admin; GET /open"):
        answers(app, "/admin")


@pytest.mark.parametrize("handler", [plain, asking, thread])
def test_what_was_called_with_it_before_counts_for_all(handler: Any) -> None:
    app, _ = application("app")
    handler = intercept(allowing("both"))(made(handler))
    app.get("/admin")(handler)
    app.post("/admin")(handler)
    app.get("/clerk")(handler)
    assert answers(app, "/admin", "/clerk") == [(200, ["both"]), (200, ["both"])]


@pytest.mark.parametrize("handler", [plain, asking])
def test_one_route_is_one_place_however_often_its_router_is_included(handler: Any) -> None:
    app, router = application("router")
    router.get("/x")(intercept(allowing("admin"))(made(handler)))
    app.include_router(router, prefix="/one")
    app.include_router(router, prefix="/other")
    assert answers(app, "/one/x", "/other/x") == [(200, ["admin"])] * 2
