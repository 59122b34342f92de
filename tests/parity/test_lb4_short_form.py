"""LoopBack 4, section 0: the twelve rules that decide everything.

Each test names its rule. Where this library differs from LoopBack the docstring says so, and why. Of the rules only this does not apply:

| rule | why not |
|---|---|
| 5, child contexts before their ancestors | A registry has no parents; what remains of the rule is the order of registration. |
"""

import asyncio
import itertools

import pytest

from interceptors import (
    ForgottenReturnWarning,
    InterceptorRegistry,
    InvocationContext,
    InvocationSource,
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


async def test_rule_1_the_chain_is_globals_class_method_target():
    """Rule 1: the effective chain is sorted globals, class list, method list, target; the first is outermost."""
    log, z, a, c, m = layers("zacm")
    registry = InterceptorRegistry(ordered_groups=["auth", "zip"])
    registry.add_global(z, group="zip")
    registry.add_global(a, group="auth")

    @intercept(c)
    class Service:
        @intercept(m)
        async def work(self):
            log.append("target")

    await registry.invoke(Service(), "work")
    assert log == ["a", "z", "c", "m", "target"]


async def test_rule_2_the_more_local_position_wins_at_all_three_merges():
    """Rule 2: on a duplicate the later, more local position wins: stacked decorators, class against method, globals."""
    log, g, c, u = layers("gcu")
    registry = InterceptorRegistry()
    registry.add_global(g)
    registry.add_global(u)

    @intercept(c, u)
    class Service:
        @intercept(g, u)
        @intercept(c, g)
        async def work(self):
            log.append("target")

    await registry.invoke(Service(), "work")
    assert log == ["u", "c", "g", "target"]


async def test_rule_3_identity_is_that_of_the_object_and_a_key_is_what_it_is_bound_to():
    """Rule 3: functions are the same by identity, never by `==`.

    Differs: a key and what is bound to it are one interceptor, as are two keys of one interceptor. LoopBack runs it twice,
    which is a trap: nobody who writes both means both.
    """
    log = []

    class Equal:
        def __init__(self, name):
            self.name = name

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 0

        async def intercept(self, ctx, next):
            log.append(self.name)
            return await next()

    first, second = Equal("first"), Equal("second")
    registry = InterceptorRegistry()
    registry.bind("one", first)
    registry.bind("uno", "one")

    class Service:
        @intercept("one", second, first, "uno")
        async def work(self):
            log.append("target")

    await registry.invoke(Service(), "work")
    assert log == ["first", "second", "target"]


async def test_rule_4_globals_are_sorted_by_group_unlisted_groups_first():
    """Rule 4: listed groups by their index, unlisted ones before them in code-point order, no group is `""`; ties are stable."""
    log, *made = layers("123456")
    registry = InterceptorRegistry(ordered_groups=["log", "auth"])
    for interceptor, group in zip(made, ["auth", "zeta", "log", "", "Zeta", "zeta"], strict=True):
        registry.add_global(interceptor, group=group)

    class Service:
        async def work(self):
            log.append("target")

    await registry.invoke(Service(), "work")
    assert log == ["4", "5", "2", "6", "3", "1", "target"]


async def test_rule_5_globals_of_one_group_run_in_the_order_of_registration():
    """Rule 5: ties keep the order in which the globals were found."""
    for order in itertools.permutations("abc"):
        log, *made = layers("abc")
        by_letter = dict(zip("abc", made, strict=True))
        registry = InterceptorRegistry()
        for letter in order:
            registry.add_global(by_letter[letter], group="same")

        class Service:
            async def work(self):
                """Nothing to do."""

        await registry.invoke(Service(), "work")
        assert tuple(log) == order


async def test_rule_6_a_source_filter_applies_only_where_there_is_a_source():
    """Rule 6: a global for some source types runs for these, and always where the invocation has no source."""
    log, one, two, always = layers("12*")
    registry = InterceptorRegistry()
    registry.add_global(one, source="job")
    registry.add_global(two, source=["job", "route"])
    registry.add_global(always)

    class Service:
        async def work(self):
            """Nothing to do."""

    async def ran(source):
        log.clear()
        await registry.invoke(Service(), "work", source=source)
        return "".join(log)

    assert await ran(InvocationSource("job")) == "12*"
    assert await ran(InvocationSource("route")) == "2*"
    assert await ran(InvocationSource("other")) == "*"
    assert await ran(None) == "12*"


async def test_rule_7_what_an_interceptor_returns_is_what_the_layer_outside_sees():
    """Rule 7: `next` takes nothing and gives the inner result; not calling it skips the rest; forgetting to return is None.

    Differs: over HTTP None is FastAPI's `null`, not a 204, and with debug=True a forgotten return is reported.
    """
    reached = []

    async def replaces(ctx, next):
        return f"<{await next()}>"

    async def forgets(ctx, next):
        await next()

    async def skips(ctx, next):
        return "cached"

    class Service:
        @intercept(replaces)
        async def replaced(self):
            return "value"

        @intercept(forgets)
        async def forgotten(self):
            return "value"

        @intercept(replaces, skips, forgets)
        async def skipped(self):
            reached.append("target")

    registry = InterceptorRegistry()
    assert await registry.invoke(Service(), "replaced") == "<value>"
    assert await registry.invoke(Service(), "forgotten") is None
    assert await registry.invoke(Service(), "skipped") == "<cached>"
    assert reached == []
    with pytest.warns(ForgottenReturnWarning, match="forgets"):
        assert await InterceptorRegistry(debug=True).invoke(Service(), "forgotten") is None


async def test_rule_8_next_called_twice_runs_everything_further_in_twice():
    """Rule 8: calling `next()` again runs everything further in again, whole.

    Differs: LoopBack's cursor is shared, so its second call gives `undefined` or runs a wrong remainder, and a retry
    silently loses the result.
    """
    log, inner = layers("i")
    numbers = itertools.count(1)

    async def twice(ctx, next):
        return [await next(), await next()]

    class Service:
        @intercept(twice, inner)
        async def work(self):
            log.append("target")
            return next(numbers)

    assert await InterceptorRegistry().invoke(Service(), "work") == [1, 2]
    assert log == ["i", "target", "i", "target"]


async def test_rule_9_the_chain_is_fixed_before_the_first_interceptor_runs():
    """Rule 9: the list is computed before the first interceptor, and a class is built at its own turn, per invocation.

    Differs: keys are resolved with the list, not one by one, so that a wrong key fails before anything has run; and the
    list is kept until the registry changes.
    """
    log, outer, late = layers("ol")
    registry = InterceptorRegistry()

    async def adds(ctx, next):
        registry.add_global(late)
        return await next()

    class Built:
        def __init__(self):
            log.append("built")

        async def intercept(self, ctx, next):
            log.append("B")
            return await next()

    class Service:
        @intercept(outer, adds, Built)
        async def work(self):
            log.append("target")

        @intercept(outer, "nowhere")
        async def broken(self):
            log.append("target")

    await registry.invoke(Service(), "work")
    assert log == ["o", "built", "B", "target"]
    registry.remove_global(late)
    log.clear()
    with pytest.raises(UnknownKeyError, match="nowhere"):
        await registry.invoke(Service(), "broken")
    assert log == []


async def test_rule_10_each_invocation_has_its_own_bindings():
    """Rule 10: what is bound on an invocation is seen further in, also by the target's injected parameters, and by no other."""
    seen = []

    async def binds(ctx, next):
        ctx.bind("number", ctx.args["number"])
        await asyncio.sleep(0)
        return await next()

    class Service:
        @intercept(binds)
        async def work(self, number, ctx: InvocationContext):
            await asyncio.sleep(0)
            seen.append((number, await ctx.get("number")))

        async def other(self, ctx: InvocationContext):
            return await ctx.get("number", None)

    registry = InterceptorRegistry()
    await asyncio.gather(*(registry.invoke(Service(), "work", n) for n in range(5)))
    assert sorted(seen) == [(n, n) for n in range(5)]
    assert await registry.invoke(Service(), "other") is None


async def test_rule_11_errors_pass_as_the_same_object_and_may_be_caught_or_replaced():
    """Rule 11: an error is the same object in every layer outside; any of them may replace or swallow it."""
    error, seen = ValueError("no"), []

    async def sees(ctx, next):
        try:
            return await next()
        except ValueError as caught:
            seen.append(caught)
            raise
        finally:
            seen.append("finally")

    async def swallows(ctx, next):
        try:
            return await next()
        except ValueError:
            return "swallowed"

    async def replaces(ctx, next):
        try:
            return await next()
        except ValueError as caught:
            raise KeyError("yes") from caught

    class Service:
        @intercept(sees, sees)
        async def raises(self):
            raise error

        @intercept(swallows, sees)
        async def swallowed(self):
            raise error

        @intercept(replaces)
        async def replaced(self):
            raise error

    registry = InterceptorRegistry()
    with pytest.raises(ValueError) as caught:
        await registry.invoke(Service(), "raises")
    assert caught.value is error
    assert seen == [error, "finally"]
    assert await registry.invoke(Service(), "swallowed") == "swallowed"
    with pytest.raises(KeyError) as replaced:
        await registry.invoke(Service(), "replaced")
    assert replaced.value.__cause__ is error


async def test_rule_12_the_decorator_only_records():
    """Rule 12: a decorated method that is called directly runs no interceptor; `invoke` and a proxy run them."""
    log, a = layers("a")

    @intercept(a)
    class Service:
        @intercept(a)
        async def work(self):
            return "worked"

    service, registry = Service(), InterceptorRegistry()
    assert await service.work() == "worked"
    assert log == []
    assert await registry.invoke(service, "work") == "worked"
    assert await registry.intercepted(service).work() == "worked"
    assert log == ["a", "a"]
