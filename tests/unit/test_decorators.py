"""The decorators: they check, record, and return the very object that they were given."""

import functools
import re
from typing import Any

import pytest

from interceptors import (
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    WrongCallError,
    annotate,
    compose,
    global_interceptor,
    intercept,
    skip_interceptors,
)
from interceptors.testing import make_context
from tests.unit.helpers import names, passing, place, recording

EVENTS: list[str] = []
A, B, C, D = (recording(name, EVENTS) for name in "ABCD")

DECORATORS = {
    "intercept": intercept(A),
    "skip_interceptors": skip_interceptors(A),
    "annotate": annotate(role="admin"),
}


@pytest.mark.parametrize("decorator", [*DECORATORS.values(), global_interceptor()], ids=[*DECORATORS, "global"])
def test_a_decorator_returns_the_very_object(decorator: Any) -> None:
    """A class and a function stay what they are: no wrapper, no copy, no changed name."""

    class Service:
        async def intercept(self, ctx: Any, next: Any) -> None: ...

    async def function(ctx: Any, next: Any) -> None: ...

    assert decorator(Service) is Service
    assert decorator(function) is function


@pytest.mark.parametrize("decorator", DECORATORS.values(), ids=DECORATORS)
def test_static_and_class_methods_stay_descriptors(decorator: Any) -> None:
    """A decorator takes the function or the descriptor, so that it may stand above or below `@staticmethod`."""

    def function() -> None: ...

    for descriptor in (staticmethod(function), classmethod(function)):
        assert decorator(descriptor) is descriptor


async def test_calling_the_method_directly_runs_nothing() -> None:
    """Interceptors belong to an invocation: a direct call is a direct call."""
    EVENTS.clear()

    @intercept(A)
    class Service:
        @intercept(B)
        async def work(self) -> str:
            return "worked"

    assert await Service().work() == "worked"
    assert EVENTS == []


def test_stacked_decorators_add_up_the_upper_one_outermost() -> None:
    """What the upper decorator names stands in front of what the lower one names."""

    class Service:
        @intercept(A, B)
        @intercept(C)
        @intercept()
        @intercept(D)
        async def work(self) -> None: ...

    assert names(InterceptorRegistry(), Service, "work") == ["A", "B", "C", "D"]


def test_what_two_stacked_decorators_name_stands_where_the_lower_one_names_it() -> None:
    """The more local position wins, and each keeps its first occurrence: `[A, B] + [D, A] = [B, D, A]`."""

    class Service:
        @intercept(A, B)
        @intercept(D, A, D)
        async def work(self) -> None: ...

        @intercept(A, B, A)
        async def repeated(self) -> None: ...

    assert names(InterceptorRegistry(), Service, "work") == ["B", "D", "A"]
    assert names(InterceptorRegistry(), Service, "repeated") == ["A", "B"]


def test_decorators_work_above_and_below_static_and_class_methods() -> None:
    """It makes no difference on which side of `@staticmethod` or `@classmethod` a decorator stands."""

    class Service:
        @intercept(A)
        @staticmethod
        @intercept(B)
        async def static() -> None: ...

        @intercept(A)
        @classmethod
        @intercept(B)
        async def of_class(cls) -> None: ...

    registry = InterceptorRegistry()

    assert names(registry, Service, "static") == ["A", "B"]
    assert names(registry, Service, "of_class") == ["A", "B"]


def test_other_decorators_may_stand_between() -> None:
    """`functools.wraps` carries what was recorded; what is recorded on the wrapper does not reach the function inside."""

    @intercept(B)
    async def inner() -> None: ...

    @intercept(A)
    @functools.wraps(inner)
    async def outer() -> None: ...

    registry = InterceptorRegistry()

    assert names(registry, outer) == ["A", "B"]
    assert names(registry, inner) == ["B"]


def target_of_every_kind() -> dict[str, tuple[Any, str]]:
    """What cannot be decorated, with the words for it."""

    class Service:
        @property
        def status(self) -> None: ...

        def work(self) -> None: ...

        def __call__(self) -> None: ...

    here = "test_decorators"
    status = Service.__dict__["status"]
    return {
        "property": (status, f"a property: Service.status ({place(status.fget)})"),
        "object": (Service(), f"'Service' objects: Service ({place(Service)})"),
        "bound method": (Service().work, f"'method' objects: Service.work ({place(Service.work)})"),
        "partial": (functools.partial(passing), f"'partial' objects: passing ({place(passing)})"),
        "builtin": (len, "'builtin_function_or_method' objects: len (no source file)"),
        "chain": (compose(), f"'Chain' objects: Chain ({place(type(compose()))})"),
        "text": (here, "'str' objects: 'test_decorators' (no source file)"),
    }


@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize("kind", target_of_every_kind())
def test_what_is_neither_class_nor_function_cannot_be_decorated(decorator: str, kind: str) -> None:
    """The message names the decorator, what it was put on, and where that stands."""
    target, words = target_of_every_kind()[kind]
    text = f"@{decorator} cannot be used on {words}. Put it on a class, a method or a function."

    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
        DECORATORS[decorator](target)
    assert caught.value.target is target
    assert isinstance(caught.value, TypeError)


def test_a_static_method_of_something_odd_cannot_be_decorated() -> None:
    """A descriptor around what is no function would lose the record."""
    with pytest.raises(InvalidTargetError):
        intercept(A)(staticmethod(len))


def test_intercept_can_be_used_without_interceptors() -> None:
    """An empty list is a list: it adds nothing."""

    @intercept()
    async def function() -> None: ...

    assert names(InterceptorRegistry(), function) == []


# -- annotate ----------------------------------------------------------------------------------------------------------


def test_annotations_add_up_and_the_upper_decorator_wins() -> None:
    """Stacked `@annotate` are merged by name."""

    @annotate(a=1, b=1)
    @annotate(b=2, c=2)
    async def function() -> None: ...

    assert make_context(target=function).annotations == {"a": 1, "b": 1, "c": 2}


def test_annotations_of_the_method_go_over_those_of_the_class_and_of_the_base() -> None:
    """Method over class over base, each name on its own."""

    @annotate(a="base", b="base", c="base", d="base")
    class Base:
        @annotate(d="base method", e="base method", f="base method")
        async def work(self) -> None: ...

    @annotate(b="class", c="class", f="class")
    class Service(Base):
        @annotate(c="method", e="method")
        async def work(self) -> None: ...

    assert make_context(target=Service, method="work").annotations == {
        "a": "base",
        "b": "class",
        "c": "method",
        "d": "base method",
        "e": "method",
        "f": "base method",
    }


def test_annotations_of_one_class_are_not_seen_on_another() -> None:
    """A subclass adds to its own; the base and the siblings keep theirs."""

    @annotate(a=1)
    class Base:
        async def work(self) -> None: ...

    @annotate(b=2)
    class Service(Base): ...

    assert make_context(target=Base, method="work").annotations == {"a": 1}
    assert make_context(target=Service, method="work").annotations == {"a": 1, "b": 2}


def test_an_annotation_may_have_any_name() -> None:
    """The names are the user's: `self`, `target` and `cls` are no exception."""

    @annotate(self=1, target=2, cls=3)
    async def function() -> None: ...

    assert make_context(target=function).annotations == {"self": 1, "target": 2, "cls": 3}


# -- global_interceptor ------------------------------------------------------------------------------------------------


def test_only_classes_and_functions_can_be_marked_as_global() -> None:
    """What `registry.discover` could not find again is refused, with its name and place."""

    class Service:
        @staticmethod
        async def static(ctx: Any, next: Any) -> None: ...

        @classmethod
        async def of_class(cls, ctx: Any, next: Any) -> None: ...

        async def intercept(self, ctx: Any, next: Any) -> None: ...

    for target, name, where in (
        (Service.__dict__["static"], "Service.static", place(Service.static)),
        (Service.__dict__["of_class"], "Service.of_class", place(Service.of_class)),
        (Service(), "Service", place(Service)),
        (Service().intercept, "Service.intercept", place(Service.intercept)),
        (compose(), "Chain", place(type(compose()))),
    ):
        text = f"{name} ({where}) is neither a class nor a function; only these can be marked."
        with pytest.raises(InvalidInterceptorError, match=f"^{re.escape(text)}$") as caught:
            global_interceptor()(target)
        assert caught.value.interceptor is target


def test_what_is_marked_has_to_be_an_interceptor() -> None:
    """The mistake is reported at the decorator, not at discovery."""
    with pytest.raises(InvalidInterceptorError, match="is a class without `intercept`"):

        @global_interceptor(group="auth")
        class NoInterceptor: ...


def test_marking_and_declaring_do_not_disturb_each_other() -> None:
    """One class may be a global interceptor and be annotated; each decorator keeps what the others recorded."""

    @annotate(a=1)
    @global_interceptor()
    @annotate(b=2)
    async def function(ctx: Any, next: Any) -> None: ...

    assert make_context(target=function).annotations == {"a": 1, "b": 2}


class Outer:
    async def layer(ctx: Any, next: Any) -> None: ...

    class Layer:
        async def intercept(self, ctx: Any, next: Any) -> None: ...


def test_what_is_written_inside_a_class_cannot_be_marked_as_global() -> None:
    """`registry.discover` looks at the top of modules only, so it would never run; inside a function is a test's way."""
    for target in (Outer.layer, Outer.Layer):
        with pytest.raises(
            InvalidInterceptorError, match="is written inside a class, where registry.discover does not"
        ):
            global_interceptor()(target)

    class Local:
        async def intercept(self, ctx: Any, next: Any) -> None: ...

    assert global_interceptor()(Local) is Local


def test_what_is_marked_twice_is_refused() -> None:
    """The options of one of the two would be lost; the same mark again, as in a module that is run again, is none."""

    async def layer(ctx: Any, next: Any) -> None: ...

    global_interceptor("auth", before=["log"])(layer)
    global_interceptor("auth", before="log")(layer)
    with pytest.raises(InvalidInterceptorError, match=r"layer \(.*\) is marked with @global_interceptor already"):
        global_interceptor("limit")(layer)


@pytest.mark.parametrize("name", ["source", "before", "after"])
@pytest.mark.parametrize("wrong", [1, b"route", [1], passing])
def test_the_arguments_of_a_mark_are_checked_where_it_stands(name: str, wrong: Any) -> None:
    """As those of `registry.add_global`; a key must not be empty."""
    with pytest.raises(WrongCallError, match=f"^`{name}` takes a name or several names"):
        global_interceptor(**{name: wrong})
    with pytest.raises(InvalidInterceptorError, match="An empty string is no key"):
        global_interceptor(key="")


# -- skip_interceptors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [(), [], set(), iter(())])
def test_an_empty_list_of_groups_leaves_nothing_out(groups: Any) -> None:
    """Only without arguments everything is left out: a list that happens to be empty must not open a route."""

    @skip_interceptors(group=groups)
    async def function() -> None: ...

    registry = InterceptorRegistry()
    registry.add_global(A, group="auth")
    assert names(registry, function) == ["A"]


@pytest.mark.parametrize("wrong", [1, b"auth", ["auth", 2], passing])
def test_groups_to_skip_are_names(wrong: Any) -> None:
    """Not numbers, not bytes, not interceptors."""
    with pytest.raises(WrongCallError, match="^`group` takes a name or several names"):
        skip_interceptors(group=wrong)
