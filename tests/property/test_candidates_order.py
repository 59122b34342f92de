"""The effective order of any combination of globals, class levels, method levels, skips and duplicates.

The model below is written from the contract (sections 4.2 and 4.3 of the design), naively: permutations of groups, lists, `in`.
It works with the numbers of interceptors, as keys and objects of one interceptor are the same interceptor.

A long campaign: `HYPOTHESIS_PROFILE=campaign python -m pytest tests/property`.
"""

import asyncio
from dataclasses import dataclass, field
from itertools import permutations

import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from interceptors import (
    Chain,
    DuplicateKeyError,
    GroupOrderError,
    InterceptorRegistry,
    InvocationSource,
    intercept,
    skip_interceptors,
)

# -- what may be declared ----------------------------------------------------------------------------------------------

EXAMPLES = 3 * settings().max_examples  # of the profile that tests/conftest.py has loaded

NUMBERS = range(8)
GROUPS = ("", "Z", "a", "b", "é", "zz")
SOURCES = ("route", "proxy", "job")


class Shown:
    """Printed by its `repr`: hypothesis would try every way to break a tree of calls into lines."""

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))


@dataclass(frozen=True)
class Ref:
    """An interceptor as it is named in a declaration: by itself, by its key, or by a key that stands for its key."""

    number: int
    how: str = "itself"


@dataclass(frozen=True)
class Global(Shown):
    ref: Ref
    group: str = ""
    key: str | None = None
    source: str | tuple[str, ...] | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intercept:
    refs: tuple[Ref, ...]
    inherit: bool = True


@dataclass(frozen=True)
class Skip:
    refs: tuple[Ref, ...]
    groups: tuple[str, ...] = ()
    unknown: bool = False

    @property
    def everything(self):
        return not self.refs and not self.groups and not self.unknown


@dataclass(frozen=True)
class Cls:
    bases: tuple[int, ...]
    decorators: tuple[Intercept | Skip, ...] = ()  # the upper one first
    has_method: bool = False
    method_decorators: tuple[Intercept | Skip, ...] = ()


@dataclass(frozen=True)
class World(Shown):
    ordered: tuple[str, ...] = ()
    globals: tuple[Global, ...] = ()
    classes: tuple[Cls, ...] = (Cls((), has_method=True),)
    kind: str = "instance"
    source: str | None = None


hows = st.sampled_from(["itself", "key", "alias"])
refs = st.builds(Ref, st.sampled_from(NUMBERS), hows)
some_refs = st.lists(refs, max_size=4).map(tuple)
some_groups = st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple)
sources = st.one_of(
    st.none(), st.just(""), st.sampled_from(SOURCES), st.lists(st.sampled_from(SOURCES), max_size=2).map(tuple)
)


@st.composite
def keyed(draw, *demands):
    """A global; of a key, if it has one, that no other interceptor has: two under one key are an error."""
    ref = draw(refs)
    key = draw(st.sampled_from([None, None, f"g{ref.number}"]))
    return Global(ref, draw(st.sampled_from(GROUPS)), key, draw(sources), *map(draw, demands))


global_entries = keyed(some_groups, some_groups)
plain_globals = keyed()
intercepts = st.builds(Intercept, some_refs, st.sampled_from([True, True, True, False]))
skips = st.builds(Skip, st.lists(refs, max_size=2).map(tuple), some_groups, st.sampled_from([False, False, True]))
decorators = st.lists(st.one_of(intercepts, intercepts, skips), max_size=3).map(tuple)


@st.composite
def worlds(draw):
    classes = [Cls((), draw(decorators), True, draw(decorators))]
    for number in range(1, draw(st.integers(1, 5))):
        bases = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2, unique=True))
        # A class that comes later in the list may derive from one that comes earlier, so it has to stand before it.
        has_method = draw(st.booleans())
        classes.append(
            Cls(
                tuple(sorted(bases, reverse=True)),
                draw(decorators),
                has_method,
                draw(decorators) if has_method else (),
            )
        )
    return World(
        ordered=tuple(draw(st.lists(st.sampled_from(GROUPS), max_size=4, unique=True))),
        globals=tuple(draw(st.lists(plain_globals, max_size=6))),
        classes=tuple(classes),
        kind=draw(st.sampled_from(["instance", "static", "class"])),
        source=draw(st.sampled_from([None, *SOURCES])),
    )


# -- the model ---------------------------------------------------------------------------------------------------------


def merge(front, back):
    """Drop from front what is also in back, then append back, each keeping first occurrences."""
    front, back = list(dict.fromkeys(front)), list(dict.fromkeys(back))
    return [x for x in front if x not in back] + back


def model_groups(used, ordered, demands):
    """The order of the used groups, None for a contradiction. `demands` are pairs (earlier, later)."""
    groups = {*used, *ordered, *(group for pair in demands for group in pair)}
    before = {*demands, *((ordered[i], ordered[j]) for i in range(len(ordered)) for j in range(i + 1, len(ordered)))}
    while True:  # what follows from the demands, also by way of groups that nobody uses
        more = before | {(a, d) for a, b in before for c, d in before if b == c}
        if more == before:
            break
        before = more
    if any((group, group) in before for group in groups):
        return None

    def rank(group):  # what only breaks ties
        return (1, ordered.index(group), "") if group in ordered else (0, 0, group)

    possible = [
        order
        for order in permutations(sorted(used, key=rank))
        if not any((later, earlier) in before for i, earlier in enumerate(order) for later in order[i + 1 :])
    ]
    return min(possible, key=lambda order: [rank(group) for group in order])


def model_globals(world):
    """The globals in force, in order: [(number, group)]; None if the groups contradict each other."""
    kept = []
    for entry in world.globals:  # the same one again, under its key, stands where it is registered last
        kept = [k for k in kept if entry.key is None or k.key != entry.key] + [entry]
    demands = {(g.group, other) for g in kept for other in g.before}
    demands |= {(other, g.group) for g in kept for other in g.after}
    order = model_groups({g.group for g in kept}, world.ordered, demands)
    if order is None:
        return None
    applied = [
        g
        for group in order
        for g in kept
        if g.group == group
        and (
            g.source in (None, "")
            or world.source is None
            or world.source == g.source
            or (isinstance(g.source, tuple) and world.source in g.source)
        )
    ]
    found = []
    for g in applied:
        if g.ref.number not in [number for number, _ in found]:
            found.append((g.ref.number, g.group))
    return found


def model_level(records, outside, level):
    """Walk one level along the MRO, base first. A skip concerns this list and those of the levels outside."""
    own = []
    for decorators in records:
        written = [d for d in decorators if isinstance(d, Intercept)]
        if not all(d.inherit for d in written):
            own = []
        skips = [d for d in decorators if isinstance(d, Skip)]
        if any(skip.everything for skip in skips):  # from further out: not what these decorators add themselves
            own = []
            for entries in outside:
                entries.clear()
        for decorator in written:
            own = merge(own, [ref.number for ref in decorator.refs])
        for skip in skips:
            gone = {ref.number for ref in skip.refs}
            for entries in outside:
                entries[:] = [
                    (number, group) for number, group in entries if number not in gone and group not in skip.groups
                ]
            own = [number for number in own if number not in gone]
    return [(number, level) for number in own]


def model(world, mro):
    """The numbers of the interceptors that run, outermost first, each with its level; None for a contradiction."""
    globals_ = model_globals(world)
    if globals_ is None:
        return None
    bases = [world.classes[number] for number in reversed(mro)]
    # Levels within levels are no groups: a local one has none, so that `group=` never concerns it.
    outside = list(globals_)
    of_class = model_level([cls.decorators for cls in bases], [outside], ("class",))
    of_method = model_level(
        [cls.method_decorators for cls in bases if cls.has_method], [outside, of_class], ("method",)
    )
    result = [(number, ("global",)) for number, _ in outside]
    for level in (of_class, of_method):
        named = [number for number, _ in level]
        result = [entry for entry in result if entry[0] not in named] + level
    return [(number, level) for number, (level,) in result]


# -- the real thing ----------------------------------------------------------------------------------------------------


@dataclass
class Universe:
    """One interceptor of every kind; each notes its number when it runs."""

    log: list = field(default_factory=list)

    def __post_init__(self):
        log = self.log

        def function(number):
            async def interceptor(ctx, next):
                log.append(number)
                return await next()

            return interceptor

        class Equal:
            """Claims to be the same as everything else, and to be nothing."""

            def __init__(self, number):
                self.number = number

            def __eq__(self, other):
                return True

            def __hash__(self):
                return 1

            def __bool__(self):
                return False

            async def intercept(self, ctx, next):
                log.append(self.number)
                return await next()

            async def bound(self, ctx, next):
                log.append(self.number + 1)
                return await next()

        class Built:
            async def intercept(self, ctx, next):
                log.append(5)
                return await next()

        six = function(6)
        self.objects = [
            function(0),
            function(1),
            Equal(2),
            Equal(3),
            Equal(3).bound,  # 4: each access makes another bound method
            Built,
            Chain([six, Chain()]),
            Chain([Chain([function(7)])]),
        ]

    def again(self, number):
        """The interceptor itself; a bound method is fetched anew."""
        found = self.objects[number]
        return found.__self__.bound if number == 4 else found

    def named(self, ref):
        if ref.how == "itself":
            return self.again(ref.number)
        return f"{'k' if ref.how == 'key' else 'alias'}{ref.number}"

    def number_of(self, interceptor):
        (number,) = [
            number
            for number in NUMBERS
            if self.objects[number] is interceptor
            or (number == 4 and getattr(interceptor, "__self__", None) is self.objects[4].__self__)
        ]
        return number

    def registry(self, world):
        registry = InterceptorRegistry(ordered_groups=world.ordered)
        for number in NUMBERS:
            registry.bind(f"k{number}", self.again(number))
            registry.bind(f"alias{number}", f"k{number}")
        for entry in world.globals:
            registry.add_global(
                self.named(entry.ref),
                group=entry.group,
                key=entry.key,
                source=entry.source,
                before=entry.before,
                after=entry.after,
            )
        return registry

    def decorate(self, target, decorators):
        for decorator in reversed(decorators):
            if isinstance(decorator, Intercept):
                target = intercept(*map(self.named, decorator.refs), inherit=decorator.inherit)(target)
            else:
                names = [self.named(ref) for ref in decorator.refs] + ["nowhere"] * decorator.unknown
                options = {"group": decorator.groups} if decorator.groups else {}
                target = skip_interceptors(*names, **options)(target)
        return target

    def target(self, world):
        """The last class, and the numbers of the classes along its MRO; None if the bases contradict each other."""
        made = []
        kind = {"instance": lambda f: f, "static": staticmethod, "class": classmethod}[world.kind]
        for cls in world.classes:

            async def work(*_):
                self.log.append("target")
                return "result"

            namespace = {"work": self.decorate(kind(work), cls.method_decorators)} if cls.has_method else {}
            try:
                new = type("Service", tuple(made[base] for base in cls.bases), namespace)
            except TypeError:
                return None
            made.append(self.decorate(new, cls.decorators))
        return made[-1], [made.index(cls) for cls in made[-1].__mro__ if cls is not object]


def check(world):
    universe = Universe()
    found = universe.target(world)
    assume(found is not None)
    cls, mro = found
    expected = model(world, mro)
    assert expected is not None
    registry = universe.registry(world)
    event(f"{len(expected)} run")

    explanation = registry.explain(cls, "work", source=world.source)
    told = [(universe.number_of(candidate.interceptor), candidate.level) for candidate in explanation.chain]
    assert told == expected

    # Everything that was declared is explained: it runs, or there is a reason.
    written = [d for c in (world.classes[n] for n in mro) for d in (*c.decorators, *c.method_decorators)]
    local = sum(len(d.refs) for d in written if isinstance(d, Intercept))
    keys = [g.key for g in world.globals if g.key is not None]
    assert len(explanation.candidates) == local + len(world.globals) - (len(keys) - len(set(keys)))
    assert all(candidate.runs != bool(candidate.reason) for candidate in explanation.candidates)
    levels = [candidate.level for candidate in explanation.candidates]
    assert levels == sorted(levels, key=["global", "class", "method"].index)

    async def run():
        source = None if world.source is None else InvocationSource(world.source)
        targets = [cls()] if world.kind == "instance" else [cls(), cls]
        for target in targets:
            for _ in range(2):  # the second time the chain is a kept one
                universe.log.clear()
                assert await registry.invoke(target, "work", source=source) == "result"
                assert universe.log == [*(number for number, _ in expected), "target"]
            if world.source == "proxy":
                universe.log.clear()
                assert await registry.intercepted(target).work() == "result"
                assert universe.log == [*(number for number, _ in expected), "target"]

    asyncio.run(run())


# -- the properties ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=EXAMPLES)
@given(worlds())
@example(World(globals=(Global(Ref(2, "key")), Global(Ref(2), group="a")), ordered=("a", "")))
def test_the_effective_chain_is_the_model_s(world):
    """What runs, and what `explain` tells, is what the rules of levels, merging, skipping and inheritance say."""
    check(world)


@settings(deadline=None, max_examples=EXAMPLES)
@given(worlds())
def test_a_function_has_globals_and_a_level_of_its_own(world):
    """A function, a route for example, has its own list where a class and its method have theirs."""
    universe = Universe()
    decorators = world.classes[0].decorators

    async def function():
        """Only explained."""

    assert universe.decorate(function, decorators) is function
    outside = model_globals(world)
    own = model_level([decorators], [outside], "method")
    local = [number for number, _ in own]
    expected = [(number, "global") for number, _ in outside if number not in local] + own
    explanation = universe.registry(world).explain(function, source=world.source)
    told = [(universe.number_of(candidate.interceptor), candidate.level) for candidate in explanation.chain]
    assert told == expected


@st.composite
def constrained(draw):
    """Globals only, with constraints: about half of these worlds contradict themselves."""
    return World(
        ordered=tuple(draw(st.lists(st.sampled_from(GROUPS), max_size=3, unique=True))),
        globals=tuple(draw(st.lists(global_entries, max_size=5))),
        source=draw(st.sampled_from([None, *SOURCES])),
    )


@settings(deadline=None, max_examples=EXAMPLES)
@given(constrained())
@example(World(globals=(Global(Ref(0), "a", before=("a",)),)))
@example(World(globals=(Global(Ref(0), "a", before=("b",)), Global(Ref(1), "zz", after=("b",)))))
@example(World(ordered=("a", "b"), globals=(Global(Ref(0), "b", key="g0", before=("zz",)), Global(Ref(0), "Z", "g0"))))
def test_constraints_order_groups_or_contradict(world):
    """Groups are sorted by every demand, ties by "unlisted first" and code points; a contradiction names its cycle."""
    universe = Universe()
    registry = universe.registry(World(world.ordered))
    cls, mro = universe.target(world)
    so_far = []
    for entry in world.globals:
        attempt = World(world.ordered, (*so_far, entry), source=world.source)
        options = {name: getattr(entry, name) for name in ("group", "key", "source", "before", "after")}
        if model_globals(attempt) is None:
            event("a contradiction")
            with pytest.raises(GroupOrderError) as caught:
                registry.add_global(universe.named(entry.ref), **options)
            check_cycle(caught.value, attempt)
        else:
            registry.add_global(universe.named(entry.ref), **options)
            so_far.append(entry)
        # Nothing of what was refused is left behind.
        told = registry.explain(cls, "work", source=world.source).chain
        expected = model(World(world.ordered, tuple(so_far), source=world.source), mro)
        assert [universe.number_of(candidate.interceptor) for candidate in told] == [number for number, _ in expected]
    check(World(world.ordered, tuple(so_far), source=world.source))


def check_cycle(error, world):
    """Each step of the cycle is a demand that somebody made."""
    demands = set(zip(world.ordered, world.ordered[1:], strict=False))
    for entry in world.globals:
        demands |= {(entry.group, other) for other in entry.before}
        demands |= {(other, entry.group) for other in entry.after}
    assert len(error.cycle) >= 2
    assert error.cycle[0] == error.cycle[-1]
    assert set(zip(error.cycle, error.cycle[1:], strict=False)) <= demands
    assert all(repr(group) in str(error) for group in error.cycle)


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.lists(st.tuples(refs, st.sampled_from(["g0", "g1", "k2"]), st.booleans()), max_size=6))
def test_a_key_never_means_two_interceptors(steps):
    """What is declared under a key that means another interceptor is refused and changes nothing; `bind` may replace it."""

    async def called(): ...

    universe = Universe()
    registry = universe.registry(World())
    bound = {f"k{number}": number for number in NUMBERS}
    in_force = []
    for ref, key, is_bound in steps:
        if is_bound:
            registry.bind(key, universe.again(ref.number))
            bound[key] = ref.number
        elif bound.get(key, ref.number) != ref.number:
            with pytest.raises(DuplicateKeyError) as caught:
                registry.add_global(universe.again(ref.number), key=key)
            assert (caught.value.key, repr(key) in str(caught.value)) == (key, True)
        else:
            registry.add_global(universe.again(ref.number), key=key)
            bound[key] = ref.number
            in_force = [each for each in in_force if each != key] + [key]
        chain = [universe.number_of(candidate.interceptor) for candidate in registry.explain(called).chain]
        assert chain == list(dict.fromkeys(bound[each] for each in in_force))


@settings(deadline=None, max_examples=EXAMPLES)
@given(worlds(), st.data())
def test_changes_take_effect_at_the_next_invocation(world, data):
    """A registry that was changed step by step, with invocations in between, is the same as one made at once."""
    universe = Universe()
    found = universe.target(world)
    assume(found is not None)
    cls, mro = found
    registry = universe.registry(World(world.ordered))
    source = None if world.source is None else InvocationSource(world.source)

    async def ran():
        universe.log.clear()
        await registry.invoke(cls(), "work", source=source)
        return universe.log[:-1]

    async def run():
        kept = []
        for entry in world.globals:
            registry.add_global(universe.named(entry.ref), group=entry.group, key=entry.key, source=entry.source)
            kept = [k for k in kept if entry.key is None or k.key != entry.key] + [entry]
            assert await ran() == [number for number, _ in model(world_of(kept), mro)]
        while kept:
            entry = data.draw(st.sampled_from(kept))
            same = [k for k in kept if k.ref.number == entry.ref.number]
            if entry.key is not None and data.draw(st.booleans()):
                registry.unbind(entry.key)
                same = [entry]
            elif entry.key is not None and same == [entry]:
                registry.remove_global(entry.key)
            else:  # by any of its names
                registry.remove_global(universe.named(Ref(entry.ref.number, data.draw(hows))))
            kept = [k for k in kept if k not in same]
            assert await ran() == [number for number, _ in model(world_of(kept), mro)]

    def world_of(kept):
        return World(world.ordered, tuple(kept), world.classes, world.kind, world.source)

    asyncio.run(run())
