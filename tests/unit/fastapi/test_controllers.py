"""Controllers: classes whose methods are routes, on a router or on the application itself."""

import re
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse

from interceptors import (
    InjectionError,
    InterceptorRegistry,
    InvalidTargetError,
    InvocationContext,
    Next,
    TargetNotBuiltError,
    UnknownKeyError,
    intercept,
)
from interceptors.fastapi import controller, create_router, get, install, post
from interceptors.testing import make_context
from tests.unit.fastapi.serving import app_of, client_of, registry_of
from tests.unit.helpers import place, recording


class Repository:
    count = 0

    def __init__(self) -> None:
        Repository.count += 1
        self.number = Repository.count


class Container(containers.DeclarativeContainer):
    orders = providers.Singleton(Repository)
    fresh = providers.Factory(Repository)


def paths(*controllers: type) -> list[str]:
    """The paths of the routes that controllers get on an application, in their order."""
    return [route.path for route in app_of(*controllers).routes if isinstance(route, APIRoute)]


# -- declaring ---------------------------------------------------------------------------------------------------------


def test_the_decorator_returns_the_very_class() -> None:
    """A controller is a class like any other: it can be built and called by hand."""

    class Controller:
        @get("/")
        async def show(self) -> None: ...

    assert controller()(Controller) is Controller
    assert controller(model="order")(Controller) is Controller


@pytest.mark.parametrize("prefix", ["orders", "/orders/", "/"])
def test_a_prefix_that_fastapi_will_not_take_is_refused_at_once(prefix: str) -> None:
    """The message shows the prefix and the rule."""
    text = f"The prefix {prefix!r} has to start with '/' and must not end with '/'."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        controller(prefix=prefix)


def test_only_a_class_can_be_a_controller() -> None:
    """A function is refused with name and place."""

    async def function() -> None: ...

    text = f"@controller cannot be used on function ({place(function)}); mark a class."
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
        controller()(function)
    assert caught.value.target is function


def test_a_class_that_is_no_controller_has_no_router() -> None:
    """Neither `create_router` nor `install` takes it; the message says what to write."""

    class Plain:
        @get("/")
        async def show(self) -> None: ...

    text = f"Plain ({place(Plain)}) is no controller; mark it with @controller()."
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$"):
        create_router(Plain, InterceptorRegistry())
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$"):
        install(FastAPI(), InterceptorRegistry(), controllers=[Plain])


def test_the_name_of_the_model_is_an_annotation() -> None:
    """`model=` names the model for remoting hooks."""

    @controller(model="order")
    class Controller:
        @get("/")
        async def show(self) -> None: ...

    assert make_context(target=Controller, method="show").annotations == {"remote_model": "order"}


@pytest.mark.parametrize("model", ["", "a..b", "a.*"])
def test_a_model_that_is_no_name_is_refused_at_once(model: str) -> None:
    """Patterns of remoting hooks could not tell it."""
    with pytest.raises(ValueError, match=re.escape(f"{model!r} is no name of a model")):
        controller(model=model)


def test_the_options_are_those_of_a_router() -> None:
    """Prefix, tags, dependencies, responses, route class ... go to the router that `create_router` makes."""

    class MyRoute(APIRoute): ...

    def dependency() -> None: ...

    @controller(prefix="/orders", tags=["orders"], dependencies=[Depends(dependency)], route_class=MyRoute)
    class Controller:
        @get("/{order_id}")
        async def show(self, order_id: int) -> None: ...

    router = create_router(Controller, InterceptorRegistry())
    (route,) = router.routes

    assert isinstance(router, APIRouter)
    assert (router.prefix, router.tags, [d.dependency for d in router.dependencies]) == (
        "/orders",
        ["orders"],
        [dependency],
    )
    assert route.path == "/orders/{order_id}"
    assert isinstance(route, MyRoute)


def test_a_subclass_inherits_the_options() -> None:
    """What it gives itself replaces the base's, but dependencies add up, the base's first."""
    ran: list[str] = []

    def note(name: str) -> Any:
        def dependency() -> None:
            ran.append(name)

        return Depends(dependency)

    @controller(prefix="/base", tags=["base"], dependencies=[note("base")])
    class Base:
        @get("/")
        async def show(self) -> None: ...

    @controller(prefix="/own", dependencies=[note("own")])
    class Own(Base): ...

    class Inherited(Own): ...

    for cls in (Own, Inherited):
        router = create_router(cls, InterceptorRegistry())
        assert (router.prefix, router.tags, len(router.dependencies)) == ("/own", ["base"], 2)
    ran.clear()
    client_of(app_of(Inherited)).get("/own/")
    assert ran == ["base", "own"]
    assert create_router(Base, InterceptorRegistry()).prefix == "/base"


# -- routes ------------------------------------------------------------------------------------------------------------


def test_routes_are_inherited_with_the_methods() -> None:
    """A class's own routes are registered before its bases'; two classes may share a base."""

    class Base:
        @get("/{name}")
        async def show(self, name: str) -> str:
            return f"{type(self).__name__} shows {name}"

    @controller(prefix="/one")
    class One(Base):
        @get("/special")
        async def special(self) -> str:
            return "special"

    @controller(prefix="/two")
    class Two(Base): ...

    client = client_of(app_of(One, Two))

    assert paths(One, Two) == ["/one/special", "/one/{name}", "/two/{name}"]
    assert client.get("/one/special").json() == "special"
    assert client.get("/one/x").json() == "One shows x"
    assert client.get("/two/x").json() == "Two shows x"


def test_an_override_without_a_decorator_keeps_its_bases_routes() -> None:
    """In the base's place; with a decorator it has its own routes instead, in its own place; `None` removes them."""

    class Base:
        @get("/kept")
        async def kept(self) -> str:
            return "base"

        @get("/moved")
        async def moved(self) -> str:
            return "base"

        @get("/removed")
        async def removed(self) -> str:
            return "base"

        @get("/last")
        async def last(self) -> str:
            return "base"

    @controller()
    class Derived(Base):
        removed = None

        async def kept(self) -> str:
            return "derived"

        @post("/moved/here")
        async def moved(self) -> str:
            return "derived"

    client = client_of(app_of(Derived))

    assert paths(Derived) == ["/moved/here", "/kept", "/last"]
    assert client.get("/kept").json() == "derived"
    assert client.post("/moved/here").json() == "derived"
    assert client.get("/removed").status_code == 404


def test_each_class_has_endpoints_of_its_own() -> None:
    """A shared method is never touched: each controller's route has a function of its own."""

    class Base:
        @get("/")
        async def show(self) -> None: ...

    @controller()
    class One(Base): ...

    @controller()
    class Two(Base): ...

    registry = InterceptorRegistry()
    endpoints = {create_router(cls, registry).routes[0].endpoint for cls in (One, Two, One)}

    assert len(endpoints) == 3
    assert not hasattr(Base.show, "__signature__")
    assert not hasattr(Base.show, "__wrapped__")


def test_interceptors_of_class_and_method_run_around_a_route() -> None:
    """Globals, class, method, then the handler."""
    events: list[str] = []

    @controller()
    @intercept(recording("class", events))
    class Controller:
        @get("/")
        @intercept(recording("method", events))
        async def show(self) -> None:
            events.append("handler")

        @intercept(recording("upper", events))
        @get("/other")
        async def other(self) -> None: ...

    client = client_of(app_of(Controller, registry=registry_of(recording("global", events))))
    client.get("/")
    assert events == [">global", ">class", ">method", "handler", "<method", "<class", "<global"]
    events.clear()
    client.get("/other")
    assert [event for event in events if event.startswith(">")] == [">global", ">class", ">upper"]


# -- the instance ------------------------------------------------------------------------------------------------------


def test_a_controller_is_built_for_every_request_with_its_parameters_injected() -> None:
    """From the container, and with request, response and context."""

    @controller()
    class Controller:
        def __init__(
            self,
            orders: Annotated[Repository, Provide["orders"]],
            fresh: Annotated[Repository, Provide[Container.fresh]],
            request: Request,
            response: Response,
            ctx: InvocationContext,
        ) -> None:
            self.numbers = (orders.number, fresh.number)
            self.found = (request.url.path, ctx.target_name)
            response.headers["x-built"] = "yes"

        @get("/")
        async def show(self) -> Any:
            return [self.numbers, self.found]

    client = client_of(app_of(Controller, registry=InterceptorRegistry(Container())))
    first, second = client.get("/"), client.get("/")

    assert first.headers["x-built"] == "yes"
    assert first.json()[1] == ["/", "Controller.show"]
    assert first.json()[0][0] == second.json()[0][0]
    assert first.json()[0][1] != second.json()[0][1]


def test_a_controller_is_built_when_its_methods_turn_comes() -> None:
    """The constructor sees what the layers bound; a denied request builds nothing."""
    events: list[str] = []

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        events.append("layer")
        if ctx.request.query_params.get("deny"):
            return "denied"
        ctx.bind("tenant", "acme")
        return await next()

    @controller()
    @intercept(bind)
    class Controller:
        def __init__(self, tenant: Annotated[str, Provide["tenant"]]) -> None:
            events.append(f"built for {tenant}")

        @get("/")
        async def show(self) -> str:
            return "shown"

    client = client_of(app_of(Controller))

    assert client.get("/?deny=1").json() == "denied"
    assert events == ["layer"]
    assert client.get("/").json() == "shown"
    assert events == ["layer", "layer", "built for acme"]


def test_next_called_again_builds_a_controller_anew_whose_constructor_is_injected() -> None:
    """What is injected may have been bound for this attempt; without it the instance is kept."""

    async def twice(ctx: InvocationContext, next: Next) -> Any:
        return [await next(), await next()]

    built: list[Any] = []

    @controller()
    @intercept(twice)
    class Free:
        calls = 0

        @get("/free")
        async def show(self) -> Any:
            self.calls += 1
            return self.calls

    @controller()
    class Injected(Free):
        def __init__(self, fresh: Annotated[Repository, Provide["fresh"]]) -> None:
            built.append(fresh)

        @get("/injected")
        async def again(self) -> Any:
            return await Free.show(self)

    client = client_of(app_of(Free, Injected, registry=InterceptorRegistry(Container())))
    assert client.get("/free").json() == [1, 2] and built == []
    assert client.get("/injected").json() == [1, 1] and len(built) == 2


def test_the_target_is_there_early_if_building_it_takes_nothing_injected() -> None:
    """The same instance then gets the call; nothing is built twice."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx.target, ctx.target))
        return await next()

    @controller()
    @intercept(look)
    class Controller:
        def __init__(self, number: int = 5) -> None:
            seen.append("built")

        @get("/")
        async def show(self) -> bool:
            return seen[-1] == (self, self)

    assert client_of(app_of(Controller)).get("/").json() is True
    assert seen[0] == "built"
    assert len(seen) == 2


def test_the_target_is_an_error_before_an_injected_controller_is_built() -> None:
    """It says to use the class; after `next()` the target is there."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        text = (
            "The Controller of Controller.show is built when the method's turn comes, so that its constructor sees what "
            "the layers bound; use `ctx.target_class`, or read `ctx.target` after `next()`."
        )
        with pytest.raises(TargetNotBuiltError, match=f"^{re.escape(text)}$"):
            _ = ctx.target
        result = await next()
        seen.append((ctx.target_class, type(ctx.target)))
        return result

    @controller()
    @intercept(look)
    class Controller:
        def __init__(self, orders: Annotated[Repository, Provide["orders"]] = None) -> None: ...

        @get("/")
        async def show(self) -> None: ...

    registry = InterceptorRegistry(Container())
    app = FastAPI()
    app.include_router(create_router(Controller, registry))
    app.include_router(create_router(Controller, registry, provider=providers.Factory(Controller)), prefix="/provided")
    client = client_of(app)
    client.get("/")
    client.get("/provided/")

    assert seen == [(Controller, Controller)] * 2


def test_the_instance_may_come_from_a_provider() -> None:
    """A Singleton gives one controller for all requests; one named on the class is the container's own."""

    @controller()
    class Controller:
        def __init__(self, orders: Repository) -> None:
            self.calls = orders.number * 0

        @get("/")
        async def show(self) -> int:
            self.calls += 1
            return self.calls

    class Controllers(containers.DeclarativeContainer):
        orders = providers.Singleton(Repository)
        single = providers.Singleton(Controller, orders=orders)
        each = providers.Factory(Controller, orders=orders)

    container = Controllers()
    registry = InterceptorRegistry(container)
    app = FastAPI()
    app.include_router(create_router(Controller, registry, provider=container.single), prefix="/single")
    app.include_router(create_router(Controller, registry, provider=container.each), prefix="/each")
    client = client_of(app)

    assert [client.get("/single/").json() for _ in range(2)] == [1, 2]
    assert [client.get("/each/").json() for _ in range(2)] == [1, 1]


def test_a_controller_may_take_asynchronous_providers() -> None:
    """Its constructor, its provider and its method wait for what has to be awaited."""

    async def slow() -> str:
        return "slow"

    class Slow(containers.DeclarativeContainer):
        word = providers.Coroutine(slow)

    @controller()
    class Controller:
        def __init__(self, word: Annotated[str, Provide["word"]]) -> None:
            self.word = word

        @get("/")
        async def show(self, again: Annotated[str, Provide["word"]]) -> Any:
            return [self.word, again]

        @get("/plain")
        async def plain(self, name: str) -> Any:
            return [self.word, name]

        @get("/thread")
        def thread(self, again: Annotated[str, Provide["word"]]) -> Any:
            return [self.word, again]

    registry = InterceptorRegistry(Slow())
    app = FastAPI()
    install(app, registry, controllers=[Controller])
    provided = providers.Factory(Controller, word=registry.container.word)
    app.include_router(create_router(Controller, registry, provider=provided), prefix="/provided")
    client = client_of(app)

    for prefix in ("", "/provided"):
        assert client.get(f"{prefix}/").json() == ["slow", "slow"]
        assert client.get(f"{prefix}/plain?name=x").json() == ["slow", "x"]
        assert client.get(f"{prefix}/thread").json() == ["slow", "slow"]


# -- checks at start-up ------------------------------------------------------------------------------------------------


def test_a_routers_chains_are_checked_when_the_application_starts() -> None:
    """Also without `install`: a wrong constructor or key stops the start."""

    @controller()
    class Needy:
        def __init__(self, orders: Repository) -> None: ...

        @get("/")
        async def show(self) -> None: ...

    @controller()
    class Asks:
        @get("/")
        @intercept("nowhere")
        async def show(self) -> None: ...

    text = (
        f"The constructor parameter 'orders' of the controller Needy ({place(Needy)}) cannot be injected: nothing gives "
        'it. Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
    )
    for cls, error, words in ((Needy, InjectionError, f"^{re.escape(text)}$"), (Asks, UnknownKeyError, "'nowhere'")):
        app = FastAPI()
        app.include_router(create_router(cls, InterceptorRegistry()))
        with pytest.raises(error, match=words), client_of(app):
            pass


def test_a_routers_own_lifespan_runs_around_the_check() -> None:
    """What the lifespan sets up may be needed by the check; a failed check shuts it down."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        events.append("up")
        yield {"from": "lifespan"}
        events.append("down")

    @controller(lifespan=lifespan)
    class Controller:
        @get("/")
        async def show(self, request: Request) -> str:
            return request.state.__getattr__("from")

    app = FastAPI()
    app.include_router(create_router(Controller, InterceptorRegistry()))
    with client_of(app) as client:
        assert client.get("/").json() == "lifespan"
        assert events == ["up"]
    assert events == ["up", "down"]


def test_an_error_of_the_injected_kind_names_the_parameter_at_the_request() -> None:
    """A key that only a layer could have bound is found missing when its turn comes."""

    @controller()
    class Controller:
        def __init__(self, tenant: Annotated[str, Provide["tenant"]]) -> None: ...

        @get("/")
        async def show(self) -> None: ...

    with client_of(app_of(Controller)) as client, pytest.raises(UnknownKeyError, match="'tenant' of Controller"):
        client.get("/")


def test_the_response_class_of_a_controller_is_used() -> None:
    """As FastAPI does for a router's default."""

    @controller(default_response_class=PlainTextResponse)
    class Controller:
        @get("/")
        async def show(self) -> str:
            return "text"

    for app in (app_of(Controller), FastAPI()):
        if not any(isinstance(route, APIRoute) for route in app.routes):
            app.include_router(create_router(Controller, InterceptorRegistry()))
        assert client_of(app).get("/").headers["content-type"].startswith("text/plain")
