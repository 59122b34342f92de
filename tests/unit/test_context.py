"""The context of an invocation: what is called, by whom; bindings of the invocation and of its request; the user."""

import gc
import re
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from dependency_injector import containers, providers

from interceptors import (
    InterceptorRegistry,
    InvocationBindings,
    InvocationContext,
    InvocationSource,
    Next,
    OutsideInvocationError,
    UnknownKeyError,
    UserNotResolvedError,
    annotate,
)
from interceptors.testing import make_context
from tests.unit.helpers import on_both_backends, passing


class Request:
    """As much of a request as the core knows: something with an ASGI scope."""

    def __init__(self, **scope: Any) -> None:
        self.scope: dict[str, Any] = scope


class Service:
    """Gives, from inside a call, whatever the test asks for."""

    async def call(self, function: Callable[[], Awaitable[Any]]) -> Any:
        return await function()

    @staticmethod
    async def static(function: Callable[[], Awaitable[Any]]) -> Any:
        return await function()

    @classmethod
    async def of_class(cls, function: Callable[[], Awaitable[Any]]) -> Any:
        return await function()


def current() -> InvocationContext:
    """The invocation that runs just now."""
    return InvocationBindings.context()


async def context(registry: InterceptorRegistry | None = None, **options: Any) -> InvocationContext:
    """The context of a call."""

    async def get() -> InvocationContext:
        return current()

    return await (registry or InterceptorRegistry()).invoke(Service(), "call", get, **options)


# -- what is called, and by whom ---------------------------------------------------------------------------------------


async def test_it_says_which_method_of_which_object_is_called() -> None:
    """For an instance method the target is the object, the class its class."""
    service = Service()

    async def look() -> tuple[Any, ...]:
        ctx = current()
        return ctx.target, ctx.target_class, ctx.method_name, ctx.target_name

    registry = InterceptorRegistry()
    assert await registry.invoke(service, "call", look) == (service, Service, "call", "Service.call")
    assert await registry.invoke(service, "static", look) == (service, Service, "static", "Service.static")
    assert await registry.invoke(Service, "static", look) == (Service, Service, "static", "Service.static")
    assert await registry.invoke(Service, "of_class", look) == (Service, Service, "of_class", "Service.of_class")


async def function(order: str) -> None: ...


def test_for_a_function_the_target_is_the_function() -> None:
    """A function has no class, and its own name."""
    ctx = make_context(target=function)

    assert (ctx.target, ctx.target_class) == (function, None)
    assert (ctx.method_name, ctx.target_name) == ("function", "function")


def test_for_a_bound_method_the_target_is_its_object() -> None:
    """A bound method given as a function is a method of its object."""
    service = Service()
    ctx = make_context(target=service.call)

    assert (ctx.target, ctx.target_class, ctx.target_name) == (service, Service, "Service.call")


def test_for_a_static_or_class_method_the_early_target_is_the_class() -> None:
    """What is called without an instance has the class for its target, or the class that it is bound to."""
    assert make_context(target=Service, method="static").target is Service
    assert make_context(target=Service, method="of_class").target is Service
    assert make_context(target=Service.of_class).target_name == "Service.of_class"


async def test_the_annotations_are_read_only() -> None:
    """`ctx.annotations` has what `@annotate` said; a layer cannot change it for others."""

    class Annotated:
        @annotate(roles=["admin"])
        async def work(self) -> Any:
            return current().annotations

    annotations = await InterceptorRegistry().invoke(Annotated(), "work")

    assert annotations == {"roles": ["admin"]}
    with pytest.raises(TypeError):
        annotations["roles"] = []


async def test_the_source_says_who_started_the_invocation() -> None:
    """`ctx.source` is what `invoke` was given, None if it was given none."""
    source = InvocationSource("job", "nightly")

    assert (await context()).source is None
    assert (await context(source=source)).source is source


def test_the_text_of_a_source_is_its_type_and_value() -> None:
    """A source without a value is its type; two sources of the same type and value are equal."""
    assert str(InvocationSource("job")) == "job"
    assert str(InvocationSource("job", 5)) == "job 5"
    assert InvocationSource("job", 5) == InvocationSource("job", 5)


async def test_repr_says_what_is_called_and_by_whom() -> None:
    """The text of a context names the target, and the source if there is one."""
    assert repr(await context()) == "<InvocationContext Service.call>"
    assert repr(await context(source=InvocationSource("job", 5))) == "<InvocationContext Service.call (job 5)>"


async def test_outside_http_there_is_no_request_and_no_response() -> None:
    """`ctx.request` and `ctx.response` are None; their keys give None, too."""
    ctx = await context()

    assert (ctx.request, ctx.response) == (None, None)
    assert [await ctx.get("request"), await ctx.get("response")] == [None, None]


async def test_state_is_shared_by_the_layers_of_one_invocation() -> None:
    """Layers pass things on in `ctx.state`; another invocation has a state of its own."""
    seen: list[dict[str, Any]] = []

    async def first(ctx: InvocationContext, next: Next) -> Any:
        ctx.state["began"] = len(seen)
        return await next()

    async def second(ctx: InvocationContext, next: Next) -> Any:
        seen.append(ctx.state)
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(first)
    registry.add_global(second)
    await context(registry)
    await context(registry)

    assert seen == [{"began": 0}, {"began": 1}]


# -- bindings ----------------------------------------------------------------------------------------------------------


class Container(containers.DeclarativeContainer):
    """A key of each kind."""

    setting = providers.Object("from the container")
    made = providers.Factory(dict)
    config = providers.Configuration()
    inner = providers.DependenciesContainer()


@on_both_backends
async def test_a_key_is_looked_up_on_the_invocation_then_the_request_then_the_container() -> None:
    """The nearest binding of a key wins."""
    registry = InterceptorRegistry(Container())
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(await ctx.get("setting"))
        ctx.bind_request("setting", "from the request")
        seen.append(await ctx.get("setting"))
        ctx.bind("setting", "from the invocation")
        seen.append(await ctx.get("setting"))
        return await next()

    registry.add_global(look)
    await context(registry)

    assert seen == ["from the container", "from the request", "from the invocation"]


@on_both_backends
async def test_binding_a_key_again_replaces_it() -> None:
    """The later binding of a key is the one that counts, also if it is None."""
    ctx = make_context()
    ctx.bind("a", 1)
    ctx.bind("a", None)
    ctx.bind_request("b", 1)
    ctx.bind_request("b", None)

    assert [await ctx.get("a", default=5), await ctx.get("b", default=5)] == [None, None]


@on_both_backends
async def test_default_makes_a_key_optional() -> None:
    """With `default=` a key that is nowhere gives the default, None included."""
    ctx = make_context()

    assert [await ctx.get("nowhere", default=5), await ctx.get("nowhere", None)] == [5, None]


@on_both_backends
async def test_a_key_that_is_nowhere_is_an_unknown_key_error() -> None:
    """The error names the key, who asked, what looks alike, and what to do."""
    ctx = make_context(registry=InterceptorRegistry(Container()), target=function)
    text = (
        "No key 'seting' is bound (asked for by ctx.get in function). Did you mean 'setting'? "
        "Give the container such a provider, or bind the key with ctx.bind or ctx.bind_request further out."
    )

    with pytest.raises(UnknownKeyError, match=f"^{re.escape(text)}$"):
        await ctx.get("seting")
    with pytest.raises(UnknownKeyError, match="No key 'nowhere' is bound"):
        await make_context().get("nowhere")


@on_both_backends
async def test_the_keys_of_the_four_providers_mean_them_unless_bound() -> None:
    """`context`, `request`, `response` and `current_user` are keys, which a binding shadows."""
    request, response = Request(), object()
    ctx = make_context(request=request, response=response, user="alice")

    assert await ctx.get("context") is ctx
    assert [await ctx.get("request"), await ctx.get("response")] == [request, response]
    assert await ctx.get("current_user") == "alice"
    for key in ("context", "request", "response", "current_user"):
        ctx.bind(key, "bound")
        assert await ctx.get(key) == "bound"
    assert await ctx.current_user() == "alice"


@on_both_backends
async def test_concurrent_invocations_never_see_each_others_bindings() -> None:
    """However they interleave, each finds what its own layers bound."""
    registry = InterceptorRegistry()
    found: dict[str, str] = {}

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        name = ctx.args["name"]
        ctx.bind("name", name)
        ctx.bind_request("request name", name)
        ctx.state["name"] = name
        await anyio.lowlevel.checkpoint()
        return await next()

    class Worker:
        async def work(self, name: str) -> None:
            await anyio.lowlevel.checkpoint()
            ctx = current()
            found[name] = f"{await ctx.get('name')}{await ctx.get('request name')}{ctx.state['name']}"

    registry.add_global(bind)
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(registry.invoke, Worker(), "work", name)

    assert found == {"a": "aaa", "b": "bbb", "c": "ccc"}


# -- nesting -----------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_nested_invocation_belongs_to_the_same_request() -> None:
    """It has the same request, response, user and request bindings, and bindings, state and arguments of its own."""
    asked: list[Any] = []

    async def who(request: Any) -> str:
        asked.append(request)
        return "alice"

    registry = InterceptorRegistry(current_user=who)
    request = Request()

    async def inner() -> None:
        ctx = current()
        assert (ctx.request, ctx.response) == (request, None)
        assert await ctx.get("shared") == "outer's"
        assert await ctx.get("own", default=None) is None
        assert ctx.state == {}
        assert await ctx.current_user() == "alice"
        ctx.bind_request("from inside", 1)

    async def outer() -> None:
        ctx = current()
        ctx.bind("own", 1)
        ctx.bind_request("shared", "outer's")
        ctx.state["own"] = 1
        await registry.invoke(Service(), "call", inner)
        assert current() is ctx
        assert await ctx.get("from inside") == 1
        assert await ctx.current_user() == "alice"

    await registry.invoke(Service(), "call", outer, request=request)

    assert asked == [request]


@on_both_backends
async def test_an_invocation_in_a_child_task_belongs_to_the_same_request() -> None:
    """Tasks started while an invocation runs see its request; what they do does not change the parent's current one."""
    registry = InterceptorRegistry()
    seen: list[Any] = []

    async def inner() -> None:
        seen.append(await current().get("shared"))

    async def outer() -> None:
        ctx = current()
        ctx.bind_request("shared", 1)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(registry.invoke, Service(), "call", inner)
        assert current() is ctx

    await registry.invoke(Service(), "call", outer)

    assert seen == [1, 1]


@on_both_backends
async def test_nesting_is_as_deep_as_one_likes() -> None:
    """The innermost invocation shares the request of the outermost."""
    registry = InterceptorRegistry()
    request = Request()

    async def descend(depth: int) -> Any:
        if depth == 0:
            return current().request, await current().get("depth")
        current().bind_request("depth", depth)
        return await registry.invoke(Service(), "call", lambda: descend(depth - 1))

    found = await registry.invoke(Service(), "call", lambda: descend(5), request=request)

    assert found == (request, 1)


@on_both_backends
async def test_invoke_with_a_request_starts_afresh() -> None:
    """A nested invocation that brings a request of its own shares nothing with the outer one."""
    registry = InterceptorRegistry(current_user=lambda request: request.scope["name"])
    first, second = Request(name="first"), Request(name="second")

    async def inner() -> None:
        ctx = current()
        assert ctx.request is second
        assert await ctx.get("shared", default=None) is None
        assert await ctx.current_user() == "second"
        ctx.bind_request("shared", "inner's")

    async def outer() -> None:
        current().bind_request("shared", "outer's")
        await registry.invoke(Service(), "call", inner, request=second)
        assert await current().get("shared") == "outer's"
        assert await current().current_user() == "first"

    await registry.invoke(Service(), "call", outer, request=first)


@on_both_backends
async def test_invocations_of_one_request_share_it_also_one_after_the_other() -> None:
    """What one invocation bound on a request the next one of the same request finds."""
    registry = InterceptorRegistry()
    request = Request()

    async def write() -> None:
        current().bind_request("shared", 1)

    async def read() -> Any:
        return await current().get("shared")

    await registry.invoke(Service(), "call", write, request=request)

    assert await registry.invoke(Service(), "call", read, request=request) == 1


@on_both_backends
async def test_outside_http_the_outermost_invocation_plays_the_requests_part() -> None:
    """Without a request what is shared lives as long as the outermost invocation."""
    registry = InterceptorRegistry()

    async def read() -> Any:
        return await current().get("shared", default="nothing")

    async def outer() -> Any:
        current().bind_request("shared", 1)
        return await registry.invoke(Service(), "call", read)

    assert await registry.invoke(Service(), "call", outer) == 1
    assert await registry.invoke(Service(), "call", read) == "nothing"


@on_both_backends
async def test_a_request_without_a_scope_is_kept_for_its_invocation_only() -> None:
    """Anything may be the request; without an ASGI scope it has no place to remember things in."""
    registry = InterceptorRegistry()
    request = object()

    async def share() -> Any:
        ctx = current()
        before = await ctx.get("shared", default=None)
        ctx.bind_request("shared", 1)
        return before, await ctx.get("shared"), ctx.request

    for _ in range(2):
        assert await registry.invoke(Service(), "call", share, request=request) == (None, 1, request)


# -- the current user --------------------------------------------------------------------------------------------------


async def user_of(registry: InterceptorRegistry, request: Any = None) -> Any:
    """The current user as a call sees it."""

    async def ask() -> Any:
        return await current().current_user()

    return await registry.invoke(Service(), "call", ask, request=request)


@on_both_backends
async def test_the_user_is_asked_once_per_request_and_only_if_somebody_asks() -> None:
    """A callable gets the request, may be plain or async, and is asked lazily, once."""
    asked: list[Any] = []

    def plain(request: Any) -> str:
        asked.append(request)
        return "alice"

    async def asynchronous(request: Any) -> str:
        return plain(request)

    for current_user in (plain, asynchronous):
        asked.clear()
        registry = InterceptorRegistry(current_user=current_user)
        request = Request()

        async def nothing() -> None: ...

        await registry.invoke(Service(), "call", nothing, request=request)
        assert asked == []
        assert [await user_of(registry, request), await user_of(registry, request)] == ["alice", "alice"]
        assert asked == [request]
        await user_of(registry, Request())
        assert len(asked) == 2


@on_both_backends
async def test_concurrent_invocations_of_a_request_ask_once() -> None:
    """Whoever asks while the answer is under way waits for it."""
    asked = 0

    async def slowly(request: Any) -> str:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        return "alice"

    registry = InterceptorRegistry(current_user=slowly)
    request = Request()
    users: list[Any] = []

    async def ask() -> None:
        users.append(await user_of(registry, request))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)

    assert (users, asked) == (["alice"] * 3, 1)


@on_both_backends
async def test_an_exception_is_not_remembered() -> None:
    """If asking fails everybody who asks gets an error of their own, until it succeeds."""
    answers: list[Any] = [ValueError("one"), ValueError("two"), "alice"]

    async def who(request: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    registry = InterceptorRegistry(current_user=who)
    request = Request()

    for text in ("one", "two"):
        with pytest.raises(ValueError, match=text):
            await user_of(registry, request)
    assert await user_of(registry, request) == "alice"


@on_both_backends
async def test_a_cancelled_question_can_be_asked_again() -> None:
    """Cancelling whoever asks first leaves nothing locked."""
    asked = 0

    async def who(request: Any) -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            scope.cancel()
            await anyio.sleep_forever()
        return "alice"

    registry = InterceptorRegistry(current_user=who)
    request = Request()
    with anyio.CancelScope() as scope:
        await user_of(registry, request)

    assert scope.cancelled_caught
    assert (await user_of(registry, request), asked) == ("alice", 2)


@on_both_backends
async def test_an_anonymous_user_is_remembered_like_any_other() -> None:
    """None is an answer: nobody is asked twice."""
    asked = 0

    def nobody(request: Any) -> None:
        nonlocal asked
        asked += 1

    registry = InterceptorRegistry(current_user=nobody)
    request = Request()

    assert [await user_of(registry, request), await user_of(registry, request), asked] == [None, None, 1]


@on_both_backends
async def test_what_an_interceptor_bound_comes_first() -> None:
    """`ctx.bind_request("current_user", user)` decides; nobody is asked, and a later binding replaces the answer."""

    def never(request: Any) -> str:
        raise AssertionError

    registry = InterceptorRegistry(current_user=never)

    async def bind() -> Any:
        ctx = current()
        ctx.bind_request("current_user", "bound")
        assert InvocationBindings.current_user() == "bound"
        return await ctx.current_user()

    async def bind_nobody() -> Any:
        current().bind_request("current_user", None)
        return await current().current_user()

    async def replace() -> Any:
        ctx = current()
        await ctx.current_user()
        ctx.bind_request("current_user", "replaced")
        return await ctx.current_user()

    assert await registry.invoke(Service(), "call", bind, request=Request()) == "bound"
    assert await registry.invoke(Service(), "call", bind_nobody, request=Request()) is None
    registry = InterceptorRegistry(current_user=lambda request: "asked")
    assert await registry.invoke(Service(), "call", replace, request=Request()) == "replaced"


@on_both_backends
async def test_outside_a_request_a_callable_is_not_asked() -> None:
    """There is nothing to give it: the user is None."""

    def never(request: Any) -> str:
        raise AssertionError

    assert await user_of(InterceptorRegistry(current_user=never)) is None


@on_both_backends
async def test_a_provider_is_asked_also_outside_a_request() -> None:
    """A provider gets nothing, so it can answer anywhere; one named on the class is the container's own copy."""

    class Users(containers.DeclarativeContainer):
        name = providers.Object("nobody")
        current = providers.Callable(str, name)

    container = Users(name=providers.Object("alice"))

    assert await user_of(InterceptorRegistry(container, current_user=container.current)) == "alice"
    assert await user_of(InterceptorRegistry(container, current_user=Users.current), Request()) == "alice"
    assert await user_of(InterceptorRegistry(current_user=Users.current)) == "nobody"


async def test_an_asynchronous_provider_is_awaited() -> None:
    """The provider of the user may be asynchronous."""

    async def who() -> str:
        return "alice"

    assert await user_of(InterceptorRegistry(current_user=providers.Coroutine(who))) == "alice"
    assert await user_of(InterceptorRegistry(current_user=providers.Callable(who))) == "alice"


class Authenticated:
    is_authenticated = True


class Anonymous:
    is_authenticated = False


@on_both_backends
async def test_the_user_of_an_authentication_middleware_is_the_last_resort() -> None:
    """Without `current_user` it is `request.scope["user"]`, and nobody where that does not say that it is authenticated."""
    registry = InterceptorRegistry()
    user = Authenticated()

    assert await user_of(registry, Request(user=user)) is user
    assert await user_of(registry, Request(user="a name")) is None
    assert await user_of(registry, Request(user=Anonymous())) is None
    assert await user_of(registry, Request()) is None
    assert await user_of(registry) is None


@on_both_backends
async def test_synchronously_the_user_is_there_once_it_is_known() -> None:
    """`InvocationBindings.current_user()` gives the user that somebody awaited, else says to await it."""
    registry = InterceptorRegistry(current_user=lambda request: "alice")

    async def ask() -> None:
        text = "The current user of Service.call is not known yet; `await ctx.current_user()` first."
        with pytest.raises(UserNotResolvedError, match=f"^{re.escape(text)}$"):
            InvocationBindings.current_user()
        await current().current_user()
        assert InvocationBindings.current_user() == "alice"

    await registry.invoke(Service(), "call", ask, request=Request())


@on_both_backends
async def test_synchronously_the_user_of_a_middleware_is_there_at_once() -> None:
    """Finding it takes no `await`, so nobody has to; it is remembered."""

    async def ask() -> Any:
        user = InvocationBindings.current_user()
        current().request.scope["user"] = "another"
        return user, InvocationBindings.current_user(), await current().current_user()

    alice = Authenticated()
    found = await InterceptorRegistry().invoke(Service(), "call", ask, request=Request(user=alice))

    assert found == (alice, alice, alice)


# -- outside -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["context", "request", "response", "current_user"])
def test_outside_an_invocation_there_is_nothing(name: str) -> None:
    """The four providers say that no invocation runs, and what to do instead."""
    text = (
        "No invocation runs here. The request, the response, the current user and the context exist while a chain "
        "runs, not in background tasks or at start-up; take what you need from `ctx` before and pass it along."
    )
    with pytest.raises(OutsideInvocationError, match=f"^{re.escape(text)}$"):
        getattr(InvocationBindings, name)()


@on_both_backends
async def test_after_an_invocation_there_is_nothing_either() -> None:
    """However a call ends, by result or by error, what was current before is current again."""

    async def fail() -> None:
        raise ValueError

    registry = InterceptorRegistry()
    proxy = registry.intercepted(Service())
    for call in (
        lambda: registry.invoke(Service(), "call", anyio.lowlevel.checkpoint),
        lambda: proxy.call(anyio.lowlevel.checkpoint),
    ):
        await call()
        with pytest.raises(OutsideInvocationError):
            current()
    for call in (lambda: registry.invoke(Service(), "call", fail), lambda: proxy.call(fail)):
        with pytest.raises(ValueError):
            await call()
        with pytest.raises(OutsideInvocationError):
            current()


# -- memory ------------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_context_is_freed_at_once() -> None:
    """No invocation leaves a reference cycle: with the collector off its context goes when it ends, however it does."""
    contexts: list[weakref.ref[Any]] = []

    async def watch(ctx: InvocationContext, next: Next) -> Any:
        contexts.append(weakref.ref(ctx))
        ctx.bind("key", 1)
        ctx.bind_request("key", 1)
        ctx.state["key"] = list(ctx.args)
        await ctx.current_user()
        return await next()

    async def fail() -> None:
        raise ValueError

    registry = InterceptorRegistry(Container(), current_user=lambda request: "alice")
    registry.add_global(watch)
    registry.add_global(passing)
    service = Service()
    proxy = registry.intercepted(service)

    async def nested() -> None:
        await proxy.call(anyio.lowlevel.checkpoint)

    gc.collect()
    gc.disable()
    try:
        await registry.invoke(service, "call", nested, request=Request())
        await proxy.call(nested)
        # A cancelled call is not tried: the event loop itself keeps the frames that a cancellation went through.
        try:
            await registry.invoke(service, "call", fail)
        except ValueError:
            pass
        assert len(contexts) == 5
        assert [ref() for ref in contexts] == [None] * 5
    finally:
        gc.enable()
