"""A rate limit as slowapi's `@limit`: it asks for a parameter `request`, and acts on it and on `response` around the handler."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse

from interceptors import InterceptorRegistry, InvocationContext, Next, intercept
from interceptors.fastapi import controller, create_router, get, install, intercepted_route
from tests.integration.support import ask, ask_quietly

Who = Annotated[Any, Provide["current_user"]]


class Limiter:
    """Two requests for each handler, which it knows by its module and name, as its middleware does."""

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}

    def limit(self, function: Any) -> Any:
        names = list(inspect.signature(function).parameters)
        if "request" not in names:
            raise TypeError(f"No `request` argument on {function}")
        place, name = names.index("request"), f"{function.__module__}.{function.__name__}"
        self.limits[name] = 2

        def check(args: Any, kwargs: Any) -> Request:
            request = kwargs.get("request", args[place] if args else None)
            if not isinstance(request, Request):
                raise TypeError("`request` must be a Request")
            endpoint = request.scope["endpoint"]
            assert f"{endpoint.__module__}.{endpoint.__name__}" == name
            if not getattr(request.state, "is_limited", False):
                request.state.is_limited = True
                self.limits[name] -= 1
                if self.limits[name] < 0:
                    raise HTTPException(429)
            return request

        def tell(result: Any, kwargs: Any) -> Any:
            response = result if isinstance(result, Response) else kwargs.get("response")
            if not isinstance(response, Response):
                raise TypeError("`response` must be a Response")
            response.headers["x-remaining"] = str(self.limits[name])
            return result

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return tell(await function(*args, **kwargs), kwargs)

        @functools.wraps(function)
        def at_once(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return tell(function(*args, **kwargs), kwargs)

        return later if asyncio.iscoroutinefunction(function) else at_once


async def noting(ctx: InvocationContext, next: Next) -> Any:
    seen = ctx.state.setdefault("seen", [])
    try:
        return await next()
    except HTTPException as error:
        seen.append(error.status_code)
        raise HTTPException(error.status_code, headers={"x-layer": "seen"}) from None
    finally:
        ctx.response.headers["x-layer"] = "seen"


def asynchronous(limit: Any) -> Any:
    @limit
    @intercept(noting)
    async def index(self: Any, request: Request, response: Response, page: int = 1) -> Any:
        return page

    return index


def in_a_thread(limit: Any) -> Any:
    @intercept(noting)
    @limit
    def index(self: Any, page: int, request: Request, response: Response) -> Any:
        return page

    return index


def with_an_answer_of_its_own(limit: Any) -> Any:
    @intercept(noting)
    @limit
    async def index(self: Any, request: Request, page: int = 1) -> Any:
        return PlainTextResponse(str(page))

    return index


def with_injected_parameters(limit: Any) -> Any:
    @limit
    @intercept(noting)
    async def index(self: Any, who: Who, request: Request, *, page: int = 1, response: Response) -> Any:
        return page if who is None else who

    return index


def with_a_dependency(limit: Any) -> Any:
    def paged(request: Request, page: int) -> int:
        assert not hasattr(request.state, "is_limited")
        return page

    @intercept(noting)
    @limit
    async def index(self: Any, page: Annotated[int, Depends(paged)], response: Response, request: Request) -> Any:
        return page

    return index


HANDLERS = [asynchronous, in_a_thread, with_an_answer_of_its_own, with_injected_parameters, with_a_dependency]


def a_controller(make: Any, limit: Any) -> type:
    return controller()(type("Items", (), {"index": get("/items")(make(limit))}))


def installed(app: FastAPI, registry: InterceptorRegistry, make: Any, limit: Any) -> None:
    install(app, registry, [a_controller(make, limit)])


def included(app: FastAPI, registry: InterceptorRegistry, make: Any, limit: Any) -> None:
    app.include_router(create_router(a_controller(make, limit), registry))


def above_the_route(app: FastAPI, registry: InterceptorRegistry, make: Any, limit: Any) -> None:
    cls = type("Items", (), {"index": limit(get("/items")(make(lambda function: function)))})
    install(app, registry, [controller()(cls)])


def inherited(app: FastAPI, registry: InterceptorRegistry, make: Any, limit: Any) -> None:
    install(app, registry, [controller()(type("Below", (a_controller(make, limit),), {}))])


PLACES: list[Callable[..., None]] = [installed, included, above_the_route, inherited]


@pytest.mark.parametrize("make", HANDLERS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_limit_counts_and_tells_on_a_controller_s_method(place: Any, make: Any) -> None:
    """It gets the request and the response, is inside of the layers, and refuses the third."""
    limiter, app = Limiter(), FastAPI()
    place(app, InterceptorRegistry(), make, limiter.limit)
    answers = [await ask(app, "/items?page=7") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.text for answer in answers[:2]] == ["7", "7"]
    assert [answer.headers.get("x-remaining") for answer in answers] == ["1", "0", None]
    assert [answer.headers["x-layer"] for answer in answers] == ["seen"] * 3


@pytest.mark.parametrize("route_class", ["ours", "plain"])
async def test_a_limit_counts_on_the_function_of_a_router(route_class: str) -> None:
    """The same on a router, whoever's its routes are; parameters that are injected need ours."""
    limiter, registry, app = Limiter(), InterceptorRegistry(), FastAPI()
    router = APIRouter(**({"route_class": intercepted_route(registry)} if route_class == "ours" else {}))

    @router.get("/items")
    @limiter.limit
    @intercept(noting)
    async def index(request: Request, response: Response) -> Any:
        return "index"

    app.include_router(router)
    install(app, registry)
    answers = [await ask_quietly(app, "/items") for _ in range(3)]
    assert [(answer.status_code, answer.headers.get("x-remaining")) for answer in answers] == [
        (200, "1"),
        (200, "0"),
        (429, None),
    ]
    assert [answer.headers["x-layer"] for answer in answers] == ["seen"] * 3


def positional_only(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await function(self, *args, **kwargs)

    return wrapper


def by_another_name(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(this: Any, **kwargs: Any) -> Any:
        return await function(this, **kwargs)

    return wrapper


def by_its_name(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(self: Any, **kwargs: Any) -> Any:
        return await function(self, **kwargs)

    return wrapper


def as_the_first_of_all(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any) -> Any:
        return await function(args[0])

    return wrapper


@pytest.mark.parametrize("wrap", [positional_only, by_another_name, by_its_name, as_the_first_of_all])
async def test_other_wrappers_of_a_method_get_its_object_as_they_want_it(wrap: Any) -> None:
    """By position where they take it so; also of a method that asks for the request, if they hand that on."""

    async def index(self: Any, request: Request) -> Any:
        return f"{type(self).__name__} {request.url.path}"

    async def first(self: Any) -> Any:
        return f"{type(self).__name__} /items"

    method = wrap(first if wrap is as_the_first_of_all else index)
    app = FastAPI()
    install(app, InterceptorRegistry(), [controller()(type("Items", (), {"index": get("/items")(method)}))])
    assert (await ask(app, "/items")).json() == "Items /items"
