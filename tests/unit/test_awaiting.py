"""Layers that forget to await `next()` run what is further in all the same, or are named."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any
from unittest.mock import AsyncMock

import pytest
from dependency_injector import containers, providers
from hypothesis import given
from hypothesis import strategies as st

from interceptors import (
    Entry,
    InterceptorRegistry,
    InvocationBindings,
    Next,
    OutsideInvocationError,
    compose,
    intercept,
)
from interceptors.awaiting import awaiting
from tests.unit.helpers import Worker, on_both_backends, passing, place, recording


async def returns_next(ctx: Any, next: Next) -> Any:
    return next()


async def in_a_branch(ctx: Any, next: Next) -> Any:
    if ctx.args["value"] > 0:
        return next()
    return await next()


async def by_another_name(ctx: Any, next: Next) -> Any:
    proceed = next
    result = proceed()
    return result


async def from_an_inner_function(ctx: Any, next: Next) -> Any:
    def proceed() -> Any:
        return next()

    return proceed()


async def from_an_inner_coroutine(ctx: Any, next: Next) -> Any:
    async def proceed() -> Any:
        return next()

    return proceed()


async def a_task(ctx: Any, next: Next) -> Any:
    return asyncio.ensure_future(next())


async def with_a_timeout(ctx: Any, next: Next) -> Any:
    return asyncio.wait_for(next(), 60)


async def conditional_expression(ctx: Any, next: Next) -> Any:
    return next() if ctx.args["value"] else 0


async def after_another_await(ctx: Any, next: Next) -> Any:
    await asyncio.sleep(0)
    return next()


class OfAnObject:
    async def intercept(self, ctx: Any, next: Next) -> Any:
        return next()


class Static:
    @staticmethod
    async def intercept(ctx: Any, next: Next) -> Any:
        return next()


class OfTheClass:
    @classmethod
    async def intercept(cls, ctx: Any, next: Next) -> Any:
        return next()


def wrapped(function: Callable[..., Awaitable[Any]]) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


async def with_more(more: int, ctx: Any, next: Next) -> Any:
    return next()


def _make() -> Any:
    return OfAnObject()


class Container(containers.DeclarativeContainer):
    factory = providers.Factory(OfAnObject)
    made_by_a_function = providers.Callable(_make)


FORGETFUL: dict[str, Any] = {
    "return next()": returns_next,
    "in a branch": in_a_branch,
    "by another name": by_another_name,
    "from an inner function": from_an_inner_function,
    "from an inner coroutine": from_an_inner_coroutine,
    "a task": a_task,
    "with a timeout": with_a_timeout,
    "conditional expression": conditional_expression,
    "after another await": after_another_await,
    "object": OfAnObject(),
    "class": OfAnObject,
    "static method": Static,
    "class method": OfTheClass,
    "bound method": OfAnObject().intercept,
    "behind functools.wraps": wrapped(returns_next),
    "partial": partial(with_more, 1),
    "provider's key": "factory",
    "provider of who knows what": "made_by_a_function",
    "chain": compose(passing, returns_next),
    "mock": AsyncMock(side_effect=lambda ctx, next: next()),
}


@pytest.mark.parametrize("kind", FORGETFUL)
@pytest.mark.parametrize("place", ["alone", "outside", "inside", "twice"])
async def test_what_is_further_in_runs_once_before_the_layer_outside_goes_on(kind: str, place: str) -> None:
    """However it is forgotten, and wherever the layer stands."""
    events: list[Any] = []
    layers = {
        "alone": [kind],
        "outside": [kind, passing],
        "inside": [passing, kind],
        "twice": [kind, wrapped(returns_next)],
    }

    class Service:
        @intercept(
            recording("transaction", events),
            *[FORGETFUL.get(each, each) if each is kind else each for each in layers[place]],
        )
        async def double(self, value: int) -> int:
            events.append(value)
            return value * 2

    assert await InterceptorRegistry(Container()).invoke(Service(), "double", 3) == 6
    assert events == [">transaction", 3, "<transaction"]


@on_both_backends
async def test_what_the_method_itself_returns_is_not_awaited() -> None:
    """Nor by a layer that forgets: an awaitable may be a value."""

    async def value() -> str:
        return "awaited"

    made = value()

    class Service:
        @intercept(returns_next, passing, by_another_name)
        async def begin(self) -> Any:
            return made

    assert await InterceptorRegistry().invoke(Service(), "begin") is made
    assert await made == "awaited"


GIVING: dict[str, Callable[[Any, Any], Any]] = {
    "the context": lambda ctx, next: next(ctx),
    "by name": lambda ctx, next: next(ctx=ctx),
    "two": lambda ctx, next: next(1, 2),
    "a list": lambda ctx, next: next(*[1]),
    "a dict": lambda ctx, next: next(**{"a": 1}),
}


@pytest.mark.parametrize("given", GIVING)
@pytest.mark.parametrize("how", ["invoke", "by hand"])
async def test_to_give_next_something_is_an_error_that_names_the_layer(given: str, how: str) -> None:
    """`await next(ctx)`: with its place, and what to write."""

    async def gives(ctx: Any, next: Any) -> Any:
        return await GIVING[given](ctx, next)

    class Service:
        @intercept(passing, gives, passing)
        async def work(self) -> None: ...

    async def end() -> None: ...

    with pytest.raises(TypeError) as info:
        if how == "invoke":
            await InterceptorRegistry().invoke(Service(), "work")
        else:
            await compose(gives, passing)(object(), end)
    assert "gives" in str(info.value) and place(gives) in str(info.value) and "`await next()`" in str(info.value)


async def once(ctx: Any, next: Next) -> Any:
    return await next()


async def several_times(ctx: Any, next: Next) -> Any:
    for _ in range(2):
        try:
            return await next()
        except ValueError:
            continue
    async with asyncio.timeout(1):
        return [await next(), (await next())]


async def beside_other_names(ctx: Any, next: Next) -> Any:
    value = ctx
    result = await next()
    return value and result


class Awaits:
    async def intercept(self, ctx: Any, next: Next) -> Any:
        return await next()


@pytest.mark.parametrize(
    "layer",
    [once, several_times, beside_other_names, Awaits(), Awaits, Awaits().intercept],
    ids=["once", "several times", "other names", "object", "class", "bound method"],
)
def test_nothing_stands_around_a_layer_that_awaits_next(layer: Any) -> None:
    """Its code shows it, so it costs nothing."""

    async def function(ctx: Any, next: Next) -> Any: ...

    assert awaiting(layer, function) is function


@given(
    st.lists(st.sampled_from([passing, returns_next, by_another_name, a_task, in_a_branch]), max_size=6),
    st.integers(0, 9),
)
def test_any_mixture_of_layers_gives_what_the_method_gives(layers: list[Any], value: int) -> None:
    """A chain of layers that change nothing is the call itself."""

    class Service:
        @intercept(*layers)
        async def work(self, value: int) -> Any:
            return ctx_free(value)

    def ctx_free(value: int) -> list[int]:
        calls.append(value)
        return [value]

    calls: list[int] = []
    assert asyncio.run(_invoked(Service(), value)) == [value] and calls == [value]


async def _invoked(service: Any, value: int) -> Any:
    return await InterceptorRegistry().invoke(service, "work", value)


# -- in another task ---------------------------------------------------------------------------------------------------


async def in_an_empty_context(ctx: Any, next: Next) -> Any:
    return await asyncio.create_task(next(), context=contextvars.Context())


async def in_a_context_of_its_own(ctx: Any, next: Next) -> Any:
    context = contextvars.copy_context()
    return await asyncio.create_task(next(), context=context)


async def in_a_proxied_service(ctx: Any, next: Next) -> Any:
    class Runs:
        async def run(self, what: Any) -> Any:
            return await what()

    return await InterceptorRegistry().intercepted(Runs()).run(next)


async def by_hand(ctx: Any, next: Next) -> Any:
    return await compose(in_an_empty_context, in_a_proxied_service)(ctx, next)


class Inner:
    async def ask(self) -> Any:
        return InvocationBindings.request()


@pytest.mark.parametrize(
    "hands_over", [Worker, in_an_empty_context, in_a_context_of_its_own, in_a_proxied_service, by_hand]
)
async def test_what_runs_further_in_belongs_to_the_invocation_whoever_awaits_it(hands_over: Any) -> None:
    """The target, what it calls, and a layer in between, whatever task `next()` is awaited in."""
    registry, layer = InterceptorRegistry(), hands_over() if hands_over is Worker else hands_over
    inner, seen = registry.intercepted(Inner()), []

    async def between(ctx: Any, next: Next) -> Any:
        seen.append((InvocationBindings.context() is ctx, await inner.ask() is ctx.request))
        return await next()

    class Outer:
        @intercept(layer, between)
        async def work(self) -> Any:
            name = InvocationBindings.context().target_name
            return [InvocationBindings.request(), name, await inner.ask(), await registry.invoke(Inner(), "ask")]

    for _ in range(3):
        request = object()
        assert await registry.invoke(Outer(), "work", request=request) == [request, "Outer.work", request, request]
    assert set(seen) == {(True, True)}
    if isinstance(layer, Worker) and layer.task is not None:
        layer.task.cancel()


async def test_a_task_is_left_as_it_was() -> None:
    """A worker belongs to no invocation once it has awaited one, also one that failed."""
    worker, registry, found = Worker(), InterceptorRegistry(), []

    class Fails:
        async def work(self) -> None:
            raise KeyError("work")

    registry.add_global(worker)
    with pytest.raises(KeyError, match="work"):
        await registry.invoke(Fails(), "work")

    async def looks() -> None:
        with pytest.raises(OutsideInvocationError):
            InvocationBindings.context()
        found.append("nothing")

    done = asyncio.get_running_loop().create_future()
    await worker.queue.put((looks, done))
    await done
    assert found == ["nothing"]
    assert worker.task is not None
    worker.task.cancel()


async def test_next_may_be_closed_in_another_context() -> None:
    """A coroutine that was begun in one context and is closed in another has nothing to put back there."""
    begun: list[Any] = []

    async def begins(ctx: Any, next: Next) -> Any:
        coroutine = next()
        begun.append(coroutine)
        contextvars.Context().run(coroutine.send, None)
        return "left"

    class Waits:
        async def work(self) -> None:
            await asyncio.sleep(0)

    registry = InterceptorRegistry()
    registry.add_global(begins)
    assert await registry.invoke(Waits(), "work") == "left"
    begun[0].close()


async def test_next_itself_is_no_result() -> None:
    """The error names the layer and what to write."""

    async def forgets_to_call(ctx: Any, next: Next) -> Any:
        return next

    @intercept(forgets_to_call)
    async def answers() -> str:
        return "answer"

    with pytest.raises(TypeError) as caught:
        await Entry(InterceptorRegistry(), answers)()
    assert place(forgets_to_call) in str(caught.value)
    assert str(caught.value).endswith("returned `next` itself; write `return await next()`.")


async def test_next_that_nobody_awaits_is_told_with_the_name_of_the_layer() -> None:
    """By Python itself, which warns of each coroutine that nobody has awaited."""

    async def drops_it(ctx: Any, next: Next) -> None:
        next()

    @intercept(drops_it)
    async def drops() -> None: ...

    with pytest.warns(RuntimeWarning, match=r"coroutine 'next\(\) in .*drops_it' was never awaited"):
        assert await Entry(InterceptorRegistry(), drops)() is None
