"""Remoting hooks: registering keeps the hook's type, contexts are typed, and nothing else can be assigned."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, assert_type

from interceptors import InterceptorFunction, InterceptorRegistry, InvocationContext, Next, intercept
from interceptors.errors import (
    DoubleCompletionWarning,
    ForgottenNextError,
    HookError,
    IgnoredAssignmentWarning,
    InterceptorWarning,
    InvalidArgumentError,
    InvalidHookError,
    InvalidPatternError,
)
from interceptors.fastapi import controller
from interceptors.remoting import RemoteHooks, RemoteMethod, RemotingContext, remote_method

HookNext = Callable[..., Awaitable[None]]


def one(ctx: RemotingContext) -> None: ...
def two(ctx: RemotingContext, next: HookNext) -> None: ...
async def three(ctx: RemotingContext, result: str, next: HookNext) -> None: ...


# -- registering -------------------------------------------------------------------------------------------------------

hooks = RemoteHooks()
RemoteHooks(next_timeout=0.5)
RemoteHooks(next_timeout=float("inf"))
RemoteHooks(0.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
RemoteHooks(next_timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

same: Callable[[RemotingContext, str, HookNext], Any] = hooks.before_remote("**", three)


@hooks.before_remote("Customer.find")
def decorated(ctx: RemotingContext, limit: int = 5) -> str:
    """A decorated hook keeps its own type."""
    return str(limit)


assert_type(decorated(NotImplemented, limit=1), str)
decorated(NotImplemented, limit="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

customers = hooks.model("Customer")


@customers.after_remote("*.save")
async def of_model(ctx: RemotingContext, result: Any, next: HookNext) -> None:
    assert_type(await next(), None)
    await next(ValueError("no"), "ignored")


def names_are_kept(ctx: RemotingContext, next: HookNext) -> None:
    """A hook that comes back can be called as before, by the names of its parameters."""
    assert_type(hooks.before_remote("**", one)(ctx=ctx), None)
    assert_type(hooks.after_remote("**", two)(ctx=ctx, next=next), None)
    assert_type(hooks.after_remote_error("**")(one)(ctx=ctx), None)
    assert_type(customers.before_remote("find", one)(ctx=ctx), None)
    assert_type(customers.after_remote_error("find")(two)(ctx=ctx, next=next), None)
    hooks.before_remote("**", one)(other=ctx)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


hooks.before_remote(one)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
hooks.before_remote("**", 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# -- an interceptor ----------------------------------------------------------------------------------------------------

registry = InterceptorRegistry(ordered_groups=("auth", "remoting"))
registry.add_global(hooks, group="remoting")
function: InterceptorFunction = hooks.intercept


@intercept(hooks)
@controller(model="Customer")
class Customers:
    """Names keep what they decorate."""

    @remote_method("findById")
    async def find_by_id(self, id: int) -> str:
        return str(id)


async def named(ctx: InvocationContext, next: Next) -> None:
    assert_type(await Customers().find_by_id(5), str)
    assert_type(await hooks.intercept(ctx, next), object)


# -- the context -------------------------------------------------------------------------------------------------------


async def hook(ctx: RemotingContext) -> None:
    """What can be read, and what can be assigned."""
    assert_type(ctx.error, Exception | None)
    assert_type(ctx.method, RemoteMethod)
    assert_type(ctx.method_string, str)
    assert_type(ctx.state, dict[str, Any])
    assert_type(ctx.invocation, InvocationContext)
    assert_type(ctx.result, Any)
    assert_type(ctx.req, Any)
    assert_type(ctx.res, Any)
    assert_type(await ctx.current_user(), Any)
    assert_type(ctx.done(), None)
    assert_type(ctx.done("answer"), None)
    assert_type(ctx.args["id"], Any)
    args: Mapping[str, Any] = ctx.args
    ctx.args["id"] = len(args)
    ctx.args.update({"id": 1}, name="a")
    ctx.args[0]  # type: ignore[index]  # pyright: ignore[reportArgumentType, reportUnusedExpression]
    ctx.result = ["anything"]
    ctx.args = {"id": 1}
    ctx.method = RemoteMethod("a", "b.a", True, "b")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    ctx.txn = 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def method(found: RemoteMethod) -> None:
    """It is frozen."""
    assert_type(found.name, str)
    assert_type(found.string_name, str)
    assert_type(found.is_static, bool)
    assert_type(found.model, str | None)
    found.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


# -- errors ------------------------------------------------------------------------------------------------------------


def errors(
    hook_error: HookError,
    forgotten: ForgottenNextError,
    pattern: InvalidPatternError,
    invalid: InvalidHookError,
    argument: InvalidArgumentError,
) -> None:
    """Each is also the builtin that fits, with its facts."""
    runtime: RuntimeError = hook_error
    timeout: TimeoutError = forgotten
    value: ValueError = pattern
    kind: TypeError = invalid
    other: ValueError = argument
    assert_type(hook_error.value, object)
    assert_type(pattern.pattern, str)
    assert_type(forgotten.hook, object)
    assert_type(invalid.hook, object)
    assert_type(argument.detail, list[dict[str, Any]])
    assert_type(argument.status_code, int)
    print(runtime, timeout, value, kind, other)


warnings: list[type[InterceptorWarning]] = [DoubleCompletionWarning, IgnoredAssignmentWarning]
