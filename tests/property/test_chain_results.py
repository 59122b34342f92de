"""Results, errors and the order of events of any nesting of interceptors, against an interpreter of a few lines.

A layer is described by a script: what it does the first time it is entered, the second time, and so on (the last entry is
repeated). The model runs the scripts by plain recursion; a chain run by hand, `registry.invoke` and a proxy have to do the same, on
asyncio and on trio.

A long campaign: `HYPOTHESIS_PROFILE=campaign python -m pytest tests/property`.
"""

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from interceptors import Chain, InterceptorRegistry, InvocationSource, intercept

EXAMPLES = 3 * settings().max_examples  # of the profile that tests/conftest.py has loaded


# -- what a layer may do -----------------------------------------------------------------------------------------------


class Boom(Exception):
    """Raised by layers and targets; the very same objects are raised again and again."""


class Fatal(BaseException):
    """An error that is no Exception, like a cancellation."""


ERRORS = (Boom("a"), Boom("b"), Fatal("c"))
VALUES = (None, 0, "x", ("y",))


class Shown:
    """Printed by its `repr`: hypothesis would try every way to break a tree of calls into lines."""

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))


@dataclass(frozen=True)
class Call:
    """Calls `next` some times in sequence and gives the last result, as it is or wrapped, or a value of its own."""

    times: int = 1
    gives: str = "result"  # or "wrapped", "value", "all"
    value: object = None


@dataclass(frozen=True)
class Skip:
    value: object = None


@dataclass(frozen=True)
class Raise:
    error: BaseException
    after: bool = False  # after a call of `next`


@dataclass(frozen=True)
class Catch:
    """Calls `next`, again after an error up to so many times; then gives a value, raises anew or lets it pass."""

    retries: int = 0
    then: str = "value"  # or "same", "other", "from"
    value: object = None
    error: BaseException = ERRORS[0]
    fatal: bool = False  # catches BaseException, too


@dataclass(frozen=True)
class SetArgument:
    """Changes the argument before each of two calls."""

    first: object
    second: object


@dataclass(frozen=True)
class Layer(Shown):
    script: tuple[object, ...]
    kind: str = "function"
    name: str = ""


@dataclass(frozen=True)
class Nested(Shown):
    parts: tuple[object, ...]


@dataclass(frozen=True)
class Target(Shown):
    """What the innermost call gives, one after the other: an error to raise, or a value."""

    outcomes: tuple[object, ...] = ("result",)


values, errors = st.sampled_from(VALUES), st.sampled_from(ERRORS)
behaviours = st.one_of(
    st.builds(Call),
    st.builds(Call, st.integers(1, 3), st.sampled_from(["result", "wrapped", "value", "all"]), values),
    st.builds(Skip, values),
    st.builds(Raise, errors, st.booleans()),
    st.builds(
        Catch, st.integers(0, 2), st.sampled_from(["value", "same", "other", "from"]), values, errors, st.booleans()
    ),
    st.builds(SetArgument, values, values),
)
layers = st.builds(
    Layer,
    st.lists(behaviours, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["function", "object", "class", "method"]),
)


@st.composite
def nestings(draw):
    """Some layers, and some stretches of them put into a chain of their own, which may be empty."""
    parts = draw(st.lists(layers, max_size=7))
    for start, length in draw(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), max_size=4)):
        parts[start : start + length] = [Nested(tuple(parts[start : start + length]))]
    return number_layers(parts)


targets = st.builds(Target, st.lists(st.one_of(values, errors), min_size=1, max_size=4).map(tuple))


def number_layers(parts, counter=None):
    """Give each layer a name of its own."""
    counter = iter(range(1000)) if counter is None else counter
    return tuple(
        Nested(number_layers(part.parts, counter))
        if isinstance(part, Nested)
        else Layer(part.script, part.kind, f"{next(counter)}")
        for part in parts
    )


def flat(parts):
    for part in parts:
        yield from flat(part.parts) if isinstance(part, Nested) else (part,)


# -- the model ---------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """Interprets the scripts. An outcome is ("gives", value) or ("raises", error)."""

    layers: list
    target: Target
    argument: object = "given"
    events: list = field(default_factory=list)
    entered: Counter = field(default_factory=Counter)

    def entry(self, name, script):
        self.entered[name] += 1
        return script[min(self.entered[name], len(script)) - 1]

    def run(self, depth=0):
        if depth == len(self.layers):
            outcome = self.entry("target", self.target.outcomes)
            self.events.append(("target", self.argument))
            return ("raises" if isinstance(outcome, BaseException) else "gives", outcome)
        layer = self.layers[depth]
        behaviour = self.entry(layer.name, layer.script)
        self.events.append((layer.name, "in"))
        outcome = self.behave(layer, behaviour, depth + 1)
        self.events.append((layer.name, "out"))
        return outcome

    def behave(self, layer, behaviour, inner):
        match behaviour:
            case Skip(value):
                return "gives", value
            case Raise(error, after):
                if after:
                    kind, result = self.run(inner)
                    if kind == "raises":
                        return kind, result
                return "raises", error
            case Call(times, gives, value):
                results = []
                for _ in range(times):
                    kind, result = self.run(inner)
                    if kind == "raises":
                        return kind, result
                    results.append(result)
                return "gives", {
                    "result": results[-1],
                    "wrapped": (layer.name, results[-1]),
                    "value": value,
                    "all": results,
                }[gives]
            case SetArgument(first, second):
                for argument in (first, second):
                    self.argument = argument
                    kind, result = self.run(inner)
                    if kind == "raises":
                        return kind, result
                return "gives", result
            case Catch(retries, then, value, error, fatal):
                for _ in range(retries + 1):
                    kind, result = self.run(inner)
                    if kind == "gives" or (isinstance(result, Fatal) and not fatal):
                        return kind, result
                return {"value": ("gives", value), "same": ("raises", result)}.get(then, ("raises", error))
        raise AssertionError(behaviour)


# -- the real thing ----------------------------------------------------------------------------------------------------


@dataclass
class Real:
    """Makes interceptors of the scripts."""

    target: Target
    events: list = field(default_factory=list)
    entered: Counter = field(default_factory=Counter)
    pauses: bool = False

    async def pause(self):
        if self.pauses:
            await anyio.lowlevel.checkpoint()

    def entry(self, name, script):
        self.entered[name] += 1
        return script[min(self.entered[name], len(script)) - 1]

    async def call(self, argument):
        """The innermost call."""
        outcome = self.entry("target", self.target.outcomes)
        self.events.append(("target", argument))
        await self.pause()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def interceptor(self, layer):
        real = self

        async def interceptor(ctx, next):
            behaviour = real.entry(layer.name, layer.script)
            real.events.append((layer.name, "in"))
            await real.pause()
            try:
                return await real.behave(layer, behaviour, ctx, next)
            finally:
                real.events.append((layer.name, "out"))

        if layer.kind == "function":
            return interceptor

        class Interceptor:
            async def intercept(self, ctx, next):
                return await interceptor(ctx, next)

        if layer.kind == "class":
            return Interceptor
        return Interceptor() if layer.kind == "object" else Interceptor().intercept

    async def behave(self, layer, behaviour, ctx, next):
        match behaviour:
            case Skip(value):
                return value
            case Raise(error, after):
                if after:
                    await next()
                raise error
            case Call(times, gives, value):
                results = [await next() for _ in range(times)]
                if gives == "all":
                    return results
                return {"result": results[-1], "wrapped": (layer.name, results[-1]), "value": value}[gives]
            case SetArgument(first, second):
                ctx.args["argument"] = first
                await next()
                ctx.args[0] = second
                return await next()
            case Catch(retries, then, value, error, fatal):
                for _ in range(retries + 1):
                    try:
                        return await next()
                    except BaseException if fatal else Boom as caught:
                        last = caught
                if then == "value":
                    return value
                if then == "same":
                    raise last
                if then == "from":
                    raise error from last
                raise error
        raise AssertionError(behaviour)

    def parts(self, parts):
        return [Chain(self.parts(part.parts)) if isinstance(part, Nested) else self.interceptor(part) for part in parts]


class Values(dict):
    """Arguments for a chain that is run by hand: the same two ways to set one."""

    def __setitem__(self, key, value):
        super().__setitem__("argument" if key == 0 else key, value)


async def by_hand(real, parts):
    ctx = SimpleNamespace(args=Values(argument="given"))

    async def innermost():
        return await real.call(ctx.args["argument"])

    return await Chain(real.parts(parts))(ctx, innermost)


def service_of(real, parts):
    """Half of the chain at class level, half at method level."""
    interceptors = real.parts(parts)
    half = len(interceptors) // 2

    @intercept(*interceptors[:half])
    class Service:
        @intercept(*interceptors[half:])
        async def work(self, argument):
            return await real.call(argument)

    return Service()


async def invoked(real, parts):
    return await InterceptorRegistry().invoke(service_of(real, parts), "work", "given")


async def proxied(real, parts):
    return await InterceptorRegistry().intercepted(service_of(real, parts)).work(argument="given")


async def as_globals(real, parts):
    registry = InterceptorRegistry()
    for part in real.parts(parts):
        registry.add_global(part)

    class Service:
        async def work(self, argument):
            return await real.call(argument)

    return await registry.invoke(Service(), "work", "given", source=InvocationSource("job"))


async def outcome_of(awaitable):
    try:
        return "gives", await awaitable
    except (Boom, Fatal) as error:
        return "raises", error


def same(one, other):
    """The same kind of outcome: an equal value, or the very same error."""
    return one[0] == other[0] and (one[1] is other[1] if one[0] == "raises" else one[1] == other[1])


BRANCH = ContextVar("branch")  # where in the tree of concurrent calls a task is


# -- the properties ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(deadline=None, max_examples=EXAMPLES)
@given(nestings(), targets, st.booleans())
def test_a_chain_does_what_the_interpreter_does(backend, parts, target, pauses):
    """Each way to run a chain gives the model's result or the same error, after the model's events."""
    model = Model(list(flat(parts)), target)
    expected = model.run()
    event(expected[0])

    async def main():
        for way in (by_hand, invoked, proxied, as_globals):
            real = Real(target, pauses=pauses)
            outcome = await outcome_of(way(real, parts))
            assert same(outcome, expected), way.__name__
            assert real.events == model.events, way.__name__

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(deadline=None, max_examples=EXAMPLES)
@given(nestings(), targets, st.integers(2, 4))
def test_a_kept_chain_has_no_memory(backend, parts, target, runs):
    """One chain, one registry and one proxy, run several times: the second run is as if the first had not been."""

    def model_of_runs():
        model = Model(list(flat(parts)), target)
        for _ in range(runs):
            model.argument = "given"
            yield model.run()
        yield model.events

    *expected, events = model_of_runs()

    async def main():
        by_hand_real, registry_real = Real(target), Real(target)
        chain, ctx = Chain(by_hand_real.parts(parts)), SimpleNamespace(args=Values())

        async def innermost():
            return await by_hand_real.call(ctx.args["argument"])

        registry, service = InterceptorRegistry(), service_of(registry_real, parts)
        for outcome in expected:
            ctx.args["argument"] = "given"
            assert same(await outcome_of(chain(ctx, innermost)), outcome)
            assert same(await outcome_of(registry.invoke(service, "work", "given")), outcome)
        assert by_hand_real.events == events
        assert registry_real.events == events

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(deadline=None, max_examples=EXAMPLES)
@given(nestings(), targets, st.lists(st.integers(1, 3), min_size=1, max_size=2))
def test_concurrent_calls_of_next_are_independent(backend, parts, target, widths):
    """`next()` called concurrently, and again within that: each branch does what it would do alone.

    Each branch has its own counters, events and argument, which layers find by the branch they run in.
    """
    layers = list(flat(parts))
    branches = 1
    for width in widths:
        branches *= width
    alone = Model(layers, target)
    expected = alone.run()

    async def main():
        reals, finished = {}, []

        def interceptor_of(layer):
            async def interceptor(_, next):
                real = reals[BRANCH.get()]
                return await real.interceptor(Layer(layer.script, "function", layer.name))(
                    SimpleNamespace(args=real.args), next
                )

            return interceptor

        def forks(width):
            async def fork(ctx, next):
                parent = BRANCH.get()
                outcomes = []

                async def run(number):
                    BRANCH.set((*parent, number))
                    outcomes.append(await outcome_of(next()))

                async with anyio.create_task_group() as tasks:
                    for number in range(width):
                        tasks.start_soon(run, number)
                finished.extend(outcomes)
                return "forked"

            return fork

        def start_branch():
            async def starts(_, next):
                real = reals[BRANCH.get()] = Real(target, pauses=True)
                real.args = Values(argument="given")
                return await next()

            return starts

        @intercept(*map(forks, widths), start_branch())
        class Service:
            @intercept(*map(interceptor_of, layers))
            async def work(self):
                real = reals[BRANCH.get()]
                return await real.call(real.args["argument"])

        BRANCH.set(())
        assert await InterceptorRegistry().invoke(Service(), "work") == "forked"
        assert len(reals) == branches
        assert all(real.events == alone.events for real in reals.values())
        innermost = [outcome for outcome in finished if outcome != ("gives", "forked")]
        assert all(same(outcome, expected) for outcome in innermost)
        assert len(innermost) == branches or expected == ("gives", "forked")

    anyio.run(main, backend=backend)
