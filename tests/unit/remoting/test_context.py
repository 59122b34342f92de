"""What a remoting hook gets: `RemoteArguments`, `RemotingContext`."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from interceptors import InvocationContext
from interceptors.completion import HookRun, Signal, make_hook
from interceptors.errors import DoubleCompletionWarning, IgnoredAssignmentWarning
from interceptors.remoting import RemotingContext, remote_method
from interceptors.remoting.context import RemoteArguments, RemoteCall
from interceptors.remoting.methods import method_of
from tests.unit.helpers import place
from tests.unit.remoting.support import context, texts, warned


def remoting(ctx: InvocationContext | None = None, call: RemoteCall | None = None) -> RemotingContext:
    """The context that hooks would get in a call."""
    ctx = ctx or context()
    return RemotingContext(ctx, method_of(type(ctx)), call or RemoteCall())


def arguments(**values: Any) -> RemoteArguments:
    """Arguments of a call that takes these."""
    return remoting(context(args=values)).args


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_arguments_are_a_mapping_in_the_order_of_the_signature() -> None:
    """By name."""
    args = arguments(b=1, a=2)
    assert isinstance(args, Mapping)
    assert dict(args) == {"b": 1, "a": 2}
    assert list(args) == ["b", "a"]
    assert len(args) == 2
    assert args["a"] == args.get("a") == 2
    assert "a" in args
    assert "c" not in args
    assert args.get("c", "default") == "default"
    assert list(args.items()) == [("b", 1), ("a", 2)]
    assert repr(args) == "RemoteArguments({'b': 1, 'a': 2})"


def test_what_is_assigned_reaches_the_invocation() -> None:
    """At once, and it is remembered what was assigned."""
    ctx = context(args={"a": 1, "b": 2, "c": 3})
    args = remoting(ctx).args
    args["b"] = 20
    args.update({"c": 30}, a=10)
    assert dict(ctx.args.items()) == {"a": 10, "b": 20, "c": 30}
    assert set(args.assigned) == {"a", "b", "c"}


def test_update_leaves_the_others_alone() -> None:
    """It takes a mapping, names, both or nothing."""
    args = arguments(a=1, b=2)
    args.update()
    args.update({})
    args.update({"a": 10})
    assert dict(args) == {"a": 10, "b": 2}
    assert set(args.assigned) == {"a"}


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    """Reading, assigning and updating."""
    args = arguments(order=1, user=2)
    for use in (
        lambda: args["odrer"],
        lambda: args.__setitem__("odrer", 1),
        lambda: args.update(odrer=1),
        lambda: setattr(remoting(context(args={"order": 1, "user": 2})), "args", {"odrer": 1}),
    ):
        with pytest.raises(KeyError, match="has no argument 'odrer'; it has: order, user"):
            use()
    assert set(args.assigned) == set()


@pytest.mark.parametrize("position", [0, -1, None, True])
def test_a_position_is_no_name(position: Any) -> None:
    """Hooks know arguments by name (LB3's are a dict; `ctx.args[0]` in the migration guide is an error of it)."""
    args = arguments(order=1)
    with pytest.raises(KeyError):
        args[position]
    with pytest.raises(KeyError):
        args[position] = 2
    assert position not in args
    assert dict(args) == {"order": 1}


# -- what can be read --------------------------------------------------------------------------------------------------


async def test_a_context_is_a_view_of_the_invocation() -> None:
    """Request, response, state, user; the invocation itself for everything else."""
    request, response = SimpleNamespace(scope=None), object()
    ctx = context(request=request, response=response, user="alice", args={"a": 1})
    view = remoting(ctx)
    assert view.invocation is ctx
    assert view.req is request
    assert view.res is response
    assert view.state is ctx.state
    assert view.args is view.args
    assert await view.current_user() == "alice"
    assert view.method.string_name == view.method_string == "User.find"
    assert view.result is None
    assert view.error is None
    assert repr(view) == "<RemotingContext User.find>"


def test_outside_http_there_is_no_request() -> None:
    """And no response."""
    assert remoting().req is None
    assert remoting().res is None


def test_the_instance_is_the_object_called() -> None:
    """For a `prototype.` method; a static one has none."""

    class User:
        async def find(self) -> None: ...
        @remote_method("prototype.save")
        async def save(self) -> None: ...

    user = User()
    assert remoting(context(target=user, method="save", annotations={})).instance is user
    assert remoting(context(target=user, method="find", annotations={})).instance is None


def test_there_are_no_options() -> None:
    """LoopBack's are one object for all requests."""
    assert not hasattr(remoting(), "options")


# -- what can be assigned ----------------------------------------------------------------------------------------------


def test_the_result_can_be_assigned() -> None:
    """Any value."""
    view = remoting()
    view.result = [1]
    assert view.result == [1]


def test_assigning_args_updates_them() -> None:
    """What is left out stays (LB3 drops it)."""
    view = remoting(context(args={"a": 1, "b": 2}))
    args = view.args
    view.args = {"b": 3}
    assert view.args is args
    assert dict(args) == {"a": 1, "b": 3}
    assert set(args.assigned) == {"b"}


@pytest.mark.parametrize("name", ["txn", "req", "res", "method", "method_string", "instance", "state", "invocation"])
def test_nothing_else_can_be_assigned(name: str) -> None:
    """The error says where data of one's own goes."""
    with pytest.raises(AttributeError) as caught:
        setattr(remoting(), name, 1)
    assert str(caught.value) == (
        f"A remoting hook cannot assign ctx.{name}; keep data of your own in the invocation's state: "
        f'ctx.state["{name}"] = ...'
    )


@pytest.mark.parametrize("name", ["done", "current_user", "__class__x"])
def test_methods_cannot_be_assigned_either(name: str) -> None:
    """Nor can private names."""
    with pytest.raises(AttributeError):
        setattr(remoting(), name, 1)


async def test_assigning_the_error_is_ignored_with_a_warning() -> None:
    """LB3 ignores it silently; the warning names the hook, its line, and the ways that work."""
    call = RemoteCall()
    view = remoting(call=call)
    error = call.error = ValueError("first")

    def hook(ctx: Any) -> None:
        ctx.error = KeyError("other")

    call.run = run = HookRun(make_hook(hook, 3), "after error User.find", 1)
    with warned() as caught:
        assert await run.complete(view) == Signal("next")
    assert view.error is error
    (text,) = texts(caught)
    assert text == (
        f"hook ({place(hook)}) assigned ctx.error, which changes nothing, as in LoopBack. Change the error in place, or "
        "replace it with `next(error)` or `raise error`."
    )
    assert caught[0].category is IgnoredAssignmentWarning
    assert f"{caught[0].filename}:{caught[0].lineno}" == place(hook)


def test_assigning_the_error_outside_any_hook_is_ignored_too() -> None:
    """There is nobody to name."""
    view = remoting()
    with warned() as caught:
        view.error = ValueError()  # type: ignore[misc]
    assert view.error is None
    assert texts(caught)[0].startswith("Somebody assigned ctx.error")
    assert (caught[0].filename, caught[0].lineno) == ("<unknown>", 0)


# -- done --------------------------------------------------------------------------------------------------------------


async def test_done_counts_for_the_hook_whose_turn_it_is() -> None:
    """With what it is given, or else what `ctx.result` holds."""
    for given, ended in [((), "held"), (("given",), "given"), ((None,), None)]:
        call = RemoteCall()
        view = remoting(call=call)
        view.result = "held"
        call.run = run = HookRun(make_hook(lambda ctx, given=given: ctx.done(*given), 3), "before User.find", 1)
        assert await run.complete(view) == Signal("end", ended)


async def test_done_after_the_turn_is_ignored_with_a_warning() -> None:
    """The last hook that had its turn is named."""
    call = RemoteCall()
    view = remoting(call=call)
    call.run = run = HookRun(make_hook(lambda ctx: None, 3), "before User.find", 1)
    await run.complete(view)
    with warned() as caught:
        view.done()
    assert [warning.category for warning in caught] == [DoubleCompletionWarning]


def test_done_before_any_hook_does_nothing() -> None:
    """Nobody has the context by then."""
    remoting().done("nothing")
