"""`ctx.args`: one object for a call's arguments by position and by name; what it holds is what the target gets."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide

from interceptors import Arguments, InterceptorRegistry, InvocationContext
from interceptors.testing import make_context


async def run(function: Callable[..., Any], look: Callable[[Arguments], Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function with one layer around it that looks at, or changes, its arguments. Gives what the target got."""

    async def layer(ctx: InvocationContext, next: Any) -> Any:
        look(ctx.args)
        return await next()

    class Holder:
        target = staticmethod(function)

    registry = InterceptorRegistry()
    registry.add_global(layer)
    return await registry.invoke(Holder, "target", *args, **kwargs)


async def seen(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Arguments:
    """What a layer around a call finds in `ctx.args`."""
    found: list[Arguments] = []
    await run(function, found.append, *args, **kwargs)
    return found[0]


async def simple(order: str, amount: int = 1, *, note: str = "-") -> Any:
    return order, amount, note


async def test_arguments_are_there_by_position_and_by_name() -> None:
    """A position and its name are the same argument, however the caller gave it."""
    for args in (await seen(simple, "o", 2, note="n"), await seen(simple, note="n", amount=2, order="o")):
        assert [args[0], args[1], args[2], args[-1]] == ["o", 2, "n", "n"]
        assert [args["order"], args["amount"], args["note"]] == ["o", 2, "n"]
        assert args.names == ("order", "amount", "note")
        assert args.items() == [("order", "o"), ("amount", 2), ("note", "n")]
        assert list(args) == ["o", 2, "n"]
        assert len(args) == 3


async def test_defaults_are_filled_in() -> None:
    """A parameter that the caller left out holds its default."""
    assert (await seen(simple, "o")).items() == [("order", "o"), ("amount", 1), ("note", "-")]


async def test_get_and_in_ask_by_name() -> None:
    """`get` gives a default, None if there is none, for what holds no value; `in` says whether one is held."""
    args = await seen(simple, "o")

    assert [args.get("order"), args.get("other"), args.get("other", 5)] == ["o", None, 5]
    assert ["order" in args, "other" in args, 0 in args] == [True, False, False]


async def test_the_target_gets_what_was_assigned() -> None:
    """Assignment by position or by name changes what the target is called with."""

    def change(args: Arguments) -> None:
        args[0] = "changed"
        args["amount"] = 9
        args[-1] = "noted"

    assert await run(simple, change, "o") == ("changed", 9, "noted")


async def test_looking_changes_nothing() -> None:
    """A layer that only looks leaves the call as it was."""
    assert await run(simple, lambda args: args["order"], "o", 2, note="n") == ("o", 2, "n")


async def test_an_unknown_name_is_a_key_error_that_lists_the_names() -> None:
    """Reading and assigning a name that the target does not take says what it takes."""
    args = await seen(simple, "o")
    text = re.escape("Holder.target has no argument 'amonut'; it has: order, amount, note")

    with pytest.raises(KeyError, match=text):
        args["amonut"]
    with pytest.raises(KeyError, match=text):
        args["amonut"] = 1


async def test_a_target_without_arguments_says_so() -> None:
    """The message of a KeyError names no arguments where there are none."""

    async def nothing() -> None: ...

    args = await seen(nothing)

    assert (len(args), list(args), args.names, args.items()) == (0, [], (), [])
    with pytest.raises(KeyError, match="Holder.target has no argument 'x'; it has: none"):
        args["x"]


async def test_an_unknown_position_is_an_index_error() -> None:
    """A position that the declaration does not have is an IndexError, for reading and for assigning."""
    args = await seen(simple, "o")

    with pytest.raises(IndexError):
        args[3]
    with pytest.raises(IndexError):
        args[3] = 1


async def test_a_missing_argument_can_be_given_by_a_layer() -> None:
    """A parameter that the caller left out is not there, says so, and may be set by name or by position."""

    def give(args: Arguments) -> None:
        assert len(args) == 2
        assert args.names == ("amount", "note")
        assert "order" not in args
        with pytest.raises(KeyError, match="Holder.target: no value was given for the argument 'order'"):
            args["order"]
        with pytest.raises(KeyError, match="Holder.target: no value was given for the argument 'order'"):
            args[0]
        assert args[1] == 1
        args[0] = "given"
        assert args.names == ("order", "amount", "note")

    assert await run(simple, give) == ("given", 1, "-")


async def test_what_stays_missing_is_pythons_type_error() -> None:
    """If nobody gives an argument the call fails as any call does."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'order'"):
        await run(simple, lambda args: None)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'order'"):
        await run(simple, len)


async def test_arguments_that_the_target_does_not_take_are_a_type_error() -> None:
    """Too many, unknown and doubled arguments are refused in Python's words, by the first layer that looks."""
    cases = [
        (("a", 1, "n", 4), {}, "Holder.target() takes 2 positional arguments, got 4"),
        (("a",), {"x": 1}, "Holder.target() got an unexpected keyword argument 'x'"),
        (("a",), {"order": "b"}, "Holder.target() got multiple values for argument 'order'"),
    ]
    for args, kwargs, text in cases:
        with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
            await run(simple, len, *args, **kwargs)
        with pytest.raises(TypeError, match=re.escape(text.partition("() ")[2].split(",")[0].split(" 2")[0])):
            await simple(*args, **kwargs)


async def variable(first: int, /, second: int = 2, *rest: int, third: int = 3, **extra: int) -> Any:
    return first, second, rest, third, extra


async def test_variable_positional_arguments_are_one_entry() -> None:
    """`*args` is one entry, a tuple, under its own name and in its place."""
    args = await seen(variable, 1, 2, 3, 4)

    assert args.items() == [("first", 1), ("second", 2), ("rest", (3, 4)), ("third", 3)]
    assert [args[2], args["rest"], len(args)] == [(3, 4), (3, 4), 4]
    assert (await seen(variable, 1))["rest"] == ()


async def test_variable_positional_arguments_can_be_assigned() -> None:
    """What the entry of `*args` holds is what the target's `*args` gets."""

    def change(args: Arguments) -> None:
        args["rest"] = (7, 8)
        args["second"] = 5

    assert await run(variable, change, 1) == (1, 5, (7, 8), 3, {})
    assert await run(variable, change, 1, 2, 3) == (1, 5, (7, 8), 3, {})


async def test_extra_keyword_arguments_are_entries_of_their_own() -> None:
    """With `**kwargs` every name is taken; the extra ones come last, in the order in which they were given."""
    args = await seen(variable, 1, z=26, y=25)

    assert args.names == ("first", "second", "rest", "third", "z", "y")
    assert [args["z"], args[4], args[5], args[-1]] == [26, 26, 25, 25]
    assert list(args) == [1, 2, (), 3, 26, 25]


async def test_extra_keyword_arguments_can_be_added() -> None:
    """A layer may give a target with `**kwargs` what nobody else gave."""

    def add(args: Arguments) -> None:
        args["anything"] = 1
        args[-1] += 1

    assert await run(variable, add, 1) == (1, 2, (), 3, {"anything": 2})
    with pytest.raises(KeyError, match="has no argument 'unknown'"):
        (await seen(variable, 1))["unknown"]


async def test_positional_only_arguments_are_given_by_position() -> None:
    """A positional-only argument has a name for layers, and still reaches the target by position."""

    async def target(first: int, second: int, /, third: int) -> Any:
        return first, second, third

    def change(args: Arguments) -> None:
        args["second"] = 20

    assert await run(target, change, 1, 2, 3) == (1, 20, 3)
    assert await run(target, change, 1, 2, third=3) == (1, 20, 3)
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'first'"):
        await run(target, len, first=1)
    with pytest.raises(TypeError, match=r"target\(\) "):
        await run(target, change)


async def test_the_name_of_the_variable_arguments_is_no_keyword() -> None:
    """`rest=` does not fill `*rest`: it is refused, as Python does."""

    async def target(*rest: int) -> Any: ...

    with pytest.raises(TypeError, match="got an unexpected keyword argument 'rest'"):
        await run(target, len, rest=1)


async def test_a_position_with_a_gap_in_front_stays_with_its_name() -> None:
    """A missing argument before `*args` does not make the others move up: the call fails as Python's does."""

    async def target(first: int, *rest: int) -> Any: ...

    def change(args: Arguments) -> None:
        args["rest"] = (1, 2)

    assert (await seen(target, 5)).names == ("first", "rest")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'first'"):
        await run(target, change)


async def test_injected_parameters_are_not_in_it() -> None:
    """What is injected is no argument: positions and names are those of what a caller gives."""

    def change(args: Arguments) -> None:
        assert args.names == ("amount",)
        with pytest.raises(KeyError, match="Holder.target has no argument 'user'; it has: amount"):
            args["user"] = 1
        args[0] += 1

    async def bind(ctx: InvocationContext, next: Any) -> Any:
        ctx.bind("user", "alice")
        change(ctx.args)
        return await next()

    class Holder:
        @staticmethod
        async def target(ctx: InvocationContext, amount: int, user: Annotated[Any, Provide["user"]] = None) -> Any:
            return amount, user

    registry = InterceptorRegistry()
    registry.add_global(bind)
    assert await registry.invoke(Holder, "target", 1) == (2, "alice")


async def test_a_caller_may_give_an_injected_parameter_by_name() -> None:
    """Then nothing is injected: the caller, a test for instance, knows better."""

    async def target(amount: int, user: Annotated[Any, Provide["user"]]) -> Any:
        return amount, user

    assert await run(target, len, 1, user="given") == (1, "given")
    assert await run(target, lambda args: None, 1, user="given") == (1, "given")


async def test_every_layer_sees_the_same_arguments() -> None:
    """`ctx.args` is one object for the whole invocation; `next()` called again uses it as it is then."""
    calls: list[int] = []

    class Target:
        async def work(self, amount: int) -> None:
            calls.append(amount)

    async def outer(ctx: InvocationContext, next: Any) -> Any:
        await next()
        ctx.args["amount"] += 10
        await next()

    async def inner(ctx: InvocationContext, next: Any) -> Any:
        ctx.args[0] += 1
        return await next()

    registry = InterceptorRegistry()
    registry.add_global(outer)
    registry.add_global(inner)
    await registry.invoke(Target(), "work", 1)

    assert calls == [2, 13]


def test_repr_shows_names_and_values() -> None:
    """The text of the arguments is what a call would look like."""
    assert repr(make_context({"order": "o", "amount": 2}).args) == "Arguments(order='o', amount=2)"


def test_the_arguments_of_a_fake_target_are_those_that_it_was_given() -> None:
    """`make_context` without a target takes the arguments that it is given, in this order."""
    args = make_context({"b": 1, "a": 2}).args

    assert (args.names, args[0]) == (("b", "a"), 1)
