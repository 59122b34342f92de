"""The guide to migrating remoting hooks, sample by sample: as hooks and as interceptors, with the same answers.

Each test builds the application twice, once with the LoopBack 3 code as hooks and once with its LoopBack 4 counterpart
as interceptors, sends both the same requests, and compares status, body and headers, and what was logged.

Errors of the guide that are corrected here: `app.beforeRemote` does not exist in LoopBack 3 (`hooks.before_remote`);
`logAfterError` never calls `next` (it takes `ctx` alone); the address is added in a *before* hook, and to the argument by
name, not `ctx.args[0]`; `ctx.req.remoteAddress` is undefined (`ctx.req.client.host`); two parameters fail on a model.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import pytest
from dependency_injector.wiring import Provide
from fastapi import FastAPI, HTTPException, Request
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel

from interceptors import InterceptorRegistry, InvocationContext, Next, intercept
from interceptors.fastapi import controller, get, install, patch, post
from interceptors.remoting import RemoteHooks, RemotingContext, remote_method


class Customer(BaseModel):
    """A customer as it is stored, password hash included."""

    id: int
    name: str
    password: str | None = None


class Comment(BaseModel):
    """A comment that somebody posted."""

    text: str
    posted_from_ip_address: str | None = None


STORED = {n: {"id": n, "name": name, "password": f"hash {n}"} for n, name in [(1, "Ann"), (2, "Bob")]}


@dataclass
class Form:
    """How a sample is built in: hooks or interceptors, and where they stand."""

    hooks: RemoteHooks | None = None
    everywhere: list[Any] = field(default_factory=list)
    on_customers: list[Any] = field(default_factory=list)
    on_create: list[Any] = field(default_factory=list)
    on_save: list[Any] = field(default_factory=list)
    on_comment: list[Any] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)


def application(form: Form) -> FastAPI:
    """Customers and comments."""
    registry = InterceptorRegistry(
        current_user=lambda request: request.headers.get("authorization"), ordered_groups=("remoting", "logging")
    )
    if form.hooks is not None:
        registry.add_global(form.hooks, group="remoting")
    for key, interceptor in form.keys.items():
        registry.bind(key, interceptor)
    for interceptor in form.everywhere:
        registry.add_global(interceptor)

    @controller(prefix="/customers", model="Customer")
    @intercept(*form.on_customers)
    class CustomerController:
        @get("/", response_model_exclude_unset=True)
        async def find(self) -> list[Customer]:
            return [dict(customer) for customer in STORED.values()]  # type: ignore[misc]

        @get("/{id}", response_model_exclude_unset=True)
        @remote_method("findById")
        async def find_by_id(self, id: int) -> Customer | None:
            if id == 0:
                return None
            if id == 500:
                raise RuntimeError("the database is away")
            if id not in STORED:
                raise HTTPException(404, f"no customer {id}")
            return dict(STORED[id])  # type: ignore[return-value]

        @post("/", status_code=201)
        @intercept(*form.on_create)
        async def create(self, customer: Customer) -> Customer:
            return customer

        @patch("/{id}")
        @remote_method("prototype.save")
        @intercept(*form.on_save)
        async def save(self, id: int) -> dict[str, int]:
            return {"saved": id}

    @controller(prefix="/comments")
    class CommentController:
        @post("/", status_code=201)
        @intercept(*form.on_comment)
        async def create(self, comment: Comment) -> Comment:
            return comment

    app = FastAPI()
    install(app, registry, controllers=[CustomerController, CommentController])

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    return app


Requests: TypeAlias = list[tuple[str, str, dict[str, Any]]]

REQUESTS: Requests = [
    ("GET", "/customers/", {}),
    ("GET", "/customers/1", {}),
    ("GET", "/customers/0", {}),
    ("GET", "/customers/404", {}),
    ("GET", "/customers/500", {}),
    ("GET", "/customers/x", {}),
    ("POST", "/customers/", {"json": {"id": 3, "name": "Cyd"}}),
    ("PATCH", "/customers/1", {}),
    ("PATCH", "/customers/1", {"headers": {"Authorization": "ann"}}),
    ("POST", "/comments/", {"json": {"text": "hello"}}),
    ("POST", "/comments/", {"json": {}}),
    ("GET", "/ping", {}),
    ("GET", "/nowhere", {}),
]


async def answers(
    form: Form, address: str = "127.0.0.1", requests: Requests = REQUESTS
) -> list[tuple[str, int, str, dict[str, str]]]:
    """What a client at an address gets for each of the requests."""
    transport = ASGITransport(application(form), raise_app_exceptions=False, client=(address, 50000))
    found = []
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        for verb, path, options in requests:
            response = await client.request(verb, path, **options)
            found.append((f"{verb} {path}", response.status_code, response.text, dict(response.headers)))
    return found


async def both(
    as_hooks: Callable[[list[str]], Form], as_interceptors: Callable[[list[str]], Form], address: str = "127.0.0.1"
) -> tuple[list[tuple[str, int, str]], list[str]]:
    """The answers and the log, which are the same for both forms."""
    log: list[str] = []
    other_log: list[str] = []
    found = await answers(as_hooks(log), address)
    assert found == await answers(as_interceptors(other_log), address)
    assert log == other_log
    return [entry[:3] for entry in found], log


def plain() -> list[tuple[str, int, str]]:
    """The answers of the application with neither hooks nor interceptors."""
    ann, bob = ({"id": n, "name": STORED[n]["name"], "password": STORED[n]["password"]} for n in (1, 2))
    return [
        ("GET /customers/", 200, compact([ann, bob])),
        ("GET /customers/1", 200, compact(ann)),
        ("GET /customers/0", 200, "null"),
        ("GET /customers/404", 404, '{"detail":"no customer 404"}'),
        ("GET /customers/500", 500, "Internal Server Error"),
        ("GET /customers/x", 422, UNPARSED),
        ("POST /customers/", 201, '{"id":3,"name":"Cyd","password":null}'),
        ("PATCH /customers/1", 200, '{"saved":1}'),
        ("PATCH /customers/1", 200, '{"saved":1}'),
        ("POST /comments/", 201, '{"text":"hello","posted_from_ip_address":null}'),
        (
            "POST /comments/",
            422,
            '{"detail":[{"type":"missing","loc":["body","text"],"msg":"Field required","input":{}}]}',
        ),
        ("GET /ping", 200, '"pong"'),
        ("GET /nowhere", 404, '{"detail":"Not Found"}'),
    ]


UNPARSED = (
    '{"detail":[{"type":"int_parsing","loc":["path","id"],"msg":"Input should be a valid integer, unable to parse '
    'string as an integer","input":"x"}]}'
)


def compact(value: Any) -> str:
    """JSON as it is sent."""
    return str(value).replace("'", '"').replace(": ", ":").replace(", ", ",")


async def test_without_anything() -> None:
    """The application itself."""
    found = await answers(Form())
    assert [entry[:3] for entry in found] == plain()


# -- from a hook to an interceptor: the request logger -----------------------------------------------------------------


def logger_hooks(hooks: Any, pattern: str, log: list[str]) -> None:
    """Three hooks."""

    @hooks.before_remote(pattern)
    def log_before(ctx: RemotingContext, next: Any) -> None:
        log.append("About to invoke a method.")
        next()

    @hooks.after_remote(pattern)
    def log_after(ctx: RemotingContext, next: Any) -> None:
        log.append("Method finished.")
        next()

    @hooks.after_remote_error(pattern)
    def log_after_error(ctx: RemotingContext) -> None:
        log.append(f"Method failed: {ctx.error}")


def logger(log: list[str]) -> Any:
    """One interceptor."""

    async def log_request(ctx: InvocationContext, next: Next) -> object:
        try:
            log.append("About to invoke a method.")
            result = await next()
            log.append("Method finished.")
            return result
        except Exception as error:
            log.append(f"Method failed: {error}")
            raise

    return log_request


FINISHED = ["About to invoke a method.", "Method finished."]
NOT_FOUND = ["About to invoke a method.", "Method failed: 404: no customer 404"]
AWAY = ["About to invoke a method.", "Method failed: the database is away"]


async def test_the_request_logger_at_global_level() -> None:
    """`app.beforeRemote('**')`: every remote method, but not what fails before one is called."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        logger_hooks(form.hooks, "**", log)
        return form

    found, log = await both(as_hooks, lambda log: Form(everywhere=[logger(log)]))
    assert found == plain()
    # find, findById 1, findById 0 | 404 | 500 | create, save, save, a comment, ping
    assert log == FINISHED * 3 + NOT_FOUND + AWAY + FINISHED * 5


async def test_the_request_logger_at_model_level() -> None:
    """`app.beforeRemote('Customer.**')` is `@intercept` on the class."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        logger_hooks(form.hooks, "Customer.**", log)
        return form

    found, log = await both(as_hooks, lambda log: Form(on_customers=[logger(log)]))
    assert found == plain()
    assert log == FINISHED * 3 + NOT_FOUND + AWAY + FINISHED * 3


async def test_the_request_logger_at_method_level() -> None:
    """`Customer.beforeRemote('create')` is `@intercept` on the method."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None
        logger_hooks(form.hooks.model("Customer"), "create", log)
        return form

    found, log = await both(as_hooks, lambda log: Form(on_create=[logger(log)]))
    assert found == plain()
    assert log == FINISHED


async def test_the_three_levels_by_binding_keys() -> None:
    """`GlobalLogger`, `@intercept(ProductLoggerInterceptor.BINDING_KEY)`, `@intercept(CreationLoggerInterceptor.BINDING_KEY)`.

    With the levels' own order the forms differ, as the guide does not say: hooks run specific first in either direction,
    interceptors nest global, class, method. The answers are the same.
    """

    def named(log: list[str], name: str) -> Any:
        async def interceptor(ctx: InvocationContext, next: Next) -> object:
            log.append(f"{name} before")
            result = await next()
            log.append(f"{name} after")
            return result

        return interceptor

    hooks, log, other_log = RemoteHooks(), [], []
    for name, pattern in [("global", "**"), ("model", "Customer.**"), ("method", "Customer.create")]:
        hooks.before_remote(pattern, lambda ctx, name=name: log.append(f"{name} before"))
        hooks.after_remote(pattern, lambda ctx, name=name: log.append(f"{name} after"))
    keys = {f"{name}-logger": named(other_log, name) for name in ("model", "method")}
    form = Form(
        everywhere=[named(other_log, "global")], on_customers=["model-logger"], on_create=["method-logger"], keys=keys
    )
    creating = [request for request in REQUESTS if request[:2] == ("POST", "/customers/")]
    assert await answers(Form(hooks=hooks), requests=creating) == await answers(form, requests=creating)
    assert log == ["method before", "model before", "global before", "method after", "model after", "global after"]
    assert other_log == [
        "global before",
        "model before",
        "method before",
        "method after",
        "model after",
        "global after",
    ]


# -- accessing context data --------------------------------------------------------------------------------------------


async def test_the_current_http_request() -> None:
    """`ctx.req` in a hook; `@inject(RestBindings.Http.REQUEST)` in an interceptor class: a parameter of type `Request`."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None
        form.hooks.before_remote("**", lambda ctx: log.append(f"{ctx.req.method} {ctx.req.url}"))
        return form

    def as_interceptors(log: list[str]) -> Form:
        class LoggingInterceptor:
            def __init__(self, request: Request) -> None:
                self.request = request

            async def intercept(self, ctx: InvocationContext, next: Next) -> object:
                log.append(f"{self.request.method} {self.request.url}")
                return await next()

        return Form(everywhere=[LoggingInterceptor])

    found, log = await both(as_hooks, as_interceptors)
    assert found == plain()
    assert log[:2] == ["GET http://test/customers/", "GET http://test/customers/1"]
    assert len(log) == 10


async def test_the_table_of_context_properties() -> None:
    """`req`, `res`, `args`, `result`, `error`, the user and the method's name, row by row, before and after."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        hooks = form.hooks
        assert hooks is not None

        @hooks.before_remote("Customer.**")
        async def before(ctx: RemotingContext) -> None:
            ctx.res.headers["X-Seen"] = "yes"
            log.append(f"{ctx.req.url.path} {dict(ctx.args)} {await ctx.current_user()} {ctx.method.name}")

        @hooks.after_remote("Customer.**")
        def after(ctx: RemotingContext) -> None:
            log.append(f"{ctx.result}")

        @hooks.after_remote_error("Customer.**")
        def failed(ctx: RemotingContext) -> None:
            log.append(f"{ctx.error}")

        return form

    def as_interceptors(log: list[str]) -> Form:
        names = {"find_by_id": "findById"}

        async def interceptor(ctx: InvocationContext, next: Next) -> object:
            ctx.response.headers["X-Seen"] = "yes"
            name = names.get(ctx.method_name, ctx.method_name)
            log.append(f"{ctx.request.url.path} {dict(ctx.args.items())} {await ctx.current_user()} {name}")
            try:
                result = await next()
            except Exception as error:
                log.append(f"{error}")
                raise
            log.append(f"{result}")
            return result

        return Form(on_customers=[interceptor])

    found, log = await both(as_hooks, as_interceptors)
    assert found == plain()
    assert log[2:4] == ["/customers/1 {'id': 1} None findById", str(STORED[1])]
    assert log[-2] == "/customers/1 {'id': 1} ann save"


# -- modifying request parameters --------------------------------------------------------------------------------------


async def test_adding_posted_from_ip_address() -> None:
    """To every new comment; the guide has `afterRemote`, which would be too late."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None

        @form.hooks.model("Comment").before_remote("create")
        def add_address(ctx: RemotingContext, next: Any) -> None:
            ctx.args["comment"].posted_from_ip_address = ctx.req.client.host
            next()

        return form

    class AddRemoteAddressInterceptor:
        def __init__(self, request: Request) -> None:
            self.request = request

        async def intercept(self, ctx: InvocationContext, next: Next) -> object:
            assert self.request.client is not None
            ctx.args[0].posted_from_ip_address = self.request.client.host
            return await next()

    for address in ("127.0.0.1", "10.0.0.9"):
        found, _ = await both(as_hooks, lambda log: Form(on_comment=[AddRemoteAddressInterceptor]), address)
        body = f'{{"text":"hello","posted_from_ip_address":"{address}"}}'
        expected = [
            (name, status, body if (name, status) == ("POST /comments/", 201) else text)
            for name, status, text in plain()
        ]
        assert found == expected


# -- modifying the response --------------------------------------------------------------------------------------------


async def test_hiding_passwords() -> None:
    """Of a single result and of each in a list; nothing to hide where there is no result."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None

        @form.hooks.model("Customer").after_remote("**")
        def hide(ctx: RemotingContext, user: Any, next: Any) -> None:
            if ctx.result:
                for customer in ctx.result if isinstance(ctx.result, list) else [ctx.result]:
                    if isinstance(customer, dict):
                        customer.pop("password", None)
            next()

        return form

    def as_interceptors(log: list[str]) -> Form:
        async def hide(ctx: InvocationContext, next: Next) -> object:
            result = await next()
            for customer in result if isinstance(result, list) else [result]:
                if isinstance(customer, dict):
                    customer.pop("password", None)
            return result

        return Form(on_customers=[hide])

    found, _ = await both(as_hooks, as_interceptors)
    bodies = {name: body for name, _, body in found}
    assert bodies["GET /customers/"] == '[{"id":1,"name":"Ann"},{"id":2,"name":"Bob"}]'
    assert bodies["GET /customers/1"] == '{"id":1,"name":"Ann"}'
    assert bodies["GET /customers/0"] == "null"
    assert not any("hash" in body for body in bodies.values())
    assert [entry[:2] for entry in found] == [entry[:2] for entry in plain()]


# -- rejecting requests ------------------------------------------------------------------------------------------------


class Forbidden(Exception):
    """LoopBack's `HttpErrors.Forbidden`; any exception with a status, or FastAPI's own."""

    status_code = 403
    detail = "Forbidden"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.9"])
@pytest.mark.parametrize("refusal", [Forbidden, lambda: HTTPException(403)], ids=["own", "fastapi"])
async def test_rejecting_non_local_addresses(address: str, refusal: Callable[[], Exception]) -> None:
    """`next(new HttpErrors.Forbidden())`, and `throw`. For customers only; what FastAPI refuses itself comes first."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None

        @form.hooks.model("Customer").before_remote("**")
        def only_local(ctx: RemotingContext, next: Any) -> None:
            if ctx.req.client.host != "127.0.0.1":
                next(refusal())
            else:
                next()

        return form

    class OnlyLocalInterceptor:
        def __init__(self, request: Request) -> None:
            self.request = request

        async def intercept(self, ctx: InvocationContext, next: Next) -> object:
            if self.request.client is None or self.request.client.host != "127.0.0.1":
                raise HTTPException(403)
            return await next()

    found, _ = await both(as_hooks, lambda log: Form(on_customers=[OnlyLocalInterceptor]), address)
    if address == "127.0.0.1":
        assert found == plain()
        return
    refused = (403, '{"detail":"Forbidden"}')
    assert found == [
        (name, *(refused if "/customers/" in name and status != 422 else (status, body)))
        for name, status, body in plain()
    ]


# -- accessing the current user ----------------------------------------------------------------------------------------


async def test_warning_of_anonymous_requests(caplog: pytest.LogCaptureFixture) -> None:
    """`Customer.beforeRemote('*.save')`: instance methods called `save`. The user is optional: no one is no error."""
    console = logging.getLogger("console")

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None

        @form.hooks.model("Customer").before_remote("*.save")
        async def warn(ctx: RemotingContext, unused: Any, next: Any) -> None:
            if not await ctx.current_user():
                console.warning("anonymous request!")
                log.append(f"anonymous request! {ctx.req.method}")
            next()

        return form

    def as_interceptors(log: list[str]) -> Form:
        class WarnAnonymousInterceptor:
            """The user is asked for when the interceptor's turn comes, as by `@inject.getter`."""

            def __init__(self, ctx: InvocationContext) -> None:
                self.get_current_user = ctx.current_user

            async def intercept(self, ctx: InvocationContext, next: Next) -> object:
                if not await self.get_current_user():
                    console.warning("anonymous request!")
                    log.append(f"anonymous request! {ctx.request.method}")
                return await next()

        return Form(on_save=[WarnAnonymousInterceptor])

    with caplog.at_level(logging.WARNING, "console"):
        found, log = await both(as_hooks, as_interceptors)
    assert found == plain()
    assert log == ["anonymous request! PATCH"]  # one of the two requests has a user
    assert [record.message for record in caplog.records if record.name == "console"] == ["anonymous request!"] * 2


async def test_the_current_user_may_be_injected() -> None:
    """`Provide["current_user"]`, once something further out has asked for the user; `None` for an anonymous request."""

    def as_hooks(log: list[str]) -> Form:
        form = Form(hooks=RemoteHooks())
        assert form.hooks is not None

        @form.hooks.model("Customer").before_remote("*.save")
        async def note(ctx: RemotingContext) -> None:
            log.append(f"{await ctx.current_user()}")

        return form

    def as_interceptors(log: list[str]) -> Form:
        class NoteUser:
            def __init__(self, user: Annotated[str | None, Provide["current_user"]]) -> None:
                self.user = user

            async def intercept(self, ctx: InvocationContext, next: Next) -> object:
                log.append(f"{self.user}")
                return await next()

        return Form(on_save=[NoteUser])

    found, log = await both(as_hooks, as_interceptors)
    assert found == plain()
    assert log == ["None", "ann"]
