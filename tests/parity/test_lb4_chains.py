"""LoopBack 4, section 1J: generic chains, F100 to F106.

| rule | what does not apply, and why |
|---|---|
| F101 | Chains of what a filter finds: a chain is an immutable list; a registry finds globals. |
| F105 | Express adapters: FastAPI has its own middleware, outside of the chain. |
| F106 | LoopBack's middleware: the same; what remains is the order of groups by constraints. |
"""

import asyncio
from types import SimpleNamespace

import pytest
from dependency_injector import providers

from interceptors import (
    Chain,
    GroupOrderError,
    InterceptorRegistry,
    InvalidInterceptorError,
    compose,
    intercept,
)


def around(letter):
    """An interceptor that notes when it is entered and left, in a context of any kind that has a `log`."""

    async def interceptor(ctx, next):
        ctx.log.append(f">{letter}")
        try:
            return await next()
        finally:
            ctx.log.append(f"<{letter}")

    return interceptor


a, b, d, e = map(around, "ABDE")


def target_of(ctx, result="result"):
    async def target():
        ctx.log.append("target")
        return result

    return target


async def test_f100_a_chain_runs_with_any_context_and_final_handler():
    """F100: a chain goes around any final handler, with a context of any kind; an empty one is just that handler."""
    ctx = SimpleNamespace(log=[])
    assert await Chain([a, b])(ctx, target_of(ctx)) == "result"
    assert ctx.log == [">A", ">B", "target", "<B", "<A"]
    ctx.log.clear()
    assert await Chain()(ctx, target_of(ctx)) == "result"
    assert await Chain([Chain([]), compose()])(ctx, target_of(ctx)) == "result"
    assert ctx.log == ["target", "target"]


async def test_f100_a_chain_is_immutable_and_holds_no_state():
    """F100: a chain can be used again, also concurrently; a list that it was made of may change."""
    interceptors = [a]
    chain = Chain(interceptors)
    interceptors.append(b)
    assert chain.interceptors == (a,)
    with pytest.raises(AttributeError):
        chain.interceptors.append(b)
    barrier = asyncio.Barrier(3)

    async def run(number):
        ctx = SimpleNamespace(log=[])

        async def target():
            await barrier.wait()
            return number

        return await chain(ctx, target), ctx.log

    assert await asyncio.gather(*map(run, range(3))) == [(n, [">A", "<A"]) for n in range(3)]


async def test_f100_in_a_chain_that_is_run_by_hand_a_class_is_built_and_a_key_is_refused():
    """F100: a class in a chain is built without arguments, once per call; a key or provider needs a registry.

    Differs: LoopBack's generic chain resolves keys from its context, which ours need not be able to.
    """
    built = []

    class Built:
        def __init__(self):
            built.append(self)

        async def intercept(self, ctx, next):
            ctx.log.append("built")
            return await next()

    ctx = SimpleNamespace(log=[])
    chain = Chain([Built, Built()])
    await chain(ctx, target_of(ctx))
    await chain(ctx, target_of(ctx))
    assert ctx.log == ["built", "built", "target"] * 2
    assert len(built) == 3
    for wrong in ("key", providers.Factory(Built)):
        chain = Chain([a, wrong])
        ctx.log.clear()
        with pytest.raises(InvalidInterceptorError, match="registry"):
            await chain(ctx, target_of(ctx))
        assert ctx.log == []


async def test_f102_a_chain_is_an_interceptor():
    """F102: a chain stands where an interceptor stands, the outer `next` is its final handler, and it counts as one.

    Differs: it runs with the context that it is given; LoopBack's keeps its own.
    """
    inner = Chain([a, b])
    ctx = SimpleNamespace(log=[])
    assert await Chain([d, inner, e])(ctx, target_of(ctx)) == "result"
    assert ctx.log == [">D", ">A", ">B", ">E", "target", "<E", "<B", "<A", "<D"]

    logs = []

    async def shows(ctx, next):
        ctx.log = logs
        return await next()

    class Service:
        @intercept(shows, inner, d)
        @intercept(inner, a)
        async def work(self):
            logs.append("target")
            return "worked"

    registry = InterceptorRegistry()
    assert await registry.invoke(Service(), "work") == "worked"
    assert logs == [">D", ">A", ">B", ">A", "target", "<A", "<B", "<A", "<D"]
    assert [c.interceptor for c in registry.explain(Service, "work").chain] == [shows, d, inner, a]


async def test_f103_a_list_is_run_at_once():
    """F103: running a list of interceptors around a call is one expression."""
    ctx = SimpleNamespace(log=[])
    assert await compose(a, b)(ctx, target_of(ctx, 5)) == 5
    assert ctx.log == [">A", ">B", "target", "<B", "<A"]


async def test_f104_compose_is_the_listed_ones_then_next():
    """F104: `compose(A, B)` is one interceptor; in `D, compose(A, B), E` the order is D, A, B, E; keys mean what they are bound to."""
    ctx = SimpleNamespace(log=[])
    assert compose(a, b).interceptors == Chain([a, b]).interceptors
    await Chain([d, compose(a, b), e])(ctx, target_of(ctx))
    assert ctx.log == [">D", ">A", ">B", ">E", "target", "<E", "<B", "<A", "<D"]

    log = []

    async def shows(ctx, next):
        ctx.log = log
        return await next()

    class Service:
        @intercept(shows, d, compose("a", compose("b")), e)
        async def work(self):
            log.append("target")

    registry = InterceptorRegistry()
    registry.bind("a", a)
    registry.bind("b", compose(b))
    await registry.invoke(Service(), "work")
    assert log == [">D", ">A", ">B", ">E", "target", "<E", "<B", "<A", "<D"]


async def test_f104_a_composed_chain_can_be_retried_and_left():
    """F104: `next` called again from outside a composed chain runs it again, and it may skip what is further in."""
    results = iter([ConnectionError(), "at last"])

    async def retries(ctx, next):
        try:
            return await next()
        except ConnectionError:
            return await next()

    async def skips(ctx, next):
        return "skipped"

    async def target():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    ctx = SimpleNamespace(log=[])
    assert await Chain([retries, compose(a, b)])(ctx, target) == "at last"
    assert ctx.log == [">A", ">B", "<B", "<A"] * 2
    assert await Chain([a, compose(skips), b])(ctx, target) == "skipped"


def test_f106_constraints_order_groups_and_a_cycle_is_an_error():
    """F106: groups are sorted topologically by partial orders; contradictory ones are an error that names the cycle.

    Differs: it is an error when the global is added, and leaves the registry as it was.
    """
    registry = InterceptorRegistry(ordered_groups=["auth", "log"])

    class Service:
        async def work(self):
            """Only explained."""

    def order():
        return [c.group for c in registry.explain(Service, "work").chain]

    registry.add_global(a, group="log")
    registry.add_global(b, group="auth")
    registry.add_global(d, group="trace", after="auth")
    assert order() == ["auth", "trace", "log"]
    with pytest.raises(GroupOrderError) as caught:
        registry.add_global(e, group="metrics", before="auth", after=["log"], key="metrics")
    assert isinstance(caught.value, ValueError)
    assert caught.value.cycle[0] == caught.value.cycle[-1]
    assert set(caught.value.cycle) == {"auth", "log", "metrics"}
    assert all(repr(group) in str(caught.value) for group in caught.value.cycle)
    assert order() == ["auth", "trace", "log"]
    registry.add_global(e, group="metrics", after="log")
    assert order() == ["auth", "trace", "log", "metrics"]
