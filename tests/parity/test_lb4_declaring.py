"""LoopBack 4, section 1A: declaring interceptors, F1 to F9.

| rule | what does not apply, and why |
|---|---|
| F1, F2 | The return type that excludes void is TypeScript's; here `debug=True` reports a forgotten return. |
| F3 | BindingKey objects and property paths (`cfg#deep.i`): a key is a `str`, bound or a dotted path in the container. |
| F4, F5 | "Function-valued properties" become attributes of an object that hold a function. |
| F7 | The metadata keys: what was recorded is read with `registry.explain`. |
| F8 | The merge helper is no public function; its law is tested through stacked decorators. |
"""

import inspect
from functools import partial

import pytest
from dependency_injector import containers, providers

from interceptors import (
    Chain,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    UnknownKeyError,
    annotate,
    intercept,
    skip_interceptors,
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


async def test_f1_an_interceptor_is_an_async_function_of_context_and_next():
    """F1: an interceptor is a function of the context and `next`, and gives the result.

    Differs: it is `async def`; LoopBack also takes synchronous ones, and then a result is sometimes a promise.
    """

    async def adds_one(ctx, next):
        return ctx.method_name, await next() + 1

    class Service:
        @intercept(adds_one)
        async def work(self):
            return 1

    assert await InterceptorRegistry().invoke(Service(), "work") == ("work", 2)


def plain_function(ctx, next):
    """Forgets that interceptors are `async def`."""


class WithoutIntercept:
    """Is no interceptor."""


class WithPlainIntercept:
    def intercept(self, ctx, next):
        """Forgets that it is `async def`."""


class WithProperty:
    @property
    def intercept(self):
        """Is no method."""


@pytest.mark.parametrize(
    "declare",
    [
        intercept,
        skip_interceptors,
        lambda it: Chain([it]),
        lambda it: InterceptorRegistry().add_global(it),
        lambda it: InterceptorRegistry().bind("key", it),
    ],
    ids=["intercept", "skip", "Chain", "add_global", "bind"],
)
@pytest.mark.parametrize(
    "wrong",
    [plain_function, WithoutIntercept, WithoutIntercept(), WithPlainIntercept, WithPlainIntercept(), WithProperty],
    ids=["function", "class", "object", "class with def", "object with def", "class with property"],
)
def test_f1_anything_else_is_refused_where_it_is_declared(declare, wrong):
    """F1: what is no interceptor is an error that names it and its file and line.

    Differs: LoopBack fails at the call, with `fn is not a function`; declared here and refused here is cheaper to find.
    """
    with pytest.raises(InvalidInterceptorError) as caught:
        declare(wrong)
    message = str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert caught.value.interceptor is wrong
    thing = wrong if inspect.isroutine(wrong) or isinstance(wrong, type) else type(wrong)
    assert thing.__qualname__ in message
    assert f"{__file__}:{inspect.getsourcelines(thing)[1]}" in message
    assert "async def" in message.splitlines()[-1]


def test_f1_a_property_or_a_number_is_no_interceptor():
    """F1: a property and other objects are refused, too."""
    for wrong in (WithProperty.__dict__["intercept"], 5, None, [], ""):
        with pytest.raises(InvalidInterceptorError):
            intercept(wrong)


async def test_f2_next_takes_no_argument():
    """F2: `next` has no parameters; the target gets `ctx.args`.

    Differs: LoopBack ignores what is passed; in Python an argument too many is a TypeError.
    """

    async def passes(ctx, next):
        with pytest.raises(TypeError):
            await next("ignored")
        ctx.args["value"] += 1
        return await next()

    class Service:
        @intercept(passes)
        async def work(self, value):
            return value

    assert await InterceptorRegistry().invoke(Service(), "work", 1) == 2


async def test_f3_an_interceptor_or_a_key():
    """F3: what is declared is an interceptor or a key, and a key may stand for another key.

    Differs: an alias and the key it stands for are the same interceptor, and run once, as a key is what it is bound to.
    """
    log, a, b = layers("ab")

    class Container(containers.DeclarativeContainer):
        aspects = providers.Container(
            type("Aspects", (containers.DeclarativeContainer,), {"deep": providers.Object(b)})
        )

    registry = InterceptorRegistry(Container())
    registry.bind("real", a)
    registry.bind("alias", "real")

    class Service:
        @intercept("alias", "aspects.deep", "real", a)
        async def work(self):
            log.append("target")

    await registry.invoke(Service(), "work")
    assert log == ["a", "b", "target"]


async def test_f3_a_key_that_stands_for_itself_is_unknown():
    """F3: aliases that lead nowhere are an UnknownKeyError, and no endless search."""
    registry = InterceptorRegistry()
    registry.bind("here", "there")
    registry.bind("there", "here")

    class Service:
        @intercept("here")
        async def work(self):
            """Never reached."""

    with pytest.raises(UnknownKeyError):
        await registry.invoke(Service(), "work")


@pytest.mark.parametrize("kind", [lambda f: f, staticmethod, classmethod], ids=["instance", "static", "class"])
async def test_f4_decorators_on_a_method_stack(kind):
    """F4: on a method, instance, static or class, decorators stack: top to bottom, left to right, the lower position wins."""
    log, a, b, d = layers("abd")

    registry = InterceptorRegistry()

    async def ran(decorate):
        async def target(*_):
            log.append("target")

        service = type("Service", (), {"work": decorate(target)})
        log.clear()
        await registry.invoke(service(), "work")
        return "".join(letter for letter in log if letter != "target")

    assert await ran(lambda f: kind(intercept()(f))) == ""
    assert await ran(lambda f: kind(intercept(a, b, a)(f))) == "ab"
    assert await ran(lambda f: intercept(a, b)(intercept(d, a)(kind(f)))) == "bda"
    assert await ran(lambda f: intercept(a, b)(kind(intercept(d, a)(f)))) == "bda"
    assert log[-1] == "target"


async def test_f5_decorators_on_a_class_are_for_all_of_its_methods():
    """F5: a class-level list goes around instance, static, class and inherited methods, and around functions of one object."""
    log, a, b = layers("ab")

    class Base:
        async def inherited(self):
            return "inherited"

    @intercept(a)
    @intercept(b, a)
    class Service(Base):
        async def instance(self):
            return "instance"

        @staticmethod
        async def static():
            return "static"

        @classmethod
        async def of_class(cls):
            return cls.__name__

    async def own():
        return "own"

    service, registry = Service(), InterceptorRegistry()
    service.own = own
    for method, result in {
        "inherited": "inherited",
        "instance": "instance",
        "static": "static",
        "of_class": "Service",
        "own": "own",
    }.items():
        log.clear()
        assert await registry.invoke(service, method) == result
        assert "".join(log) == "ba"
    log.clear()
    assert await registry.invoke(Service, "static") == "static"
    assert await registry.invoke(Service, "of_class") == "Service"
    assert "".join(log) == "baba"


@pytest.mark.parametrize("decorator", [intercept, skip_interceptors, annotate])
def test_f6_a_property_cannot_be_decorated(decorator):
    """F6: a decorator on a property is an error where it stands.

    Differs: also on an accessor, which LoopBack accepts without effect.
    """
    with pytest.raises(InvalidTargetError, match="status") as caught:

        class Service:
            @decorator()
            @property
            def status(self):
                """Cannot be intercepted."""

    assert isinstance(caught.value, TypeError)
    for wrong in (5, partial(print)):
        with pytest.raises(InvalidTargetError):
            decorator()(wrong)


async def test_f7_what_was_recorded_can_be_read():
    """F7: tooling can read what was declared, level by level.

    Differs: with `registry.explain`, which also says what runs, and why the rest does not.
    """

    async def one(ctx, next):
        return await next()

    async def two(ctx, next):
        return await next()

    registry = InterceptorRegistry()
    registry.bind("two", two)
    registry.add_global(one, group="all")

    @intercept(one)
    class Service:
        @intercept("two")
        async def work(self):
            """Only explained."""

    explanation = registry.explain(Service, "work")
    told = [(c.level, c.group, c.key, c.interceptor, c.runs) for c in explanation.candidates]
    assert told == [
        ("global", "all", None, one, False),
        ("class", None, None, one, True),
        ("method", None, "two", two, True),
    ]
    assert explanation.candidates[0].reason
    assert explanation.chain == explanation.candidates[1:]
    assert explanation.candidates[2].file_and_line == (__file__, inspect.getsourcelines(two)[1])
    assert all(word in str(explanation) for word in ("Service.work", "global", "class", "method", "two", __file__))


@pytest.mark.parametrize(
    ("front", "back", "merged"),
    [("l", "cl", "cl"), ("l", "lc", "lc"), ("", "x", "x"), ("x", "", "x"), ("l", "c", "lc"), ("lcl", "xcx", "lxc")],
)
async def test_f8_the_merge_rule(front, back, merged):
    """F8: merge(front, back) drops from front what is also in back, then appends back; each keeps first occurrences."""
    log, *made = layers("lcx")
    by_letter = dict(zip("lcx", made, strict=True))

    class Service:
        @intercept(*(by_letter[letter] for letter in front))
        @intercept(*(by_letter[letter] for letter in back))
        async def work(self):
            """Nothing to do."""

    await InterceptorRegistry().invoke(Service(), "work")
    assert "".join(log) == merged


async def test_f9_private_methods_are_left_to_whoever_asks_for_them():
    """F9: interceptors are not meant for private methods: a proxy passes them through, `invoke` by name runs the chain.

    Differs: one that is decorated itself is intercepted, as passing it through would lose its layers in silence.
    """
    log, a, b = layers("ab")

    @intercept(a)
    class Service:
        async def _work(self):
            return "worked"

        @intercept(b)
        async def _guarded(self):
            return "guarded"

    service, registry = Service(), InterceptorRegistry()
    assert await registry.intercepted(service)._work() == "worked"
    assert log == []
    assert await registry.invoke(service, "_work") == "worked"
    assert log == ["a"]
    assert await registry.intercepted(service)._guarded() == "guarded"
    assert log == ["a", "a", "b"]
