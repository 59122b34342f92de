"""LoopBack 4, section 1G: kinds of binding and scopes, F74 to F83.

A scope is what a dependency-injector provider makes of it: `Factory` for every invocation, `Singleton` once. A class that is
given without a provider is built for every invocation.

| rule | what does not apply, and why |
|---|---|
| F77 | CONTEXT scope: each invocation would be a context, which is what a class has anyway. |
| F79 | APPLICATION and SERVER scopes: one container is one application. |
| F81 | Live views of a configuration: `providers.Configuration` is read at each resolution, that is live enough. |
"""

from typing import Annotated

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, Provider, as_int
from starlette.requests import Request

from interceptors import (
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    OutsideInvocationError,
    UnknownKeyError,
    intercept,
)


def http_request(**scope):
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", **scope})


async def test_f74_a_function_is_itself():
    """F74: a function that is bound to a key is called as it is, for every invocation."""
    contexts = []

    async def constant(ctx, next):
        contexts.append(ctx)
        return await next()

    registry = InterceptorRegistry()
    registry.bind("constant", constant)

    class Service:
        @intercept("constant")
        async def work(self):
            return "worked"

    assert [await registry.invoke(Service(), "work") for _ in range(3)] == ["worked"] * 3
    assert len(contexts) == 3


async def test_f75_a_class_is_built_at_its_turn():
    """F75: a class is built for every invocation, at its turn: its constructor sees request, user and what outer layers bound."""
    built = []

    class Container(containers.DeclarativeContainer):
        word = providers.Object("container")

    class Audit:
        def __init__(
            self,
            request: Request,
            ctx: InvocationContext,
            word: Annotated[str, Provide["word"]],
            user: Annotated[str, Provide["current_user"]],
            bound: str = Provide["bound"],
            default: int = 5,
        ) -> None:
            built.append((request, ctx.method_name, word, user, bound, default))

        async def intercept(self, ctx, next):
            return await next()

    async def binds(ctx, next):
        assert built == []
        ctx.bind("bound", "by an outer layer")
        ctx.bind_request("current_user", "alice")
        return await next()

    class Service:
        @intercept(binds, Audit)
        async def work(self):
            return "worked"

    request = http_request()
    registry = InterceptorRegistry(Container())
    assert await registry.invoke(Service(), "work", request=request) == "worked"
    assert built == [(request, "work", "container", "alice", "by an outer layer", 5)]
    built.clear()
    await registry.invoke(Service(), "work", request=http_request())
    assert len(built) == 1


async def test_f76_a_singleton_is_built_once():
    """F76: a singleton is built once, and depends on the container alone.

    Differs: a singleton that needs something of the invocation reads it from `ctx`, or takes a `.provider` and asks then.
    """
    built = []

    class Single:
        def __init__(self, user):
            built.append(self)
            self.user = user

        async def intercept(self, ctx, next):
            await ctx.current_user()
            return self.user(), await next()

    class Container(containers.DeclarativeContainer):
        single = providers.Singleton(Single, user=InvocationBindings.current_user.provider)

    class Service:
        @intercept("single")
        async def work(self):
            return "worked"

    registry = InterceptorRegistry(Container(), current_user=lambda request: request.scope["name"])
    for name in ("alice", "bob"):
        assert await registry.invoke(Service(), "work", request=http_request(name=name)) == (name, "worked")
    assert len(built) == 1


async def test_f78_one_value_per_request():
    """F78: what is to be made once per request is bound on the request by the layer that makes it.

    Differs: there is no REQUEST scope; `ctx.bind_request` in an outer layer, and `Provide[...]` further in.
    """
    made = []

    async def opens(ctx, next):
        if await ctx.get("session", None) is None:
            made.append(object())
            ctx.bind_request("session", made[-1])
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(opens)

    class Inner:
        async def work(self, session: Annotated[object, Provide["session"]]):
            return session

    class Outer:
        async def work(self, session: Annotated[object, Provide["session"]]):
            return {session, await registry.invoke(Inner(), "work"), await registry.intercepted(Inner()).work()}

    first = await registry.invoke(Outer(), "work", request=http_request())
    second = await registry.invoke(Outer(), "work", request=http_request())
    assert (first, second) == ({made[0]}, {made[1]})
    assert len(made) == 2


async def test_f80_a_dynamic_value():
    """F80: a provider may make the interceptor anew each time, also asynchronously, with dependencies of its own."""

    class Container(containers.DeclarativeContainer):
        number = providers.Object(2)
        factor = providers.Callable(multiply, number)
        later = providers.Coroutine(multiply_later, number)

    class Service:
        @intercept("factor", "later", Container.factor)
        async def work(self):
            return 1

    assert await InterceptorRegistry(Container()).invoke(Service(), "work") == 4


def multiply(number):
    async def multiplies(ctx, next):
        return number * await next()

    return multiplies


async def multiply_later(number):
    return multiply(number)


async def test_f81_configuration():
    """F81: an interceptor's configuration is injected, and changes are seen by what is built next.

    Differs: the configuration is the container's, at a path of one's own choice.
    """

    class Container(containers.DeclarativeContainer):
        config = providers.Configuration()

    class Limits:
        def __init__(
            self,
            limit: Annotated[int, Provide["config.limits.rate", as_int()]],
            missing: Annotated[object, Provide["config.limits.nothing"]],
        ) -> None:
            self.limit = limit, missing

        async def intercept(self, ctx, next):
            return self.limit, await next()

    class Service:
        @intercept(Limits)
        async def work(self):
            return "worked"

    container = Container()
    container.config.from_dict({"limits": {"rate": "5"}})
    registry = InterceptorRegistry(container)
    assert await registry.invoke(Service(), "work") == ((5, None), "worked")
    container.config.limits.rate.from_value("7")
    assert await registry.invoke(Service(), "work") == ((7, None), "worked")


async def test_f82_a_getter():
    """F82: what is expensive, or known only later, is injected as something to call.

    Differs: with dependency-injector's `Provider[...]`; for the current user `ctx.current_user()` is there already.
    """
    made = []

    class Container(containers.DeclarativeContainer):
        report = providers.Factory(lambda: made.append("made") or len(made))

    class Lazy:
        def __init__(self, report: Annotated[object, Provider["report"]]) -> None:
            self.report = report

        async def intercept(self, ctx, next):
            if ctx.args["wanted"]:
                return self.report(), self.report()
            return await next()

    class Service:
        @intercept(Lazy)
        async def work(self, wanted):
            return "worked"

    registry = InterceptorRegistry(Container())
    assert await registry.invoke(Service(), "work", False) == "worked"
    assert made == []
    assert await registry.invoke(Service(), "work", True) == (1, 2)


async def test_f82_the_current_user_is_asked_lazily_and_once():
    """F82: nobody asks who the user is until somebody wants to know, and then once per request; an error is not remembered."""
    asked = []

    async def who(request):
        asked.append(request)
        if len(asked) == 1:
            raise ConnectionError
        return "alice"

    registry = InterceptorRegistry(current_user=who)

    class Service:
        async def work(self, wanted, ctx: InvocationContext):
            if not wanted:
                return None
            with pytest.raises(ConnectionError):
                await ctx.current_user()
            return await ctx.current_user(), await ctx.get("current_user"), await registry.invoke(Inner(), "work")

    class Inner:
        async def work(self, user: Annotated[str, Provide["current_user"]]):
            return user

    request = http_request()
    await registry.invoke(Service(), "work", False, request=request)
    assert asked == []
    assert await registry.invoke(Service(), "work", True, request=request) == ("alice", "alice", "alice")
    assert asked == [request, request]
    assert await registry.invoke(Inner(), "work") is None
    assert len(asked) == 2


async def test_f83_what_an_outer_layer_binds_wins_further_in():
    """F83: an outer layer may bind a key that the container has: for this invocation it is injected instead.

    Differs: that holds for values; the key of an interceptor means what it is bound to in the registry, so that the chain
    is known before it runs.
    """
    log = []

    async def real(ctx, next):
        log.append("real")
        return await next()

    async def fake(ctx, next):
        log.append("fake")
        return await next()

    class Container(containers.DeclarativeContainer):
        word = providers.Object("container")

    async def binds(ctx, next):
        if ctx.args["binds"]:
            ctx.bind("word", "bound")
            ctx.bind("key", fake)
        return await next()

    class Service:
        @intercept(binds, "key")
        async def work(
            self, binds, word: Annotated[str, Provide["word"]], again: Annotated[str, Provide[Container.word]]
        ):
            return word, again

    registry = InterceptorRegistry(Container())
    registry.bind("key", real)
    assert await registry.invoke(Service(), "work", True) == ("bound", "container")
    assert await registry.invoke(Service(), "work", False) == ("container", "container")
    assert log == ["real", "real"]


def test_f76_outside_an_invocation_there_is_nothing_to_inject():
    """F76: what belongs to an invocation cannot be had where none runs, and the error says so."""
    for provider in InvocationBindings.providers.values():
        with pytest.raises(OutsideInvocationError):
            provider()


async def test_f75_a_key_that_nobody_binds_is_an_error_at_its_turn():
    """F75: an injected key that neither the container nor an outer layer has is an error that names class, method and parameter."""

    class Asks:
        def __init__(self, word: Annotated[str, Provide["wrod"]]) -> None:
            """Never reached."""

        async def intercept(self, ctx, next):
            return await next()

    class Service:
        @intercept(Asks)
        async def work(self):
            """Never reached."""

        async def method(self, word: Annotated[str, Provide["wrod"]]):
            """Never reached."""

    registry = InterceptorRegistry()
    with pytest.raises(UnknownKeyError) as constructor:
        await registry.invoke(Service(), "work")
    assert all(part in str(constructor.value) for part in ("'wrod'", "Asks", "word"))
    with pytest.raises(UnknownKeyError) as method:
        await registry.invoke(Service(), "method")
    assert all(part in str(method.value) for part in ("'wrod'", "Service.method", "word"))
