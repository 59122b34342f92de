"""Wrong calls of public functions: decorators without their parentheses above all, found mechanically."""

import collections.abc
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable
from functools import partial, partialmethod
from importlib import import_module
from typing import Any, Literal

import pytest
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import async_sessionmaker

import interceptors
from interceptors import (
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    WrongCallError,
    annotate,
    global_interceptor,
    intercept,
    skip_interceptors,
)
from interceptors.calling import check_words, written
from interceptors.connectors import Connector
from interceptors.errors import InterceptorError, MissingExtraError
from interceptors.events import EventDispatcher, event
from interceptors.fastapi import controller, delete, get, head, options, patch, post, put, websocket
from interceptors.remoting import RemoteHooks, remote_method
from interceptors.resources import Resources
from tests.unit.helpers import names, passing, place


class Paid(BaseModel): ...


def resources() -> Resources:
    return Resources(InterceptorRegistry(), async_sessionmaker())


FACTORIES: dict[str, tuple[Callable[[], Any], str]] = {
    "decorators.intercept": (lambda: intercept, "@intercept(audit)"),
    "decorators.skip_interceptors": (lambda: skip_interceptors, "@skip_interceptors(audit)"),
    "decorators.annotate": (lambda: annotate, '@annotate(roles=["admin"])'),
    "decorators.global_interceptor": (lambda: global_interceptor, '@global_interceptor(group="auth")'),
    "fastapi.controllers.controller": (lambda: controller, '@controller(prefix="/orders")'),
    "fastapi.verbs.Verb.__call__": (lambda: get, '@get("/path")'),
    "fastapi.verbs.websocket": (lambda: websocket, '@websocket("/path")'),
    "remoting.methods.remote_method": (lambda: remote_method, '@remote_method("findById")'),
    "remoting.remote_hooks._Registration.before_remote": (
        lambda: RemoteHooks().before_remote,
        '@hooks.before_remote("Order.*")',
    ),
    "remoting.remote_hooks._Registration.after_remote": (
        lambda: RemoteHooks().model("Order").after_remote,
        '@hooks.after_remote("Order.*")',
    ),
    "remoting.remote_hooks._Registration.after_remote_error": (
        lambda: RemoteHooks().after_remote_error,
        '@hooks.after_remote_error("Order.*")',
    ),
    "events.dispatcher.EventDispatcher.on": (
        lambda: EventDispatcher(InterceptorRegistry()).on,
        "@events.on(OrderPaid)",
    ),
    "events.marks.event": (lambda: event, "@event(durable=False)"),
    "resources.resources.Resources.hook": (lambda: resources().hook, "@resources.hook(User)"),
    "resources.resources.Resources.event": (lambda: resources().event, "@resources.event(User)"),
    "connectors.connector.Connector.observe": (
        lambda: Connector[Any, Any]().observe,
        '@connector.observe("before execute")',
    ),
}
"""Every decorator factory of the library, and how it is written."""

VERBS = {"get": get, "post": post, "put": put, "patch": patch, "delete": delete, "head": head, "options": options}

CASES = {name: case for name, case in FACTORIES.items() if name != "fastapi.verbs.Verb.__call__"} | {
    name: (lambda verb=verb: verb, f'@{name}("/path")') for name, verb in VERBS.items()
}


def decorator_factories() -> dict[str, Any]:
    """Public functions and methods that, as their annotations say, give a function from a thing to the same thing."""
    found: dict[str, Any] = {}
    for info in pkgutil.walk_packages(interceptors.__path__, "interceptors."):
        if info.name == written.__module__:
            continue  # a decorator of our own functions
        try:
            module = import_module(info.name)
        except MissingExtraError:
            continue
        for owner in (module, *(each for each in vars(module).values() if inspect.isclass(each))):
            for function in vars(owner).values():
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    ways = typing.get_overloads(function) or [function]
                    if any(map(gives_a_decorator, ways)):
                        found[f"{module.__name__}.{function.__qualname__}".removeprefix("interceptors.")] = function
    return {
        name: each for name, each in found.items() if not name.rpartition(".")[2].removeprefix("__").startswith("_")
    }


def gives_a_decorator(function: Any) -> bool:
    gives = function.__annotations__.get("return")
    if typing.get_origin(gives) is not collections.abc.Callable:
        return False
    takes, result = typing.get_args(gives)
    return takes == [result] and "~" in repr(result)


def test_every_decorator_factory_is_known_here() -> None:
    """A new one needs its line in the table above."""
    assert set(decorator_factories()) == set(FACTORIES)


def things_to_decorate() -> dict[str, Any]:
    class Owner:
        async def method(self) -> None: ...

        async def with_argument(self, ctx: Any) -> None: ...

        @staticmethod
        async def static() -> None: ...

        @classmethod
        async def of_class(cls, one: Any, two: Any) -> None: ...

        @property
        def status(self) -> None: ...

    def generator() -> Any:
        yield

    return {
        "method": Owner.method,
        "method with an argument": Owner.with_argument,
        "static method": vars(Owner)["static"],
        "class method": vars(Owner)["of_class"],
        "property": vars(Owner)["status"],
        "generator": generator,
        "class": Owner,
        "lambda": lambda: None,
        "bound method": Owner().method,
    }


@pytest.mark.parametrize("kind", things_to_decorate())
@pytest.mark.parametrize("name", CASES)
def test_a_decorator_without_its_parentheses_shows_how_it_is_written(name: str, kind: str) -> None:
    """A TypeError with what it stands above, and not in Python's words."""
    made, shown = CASES[name]
    if kind == "class" and shown in ("@events.on(OrderPaid)", "@resources.hook(User)", "@resources.event(User)"):
        return  # that is how they are written
    thing = things_to_decorate()[kind]

    with pytest.raises((WrongCallError, InvalidInterceptorError), match=re.escape(f"rite `{shown}`.")) as caught:
        made()(thing)
    assert isinstance(caught.value, TypeError)
    assert "positional" not in str(caught.value)
    assert inspect.unwrap(getattr(thing, "fget", thing)).__qualname__.rpartition("<locals>.")[2] in str(caught.value)


@pytest.mark.parametrize("name", ["fastapi.verbs.websocket", "remoting.methods.remote_method", "get"])
def test_by_its_name_the_wrong_argument_is_no_better(name: str) -> None:
    """`get(path=handler)`."""
    made, shown = CASES[name]
    parameter = "name" if "remote" in name else "path"

    with pytest.raises(
        WrongCallError, match=re.escape(f"takes a text as {parameter!r}, not passing ({place(passing)})")
    ):
        made()(**{parameter: passing})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (get, "@get is called wrongly: missing a required argument: 'path'. Write `@get(\"/path\")`."),
        (lambda: post("/a", "/b"), "@post is called wrongly: too many arguments."),
        (lambda: put("/a", tag=["x"]), "@put does not take 'tag' (did you mean 'tags'?)."),
        (lambda: get(5), "@get takes a text as 'path', not 5."),
        (lambda: get(None), "@get takes a text as 'path', not None."),
        (lambda: websocket(b"/a"), "@websocket takes a text as 'path', not b'/a'."),
        (lambda: controller("/orders"), "@controller is called wrongly: too many arguments."),
        (lambda: controller(prefix=7), "@controller takes a text as 'prefix', not 7."),
        (lambda: controller(modle="Order"), "@controller does not take 'modle' (did you mean 'model'?)."),
        (lambda: annotate({"role": 1}), "@annotate is called wrongly: too many arguments."),
        (lambda: global_interceptor(passing, key="k"), "@global_interceptor takes a text as 'group', not passing ("),
        (lambda: global_interceptor(key=5), "@global_interceptor takes a text or None as 'key', not 5."),
        (lambda: intercept(passing, inherit="no"), "@intercept takes a bool as 'inherit', not 'no'."),
        (lambda: event(attempts="3"), "@event takes an int or None as 'attempts', not '3'."),
        (lambda: event(True), "@event is called wrongly: too many arguments."),
        (lambda: resources().hook("User"), "@resources.hook takes a class as 'model', not 'User'."),
        (lambda: resources().event(Paid, passing), "@resources.event takes a text as 'names', not passing ("),
        (lambda: RemoteHooks().model(Paid), "hooks.model takes a text as 'name', not Paid ("),
        (lambda: RemoteHooks().before_remote(), "@hooks.before_remote is called wrongly: missing a required argument"),
        (
            lambda: Connector[Any, Any]().observe(5),
            "@connector.observe takes one of 'before execute', 'after execute', ",
        ),
        (lambda: Connector[Any, Any]().before_execute(), "Write `@connector.before_execute`."),
        (lambda: Connector[Any, Any]().intercept(), "Write `@connector.intercept`."),
    ],
)
def test_a_factory_that_is_called_wrongly_shows_how_it_is_written(call: Any, says: str) -> None:
    """A missing argument, one too many, a misspelt one, one of the wrong kind."""
    with pytest.raises(WrongCallError, match=re.escape(says)) as caught:
        call()
    assert isinstance(caught.value, InterceptorError)
    assert "Write `" in str(caught.value)


def test_a_hook_that_is_none_is_no_decorator() -> None:
    """`hooks.before_remote("Order.*", handlers.get("x"))`: where there is none, nothing would be registered."""
    with pytest.raises(InterceptorError, match="NoneType"):
        RemoteHooks().before_remote("Order.*", None)


# -- where `@intercept` cannot tell ------------------------------------------------------------------------------------


BARE = {"intercept": intercept, "skip_interceptors": skip_interceptors}


@pytest.mark.parametrize("name", BARE)
def test_above_a_function_that_might_be_an_interceptor_it_is_refused_where_it_is_used(name: str) -> None:
    """`async def f(a, b)` could be one, so the decorator that comes of it says what it is wherever it is met."""
    bare: Any = BARE[name]

    @bare
    async def job(a: int, b: int) -> None: ...

    app, router = FastAPI(), APIRouter()
    says = re.escape(f"@{name}(...) was given job (") + rf".*write `@{name}\(audit\)`"
    for use in (
        lambda: job(1, 2),
        lambda: job(a=1, b=2),
        job,
        lambda: app.get("/")(job),
        lambda: router.websocket("/")(job),
        lambda: app.get("/{x}", dependencies=[Depends(job)])(lambda: 1),
        lambda: inspect.signature(job),
    ):
        with pytest.raises(WrongCallError, match=says):
            use()
    for again in (intercept(passing), annotate(a=1), get("/"), intercept, InterceptorRegistry().add_global):
        with pytest.raises(WrongCallError, match=says):
            again(job)


def test_nor_can_what_is_left_in_a_class_be_used() -> None:
    """Python itself tells the decorator that it stands in a class under the name of what it was given."""
    bare: Any = intercept
    with pytest.raises((WrongCallError, RuntimeError)) as caught:

        class Service:
            @bare
            async def load(this, number: int) -> None: ...

    error = caught.value if isinstance(caught.value, WrongCallError) else caught.value.__cause__
    assert isinstance(error, WrongCallError)  # Python 3.11 wraps it
    assert "Service.load" in str(error)


def test_a_method_is_no_interceptor() -> None:
    """What takes `self` belongs to an object: it is refused although it takes two arguments."""

    class Layers:
        async def layer(self, next: Any) -> None: ...

        async def of_class(cls, next: Any) -> None: ...

    for wrong in (Layers.layer, Layers.of_class):
        with pytest.raises(InvalidInterceptorError, match="is a method of an object that is not there"):
            InterceptorRegistry().add_global(wrong)
    with pytest.raises(InvalidInterceptorError, match=re.escape("write `@intercept(audit)`")):
        intercept(Layers.layer)


def test_a_decorator_may_be_kept_under_a_name_of_its_own() -> None:
    """In a class, too; what it was given is somebody else."""

    class Policies:
        audited = intercept(passing)
        open = skip_interceptors(passing)
        all = intercept(passing, passing)

    @Policies.audited
    async def function() -> None: ...

    assert names(InterceptorRegistry(), function) == ["passing"]
    assert repr(Policies.audited) == "<decorator @intercept(passing)>"


def test_a_decorator_takes_one_thing() -> None:
    """Not none, not two."""
    for wrong in (intercept(passing), lambda: skip_interceptors()(passing, passing)):
        with pytest.raises(WrongCallError, match="it takes the one thing that it decorates"):
            wrong()


# -- what is checked ---------------------------------------------------------------------------------------------------


def test_what_is_not_annotated_with_plain_classes_is_not_looked_at() -> None:
    """`Any`, generics, postponed annotations and parameters with a default are the function's own business."""

    class Thing:
        @written("thing.{}(1)")
        def method(self, a: Any, b: list[int], c: "int", d: int = 0, *more: int, **named: int) -> Any:
            return a, b, c, d, more, named

    assert Thing().method(1, 2, "3", "4", 5, x="6") == (1, 2, "3", "4", (5,), {"x": "6"})  # type: ignore[arg-type]
    with pytest.raises(WrongCallError, match="takes an int as 'more', not 1.5"):
        Thing().method(1, 2, "3", 4, 1.5)  # type: ignore[arg-type]


def test_unions_literals_and_classes_of_classes_are_looked_at() -> None:
    """The message lists what may be given."""

    @written("f(1)", "b")
    def f(a: int | type[BaseModel] | Literal["x", "y"], b: str | None = None) -> object:
        return a

    for right in (1, Paid, "x", "an unknown one, which the function itself may refuse"):
        assert f(right) is right  # type: ignore[arg-type]
    with pytest.raises(
        WrongCallError, match=r"^f takes an int or a class or one of 'x', 'y' as 'a', not a list\. Write"
    ):
        f([])  # type: ignore[arg-type]
    with pytest.raises(WrongCallError, match=r"a text or None as 'b', not a Paid"):
        f(1, Paid())  # type: ignore[arg-type]


def test_what_a_function_raises_is_its_own() -> None:
    """Also a TypeError."""

    @written("f(1)")
    def f(a: int) -> None:
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        f(1)


@pytest.mark.parametrize("right", ["auth", ["auth"], ("auth",), {"auth": 1}, iter(["auth"])])
def test_one_name_or_several(right: Any) -> None:
    """A text is one name, whatever else can be walked through several."""
    assert check_words(right, "group") == ("auth",)


@pytest.mark.parametrize("wrong", [1, None, b"auth", [b"auth"], ["auth", 1], passing, [["auth"]], partial(int)])
def test_what_is_no_name(wrong: Any) -> None:
    """The message names the parameter."""
    with pytest.raises(WrongCallError, match=r'^`group` takes a name or several names, not .* Write `group="name"`'):
        check_words(wrong, "group")


MISPLACED = {
    "text": "handler",
    "number": 5,
    "module": interceptors,
    "instance": Paid(),
    "property": property(lambda self: None),
    "partial method": partialmethod(passing),
    "none": None,
}


DECORATORS: dict[str, Any] = {
    "intercept": intercept(passing),
    "skip_interceptors": skip_interceptors(),
    "annotate": annotate(a=1),
    "global_interceptor": global_interceptor(),
    "get": get("/"),
    "websocket": websocket("/"),
    "controller": controller(),
    "remote_method": remote_method("find"),
    "on": EventDispatcher(InterceptorRegistry()).on(Paid),
    "event": event(),
    "resources.hook": resources().hook(Paid),
    "resources.event": resources().event(Paid),
    "before_remote": RemoteHooks().before_remote("Order.*"),
    "observe": Connector[Any, Any]().observe("before execute"),
    "after_execute": Connector[Any, Any]().after_execute,
    "connector.intercept": Connector[Any, Any]().intercept,
}


@pytest.mark.parametrize("kind", MISPLACED)
@pytest.mark.parametrize("name", DECORATORS)
def test_what_cannot_be_decorated_is_refused(name: str, kind: str) -> None:
    """By each of them, with an error of ours."""
    with pytest.raises(InterceptorError):
        DECORATORS[name](MISPLACED[kind])


def test_a_remote_method_is_no_class() -> None:
    """All its methods would have one name."""
    with pytest.raises(InvalidTargetError, match=re.escape('A model is named by `@controller(model="Order")`.')):
        remote_method("find")(Paid)
