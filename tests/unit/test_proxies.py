"""`registry.intercepted`: public `async def` methods run through their chains, everything else passes straight through."""

import abc
import asyncio
import copy
import functools
import gc
import inspect
import pickle
import re
import weakref
from collections.abc import AsyncIterator, Hashable, Iterator
from dataclasses import dataclass
from types import MethodType
from typing import Any, Generic, TypeVar

import pytest

from interceptors import (
    InterceptorRegistry,
    InvalidTargetError,
    InvocationBindings,
    InvocationContext,
    Next,
    annotate,
    intercept,
)
from tests.unit.helpers import on_both_backends, place, recording

T = TypeVar("T")
EVENTS: list[str] = []
A, B = recording("A", EVENTS), recording("B", EVENTS)


@pytest.fixture(autouse=True)
def _fresh_events() -> Iterator[None]:
    EVENTS.clear()
    yield
    EVENTS.clear()


@intercept(A)
class Service:
    """A service."""

    kind = "service"

    def __init__(self) -> None:
        self.name = "a name"
        self._secret = "a secret"
        self._amount = 1

    @intercept(B)
    async def work(self, value: int = 1) -> Any:
        """Works."""
        return "worked", value

    async def calls_itself(self) -> Any:
        return await self.work(5)

    @staticmethod
    async def static(first: int, second: int = 2) -> Any:
        return first, second

    @classmethod
    async def of_class(cls, first: int, second: int = 2) -> Any:
        return cls, first, second

    async def _private(self) -> str:
        return "private"

    async def __call__(self, value: int) -> Any:
        return "called", value

    def plain(self) -> str:
        return "plain"

    async def items(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    def generator(self) -> Iterator[int]:
        yield 1

    @functools.wraps(work)
    def wrapped(self, *args: Any) -> Any:
        return self.work(*args)

    @property
    def amount(self) -> int:
        return self._amount

    @amount.setter
    def amount(self, value: int) -> None:
        self._amount = value

    @amount.deleter
    def amount(self) -> None:
        self._amount = 0


def proxied(target: T, registry: InterceptorRegistry | None = None) -> T:
    return (registry or InterceptorRegistry()).intercepted(target)


# -- what is intercepted -----------------------------------------------------------------------------------------------


@on_both_backends
async def test_public_async_methods_run_through_their_chains() -> None:
    """Instance, static and class methods, and what `functools.wraps` shows to be `async def`."""
    registry = InterceptorRegistry()
    proxy = proxied(Service(), registry)

    for call, result, entered in (
        (proxy.work, ("worked", 1), [">A", ">B"]),
        (lambda: proxy.work(value=3), ("worked", 3), [">A", ">B"]),
        (lambda: proxy.static(1), (1, 2), [">A"]),
        (lambda: proxy.of_class(1, second=3), (Service, 1, 3), [">A"]),
        (lambda: proxy.wrapped(4), ("worked", 4), [">A", ">B"]),
    ):
        EVENTS.clear()
        assert await call() == result
        assert [event for event in EVENTS if event.startswith(">")] == entered


@on_both_backends
async def test_an_invocation_through_a_proxy_has_the_source_proxy() -> None:
    """`ctx.source.type` is "proxy", the target is the object itself, and globals for it apply."""
    registry = InterceptorRegistry()
    seen: list[InvocationContext] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx)
        return await next()

    registry.add_global(look, source="proxy")
    registry.add_global(recording("route", EVENTS), source="route")
    service = Service()
    await proxied(service, registry).work(1)

    assert [(str(ctx.source), ctx.target, ctx.target_name, ctx.args[0]) for ctx in seen] == [
        ("proxy", service, "Service.work", 1)
    ]
    assert ">route" not in EVENTS


@on_both_backends
async def test_calls_that_the_object_makes_on_itself_are_not_intercepted() -> None:
    """Inside the object `self` is the object, not the proxy."""
    assert await proxied(Service()).calls_itself() == ("worked", 5)
    assert EVENTS == [">A", "<A"]


@on_both_backends
async def test_private_and_special_names_plain_methods_and_generators_pass_straight_through() -> None:
    """No layer runs for them, not even those of the class."""
    proxy = proxied(Service())

    assert await proxy._private() == "private"
    assert await proxy(3) == ("called", 3)
    assert proxy.plain() == "plain"
    assert [item async for item in proxy.items()] == [1, 2]
    assert list(proxy.generator()) == [1]
    assert EVENTS == []


@on_both_backends
async def test_a_method_taken_from_a_proxy_is_intercepted() -> None:
    """A bound method of the proxy may be passed around; its name, text and signature are those of the method."""
    proxy = proxied(Service())
    work = proxy.work

    assert await work(2) == ("worked", 2)
    assert EVENTS == [">A", ">B", "<B", "<A"]
    assert (work.__name__, work.__qualname__, work.__doc__) == ("work", "Service.work", "Works.")


@pytest.mark.parametrize("name", ["work", "static", "of_class", "calls_itself", "plain", "items"])
def test_the_signature_of_a_proxied_method_is_that_of_the_method(name: str) -> None:
    """Whoever reads it, such as FastAPI for a dependency, sees what the method takes."""
    service = Service()

    assert inspect.signature(getattr(proxied(service), name)) == inspect.signature(getattr(service, name))


@on_both_backends
async def test_what_changes_in_the_registry_reaches_proxies_that_exist() -> None:
    """A proxy looks its chain up at each call."""
    registry = InterceptorRegistry()
    proxy = proxied(Service(), registry)
    await proxy.static(1)
    registry.add_global(recording("G", EVENTS))
    EVENTS.clear()
    await proxy.static(1)

    assert EVENTS == [">G", ">A", "<A", "<G"]


@on_both_backends
async def test_inherited_and_overridden_methods_are_intercepted_as_their_class_says() -> None:
    """A proxy of a subclass has the chains of the subclass."""

    @intercept(recording("C", EVENTS))
    class Derived(Service):
        async def work(self, value: int = 9) -> Any:
            return await super().work(value)

    assert await proxied(Derived()).work() == ("worked", 9)
    assert EVENTS == [">A", ">C", ">B", "<B", "<C", "<A"]


@on_both_backends
async def test_arguments_of_any_name_reach_the_method() -> None:
    """`self`, `target`, `source` and `request` are the method's own."""

    class Target:
        async def work(me, **kwargs: Any) -> Any:
            return kwargs

    kwargs = {"self": 1, "target": 2, "source": 3, "request": 4, "args": 5, "ctx": 6}

    assert await proxied(Target()).work(**kwargs) == kwargs


@on_both_backends
async def test_a_nested_call_through_a_proxy_belongs_to_the_same_request() -> None:
    """What the outer invocation bound on the request the inner one finds."""
    registry = InterceptorRegistry()

    class Inner:
        async def work(self) -> Any:
            return await InvocationBindings.context().get("shared")

    class Outer:
        async def work(self) -> Any:
            InvocationBindings.context().bind_request("shared", 1)
            return await proxied(Inner(), registry).work()

    assert await proxied(Outer(), registry).work() == 1


# -- what is refused ---------------------------------------------------------------------------------------------------


def decorated() -> dict[str, tuple[type, str]]:
    class Plain:
        @intercept(A)
        def work(self) -> None: ...

    class Generator:
        @intercept(A)
        def work(self) -> Iterator[int]:
            yield 1

    class AsyncGenerator:
        @intercept(A)
        async def work(self) -> AsyncIterator[int]:
            yield 1

    class StaticPlain:
        @intercept(A)
        @staticmethod
        def work() -> None: ...

    class Override(Plain):
        def work(self) -> None: ...

    return {
        "plain": (Plain, "no `async def`"),
        "generator": (Generator, "a generator"),
        "async generator": (AsyncGenerator, "a generator"),
        "static": (StaticPlain, "no `async def`"),
        "override": (Override, "no `async def`"),
    }


@pytest.mark.parametrize("kind", decorated())
def test_a_decorated_method_that_cannot_be_intercepted_is_refused(kind: str) -> None:
    """When the proxy is made, not in silence: the message has the method, its place, and two ways out."""
    cls, what = decorated()[kind]
    text = (
        f"{cls.__name__}.work ({place(cls.work)}) has interceptors but is {what}, so a proxy cannot run them; make it "
        '`async def`, or call it with `await registry.invoke(target, "work")`.'
    )
    for target in (cls(), cls):
        with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
            proxied(target)
        assert caught.value.target is cls


def test_a_plain_method_may_have_annotations() -> None:
    """Data for interceptors is no interceptor."""

    class Target:
        @annotate(role="admin")
        def work(self) -> str:
            return "worked"

    assert proxied(Target()).work() == "worked"


def test_a_plain_override_of_an_async_method_is_refused_if_the_base_is_decorated() -> None:
    """The list of the base's method would be lost."""

    class Base:
        @intercept(A)
        async def work(self) -> None: ...

    class Derived(Base):
        def work(self) -> None: ...

    proxied(Base())
    with pytest.raises(InvalidTargetError):
        proxied(Derived())


@pytest.mark.parametrize("name", ["__eq__", "__getattr__", "__init_subclass__"])
def test_a_special_method_that_the_proxy_needs_for_itself_is_refused(name: str) -> None:
    """However it is written, its layers would never run."""

    async def special(self: Any, *args: Any) -> Any: ...

    target = type("Target", (), {name: intercept(A)(special)})()
    text = f"Target.{name} has interceptors, but nothing can run them around it."
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
        proxied(target)
    assert caught.value.target is type(target)


async def test_what_is_found_later_and_cannot_be_intercepted_is_refused_at_each_call() -> None:
    """Not where it is looked at: `hasattr`, and whoever looks at all attributes, finds what the object has."""

    @intercept(A)
    def own(value: int) -> int:
        return value

    service = Service()
    proxy: Any = proxied(service)
    service.own = own  # type: ignore[attr-defined]

    assert inspect.signature(proxy.own) == inspect.signature(own)
    for _ in range(2):
        with pytest.raises(InvalidTargetError, match="own .* has interceptors but is no `async def`"):
            proxy.own(1)
    assert EVENTS == []


# -- what passes through -----------------------------------------------------------------------------------------------


def test_attributes_and_properties_pass_through() -> None:
    """Reading, setting and deleting reach the object."""
    service = Service()
    proxy = proxied(service)

    assert (proxy.name, proxy.kind, proxy._secret, proxy.amount) == ("a name", "service", "a secret", 1)
    proxy.name = "another"
    proxy.amount = 5
    proxy.added = True
    assert (service.name, service._amount, service.added) == ("another", 5, True)
    del proxy.name
    del proxy.amount
    assert not hasattr(service, "name")
    assert service._amount == 0
    with pytest.raises(AttributeError, match="'Service' object has no attribute 'name'"):
        _ = proxy.name
    with pytest.raises(AttributeError):
        del proxy.name
    assert vars(proxy) is vars(service)


@on_both_backends
async def test_a_method_replaced_on_the_object_is_the_one_that_is_called() -> None:
    """Setting reaches the object, for a test's fake as well; its chain stays."""

    async def fake(value: int) -> Any:
        return "faked", value

    proxy = proxied(Service())
    proxy.work = fake

    assert await proxy.work(1) == ("faked", 1)
    assert EVENTS == [">A", ">B", "<B", "<A"]


def test_a_proxy_is_an_instance_of_the_objects_class() -> None:
    """`isinstance`, `__class__`, name, module and text are those of the object."""
    service = Service()
    proxy = proxied(service)

    assert isinstance(proxy, Service)
    assert proxy.__class__ is Service
    assert (type(proxy).__name__, type(proxy).__module__, type(proxy).__doc__) == ("Service", __name__, "A service.")
    assert proxy.__doc__ == "A service."
    assert repr(proxy) == repr(service)
    assert str(proxy) == str(service)
    assert dir(proxy) == dir(service)


def test_a_proxy_passes_for_an_abstract_base_and_a_generic() -> None:
    """A service class may be abstract above and generic."""

    class Base(abc.ABC, Generic[T]):
        @abc.abstractmethod
        async def work(self) -> T: ...

    class Concrete(Base[int]):
        async def work(self) -> int:
            return 1

    proxy = proxied(Concrete())

    assert isinstance(proxy, Base)
    assert asyncio.run(proxy.work()) == 1


class Everything:
    """Has many special methods, each noted."""

    def __init__(self) -> None:
        self.value = 5
        self.log: list[str] = []

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])

    def __contains__(self, item: object) -> bool:
        return item == 2

    def __getitem__(self, key: Any) -> Any:
        return "item", key

    def __setitem__(self, key: Any, value: Any) -> None:
        self.log.append(f"set {key} {value}")

    def __delitem__(self, key: Any) -> None:
        self.log.append(f"del {key}")

    def __add__(self, other: Any) -> Any:
        return "add", other

    def __radd__(self, other: Any) -> Any:
        return "radd", other

    def __lt__(self, other: Any) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Everything) and other.value == self.value

    def __hash__(self) -> int:
        return 42

    def __bool__(self) -> bool:
        return False

    def __int__(self) -> int:
        return 7

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    def __format__(self, spec: str) -> str:
        return f"formatted {spec}"

    def __repr__(self) -> str:
        return "Everything()"

    def __str__(self) -> str:
        return "everything"

    def __enter__(self) -> str:
        self.log.append("enter")
        return "entered"

    def __exit__(self, *error: object) -> bool:
        self.log.append(f"exit {error[0]}")
        return True

    async def __aenter__(self) -> str:
        return "entered async"

    async def __aexit__(self, *error: object) -> None:
        self.log.append("async exit")

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return "awaited"

    def __aiter__(self) -> Any:
        return self.numbers()

    async def numbers(self) -> AsyncIterator[int]:
        yield 1


async def test_special_methods_pass_through() -> None:
    """Operators, containers, conversions, context managers, awaiting and iterating work as on the object."""
    target = Everything()
    proxy: Any = proxied(target)

    assert (len(proxy), list(proxy), 2 in proxy, 5 in proxy, proxy[1]) == (3, [1, 2, 3], True, False, ("item", 1))
    proxy["a"] = 1
    del proxy["a"]
    assert target.log == ["set a 1", "del a"]
    assert (proxy + 1, 1 + proxy, proxy < 1, bool(proxy), int(proxy)) == (("add", 1), ("radd", 1), True, False, 7)
    with pytest.raises(TypeError):
        _ = proxy > 1
    assert proxy == target
    assert target == proxy
    assert proxy == proxied(Everything())
    assert hash(proxy) == 42
    assert proxy(1, a=2) == ((1,), {"a": 2})
    assert (f"{proxy:x}", repr(proxy), str(proxy)) == ("formatted x", "Everything()", "everything")
    with proxy as entered:
        assert entered == "entered"
        raise ValueError
    assert target.log[2:] == ["enter", f"exit {ValueError}"]
    async with proxy as entered:
        assert entered == "entered async"
    assert await proxy == "awaited"
    assert [number async for number in proxy] == [1]


def test_a_special_method_that_the_object_lacks_is_missing_on_the_proxy() -> None:
    """A proxy can do no more than its object."""
    proxy: Any = proxied(Service())

    for use in (len, iter, lambda p: p[0], lambda p: p + 1, lambda p: p < 1):
        with pytest.raises(TypeError):
            use(proxy)
    assert isinstance(hash(proxy), int)


def test_an_unhashable_object_has_an_unhashable_proxy() -> None:
    """A special name that a class sets to None is None on the proxy, too."""

    @dataclass
    class Value:
        number: int

    proxy = proxied(Value(1))

    assert not isinstance(proxy, Hashable)
    with pytest.raises(TypeError, match="unhashable type"):
        hash(proxy)
    assert proxy == Value(1)
    assert proxy != Value(2)


def test_a_copy_of_a_proxy_is_a_copy_of_the_object() -> None:
    """`copy`, `deepcopy` and `pickle` pass through as any special method does."""
    service = Service()
    service.name = ["a name"]
    proxy = proxied(service)

    shallow, deep, pickled = copy.copy(proxy), copy.deepcopy(proxy), pickle.loads(pickle.dumps(proxy))
    for other in (shallow, deep, pickled):
        assert isinstance(other, Service)
        assert other is not service
        assert other.name == ["a name"]
    assert shallow.name is service.name
    assert deep.name is not service.name


def test_a_proxy_can_be_weakly_referenced() -> None:
    """And is freed with its last reference; it keeps its object alive, not the other way round."""
    gc.collect()
    gc.disable()
    try:
        service = Service()
        proxy = proxied(service)
        reference = weakref.ref(proxy)
        del proxy
        assert reference() is None
    finally:
        gc.enable()


def test_an_object_with_slots_and_dynamic_attributes_can_be_proxied() -> None:
    """Whatever way the object finds its attributes, it finds them."""

    class Odd:
        __slots__ = ("value",)

        def __getattr__(self, name: str) -> str:
            if name.startswith("dynamic"):
                return f"found {name}"
            raise AttributeError(name)

    proxy: Any = proxied(Odd())
    proxy.value = 5

    assert (proxy.value, proxy.dynamic_1) == (5, "found dynamic_1")
    with pytest.raises(AttributeError):
        proxy.other = 1


def test_the_attributes_of_the_proxy_itself_do_not_hide_the_objects() -> None:
    """Names such as `target`, `registry` and `method` are the object's."""

    class Target:
        target, registry, method, plan, name = range(5)

    proxy = proxied(Target())

    assert [proxy.target, proxy.registry, proxy.method, proxy.plan, proxy.name] == [0, 1, 2, 3, 4]


def test_an_object_that_has_itself_as_an_attribute_hands_out_the_proxy() -> None:
    """As where a method returns `self`: nobody comes by the raw object, and round its layers."""
    service: Any = Service()
    service.itself = service
    proxy = proxied(service)

    assert proxy.itself is proxy


async def test_a_method_that_gives_a_coroutine_of_the_object_itself_hands_out_the_proxy() -> None:
    """`def` in front, `async def` behind: what is awaited is what counts."""

    class Connection:
        async def _opened(self) -> Any:
            return self

        def opened(self) -> Any:
            return self._opened()

    proxy = proxied(Connection())

    assert await proxy.opened() is proxy


# -- what changes later ------------------------------------------------------------------------------------------------


def _decorated(cls: type, name: str) -> None:
    intercept(A)(vars(cls)[name])


def _replaced(cls: type, name: str) -> None:
    @intercept(A)
    async def other(self: Any) -> str:
        return "done"

    setattr(cls, name, other)


def a_class() -> type:
    async def done(self: Any) -> str:
        return "done"

    class Target:
        async def _private(self) -> str:
            return "done"

        def plain(self) -> str:
            return "done"

        async def __call__(self) -> str:
            return "done"

        def __neg__(self) -> str:
            return "done"

        @functools.wraps(done)
        def __invert__(self) -> Any:
            return done(self)

    return Target


@pytest.mark.parametrize("name", ["plain", "_private", "later"])
def test_a_method_of_a_proxy_is_the_same_whenever_it_is_taken(name: str) -> None:
    """As that of an object: what has been added as a listener can be removed, also if the class got it later."""
    cls = a_class()
    proxy = proxied(cls())
    _replaced(cls, "later")
    taken = getattr(proxy, name)

    assert getattr(proxy, name) == taken == getattr(proxy, name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_private", _decorated),
        ("plain", _replaced),
        ("__call__", _decorated),
        ("__invert__", _decorated),
        ("__neg__", _replaced),
    ],
)
@on_both_backends
async def test_what_passed_through_runs_its_chain_as_soon_as_it_is_decorated(name: str, change: Any) -> None:
    """Also where it was taken from the proxy before: a private method, a plain one, special ones."""
    cls = a_class()
    taken = getattr(proxied(cls()), name)

    async def call() -> Any:
        result = taken()
        return await result if inspect.isawaitable(result) else result

    assert [await call() for _ in range(2)] == ["done", "done"]
    assert EVENTS == []
    change(cls, name)
    assert [await call() for _ in range(2)] == ["done", "done"]
    assert EVENTS == [">A", "<A"] * 2


async def test_other_bases_are_other_layers() -> None:
    """A class may be given other bases while there are proxies of its objects."""

    class Base:
        async def work(self) -> None: ...

    class Decorated:
        @intercept(A)
        async def work(self) -> None: ...

    class Target(Base):
        async def work(self) -> None: ...

    registry, target = InterceptorRegistry(), Target()
    proxy = proxied(target, registry)

    for bases, entered in (((Base,), []), ((Decorated,), [">A"])):
        Target.__bases__ = bases
        for call in (proxy.work, lambda: registry.invoke(target, "work")):
            EVENTS.clear()
            await call()
            assert EVENTS[:1] == entered


# -- classes -----------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_class_can_be_proxied() -> None:
    """Its static and class methods are intercepted; it is a class to `isinstance`, and makes instances."""
    proxy = proxied(Service)

    assert await proxy.static(1) == (1, 2)
    assert await proxy.of_class(1) == (Service, 1, 2)
    assert EVENTS == [">A", "<A"] * 2
    assert isinstance(proxy, type)
    assert type(proxy()) is Service
    assert proxy.plain(Service()) == "plain"
    assert proxy.kind == "service"
    assert repr(proxy) == repr(Service)


@on_both_backends
async def test_a_special_method_of_a_metaclass_runs_its_chain_or_is_refused() -> None:
    """Of a proxied class it is the metaclass that is asked for what stands for `proxy()` and `len(proxy)`."""

    class Meta(type):
        @intercept(A)
        async def __call__(cls, value: int) -> Any:
            return cls, value

    class Refused(type):
        @intercept(A)
        def __len__(cls) -> int:
            return 0

    target: Any = Meta("Target", (), {})
    assert await proxied(target)(1) == (target, 1)
    assert EVENTS == [">A", "<A"]
    with pytest.raises(InvalidTargetError, match="Refused.__len__ .* has interceptors but is no `async def`"):
        proxied(Refused("Other", (), {}))


@on_both_backends
async def test_proxies_of_a_class_and_of_its_instances_do_not_mix() -> None:
    """Whichever is made and used first, each is what its object is."""
    for order in ((Service(), Service), (Service, Service())):
        registry = InterceptorRegistry()
        proxies = [registry.intercepted(target) for target in order]
        of_class, of_instance = (one for one in sorted(proxies, key=lambda p: not isinstance(p, type)))
        assert isinstance(of_instance, Service)
        assert not isinstance(of_class, Service)
        assert await of_instance.work() == ("worked", 1)
        assert await of_instance(1) == ("called", 1)
        assert type(of_class()) is Service
        assert await of_class.of_class(1) == await of_instance.of_class(1)
        with pytest.raises(InvalidTargetError, match="instance method; invoke it on an instance"):
            await of_class.work(Service())


def test_two_proxies_of_a_registry_share_their_class() -> None:
    """Making a proxy is cheap: its class is made once per class and registry."""
    registry = InterceptorRegistry()

    assert type(proxied(Service(), registry)) is type(proxied(Service(), registry))
    assert type(proxied(Service(), registry)) is not type(proxied(Service()))


@on_both_backends
async def test_objects_share_chains_but_not_targets() -> None:
    """Each proxy calls its own object."""
    registry = InterceptorRegistry()

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        async def add(self) -> int:
            self.count += 1
            return self.count

    first, second = proxied(Counter(), registry), proxied(Counter(), registry)

    assert [await first.add(), await first.add(), await second.add()] == [1, 2, 1]


# -- proxies of proxies ------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_proxy_of_a_proxy_is_the_proxy() -> None:
    """Layers never run twice for one call."""
    registry = InterceptorRegistry()
    proxy = proxied(Service(), registry)

    assert proxied(proxy, registry) is proxy
    await proxied(proxy, registry).work()
    assert EVENTS == [">A", ">B", "<B", "<A"]


@on_both_backends
async def test_a_proxy_cannot_be_invoked_by_name() -> None:
    """Its layers would run twice; the message says what to do instead."""
    registry = InterceptorRegistry()
    text = "This Service is a proxy already: await its method, or invoke the object itself."

    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$"):
        await registry.invoke(proxied(Service(), registry), "work")


def test_a_proxy_equals_what_its_object_equals() -> None:
    """And has its hash: a proxy finds the object in a set, and the other way round."""
    service = Service()
    proxy = proxied(service)

    assert proxy == service == proxied(service)
    assert proxy != Service()
    assert service in {proxy}
    assert proxy in {service: 1}


@on_both_backends
async def test_an_object_that_is_called_is_intercepted_once_for_all() -> None:
    """An attribute whose `__call__` is decorated: the same at each look, as the object is."""

    class Handler:
        @intercept(A)
        async def __call__(self) -> str:
            return "handled"

    service: Any = Service()
    service.handler = Handler()
    proxy = proxied(service)

    assert proxy.handler is proxy.handler
    assert [await proxy.handler() for _ in range(2)] == ["handled"] * 2
    assert EVENTS == [">A", "<A"] * 2


async def test_a_function_of_the_object_s_own_passes_through_whatever_it_is() -> None:
    async def own(self: Any) -> Any:
        return self

    def plain(self: Any) -> Any:
        return self

    service = Service()
    proxy: Any = proxied(service)
    for function in (own, plain):
        service.own = MethodType(function, service)  # type: ignore[attr-defined]
        for _ in range(2):
            result = proxy.own()
            assert (await result if inspect.isawaitable(result) else result) is proxy
    assert EVENTS == []


# -- what hands out the object itself ----------------------------------------------------------------------------------


async def giving_the_target(ctx: InvocationContext, next: Next) -> Any:
    await next()
    return ctx.target


def as_a_driver(function: Any) -> Any:
    """What it gives can be awaited or entered."""

    class Opened:
        def __init__(self, service: Any) -> None:
            self.service = service

        def __await__(self) -> Any:
            return itself(self.service).__await__()

        async def __aenter__(self) -> Any:
            return self.service

        async def __aexit__(self, *error: object) -> None: ...

    @functools.wraps(function)
    def opens(self: Any) -> Any:
        return Opened(self)

    return opens


async def itself(thing: Any) -> Any:
    return thing


class Base:
    async def inherited(self) -> Any:
        return self


class Fluent(Base):
    @intercept(A)
    async def decorated(self) -> Any:
        return self

    @intercept(giving_the_target)
    async def by_a_layer(self) -> Any: ...

    async def _private(self) -> Any:
        return self

    def coroutine_of_a_def(self) -> Any:
        return self.inherited()

    async def __call__(self) -> Any:
        return self

    def __add__(self, other: Any) -> Any:
        return self

    def __iadd__(self, other: Any) -> Any:
        return self

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    def __await__(self) -> Any:
        return itself(self).__await__()

    @as_a_driver
    async def opens(self) -> Any: ...

    @functools.cached_property
    def cached(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "made_up":
            return self
        raise AttributeError(name)


async def entered(context: Any) -> Any:
    async with context as found:
        return found


async def added(proxy: Any) -> Any:
    proxy += 1
    return proxy


HANDING_OUT: dict[str, Any] = {
    "inherited": lambda proxy: proxy.inherited(),
    "decorated": lambda proxy: proxy.decorated(),
    "a layer": lambda proxy: proxy.by_a_layer(),
    "private": lambda proxy: proxy._private(),
    "coroutine of a def": lambda proxy: proxy.coroutine_of_a_def(),
    "called": lambda proxy: proxy(),
    "operator": lambda proxy: itself(proxy + 1),
    "operator in place": added,
    "iterated": lambda proxy: itself(aiter(proxy)),
    "its items": anext,
    "item": lambda proxy: itself(proxy["key"]),
    "awaited": lambda proxy: proxy,
    "awaited of a driver": lambda proxy: proxy.opens(),
    "entered of a driver": lambda proxy: entered(proxy.opens()),
    "cached property": lambda proxy: itself(proxy.cached),
    "made up": lambda proxy: itself(proxy.made_up),
    "a method taken from it": lambda proxy: itself(proxy.inherited.__self__),
}


@pytest.mark.parametrize("way", HANDING_OUT)
async def test_what_gives_the_object_itself_gives_the_proxy(way: str) -> None:
    """So that what is called on it then is intercepted, too."""
    proxy = proxied(Fluent())
    for _ in range(2):
        assert await HANDING_OUT[way](proxy) is proxy
