"""LoopBack 4, section 1E: running the chain, F44 to F61.

| rule | what does not apply, and why |
|---|---|
| F45 | Modes that skip interceptors or injection: call the method itself, that runs neither. |
| F53 | `invokeTargetMethod`: `next()` may be called again, so a retry needs no second way to the target. |
| F55 | Synchronous results: everything is awaited. |
| F61 | Life-cycle observers and dynamic values: the library has none; a provider is never intercepted. |
"""

import asyncio
import itertools
import traceback
from typing import Annotated

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide

from interceptors import (
    Chain,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    InvocationContext,
    UnknownKeyError,
    intercept,
)


def layers(letters):
    """A log, and for each letter an interceptor that notes its letter there."""
    log = []

    def make(letter):
        async def interceptor(ctx, next):
            log.append(letter)
            return await next()

        return interceptor

    return log, *map(make, letters)


class Container(containers.DeclarativeContainer):
    word = providers.Object("from the container")


async def test_f44_invoke_runs_the_chain_around_a_method():
    """F44: `invoke` makes a context, computes the chain, runs it around the method and gives the result.

    Differs: a missing method is an InvalidTargetError, which is a TypeError; nothing has run by then.
    """
    log, a = layers("a")

    @intercept(a)
    class Service:
        status = 5

        async def work(self, number, *, factor=1):
            log.append("target")
            return number * factor

    registry = InterceptorRegistry()
    assert await registry.invoke(Service(), "work", 2, factor=3) == 6
    assert log == ["a", "target"]
    log.clear()
    for wrong in ("nope", "status"):
        with pytest.raises(InvalidTargetError, match=wrong):
            await registry.invoke(Service(), wrong)
    assert log == []


async def test_f44_an_instance_method_needs_an_instance():
    """F44: an instance method of a class is refused, also after it has been invoked on an instance."""

    class Service:
        async def work(self):
            return "worked"

    registry = InterceptorRegistry()
    with pytest.raises(InvalidTargetError, match=r"Service\.work"):
        await registry.invoke(Service, "work")
    assert await registry.invoke(Service(), "work") == "worked"
    with pytest.raises(InvalidTargetError, match=r"Service\.work"):
        await registry.invoke(Service, "work")


async def test_f45_invoke_injects_and_a_direct_call_does_not():
    """F45: an invocation runs interceptors and injects parameters; a direct call does neither."""
    log, a = layers("a")

    class Service:
        @intercept(a)
        async def work(self, word: Annotated[str, Provide["word"]] = "default"):
            return word

    assert await InterceptorRegistry(Container()).invoke(Service(), "work") == "from the container"
    assert log == ["a"]
    assert await Service().work() == "default"
    assert log == ["a"]


async def test_f46_parameters_are_injected_after_the_layers_outside():
    """F46: injected parameters are resolved in the last step, so an interceptor can bind them; `ctx.args` has the others only."""
    names = []

    async def binds(ctx, next):
        names.append((ctx.args.names, len(ctx.args), "word" in ctx.args))
        with pytest.raises(KeyError):
            ctx.args["word"]
        ctx.bind("word", "bound")
        return await next()

    class Service:
        @intercept(binds)
        async def work(self, first, word: Annotated[str, Provide["word"]], ctx: InvocationContext, last):
            return first, word, ctx.method_name, last

    registry = InterceptorRegistry(Container())
    assert await registry.invoke(Service(), "work", 1, 2) == (1, "bound", "work", 2)
    assert names == [(("first", "last"), 2, False)]


async def test_f47_arguments_go_to_the_parameters_that_are_not_injected():
    """F47: given arguments fill the parameters that nobody injects, from left to right; a missing one is an error.

    Differs: parameters with a default count, as in Python, and an argument too many is a TypeError, as it is in a call.
    """
    seen = []

    async def looks(ctx, next):
        seen.append(ctx.args.items())
        return await next()

    class Service:
        @intercept(looks)
        async def work(self, word: Annotated[str, Provide["word"]], a, b=2, *rest, c=3):
            return word, a, b, rest, c

        async def blind(self, word: Annotated[str, Provide["word"]], a):
            return word, a

    registry = InterceptorRegistry(Container())
    word = "from the container"
    assert await registry.invoke(Service(), "work", 1) == (word, 1, 2, (), 3)
    assert await registry.invoke(Service(), "work", 1, 5, 6, 7, c=8) == (word, 1, 5, (6, 7), 8)
    assert await registry.invoke(Service(), "work", b=5, a=1) == (word, 1, 5, (), 3)
    assert seen[1] == [("a", 1), ("b", 5), ("rest", (6, 7)), ("c", 8)]
    with pytest.raises(TypeError, match="a"):
        await registry.invoke(Service(), "work")
    with pytest.raises(TypeError):
        await registry.invoke(Service(), "work", 1, nope=2)
    with pytest.raises(TypeError):
        await registry.invoke(Service(), "blind", 1, 2)
    assert await registry.invoke(Service(), "blind", 1) == (word, 1)


async def test_f48_what_the_arguments_hold_when_the_target_is_reached_is_what_it_gets():
    """F48: an interceptor may replace arguments, by position or by name; layers further in and the target see it.

    Differs: the caller's own list does not change, and the object as a whole cannot be replaced; an argument the caller left
    out can be set.
    """
    seen = []

    async def changes(ctx, next):
        ctx.args[0] = "first"
        ctx.args["second"] += ["more"]
        ctx.args["left_out"] = "set"
        with pytest.raises(AttributeError):
            ctx.args = ()
        with pytest.raises(KeyError):
            ctx.args["nope"] = 1
        return await next()

    async def sees(ctx, next):
        seen.append(list(ctx.args))
        return await next()

    class Service:
        @intercept(changes, sees)
        async def work(self, first, second, left_out):
            return first, second, left_out

    given = (1,)
    named = {"second": ["given"]}
    assert await InterceptorRegistry().invoke(Service(), "work", *given, **named) == ("first", ["given", "more"], "set")
    assert seen == [["first", ["given", "more"], "set"]]
    assert given == (1,)
    assert list(named) == ["second"]


async def test_f49_any_value_is_a_result():
    """F49: what an interceptor returns replaces the inner result, None included."""

    def returning(value):
        async def replaces(ctx, next):
            await next()
            return value

        return replaces

    registry = InterceptorRegistry()
    for value in (None, 0, False, "", [], ValueError("a value, too"), asyncio.Event()):

        class Service:
            @intercept(returning(value))
            async def work(self):
                return "target"

        assert await registry.invoke(Service(), "work") is value


async def test_f50_not_calling_next_skips_everything_further_in():
    """F50: a layer that does not call `next` skips what is further in: nothing of it is built, injected or run.

    Differs: a key further in that is bound nowhere is an error all the same: chains are checked before they run.
    """
    log = []

    async def skips(ctx, next):
        return "short"

    class Built:
        def __init__(self):
            log.append("built")

        async def intercept(self, ctx, next):
            return await next()

    class Service:
        @intercept(skips, Built)
        async def work(self, word: Annotated[str, Provide["nowhere"]]):
            log.append("target")

        @intercept(skips, "nowhere")
        async def unknown(self):
            log.append("target")

    registry = InterceptorRegistry()
    assert await registry.invoke(Service(), "work") == "short"
    with pytest.raises(UnknownKeyError, match="nowhere"):
        await registry.invoke(Service(), "unknown")
    assert log == []


async def test_f51_next_in_sequence_runs_everything_again():
    """F51: each `next()` runs everything further in, a layer that skips included, with the arguments as they are then.

    Differs: LoopBack's second call gives `undefined`, or jumps over a layer that had skipped the target.
    """
    log, inner = layers("i")

    async def retries(ctx, next):
        results = []
        for number in range(3):
            ctx.args["number"] = number
            results.append(await next())
        return results

    async def skips(ctx, next):
        log.append("skips")
        return "short"

    class Service:
        @intercept(retries, inner)
        async def work(self, number):
            return number

        @intercept(retries, skips, inner)
        async def skipped(self, number):
            log.append("never")

    registry = InterceptorRegistry()
    assert await registry.invoke(Service(), "work", None) == [0, 1, 2]
    assert "".join(log) == "iii"
    log.clear()
    assert await registry.invoke(Service(), "skipped", None) == ["short"] * 3
    assert log == ["skips"] * 3


async def test_f52_concurrent_calls_of_next_are_independent():
    """F52: concurrent calls of `next()` run everything further in independently.

    Differs: in LoopBack they share a cursor and one of them gets `undefined`.
    """
    numbers = itertools.count(1)
    both_are_in = asyncio.Barrier(2)

    async def twice(ctx, next):
        return await asyncio.gather(next(), next())

    async def waits(ctx, next):
        await both_are_in.wait()
        number = await next()
        await both_are_in.wait()
        return number

    class Service:
        @intercept(twice, waits)
        async def work(self):
            number = next(numbers)
            await both_are_in.wait()
            return number

    assert sorted(await InterceptorRegistry().invoke(Service(), "work")) == [1, 2]


async def test_f53_a_retry_is_next_again():
    """F53: the target can be run again after a failure, the layers in between with it.

    Differs: by calling `next()` again; LoopBack needs `ctx.invokeTargetMethod`, which leaves the layers out.
    """
    log, inner = layers("i")
    attempts = itertools.count(1)

    async def retries(ctx, next):
        for _ in range(2):
            try:
                return await next()
            except ConnectionError:
                log.append("again")
        return await next()

    class Service:
        @intercept(retries, inner)
        async def work(self):
            if (attempt := next(attempts)) < 3:
                raise ConnectionError
            return attempt

    assert await InterceptorRegistry().invoke(Service(), "work") == 3
    assert log == ["i", "again", "i", "again", "i"]


async def test_f54_next_may_be_called_late():
    """F54: `next` called after its layer has returned still runs what is further in; the result goes to whoever called it."""
    late = []

    async def stashes(ctx, next):
        late.append(next)
        return "early"

    class Service:
        @intercept(stashes)
        async def work(self, number):
            return number

    assert await InterceptorRegistry().invoke(Service(), "work", 5) == "early"
    assert await late[0]() == 5


async def test_f55_a_plain_target_is_awaited_like_any_other():
    """F55: `next()` is awaited whatever the target is; a plain `def`, and an awaitable that it returns, too.

    Differs: LoopBack gives a plain value where every part is synchronous.
    """

    async def adds(ctx, next):
        return await next() + "!"

    async def later():
        return "later"

    class Service:
        @intercept(adds)
        def plain(self):
            return "plain"

        @intercept(adds)
        def awaitable(self):
            return later()

    assert await InterceptorRegistry().invoke(Service(), "plain") == "plain!"
    assert await InterceptorRegistry().invoke(Service(), "awaitable") == "later!"


async def test_f56_an_error_is_the_same_object_in_every_layer():
    """F56: an error reaches each layer outside unwrapped, inner ones first, and each one's own line is in its traceback."""
    log, error = [], LookupError("no")

    def seeing(name):
        async def sees(ctx, next):
            try:
                return await next()
            except LookupError as caught:
                log.append((name, caught))
                raise
            finally:
                log.append(name)

        return sees

    async def passes_on(ctx, next):
        return await next()  # this very line

    class Service:
        @intercept(seeing("outer"), passes_on, seeing("inner"))
        async def work(self):
            raise error

    with pytest.raises(LookupError) as caught:
        await InterceptorRegistry().invoke(Service(), "work")
    assert caught.value is error
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert log == [("inner", error), "inner", ("outer", error), "outer"]
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__)]
    assert [name for name in frames if name in ("sees", "passes_on", "work")] == ["sees", "passes_on", "sees", "work"]
    assert "return await next()  # this very line" in lines


async def test_f56_a_layer_may_catch_what_goes_wrong_in_building_the_next():
    """F56: errors of what is built or injected further in pass through the layers, like any other."""

    async def catches(ctx, next):
        try:
            return await next()
        except (ZeroDivisionError, UnknownKeyError) as caught:
            return type(caught)

    class Broken:
        def __init__(self):
            raise ZeroDivisionError

        async def intercept(self, ctx, next):
            return await next()

    class Service:
        @intercept(catches, Broken)
        async def built(self):
            """Never reached."""

        @intercept(catches)
        async def injected(self, word: Annotated[str, Provide["nowhere"]]):
            """Never reached."""

    assert await InterceptorRegistry().invoke(Service(), "built") is ZeroDivisionError
    assert await InterceptorRegistry().invoke(Service(), "injected") is UnknownKeyError


async def test_f57_a_key_that_is_bound_nowhere():
    """F57: an unknown key is an error that names it.

    Differs: at the first invocation, before any layer runs, with who asked for it and what was perhaps meant; when a FastAPI
    application starts, at once.
    """
    log, a = layers("a")
    registry = InterceptorRegistry()
    registry.bind("caching", a)

    class Service:
        @intercept(a, "cachign")
        async def work(self):
            """Never reached."""

    with pytest.raises(UnknownKeyError) as caught:
        await registry.invoke(Service(), "work")
    assert isinstance(caught.value, LookupError)
    assert caught.value.key == "cachign"
    assert list(caught.value.nearest) == ["caching"]
    assert "Service.work" in caught.value.asked_by
    assert __file__ in caught.value.asked_by
    assert "'cachign'" in str(caught.value)
    assert log == []
    registry.bind("cachign", a)
    assert await registry.invoke(Service(), "work") is None
    assert log == ["a"]


async def test_f58_what_is_bound_to_a_key_is_checked():
    """F58: what is no interceptor is refused.

    Differs: when it is bound; and a class with `intercept`, which LoopBack calls without `new`, is an interceptor.
    """
    registry = InterceptorRegistry()
    for wrong in (5, object(), None, lambda ctx, proceed: proceed(), dict):
        with pytest.raises(InvalidInterceptorError):
            registry.bind("wrong", wrong)

    class Doubles:
        async def intercept(self, ctx, next):
            return 2 * await next()

    registry.bind("class", Doubles)
    registry.bind("object", Doubles())

    class Service:
        @intercept("class", "object", Doubles().intercept)
        async def work(self):
            return 1

    assert await registry.invoke(Service(), "work") == 8


async def test_f58_what_a_provider_gives_is_checked_when_it_gives_it():
    """F58: a provider that gives no interceptor is an InvalidInterceptorError, too."""

    class Wrong(containers.DeclarativeContainer):
        number = providers.Object(5)

    class Service:
        @intercept("number")
        async def work(self):
            """Never reached."""

    with pytest.raises(InvalidInterceptorError):
        await InterceptorRegistry(Wrong()).invoke(Service(), "work")


async def test_f59_interceptors_may_invoke():
    """F59: an interceptor may invoke other methods, and the same one again: each call has its own chain and context."""
    registry, depths = InterceptorRegistry(), []

    async def recurses(ctx, next):
        depth = ctx.args["depth"]
        ctx.bind("depth", depth)
        if depth:
            await registry.invoke(ctx.target, "work", depth - 1)
        depths.append(await ctx.get("depth"))
        return await next()

    class Service:
        @intercept(recurses)
        async def work(self, depth):
            return depth

    assert await registry.invoke(Service(), "work", 20) == 20
    assert depths == list(range(21))


async def test_f59_hundreds_of_interceptors_are_no_problem():
    """F59: the depth of a chain is limited by the interpreter's stack alone."""

    def numbered(number):
        async def adds(ctx, next):
            return await next() + number

        return adds

    async def zero():
        return 0

    assert await Chain([numbered(n) for n in range(300)])(None, zero) == sum(range(300))


async def test_f60_concurrent_invocations_share_nothing():
    """F60: concurrent invocations each have their own context, state and arguments."""
    barrier = asyncio.Barrier(10)
    contexts = []

    async def marks(ctx, next):
        contexts.append(ctx)
        ctx.state["number"] = ctx.args["number"]
        await barrier.wait()
        result = await next()
        await barrier.wait()
        return result, ctx.state["number"], ctx.args["number"]

    class Service:
        @intercept(marks)
        async def work(self, number):
            await barrier.wait()
            return number

    registry, service = InterceptorRegistry(), Service()
    results = await asyncio.gather(*(registry.invoke(service, "work", n) for n in range(10)))
    assert results == [(n, n, n) for n in range(10)]
    assert len(set(map(id, contexts))) == 10
