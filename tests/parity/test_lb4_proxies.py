"""LoopBack 4, section 1I: proxies, F92 to F99.

| rule | what does not apply, and why |
|---|---|
| F95 | Types of synchronous results: a plain `def` passes through unchanged; tests/typing has the rest. |
| F97 | `asProxyWithInterceptors` at resolution: `registry.intercepted` is a function that a provider can call. |
"""

from abc import ABC, abstractmethod
from typing import Annotated

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from starlette.requests import Request

from interceptors import InterceptorRegistry, InvalidTargetError, InvocationContext, InvocationSource, intercept


@pytest.fixture
def log():
    return []


@pytest.fixture
def registry(log):
    async def notes(ctx, next):
        log.append((ctx.target_name, str(ctx.source)))
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(notes)
    return registry


class Service:
    kind = "service"

    def __init__(self):
        self.number = 5

    async def work(self, number=1):
        return self.number * number

    async def twice(self):
        return await self.work(), await self.work(2)

    @staticmethod
    async def static():
        return "static"

    @classmethod
    async def of_class(cls):
        return cls.__name__

    def plain(self):
        return "plain"

    @property
    def half(self):
        return self.number / 2

    @half.setter
    def half(self, half):
        self.number = half * 2

    async def _private(self):
        return "private"


async def test_f92_public_async_methods_are_intercepted_and_the_rest_passes(registry, log):
    """F92: a proxy runs chains around an object's methods; other attributes read and write through, and it is an instance.

    Differs: only public `async def` methods are intercepted; a plain method stays synchronous, which keeps its type.
    """
    service = Service()
    proxy = registry.intercepted(service)
    assert isinstance(proxy, Service)
    assert await proxy.work(2) == 10
    assert await proxy.static() == "static"
    assert await proxy.of_class() == "Service"
    assert [name for name, _ in log] == ["Service.work", "Service.static", "Service.of_class"]
    log.clear()
    unbound = proxy.work
    assert await unbound(number=3) == 15
    assert len(log) == 1
    log.clear()
    assert (proxy.kind, proxy.number, proxy.half, proxy.plain()) == ("service", 5, 2.5, "plain")
    assert await proxy._private() == "private"
    proxy.half = 4
    proxy.new = "new"
    assert (service.number, service.new) == (8, "new")
    del proxy.new
    assert not hasattr(service, "new")
    with pytest.raises(AttributeError, match="nope"):
        _ = proxy.nope
    assert log == []


async def test_f92_a_proxy_of_a_class_intercepts_static_and_class_methods(registry, log):
    """F92: a proxy of a class runs chains around its static and class methods, and makes objects that are not proxies."""
    proxy = registry.intercepted(Service)
    assert await proxy.static() == "static"
    assert await proxy.of_class() == "Service"
    assert [name for name, _ in log] == ["Service.static", "Service.of_class"]
    log.clear()
    assert type(proxy()) is Service
    assert await proxy().work() == 5
    assert proxy.kind == "service"
    assert log == []


async def test_f93_calls_on_itself_are_not_intercepted(registry, log):
    """F93: inside a method `self` is the object, so what it calls on itself runs no chain."""
    assert await registry.intercepted(Service()).twice() == (5, 10)
    assert [name for name, _ in log] == ["Service.twice"]


async def test_f94_a_proxy_wraps_no_more_than_it_should(registry, log):
    """F94: special methods, the class and attributes that hold functions are the object's own.

    Differs: LoopBack wraps whatever is a function, so that converting a proxy to a string fails.
    """

    class Listing(Service):
        def __len__(self):
            return 3

        def __iter__(self):
            return iter("abc")

        def __eq__(self, other):
            return other == "same"

        def __hash__(self):
            return 7

        def __call__(self, number):
            return number

        async def __aenter__(self):
            return "entered"

        async def __aexit__(self, *error):
            return False

        def __str__(self):
            return "a listing"

    service = Listing()
    proxy = registry.intercepted(service)

    async def own():
        return "own"

    service.own = own
    assert (str(proxy), repr(proxy), f"{proxy}") == ("a listing", repr(service), "a listing")
    assert (len(proxy), list(proxy), hash(proxy), proxy(9)) == (3, ["a", "b", "c"], 7, 9)
    assert proxy == "same"
    assert proxy.__class__ is Listing
    async with proxy as entered:
        assert entered == "entered"
    assert await proxy.own() == "own"
    assert log == []


def test_f94_a_decorated_method_that_cannot_be_intercepted_is_refused():
    """F94: a decorated plain `def` or generator method is an error when the proxy is made.

    Differs: LoopBack makes its result a promise; passing it by in silence would lose the interceptor.
    """

    async def nothing(ctx, next):
        return await next()

    class Plain:
        @intercept(nothing)
        def work(self):
            """Cannot be awaited."""

    class Generator:
        @intercept(nothing)
        async def work(self):
            yield 1

    for cls in (Plain, Generator):
        with pytest.raises(InvalidTargetError, match=rf"{cls.__name__}\.work") as caught:
            InterceptorRegistry().intercepted(cls())
        assert "registry.invoke" in str(caught.value)


async def test_f96_the_source_of_a_proxied_call_is_the_proxy(registry, log):
    """F96: calls through a proxy have the source type "proxy", so a global for other sources does not run.

    Differs: LoopBack knows a source only where the proxy came from an injection.
    """

    async def for_routes(ctx, next):
        log.append("for routes")
        return await next()

    registry.add_global(for_routes, source="route")
    await registry.intercepted(Service()).work()
    assert log == [("Service.work", "proxy")]


async def test_f97_a_provider_can_give_a_proxy(log):
    """F97: whoever asks for a dependency may get a proxy of it, and the object itself is not changed.

    Differs: the provider says so, not the place where it is injected.
    """

    async def notes(ctx, next):
        log.append(ctx.target_name)
        return await next()

    class Container(containers.DeclarativeContainer):
        registry = providers.Dependency(instance_of=InterceptorRegistry)
        raw = providers.Singleton(Service)
        service = providers.Singleton(lambda registry, raw: registry.intercepted(raw), registry, raw)

    container = Container()
    registry = InterceptorRegistry(container)
    registry.add_global(notes, source="proxy")
    container.registry.override(providers.Object(registry))

    class Asks:
        async def work(
            self, raw: Annotated[Service, Provide["raw"]], service: Annotated[Service, Provide["service"]]
        ) -> object:
            return await raw.work(), await service.work(), type(raw) is Service, isinstance(service, Service)

    assert await registry.invoke(Asks(), "work", source=InvocationSource("job")) == (5, 5, True, True)
    assert log == ["Service.work"]


async def test_f98_a_proxy_belongs_to_the_request_that_calls_it(registry):
    """F98: a proxied call sees the request of the invocation in which it is made.

    Differs: also through a proxy that lives as long as the application; LoopBack's singletons lose the request.
    """

    class Asks:
        async def work(self, ctx: InvocationContext):
            return ctx.request, await ctx.get("word", None), await ctx.current_user()

    class Outer:
        async def work(self, word, ctx: InvocationContext):
            ctx.bind_request("word", word)
            ctx.bind_request("current_user", f"user of {word}")
            return await proxy.work()

    proxy = registry.intercepted(Asks())
    for word in ("one", "two"):
        request = Request({"type": "http", "headers": []})
        assert await registry.invoke(Outer(), "work", word, request=request) == (request, word, f"user of {word}")
    assert await proxy.work() == (None, None, None)


async def test_f99_parameters_with_defaults_may_be_left_out(registry):
    """F99: a proxied call takes the arguments that a direct call takes, defaults and injected parameters included.

    Differs: in LoopBack a parameter that is left out is an error.
    """

    class Takes:
        async def work(self, a, b: int | None = None, *rest, c="c", **extra):
            return a, b, rest, c, extra

        async def injected(self, ctx: InvocationContext, a=1):
            return ctx.method_name, a

    proxy = registry.intercepted(Takes())
    assert await proxy.work(1) == (1, None, (), "c", {})
    assert await proxy.work(1, 2, 3, c=4, d=5) == (1, 2, (3,), 4, {"d": 5})
    assert await proxy.injected() == ("injected", 1)
    assert await proxy.injected(a=2) == ("injected", 2)
    with pytest.raises(TypeError):
        await proxy.work()


async def test_f92_an_abstract_type_can_be_proxied(registry, log):
    """F92: what a caller knows by an abstract type is intercepted by the concrete one's methods."""

    class Mailer(ABC):
        @abstractmethod
        async def send(self, text): ...

    class Smtp(Mailer):
        async def send(self, text):
            return f"sent {text}"

    proxy = registry.intercepted(Smtp())
    assert isinstance(proxy, Mailer)
    assert await proxy.send("it") == "sent it"
    assert log == [("Smtp.send", "proxy")]
