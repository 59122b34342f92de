"""A plan is never older than what it was made from, and outlives nothing: patches, local classes, sources, other threads."""

import gc
import inspect
import operator
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Any
from unittest.mock import AsyncMock, patch
from weakref import ref

import pytest
from dependency_injector import containers, providers
from fastapi import FastAPI

from interceptors import (
    Entry,
    InterceptorRegistry,
    InvalidTargetError,
    InvocationContext,
    InvocationSource,
    Next,
    UnknownKeyError,
    intercept,
)
from interceptors.fastapi import controller, get, install
from interceptors.testing import override, without
from tests.integration.support import ask, dead
from tests.unit.helpers import passing, recording

EVENTS: list[str] = []


class Warehouse:
    @get("/take")
    @intercept(recording("own", EVENTS))
    async def take(self) -> str:
        return "real"

    @staticmethod
    @get("/fixed")
    @intercept(recording("own", EVENTS))
    async def fixed() -> str:
        return "real"

    @classmethod
    @get("/of_class")
    @intercept(recording("own", EVENTS))
    async def of_class(cls) -> str:
        return "real"


@controller()
class Stock(Warehouse):
    pass


Call = Callable[[], Awaitable[Any]]


def registry_of(*interceptors: Any) -> InterceptorRegistry:
    registry = InterceptorRegistry()
    for interceptor in interceptors:
        registry.add_global(interceptor)
    return registry


# -- patches -----------------------------------------------------------------------------------------------------------


def fake() -> Any:
    return AsyncMock(return_value="fake")


async def other(*things: Any, more: int = 1) -> str:
    return "fake"


async def by_its_dotted_name(stock: Any, name: str, call: Call) -> Any:
    with patch(f"{__name__}.Stock.{name}", fake()):
        return await call()


async def on_the_base(stock: Any, name: str, call: Call) -> Any:
    with patch.object(Warehouse, name, other):
        return await call()


async def several(stock: Any, name: str, call: Call) -> Any:
    with patch.multiple(Stock, **{name: fake()}):
        return await call()


async def with_its_signature(stock: Any, name: str, call: Call) -> Any:
    with patch.object(Stock, name, autospec=True, return_value="fake"):
        return await call()


async def on_both(stock: Any, name: str, call: Call) -> Any:
    with patch.object(Warehouse, name, fake()), patch.object(Stock, name, other):
        await call()
    with patch.object(Stock, name, fake()):
        return await call()


async def started_and_stopped(stock: Any, name: str, call: Call) -> Any:
    patches = patch.object(Stock, name, other)
    patches.start()
    try:
        return await call()
    finally:
        patches.stop()


async def as_a_decorator(stock: Any, name: str, call: Call) -> Any:
    @patch.object(Stock, name, new_callable=fake)
    async def patched(_: Any) -> Any:
        return await call()

    return await patched()


async def on_the_object(stock: Any, name: str, call: Call) -> Any:
    with patch.object(stock, name, fake()):
        return await call()


async def by_pytest(stock: Any, name: str, call: Call) -> Any:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(Stock, name, other)
        return await call()


PATCHES = [
    by_its_dotted_name,
    on_the_base,
    several,
    with_its_signature,
    on_both,
    started_and_stopped,
    as_a_decorator,
    on_the_object,
    by_pytest,
]


def by_a_proxy(registry: InterceptorRegistry, stock: Any, name: str) -> Call:
    proxy = registry.intercepted(stock)
    return lambda: operator.methodcaller(name)(proxy)


def by_a_method_of_a_proxy(registry: InterceptorRegistry, stock: Any, name: str) -> Call:
    call: Call = getattr(registry.intercepted(stock), name)
    return call


def by_invoke(registry: InterceptorRegistry, stock: Any, name: str) -> Call:
    return lambda: registry.invoke(stock, name)


def by_invoke_from_a_source(registry: InterceptorRegistry, stock: Any, name: str) -> Call:
    return lambda: registry.invoke(stock, name, source=InvocationSource("job"))


def by_a_door(registry: InterceptorRegistry, stock: Any, name: str) -> Call:
    return Entry(registry, stock, name)


def by_http(registry: InterceptorRegistry, stock: Any, name: str) -> Call:
    app = FastAPI()
    install(app, registry, [type(stock)])

    async def call() -> Any:
        return (await ask(app, f"/{name}")).json()

    return call


WAYS = [by_a_proxy, by_a_method_of_a_proxy, by_invoke, by_invoke_from_a_source, by_a_door, by_http]
ROWS = [(way, patched) for way in WAYS for patched in PATCHES if (way, patched) != (by_http, on_the_object)]


@pytest.mark.parametrize(("way", "patched"), ROWS)
async def test_a_patch_counts_as_long_as_it_lasts(way: Any, patched: Any) -> None:
    """Then the real method runs again, with its layers, whether it had been called before or not."""
    # mock knows no signature of a static or class method that is inherited
    for name in ("take",) if patched is with_its_signature else ("take", "fixed", "of_class"):
        for called_before in (False, True):
            stock = Stock()
            call = way(registry_of(recording("global", EVENTS)), stock, name)
            if called_before:
                assert await call() == "real"
            EVENTS.clear()
            assert await patched(stock, name, call) == "fake"
            assert EVENTS[:1] == [">global"]
            for _ in range(2):
                EVENTS.clear()
                assert await call() == "real"
                assert EVENTS == [">global", ">own", "<own", "<global"]


@pytest.mark.parametrize("way", [by_a_proxy, by_a_method_of_a_proxy, by_invoke, by_invoke_from_a_source, by_a_door])
async def test_a_class_that_gets_other_bases_has_their_layers(way: Any) -> None:
    """Whether they are on the base, on its method of the same name, or the method is inherited."""

    class Plain:
        async def work(self) -> str:
            return "in"

    @intercept(deny)
    class Guarded(Plain): ...

    class GuardedMethod:
        @intercept(deny)
        async def work(self) -> str:
            return "in"

    class Overriding(Plain):
        async def work(self) -> str:
            return "in"

    class Inheriting(Plain): ...

    for cls in (Overriding, Inheriting):
        for base in (Guarded, GuardedMethod):
            service = cls()
            call = way(InterceptorRegistry(), service, "work")
            assert await call() == "in"
            cls.__bases__ = (base,)
            with pytest.raises(PermissionError):
                await call()
            cls.__bases__ = (Plain,)
            assert await call() == "in"


# -- classes that are made in functions --------------------------------------------------------------------------------


def local() -> Any:
    """A class, with a layer that is a class and one that is an object, both of local classes."""

    class Layer:
        def __init__(self, ctx: InvocationContext) -> None:
            self.ctx = ctx

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return await next()

    class Made:
        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return await next()

    @controller()
    @intercept(Layer, Made())
    class Local:
        def __init__(self) -> None:
            self.items = ["tea"]

        @get("/work")
        async def work(self) -> str:
            return self.items[0]

        def plain(self) -> str:
            return self.items[0]

        @classmethod
        async def of_class(cls) -> str:
            return "tea"

        async def __aenter__(self) -> str:
            return "tea"

        async def __aexit__(self, *error: object) -> None: ...

    return Local


async def proxied(registry: InterceptorRegistry, cls: Any) -> Any:
    proxy = registry.intercepted(cls())
    async with proxy as entered:
        assert proxy.plain() == entered == await registry.intercepted(cls).of_class()
    return await proxy.work()


async def through_a_door(registry: InterceptorRegistry, cls: Any) -> Any:
    assert await Entry(registry, cls, "of_class")() == "tea"
    assert await Entry(registry, cls().work)() == "tea"
    return await Entry(registry, cls(), "work")()


async def explained(registry: InterceptorRegistry, cls: Any) -> Any:
    return "tea" if registry.explain(cls, "work").chain else None


async def bound_and_unbound(registry: InterceptorRegistry, cls: Any) -> Any:
    class Service:
        @intercept("layer")
        async def work(self) -> str:
            return "tea"

    registry.bind("layer", cls.layer)
    found = await registry.intercepted(Service()).work()
    registry.unbind("layer")
    return found


@pytest.mark.parametrize("use", [proxied, through_a_door, explained, bound_and_unbound])
async def test_a_local_class_goes_with_its_plans(use: Any) -> None:
    """The registry lives on, and keeps neither the class nor its layer, nor what was compiled for them."""
    registry = registry_of(passing)

    async def used() -> list[Any]:
        cls = local()
        layers = [each.interceptor for each in registry.explain(cls, "work").chain if each.level == "class"]
        cls.layer, made = layers
        assert await use(registry, cls) == "tea"
        return [ref(cls), ref(cls.layer), ref(type(made))]

    await used()
    before = plans()
    left = [reference for _ in range(5) for reference in await used()]
    assert plans() == before
    for _ in range(130):  # Python 3.12.1's own `inspect` keeps the last 128 classes that were asked for an attribute
        inspect.getattr_static(type("Another", (), {})(), "work", None)
    assert dead(left)


async def invoked_by_name(registry: InterceptorRegistry, service: Any) -> Any:
    return await registry.invoke(service, "work")


async def through_a_proxy(registry: InterceptorRegistry, service: Any) -> Any:
    return await registry.intercepted(service).work()


async def through_a_door_of_it(registry: InterceptorRegistry, service: Any) -> Any:
    return await Entry(registry, service, "work")()


@pytest.mark.parametrize("use", [invoked_by_name, through_a_proxy, through_a_door_of_it])
async def test_what_one_object_has_for_itself_goes_with_it(use: Any) -> None:
    """Its class and the registry live on, and neither keeps the object nor its function."""
    registry = registry_of(passing)

    async def used() -> list[Any]:
        service: Any = Stock()

        @intercept(passing)
        async def own() -> Any:
            return type(service).__name__

        service.work = own
        assert await use(registry, service) == "Stock"
        return [ref(service), ref(own)]

    assert dead(await used())


def plans() -> int:
    """How many there are: each has a class of contexts of its own."""
    for _ in range(3):  # a class goes when what the registry has by the class has gone
        gc.collect()
    return sum(isinstance(each, type) and issubclass(each, InvocationContext) for each in gc.get_objects())


async def test_of_local_classes_that_are_invoked_the_latest_are_kept() -> None:
    """By their name they are found again; what was not looked for the longest goes, however many there are."""
    registry = registry_of(passing)

    async def used(number: int) -> list[Any]:
        made = [local() for _ in range(number)]
        for cls in made:
            await registry.invoke(cls(), "work")
            await registry.invoke(cls, "of_class")
        return [ref(cls) for cls in made]

    left = await used(550)
    before = plans()
    await used(250)
    assert plans() <= before
    assert sum(reference() is not None for reference in left) < 300


# -- sources -----------------------------------------------------------------------------------------------------------


async def invoked(registry: InterceptorRegistry, source: InvocationSource) -> None:
    await registry.invoke(Stock(), "take", source=source)


async def invoked_on_the_class(registry: InterceptorRegistry, source: InvocationSource) -> None:
    await registry.invoke(Stock, "of_class", source=source)


async def by_a_door_of_its_own(registry: InterceptorRegistry, source: InvocationSource) -> None:
    await Entry(registry, Stock(), "take", source=source)()


async def asked_about(registry: InterceptorRegistry, source: InvocationSource) -> None:
    registry.explain(Stock, "take", source=source.type)


@pytest.mark.parametrize("use", [invoked, invoked_on_the_class, by_a_door_of_its_own, asked_about])
async def test_sources_that_are_made_at_run_time_do_not_pile_up(use: Any) -> None:
    """After the first thousand types, as many plans and objects of ours as after the second."""
    registry = registry_of(passing)
    counted = []
    for round in range(2):
        for number in range(1100):
            await use(registry, InvocationSource(f"{round} {number}", object()))
        counted.append((plans(), ours()))
    (plans_before, ours_before), (plans_after, ours_after) = counted
    assert plans_after <= plans_before
    assert ours_after <= ours_before + 10


def ours() -> int:
    return sum(str(type(each).__module__).startswith("interceptors.") for each in gc.get_objects())


@pytest.mark.parametrize("use", [invoked, by_a_door_of_its_own])
async def test_what_a_source_tells_is_not_kept(use: Any) -> None:
    """Its type has a plan; its value is of one invocation."""

    class Message: ...

    registry, message = registry_of(passing), Message()
    await use(registry, InvocationSource("queue", message))
    left = [ref(message)]
    del message
    assert dead(left)


# -- other threads -----------------------------------------------------------------------------------------------------


async def deny(ctx: InvocationContext, next: Next) -> Any:
    raise PermissionError


async def answers(ctx: InvocationContext, next: Next) -> Any:
    return "in"


async def guard(ctx: InvocationContext, next: Next) -> Any:
    return await next()


async def denying(self: Any) -> str:
    raise PermissionError


CHANGES: dict[str, Callable[[InterceptorRegistry, Any, ExitStack], object]] = {
    "add_global": lambda registry, cls, _: registry.add_global(deny),
    "add_global with a key": lambda registry, cls, _: registry.add_global(deny, key="more"),
    "bind": lambda registry, cls, _: registry.bind("guard", deny),
    "unbind": lambda registry, cls, _: registry.unbind("guard"),
    "remove_global": lambda registry, cls, _: registry.remove_global(answers),
    "without": lambda registry, cls, stack: stack.enter_context(without(registry, answers)),
    "override": lambda registry, cls, stack: stack.enter_context(override(registry, guard, deny)),
    "decorator": lambda registry, cls, _: intercept(deny)(cls.work),
    "other function": lambda registry, cls, _: setattr(cls, "work", denying),
}


class Meanwhile:
    """Makes a change in another thread, and waits for it, where it is called next."""

    change: Callable[[], object] | None = None

    def __call__(self) -> None:
        change, self.change = self.change, None
        if change is not None:
            made = threading.Event()
            thread = threading.Thread(target=lambda: (change(), made.set()))
            thread.start()
            assert made.wait(10)
            thread.join()


@pytest.mark.parametrize("when", ["a key is resolved", "all is found"])
@pytest.mark.parametrize("way", ["proxy", "invoke", "door", "http"])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_in_another_thread_counts_from_the_next_call_on(change: str, way: str, when: str) -> None:
    """Whenever it comes while the chain of a call is compiled, and whatever is changed."""
    meanwhile = Meanwhile()

    class Container(containers.DynamicContainer):
        @property
        def layer(self) -> Any:
            if when == "a key is resolved":
                meanwhile()
            return providers.Object(passing)

    def observer(target: Any, source: Any, layers: Any) -> Any:
        if when == "all is found":
            meanwhile()
        return [layer.function for layer in layers]

    @controller()
    class Service:
        @get("/work")
        @intercept("layer", "guard")
        async def work(self) -> str:
            return "in"

    registry = InterceptorRegistry(Container())
    registry.bind("guard", guard)
    if change in ("remove_global", "without"):
        registry.add_global(answers)
        registry.bind("guard", deny)
    with ExitStack() as stack:
        stack.enter_context(registry.observe(observer))
        call = {"proxy": by_a_proxy, "invoke": by_invoke, "door": by_a_door, "http": by_http}[way](
            registry, Service(), "work"
        )
        assert await call() == "in"
        registry.bind("unrelated", passing)  # so that it is compiled again
        meanwhile.change = lambda: CHANGES[change](registry, Service, stack)
        with suppress(PermissionError, UnknownKeyError):
            await call()
        assert meanwhile.change is None
        with pytest.raises((PermissionError, UnknownKeyError)):
            await call()


class Looked:
    """Stands at the end of `__wrapped__`, and makes a change in another thread when it is looked at for the nth time."""

    def __init__(self, meanwhile: Meanwhile) -> None:
        self.meanwhile, self.looks = meanwhile, 0

    def __call__(self, service: Any) -> None:
        """For its signature."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            self.looks -= 1
            if self.looks == 0:
                self.meanwhile()
            return {}
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("look", range(1, 9))
@pytest.mark.parametrize("name", ["plain", "_private", "__aenter__", "__call__"])
async def test_what_is_decorated_while_a_proxy_looks_at_it_does_not_pass_through_again(name: str, look: int) -> None:
    """Methods that pass through are looked at once, and again when anything was recorded since that began."""
    meanwhile = Meanwhile()

    async def method(self: Any) -> str:
        return "in"

    def plain(self: Any) -> str:
        return "in"

    function: Any = plain if name == "plain" else method
    function.__wrapped__ = looked = Looked(meanwhile)
    service = type("Service", (), {name: function})()
    proxy = InterceptorRegistry().intercepted(service)

    async def use() -> Any:
        call = getattr(type(proxy), name, None)
        found = getattr(proxy, name)() if call is None else call(proxy)
        return found if name == "plain" else await found

    assert await use() == "in"
    intercept(passing)(lambda: None)  # something is recorded elsewhere, so that it is looked at again
    meanwhile.change, looked.looks = lambda: intercept(deny)(function), look
    with suppress(PermissionError, InvalidTargetError):
        assert await use() == "in"
    if meanwhile.change is None:  # it was looked at so often
        for _ in range(2):
            with pytest.raises((PermissionError, InvalidTargetError)):
                await use()
