"""The verb decorators: FastAPI's own arguments, recorded on the method and left to FastAPI."""

import functools
import inspect
import re
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse

from interceptors import InterceptorRegistry, InvalidTargetError, intercept
from interceptors.fastapi import controller, create_router, delete, get, head, options, patch, post, put, websocket
from tests.unit.fastapi.serving import app_of, client_of, registry_of
from tests.unit.helpers import passing, place, recording

VERBS = {
    "GET": get,
    "POST": post,
    "PUT": put,
    "PATCH": patch,
    "DELETE": delete,
    "HEAD": head,
    "OPTIONS": options,
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_makes_a_route_of_its_own_method(verb: str) -> None:
    """The route answers to this verb only; the chain runs around it."""
    events: list[str] = []

    @controller()
    class Controller:
        @VERBS[verb]("/")
        async def handle(self) -> str:
            return verb

    client = client_of(app_of(Controller, registry=registry_of(recording("a", events))))

    assert client.request(verb, "/").status_code == 200
    assert events == [">a", "<a"]
    assert client.request("POST" if verb == "GET" else "GET", "/").status_code == 405


def test_the_arguments_are_fastapis_own() -> None:
    """Each verb, `websocket` and `controller` take what `APIRouter` takes, by the same names and with its defaults."""
    for own, fastapis, extra in (
        (get.__call__, APIRouter().get, set()),
        (websocket, APIRouter().websocket, set()),
        (controller, APIRouter, {"model"}),
    ):
        mine, theirs = inspect.signature(own).parameters, inspect.signature(fastapis).parameters
        assert set(mine) - extra == set(theirs)
        for name, parameter in theirs.items():
            given, plain = mine[name].default, parameter.default
            assert getattr(given, "value", given) == getattr(plain, "value", plain)


def test_arguments_are_left_to_fastapi() -> None:
    """A route has the attributes that the same call on an `APIRouter` gives it."""
    arguments: list[dict[str, Any]] = [
        {},
        {"status_code": 201, "tags": ["a"], "summary": "s", "description": "d", "deprecated": True},
        {"response_model": None, "name": "n", "operation_id": "o", "responses": {404: {"description": "none"}}},
        {"response_model_exclude_unset": True, "response_model_by_alias": False, "include_in_schema": False},
        {"response_class": PlainTextResponse, "openapi_extra": {"x-a": 1}, "response_description": "r"},
    ]
    for options_given in arguments:

        @controller()
        class Controller:
            @get("/path", **options_given)
            async def handle(self) -> int: ...

        async def handle() -> int: ...

        router = APIRouter()
        router.get("/path", **options_given)(handle)
        mine, plain = create_router(Controller, InterceptorRegistry()).routes[0], router.routes[0]
        for name in ("status_code", "tags", "summary", "description", "deprecated", "name", "operation_id", "methods"):
            assert getattr(mine, name) == getattr(plain, name)
        for name in ("response_model", "responses", "include_in_schema", "openapi_extra", "response_description"):
            assert getattr(mine, name) == getattr(plain, name)
        assert mine.response_model_exclude_unset == plain.response_model_exclude_unset
        assert mine.response_model_by_alias == plain.response_model_by_alias


def test_a_decorator_returns_the_very_function() -> None:
    """A static or class method stays a descriptor, on either side of which a decorator may stand."""

    def function() -> None: ...

    for decorator in (get("/"), post("/"), websocket("/ws")):
        for target in (function, staticmethod(function), classmethod(function)):
            assert decorator(target) is target


def test_a_method_may_have_several_routes_the_lower_first() -> None:
    """As on a router, where the lower decorator is applied first."""

    @controller()
    class Controller:
        @get("/c")
        @intercept(passing)
        @post("/b")
        @get("/a")
        async def handle(self) -> None: ...

    routes = create_router(Controller, InterceptorRegistry()).routes

    assert [(route.path, route.methods) for route in routes] == [("/a", {"GET"}), ("/b", {"POST"}), ("/c", {"GET"})]


def test_static_and_class_methods_can_be_routes() -> None:
    """They need no instance, and get none."""

    @controller()
    class Controller:
        def __init__(self) -> None:
            raise AssertionError

        @get("/static")
        @staticmethod
        async def static(value: int) -> int:
            return value

        @classmethod
        @get("/class")
        async def of_class(cls, value: int) -> str:
            return f"{cls.__name__} {value}"

    client = client_of(app_of(Controller))

    assert client.get("/static?value=1").json() == 1
    assert client.get("/class?value=2").json() == "Controller 2"


def test_what_is_no_function_cannot_be_a_route() -> None:
    """A class, a property, an object, a bound method and a partial are refused with name and place."""

    class Thing:
        @property
        def status(self) -> None: ...

        def method(self) -> None: ...

        def __call__(self) -> None: ...

    status = Thing.__dict__["status"]
    for target, name, where in (
        (Thing, "Thing", place(Thing)),
        (Thing(), "Thing", place(Thing)),
        (status, "Thing.status", place(status.fget)),
        (Thing().method, "Thing.method", place(Thing.method)),
        (functools.partial(passing), "passing", place(passing)),
    ):
        text = f"A route decorator cannot be used on {name} ({where}); put it on a method."
        for decorator in (get("/"), websocket("/")):
            with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
                decorator(target)
            assert caught.value.target is target


def test_repr_is_what_one_writes() -> None:
    """`@get`, `@post` ..."""
    assert [repr(verb) for verb in (get, post, delete)] == ["@get", "@post", "@delete"]


def test_a_websocket_has_a_name_and_dependencies() -> None:
    """What `APIRouter.websocket` takes."""

    @controller()
    class Controller:
        @websocket("/ws", name="named")
        async def talk(self) -> None: ...

        @websocket("/other")
        async def other(self) -> None: ...

    app = FastAPI()
    app.include_router(create_router(Controller, InterceptorRegistry()))

    assert app.url_path_for("named") == "/ws"
    assert app.url_path_for("other") == "/other"
