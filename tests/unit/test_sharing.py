"""What is decorated for one place must not count in others: refused, in each of them, unless it stands above the function."""

import functools
import gc
import inspect
import threading
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import pytest

from interceptors import (
    Entry,
    InterceptorRegistry,
    InvalidTargetError,
    annotate,
    intercept,
    skip_interceptors,
)
from interceptors.fastapi import get, websocket
from interceptors.remoting import remote_method
from tests.unit.helpers import names, passing, place, recording

A, B = (recording(name, []) for name in "AB")

DECORATORS: dict[str, Any] = {
    "intercept": intercept(A),
    "skip_interceptors": skip_interceptors(group="auth"),
    "annotate": annotate(public=True),
    "get": get("/more"),
    "websocket": websocket("/more"),
    "remote_method": remote_method("find"),
}


def base() -> Any:
    """A class with methods of each kind; decorators record on them, so each test has its own."""

    class Base:
        async def index(self) -> str:
            return type(self).__name__

        @staticmethod
        async def fixed() -> str:
            return "fixed"

        @classmethod
        async def of_class(cls) -> str:
            return cls.__name__

        @get("/")
        @intercept(passing)
        async def decorated(self) -> str:
            return "decorated"

    return Base


METHODS = ("index", "fixed", "of_class", "decorated")


def is_refused(cls: Any, name: str) -> bool:
    try:
        Entry(InterceptorRegistry(), cls(), name).check()
    except InvalidTargetError:
        return True
    return False


# -- inherited ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("decorator", DECORATORS)
def test_an_inherited_method_is_not_decorated_for_one_class(decorator: str, name: str) -> None:
    """It is refused in this class, in its base and in the other subclasses: all of them would have it."""
    decorate, Base = DECORATORS[decorator], base()
    Other = type("Other", (Base,), {})
    assert not is_refused(Other, name)

    One = type("One", (Base,), {name: decorate(vars(Base)[name])})
    Below = type("Below", (One,), {})
    Later = type("Later", (Other,), {})
    assert [is_refused(cls, name) for cls in (One, Base, Other, Below, Later)] == [True] * 5
    assert [is_refused(cls, each) for each in METHODS if each != name for cls in (One, Base, Other)] == [False] * 9


def test_the_error_says_where_it_stands_what_was_called_and_what_to_write() -> None:
    """With file and line of the function, of the classes and of the call."""
    Base = base()
    Other = type("Other", (Base,), {})

    class One(Base):
        index = intercept(A)(Base.index)

    line = place(One).rpartition(":")
    text = (
        f"Base.index ({place(Base.index)}) stands in 2 places, and decorators were called with it "
        f"(@intercept in {line[0]}:{int(line[2]) + 1}): what they say counts for all of them, "
        f"Base.index ({place(Base)}); One.index ({place(One)}). Write a method of its own where it differs, with the "
        f"decorators above it: `async def index(self): return await super().index()`, or a function for each class."
    )
    for cls in (Other, One, Base):
        with pytest.raises(InvalidTargetError) as caught:
            Entry(InterceptorRegistry(), cls(), "index").check()
        assert str(caught.value) == text
        assert caught.value.target is Base.index


def test_what_stands_in_many_places_names_five() -> None:
    """And how many more there are."""
    Base = base()
    made = [type(f"C{number}", (Base,), {"index": annotate(n=number)(Base.index)}) for number in range(7)]

    with pytest.raises(InvalidTargetError, match=r"stands in 8 places.*; .*; .*; .*; .* and 3 more\. Write"):
        Entry(InterceptorRegistry(), made[0](), "index").check()


SPELLINGS: dict[str, Callable[[Any], Any]] = {
    "setattr": lambda Base: setattr(One := type("One", (Base,), {}), "index", intercept(A)(One.index)) or One,
    "a decorator of the class": lambda Base: audited(type("One", (Base,), {})),
    "another name": lambda Base: type("One", (Base,), {"shown": intercept(A)(Base.index)}),
    "a class method of it": lambda Base: type("One", (Base,), {"index": classmethod(intercept(A)(Base.index))}),
    "a partial method of it": lambda Base: type("One", (Base,), {"index": partialmethod(intercept(A)(Base.index))}),
    "wrapped": lambda Base: type("One", (Base,), {"index": wrapped(intercept(A)(Base.index))}),
    "wrapped twice": lambda Base: type("One", (Base,), {"index": wrapped(wrapped(intercept(A)(Base.index)))}),
    "a mixin": lambda Base: type("One", (type("Mixin", (), {"index": intercept(A)(Base.index)}), Base), {}),
    "two steps": lambda Base: type(
        "One", (type("Step", (Base,), {}),), {"index": annotate()(intercept(A)(Base.index))}
    ),
}


def audited(cls: Any) -> Any:
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        if name == "index":
            setattr(cls, name, intercept(A)(function))
    return cls


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any) -> Any:
        return await function(*args)

    return wrapper


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_however_it_is_spelt(spelling: str) -> None:
    """In the class body, afterwards, in a decorator of the class, around or below something else."""
    Base = base()
    One = SPELLINGS[spelling](Base)

    name = "shown" if spelling == "another name" else "index"
    assert is_refused(One, name)
    assert is_refused(Base, "index")


async def test_what_an_object_has_for_itself_is_not_its_class_s() -> None:
    """The class's function, decorated for one object, is refused there; a function of its own is decorated."""
    Base = base()
    registry, one, other = InterceptorRegistry(), Base(), Base()
    one.index = intercept(A)(Base.index)
    other.fixed = intercept(A)(wrapped(Base.fixed))

    with pytest.raises(InvalidTargetError, match="stands in 2 places"):
        await registry.invoke(one, "index")
    assert await registry.invoke(other, "fixed") == "fixed"


WAYS: dict[str, Callable[[InterceptorRegistry, Any], Any]] = {
    "invoke": lambda registry, service: registry.invoke(service, "index"),
    "proxy": lambda registry, service: registry.intercepted(service).index(),
    "door": lambda registry, service: Entry(registry, service, "index")(),
}


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_refused_when_it_is_first_called(way: str) -> None:
    """Whoever calls it; what was right before it was decorated for another class is refused from then on."""
    Base, registry = base(), InterceptorRegistry()
    call = WAYS[way]
    assert await call(registry, Base()) == "Base"

    class One(Base):
        index = annotate(public=True)(Base.index)

    for cls in (Base, One, Base):
        with pytest.raises(InvalidTargetError, match="stands in 2 places"):
            await call(registry, cls())


# -- shared by classes that have no base in common ---------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_one_function_in_two_classes_is_not_decorated_for_one(way: str) -> None:
    """In one registry neither is called; alone each of them is right."""

    async def shared(self: Any) -> str:
        return type(self).__name__

    One = type("One", (), {"index": intercept(A)(shared)})
    Two = type("Two", (), {"index": intercept(B)(shared)})
    registry = InterceptorRegistry()
    assert not is_refused(One, "index")

    kept = Entry(registry, One(), "index")
    assert await kept() == await WAYS[way](registry, One()) == "One"
    known = Entry(registry, Two(), "index")
    for cls in (Two, One, Two):  # the first that is called is refused as soon as the other one is known
        with pytest.raises(
            InvalidTargetError, match=r"shared \(.*One\.index.*Two\.index|shared \(.*Two\.index.*One\.index"
        ):
            await WAYS[way](registry, cls())
    assert known.target.owner is Two


def test_one_function_under_two_names_of_a_class() -> None:
    """Each name would have the decorators of both."""

    class Service:
        async def load(self) -> str:
            return "loaded"

        load_for_all = skip_interceptors(group="auth")(load)

    assert is_refused(Service, "load")
    assert is_refused(Service, "load_for_all")


def test_a_function_and_a_method() -> None:
    """A function that is called by itself, too, is another place."""

    async def shared(*args: Any) -> str:
        return "shared"

    registry = InterceptorRegistry()
    alone = Entry(registry, shared)
    alone.check()
    Service = type("Service", (), {"work": annotate(public=True)(shared)})
    method = Entry(registry, Service(), "work")

    for entry in (method, alone, method):
        with pytest.raises(InvalidTargetError, match="stands in 2 places"):
            entry.check()
    alone_again = Entry(InterceptorRegistry(), shared)
    alone_again.check()


# -- what is right -----------------------------------------------------------------------------------------------------


def test_what_stands_above_a_function_counts_wherever_it_stands() -> None:
    """Also with decorators of one's own, on any number of lines, and under other names."""

    def guarded(function: Any) -> Any:
        return annotate(guarded=True)(intercept(A)(function))

    class Base:
        @get("/")
        @guarded
        @wrapped
        @skip_interceptors(
            group="auth",
        )
        async def index(self) -> str:
            return "in"

        fetch = index
        listed = partialmethod(index)

    class One(Base):
        index = Base.index

    Unrelated = type("Unrelated", (), {"index": Base.index, "again": staticmethod(Base.index)})
    registry = InterceptorRegistry()
    for cls, name in ((Base, "index"), (Base, "fetch"), (One, "index"), (Unrelated, "index"), (Unrelated, "again")):
        assert names(registry, cls, name) == ["A"]
        Entry(registry, cls(), name).check()


def test_a_method_may_be_decorated_by_a_call_where_it_stands_alone() -> None:
    """In `type(...)`, after the class, on a base for all that inherit, on an override for its class."""

    def new() -> Any:
        async def function(self: Any) -> str:
            return "in"

        return function

    Made = type("Made", (), {"handler": get("/x")(intercept(A)(new()))})
    Below = type("Below", (Made,), {})
    Base = base()
    Derived = type("Derived", (Base,), {"index": intercept(B)(new())})
    Base.fixed = staticmethod(intercept(A)(Base.fixed))
    registry = InterceptorRegistry()

    for cls, name in ((Made, "handler"), (Below, "handler"), (Base, "fixed"), (Derived, "fixed"), (Derived, "index")):
        Entry(registry, cls(), name).check()
    assert names(registry, Derived, "index") == ["B"]
    assert names(registry, Base, "index") == []


def test_methods_of_two_controllers_that_one_factory_made() -> None:
    """Each has a function of its own."""

    def make(layer: Any) -> Any:
        class Service:
            @intercept(layer)
            async def work(self) -> str:
                return await self.inner()

            async def inner(self) -> str:
                return "in"

        return Service

    registry = InterceptorRegistry()
    for layer in (A, B):
        cls = make(layer)
        assert names(registry, cls, "work") == [layer.__name__]
        Entry(registry, cls(), "work").check()


def test_odd_things_in_a_class_are_passed_by() -> None:
    """Wrappers that go round in a circle, objects that make up attributes."""

    class Odd:
        def __getattr__(self, name: str) -> Any:
            return Odd()

    def circular() -> None: ...

    circular.__wrapped__ = circular  # type: ignore[attr-defined]

    async def work(self: Any) -> None: ...

    Service = type("Service", (), {"odd": Odd(), "circular": circular, "number": 5, "work": intercept(A)(work)})
    Entry(InterceptorRegistry(), Service(), "work").check()
    Entry(InterceptorRegistry(), circular)


def test_doors_are_found_by_their_function_as_long_as_somebody_has_them() -> None:
    """Each asks when its chain is compiled: looking through thousands every time made a start-up quadratic."""

    async def one() -> None: ...
    async def other() -> None: ...

    registry = InterceptorRegistry()
    doors = [Entry(registry, function) for function in (one, other, one)]
    assert (set(registry.doors.of(one)), registry.doors.of(other)) == ({doors[0], doors[2]}, [doors[1]])
    assert registry.doors.all() == set(doors)
    doors.clear()
    gc.collect()
    assert (registry.doors.of(one), registry.doors.all()) == ([], set())


def test_the_doors_of_others_may_come_and_go_meanwhile() -> None:
    """Threads make doors to one function, and forget them, while others compile its chain."""
    cls = base()
    intercept(A)(cls.index)
    registry, failures = InterceptorRegistry(), []

    def make() -> None:
        try:
            for _ in range(200):
                Entry(registry, cls(), "index").check()
        except BaseException as error:  # noqa: BLE001 (whatever it is)
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


async def test_no_source_file_is_read_for_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a class is written is for messages: finding it out takes longer than everything else about a chain."""
    cls = base()
    intercept(A)(cls.index)

    def read(thing: object) -> Any:
        raise AssertionError(f"The source of {thing!r} was read.")

    monkeypatch.setattr(inspect, "findsource", read)
    assert await InterceptorRegistry().invoke(cls(), "index") == "Base"
