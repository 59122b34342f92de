"""What is injected is that of the context in hand, whatever task awaits it; what is made once keeps nothing of a request."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, Provider, provided

from interceptors import (
    DuplicateKeyError,
    InjectionError,
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    OutsideInvocationError,
    UserNotResolvedError,
    WrongCallError,
)
from tests.unit.helpers import Worker, place


class Request:
    def __init__(self, user: str) -> None:
        self.scope: dict[str, Any] = {}
        self.user = user


class Audit:
    def __init__(self, **given: Any) -> None:
        self.given = given


async def user_of(request: Request) -> str:
    await asyncio.sleep(0)
    return request.user


def hidden() -> Any:
    """Looks for itself what runs: no provider shows that it does."""
    return InvocationBindings.request()


async def slowly(**given: Any) -> Any:
    await asyncio.sleep(0)
    return given | {"hidden": hidden(), "user": InvocationBindings.current_user()}


class Container(containers.DeclarativeContainer):
    audit = providers.Factory(
        Audit,
        request=InvocationBindings.request,
        user=InvocationBindings.current_user,
        context=InvocationBindings.context,
        response=InvocationBindings.response,
    )
    nested = providers.List(audit, providers.Dict(request=InvocationBindings.request))
    hidden = providers.Callable(hidden)
    slow = providers.Coroutine(slowly, request=InvocationBindings.request, of_user=InvocationBindings.current_user)
    depends_on_slow = providers.Factory(Audit, slow=slow, user=InvocationBindings.current_user)
    later = providers.Singleton(Audit, request=InvocationBindings.request.provider)


class Service:
    async def call(self, ask: Callable[[InvocationContext], Awaitable[Any]], ctx: InvocationContext) -> Any:
        return await ask(ctx)


Ask = Callable[[InvocationContext], Awaitable[Any]]


async def in_the_same_task(ask: Callable[[], Awaitable[Any]]) -> Any:
    return await ask()


async def in_an_empty_context(ask: Callable[[], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await ask()

    return await asyncio.create_task(run(), context=contextvars.Context())


async def in_another_invocation(ask: Callable[[], Awaitable[Any]]) -> Any:
    """One of another request, which runs meanwhile."""

    async def other(ctx: InvocationContext) -> Any:
        await ctx.current_user()
        return await ask()

    registry = InterceptorRegistry(current_user=user_of)
    return await registry.invoke(Service(), "call", other, request=Request("eve"))


PLACES = pytest.mark.parametrize("place", [in_the_same_task, in_an_empty_context, in_another_invocation])


async def asked_in(place: Any, ask: Ask) -> tuple[Any, Request]:
    """What `ask(ctx)` gives in some place, and the request of the invocation."""
    registry, request = InterceptorRegistry(Container(), current_user=user_of), Request("ada")

    async def run(ctx: InvocationContext) -> Any:
        return await place(lambda: ask(ctx))

    return await registry.invoke(Service(), "call", run, request=request), request


@PLACES
async def test_a_key_is_that_of_the_context(place: Any) -> None:
    """`ctx.get` of the four keys, of providers that depend on them, of one that hides it, of asynchronous ones."""

    async def ask(ctx: InvocationContext) -> Any:
        audit = await ctx.get("audit")
        assert audit.given == {"request": ctx.request, "user": "ada", "context": ctx, "response": None}
        [inner, of_dict] = await ctx.get("nested")
        assert (inner.given["user"], of_dict) == ("ada", {"request": ctx.request})
        expected = {"request": ctx.request, "of_user": "ada", "user": "ada", "hidden": ctx.request}
        assert await ctx.get("slow") == expected
        assert (await ctx.get("depends_on_slow")).given == {"slow": expected, "user": "ada"}
        assert await ctx.get("context") is ctx
        return [await ctx.get(key) for key in ("request", "hidden", "current_user")]

    found, request = await asked_in(place, ask)
    assert found == [request, request, "ada"]


@PLACES
async def test_what_runs_is_as_it_was_afterwards(place: Any) -> None:
    """A provider that is called for a context does not change what runs in this task, also if it raises."""

    async def ask(ctx: InvocationContext) -> Any:
        before = InvocationBindings.context() if place is not in_an_empty_context else None
        for key in ("audit", "slow"):
            await ctx.get(key)
        for key in ("failing", "failing_slowly"):
            with pytest.raises(ZeroDivisionError):
                await ctx.get(key)
        if before is None:
            with pytest.raises(OutsideInvocationError):
                InvocationBindings.context()
        else:
            assert InvocationBindings.context() is before

    Container.failing = providers.Callable(lambda: 1 / 0)

    async def failing_slowly() -> None:
        raise ZeroDivisionError

    Container.failing_slowly = providers.Coroutine(failing_slowly)
    await asked_in(place, ask)


async def injected(
    request: Annotated[Any, Provide["request"]],
    user: Annotated[Any, Provide["current_user"]],
    context: Annotated[Any, Provide["context"]],
    response: Annotated[Any, Provide["response"]],
    scope: Annotated[Any, Provide["request", provided().user]],
    text: Annotated[str, Provide["current_user", provided().upper.call()]],
    of_class: Annotated[Any, Provide[InvocationBindings.request]],
    audit: Annotated[Audit, Provide[Container.audit]],
    slow: Annotated[Any, Provide["slow"]],
) -> Any:
    assert (context.request, response, scope, of_class) == (request, None, "ada", request)
    assert audit.given["request"] is slow["hidden"] is request
    return [request, user, text, audit.given["user"], slow["user"]]


async def test_parameters_are_those_of_the_context() -> None:
    """By key, by provider, with a modifier, of an asynchronous provider: each request its own, also in a worker task."""
    registry, worker = InterceptorRegistry(Container(), current_user=user_of), Worker()
    registry.add_global(worker)

    class Holder:
        target = staticmethod(injected)

    for name in ("ada", "ada", "ada"):
        request = Request(name)
        assert await registry.invoke(Holder, "target", request=request) == [request, "ada", "ADA", "ada", "ada"]
    assert worker.task is not None
    worker.task.cancel()


# -- providers that are handed out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["at once", "elsewhere", "later"])
async def test_a_provider_that_is_handed_out_stands_for_its_invocation(when: str) -> None:
    """`Provider[...]`: wherever it is called, also when the invocation has ended, and with arguments of the caller."""
    registry, request = InterceptorRegistry(Container(), current_user=user_of), Request("ada")

    async def target(
        ctx: InvocationContext,
        of_request: Annotated[Any, Provider["request"]],
        of_user: Annotated[Any, Provider[InvocationBindings.current_user]],
        of_audit: Annotated[Any, Provider["audit"]],
        of_slow: Annotated[Any, Provider["slow"]],
    ) -> Any:
        await ctx.current_user()

        async def use() -> Any:
            assert isinstance(of_audit, providers.Provider)
            audit, slow = of_audit(extra=3), await of_slow()
            assert (audit.given["user"], audit.given["extra"]) == ("ada", 3)
            assert slow["hidden"] is slow["request"] is of_request() is audit.given["request"]
            return [of_request(), of_user(), slow["user"]]

        if when == "later":
            return use
        return await (use() if when == "at once" else in_another_invocation(use))

    class Holder:
        pass

    Holder.target = staticmethod(target)
    found = await registry.invoke(Holder, "target", request=request)
    assert (await found() if when == "later" else found) == [request, "ada", "ada"]


async def test_other_providers_are_handed_out_themselves() -> None:
    """What no invocation takes part in is the container's own provider; a user that is not known yet is told so."""
    container = Container()

    async def target(
        hidden: Annotated[Any, Provider["hidden"]], of_user: Annotated[Any, Provider["current_user"]]
    ) -> Any:
        assert hidden is container.hidden
        with pytest.raises(UserNotResolvedError, match="`await ctx.current_user\\(\\)` first"):
            of_user()

    class Holder:
        pass

    Holder.target = staticmethod(target)
    await InterceptorRegistry(container, current_user=user_of).invoke(Holder, "target", request=Request("ada"))


# -- what is made once -------------------------------------------------------------------------------------------------


def keeping(kind: Any, *args: Any) -> Any:
    """A container with a provider that is made once, and one that depends on it."""

    class Keeps(containers.DeclarativeContainer):
        kept = kind(Audit, *args)
        outer = providers.Factory(Audit, kept=kept)

    return Keeps()


@pytest.mark.parametrize(
    "kind",
    [
        providers.Singleton,
        providers.ThreadSafeSingleton,
        providers.ThreadLocalSingleton,
        providers.ContextLocalSingleton,
        providers.DelegatedSingleton,
        providers.Resource,
    ],
)
@pytest.mark.parametrize("binding", ["request", "current_user", "context", "response"])
def test_what_is_made_once_keeps_nothing_of_an_invocation(kind: Any, binding: str) -> None:
    """Everybody would get the first one's: refused when the registry is made, with what to write."""
    provider = getattr(InvocationBindings, binding)
    for inner in (provider, providers.List(provider), providers.Factory(Audit, one=provider), provider.provided.scope):
        with pytest.raises(InjectionError) as error:
            InterceptorRegistry(keeping(kind, inner))
        assert str(error.value) == (
            f"The {kind.__name__} of Audit ({place(Audit)}) is made once, with `InvocationBindings.{binding}`: everybody would "
            f"get that of the first invocation. Make it a Factory, or give it the provider, which it calls when it needs "
            f"to: `InvocationBindings.{binding}.provider`."
        )


def test_neither_does_one_in_a_container_within_or_outside_of_it() -> None:
    """A container's dependency that stands for a binding; a provider that is used without a container."""

    class Within(containers.DeclarativeContainer):
        asked = providers.Dependency()
        kept = providers.Singleton(Audit, asked)

    class Outer(containers.DeclarativeContainer):
        within = providers.Container(Within, asked=InvocationBindings.request)

    class Layer(Audit):
        async def intercept(self, ctx: Any, next: Any) -> Any: ...

    with pytest.raises(InjectionError, match="made once, with `InvocationBindings.request`"):
        InterceptorRegistry(Outer())
    registry = InterceptorRegistry()
    registry.add_global(providers.Singleton(Layer, user=InvocationBindings.current_user))
    with pytest.raises(InjectionError, match="made once, with `InvocationBindings.current_user`"):
        registry.validate()


async def test_it_may_be_given_the_provider() -> None:
    """Which it calls when it needs to; delegates and delegated providers are given, not called."""
    request = InvocationBindings.request
    for given in (request.provider, providers.Delegate(request), providers.DelegatedFactory(Audit, request)):
        InterceptorRegistry(keeping(providers.Singleton, given))
    registry = InterceptorRegistry(Container())

    async def ask(ctx: InvocationContext) -> Any:
        return (await ctx.get("later")).given["request"]()

    for request in (Request("ada"), Request("eve")):
        assert await registry.invoke(Service(), "call", ask, request=request) is request


# -- who asks for the user ---------------------------------------------------------------------------------------------


async def asks_the_context(request: Request) -> Any:
    return await InvocationBindings.context().current_user()


def asks_the_bindings(request: Request) -> Any:
    return InvocationBindings.current_user()


async def asks_in_a_task(request: Request) -> Any:
    return await asyncio.gather(asks_the_context(request))


class AsksAService:
    registry = InterceptorRegistry()

    async def __call__(self, request: Request) -> Any:
        async def ask(ctx: InvocationContext) -> Any:
            return await ctx.get("current_user")

        return await self.registry.invoke(Service(), "call", ask)


@pytest.mark.parametrize("asks", [asks_the_context, asks_the_bindings, asks_in_a_task, AsksAService()])
async def test_a_current_user_that_asks_for_itself_is_an_error(asks: Any) -> None:
    """It would wait for itself. The message names it and its place; somebody else's question is not disturbed."""
    registry = InterceptorRegistry(current_user=asks)

    async def ask(ctx: InvocationContext) -> Any:
        return await ctx.current_user()

    where = place(asks if hasattr(asks, "__code__") else type(asks))
    for _ in range(2):
        with pytest.raises(UserNotResolvedError) as error:
            async with asyncio.timeout(5):
                await registry.invoke(Service(), "call", ask, request=Request("ada"))
        assert str(error.value) == (
            f"The registry's `current_user`, {getattr(asks, '__name__', 'AsksAService')} ({where}), asks for the current user, "
            f"which it is called to find. Take the request that it gets, or `InvocationBindings.request`."
        )


async def test_it_may_say_who_it_is_before_it_asks() -> None:
    """What it has bound is known; and it may read the request, in whatever task it is asked."""

    async def tells(request: Request) -> Any:
        ctx = InvocationBindings.context()
        assert InvocationBindings.request() is request
        ctx.bind_request("current_user", request.user)
        return await ctx.current_user()

    registry = InterceptorRegistry(current_user=tells)

    async def ask(ctx: InvocationContext) -> Any:
        return await in_another_invocation(ctx.current_user)

    assert await registry.invoke(Service(), "call", ask, request=Request("ada")) == "ada"


async def test_it_may_ask_for_the_user_of_another_request() -> None:
    """That is another question."""

    async def impersonates(request: Request) -> Any:
        async def ask(ctx: InvocationContext) -> Any:
            return await ctx.current_user()

        if request.user == "ada":
            return request.user
        return await registry.invoke(Service(), "call", ask, request=Request("ada"))

    registry = InterceptorRegistry(current_user=impersonates)

    async def ask(ctx: InvocationContext) -> Any:
        return await ctx.current_user()

    assert await registry.invoke(Service(), "call", ask, request=Request("eve")) == "ada"


async def test_a_provider_of_the_user_reads_the_request_of_the_context() -> None:
    """Also where the user is asked for in a task of another request."""
    User = providers.Coroutine(slow_user, request=InvocationBindings.request)
    registry = InterceptorRegistry(current_user=User)

    async def ask(ctx: InvocationContext) -> Any:
        return await in_another_invocation(ctx.current_user)

    assert await registry.invoke(Service(), "call", ask, request=Request("ada")) == ["ada", "ada"]


async def slow_user(request: Request) -> Any:
    await asyncio.sleep(0)
    return [request.user, InvocationBindings.request().user]


# -- the container -----------------------------------------------------------------------------------------------------


def test_the_container_is_an_instance() -> None:
    """A container class in its place is refused, with what to write."""
    with pytest.raises(WrongCallError) as error:
        InterceptorRegistry(Container)
    assert str(error.value) == "`container` is the class Container; give an instance: Container()"


@pytest.mark.parametrize("given", [["log"], "log", Service, Service(), {"log": slowly}, 0, providers.Object(1), ()])
def test_what_is_no_container_says_what_to_write(given: Any) -> None:
    """Interceptors, names, providers, classes: whatever is falsy, too."""
    with pytest.raises(WrongCallError) as error:
        InterceptorRegistry(given)
    assert str(error.value) == (
        f"`container` takes a container of dependency-injector, not {given!r}: InterceptorRegistry(Container()). Interceptors "
        f"are given to registry.add_global or registry.bind."
    )


@pytest.mark.parametrize("name", ["request", "response", "context", "current_user"])
def test_a_provider_that_would_be_shadowed_is_refused(name: str) -> None:
    """The key means the invocation's own, whatever the container has: also in one that is made at run time."""
    another = InvocationBindings.response if name == "request" else InvocationBindings.request
    within = getattr(InvocationBindings, name).provided.scope
    for provider in (providers.Factory(Audit), providers.Object("own"), within, another, providers.Dependency()):
        container = containers.DynamicContainer()
        setattr(container, name, provider)
        with pytest.raises(DuplicateKeyError) as error:
            InterceptorRegistry(container)
        assert str(error.value).startswith(f"The container has a provider {name!r}, of ")
        assert str(error.value).endswith(
            f"but this key means the {name} of the invocation. Call it by another name, or write `{name} = "
            f"InvocationBindings.{name}`."
        )
        assert (error.value.key, error.value.second) == (name, provider)


async def test_one_that_stands_for_ours_is_none() -> None:
    """It is ours, or a placeholder that was given ours, or what the registry asks for the user."""

    class Ours(containers.DeclarativeContainer):
        request = InvocationBindings.request
        context = providers.Dependency()
        current_user = providers.Factory(lambda request: request.user, InvocationBindings.request)
        audit = providers.Factory(Audit, request=request, context=context, user=InvocationBindings.current_user)

    container = Ours(context=InvocationBindings.context)
    registry = InterceptorRegistry(container, current_user=container.current_user)

    async def ask(ctx: InvocationContext) -> Any:
        given = (await ctx.get("audit")).given
        assert given["context"] is ctx
        return [given["request"].user, given["user"], await ctx.get("current_user")]

    assert await registry.invoke(Service(), "call", ask, request=Request("ada")) == ["ada", "ada", "ada"]
    with pytest.raises(DuplicateKeyError):
        InterceptorRegistry(container)
