"""The context that remoting hooks get: LoopBack 3's, as a view of the invocation's."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

from interceptors.completion import HookRun
from interceptors.context import MISSING, InvocationContext
from interceptors.describing import file_and_line
from interceptors.errors import IgnoredAssignmentWarning
from interceptors.remoting.methods import RemoteMethod

__all__ = ["RemoteArguments", "RemoteCall", "RemotingContext"]


@final
class RemoteArguments(Mapping[str, Any]):
    """A call's arguments by name, in the order of the signature. What is assigned is validated before the method runs."""

    __slots__ = ("_arguments", "assigned")

    def __init__(self, ctx: InvocationContext) -> None:
        self._arguments = ctx.args
        self.assigned: dict[str, None] = {}  # an ordered set

    def __getitem__(self, name: str) -> Any:
        return self._arguments[_checked(name)]

    def __setitem__(self, name: str, value: object) -> None:
        self._arguments[_checked(name)] = value
        self.assigned[name] = None

    def update(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Assign several; what is not named stays as it is."""
        for name, value in {**(values or {}), **more}.items():
            self[name] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._arguments.names)

    def __len__(self) -> int:
        return len(self._arguments)

    def __repr__(self) -> str:
        return f"RemoteArguments({dict(self)!r})"


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise KeyError(f"remoting hooks know arguments by name, not by position: {name!r}")
    return name


@final
class RemoteCall:
    """What one call has come to, and which hook's turn it is: the hooks' interceptor sets it, their context shows it."""

    __slots__ = ("args", "error", "result", "run")

    def __init__(self) -> None:
        self.args: RemoteArguments | None = None
        """None as long as no hook has asked for them."""
        self.result: Any = None
        self.error: Exception | None = None
        self.run: HookRun | None = None
        """`done` counts for this run."""

    @property
    def assigned(self) -> Iterable[str]:
        """The names of the arguments that hooks assigned."""
        return () if self.args is None else self.args.assigned


@final
class RemotingContext:
    """What a remoting hook gets: one object per call and `RemoteHooks`. Only `args` and `result` can be assigned."""

    __slots__ = ("_call", "_invocation", "_method")
    _ASSIGNABLE: ClassVar = frozenset({"args", "result", *__slots__})

    def __init__(self, invocation: InvocationContext, method: RemoteMethod, call: RemoteCall) -> None:
        self._invocation = invocation
        self._method = method
        self._call = call

    @property
    def invocation(self) -> InvocationContext:
        """The invocation, for everything else."""
        return self._invocation

    @property
    def method(self) -> RemoteMethod:
        """Which method is called."""
        return self._method

    @property
    def method_string(self) -> str:
        """Its whole name, which patterns match: `Customer.find`."""
        return self._method.string_name

    @property
    def instance(self) -> Any:
        """The object called, for a `prototype.` method; None for a static one."""
        return None if self._method.is_static else self._invocation.target

    @property
    def req(self) -> Any:
        """The request; None outside HTTP. The client's address is `ctx.req.client.host`."""
        return self._invocation.request

    @property
    def res(self) -> Any:
        """The response, for status and headers; None outside HTTP."""
        return self._invocation.response

    @property
    def state(self) -> dict[str, Any]:
        """The invocation's dict, shared with interceptors."""
        return self._invocation.state

    @property
    def args(self) -> RemoteArguments:
        """The arguments by name. Assigning a mapping is `ctx.args.update(mapping)`."""
        if self._call.args is None:
            self._call.args = RemoteArguments(self._invocation)
        return self._call.args

    @args.setter
    def args(self, values: Mapping[str, object]) -> None:
        self.args.update(values)

    @property
    def result(self) -> Any:
        """What `next()` gave or a hook assigned last; None in before hooks, where only `done()` reads it."""
        return self._call.result

    @result.setter
    def result(self, value: object) -> None:
        self._call.result = value

    @property
    def error(self) -> Exception | None:
        """In error hooks, what went wrong. It can be changed in place; `next(other)` replaces it."""
        return self._call.error

    async def current_user(self) -> Any:
        """The invocation's current user; stands for LoopBack 3's `ctx.req.accessToken`."""
        return await self._invocation.current_user()

    def done(self, result: object = MISSING) -> None:
        """Answer at once, with what `ctx.result` holds if nothing is given: what would come after is skipped."""
        if self._call.run is not None:
            self._call.run.end(self._call.result if result is MISSING else result)

    if not TYPE_CHECKING:  # for a type checker it would make every assignment right

        def __setattr__(self, name: str, value: object) -> None:
            if name in RemotingContext._ASSIGNABLE:
                object.__setattr__(self, name, value)
            elif name == "error":
                self._warn_of_assigned_error()
            else:
                raise AttributeError(
                    f"A remoting hook cannot assign ctx.{name}; keep data of your own in the invocation's state: "
                    f'ctx.state["{name}"] = ...'
                )

    def _warn_of_assigned_error(self) -> None:
        hook = None if self._call.run is None else self._call.run.hook
        title = "Somebody" if hook is None else hook.title
        file, line = (file_and_line(hook.function) if hook is not None else None) or ("<unknown>", 0)
        warnings.warn_explicit(
            f"{title} assigned ctx.error, which changes nothing, as in LoopBack. Change the error in place, or replace it "
            f"with `next(error)` or `raise error`.",
            IgnoredAssignmentWarning,
            file,
            line,
        )

    def __repr__(self) -> str:
        return f"<RemotingContext {self.method_string}>"
