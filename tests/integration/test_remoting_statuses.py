"""The status of an error that left through remoting hooks (contract 1.7): which rule fits first."""

import enum
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from interceptors import InterceptorRegistry, InvocationSource, skip_interceptors
from interceptors.fastapi import controller, create_router, get, install, intercepted_route
from interceptors.remoting import RemoteHooks
from tests.integration.support import Next, ask, ask_quietly


class Problem(Exception):
    """An error of the application's."""


class Gone(Problem):
    """One with a status."""

    status_code = 410


def error(text: str = "text", cls: type[Exception] = Problem, **attributes: Any) -> Exception:
    """An error with attributes."""
    found = cls(text)
    vars(found).update(attributes)
    return found


def hooks_with(before: Any = None) -> RemoteHooks:
    """Hooks that match everything; `before` is raised before the method."""
    hooks = RemoteHooks()

    @hooks.before_remote("**")
    def refuse(ctx: Any) -> None:
        if before is not None:
            raise before

    return hooks


def application(hooks: RemoteHooks, *layers: Any, method: Exception | None = None) -> FastAPI:
    """An application with a route that hooks see, and one that they do not."""
    registry = InterceptorRegistry(ordered_groups=("outer", "remoting"))
    registry.add_global(hooks, group="remoting")
    for layer in layers:
        registry.add_global(layer, group="outer")

    @controller()
    class C:
        @get("/hooked")
        async def hooked(self) -> str:
            if method is not None:
                raise method
            return "fine"

        @get("/bare")
        @skip_interceptors()
        async def bare(self) -> str:
            if method is not None:
                raise method
            return "fine"

    app = FastAPI()
    install(app, registry, controllers=[C])
    return app


async def answer(app: FastAPI, path: str = "/hooked") -> tuple[int, Any]:
    """Status and body, as a client gets them."""
    response = await ask_quietly(app, path)
    is_json = response.headers["content-type"] == "application/json"
    return response.status_code, response.json() if is_json else response.text


HIDDEN = (500, "Internal Server Error")

# -- 2: its own status -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["hook", "method"])
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"status_code": 409}, (409, {"detail": "text"})),
        ({"status": 404}, (404, {"detail": "text"})),
        ({"status_code": 409, "status": 404}, (409, {"detail": "text"})),
        ({"status_code": "x", "status": 404}, (404, {"detail": "text"})),
        ({"status_code": 409, "detail": {"code": 7}}, (409, {"detail": {"code": 7}})),
        ({"status_code": 409, "detail": None}, (409, {"detail": None})),
        ({"status_code": 499, "detail": None}, (499, {"detail": None})),
        ({"status_code": 400}, (400, {"detail": "text"})),
        ({"status_code": 599}, (599, {"detail": "text"})),
        ({"status_code": 399}, HIDDEN),
        ({"status_code": 600}, HIDDEN),
        ({"status_code": 302, "status": 404}, HIDDEN),
        ({"status_code": 200}, HIDDEN),
        ({"status_code": True}, HIDDEN),
        ({"status": "404"}, HIDDEN),
        ({}, HIDDEN),
    ],
)
async def test_an_error_answers_with_its_own_status(
    where: str, attributes: dict[str, Any], expected: tuple[int, Any]
) -> None:
    """`status_code`, else `status`, if it is an `int` in 400..599; else 500, which hides the text."""
    wrong = error(**attributes)
    app = application(hooks_with(wrong if where == "hook" else None), method=wrong)
    assert await answer(app) == expected


async def test_a_500_of_its_own_shows_its_detail() -> None:
    """An error that says 500 itself means it."""
    assert await answer(application(hooks_with(error(status_code=500)))) == (500, {"detail": "text"})


async def test_an_error_without_a_status_leaves_the_application() -> None:
    """The very object, so that the server's log has it."""
    wrong = error()
    app = application(hooks_with(wrong))
    with pytest.raises(Problem) as caught:
        await ask(app, "/hooked")
    assert caught.value is wrong


async def test_a_value_that_was_given_to_next_is_a_500() -> None:
    """Differs from LB3, which honours `{statusCode, message}` and shows the text."""
    for value in ("secret", {"status_code": 404, "status": 404, "detail": "secret"}):
        hooks = RemoteHooks()
        hooks.before_remote("**", lambda ctx, next, value=value: next(value))
        assert await answer(application(hooks)) == HIDDEN


async def test_an_error_changed_in_place_answers_with_what_it_has_now() -> None:
    """Also an HTTPException."""
    for wrong in (error(), HTTPException(404, "text")):
        hooks = RemoteHooks()

        @hooks.after_remote_error("**")
        def teapot(ctx: Any) -> None:
            ctx.error.status_code = 418
            ctx.error.detail = "changed"

        assert await answer(application(hooks, method=wrong)) == (418, {"detail": "changed"})


class Color(enum.Enum):
    """Something with a JSON form of its own."""

    RED = "red"


class Model(BaseModel):
    """Another one."""

    when: date


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        (Model(when=date(2024, 2, 29)), {"when": "2024-02-29"}),
        ([Model(when=date(2024, 2, 29))], [{"when": "2024-02-29"}]),
        ({"color": Color.RED, 5: Decimal("1.5")}, {"color": "red", "5": 1.5}),
        (("a", 1), ["a", 1]),
        ({1}, [1]),
    ],
)
async def test_a_detail_is_encoded_as_fastapi_does(detail: Any, shown: Any) -> None:
    """Models, dates, enums."""
    assert await answer(application(hooks_with(error(status_code=409, detail=detail)))) == (409, {"detail": shown})


@pytest.mark.parametrize(
    "detail",
    [
        object(),
        float("nan"),
        float("inf"),
        b"\xff",
        "\ud800",
        {"\ud800": 1},
        {"inner": [1, object()]},
        [float("nan"), {2: b"\xff"}],
    ],
    ids=["object", "nan", "inf", "bytes", "surrogate", "surrogate key", "inside a dict", "inside a list"],
)
async def test_a_detail_without_a_json_form_keeps_the_status(detail: Any) -> None:
    """What cannot be shown is no reason to hide that it is a 409."""
    status, body = await answer(application(hooks_with(error(status_code=409, detail=detail))))
    assert status == 409
    assert list(body) == ["detail"]


@pytest.mark.parametrize("value", [object(), float("nan"), b"\xff", "\ud800"])
async def test_an_argument_without_a_json_form_is_a_400_nonetheless(value: Any) -> None:
    """A hook assigned it; the answer shows it as well as it can."""
    registry = InterceptorRegistry()
    hooks = RemoteHooks()
    hooks.before_remote("**", lambda ctx: ctx.args.update(n=value))
    registry.add_global(hooks)

    @controller()
    class C:
        @get("/")
        async def show(self, n: int = 1) -> int:
            return n

    app = FastAPI()
    install(app, registry, controllers=[C])
    status, body = await answer(app, "/")
    assert status == 400
    assert [found["loc"] for found in body["detail"]] == [["args", "n"]]


# -- 1: the application's own handler ----------------------------------------------------------------------------------


@pytest.mark.parametrize("handled", [Gone, Problem])
async def test_the_applications_own_handler_goes_first(handled: type[Exception]) -> None:
    """For the error's class or a base of it; it gets the very object."""
    seen: list[Exception] = []
    wrong = Gone("text")
    app = application(hooks_with(wrong))

    @app.exception_handler(handled)
    async def handle(request: Request, exc: Exception) -> JSONResponse:
        seen.append(exc)
        return JSONResponse({"handled": str(exc)}, 451)

    assert await answer(app) == (451, {"handled": "text"})
    assert seen == [wrong]


async def test_a_handler_for_exception_is_not_the_errors_own() -> None:
    """It is for what nobody knows; an error with a status of its own answers with that."""
    app = application(hooks_with(Gone("text")))

    @app.exception_handler(Exception)
    async def handle(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({"handled": True}, 500)

    assert await answer(app) == (410, {"detail": "text"})


async def test_without_a_status_a_handler_for_exception_answers() -> None:
    """As everywhere."""
    app = application(hooks_with(Problem("text")))

    @app.exception_handler(Exception)
    async def handle(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({"handled": type(exc).__name__}, 500)

    assert await answer(app) == (500, {"handled": "Problem"})


async def test_an_http_exception_always_has_a_handler() -> None:
    """With its headers."""
    wrong = HTTPException(401, {"why": "token"}, headers={"WWW-Authenticate": "Bearer"})
    response = await ask(application(hooks_with(wrong)), "/hooked")
    assert (response.status_code, response.json()) == (401, {"detail": {"why": "token"}})
    assert response.headers["www-authenticate"] == "Bearer"


class Both(Gone, ValueError):
    """An error of two families."""


async def test_a_handler_for_any_base_counts() -> None:
    """Along the whole line of bases."""
    app = application(hooks_with(Both("text")))

    @app.exception_handler(ValueError)
    async def handle(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse({"handled": str(exc)}, 422)

    assert await answer(app) == (422, {"handled": "text"})


# -- only these errors -------------------------------------------------------------------------------------------------


async def test_elsewhere_a_status_is_not_read() -> None:
    """The `status_code` of some SDK's error must not become ours."""
    app = application(hooks_with(), method=Gone("text"))
    assert await answer(app, "/hooked") == (410, {"detail": "text"})
    assert await answer(app, "/bare") == HIDDEN


async def test_without_matching_hooks_there_is_no_layer() -> None:
    """`intercept` is only `next()` then."""
    hooks = RemoteHooks()
    hooks.before_remote("Other.**", lambda ctx: None)
    assert await answer(application(hooks, method=Gone("text"))) == HIDDEN


async def test_an_error_that_was_raised_before_is_read_only_where_it_left_hooks() -> None:
    """The same object, as a module's constant, on a route with hooks and on one without."""
    app = application(hooks_with(), method=Gone("text"))
    for _ in range(2):
        assert await answer(app, "/bare") == HIDDEN
        assert await answer(app, "/hooked") == (410, {"detail": "text"})


async def test_layers_outside_see_the_errors_own_object() -> None:
    """And may make another one of it, whose status nobody reads."""
    wrong = Gone("text")
    seen: list[Exception] = []

    async def watching(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except Exception as error:
            seen.append(error)
            raise

    async def wrapping(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except Gone as gone:
            raise error("sdk", status_code=404) from gone

    assert await answer(application(hooks_with(wrong), watching)) == (410, {"detail": "text"})
    assert seen == [wrong]
    assert await answer(application(hooks_with(wrong), wrapping)) == HIDDEN


async def test_a_refusal_outside_is_not_read() -> None:
    """It never left through the hooks."""

    async def refusing(ctx: Any, next: Next) -> Any:
        raise Gone("text")

    assert await answer(application(hooks_with(), refusing)) == HIDDEN


async def test_what_an_error_hook_settled_is_no_error() -> None:
    """The answer is a result."""
    hooks = RemoteHooks()
    hooks.after_remote_error("**", lambda ctx: ctx.done("settled"))
    assert await answer(application(hooks, method=Gone("text"))) == (200, "settled")


@dataclass(frozen=True)
class FrozenProblem(Exception):
    """An error that cannot be written on."""

    detail: str
    status_code: int = 422


async def test_a_frozen_error_has_its_status_too() -> None:
    """Whatever keeps others from writing on it."""
    assert await answer(application(hooks_with(FrozenProblem("text")))) == (422, {"detail": "text"})


# -- on every kind of route --------------------------------------------------------------------------------------------


async def test_on_functions_and_included_routers() -> None:
    """`def` and `async def`, on the application, on a router, on a mounted application."""
    registry = InterceptorRegistry()
    registry.add_global(hooks_with(Gone("text")))

    @controller(prefix="/controller")
    class C:
        @get("/")
        def show(self) -> None: ...

    router = APIRouter(route_class=intercepted_route(registry))

    @router.get("/function")
    def function() -> None: ...

    app, mounted = FastAPI(), FastAPI()
    app.include_router(create_router(C, registry), prefix="/v1")
    app.include_router(router)
    mounted.include_router(router)
    app.mount("/mounted", mounted)
    for path in ("/v1/controller/", "/function", "/mounted/function"):
        assert await answer(app, path) == (410, {"detail": "text"}), path


async def test_a_call_that_is_not_http_raises_the_error_itself() -> None:
    """Where nobody answers, nobody reads a status."""
    registry = InterceptorRegistry()
    wrong = Gone("text")
    registry.add_global(hooks_with(wrong))

    class Service:
        async def work(self) -> None: ...

    with pytest.raises(Gone) as caught:
        await registry.invoke(Service(), "work", source=InvocationSource("job"))
    assert caught.value is wrong
