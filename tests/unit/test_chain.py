"""The onion, run by hand: `await Chain([a, b])(ctx, next)`. Every test that awaits runs on asyncio and on trio."""

import gc
import re
import traceback
import weakref
from functools import partial
from typing import Any

import anyio
import pytest
from dependency_injector import providers

from interceptors import Chain, InvalidInterceptorError, Next, compose
from tests.unit.helpers import on_both_backends, passing, place, recording


def returning(value: object) -> Next:
    """What stands further in: gives `value`."""

    async def next() -> object:
        return value

    return next


@on_both_backends
async def test_the_first_interceptor_is_outermost() -> None:
    """Layers are entered first to last and left last to first, around what stands further in."""
    events: list[str] = []

    async def next() -> str:
        events.append("target")
        return "result"

    chain = Chain([recording("a", events), recording("b", events), recording("c", events)])

    assert await chain(None, next) == "result"
    assert events == [">a", ">b", ">c", "target", "<c", "<b", "<a"]


@on_both_backends
async def test_an_empty_chain_is_just_next() -> None:
    """Without interceptors a chain gives what `next` gives, and adds nothing."""
    assert await Chain()(None, returning("result")) == "result"
    assert await compose()(None, returning(None)) is None


@on_both_backends
async def test_every_layer_gets_the_same_context() -> None:
    """The context is whatever the chain is run with, the same object for all layers, nested chains included."""
    seen: list[object] = []

    async def look(ctx: Any, next: Next) -> Any:
        seen.append(ctx)
        return await next()

    class Look:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await look(ctx, next)

    context = object()
    await compose(look, Look, compose(look, Look()))(context, returning(1))

    assert [one is context for one in seen] == [True] * 4


@on_both_backends
async def test_what_an_interceptor_returns_is_what_the_layer_outside_sees() -> None:
    """A layer may change the result of the layer inside it."""

    async def double(ctx: Any, next: Next) -> Any:
        return 2 * await next()

    async def add_one(ctx: Any, next: Next) -> Any:
        return 1 + await next()

    assert await compose(double, add_one)(None, returning(10)) == 22
    assert await compose(add_one, double)(None, returning(10)) == 21


@pytest.mark.parametrize("value", [None, {}, [], 0, "", False, ()])
@on_both_backends
async def test_a_false_result_is_a_result(value: object) -> None:
    """A result that is false is passed on as it is, from the target and from a layer that answers itself."""

    async def answer(ctx: Any, next: Next) -> object:
        return value

    assert await compose(passing, passing)(None, returning(value)) is value
    assert await compose(passing, answer)(None, returning("not this")) is value


@on_both_backends
async def test_not_calling_next_skips_everything_further_in() -> None:
    """A layer that answers itself keeps inner layers and the target from running, and building."""
    events: list[str] = []

    class NeverBuilt:
        def __init__(self) -> None:
            events.append("built")

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    async def answer(ctx: Any, next: Next) -> str:
        return "mine"

    async def next() -> None:
        events.append("target")

    chain = compose(recording("outer", events), answer, recording("inner", events), NeverBuilt)

    assert await chain(None, next) == "mine"
    assert events == [">outer", "<outer"]


@on_both_backends
async def test_calling_next_again_runs_everything_further_in_again() -> None:
    """The second call is whole: all inner layers and the target, so that a retry works."""
    events: list[str] = []
    attempts = 0

    async def retry(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except OSError:
            return await next()

    async def next() -> int:
        nonlocal attempts
        attempts += 1
        events.append("target")
        if attempts == 1:
            raise OSError
        return attempts

    chain = Chain([recording("a", events), retry, recording("b", events), recording("c", events)])

    assert await chain(None, next) == 2
    assert events == [">a", *[">b", ">c", "target", "<c", "<b"] * 2, "<a"]


@on_both_backends
async def test_concurrent_calls_of_next_are_independent() -> None:
    """Several runs of what is further in may be under way at the same time; none sees the others."""
    started = anyio.Event()
    order: list[int] = []
    results: list[int] = []

    async def race(ctx: Any, next: Next) -> list[int]:
        async def run() -> None:
            results.append(await next())

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(run)
        return results

    async def slow_layer(ctx: Any, next: Next) -> Any:
        await anyio.lowlevel.checkpoint()
        result = await next()
        await anyio.lowlevel.checkpoint()
        return result

    async def next() -> int:
        order.append(len(order))
        mine = order[-1]
        if len(order) == 3:
            started.set()
        await started.wait()
        return mine

    assert sorted(await Chain([race, slow_layer, passing])(None, next)) == [0, 1, 2]


@on_both_backends
async def test_next_can_be_called_after_the_chain_has_ended() -> None:
    """`next` keeps no state of the run that it came from: called late it runs what is further in, whole."""
    events: list[str] = []
    kept: list[Next] = []

    async def keep(ctx: Any, next: Next) -> str:
        kept.append(next)
        return "early"

    async def next() -> str:
        return "late"

    chain = Chain([keep, recording("a", events)])

    assert await chain(None, next) == "early"
    assert events == []
    assert [await kept[0](), await kept[0]()] == ["late", "late"]
    assert events == [">a", "<a"] * 2


@on_both_backends
async def test_next_takes_no_argument() -> None:
    """Arguments are changed in the context, not handed on."""

    async def hand_on(ctx: Any, next: Any) -> Any:
        return await next(1)

    with pytest.raises(TypeError):
        await compose(hand_on)(None, returning(None))
    with pytest.raises(TypeError):
        await compose(hand_on, passing)(None, returning(None))


@on_both_backends
async def test_an_exception_passes_through_as_the_same_object() -> None:
    """No layer and no engine wraps it; it is neither chained nor given a cause."""
    error = ValueError("from the target")

    async def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="from the target") as caught:
        await compose(passing, passing, compose(passing))(None, fail)
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)


@on_both_backends
async def test_an_exception_group_passes_through_as_the_same_object() -> None:
    """A group, such as a task group raises, is not taken apart."""
    error = ExceptionGroup("several", [ValueError(), OSError()])

    async def fail() -> None:
        raise error

    with pytest.raises(ExceptionGroup) as caught:
        await compose(passing, passing)(None, fail)
    assert caught.value is error


@on_both_backends
async def test_a_layer_may_replace_or_swallow_an_exception() -> None:
    """What a layer does with an error is up to it; the layers outside see only the outcome."""
    events: list[str] = []

    async def translate(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except KeyError as error:
            raise LookupError("translated") from error

    async def swallow(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except LookupError as error:
            events.append(str(error))
            return "swallowed"

    async def fail() -> None:
        raise KeyError("inner")

    assert await compose(recording("a", events), swallow, translate)(None, fail) == "swallowed"
    assert events == [">a", "translated", "<a"]


@on_both_backends
async def test_an_exception_that_is_no_exception_passes_through() -> None:
    """What derives from BaseException only passes like any other error; `finally` blocks run."""
    events: list[str] = []

    class Stop(BaseException):
        pass

    async def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        await compose(recording("a", events), recording("b", events))(None, stop)
    assert events == [">a", ">b", "<b", "<a"]


@on_both_backends
async def test_stop_iteration_becomes_a_runtime_error() -> None:
    """A coroutine cannot raise StopIteration; Python itself makes it a RuntimeError whose cause it is."""

    async def stop() -> None:
        raise StopIteration(5)

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration") as caught:
        await compose(passing)(None, stop)
    assert isinstance(caught.value.__cause__, StopIteration)


@on_both_backends
async def test_a_traceback_shows_each_interceptors_own_line() -> None:
    """The traceback of an error goes through the line of every layer that awaits `next()`, outermost first."""

    async def first(ctx: Any, next: Next) -> Any:
        return await next()  # first

    class Second:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await next()  # second

    async def third(ctx: Any, next: Next) -> Any:
        return await next()  # third

    async def fail() -> None:
        raise ValueError  # target

    with pytest.raises(ValueError) as caught:
        await Chain([first, Second, third])(None, fail)
    lines = [frame.line or "" for frame in traceback.extract_tb(caught.value.__traceback__)]

    assert [line.partition("# ")[2] for line in lines if "# " in line] == ["first", "second", "third", "target"]


@on_both_backends
async def test_a_suspended_chain_has_no_frame_of_the_library() -> None:
    """While something is awaited only the interceptors' own coroutines are on the way to it."""
    frames: list[str] = []

    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError

    with pytest.raises(ValueError) as caught:
        await compose(passing, passing)(None, fail)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][1:]

    assert frames == ["passing", "passing", "fail"]


@on_both_backends
async def test_cancellation_passes_through_layers_unharmed() -> None:
    """A cancelled chain unwinds through every `finally`, swallows nothing, and ends its cancel scope."""
    events: list[str] = []
    after = "not reached"

    async def shielded_cleanup(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except BaseException as error:
            events.append("cancelled" if isinstance(error, anyio.get_cancelled_exc_class()) else "wrong")
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                events.append("cleaned up")
            raise

    chain = compose(recording("a", events), shielded_cleanup, recording("b", events))
    with anyio.CancelScope() as scope:

        async def cancel_then_wait() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        await chain(None, cancel_then_wait)
        after = "reached"

    assert scope.cancelled_caught
    assert after == "not reached"
    assert events == [">a", ">b", "<b", "cancelled", "cleaned up", "<a"]


@on_both_backends
async def test_a_timeout_around_next_ends_only_what_is_further_in() -> None:
    """A layer may give up on what is further in and answer itself; the layers outside go on."""
    events: list[str] = []

    async def give_up(ctx: Any, next: Next) -> str:
        with anyio.move_on_after(0):
            await next()
        return "gave up"

    chain = compose(recording("a", events), give_up, recording("b", events))

    assert await chain(None, anyio.sleep_forever) == "gave up"
    assert events == [">a", ">b", "<b", "<a"]


@on_both_backends
async def test_context_and_result_are_freed_at_once() -> None:
    """A run leaves no reference cycle: with the collector off the context goes when the caller lets go of it."""

    class Context: ...

    class Layer:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await next()

    async def run() -> "weakref.ref[Context]":
        context = Context()
        await compose(passing, Layer, compose(passing), Layer())(context, returning(1))
        return weakref.ref(context)

    gc.collect()
    gc.disable()
    try:
        assert (await run())() is None
    finally:
        gc.enable()


@on_both_backends
async def test_a_chain_is_an_interceptor() -> None:
    """Nested chains run in place, and what stands after them goes on further in."""
    events: list[str] = []
    a, b, c, d, e = (recording(name, events) for name in "abcde")

    await Chain([d, compose(a, b), e, Chain(), compose(compose(c))])(None, returning(None))

    assert [event for event in events if event.startswith(">")] == [">d", ">a", ">b", ">e", ">c"]


@on_both_backends
async def test_composition_is_associative() -> None:
    """How interceptors are bracketed makes no difference to what runs."""
    orders: list[list[str]] = []
    for bracket in (
        compose,
        lambda a, b, c: compose(compose(a, b), c),
        lambda a, b, c: compose(a, compose(b, c)),
        lambda a, b, c: compose(compose(a), compose(), compose(b, compose(c))),
    ):
        events: list[str] = []
        await bracket(*(recording(name, events) for name in "abc"))(None, returning(None))
        orders.append(events)

    assert orders == [orders[0]] * 4


@on_both_backends
async def test_calling_a_chain_and_its_intercept_are_the_same() -> None:
    """`chain(ctx, next)` and `chain.intercept(ctx, next)` run the same layers."""
    events: list[str] = []
    chain = compose(recording("a", events))

    assert await chain(None, returning(1)) == await chain.intercept(None, returning(1))
    assert events == [">a", "<a"] * 2


@on_both_backends
async def test_a_chain_holds_no_state_of_a_call() -> None:
    """One chain may run many times, also inside itself and at the same time, with contexts of their own."""
    seen: list[tuple[int, int]] = []

    async def note(ctx: int, next: Next) -> Any:
        await anyio.lowlevel.checkpoint()
        seen.append((ctx, await next()))

    chain = compose(note, passing)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(partial(chain, number, returning(number)))

    assert sorted(seen) == [(number, number) for number in range(5)]


@on_both_backends
async def test_a_class_is_built_at_its_turn_for_every_call_without_arguments() -> None:
    """Each call of a layer that is a class has an instance of its own; nothing is built before its turn."""
    events: list[str] = []

    class Layer:
        def __init__(self) -> None:
            events.append("built")

        async def intercept(self, ctx: Any, next: Next) -> Any:
            events.append(f"runs {id(self) not in seen}")
            seen.append(id(self))
            kept.append(self)
            return await next()

    seen: list[int] = []
    kept: list[Layer] = []
    chain = compose(recording("a", events), Layer)
    assert events == []
    await chain(None, returning(None))
    await chain(None, returning(None))

    assert events == [">a", "built", "runs True", "<a"] * 2


@on_both_backends
async def test_a_class_that_needs_arguments_is_pythons_own_type_error() -> None:
    """By hand nothing is injected: the class is called without arguments."""

    class Needy:
        def __init__(self, needed: int) -> None: ...

        async def intercept(self, ctx: Any, next: Next) -> Any: ...

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'needed'"):
        await compose(Needy)(None, returning(None))


class Aspect:
    async def intercept(self, ctx: Any, next: Next) -> Any:
        return await next()


@pytest.mark.parametrize(
    ("interceptor", "name"),
    [("caching", "'caching' (no source file)"), (providers.Singleton(Aspect), f"Aspect ({place(Aspect)})")],
    ids=["key", "provider"],
)
@on_both_backends
async def test_by_hand_a_key_or_a_provider_is_refused(interceptor: Any, name: str) -> None:
    """Only a registry can resolve these; the message says so, before any layer runs."""
    events: list[str] = []
    text = f"{name} can only be resolved by a registry; in a chain that is run by hand give the interceptor itself."

    with pytest.raises(InvalidInterceptorError, match=f"^{re.escape(text)}$") as caught:
        await Chain([recording("a", events), interceptor])(None, returning(None))
    assert caught.value.interceptor is interceptor
    assert events == []


@on_both_backends
async def test_objects_bound_methods_and_partials_run() -> None:
    """Whatever is an interceptor runs in a chain."""

    class Tagging:
        def __init__(self, tag: str) -> None:
            self.tag = tag

        async def intercept(self, ctx: Any, next: Next) -> str:
            return f"{self.tag}({await next()})"

    async def tag(name: str, ctx: Any, next: Next) -> str:
        return f"{name}({await next()})"

    chain = Chain([Tagging("object"), Tagging("method").intercept, partial(tag, "partial")])

    assert await chain(None, returning("target")) == "object(method(partial(target)))"


def test_a_chain_keeps_its_own_tuple() -> None:
    """What a chain was made of may change afterwards; the chain does not."""
    interceptors = [passing]
    chain = Chain(interceptors)
    interceptors.append(passing)

    assert chain.interceptors == (passing,)
    assert Chain(iter([passing, "key"])).interceptors == (passing, "key")


def test_a_chain_is_immutable() -> None:
    """Nothing on a chain can be assigned, replaced or added."""
    chain = compose(passing)

    with pytest.raises(AttributeError):
        chain.interceptors = ()
    with pytest.raises(AttributeError):
        del chain.interceptors
    with pytest.raises(AttributeError):
        chain.other = 1
    assert chain.interceptors == (passing,)


def test_what_is_no_interceptor_is_refused_when_the_chain_is_made() -> None:
    """The mistake is reported where the chain is written, not where it runs."""

    def plain(ctx: Any, next: Next) -> None: ...

    text = f"plain ({place(plain)}) is not `async def`; write `async def plain(ctx, next)`."
    with pytest.raises(InvalidInterceptorError, match=f"^{re.escape(text)}$"):
        Chain([passing, plain])


def test_repr_shows_what_is_in_a_chain() -> None:
    """The text of a chain names its interceptors, in order."""
    assert repr(compose(passing, "caching", Aspect, Aspect(), Chain())) == (
        "Chain([passing, 'caching', Aspect, Aspect, Chain])"
    )


@on_both_backends
async def test_a_deep_chain_runs() -> None:
    """A hundred layers are no trouble."""
    events: list[str] = []
    chain = Chain([recording(str(number), events) for number in range(100)])

    assert await chain(None, returning("through")) == "through"
    assert len(events) == 200
