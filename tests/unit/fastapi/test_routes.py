"""A route class that runs the chain around functions: on a router, on the application, over a class of one's own."""

import functools
import re
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute

from interceptors import InjectionError, InterceptorRegistry, InvocationContext, Next, intercept
from interceptors.fastapi import controller, get, install, intercepted_route
from tests.unit.fastapi.serving import client_of, registry_of
from tests.unit.helpers import place, recording


class Timed(APIRoute):
    """A route class of somebody's own, which changes the answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made = f"made for {self.path}"

    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def timed(request: Request) -> Any:
            response = await handler(request)
            response.headers["x-timed"] = self.made
            return response

        return timed


async def tag(ctx: InvocationContext, next: Next) -> Any:
    return f"tagged {await next()}"


def test_functions_of_a_router_are_intercepted() -> None:
    """Globals and what stands on the function, for `async def` and `def`; injected parameters, too."""

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("word", "bound")
        return await next()

    registry = registry_of(tag, bind)
    router = APIRouter(route_class=intercepted_route(registry))

    @router.get("/async")
    @intercept(tag)
    async def asynchronous(word: Annotated[str, Provide["word"]]) -> str:
        return f"async {word}"

    @router.get("/plain")
    def plain(word: Annotated[str, Provide["word"]]) -> str:
        return f"plain {word}"

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    client = client_of(app)

    assert client.get("/v1/async").json() == "tagged async bound"
    assert client.get("/v1/plain").json() == "tagged plain bound"


@pytest.mark.parametrize("is_on_router", [True, False])
def test_an_injected_parameter_that_fastapi_took_for_the_clients_stops_the_start(is_on_router: bool) -> None:
    """The function was declared before `install`, or on a plain router; the client could give what is injected."""
    app, router = FastAPI(), APIRouter()

    async def handler(first: int, word: Annotated[str, Provide["word"]]) -> None: ...

    (router if is_on_router else app).get("/")(handler)
    app.include_router(router)
    install(app, InterceptorRegistry())
    text = (
        f"The parameter 'word' of handler ({place(handler)}) is to be injected, but FastAPI has read it as a parameter "
    )
    with (
        pytest.raises(InjectionError, match=f"^{re.escape(text)}of the request. Call install") as caught,
        client_of(app),
    ):
        pass
    assert caught.value.parameter == "word"


def test_the_order_of_decorators_does_not_matter() -> None:
    """`@intercept` may stand above the route decorator: what is recorded is read when the chain is computed."""
    router = APIRouter(route_class=intercepted_route(InterceptorRegistry()))

    @intercept(tag)
    @router.get("/")
    async def show() -> str:
        return "shown"

    app = FastAPI()
    app.include_router(router)

    assert client_of(app).get("/").json() == "tagged shown"


def test_a_route_class_of_ones_own_keeps_working() -> None:
    """`base=` is extended, on a router, on a controller, and where it is set on the application."""
    registry = registry_of(tag)
    router = APIRouter(route_class=intercepted_route(registry, base=Timed))

    @router.get("/router")
    async def on_router() -> str:
        return "router"

    @controller(route_class=Timed)
    class Controller:
        @get("/controller")
        async def show(self) -> str:
            return "controller"

    app = FastAPI()
    app.router.route_class = Timed

    @app.get("/before")
    async def before() -> str:
        return "before"

    install(app, registry, controllers=[Controller])

    @app.get("/after")
    async def after() -> str:
        return "after"

    app.include_router(router)
    client = client_of(app)
    for name in ("router", "controller", "before", "after"):
        answer = client.get(f"/{name}")
        assert (answer.json(), answer.headers["x-timed"]) == (f"tagged {name}", f"made for /{name}")


def test_the_class_is_a_route_class() -> None:
    """It is a subclass of the base, and called after it; for the same registry it is left as it is."""
    registry = InterceptorRegistry()
    route_class = intercepted_route(registry, base=Timed)

    assert issubclass(route_class, Timed)
    assert (route_class.__name__, intercepted_route(registry).__name__) == ("InterceptedTimed", "InterceptedAPIRoute")
    assert intercepted_route(registry, base=route_class) is route_class


def test_a_function_that_is_intercepted_already_is_left_as_it_is() -> None:
    """The endpoint of one route may be put on another: its chain runs once."""
    events: list[str] = []
    registry = registry_of(recording("a", events))
    app = FastAPI()
    install(app, registry)

    @app.get("/one")
    async def show() -> str:
        return "shown"

    endpoint = app.routes[-1].endpoint
    app.add_api_route("/two", endpoint)

    @functools.wraps(endpoint)
    async def wrapped(**kwargs: Any) -> Any:
        return f"wrapped {await endpoint(**kwargs)}"

    app.add_api_route("/three", wrapped)
    client = client_of(app)

    assert [client.get(f"/{name}").json() for name in ("one", "two", "three")] == ["shown", "shown", "wrapped shown"]
    assert events == [">a", "<a"] * 3


def test_callables_of_every_kind_are_intercepted() -> None:
    """Objects with `__call__`, bound, static and class methods, partials; with the interceptors of their class."""
    events: list[str] = []

    @intercept(recording("class", events))
    class Handler:
        @intercept(recording("call", events))
        async def __call__(self, q: int = 1) -> Any:
            return ["object", q]

        @intercept(recording("method", events))
        async def method(self, q: int = 1) -> Any:
            return ["method", q]

        @staticmethod
        async def static(q: int = 1) -> Any:
            return ["static", q]

        @classmethod
        @intercept(recording("of class", events))
        async def of_class(cls, q: int = 1) -> Any:
            return [cls.__name__, q]

    @intercept(recording("partial", events))
    async def function(word: str, q: int = 1) -> Any:
        return [word, q]

    app = FastAPI()
    install(app, registry_of(recording("global", events)))
    handlers = {
        "/object": (Handler(), ["object", 2], ["global", "class", "call"]),
        "/method": (Handler().method, ["method", 2], ["global", "class", "method"]),
        "/static": (Handler.static, ["static", 2], ["global"]),
        "/of-class": (Handler.of_class, ["Handler", 2], ["global", "class", "of class"]),
        "/partial": (functools.partial(function, "partial"), ["partial", 2], ["global", "partial"]),
    }
    for path, (handler, _, _) in handlers.items():
        app.add_api_route(path, handler)
    client = client_of(app)
    for path, (_, answer, layers) in handlers.items():
        events.clear()
        assert client.get(f"{path}?q=2").json() == answer
        assert [event[1:] for event in events if event.startswith(">")] == layers
