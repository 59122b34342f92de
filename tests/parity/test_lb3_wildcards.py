"""LoopBack 3, section 1.6: wildcards, and the order in which hooks of different patterns run (contract 1.2).

| rule | what does not apply, and why |
|---|---|
| `registerPhaseHandler`'s own wildcards (`*` is `[^.]*`, `**` is `.*`) | There are no phases. |
"""

import random

import pytest

from interceptors.errors import InvalidPatternError
from interceptors.remoting import RemoteHooks
from tests.unit.remoting.support import call

CALLS = ["User.find", "User.prototype.save", "Order.find", "Order.prototype.save"]
ALL, STATIC, INSTANCE = CALLS, [CALLS[0], CALLS[2]], [CALLS[1], CALLS[3]]


async def ran(register, pattern):
    """The calls for which a hook of this pattern runs."""
    hooks, log = RemoteHooks(), []
    register(hooks)(pattern, lambda ctx: log.append(ctx.method_string))
    for name in CALLS:
        await call(hooks, name)
    return log


@pytest.mark.parametrize(
    ("pattern", "calls"),
    [
        ("**", ALL),
        ("*.**", ALL),
        ("**.*", ALL),
        ("*", []),
        ("*.*", STATIC),
        ("*.*.*", INSTANCE),
        ("*.prototype.*", INSTANCE),
        ("*.prototype.**", INSTANCE),
        ("**.prototype.*", INSTANCE),
        ("*.find", STATIC),
        ("**.find", STATIC),
        ("*.save", []),
        ("**.save", INSTANCE),
        ("*.*.save", INSTANCE),
        ("User.*", ["User.find"]),
        ("User.**", ["User.find", "User.prototype.save"]),
        ("User.prototype.*", ["User.prototype.save"]),
        ("User.prototype.**", ["User.prototype.save"]),
        ("User.*.save", ["User.prototype.save"]),
        ("User.*.*", ["User.prototype.save"]),
    ],
)
async def test_the_table_of_wildcards(pattern, calls):
    """Literal: equal; `*`: exactly one segment; `**`: one or more at the end, zero or more elsewhere."""
    assert await ran(lambda hooks: hooks.before_remote, pattern) == calls


@pytest.mark.parametrize(
    ("pattern", "calls"),
    [
        ("find", ["User.find"]),
        ("*", ["User.find"]),
        ("**", ["User.find", "User.prototype.save"]),
        ("*.save", ["User.prototype.save"]),
        ("*.*", ["User.prototype.save"]),
        ("prototype.save", ["User.prototype.save"]),
        ("save", []),
    ],
)
async def test_the_table_of_a_models_wildcards(pattern, calls):
    """The model stands in front: `User.beforeRemote('*.*')` are instance methods, although the documentation says static."""
    assert await ran(lambda hooks: hooks.model("User").before_remote, pattern) == calls


async def test_a_models_star_save_is_the_instance_method_alone():
    """`Customer.beforeRemote('*.save')` of the migration guide: `Customer.prototype.save`, not `Customer.save`."""
    hooks, log = RemoteHooks(), []
    hooks.model("Customer").before_remote("*.save", lambda ctx: log.append(ctx.method_string))
    for name in ("Customer.prototype.save", "Customer.save", "Customer.prototype.orders.save", "Order.prototype.save"):
        await call(hooks, name)
    assert log == ["Customer.prototype.save"]


async def test_matching_is_case_sensitive():
    """A literal is equal or it is not."""
    assert await ran(lambda hooks: hooks.before_remote, "user.find") == []
    assert await ran(lambda hooks: hooks.before_remote, "User.Find") == []


async def test_the_end_of_a_pattern_is_not_zero_segments():
    """Differs: in LB3 `User.find.**` matches `User.find` as long as no hook is registered for `User.find`, an accident."""
    assert await ran(lambda hooks: hooks.before_remote, "User.find.**") == []


@pytest.mark.parametrize("pattern", ["find*", "User.f*", "*d", "User.__*__orders", "", "User..find", "User.", ".find"])
def test_a_partial_wildcard_is_refused(pattern):
    """Differs: LB3 accepts it and it never matches. Empty segments likewise."""
    hooks = RemoteHooks()
    for register in (hooks.before_remote, hooks.after_remote, hooks.after_remote_error):
        with pytest.raises(InvalidPatternError):
            register(pattern, lambda ctx: None)


@pytest.mark.parametrize("pattern", ["**.**", "**.User.**", "**.**.find"])
def test_a_second_double_star_is_refused(pattern):
    """Differs: in LB3 it is a quirk of the listeners' tree, and never matches."""
    with pytest.raises(InvalidPatternError):
        RemoteHooks().before_remote(pattern, lambda ctx: None)


async def test_a_double_star_before_a_star_matches():
    """Differs: in LB3 `**.*.find` never matches, by the same quirk; here the rule of segments holds for it, too."""
    assert await ran(lambda hooks: hooks.before_remote, "**.*.find") == STATIC
    assert await ran(lambda hooks: hooks.before_remote, "**.*.save") == INSTANCE


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after", "error"])
@pytest.mark.parametrize("name", ["User.find", "User.prototype.save"])
async def test_the_most_specific_pattern_runs_first(when, name):
    """`User.find`, `User.*`, `User.**`, `*.find`, `*.*`, `**`, `**.find`: in both directions, before and after alike (#3434).

    Flat, not an onion: after hooks run specific first, too, where interceptors nest global, class, method.
    """
    patterns = ["User.find", "User.*", "User.prototype.*", "User.**", "*.find", "*.*", "*.**", "**", "**.find"]
    matching = {
        "User.find": ["User.find", "User.*", "User.**", "*.find", "*.*", "*.**", "**", "**.find"],
        "User.prototype.save": ["User.prototype.*", "User.**", "*.**", "**"],
    }
    for order in (patterns, patterns[::-1], random.Random(1).sample(patterns, len(patterns))):
        hooks, log = RemoteHooks(), []
        register = {
            "before": hooks.before_remote,
            "after": hooks.after_remote,
            "error": hooks.after_remote_error,
        }[when]
        for pattern in order:
            register(pattern, lambda ctx, pattern=pattern: log.append(pattern))
        if when == "error":
            with pytest.raises(ValueError, match="no"):
                await call(hooks, name, raises=ValueError("no"))
        else:
            await call(hooks, name)
        assert log == matching[name]


async def test_within_one_pattern_the_order_of_registration_holds():
    """Also between a model's pattern and the same one written out, and between patterns with equal vectors."""
    hooks, log = RemoteHooks(), []
    hooks.before_remote("User.find", lambda ctx: log.append(1))
    hooks.before_remote("**", lambda ctx: log.append(4))
    hooks.model("User").before_remote("find", lambda ctx: log.append(2))
    hooks.before_remote("**", lambda ctx: log.append(5))
    hooks.before_remote("User.find", lambda ctx: log.append(3))
    await call(hooks)
    assert log == [1, 2, 3, 4, 5]


class Node:
    """LB3's tree of listeners, as far as `**` is alone or last."""

    def __init__(self):
        self.listeners = []
        self.children = {}

    def add(self, pattern, listener):
        node = self
        for segment in pattern.split("."):
            node = node.children.setdefault(segment, Node())
        node.listeners.append(listener)

    def walk(self, segments):
        """The end, else the literal child, then `*`, then `**` with all that is left."""
        if not segments:
            yield from self.listeners
            return
        for key in (segments[0], "*"):
            if key in self.children:
                yield from self.children[key].walk(segments[1:])
        if "**" in self.children:
            yield from self.children["**"].listeners


async def test_the_order_is_that_of_lb3s_own_walk():
    """For patterns whose `**` is alone or last, the sort by vectors and LB3's walk through its tree give the same order."""
    draw = random.Random(7)
    for _ in range(1_000):
        hooks, log, tree = RemoteHooks(), [], Node()
        for listener in range(draw.randrange(1, 10)):
            segments = draw.choices(["User", "Order", "prototype", "find", "save", "*", "*"], k=draw.randrange(4))
            if not segments or draw.random() < 0.3:
                segments.append("**")
            pattern = ".".join(segments)
            tree.add(pattern, listener)
            hooks.before_remote(pattern, lambda ctx, listener=listener: log.append(listener))
        name = draw.choice(CALLS)
        await call(hooks, name)
        assert log == list(tree.walk(name.split(".")))
