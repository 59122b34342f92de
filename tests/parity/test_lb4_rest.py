"""LoopBack 4, section 1H: interceptors behind HTTP, F84 to F91.

| rule | what does not apply, and why |
|---|---|
| F84 | The sequence of middleware groups: Starlette's middleware is outside, the chain is inside of FastAPI's parsing. |
| F86 | "Controller method not found": a route exists only with its method. |
| F88 | Context keys such as `rest.operation.route`: they are attributes of the context, or of `ctx.source.value`. |
| F89 | 204 for `undefined`, text for strings: results are FastAPI's to serialise. |
"""

from typing import Annotated

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel

from interceptors import InterceptorRegistry, TargetNotBuiltError, UnknownKeyError, intercept, skip_interceptors
from interceptors.fastapi import bind_request, controller, create_router, get, install, intercepted_route, post

LOG = []


@pytest.fixture(autouse=True)
def log():
    LOG.clear()
    return LOG


def noting(name):
    async def interceptor(ctx, next):
        LOG.append(name)
        return await next()

    return interceptor


def client_of(app):
    return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


def app_of(*controllers, registry=None, **options):
    app = FastAPI(**options)
    install(app, registry or InterceptorRegistry(), controllers=controllers)
    return app


class Order(BaseModel):
    number: int
    price: float = 1


async def test_f84_interceptors_run_after_routing_dependencies_and_validation(log):
    """F84: routing, authentication and validation are over before any interceptor runs: a 404, 405 or 422 runs none."""
    parsed = []

    async def authenticate(request: Request) -> str:
        LOG.append("dependency")
        if request.headers.get("token") != "secret":
            raise HTTPException(401)
        return "alice"

    async def sees(ctx, next):
        parsed.append(dict(ctx.args.items()))
        LOG.append("interceptor")
        return await next()

    @controller(prefix="/orders")
    @intercept(sees)
    class Orders:
        @post("/{order_id}")
        async def change(self, order_id: int, order: Order, user: Annotated[str, Depends(authenticate)]):
            return {"id": order_id, "number": order.number, "user": user}

    registry = InterceptorRegistry()
    registry.add_global(noting("global"))
    app = app_of(Orders, registry=registry)

    @app.middleware("http")
    async def outside(request, call_next):
        LOG.append("middleware")
        return await call_next(request)

    secret = {"token": "secret"}
    async with client_of(app) as client:
        for verb, path, body, headers, status in (
            ("POST", "/orders/1", {"number": "no number"}, secret, 422),
            ("POST", "/orders/no-number", {"number": 1}, secret, 422),
            ("POST", "/orders/1", {"number": 1}, {}, 401),
            ("POST", "/nowhere", {"number": 1}, secret, 404),
            ("GET", "/orders/1", None, secret, 405),
            ("GET", "/openapi.json", None, {}, 200),
        ):
            log.clear()
            answer = await client.request(verb, path, json=body, headers=headers)
            assert answer.status_code == status
            assert set(log) <= {"middleware", "dependency"}
        log.clear()
        answer = await client.post("/orders/7", json={"number": 3}, headers=secret)
    assert answer.json() == {"id": 7, "number": 3, "user": "alice"}
    assert log == ["middleware", "dependency", "global", "interceptor"]
    assert parsed == [{"order_id": 7, "order": Order(number=3), "user": "alice"}]


async def test_f85_the_controller_is_built_when_its_turn_comes(log):
    """F85: the controller of a request is a new object, with what is injected into its constructor.

    Differs: it is built after the layers outside have run, so that a denied request builds nothing, the constructor sees what
    they bound, and they see its errors. LoopBack builds it before the chain.
    """

    class Container(containers.DeclarativeContainer):
        repository = providers.Object("repository")

    async def binds(ctx, next):
        LOG.append(ctx.target_class.__name__)
        with pytest.raises(TargetNotBuiltError, match="target_class"):
            _ = ctx.target
        if ctx.args["deny"]:
            raise HTTPException(403)
        ctx.bind("tenant", ctx.args["tenant"])
        try:
            result = await next()
        except ZeroDivisionError:
            return "broken"
        return [*result, type(ctx.target).__name__]

    @controller()
    @intercept(binds)
    class Items:
        def __init__(
            self, repository: Annotated[str, Provide["repository"]], tenant: Annotated[str, Provide["tenant"]]
        ) -> None:
            LOG.append("built")
            self.found = [repository, tenant]
            if tenant == "broken":
                raise ZeroDivisionError

        @get("/items")
        async def items(self, tenant: str, deny: bool = False):
            return self.found

    app = app_of(Items, registry=InterceptorRegistry(Container()))
    async with client_of(app) as client:
        assert (await client.get("/items?tenant=acme")).json() == ["repository", "acme", "Items"]
        assert (await client.get("/items?tenant=other")).json() == ["repository", "other", "Items"]
        assert log == ["Items", "built"] * 2
        assert (await client.get("/items?tenant=broken")).json() == "broken"
        log.clear()
        assert (await client.get("/items?tenant=acme&deny=1")).status_code == 403
    assert log == ["Items"]


async def test_f85_a_controller_that_takes_nothing_is_there_at_once():
    """F85: where the constructor takes nothing injected, `ctx.target` is the instance from the start, and `next()` again keeps it."""
    targets = []

    async def looks(ctx, next):
        targets.append(ctx.target)
        await next()
        return await next()

    @controller()
    class Simple:
        @get("/simple")
        @intercept(looks)
        async def simple(self):
            targets.append(self)
            return "simple"

    async with client_of(app_of(Simple)) as client:
        assert (await client.get("/simple")).json() == "simple"
        await client.get("/simple")
    first, second = targets[:3], targets[3:]
    assert len(set(map(id, first))) == len(set(map(id, second))) == 1
    assert first[0] is not second[0]


async def test_f86_a_route_invokes_the_controller_s_method(log):
    """F86: a route is an invocation of the controller's method with the source "route" and with injection.

    Differs: the source's string is `route GET /v1/hello/{name}`, the path as this router was included.
    """

    async def tells(ctx, next):
        value = ctx.source.value
        LOG.append((ctx.source.type, str(ctx.source), ctx.target_name, value.verb, value.path, value.tags))
        LOG.append(value.operation_id)
        return await next()

    class Container(containers.DeclarativeContainer):
        word = providers.Object("hello")

    @controller(prefix="/hello", tags=["greetings"])
    class Greeter:
        @get("/{name}", tags=["short"])
        @intercept(tells)
        async def greet(self, name: str, word: Annotated[str, Provide["word"]]):
            return f"{word} {name}"

    registry = InterceptorRegistry(Container())
    app = app_of(registry=registry)
    app.include_router(create_router(Greeter, registry), prefix="/v1", tags=["v1"])
    async with client_of(app) as client:
        assert (await client.get("/v1/hello/you")).json() == "hello you"
        document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/hello/{name}"]["get"]
    tags = tuple(operation["tags"])
    assert set(tags) == {"v1", "greetings", "short"}
    path = "/v1/hello/{name}"
    assert log == [("route", f"route GET {path}", "Greeter.greet", "GET", path, tags), operation["operationId"]]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["name"]


async def test_f87_function_routes_are_intercepted(log):
    """F87: globals run around function routes, too.

    Differs: so do interceptors that the function is decorated with; `ctx.target` is the function, not a route object.
    """
    contexts = []

    async def sees(ctx, next):
        contexts.append(ctx)
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(noting("global"), source="route")
    router = APIRouter(route_class=intercepted_route(registry))

    @router.get("/on-a-router/{number}")
    @intercept(sees)
    async def on_a_router(number: int):
        return number

    @router.get("/skipping")
    @skip_interceptors()
    async def skipping():
        return "skipped"

    app = app_of(registry=registry)
    app.include_router(router)

    @app.get("/on-the-app")
    @intercept(sees)
    def on_the_app():
        return "app"

    async with client_of(app) as client:
        assert (await client.get("/on-a-router/5")).json() == 5
        assert (await client.get("/on-the-app")).json() == "app"
        assert (await client.get("/skipping")).json() == "skipped"
    assert log == ["global", "global"]
    assert [(c.target, c.target_class, c.method_name, c.target_name) for c in contexts] == [
        (on_a_router, None, "on_a_router", "on_a_router"),
        (on_the_app, None, "on_the_app", "on_the_app"),
    ]
    assert contexts[0].args["number"] == 5


async def test_f88_what_the_context_knows_of_the_request(log):
    """F88: request, response, operation and the current user are at hand; a user is known where somebody said who it is.

    Differs: they are attributes of the context, and nothing is absent for function routes.
    """

    async def security(request: Request):
        if name := request.headers.get("name"):
            bind_request(request, "current_user", name)

    async def sees(ctx, next):
        LOG.append((ctx.request.url.path, ctx.request.headers.get("name"), await ctx.current_user()))
        ctx.response.headers["seen"] = ctx.source.value.operation_id
        assert await ctx.get("request") is ctx.request
        assert await ctx.get("response") is ctx.response
        assert await ctx.get("context") is ctx
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(sees)

    @controller(dependencies=[Depends(security)])
    class Known:
        @get("/known", operation_id="known")
        async def known(self, request: Request, user: Annotated[str | None, Provide["current_user"]]):
            return [request.url.path, user]

    app = app_of(Known, registry=registry)

    @app.get("/function", operation_id="function")
    async def function():
        return "function"

    async with client_of(app) as client:
        answer = await client.get("/known", headers={"name": "alice"})
        assert answer.json() == ["/known", "alice"]
        assert answer.headers["seen"] == "known"
        assert (await client.get("/known")).json() == ["/known", None]
        assert (await client.get("/function")).headers["seen"] == "function"
    assert log == [("/known", "alice", "alice"), ("/known", None, None), ("/function", None, None)]


async def test_f89_what_leaves_the_chain_is_the_answer():
    """F89: the result of the outermost layer is written; a layer may answer by itself with a response.

    Differs: None is `null` and a string is JSON, as in FastAPI; a response that is returned gets the headers set before.
    """

    async def adds_a_header(ctx, next):
        ctx.response.headers["layer"] = "outer"
        return await next()

    async def answers(ctx, next):
        kind = ctx.args["kind"]
        if kind == "response":
            return PlainTextResponse("by a layer", 202, {"own": "header"})
        result = await next()
        return {"replaced": result} if kind == "replaced" else None if kind == "nothing" else result

    @controller()
    @intercept(adds_a_header, answers)
    class Answers:
        @get("/{kind}")
        async def answer(self, kind: str) -> object:
            return kind

    async with client_of(app_of(Answers)) as client:
        answer = await client.get("/response")
        assert (answer.status_code, answer.text, answer.headers["own"], answer.headers["layer"]) == (
            202,
            "by a layer",
            "header",
            "outer",
        )
        for kind, body in (("plain", "plain"), ("replaced", {"replaced": "replaced"}), ("nothing", None)):
            answer = await client.get(f"/{kind}")
            assert (answer.status_code, answer.json(), answer.headers["layer"]) == (200, body, "outer")


async def test_f89_the_result_is_serialised_by_the_declared_model():
    """F89: layers see the handler's own object; what leaves the chain is validated and filtered by the response model."""
    seen = []

    async def sees(ctx, next):
        order = await next()
        seen.append(order)
        order.number += 1
        return order

    @controller()
    class Orders:
        @get("/order", response_model_exclude={"price"})
        @intercept(sees)
        async def order(self) -> Order:
            return Order(number=1)

    async with client_of(app_of(Orders)) as client:
        assert (await client.get("/order")).json() == {"number": 2}
    assert seen == [Order(number=2)]


async def test_f90_errors_that_leave_the_chain_are_fastapi_s(log):
    """F90: an error with a status is answered with it, any other one is a hidden 500; layers see them all before that."""

    class OwnError(Exception):
        """Has a handler."""

    errors = {"http": HTTPException(409, "taken"), "own": OwnError(), "other": ZeroDivisionError("secret")}

    async def sees(ctx, next):
        try:
            return await next()
        except Exception as caught:
            LOG.append(caught)
            if ctx.args["kind"] == "other" and ctx.args["mapped"]:
                raise HTTPException(418) from caught
            raise

    @controller()
    class Raises:
        @get("/{kind}")
        @intercept(sees)
        async def raises(self, kind: str, mapped: bool = False):
            raise errors[kind]

    app = app_of(Raises)

    @app.exception_handler(OwnError)
    async def handle(request, error):
        return PlainTextResponse("handled", 400)

    async with client_of(app) as client:
        answers = [await client.get(path) for path in ("/http", "/own", "/other", "/other?mapped=1")]
    assert [answer.status_code for answer in answers] == [409, 400, 500, 418]
    assert answers[0].json() == {"detail": "taken"}
    assert answers[1].text == "handled"
    assert "secret" not in answers[2].text
    assert log == [errors["http"], errors["own"], errors["other"], errors["other"]]


async def test_f91_the_status_can_be_set_but_is_not_written_yet(log):
    """F91: when a layer looks after `next()` the answer is not written yet, so its status may still be set.

    It is the route's until somebody sets another one.
    """

    async def sets(ctx, next):
        result = await next()
        LOG.append(ctx.response.status_code)
        if result == "accepted":
            ctx.response.status_code = 202
        return result

    @controller()
    @intercept(sets)
    class Status:
        @get("/{kind}", status_code=201)
        async def status(self, kind: str, response: Response):
            if kind == "set":
                response.status_code = 203
            return kind

    async with client_of(app_of(Status)) as client:
        answers = [await client.get(path) for path in ("/plain", "/accepted", "/set")]
    assert [answer.status_code for answer in answers] == [201, 202, 203]
    assert log == [201, 201, 203]


async def test_f84_the_start_up_checks_every_chain():
    """F84: an application whose chain has an unknown key does not start.

    Differs: LoopBack answers the first request with a 500 (F57).
    """

    @controller()
    class Broken:
        @get("/broken")
        @intercept("nowhere")
        async def broken(self):
            """Never reached."""

    app = app_of(Broken)
    with pytest.raises(UnknownKeyError, match="nowhere"):
        async with app.router.lifespan_context(app):
            pytest.fail("it has started")
