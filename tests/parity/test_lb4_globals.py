"""LoopBack 4, section 1C: global interceptors and registration, F18 to F38.

| rule | what does not apply, and why |
|---|---|
| F18, F36 | Binding tags and their constants: a global is registered with keyword arguments. |
| F19 | Binding specs (scope, tags): the scope is the provider's that one registers. |
| F20, F23 to F25 | Namespaces and generated keys: a key is only what was given as one. |
| F26 | `global: false` for a decorated class: the decorator acts only where `discover` is called. |
| F29, F32 | Orders and shadowing per context: a registry has no parents; `InterceptorRegistry(...)` has the one order. |
| F30 | Symbols as groups: a group is a `str`. |
| F31 | Re-tagging moves a binding (a defect, 1K): there are no tags. |
| F37 | File name patterns of the booter: a package is imported, all of it. |
"""

import itertools

import pytest
from dependency_injector import containers, providers

from interceptors import (
    Chain,
    DuplicateKeyError,
    GroupOrderError,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvocationSource,
    UnknownKeyError,
    compose,
    global_interceptor,
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


class Service:
    """Something to go around."""

    async def work(self):
        return "worked"

    async def other(self):
        return "other"


async def test_f18_every_kind_of_interceptor_can_be_global():
    """F18: a function, an object, a class, a chain, a key or a provider may be global, with a group or without."""
    log, function, bound, one, two, given = layers("fb12g")

    class Built:
        async def intercept(self, ctx, next):
            log.append("c")
            return await next()

    class Container(containers.DeclarativeContainer):
        provided = providers.Factory(Built)
        held = providers.Object(given)

    registry = InterceptorRegistry(Container())
    registry.bind("bound", bound)
    for interceptor in (function, Built(), Built, compose(one, two), "bound", Container.provided, "held"):
        registry.add_global(interceptor, group="same")
    registry.add_global(Chain([]))
    assert await registry.invoke(Service(), "work") == "worked"
    assert "".join(log) == "fcc12bcg"


def package(tmp_path, monkeypatch, name, **modules):
    """Write a package and make it importable."""
    folder = tmp_path / name
    folder.mkdir()
    for module, text in {"__init__": "", **modules}.items():
        (folder / f"{module}.py").write_text(f"from interceptors import global_interceptor\n{text}")
    monkeypatch.syspath_prepend(tmp_path)
    return name


MARKED = """
@global_interceptor(group="{group}", key={key!r}, source={source!r})
class {name}:
    async def intercept(self, ctx, next):
        return [{name!r}, *await next()]
"""


class Lists:
    async def work(self):
        return []


async def test_f19_a_marked_class_is_global_with_what_the_mark_says(tmp_path, monkeypatch):
    """F19: the decorator says group, key and source; a subclass of a marked class is not marked itself.

    Differs: LoopBack's subclass inherits the mark, and with it becomes global unasked; here each class says so.
    """
    name = package(
        tmp_path,
        monkeypatch,
        "f19_marked",
        auth=MARKED.format(group="auth", key="audit", source=("job",), name="Audit") + "class Sub(Audit):\n    pass\n",
        log=MARKED.format(group="log", key=None, source=None, name="Log"),
    )
    registry = InterceptorRegistry(ordered_groups=["log", "auth"])
    added = registry.discover(name)
    assert [cls.__name__ for cls in added] == ["Audit", "Log"]
    assert await registry.invoke(Lists(), "work") == ["Log", "Audit"]
    assert await registry.invoke(Lists(), "work", source=InvocationSource("route")) == ["Log"]
    registry.remove_global("audit")
    assert await registry.invoke(Lists(), "work") == ["Log"]


def test_f19_what_is_no_interceptor_cannot_be_marked():
    """F19: a class without `intercept` is refused by the mark.

    Differs: LoopBack accepts it and fails at the invocation.
    """
    with pytest.raises(InvalidInterceptorError, match="NoInterceptor"):

        @global_interceptor()
        class NoInterceptor:
            """Has no `intercept`."""


async def test_f20_registration_takes_an_interceptor_and_its_options():
    """F20: one call registers an interceptor with its group, key and source; the key then names it.

    Differs: nothing is returned, as there is no binding to configure further.
    """
    log, a, b = layers("ab")
    registry = InterceptorRegistry()
    registry.add_global(a, group="auth", key="a", source="job")
    registry.bind("b", b)
    told = registry.explain(Service, "work", source="route").candidates
    assert [(c.group, c.key, c.interceptor, c.runs) for c in told] == [("auth", "a", a, False)]

    class Local:
        @intercept("b", "a")
        async def work(self):
            """Nothing to do."""

    await registry.invoke(Local(), "work", source=InvocationSource("route"))
    assert log == ["b", "a"]


async def test_f21_global_is_what_is_added_as_global():
    """F21: a key that is only bound is local; what is added as global is global, with a group or source or without.

    Differs: LoopBack guesses from the options; two methods say it.
    """
    log, a, b = layers("ab")
    registry = InterceptorRegistry()
    registry.bind("a", a)
    registry.add_global(b)
    await registry.invoke(Service(), "work")
    assert log == ["b"]


async def test_f22_a_class_is_recognised_by_its_intercept():
    """F22: a class is an interceptor if it has `intercept`; an object of it is one, too, whatever else it is.

    Differs: there are no provider classes with `value`; a dependency-injector provider has that part.
    """

    class Ran(list):
        async def intercept(self, ctx, next):
            self.append(ctx.method_name)
            return await next()

    empty = Ran()
    registry = InterceptorRegistry()
    registry.bind("ran", empty)

    class Local:
        @intercept("ran", Ran)
        async def work(self):
            """Nothing to do."""

    assert not empty
    await registry.invoke(Local(), "work")
    assert empty == ["work"]


async def test_f23_f24_f25_a_key_is_what_was_given_as_key():
    """F23, F24, F25: the key of a global is the one that was given.

    Differs: LoopBack makes keys from names and namespaces; here an interceptor without a key has none and is named by itself.
    """
    log, a = layers("a")
    registry = InterceptorRegistry()
    registry.add_global(a)
    assert [c.key for c in registry.explain(Service, "work").candidates] == [None]
    for key in ("interceptor", "globalInterceptors.interceptor", "interceptors.interceptor"):
        with pytest.raises(UnknownKeyError):
            registry.remove_global(key)
    registry.remove_global(a)
    await registry.invoke(Service(), "work")
    assert log == []


async def test_f26_a_mark_does_nothing_without_discovery():
    """F26: a marked class is local or global as one registers it, and the options given at registration win.

    Differs: in LoopBack the mark wins over `global: false`.
    """
    log = []

    @global_interceptor(group="zip")
    class Marked:
        async def intercept(self, ctx, next):
            log.append("marked")
            return await next()

    registry = InterceptorRegistry()
    registry.bind("marked", Marked)
    await registry.invoke(Service(), "work")
    assert log == []
    registry.add_global(Marked, group="alpha")
    assert [c.group for c in registry.explain(Service, "work").chain] == ["alpha"]


async def test_f27_a_class_is_transient():
    """F27: a class is built for every invocation; another scope is a provider's business."""
    built = []

    class Built:
        def __init__(self):
            built.append(self)

        async def intercept(self, ctx, next):
            return await next()

    class Container(containers.DeclarativeContainer):
        single = providers.Singleton(Built)

    registry = InterceptorRegistry(Container())
    registry.add_global(Built)
    for _ in range(3):
        await registry.invoke(Service(), "work")
    assert len(set(built)) == 3
    registry.remove_global(Built)
    registry.add_global("single")
    built.clear()
    for _ in range(3):
        await registry.invoke(Service(), "work")
    assert len(built) == 1


async def test_f28_the_same_key_twice():
    """F28: a second registration under the same key replaces the first.

    Differs: it is an error, as the first one, maybe the one that authenticates, would be lost without a word; only `bind`
    replaces. There are no locked bindings, and one interceptor under two global keys runs once, in the first place: the same
    interceptor is the same object.
    """
    log, a, b = layers("ab")
    registry = InterceptorRegistry()
    registry.add_global(a, key="k")
    with pytest.raises(DuplicateKeyError):
        registry.add_global(b, key="k")
    registry.bind("k", b)
    await registry.invoke(Service(), "work")
    assert log == ["b"]
    registry.bind("k", a)
    await registry.invoke(Service(), "work")
    assert log == ["b", "a"]
    registry.add_global(a, key="again")
    await registry.invoke(Service(), "work")
    assert log == ["b", "a", "a"]
    assert [c.runs for c in registry.explain(Service, "work").candidates] == [True, False]


async def test_f29_the_order_of_groups_is_the_registry_s():
    """F29: the ordered groups are given once, by the registry; without them there is no order but that of the names.

    Differs: LoopBack reads a binding at each invocation; here a contradiction is found when the registry is made.
    """
    log, a, b = layers("ab")
    for ordered, result in (((), "ab"), (("y", "x"), "ba"), (("x", "y"), "ab")):
        registry = InterceptorRegistry(ordered_groups=ordered)
        registry.add_global(b, group="y")
        registry.add_global(a, group="x")
        log.clear()
        await registry.invoke(Service(), "work")
        assert "".join(log) == result
    with pytest.raises(TypeError):
        InterceptorRegistry(ordered_groups="log")
    with pytest.raises(GroupOrderError) as caught:
        InterceptorRegistry(ordered_groups=["x", "y", "x"])
    assert caught.value.cycle[0] == caught.value.cycle[-1]
    assert set(caught.value.cycle) == {"x", "y"}


@pytest.mark.parametrize(
    ("ordered", "result"),
    [
        ([], ["", "", "Upper", "alpha", "auth", "log", "zeta"]),
        (["log", "auth"], ["", "", "Upper", "alpha", "zeta", "log", "auth"]),
        (["log", "", "auth"], ["Upper", "alpha", "zeta", "log", "", "", "auth"]),
    ],
    ids=["no order", "two listed", "the empty one listed"],
)
def test_f30_groups_are_compared_by_code_points(ordered, result):
    """F30: unlisted groups come first, in code-point order; no group is `""`, which may be listed."""
    registry = InterceptorRegistry(ordered_groups=ordered)
    _, *made = layers("1234567")
    for interceptor, group in zip(made, ["zeta", "auth", None, "alpha", "log", "", "Upper"], strict=True):
        if group is None:
            registry.add_global(interceptor)
        else:
            registry.add_global(interceptor, group=group)
    chain = registry.explain(Service, "work").chain
    assert [c.group for c in chain] == result
    assert [c.interceptor for c in chain if c.group == ""] == [made[2], made[5]]


async def test_f31_discovery_is_by_module_name_then_by_line(tmp_path, monkeypatch):
    """F31: ties keep the order of discovery, which is that of module names and of the lines in them.

    Differs: LoopBack's is the order of the last tag change, nearest context first.
    """
    name = package(
        tmp_path,
        monkeypatch,
        "f31_order",
        zeta=MARKED.format(group="", key=None, source=None, name="First"),
        alpha="".join(MARKED.format(group="", key=None, source=None, name=n) for n in ("Zweite", "Andere")),
    )
    registry = InterceptorRegistry()
    registry.discover(name)
    assert await registry.invoke(Lists(), "work") == ["Zweite", "Andere", "First"]
    assert registry.discover(name) == []


async def test_f32_registries_do_not_see_each_other():
    """F32: a key means what it is bound to in the registry at hand.

    Differs: there are no child contexts to shadow a key in; another registry is simply another one.
    """
    log, a, b = layers("ab")

    class Local:
        @intercept("key")
        async def work(self):
            """Nothing to do."""

    first, second = InterceptorRegistry(), InterceptorRegistry()
    first.bind("key", a)
    second.bind("key", b)
    first.add_global(b)
    await first.invoke(Local(), "work")
    assert "".join(log) == "ba"
    log.clear()
    await second.invoke(Local(), "work")
    assert "".join(log) == "b"


async def test_f33_a_change_takes_effect_at_the_next_invocation():
    """F33: adding or removing at run time concerns the next invocation, never one that runs.

    Differs: a global that is unbound while a chain runs still runs in it; LoopBack fails when its turn comes.
    """
    log, inner, extra = layers("ix")
    registry, changed = InterceptorRegistry(), []

    async def changes(ctx, next):
        if not changed:
            changed.append(True)
            registry.remove_global("inner")
            registry.unbind("inner")
            registry.add_global(extra)
        return await next()

    registry.add_global(changes)
    registry.add_global(inner, key="inner")
    await registry.invoke(Service(), "work")
    assert "".join(log) == "i"
    await registry.invoke(Service(), "work")
    assert "".join(log) == "ix"
    with pytest.raises(UnknownKeyError):
        registry.unbind("inner")


async def test_f34_a_key_named_locally_moves_the_global_there():
    """F34: a global that is named at class or method level leaves the global block and runs at the local position."""
    log, g1, g2, a, b = layers("12ab")
    registry = InterceptorRegistry()
    registry.add_global(g1, key="g1")
    registry.add_global(g2, key="g2")

    class Local:
        @intercept(a, "g1", b)
        async def by_key(self):
            """Nothing to do."""

        @intercept(a, g1, b)
        async def by_object(self):
            """Nothing to do."""

    @intercept("g1")
    class OfClass(Local):
        async def work(self):
            """Nothing to do."""

    for target, method, ran in (
        (Local(), "by_key", "2a1b"),
        (Local(), "by_object", "2a1b"),
        (OfClass(), "work", "21"),
    ):
        log.clear()
        await registry.invoke(target, method)
        assert "".join(log) == ran


async def test_f35_an_interceptor_can_be_left_out():
    """F35: `@skip_interceptors` leaves globals and class-level interceptors out, by object, key or group.

    Differs: LoopBack has no way to opt out.
    """
    log, g, h, c = layers("ghc")
    registry = InterceptorRegistry()
    registry.add_global(g, key="g", group="auth")
    registry.add_global(h)

    @intercept(c)
    class Skips:
        @skip_interceptors("g", c)
        async def by_key_and_object(self):
            """Nothing to do."""

        @skip_interceptors("nowhere", group="auth")
        async def by_group(self):
            """Nothing to do."""

        @skip_interceptors()
        async def everything(self):
            """Nothing to do."""

        @skip_interceptors()
        @intercept(g)
        async def all_from_further_out(self):
            """Nothing to do."""

    @skip_interceptors(group=["auth", ""])
    @intercept(h)
    class OfClass:
        async def keeps_its_own(self):
            """Nothing to do."""

        @intercept("g")
        async def brings_back(self):
            """Nothing to do."""

    for target, method, ran in (
        (Skips(), "by_key_and_object", "h"),
        (Skips(), "by_group", "hc"),
        (Skips(), "everything", ""),
        (Skips(), "all_from_further_out", "g"),
        (OfClass(), "keeps_its_own", "h"),
        (OfClass(), "brings_back", "hg"),
    ):
        log.clear()
        await registry.invoke(target, method)
        assert "".join(log) == ran, method


async def test_f37_a_package_is_searched(tmp_path, monkeypatch):
    """F37: interceptors in a folder are found and registered by what their decorators say.

    Differs: everything below a package is imported; names of files play no part, but tests are left alone.
    """
    name = package(
        tmp_path,
        monkeypatch,
        "f37_booted",
        one=MARKED.format(group="b", key=None, source=None, name="One") + "class NotMarked:\n    pass\n",
        two=f"from f37_booted.one import One\n{MARKED.format(group='a', key=None, source=None, name='Two')}",
        test_three="raise AssertionError",
        conftest="raise AssertionError",
    )
    nested = tmp_path / name / "nested"
    nested.mkdir()
    (nested / "__init__.py").write_text("")
    (nested / "deep.py").write_text(
        "from interceptors import global_interceptor\n"
        "@global_interceptor('c')\nasync def deep(ctx, next):\n    return ['deep', *await next()]\n"
    )
    registry = InterceptorRegistry()
    assert [found.__name__ for found in registry.discover(name)] == ["deep", "One", "Two"]
    assert await registry.invoke(Lists(), "work") == ["Two", "One", "deep"]


async def test_f38_a_component_contributes_by_a_container():
    """F38: a component brings interceptors with it under keys.

    Differs: a component is a container of providers; its interceptors are named by their dotted path.
    """
    log, a = layers("a")

    class Component(containers.DeclarativeContainer):
        audit = providers.Object(a)

    class Container(containers.DeclarativeContainer):
        component = providers.Container(Component)

    registry = InterceptorRegistry(Container())
    registry.add_global("component.audit", group="auth")
    await registry.invoke(Service(), "work")
    assert log == ["a"]


def test_f30_every_order_of_registration_gives_the_same_groups():
    """F30: the order of groups does not depend on the order of registration."""
    _, *made = layers("abc")
    for groups in itertools.permutations(["zeta", "", "log"]):
        registry = InterceptorRegistry(ordered_groups=["log"])
        for interceptor, group in zip(made, groups, strict=True):
            registry.add_global(interceptor, group=group)
        assert [c.group for c in registry.explain(Service, "work").chain] == ["", "zeta", "log"]
