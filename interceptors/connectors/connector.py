"""Hooks around what is sent to a backend: interceptors outside, LoopBack's observers inside."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeAlias, TypeVar, overload

from interceptors.calling import written
from interceptors.chain import fold, function_of
from interceptors.completion import Hook, check_timeout, make_hook
from interceptors.connectors.context import AnyContext, ConnectorContext, execution_of
from interceptors.connectors.execution import EVENTS, ConnectorHooks, Event, Execution
from interceptors.describing import location, name_of
from interceptors.errors import InvalidInterceptorError, UnknownHookError
from interceptors.kinds import Interceptor, InterceptorFunction, Next, check_interceptor, is_provider

__all__ = ["AnyConnector", "Connector"]

Req = TypeVar("Req")
Res = TypeVar("Res")
F = TypeVar("F", bound=Callable[..., object])
I = TypeVar("I", bound=Interceptor)  # noqa: E741 (the contract's name)

_executing: ContextVar[frozenset["AnyConnector"]] = ContextVar("interceptors.executing", default=frozenset())
"""The connectors that execute in this task, or in a task that started it."""


class Connector(Generic[Req, Res]):
    """Hooks the calls to one backend. A subclass for a backend calls `execute` around each of them.

    `parent` shares hooks: its run first. `next_timeout`: how many seconds a `def` observer that takes `next` may take to
    call it; more than 0 (ValueError), `math.inf` is allowed. An interceptor returns the result; an observer completes as
    in `interceptors.completion`.

    >>> directory = Connector(name="ldap")
    >>> entry = await directory.execute(request, send)
    """

    def __init__(
        self, *, name: str | None = None, parent: "AnyConnector | None" = None, next_timeout: float = 30.0
    ) -> None:
        self.name = type(self).__name__ if name is None else name
        self._parent = parent
        self._next_timeout = check_timeout(next_timeout)
        self._interceptors: tuple[InterceptorFunction, ...] = ()
        self._observers: dict[Event, tuple[Hook, ...]] = dict.fromkeys(EVENTS, ())
        self._combined: ConnectorHooks | None = None  # made anew after every change

    # -- registering ---------------------------------------------------------------------------------------------------

    @overload
    def observe(self, event: Event) -> Callable[[F], F]: ...
    @overload
    def observe(self, event: Event, fn: F) -> F: ...
    @written('@connector.observe("before execute")')
    def observe(self, event: Event, fn: Any = ...) -> Any:
        """Add an observer, by a call or as a decorator; it comes back as it was.

        Raises UnknownHookError for another event, InvalidHookError for what is no hook.
        """
        _check_event(event)

        def add(function: F) -> F:
            self._set_observers(event, (*self._observers[event], make_hook(function, 2)))
            return function

        return add if fn is ... else add(fn)

    @written("@connector.before_execute")
    def before_execute(self, fn: F) -> F:
        """Add an observer that runs before the operation."""
        return self.observe("before execute", fn)

    @written("@connector.after_execute")
    def after_execute(self, fn: F) -> F:
        """Add an observer that runs when the operation has succeeded."""
        return self.observe("after execute", fn)

    @written("@connector.after_execute_error")
    def after_execute_error(self, fn: F) -> F:
        """Add an observer that runs when the operation has failed."""
        return self.observe("after execute error", fn)

    @written("@connector.intercept")
    def intercept(self, fn: I) -> I:
        """Add an interceptor around observers and operation. Raises InvalidInterceptorError; keys are not taken here."""
        check_interceptor(fn)
        if isinstance(fn, str) or is_provider(fn):
            raise InvalidInterceptorError(
                f"{name_of(fn)} ({location(fn)}) can only be resolved by a registry; give the interceptor itself.", fn
            )
        self._interceptors = (*self._interceptors, _keeping_result(function_of(fn)))
        self._combined = None
        return fn

    def remove_observer(self, event: Event, fn: object) -> bool:
        """Remove the first observer that is equal to `fn`; False if there is none. Only own ones."""
        _check_event(event)
        hooks = list(self._observers[event])
        for index, hook in enumerate(hooks):
            if hook.function == fn:
                del hooks[index]
                self._set_observers(event, tuple(hooks))
                return True
        return False

    def clear_observers(self, event: Event | None = None) -> None:
        """Remove the own observers of one event, or of all three."""
        if event is not None:
            _check_event(event)
        for each in EVENTS if event is None else (event,):
            self._set_observers(each, ())

    # -- executing -----------------------------------------------------------------------------------------------------

    async def execute(
        self, req: Req, operation: Callable[[Req], Awaitable[Res]], *, options: dict[str, Any] | None = None
    ) -> Res:
        """Run `operation` with its hooks around it, and give the result.

        Without hooks, or while this connector executes in this task already, it is only the operation.
        """
        hooks = self._hooks()
        executing = _executing.get()
        if not hooks or self in executing:
            return await operation(req)
        execution = Execution(self.name, hooks, self._next_timeout, req, operation)
        ctx = ConnectorContext(self, execution, {} if options is None else options)
        token = _executing.set(executing | {self})
        try:
            await hooks.run(ctx)
        finally:
            _executing.reset(token)
        return ctx.res

    @property
    def is_hooked(self) -> bool:
        """Would a call be hooked here and now? For connectors that have to decide before they build a request."""
        return bool(self._hooks()) and self not in _executing.get()

    @property
    def is_executing(self) -> bool:
        """Does this connector execute in this task already? For what a hook may take along, and use when it has ended."""
        return self in _executing.get()

    @contextmanager
    def unhooked(self) -> Generator[None]:
        """What is called in here is not hooked, as in an execute. For what a client does with its own hooked methods."""
        token = _executing.set(_executing.get() | {self})
        try:
            yield
        finally:
            _executing.reset(token)

    def take_request(self, ctx: ConnectorContext[Req, Res], value: Any) -> Req:
        """What `ctx.req = value` stands for. A subclass raises TypeError for what its backend cannot take."""
        request: Req = value
        return request

    def take_result(self, ctx: ConnectorContext[Req, Res], value: Any, source: Any = None) -> Res:
        """What a result value stands for; `source` is what `end` got in front of it: a context or a response.

        A subclass raises TypeError for what its backend cannot take.
        """
        result: Res = value
        return result

    def _set_observers(self, event: Event, hooks: tuple[Hook, ...]) -> None:
        self._observers = {**self._observers, event: hooks}
        self._combined = None

    def _hooks(self) -> ConnectorHooks:
        parent = None if self._parent is None else self._parent._hooks()
        combined = self._combined
        if combined is None or combined.parent is not parent:
            interceptors = (*(parent.interceptors if parent else ()), *self._interceptors)
            combined = self._combined = ConnectorHooks(
                parent,
                interceptors,
                {e: (*(parent.observers[e] if parent else ()), *self._observers[e]) for e in EVENTS},
                fold(interceptors, _observed),
            )
        return combined


AnyConnector: TypeAlias = Connector[Any, Any]
"""Of whatever backend."""


def _observed(ctx: AnyContext) -> Awaitable[object]:
    """The innermost step, the same for all connectors: what differs is in the context."""
    return execution_of(ctx).observe(ctx)


def _check_event(event: str) -> None:
    if event not in EVENTS:
        raise UnknownHookError(event, "connector event", EVENTS)


def _keeping_result(interceptor: InterceptorFunction) -> InterceptorFunction:
    """What an interceptor returns is a result value, and `next()` of the layer outside gives what `ctx.res` makes of it."""

    async def run(ctx: AnyContext, next: Next) -> object:
        result = await interceptor(ctx, next)
        if result is not ctx.res:
            ctx.res = result
        return ctx.res

    return run
