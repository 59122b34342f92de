"""LoopBack 4, section 1B: inheritance, F10 to F17.

LoopBack replaces a base's list when a subclass has one of its own, which loses a base's auth interceptor silently. Here lists
accumulate along the MRO, base first, and `@intercept(..., inherit=False)` says on purpose what LoopBack does unasked.

| rule | what does not apply, and why |
|---|---|
| F16 | Static and instance methods of the same name: a Python class has one attribute of a name. |
| F17 | Prototype targets: Python has none. |
"""

from typing import Annotated

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide

from interceptors import InterceptorRegistry, intercept


def layers(letters):
    """A log, and for each letter an interceptor that notes its letter there."""
    log = []

    def make(letter):
        async def interceptor(ctx, next):
            log.append(letter)
            return await next()

        return interceptor

    return log, *map(make, letters)


async def test_f10_a_subclass_inherits_the_class_level_list():
    """F10: a subclass without a class-level list has its base's."""
    log, a = layers("a")

    @intercept(a)
    class Base:
        async def work(self):
            """Nothing to do."""

    class Sub(Base):
        async def more(self):
            """Nothing to do."""

    await InterceptorRegistry().invoke(Sub(), "work")
    await InterceptorRegistry().invoke(Sub(), "more")
    assert log == ["a", "a"]


async def test_f11_a_subclass_adds_to_the_class_level_list():
    """F11: a subclass's class-level list comes after its base's, and a further subclass has both.

    Differs: LoopBack replaces the base's list; `inherit=False` does that here.
    """
    log, a, b, c = layers("abc")

    @intercept(a, b)
    class Base:
        async def work(self):
            """Nothing to do."""

    @intercept(c, a)
    class Sub(Base):
        """Adds."""

    @intercept(c)
    @intercept(a, inherit=False)
    class Afresh(Base):
        """Replaces; its own stacked decorators still add up."""

    class Further(Sub):
        """Has all."""

    class FurtherAfresh(Afresh):
        """Has what replaced."""

    async def ran(cls):
        log.clear()
        await InterceptorRegistry().invoke(cls(), "work")
        return "".join(log)

    assert await ran(Base) == "ab"
    assert await ran(Sub) == "bca"
    assert await ran(Further) == "bca"
    assert await ran(Afresh) == "ca"
    assert await ran(FurtherAfresh) == "ca"


async def test_f12_an_inherited_method_keeps_its_list_inside_that_of_the_subclass():
    """F12: a method that is not overridden has its base's method-level list, and the subclass's class-level list around it."""
    log, a, b = layers("ab")

    class Base:
        @intercept(a)
        async def work(self):
            """Nothing to do."""

    @intercept(b)
    class Sub(Base):
        """Overrides nothing."""

    await InterceptorRegistry().invoke(Sub(), "work")
    await InterceptorRegistry().invoke(Base(), "work")
    assert log == ["b", "a", "a"]


async def test_f13_an_override_without_decorator_keeps_the_list():
    """F13: an override without `@intercept` keeps the method-level list of its base."""
    log, a = layers("a")

    class Base:
        @intercept(a)
        async def work(self):
            """Overridden."""

    class Sub(Base):
        async def work(self):
            return "sub"

    assert await InterceptorRegistry().invoke(Sub(), "work") == "sub"
    assert log == ["a"]


async def test_f14_an_override_with_decorator_adds_to_the_list():
    """F14: an override's method-level list comes after that of its base.

    Differs: LoopBack replaces it; `inherit=False` does that here, and leaves the class level alone.
    """
    log, a, b, c = layers("abc")

    @intercept(c)
    class Base:
        @intercept(a)
        async def work(self):
            """Overridden."""

    class Adds(Base):
        @intercept(b)
        async def work(self):
            """Nothing to do."""

    class Replaces(Base):
        @intercept(b, inherit=False)
        async def work(self):
            """Nothing to do."""

    await InterceptorRegistry().invoke(Adds(), "work")
    assert log == ["c", "a", "b"]
    log.clear()
    await InterceptorRegistry().invoke(Replaces(), "work")
    assert log == ["c", "b"]


@pytest.mark.parametrize("inherit", [True, False])
async def test_f15_the_order_of_members_does_not_matter(inherit):
    """F15: the rule for an override is the same whichever member of the subclass was decorated first.

    Differs: LoopBack replaces the list of the first decorated member and merges those of the others, which is a bug.
    """
    log, a, b, x = layers("abx")

    class Base:
        @intercept(a)
        async def first(self):
            """Overridden."""

        @intercept(a)
        async def second(self):
            """Overridden."""

    class Sub(Base):
        @intercept(b, inherit=inherit)
        async def first(self):
            """Nothing to do."""

        @intercept(x)
        async def between(self):
            """Nothing to do."""

        @intercept(b, inherit=inherit)
        async def second(self):
            """Nothing to do."""

    for method in ("first", "second"):
        log.clear()
        await InterceptorRegistry().invoke(Sub(), method)
        assert "".join(log) == ("ab" if inherit else "b")


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
async def test_f16_static_and_class_methods_inherit_as_instance_methods_do(kind):
    """F16: the same rules hold for static and class methods, on the class and on its objects."""
    log, a, b, c = layers("abc")

    async def base(*_):
        return "base"

    async def override(*_):
        return "override"

    @intercept(c)
    class Base:
        work = kind(intercept(a)(base))

    class Sub(Base):
        """Inherits."""

    class Override(Base):
        work = kind(intercept(b)(override))

    registry = InterceptorRegistry()
    for target, result, ran in (
        (Sub, "base", "ca"),
        (Sub(), "base", "ca"),
        (Override, "override", "cab"),
        (Override(), "override", "cab"),
    ):
        log.clear()
        assert await registry.invoke(target, "work") == result
        assert "".join(log) == ran


async def test_f16_a_diamond_is_read_along_the_mro():
    """F16: with several bases the lists follow the MRO, base first, and a shared base counts once."""
    log, t, left, right, b = layers("tlrb")

    @intercept(t)
    class Top:
        @intercept(t)
        async def work(self):
            """Overridden."""

    @intercept(left)
    class Left(Top):
        @intercept(left)
        async def work(self):
            """Overridden."""

    @intercept(right)
    class Right(Top):
        """Has no method of its own."""

    @intercept(b)
    class Bottom(Left, Right):
        """Has no method of its own."""

    async def ran(cls):
        log.clear()
        await InterceptorRegistry().invoke(cls(), "work")
        return "".join(log)

    assert await ran(Bottom) == "rbtl"
    assert await ran(Right) == "rt"
    assert await ran(Left) == "tl"


async def test_f17_injection_follows_the_signature_of_the_override():
    """F17: what is injected into an overridden method is what the override's own signature says.

    Differs: LoopBack also injects by the position of the base's parameters; a signature that says nothing of it would lie.
    """

    class Container(containers.DeclarativeContainer):
        word = providers.Object("injected")

    class Base:
        async def work(self, word: Annotated[str, Provide["word"]]):
            return word

    class Inherits(Base):
        """Does not override."""

    class Overrides(Base):
        async def work(self, word):
            return word

    registry = InterceptorRegistry(Container())
    assert await registry.invoke(Inherits(), "work") == "injected"
    assert await registry.invoke(Overrides(), "work", "given") == "given"
    with pytest.raises(TypeError, match="word"):
        await registry.invoke(Overrides(), "work")
