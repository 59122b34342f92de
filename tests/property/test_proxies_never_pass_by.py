"""However a decorated attribute is spelt, and however it is reached through a proxy: its layer runs, or it is refused."""

import asyncio
import functools
import inspect
import operator
import threading
from collections.abc import Callable
from contextlib import suppress
from types import MethodType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptors import Entry, InterceptorRegistry, InvalidTargetError, intercept


async def deny(ctx: Any, next: Any) -> Any:
    raise PermissionError


Decorate = Callable[[Any], Any]


def _wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


def in_class(make: Callable[[Decorate], Any]) -> Callable[[Decorate], Any]:
    """An object whose class has what is made under the name `work`."""
    return lambda decorate: type("Service", (), {"work": make(decorate)})()


def function() -> Any:
    async def work(*args: Any) -> str:
        return "passed by"

    return work


def generator() -> Any:
    async def work(self: Any) -> Any:
        yield "passed by"

    return work


def plain() -> Any:
    def work(self: Any) -> str:
        return "passed by"

    return work


def overridden(decorate: Decorate) -> Any:
    base = type("Base", (), {"work": decorate(function())})
    return type("Service", (base,), {"work": function()})()


def of_the_object(decorate: Decorate) -> Any:
    service = SimpleNamespace()
    service.work = decorate(function())
    return service


def bound_to_the_object(decorate: Decorate) -> Any:
    service = SimpleNamespace()
    service.work = MethodType(decorate(function()), service)
    return service


def partial_of_the_object(decorate: Decorate) -> Any:
    service = SimpleNamespace()
    service.work = functools.partial(decorate(function()), 1)
    return service


def made_up(decorate: Decorate) -> Any:
    inner = in_class(lambda decorate: decorate(function()))(decorate)

    class Facade:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

    return Facade()


def given_by_a_property(decorate: Decorate) -> Any:
    inner = in_class(lambda decorate: decorate(function()))(decorate)
    return type("Service", (), {"work": property(lambda self: inner.work)})()


def in_a_slot(decorate: Decorate) -> Any:
    service = type("Service", (), {"__slots__": ("work",)})()
    service.work = decorate(function())
    return service


def called(decorate: Decorate) -> Any:
    handler = type("Handler", (), {"__call__": decorate(function())})()
    return type("Service", (), {"work": handler})()


KINDS: dict[str, Callable[[Decorate], Any]] = {
    "method": in_class(lambda decorate: decorate(function())),
    "plain method": in_class(lambda decorate: decorate(plain())),
    "generator": in_class(lambda decorate: decorate(generator())),
    "static": in_class(lambda decorate: staticmethod(decorate(function()))),
    "static, decorated": in_class(lambda decorate: decorate(staticmethod(function()))),
    "of the class": in_class(lambda decorate: classmethod(decorate(function()))),
    "partial method": in_class(lambda decorate: functools.partialmethod(decorate(function()), 1)),
    "wrapped": in_class(lambda decorate: _wrapped(decorate(function()))),
    "wrapped, decorated": in_class(lambda decorate: decorate(_wrapped(function()))),
    "dispatched": in_class(lambda decorate: functools.singledispatchmethod(decorate(function()))),
    "property": in_class(lambda decorate: property(decorate(plain()))),
    "cached property": in_class(lambda decorate: functools.cached_property(decorate(plain()))),
    "overridden": overridden,
    "an object's own": of_the_object,
    "an object's own, bound": bound_to_the_object,
    "a partial": partial_of_the_object,
    "made up": made_up,
    "given by a property": given_by_a_property,
    "in a slot": in_a_slot,
    "an object that is called": called,
}


async def finished(result: Any) -> Any:
    if inspect.isasyncgen(result):
        return [item async for item in result]
    return await result if inspect.isawaitable(result) else result


async def in_a_task(proxy: Any) -> Any:
    return await asyncio.create_task(finished(proxy.work("x")))


async def taken_first(proxy: Any) -> Any:
    method = proxy.work
    return await finished(method("x"))


async def twice(proxy: Any) -> Any:
    try:
        await finished(proxy.work("x"))
    except (PermissionError, InvalidTargetError):
        return await finished(proxy.work("x"))
    return "passed by"


WAYS: dict[str, Callable[[Any], Any]] = {
    "called": lambda proxy: finished(proxy.work("x")),
    "by a partial": lambda proxy: finished(functools.partial(proxy.work)("x")),
    "by operator": lambda proxy: finished(operator.methodcaller("work", "x")(proxy)),
    "in a task": in_a_task,
    "taken first": taken_first,
    "twice": twice,
}


def undecorated(function: Any) -> Any:
    """Stands for a decorator that is called when there is a proxy already."""
    return function


@settings(max_examples=150)
@given(kind=st.sampled_from(sorted(KINDS)), way=st.sampled_from(sorted(WAYS)), as_one=st.booleans())
def test_a_layer_runs_or_the_access_is_refused(kind: str, way: str, *, as_one: bool) -> None:
    registry = InterceptorRegistry()

    async def reach() -> Any:
        service = KINDS[kind](intercept(deny))
        if as_one:  # another object of the class has been used before
            with pytest.raises((PermissionError, InvalidTargetError, TypeError)):
                await finished(registry.intercepted(service).work("x"))
        return await WAYS[way](registry.intercepted(service))

    with pytest.raises((PermissionError, InvalidTargetError)):
        asyncio.run(reach())


LATER = ("method", "static", "of the class", "an object's own", "an object's own, bound", "made up", "given by a property", "in a slot")  # fmt: skip


@pytest.mark.parametrize("kind", LATER)
async def test_also_when_it_is_decorated_after_it_was_reached(kind: str) -> None:
    made: list[Any] = []
    service = KINDS[kind](lambda function: made.append(function) or function)
    proxy = InterceptorRegistry().intercepted(service)
    assert await finished(proxy.work("x")) == "passed by"
    intercept(deny)(made[0])
    with pytest.raises((PermissionError, InvalidTargetError)):
        await finished(proxy.work("x"))


# -- what is called itself ---------------------------------------------------------------------------------------------


class Around:
    """A class used as a decorator."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    async def __call__(self, *args: Any) -> Any:
        return await finished(self.function(*args))


CALLED: dict[str, Callable[[Any], Any]] = {
    "function": lambda made: made,
    "def": _wrapped,
    "bound method": lambda made: MethodType(made, object()),
    "partial": functools.partial,
    "partial of a bound method": lambda made: functools.partial(MethodType(made, object())),
    "class decorator": Around,
    "class decorator twice": lambda made: Around(Around(made)),
    "class decorator of a partial": lambda made: Around(functools.partial(made)),
    "partial of a class decorator": lambda made: functools.partial(Around(made)),
}

CALLERS: dict[str, Callable[[InterceptorRegistry, Any], Any]] = {
    "proxy": lambda registry, thing: registry.intercepted(thing)(),
    "attribute of a proxy": lambda registry, thing: registry.intercepted(thing).__call__(),
    "invoke": lambda registry, thing: registry.invoke(thing, "__call__"),
    "door": lambda registry, thing: Entry(registry, thing, "__call__")(),
    "door without a name": lambda registry, thing: Entry(registry, thing)(),
    "door of its call": lambda registry, thing: Entry(registry, thing.__call__)(),
}


@pytest.mark.parametrize("kind", CALLED)
@pytest.mark.parametrize("way", CALLERS)
async def test_so_it_is_with_what_is_called_itself(way: str, kind: str) -> None:
    """A function, or an object that stands for one: what is decorated, at first or later, is never called bare."""
    registry, made, other = InterceptorRegistry(), function(), CALLED[kind](function())
    thing, call = CALLED[kind](made), CALLERS[way]
    for each in (thing, other):
        assert await finished(call(registry, each)) == "passed by"
    intercept(deny)(made)
    for _ in range(2):
        with pytest.raises((PermissionError, InvalidTargetError)):
            await finished(call(registry, thing))
        assert await finished(call(registry, other)) == "passed by"


# -- special and private methods ---------------------------------------------------------------------------------------


def special() -> Any:
    class Service:
        async def __call__(self) -> str:
            return "passed by"

        async def __aenter__(self) -> str:
            return "passed by"

        async def __aexit__(self, *error: object) -> None: ...

        async def __anext__(self) -> str:
            return "passed by"

        async def _private(self) -> str:
            return "passed by"

        async def __mangled(self) -> str:
            return "passed by"

        def __aiter__(self) -> Any:
            return self

        def __await__(self) -> Any:
            return later("passed by").__await__()

        def __enter__(self) -> str:
            return "passed by"

        def __exit__(self, *error: object) -> None: ...

        def __getitem__(self, key: str) -> str:
            return "passed by"

        def __setitem__(self, key: str, value: str) -> None: ...

        def __contains__(self, key: str) -> bool:
            return True

        def __iter__(self) -> Any:
            return iter(["passed by"])

        def __len__(self) -> int:
            return 1

        def __add__(self, other: str) -> str:
            return "passed by"

    return Service


async def later(value: Any) -> Any:
    return value


async def entered(proxy: Any) -> Any:
    async with proxy as found:
        return found


def entered_at_once(proxy: Any) -> Any:
    with proxy as found:
        return found


async def first(proxy: Any) -> Any:
    return await anext(aiter(proxy))


USES: dict[str, Callable[[Any], Any]] = {
    "__call__": lambda proxy: proxy(),
    "__aenter__": entered,
    "__aexit__": entered,
    "__anext__": first,
    "__aiter__": first,
    "__await__": lambda proxy: proxy,
    "_private": lambda proxy: proxy._private(),
    "_Service__mangled": lambda proxy: proxy._Service__mangled(),
    "__enter__": entered_at_once,
    "__exit__": entered_at_once,
    "__getitem__": lambda proxy: proxy["key"],
    "__setitem__": lambda proxy: operator.setitem(proxy, "key", "value"),
    "__contains__": lambda proxy: "key" in proxy,
    "__iter__": list,
    "__len__": len,
    "__add__": lambda proxy: proxy + "more",
}


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("when", ["before", "when there is a proxy", "when it was used"])
async def test_special_and_private_methods_are_never_passed_by(when: str, name: str) -> None:
    """Python looks most of them up on the class; decorated, they run their layers or are refused."""
    cls = special()
    service, registry = cls(), InterceptorRegistry()

    def decorated() -> None:
        intercept(deny)(vars(cls)[name])

    if when == "before":
        decorated()
        with pytest.raises((PermissionError, InvalidTargetError)):
            await finished(USES[name](registry.intercepted(service)))
        return
    proxy = registry.intercepted(service)
    if when == "when it was used":
        await finished(USES[name](proxy))
    decorated()
    for _ in range(2):
        with pytest.raises((PermissionError, InvalidTargetError)):
            await finished(USES[name](proxy))


DISPATCHERS: dict[str, Callable[[InterceptorRegistry, Any], Any]] = {
    "door": lambda registry, dispatcher: Entry(registry, dispatcher)(3),
    "partial": lambda registry, dispatcher: Entry(registry, functools.partial(dispatcher))(3),
    "static method": lambda registry, dispatcher: registry.invoke(holding(staticmethod(dispatcher)), "work", 3),
    "proxy": lambda registry, dispatcher: registry.intercepted(holding(staticmethod(dispatcher))).work(3),
    "an object's own": lambda registry, dispatcher: registry.intercepted(SimpleNamespace(work=dispatcher)).work(3),
    "proxy of it": lambda registry, dispatcher: registry.intercepted(dispatcher)(3),
    "its call": lambda registry, dispatcher: registry.invoke(dispatcher, "__call__", 3),
    "wrapped": lambda registry, dispatcher: Entry(registry, _wrapped(dispatcher))(3),
}


def holding(function: Any) -> Any:
    return type("Service", (), {"work": function})()


@pytest.mark.parametrize("way", DISPATCHERS)
async def test_a_function_that_an_argument_chooses_is_not_called_bare(way: str) -> None:
    """`functools.singledispatch`: nobody knows before which one it will be, so one that is decorated is refused."""

    @functools.singledispatch
    async def dispatcher(thing: Any) -> str:
        return "chosen"

    call = DISPATCHERS[way]
    assert await finished(call(InterceptorRegistry(), dispatcher)) == "chosen"
    dispatcher.register(int)(intercept(deny)(function()))
    with pytest.raises(InvalidTargetError, match="whose argument decides that it is"):
        await finished(call(InterceptorRegistry(), dispatcher))


def test_a_registry_that_changes_in_another_thread_leaves_no_old_chain() -> None:
    for _ in range(200):
        registry, service = InterceptorRegistry(), KINDS["method"](undecorated)
        proxy, start = registry.intercepted(service), threading.Barrier(2)

        def change(registry: InterceptorRegistry = registry, start: threading.Barrier = start) -> None:
            start.wait()
            registry.add_global(deny)

        thread = threading.Thread(target=change)
        thread.start()
        start.wait()
        with suppress(PermissionError):
            while True:
                finish(proxy.work("x"))
        thread.join()
        with pytest.raises(PermissionError):
            finish(proxy.work("x"))
        with pytest.raises(PermissionError):
            finish(registry.invoke(service, "work", "x"))


def finish(coroutine: Any) -> Any:
    """Runs one that waits for nothing, which is cheaper than an event loop for each."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError
