"""A stranger's shop with a library: what its clients and the library see, with us and without."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeAlias

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response

from interceptors import InterceptorRegistry, InvocationContext, Next
from interceptors.fastapi import controller, get, install
from tests.integration.support import client_of

Decorator: TypeAlias = Callable[[Any], Any]
Recorded: TypeAlias = Callable[[], object]
"""Gives what the library has recorded, without what differs from run to run."""
Order: TypeAlias = Sequence[str]

DECLARE, SET_UP, INSTALL = "declare", "set up", "install"
ORDERS = list(itertools.permutations([DECLARE, SET_UP, INSTALL]))
every_order = pytest.mark.parametrize("order", ORDERS, ids=", ".join)
either_order = pytest.mark.parametrize("order", [(DECLARE, SET_UP), (SET_UP, DECLARE)], ids=", ".join)
"""For a controller, which is installed where it is declared."""
DECLARED_BEFORE_SET_UP = [(INSTALL, DECLARE, SET_UP), (DECLARE, INSTALL, SET_UP), (DECLARE, SET_UP, INSTALL)]
install_everywhere = pytest.mark.parametrize("order", DECLARED_BEFORE_SET_UP, ids=", ".join)
"""For a library that is set up once all routes are there."""
every_start = pytest.mark.parametrize(
    ("order", "lifespan"),
    [*((order, True) for order in ORDERS), *((order, False) for order in DECLARED_BEFORE_SET_UP)],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else f"{'' if value else 'no '}lifespan",
)
"""Every order, and without a lifespan those in which the library is set up last."""
with_and_without_lifespan = pytest.mark.parametrize("lifespan", [True, False], ids=["lifespan", "no lifespan"])


# -- the shop ----------------------------------------------------------------------------------------------------------


class Price:
    """What handlers are given, by FastAPI or by a library."""

    cents = 250

    def __repr__(self) -> str:
        return "Price()"


def user(token: Annotated[str, Header()] = "") -> str:
    """Who asks; a token is a name here."""
    if not token:
        raise HTTPException(401, "Who are you?", {"www-authenticate": "Token"})
    return token


def unchanged(handler: Any) -> Any:
    """The decorator of a library that has none."""
    return handler


@dataclass(frozen=True)
class Shop:
    """How a shop is declared: what its library asks of its handlers."""

    price: Any = Annotated[Price, Depends()]
    who: Any = Annotated[str, Depends(user)]
    decorate: Decorator = unchanged
    make_app: Callable[[], FastAPI] = FastAPI
    make_router: Callable[[], APIRouter] = APIRouter

    def declare(self, app: FastAPI, registry: InterceptorRegistry) -> None:
        """Functions on the application itself, and the same on a router below two prefixes."""
        self.declare_on(app)
        router = self.make_router()
        self.declare_on(router, "/shelf")
        app.include_router(router, prefix="/v1")

    def declare_without_a_router(self, app: FastAPI, registry: InterceptorRegistry) -> None:
        """The same without the router."""
        self.declare_on(app)
        self.declare_on(app, "/v1/shelf")

    def declare_with_a_controller(self, app: FastAPI, registry: InterceptorRegistry) -> None:
        """The same with methods in the place of the router's functions; their routes stand on the application."""
        self.declare_on(app)
        install(app, registry, [self.controller()])

    def declare_on(self, where: FastAPI | APIRouter, prefix: str = "") -> None:
        """Functions on an application or a router."""
        for path, handler in self.handlers():
            where.get(f"{prefix}{path}/{{number}}")(self.decorate(handler))

    def handlers(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """`async def` and `def`, those that ask for request and response, and those that fail."""

        async def show(number: int, who: self.who, price: self.price) -> dict[str, Any]:
            return {"order": number, "of": who, "cents": price.cents}

        def count(number: int, who: self.who, price: self.price) -> dict[str, Any]:
            return {"stock": number, "of": who, "cents": price.cents}

        async def greet(request: Request, response: Response, number: int, who: self.who) -> str:
            response.headers["x-greeted"] = who
            return f"{request.url.path} greets {number}"

        def weigh(request: Request, response: Response, number: int, who: self.who) -> str:
            response.headers["x-weighed"] = who
            return f"{request.url.path} weighs {number}"

        async def fail(number: int, who: self.who, price: self.price) -> int:
            raise RuntimeError(f"The till does not open: {number}, {price.cents}")

        def fail_at_once(number: int, who: self.who, price: self.price) -> int:
            raise RuntimeError(f"The till is gone: {number}, {price.cents}")

        for path, handler in zip(PATHS, (show, count, greet, weigh, fail, fail_at_once), strict=True):
            yield path, handler

    def controller(self) -> type:
        """The same as methods, below the prefixes of the router."""

        class Shelf:
            async def show(self, number: int, who: self.who, price: self.price) -> dict[str, Any]:
                return {"order": number, "of": who, "cents": price.cents}

            def count(self, number: int, who: self.who, price: self.price) -> dict[str, Any]:
                return {"stock": number, "of": who, "cents": price.cents}

            async def greet(self, request: Request, response: Response, number: int, who: self.who) -> str:
                response.headers["x-greeted"] = who
                return f"{request.url.path} greets {number}"

            def weigh(self, request: Request, response: Response, number: int, who: self.who) -> str:
                response.headers["x-weighed"] = who
                return f"{request.url.path} weighs {number}"

            async def fail(self, number: int, who: self.who, price: self.price) -> int:
                raise RuntimeError(f"The till does not open: {number}, {price.cents}")

            def fail_at_once(self, number: int, who: self.who, price: self.price) -> int:
                raise RuntimeError(f"The till is gone: {number}, {price.cents}")

        for path, name in zip(PATHS, ("show", "count", "greet", "weigh", "fail", "fail_at_once"), strict=True):
            setattr(Shelf, name, get(f"{path}/{{number}}")(self.decorate(vars(Shelf)[name])))
        return controller(prefix="/v1/shelf")(Shelf)


PATHS = ("/orders", "/stock", "/greetings", "/weights", "/broken", "/gone")


class Ask(NamedTuple):
    """A request, the status of its answer, and the handler that it reaches."""

    path: str
    status: int = 200
    reaches: str | None = None
    token: str = "ada"
    verb: str = "GET"
    headers: dict[str, str] = {}  # noqa: RUF012
    body: Any = None


def asks_below(prefix: str, **options: Any) -> list[Ask]:
    """Requests that are served, fail, are refused by a dependency, or are wrong, below a prefix."""
    return [
        *(
            Ask(f"{prefix}{path}/7", 500 if path in PATHS[4:] else 200, f"{prefix}{path}/{{number}}", **options)
            for path in PATHS
        ),
        *(Ask(f"{prefix}{path}/7", 401, token="", **options) for path in PATHS),
        *(Ask(f"{prefix}{path}/seven", 422, **options) for path in PATHS),
        Ask(f"{prefix}/orders/7", 405, verb="POST", **options),
        Ask(f"{prefix}/nowhere", 404, **options),
    ]


ASKS = [*asks_below(""), *asks_below("/v1/shelf"), Ask("/openapi.json")]


# -- what is seen ------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What clients were answered, what the library recorded, and around what our layer ran."""

    answers: list[Any] = field(default_factory=list)
    recorded: object = None
    ran: list[str] = field(default_factory=list)


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """The lifespan of an application, as a server runs it: some libraries do their work there."""
    said, heard = asyncio.Queue[dict[str, str]](), asyncio.Queue[dict[str, str]]()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, said.get, heard.put))
    for phase in ("startup", "shutdown"):
        await said.put({"type": f"lifespan.{phase}"})
        answer = await heard.get()
        if answer["type"] != f"lifespan.{phase}.complete":
            await task  # raises what has stopped it
            raise AssertionError(answer)
        if phase == "startup":
            yield
    await task


async def look(
    shop: Shop,
    steps: Order,
    set_up: Callable[[FastAPI], Recorded],
    *,
    lifespan: bool = True,
    asks: Iterable[Ask] = ASKS,
    varying: frozenset[str] = frozenset(),
    declare: Callable[[Shop, FastAPI, InterceptorRegistry], None] = Shop.declare,
    served: Callable[[FastAPI], FastAPI] = lambda app: app,
) -> Seen:
    """Build the shop in these steps, and ask it. `varying`: headers whose values differ from run to run.

    `served`: the application that is asked, where the library makes another one.
    """
    seen, app, registry = Seen(), shop.make_app(), InterceptorRegistry()
    recorded: Recorded = lambda: None

    @registry.add_global
    async def layer(ctx: InvocationContext, next: Next) -> Any:
        seen.ran.append(str(ctx.source))
        return await next()

    for step in steps:
        if step == DECLARE:
            declare(shop, app, registry)
        elif step == SET_UP:
            recorded = set_up(app)
        else:
            install(app, registry)
    app = served(app)
    async with AsyncExitStack() as stack:
        if lifespan:
            await stack.enter_async_context(started(app))
        client = await stack.enter_async_context(client_of(app, raise_app_exceptions=False))
        for ask in asks:
            headers = {"token": ask.token, **ask.headers}
            answer = await client.request(ask.verb, ask.path, headers=headers, **(ask.body or {}))
            lines = [(name, "..." if name in varying else value) for name, value in answer.headers.multi_items()]
            seen.answers.append((ask, answer.status_code, lines, answer.content))
    seen.recorded = recorded()
    return seen


async def same(
    shop: Shop, order: Order, set_up: Callable[[FastAPI], Recorded], *, asks: Sequence[Ask] = ASKS, **options: Any
) -> Seen:
    """Assert that the shop with us does what it does without us, to the byte, and that our layer ran around it all.

    Gives what was seen with us.
    """
    without = await look(shop, [step for step in order if step != INSTALL], set_up, asks=asks, **options)
    with_us = await look(shop, order, set_up, asks=asks, **options)
    return alike(with_us, without, asks)


async def same_as_a_controller(
    shop: Shop, order: Order, set_up: Callable[[FastAPI], Recorded], *, asks: Sequence[Ask] = ASKS, **options: Any
) -> Seen:
    """The same of a shop that has methods of a controller with us, and without us functions in their places."""
    steps = [step for step in order if step != INSTALL]
    without = await look(shop, steps, set_up, asks=asks, declare=Shop.declare_without_a_router, **options)
    with_us = await look(shop, order, set_up, asks=asks, declare=Shop.declare_with_a_controller, **options)
    return alike(with_us, without, asks)


def alike(with_us: Seen, without: Seen, asks: Sequence[Ask]) -> Seen:
    """Assert it of what was seen."""
    assert [(ask, status) for ask, status, _, _ in without.answers] == [(ask, ask.status) for ask in asks]
    assert with_us.answers == without.answers
    assert with_us.recorded == without.recorded
    assert without.ran == []
    assert with_us.ran == [f"route {ask.verb} {ask.reaches}" for ask in asks if ask.reaches is not None]
    return with_us


def own_frames(stacktrace: str) -> list[str]:
    """What a traceback says of the shop's own functions, and of the error: between these we, and FastAPI, stand differently."""
    parts = re.split(r"(?m)^(?=  File |\S)", stacktrace)
    return [
        re.sub(r", line \d+", "", part)
        for part in parts
        if not part.startswith("  File ") or (__file__ in part and ", in layer\n" not in part)
    ]


def as_a_function(text: str) -> str:
    """A text with the name of a method as it is with that of the function: the class is in it, and cannot be the same."""
    return re.sub(r"(Shop\.controller\.<locals>\.)?Shelf\.", "Shop.handlers.<locals>.", text)
