"""The bridge to dependency-injector: keys, markers, constructors, asynchronous providers, the current user."""

import asyncio
import gc
import re
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, Provider, as_float, as_int, invariant, provided, required
from fastapi import Depends, Security
from starlette.requests import Request as HTTPRequest

from interceptors import (
    InjectionError,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvocationBindings,
    InvocationContext,
    Next,
    UnknownKeyError,
    UserNotResolvedError,
    compose,
)
from interceptors.testing import make_context
from tests.unit.helpers import call, on_both_backends, place

ROOT = Path(__file__).parents[2]


class Clock:
    def __init__(self, zone: str = "UTC") -> None:
        self.zone = zone


class Audit:
    def __init__(self, **given: Any) -> None:
        self.given = given


class Inner(containers.DeclarativeContainer):
    clock = providers.Singleton(Clock, "inner")


class Container(containers.DeclarativeContainer):
    """A provider of each kind."""

    config = providers.Configuration()
    clock = providers.Singleton(Clock)
    fresh = providers.Factory(Clock)
    local = providers.ContextLocalSingleton(Clock)
    number = providers.Object(5)
    inner = providers.Container(Inner)
    other = providers.DependenciesContainer()
    missing = providers.Dependency()
    audit = providers.Factory(
        Audit,
        request=InvocationBindings.request,
        response=InvocationBindings.response,
        user=InvocationBindings.current_user,
        context=InvocationBindings.context,
    )
    request_only = providers.Factory(Audit, request=InvocationBindings.request)
    zone = providers.Factory(Audit, zone=clock.provided.zone)


def given(**options: Any) -> InterceptorRegistry:
    container = Container()
    container.config.from_dict({"port": "80", "rate": "0.5", "nested": {"flag": True}})
    return InterceptorRegistry(container, **options)


class Request:
    def __init__(self, **scope: Any) -> None:
        self.scope: dict[str, Any] = scope


# -- markers -----------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_provide_names_a_key_a_path_or_a_provider() -> None:
    """Text is a dotted path in the container; a provider is that provider."""
    registry = given()
    container = registry.container

    async def target(
        key: Annotated[Clock, Provide["clock"]],
        path: Annotated[Clock, Provide["inner.clock"]],
        deep: Annotated[bool, Provide["config.nested.flag"]],
        attribute: Annotated[str, Provide["clock.provided.zone"]],
        of_class: Annotated[Clock, Provide[Container.clock]],
        of_instance: Annotated[Clock, Provide[container.clock]],
        nested: Annotated[Clock, Provide[Container.inner.clock]],
        option: Annotated[str, Provide[Container.config.port]],
        typed: Annotated[int, Provide[Container.config.port.as_int()]],
        of_provided: Annotated[str, Provide[Container.clock.provided.zone]],
    ) -> Any:
        return list(locals().values())[:10]

    clock, inner = container.clock(), container.inner.clock()

    assert await call(target, registry=registry) == [
        clock,
        inner,
        True,
        "UTC",
        clock,
        clock,
        inner,
        "80",
        80,
        "UTC",
    ]


@on_both_backends
async def test_modifiers_change_what_is_provided() -> None:
    """`as_int()`, `as_float()`, `required()`, `invariant()` and `provided()` work as in dependency-injector's wiring."""

    async def target(
        port: Annotated[int, Provide["config.port", as_int()]],
        rate: Annotated[float, Provide["config.rate", as_float()]],
        needed: Annotated[str, Provide["config.port", required()]],
        needed_int: Annotated[int, Provide["config.port", required().as_int()]],
        flag: Annotated[bool, Provide["config.nested", invariant("config.which")]],
        zone: Annotated[str, Provide["clock", provided().zone]],
        of_class: Annotated[int, Provide[Container.config.port, as_int()]],
        provider: Annotated[Any, Provider["config.port", as_int()]],
    ) -> Any:
        return port, rate, needed, needed_int, flag, zone, of_class, provider()

    registry = given()
    registry.container.config.which.from_value("flag")

    assert await call(target, registry=registry) == (80, 0.5, "80", 80, True, "UTC", 80, 80)


@on_both_backends
async def test_provider_gives_the_provider_itself() -> None:
    """The parameter calls it when, and as often as, it likes; the provider is the container's own."""
    registry = given()

    async def target(
        key: Annotated[Any, Provider["fresh"]],
        of_class: Annotated[Any, Provider[Container.fresh]],
        bound: Annotated[Any, Provider["bound"]],
    ) -> Any:
        return key, of_class, bound()

    own = registry.container.fresh

    assert await call(target, registry=registry, bind={"bound": 7}) == (own, own, 7)


@on_both_backends
async def test_a_provider_named_on_the_class_is_the_containers_own_copy() -> None:
    """An instance with other values, or with overridden providers, gives these; without a container the class's own."""

    async def target(number: Annotated[int, Provide[Container.number]]) -> int:
        return number

    container = Container(number=providers.Object(6))
    assert await call(target, registry=InterceptorRegistry(container)) == 6
    with container.number.override(7):
        assert await call(target, registry=InterceptorRegistry(container)) == 7
    assert await call(target, registry=InterceptorRegistry(Inner())) == 5
    assert await call(target) == 5


@pytest.mark.parametrize(
    "marker", [Closing[Provide["clock"]], Closing[Provide[Container.clock]]], ids=["key", "provider"]
)
def test_closing_is_refused(marker: Any) -> None:
    """A resource is not closed behind the user's back; the message says where to close it instead."""

    async def target(clock=marker) -> None: ...

    name = "test_closing_is_refused.<locals>.target".rpartition(".")[2]
    with pytest.raises(InjectionError, match=re.escape(f"The parameter 'clock' of {name} ({place(target)}) is marked")):
        check(target)
    with pytest.raises(
        InjectionError,
        match=re.escape(
            "only `Provide` and `Provider` are injected. Close resources where they are opened, or in an "
            "interceptor around the call."
        ),
    ) as caught:
        check(target)
    assert (caught.value.owner, caught.value.parameter) == ("target", "clock")


def check(target: Any) -> None:
    """Compile the chain of a function."""
    make_context(target=target)


def test_a_marker_that_names_no_provider_is_refused() -> None:
    """The message shows the marker, the parameter, the function and its place."""

    async def target(number: Annotated[int, Provide[5]]) -> None: ...

    text = f"The parameter 'number' of target ({place(target)}) is marked {Provide[5]!r}, which names no provider."
    pattern = re.escape(text).replace(re.escape(repr(Provide[5])), ".*")
    with pytest.raises(InjectionError, match=f"^{pattern}$") as caught:
        check(target)
    assert (caught.value.owner, caught.value.parameter) == ("target", "number")


# -- constructors ------------------------------------------------------------------------------------------------------


async def nothing(ctx: Any, next: Any) -> None: ...


def bound(cls: Any, registry: InterceptorRegistry | None = None) -> InterceptorRegistry:
    registry = registry or given()
    registry.add_global(cls)
    return registry


@on_both_backends
async def test_an_interceptor_class_is_built_at_its_turn_with_what_outer_layers_bound() -> None:
    """Its constructor's parameters are injected for every invocation; a parameter with a default keeps it."""
    built: list[Any] = []

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("tenant", f"tenant {len(built)}")
        return await next()

    class Layer:
        def __init__(
            self,
            tenant: Annotated[str, Provide["tenant"]],
            clock: Annotated[Clock, Provide["clock"]],
            ctx: InvocationContext,
            request: HTTPRequest | None,
            number: int = 5,
        ) -> None:
            built.append((tenant, clock.zone, ctx.target_name, request, number))

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return await next()

    registry = given()
    registry.add_global(bind)
    registry.add_global(Layer)

    async def target() -> None: ...

    await call(target, registry=registry)
    await call(target, registry=registry)

    assert built == [
        ("tenant 0", "UTC", "Holder.target", None, 5),
        ("tenant 1", "UTC", "Holder.target", None, 5),
    ]


@on_both_backends
async def test_next_called_again_builds_inner_interceptors_again() -> None:
    """A class is built for every turn, with what is bound then."""
    built: list[str] = []

    async def twice(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("attempt", "first")
        await next()
        ctx.bind("attempt", "second")
        return await next()

    class Layer:
        def __init__(self, attempt: Annotated[str, Provide["attempt"]]) -> None:
            built.append(attempt)

        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await next()

    async def target(attempt: Annotated[str, Provide["attempt"]]) -> None:
        built.append(attempt)

    registry = given()
    registry.add_global(twice)
    registry.add_global(Layer)
    await call(target, registry=registry)

    assert built == ["first", "first", "second", "second"]


def test_a_constructor_parameter_that_nothing_gives_is_refused() -> None:
    """The message names the parameter, the class, its place, and what to write; found before anything runs."""

    class Layer:
        def __init__(self, clock: Clock) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    text = (
        f"The constructor parameter 'clock' of the interceptor Layer ({place(Layer)}) cannot be injected: nothing gives "
        'it. Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
    )
    with pytest.raises(InjectionError, match=f"^{re.escape(text)}$") as caught:
        bound(Layer).validate()
    assert (caught.value.owner, caught.value.parameter) == ("Layer", "clock")
    assert isinstance(caught.value, TypeError)


def test_depends_in_a_constructor_is_refused() -> None:
    """In the default or the annotation, `Depends` or `Security`: it works in a method only."""

    class InDefault:
        def __init__(self, clock: Clock = Depends(Clock)) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    class InAnnotation(InDefault):
        def __init__(self, clock: Annotated[Clock, "a note", Depends(Clock)] = None) -> None: ...

    class WithSecurity(InDefault):
        def __init__(self, clock: Annotated[Clock, Security(Clock)]) -> None: ...

    for cls in (InDefault, InAnnotation, WithSecurity):
        text = (
            f"The constructor parameter 'clock' of the interceptor {cls.__name__} ({place(cls)}) cannot be injected: "
            "FastAPI's Depends works in a method's parameters, not in this constructor. "
            'Annotate it `Annotated[T, Provide["key"]]` or give it a default.'
        )
        with pytest.raises(InjectionError, match=f"^{re.escape(text)}$"):
            bound(cls).validate()


@on_both_backends
async def test_a_default_of_another_kind_is_kept() -> None:
    """Only FastAPI's own `Depends` is refused, not whatever is called so."""

    class Depends:
        pass

    default = Depends()

    class Layer:
        def __init__(self, value: Depends = default) -> None:
            self.value = value

        async def intercept(self, ctx: Any, next: Next) -> Any:
            return self.value

    assert await call(nothing, None, None, registry=bound(Layer)) is default


@on_both_backends
async def test_a_constructor_is_checked_at_the_first_invocation() -> None:
    """Where no application starts the first `invoke` finds the mistake, before any layer runs."""
    events: list[str] = []

    async def first(ctx: Any, next: Next) -> Any:
        events.append("ran")

    class Layer:
        def __init__(self, clock: Clock) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    registry = given()
    registry.add_global(first)
    registry.add_global(Layer)
    with pytest.raises(InjectionError, match="nothing gives it"):
        await call(first, registry=registry)
    assert events == []


# -- unknown keys ------------------------------------------------------------------------------------------------------

REMEDY = "Give the container such a provider, or bind the key with ctx.bind or ctx.bind_request further out."


@on_both_backends
async def test_an_unknown_injected_key_is_an_error_when_its_turn_comes() -> None:
    """It names class, method and parameter; until then an interceptor might bind it, so the layers outside have run."""
    events: list[str] = []

    class Service:
        async def work(self, clock: Annotated[Clock, Provide["clok"]]) -> None: ...

    async def note(ctx: InvocationContext, next: Next) -> Any:
        events.append("entered")
        return await next()

    registry = given()
    registry.add_global(note)
    text = (
        "No key 'clok' is bound (asked for by the parameter 'clock' of Service.work). "
        f"Did you mean 'clock' or 'inner.clock'? {REMEDY}"
    )
    with pytest.raises(UnknownKeyError, match=f"^{re.escape(text)}$") as caught:
        await registry.invoke(Service(), "work")
    assert (caught.value.key, caught.value.asked_by) == ("clok", "the parameter 'clock' of Service.work")
    assert events == ["entered"]


@on_both_backends
async def test_an_unknown_key_of_a_constructor_names_the_constructor() -> None:
    """An interceptor's constructor is a method, too."""

    class Layer:
        def __init__(self, tenant: Annotated[str, Provide["tenant"]]) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    text = f"No key 'tenant' is bound (asked for by the parameter 'tenant' of Layer.__init__). {REMEDY}"
    with pytest.raises(UnknownKeyError, match=f"^{re.escape(text)}$"):
        await call(nothing, None, None, registry=bound(Layer, InterceptorRegistry()))


@on_both_backends
async def test_the_nearest_keys_are_those_that_exist_just_then() -> None:
    """Those of the container and of the containers in it, the four of InvocationBindings, and what layers bound."""

    async def nested(value: Annotated[Any, Provide["inner.clok"]]) -> None: ...

    async def four(value: Annotated[Any, Provide["curent_user"]]) -> None: ...

    async def of_layer(value: Annotated[Any, Provide["tenat"]]) -> None: ...

    for target, nearest in ((nested, "inner.clock"), (four, "current_user"), (of_layer, "tenant")):
        with pytest.raises(UnknownKeyError) as caught:
            await call(target, registry=given(), bind={"tenant": 1})
        assert caught.value.nearest[0] == nearest


@on_both_backends
async def test_ctx_get_suggests_what_was_bound_on_the_invocation_and_the_request() -> None:
    """The nearest keys that exist include those that layers bound."""

    async def target(ctx: InvocationContext) -> None:
        ctx.bind_request("account", 1)
        with pytest.raises(UnknownKeyError, match="Did you mean 'tenant'"):
            await ctx.get("tenat")
        with pytest.raises(UnknownKeyError, match="Did you mean 'account'"):
            await ctx.get("acount")

    await call(target, registry=InterceptorRegistry(), bind={"tenant": 1})


@on_both_backends
async def test_what_is_no_provider_is_no_key() -> None:
    """A method of the container, or an attribute of a value, is not found by a path."""

    async def target(ctx: InvocationContext) -> Any:
        return [await ctx.get(key, default=None) for key in ("wire", "providers", "number.real", "inner.wire", "")]

    assert await call(target, registry=given()) == [None] * 5


@on_both_backends
async def test_an_interceptor_may_bind_a_key_that_the_container_has() -> None:
    """The binding shadows the container's provider, for `Provide` and `Provider` alike."""

    async def target(clock: Annotated[Any, Provide["clock"]], made: Annotated[Any, Provider["clock"]]) -> Any:
        return clock, made()

    assert await call(target, registry=given(), bind={"clock": "bound"}) == ("bound", "bound")


@on_both_backends
async def test_a_dependency_that_nobody_gave_is_dependency_injectors_error() -> None:
    """What a provider raises passes through."""

    async def target(value: Annotated[Any, Provide["missing"]]) -> None: ...

    with pytest.raises(Exception, match='"Container.missing" is not defined'):
        await call(target, registry=given())


# -- scopes of providers -----------------------------------------------------------------------------------------------


@on_both_backends
async def test_the_provider_decides_how_long_a_value_lives() -> None:
    """A Singleton is one, a Factory makes one each time, a ContextLocalSingleton one for each task."""
    registry = given()

    async def target(
        singleton: Annotated[Clock, Provide["clock"]],
        factory: Annotated[Clock, Provide["fresh"]],
        local: Annotated[Clock, Provide["local"]],
        local_again: Annotated[Clock, Provide["local"]],
    ) -> Any:
        assert local is local_again
        return singleton, factory, local

    found: list[Any] = []

    async def one_task() -> None:
        found.append((await call(target, registry=registry), await call(target, registry=registry)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one_task)
        tasks.start_soon(one_task)
    (a, b), (c, d) = found

    assert len({one[0] for one in (a, b, c, d)}) == 1
    assert len({id(one[1]) for one in (a, b, c, d)}) == 4
    assert a[2] is b[2]
    assert c[2] is d[2]
    assert a[2] is not c[2]


@on_both_backends
async def test_an_interceptor_may_be_a_provider() -> None:
    """A Singleton gives one interceptor for all invocations, a Factory one for each."""

    class Counting:
        def __init__(self) -> None:
            self.count = 0

        async def intercept(self, ctx: Any, next: Next) -> Any:
            self.count += 1
            return [self.count, await next()]

    class Layers(containers.DeclarativeContainer):
        single = providers.Singleton(Counting)
        each = providers.Factory(Counting)

    async def target() -> str:
        return "result"

    registry = InterceptorRegistry(Layers())
    registry.add_global(Layers.single)
    registry.add_global("each")

    assert await call(target, registry=registry) == [1, [1, "result"]]
    assert await call(target, registry=registry) == [2, [1, "result"]]


@on_both_backends
async def test_a_provider_may_give_any_interceptor() -> None:
    """A function, an object, a class or a chain; what is none is refused at its turn."""

    async def tag(ctx: Any, next: Next) -> str:
        return f"<{await next()}>"

    class Tag:
        async def intercept(self, ctx: Any, next: Next) -> str:
            return f"<{await next()}>"

    async def target() -> str:
        return "result"

    for interceptor in (tag, Tag(), compose(tag)):
        assert await call(target, registry=bound(providers.Object(interceptor))) == "<result>"
    assert await call(target, registry=bound(providers.Callable(lambda: tag))) == "<result>"
    with pytest.raises(InvalidInterceptorError, match="int .no source file. is no interceptor"):
        await call(target, registry=bound(providers.Object(5)))


# -- asynchronous providers --------------------------------------------------------------------------------------------


async def slow_zone() -> str:
    await asyncio.sleep(0)
    return "slow"


class Connection:
    def __init__(self, zone: str) -> None:
        self.zone = zone
        self.open = True

    async def intercept(self, ctx: Any, next: Next) -> Any:
        return f"{self.zone}({await next()})"


async def connections(zone: str) -> AsyncIterator[Connection]:
    connection = Connection(zone)
    yield connection
    connection.open = False


class Slow(containers.DeclarativeContainer):
    zone = providers.Coroutine(slow_zone)
    called = providers.Callable(slow_zone)
    connection = providers.Factory(Connection, zone=zone)
    single = providers.Singleton(Connection, zone=zone)
    resource = providers.Resource(connections, zone="resource")
    of_user = providers.Factory(Audit, zone=zone, user=InvocationBindings.current_user)


async def test_asynchronous_providers_are_awaited() -> None:
    """A coroutine, what depends on one, a resource: the parameter gets the value, however often it is asked for."""

    async def target(
        zone: Annotated[str, Provide["zone"]],
        called: Annotated[str, Provide["called"]],
        connection: Annotated[Connection, Provide["connection"]],
        single: Annotated[Connection, Provide[Slow.single]],
        resource: Annotated[Connection, Provide["resource"]],
        amount: int = 1,
    ) -> Any:
        return zone, called, connection.zone, single.zone, resource.zone, amount

    container = Slow()
    registry = InterceptorRegistry(container)

    for _ in range(3):
        assert await call(target, registry=registry, amount=2) == ("slow", "slow", "slow", "slow", "resource", 2)
    await container.shutdown_resources()


async def test_asynchronous_providers_work_in_constructors_and_as_interceptors() -> None:
    """An interceptor class, and an interceptor that comes from an asynchronous provider, wait for their turn."""

    class Layer:
        def __init__(self, zone: Annotated[str, Provide["zone"]], number: Annotated[int, Provide["number"]]) -> None:
            self.text = f"{zone}{number}"

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            return f"{self.text}({await next()})"

    async def target(ctx: InvocationContext) -> str:
        return await ctx.get("zone")

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        ctx.bind("number", 5)
        return await next()

    registry = InterceptorRegistry(Slow())
    registry.add_global(bind)
    registry.add_global(Layer)
    registry.add_global("connection")
    registry.add_global(Slow.single)

    assert await call(target, registry=registry) == "slow5(slow(slow(slow)))"


# -- the four providers ------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_users_own_container_may_use_the_four_providers() -> None:
    """`InvocationBindings.request` and the others give what runs just now; the user is resolved before."""

    async def who(request: Any) -> str:
        await anyio.lowlevel.checkpoint()
        return f"user of {request.scope['name']}"

    registry = given(current_user=who)

    async def target(
        audit: Annotated[Audit, Provide["audit"]],
        user: Annotated[str, Provide["current_user"]],
        direct: Annotated[str, Provide[InvocationBindings.current_user]],
        context: Annotated[Any, Provide["context"]],
        ctx: InvocationContext,
    ) -> Any:
        assert context is ctx
        assert await ctx.get("current_user") == user == direct
        assert (await ctx.get("audit")).given["user"] == user
        return audit.given

    for name in "ab":
        request = Request(name=name)
        found = await call(target, registry=registry, request=request)
        assert found.pop("context").target_name == "Holder.target"
        assert found == {"request": request, "response": None, "user": f"user of {name}"}


@on_both_backends
async def test_concurrent_requests_get_their_own() -> None:
    """The four providers belong to the invocation of the task that asks."""
    registry = given(current_user=lambda request: request.scope["name"])
    found: list[Any] = []

    async def target(audit: Annotated[Audit, Provide["audit"]]) -> None:
        await anyio.lowlevel.checkpoint()
        found.append((audit.given["user"], InvocationBindings.request().scope["name"]))

    async def one(name: str) -> None:
        await call(target, registry=registry, request=Request(name=name))

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(one, name)

    assert sorted(found) == [("a", "a"), ("b", "b"), ("c", "c")]


@on_both_backends
async def test_the_user_is_not_asked_for_what_does_not_need_it() -> None:
    """A provider that takes no part of the user is called at once."""

    def never(request: Any) -> str:
        raise AssertionError

    async def target(audit: Annotated[Audit, Provide["request_only"]], zone: Annotated[Audit, Provide["zone"]]) -> Any:
        return audit.given, zone.given

    request = Request()

    assert await call(target, registry=given(current_user=never), request=request) == (
        {"request": request},
        {"zone": "UTC"},
    )


@on_both_backends
async def test_a_provider_that_is_given_itself_does_not_resolve_the_user() -> None:
    """`Provider["audit"]` is called by the user's own code: synchronously, when the user must be known already."""
    registry = given(current_user=lambda request: "alice")

    async def target(make: Annotated[Any, Provider["audit"]], ctx: InvocationContext) -> Any:
        with pytest.raises(UserNotResolvedError):
            make()
        await ctx.current_user()
        return make().given["user"]

    assert await call(target, registry=registry, request=Request()) == "alice"


@on_both_backends
async def test_the_four_providers_stay_synchronous() -> None:
    """Whoever is the first user, and whatever the first call of a provider gave, later calls give plain values."""

    class User:
        is_authenticated = True

    class AwaitableUser(User):
        def __await__(self) -> Any:
            yield

    for user in (AwaitableUser(), User()):

        async def target(user: Annotated[Any, Provide["current_user"]]) -> Any:
            return user

        assert await call(target, registry=given(current_user=None), request=Request(user=user)) is user


def test_the_four_providers_are_synchronous_from_the_start() -> None:
    """In a fresh process, before anything was asked: dependency-injector would decide at the first call, for ever."""
    script = (
        "from interceptors import InvocationBindings as bindings\n"
        "print({name: provider.is_async_mode_disabled() for name, provider in bindings.providers.items()})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(dict.fromkeys(("context", "request", "response", "current_user"), True))


async def test_a_user_and_an_asynchronous_dependency_go_together() -> None:
    """A provider that needs both is given both."""
    registry = InterceptorRegistry(Slow(), current_user=lambda request: "alice")

    async def target(audit: Annotated[Audit, Provide["of_user"]]) -> Any:
        return audit.given

    for _ in range(2):
        assert await call(target, registry=registry, request=Request()) == {"zone": "slow", "user": "alice"}


# -- nothing is left behind --------------------------------------------------------------------------------------------


async def refuse(request: Any) -> Any:
    raise PermissionError("401")


async def test_a_value_that_nobody_waits_for_leaves_no_warning() -> None:
    """If one parameter fails the others, which were still to be awaited, are dropped in silence."""

    async def both(
        audit: Annotated[Audit, Provide["audit"]], user: Annotated[Any, Provide["current_user"]]
    ) -> None: ...

    async def one_missing(
        user: Annotated[Any, Provide["current_user"]], other: Annotated[Any, Provide["nowhere"]]
    ) -> None: ...

    class Layer:
        def __init__(
            self, user: Annotated[Any, Provide["current_user"]], other: Annotated[Any, Provide["nowhere"]]
        ) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    class Both(Layer):
        def __init__(
            self, user: Annotated[Any, Provide["current_user"]], audit: Annotated[Audit, Provide["audit"]]
        ) -> None: ...

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for target, layers, error in (
            (both, (), PermissionError),
            (one_missing, (), UnknownKeyError),
            (nothing, (Layer,), UnknownKeyError),
            (nothing, (Both,), PermissionError),
        ):
            registry = given(current_user=refuse)
            for layer in layers:
                registry.add_global(layer)
            with pytest.raises(error):
                await call(target, registry=registry, request=Request())
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
