"""What an interceptor is; what is said where something is not; when two are the same; where they stand."""

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
from dependency_injector import providers
from dependency_injector.wiring import Provide
from fastapi import Depends

from interceptors import (
    Chain,
    InterceptorRegistry,
    InvalidInterceptorError,
    compose,
    global_interceptor,
    intercept,
    skip_interceptors,
)
from interceptors.testing import override
from tests.unit.helpers import names, passing, place

NO_SOURCE = "no source file"


async def one(ctx):
    """Takes one argument."""


async def keyword_only(ctx, *, next):
    """Takes one argument by position."""


def plain(ctx, next):
    """Is a plain function."""


def generator(ctx, next):
    yield


async def async_generator(ctx, next):
    yield


class Empty:
    """Has no `intercept`."""


class Plain:
    def intercept(self, ctx, next): ...


class Narrow:
    async def intercept(self, ctx): ...


class NoMethod:
    intercept = 5


class WithCall:
    async def __call__(self, ctx, next): ...


class Static:
    @staticmethod
    async def intercept(ctx, next):
        return "static"


class ByClass:
    @classmethod
    async def intercept(cls, ctx, next):
        return "class"


class NarrowStatic:
    @staticmethod
    async def intercept(ctx): ...


class WithProperty:
    @property
    async def intercept(self): ...

    @staticmethod
    async def static(ctx, next): ...

    @classmethod
    async def of_class(cls, ctx, next): ...

    async def method(self, ctx, next):
        return await next()

    async def narrow(self, ctx): ...


class Good:
    async def intercept(self, ctx, next):
        return await next()


class Flexible:
    async def intercept(self, *args, extra=None):
        return await args[-1]()


METHOD = "write `async def intercept(self, ctx, next)`."
REFUSED: list[tuple[object, str]] = [
    (plain, f"plain ({place(plain)}) is not `async def`; write `async def plain(ctx, next)`."),
    (one, f"one ({place(one)}) does not take two arguments; write `async def one(ctx, next)`."),
    (
        keyword_only,
        f"keyword_only ({place(keyword_only)}) does not take two arguments; write `async def keyword_only(ctx, next)`.",
    ),
    (
        generator,
        f"generator ({place(generator)}) is a generator function; write `async def generator(ctx, next)`.",
    ),
    (
        async_generator,
        (
            f"async_generator ({place(async_generator)}) is a generator function; "
            "write `async def async_generator(ctx, next)`."
        ),
    ),
    (functools.partial(plain), f"plain ({place(plain)}) is not `async def`; write `async def plain(ctx, next)`."),
    (
        WithProperty().narrow,
        (
            f"WithProperty.narrow ({place(WithProperty.narrow)}) does not take two arguments; "
            "write `async def narrow(ctx, next)`."
        ),
    ),
    (
        Empty,
        f"Empty ({place(Empty)}) is a class without `intercept`; give it `async def intercept(self, ctx, next)`.",
    ),
    (
        Empty(),
        (
            f"Empty ({place(Empty)}) is no interceptor; write `async def f(ctx, next)` or a class with "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    (Plain, f"Plain ({place(Plain)}) has an `intercept` that is not `async def`; {METHOD}"),
    (Plain(), f"Plain ({place(Plain)}) has an `intercept` that is not `async def`; {METHOD}"),
    (Narrow, f"Narrow ({place(Narrow)}) has an `intercept` that does not take two arguments; {METHOD}"),
    (Narrow(), f"Narrow ({place(Narrow)}) has an `intercept` that does not take two arguments; {METHOD}"),
    (NoMethod, f"NoMethod ({place(NoMethod)}) has an `intercept` that is not `async def`; {METHOD}"),
    (
        NarrowStatic,
        f"NarrowStatic ({place(NarrowStatic)}) has an `intercept` that does not take two arguments; {METHOD}",
    ),
    (WithProperty, f"WithProperty ({place(WithProperty)}) has an `intercept` that is not `async def`; {METHOD}"),
    (
        WithProperty.__dict__["intercept"],
        (
            f"WithProperty.intercept ({place(WithProperty.__dict__['intercept'].fget)}) is a descriptor, no interceptor; "
            "give the function itself: `async def f(ctx, next)`."
        ),
    ),
    (
        WithProperty.__dict__["static"],
        (
            f"WithProperty.static ({place(WithProperty.static)}) is a descriptor, no interceptor; "
            "give the function itself: `async def f(ctx, next)`."
        ),
    ),
    (
        WithProperty.__dict__["of_class"],
        (
            f"WithProperty.of_class ({place(WithProperty.of_class)}) is a descriptor, no interceptor; "
            "give the function itself: `async def f(ctx, next)`."
        ),
    ),
    (WithCall(), f"WithCall ({place(WithCall)}) is not `async def`; write `async def WithCall(ctx, next)`."),
    (
        5,
        (
            f"int ({NO_SOURCE}) is no interceptor; write `async def f(ctx, next)` or a class with "
            "`async def intercept(self, ctx, next)`."
        ),
    ),
    (len, f"len ({NO_SOURCE}) is not `async def`; write `async def len(ctx, next)`."),
    (
        type("Made", (), {}),
        f"Made ({NO_SOURCE}) is a class without `intercept`; give it `async def intercept(self, ctx, next)`.",
    ),
    ("", "An empty string is no key; write the name the interceptor is bound to."),
]


@pytest.mark.parametrize(("thing", "message"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_is_no_interceptor_is_refused_with_its_place_and_a_remedy(thing: Any, message: str) -> None:
    """The message names the object, its file and line, and what to write instead; the error carries the object."""
    with pytest.raises(InvalidInterceptorError, match=f"^{re.escape(message)}$") as caught:
        compose(thing)
    assert caught.value.interceptor is thing


DECLARATIONS: dict[str, Callable[[Any], Any]] = {
    "intercept": intercept,
    "skip_interceptors": skip_interceptors,
    "compose": compose,
    "Chain": lambda thing: Chain([passing, thing]),
    "global_interceptor": global_interceptor(),
    "bind": lambda thing: InterceptorRegistry().bind("key", thing),
    "add_global": lambda thing: InterceptorRegistry().add_global(thing),
}


@pytest.mark.parametrize("declare", DECLARATIONS.values(), ids=DECLARATIONS)
def test_it_is_refused_where_it_is_declared(declare: Callable[[Any], Any]) -> None:
    """Every place that takes an interceptor refuses at once what is none, not when the chain runs."""
    with pytest.raises(InvalidInterceptorError, match="is not `async def`"):
        declare(plain)
    with pytest.raises(TypeError):
        declare(Empty)


ACCEPTED = {
    "function": passing,
    "class": Good,
    "object": Good(),
    "class with a static method": Static,
    "object with a static method": Static(),
    "class with a class method": ByClass,
    "object with a class method": ByClass(),
    "class with *args": Flexible,
    "object with *args": Flexible(),
    "bound method": WithProperty().method,
    "partial": functools.partial(WithProperty.method, WithProperty()),
    "chain": Chain(),
    "key": "nothing is bound to it yet",
    "path": "aspects.cache",
    "provider": providers.Singleton(Good),
}


@pytest.mark.parametrize("thing", ACCEPTED.values(), ids=ACCEPTED)
def test_functions_objects_classes_chains_keys_and_providers_are_interceptors(thing: Any) -> None:
    """Each kind of interceptor is accepted everywhere, whether or not it can be resolved yet."""
    compose(thing)
    intercept(thing)
    skip_interceptors(thing)
    registry = InterceptorRegistry()
    registry.bind("key", thing)
    registry.add_global(thing)


async def test_a_static_or_class_method_named_intercept_makes_a_class_an_interceptor() -> None:
    """`intercept` is looked up on the built object, so a static or class method will do."""

    async def next() -> None: ...

    assert await compose(Static)(None, next) == "static"
    assert await compose(ByClass)(None, next) == "class"


class Service:
    async def work(self) -> str:
        return "done"


def test_the_same_interceptor_is_the_same_object_not_an_equal_one() -> None:
    """Identity decides: two equal objects are two interceptors, one object named twice is one."""

    class Equal(Good):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # not needed either

    first, second = Equal(), Equal()
    registry = InterceptorRegistry()
    for interceptor in (first, second, first):
        registry.add_global(interceptor)

    assert [c.interceptor for c in registry.explain(Service, "work").chain] == [first, second]
    assert [c.reason for c in registry.explain(Service, "work").candidates] == [
        None,
        None,
        "registered twice: the first one runs",
    ]


def test_a_bound_method_is_the_same_if_object_and_function_are() -> None:
    """Python makes a new bound method at each access; the same method of another object is another interceptor."""
    one_object, another = WithProperty(), WithProperty()
    registry = InterceptorRegistry()
    for interceptor in (one_object.method, another.method, one_object.method):
        registry.add_global(interceptor)

    assert len(registry.explain(Service, "work").chain) == 2


def test_a_key_is_what_it_is_bound_to() -> None:
    """A key and the object it is bound to, or two keys of one object, are one interceptor."""
    registry = InterceptorRegistry()
    registry.bind("a", passing)
    registry.bind("b", "a")
    for interceptor in (passing, "a", "b"):
        registry.add_global(interceptor)

    assert names(registry, Service, "work") == ["passing"]


def test_a_chain_counts_as_one_interceptor() -> None:
    """A chain is not the same as what is in it, nor as another chain of the same interceptors."""
    chain = compose(passing)
    registry = InterceptorRegistry()
    for interceptor in (chain, compose(passing), passing, chain):
        registry.add_global(interceptor)

    assert names(registry, Service, "work") == ["Chain", "Chain", "passing"]


def test_an_interceptor_may_be_false() -> None:
    """An interceptor whose truth value is false, such as an empty cache, is one like any other."""

    class Cache(Good):
        def __len__(self) -> int:
            return 0

    registry = InterceptorRegistry()
    registry.bind("cache", Cache())
    registry.add_global("cache")

    assert names(registry, Service, "work") == ["test_an_interceptor_may_be_false.<locals>.Cache".rpartition(".")[2]]


def test_explain_names_and_places_every_kind() -> None:
    """Names are qualified without `<locals>`; a provider is called after what it provides; places are file and line."""
    provider = providers.Factory(Good)
    registry = InterceptorRegistry()
    for interceptor in (passing, Good, Flexible(), WithProperty().method, provider, functools.partial(passing)):
        registry.add_global(interceptor)
    chain = registry.explain(Service, "work").chain

    assert [c.name for c in chain] == ["passing", "Good", "Flexible", "WithProperty.method", "Good", "passing"]
    expected = [place(thing) for thing in (passing, Good, Flexible, WithProperty.method, Good, passing)]
    assert ["{}:{}".format(*c.file_and_line) for c in chain if c.file_and_line] == expected


def test_what_has_no_source_has_no_place() -> None:
    """A class made at run time is explained without file and line."""
    made = type("Made", (Good,), {})
    registry = InterceptorRegistry()
    registry.add_global(made)

    assert registry.explain(Service, "work").chain[0].file_and_line is None


def test_a_wrapped_function_is_placed_where_it_was_written() -> None:
    """Behind `functools.wraps` the place is that of the function inside."""

    @functools.wraps(passing)
    async def wrapper(ctx, next): ...

    registry = InterceptorRegistry()
    registry.add_global(wrapper)

    assert "{}:{}".format(*registry.explain(Service, "work").chain[0].file_and_line) == place(passing)


def test_an_override_is_checked_where_it_is_declared() -> None:
    """A fake has to be an interceptor, too."""
    with pytest.raises(InvalidInterceptorError), override(InterceptorRegistry(), passing, plain):
        pass


async def the_wrong_way_round(next, ctx): ...


async def asks_for_a_key(ctx, next, is_admin=Provide["is_admin"]): ...


async def asks_for_a_dependency(ctx, next, *, user=Depends(passing)): ...


class AsksForAKey:
    async def intercept(self, ctx, next, is_admin=Provide["is_admin"]): ...


@pytest.mark.parametrize(
    ("candidate", "problem"),
    [
        (the_wrong_way_round, "takes `next` before `ctx`; write `async def the_wrong_way_round(ctx, next)`"),
        (asks_for_a_key, "has the parameter 'is_admin', which nothing gives"),
        (asks_for_a_dependency, "has the parameter 'user', which nothing gives"),
        (AsksForAKey, "has an `intercept` that has the parameter 'is_admin', which nothing gives"),
        (AsksForAKey(), "has an `intercept` that has the parameter 'is_admin', which nothing gives"),
    ],
    ids=["next before ctx", "Provide", "Depends", "Provide in a class", "Provide in an object"],
)
def test_what_nothing_would_give_is_refused_where_it_is_declared(candidate, problem):
    """A marker is true: `if not is_admin` would let everybody in."""
    with pytest.raises(InvalidInterceptorError, match=re.escape(problem)):
        intercept(candidate)


def test_a_parameter_with_a_default_of_its_own_is_not():
    """The layer is called with the context and `next`."""

    async def limited(ctx, next, limit=3): ...

    assert intercept(limited)(one) is one
