"""The context of one invocation: what is called, by whom, with what; bindings of the invocation and of its request."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from inspect import Parameter
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, final

import anyio

from interceptors.arguments import Arguments
from interceptors.current import Cell, current
from interceptors.errors import OutsideInvocationError, UserNotResolvedError, WrongCallError

__all__ = [
    "MISSING",
    "InvocationContext",
    "InvocationPlan",
    "InvocationSource",
    "RequestState",
    "Running",
    "check_key",
    "innermost",
    "running",
]

MISSING: Any = object()
"""Stands for "not there" where None is a value."""

_SCOPE_KEY = "interceptors"


_asking: ContextVar[tuple[tuple[anyio.Lock, "InvocationPlan"], ...]] = ContextVar("interceptors.asking", default=())
"""The locks of the requests whose user is being asked for here, and by which plan: it would wait for itself."""


@final
class Running:
    """`with Running(ctx)`: what is called in the block belongs to the invocation. Can be entered again and again."""

    __slots__ = ("_cell", "_ctx", "_token")

    _cell: Cell
    _token: Token[Cell | None]

    def __init__(self, ctx: "InvocationContext") -> None:
        self._ctx = ctx

    def __enter__(self) -> None:
        self._cell = [self._ctx, current.get()]
        self._token = current.set(self._cell)

    def __exit__(self, *_: object) -> None:
        self._cell[0] = None
        with suppress(ValueError):  # a coroutine that is closed in another context has nothing to put back there
            current.reset(self._token)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


def innermost() -> "InvocationContext | None":
    """The innermost invocation that runs here; None outside."""
    cell = current.get()
    while cell is not None:
        ctx: InvocationContext | None = cell[0]
        if ctx is not None:
            return ctx
        cell = cell[1]
    return None


def running() -> "InvocationContext":
    """The innermost invocation that runs here, or an OutsideInvocationError."""
    ctx = innermost()
    if ctx is None:
        raise OutsideInvocationError(
            "No invocation runs here. The request, the response, the current user and the context exist while a chain "
            "runs, not in background tasks or at start-up; take what you need from `ctx` before and pass it along."
        )
    return ctx


@dataclass(frozen=True, slots=True)
class InvocationSource:
    """Who started an invocation: `type` is "route", "proxy" or the caller's own word, `value` whatever tells more."""

    type: str
    value: Any = None

    def __str__(self) -> str:
        return self.type if self.value is None else f"{self.type} {self.value}"


class RequestState:
    """What all invocations of one request share. For HTTP it lives in the ASGI scope, where dependencies reach it."""

    __slots__ = ("bindings", "lock", "user")

    def __init__(self) -> None:
        self.bindings: dict[str, Any] = {}
        self.user: Any = MISSING
        self.lock: anyio.Lock | None = None

    @staticmethod
    def of(request: Any) -> "RequestState | None":
        """The state of a request, made if there is none; None for what has no ASGI scope."""
        scope: Any = getattr(request, "scope", None)
        if not _is_mapping(scope):
            return None
        state: RequestState | None = scope.get(_SCOPE_KEY)
        if state is None:
            state = scope[_SCOPE_KEY] = RequestState()
        return state


def check_key(key: object) -> None:
    """Raises WrongCallError for what is no key: a value in its place would be bound where nobody looks."""
    if not isinstance(key, str):
        raise WrongCallError(
            f'A key is a text, not {key!r}; the key comes first, then its value: `"tenant", tenant`.', key
        )


def _is_mapping(scope: object) -> bool:
    return type(scope) is dict or isinstance(scope, MutableMapping)  # the first test is the quick one


def _check_asks_not_for_itself(state: RequestState) -> None:
    for lock, plan in _asking.get():
        if lock is state.lock:
            raise UserNotResolvedError(
                f"The registry's `current_user`, {plan.asked_for_user}, asks for the current user, which it is called to "
                f"find. Take the request that it gets, or `InvocationBindings.request`."
            )


def _nothing_to_take_back() -> None: ...


class InvocationPlan(Protocol):
    """What a context asks of the plan that it was made by."""

    @property
    def run(self) -> Callable[[Any], Awaitable[Any]]: ...
    def arguments(self, ctx: "InvocationContext", /) -> Arguments: ...
    def early_target(self, ctx: "InvocationContext", /) -> Any: ...
    async def get(self, ctx: "InvocationContext", key: str, default: Any, /) -> Any: ...
    @property
    def parameters(self) -> Mapping[str, Parameter]: ...
    def user_at_once(self, request: Any, /) -> Any: ...
    async def user(self, ctx: "InvocationContext", /) -> Any: ...
    @property
    def asked_for_user(self) -> str: ...


class InvocationContext:
    """Describes one call to the interceptors around it.

    Each plan has a subclass of its own, whose class attributes are what is fixed about the call. What a call does not
    use costs nothing: it is a class attribute until it is asked for.
    """

    target_class: ClassVar[type | None] = None
    """The class of the target; None for a function."""
    method_name: ClassVar[str] = ""
    """The name of the method, or of the function."""
    target_name: ClassVar[str] = ""
    """For people: `OrderController.show`."""
    annotations: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What `@annotate` said about the method, its class and their bases; read-only."""

    belongs_to_request: ClassVar[bool] = True
    """Does an invocation that is started while another runs belong to the same request?"""

    _plan: ClassVar[InvocationPlan]
    _root: "InvocationContext | None" = None  # the outermost invocation of the request, None if it is this one
    _target: Any = None
    _method: Any = None  # the bound method that the chain was looked up for, which is what is called in the end
    _source: InvocationSource | None = None
    _request: Any = None
    _response: Any = None
    _positional: tuple[Any, ...] = ()
    _keywords: dict[str, Any] = {}  # noqa: RUF012 (never changed: each call brings its own)
    _arguments: Arguments | None = None
    _state: dict[str, Any] | None = None
    _bindings: dict[str, Any] | None = None
    _request_state: RequestState | None = None

    @property
    def target(self) -> Any:
        """The object whose method is called, the class for static and class methods, or the function.

        A controller whose constructor is injected is built when the method's turn comes: a TargetNotBuiltError
        before, so use `target_class`.
        """
        target = self._target
        return self._plan.early_target(self) if target is None else target

    @property
    def args(self) -> Arguments:
        """The arguments that the target will get."""
        arguments = self._arguments
        if arguments is None:
            arguments = self._arguments = self._plan.arguments(self)
        return arguments

    @property
    def source(self) -> InvocationSource | None:
        """Who started the invocation; None if the caller did not say."""
        return self._source

    @property
    def request(self) -> Any:
        """The `Request`, or the `WebSocket` that was connected; None outside HTTP."""
        root = self._root
        return self._request if root is None else root.request

    @property
    def response(self) -> Any:
        """Its status, headers and cookies go into the answer; None outside HTTP and on WebSockets."""
        root = self._root
        return self._response if root is None else root.response

    @property
    def injected_response(self) -> Any:
        """The response as a handler gets it where it asks for one."""
        root = self._root
        return self._response if root is None else root.injected_response

    @property
    def state(self) -> dict[str, Any]:
        """A dict that the layers of this invocation share."""
        state = self._state
        if state is None:
            state = self._state = {}
        return state

    def bind(self, key: str, value: Any) -> None:
        """Bind a key for this invocation: for `ctx.get`, and for everything that is injected further in."""
        check_key(key)
        if self._bindings is None:
            self._bindings = {}
        self._bindings[key] = value

    def bind_request(self, key: str, value: Any) -> None:
        """Bind a key for every invocation of the same request."""
        check_key(key)
        self._shared().bindings[key] = value

    async def get(self, key: str, default: Any = MISSING) -> Any:
        """The value of a key: bound on this invocation, on its request, or provided by the container.

        Raises UnknownKeyError if it is none of these and there is no default.
        """
        check_key(key)
        value = self.bound(key)
        return await self._plan.get(self, key, default) if value is MISSING else value

    async def current_user(self) -> Any:
        """The user of the request, None for an anonymous one. Asked once per request; an exception is not remembered."""
        state = self._shared()
        if state.user is MISSING and "current_user" not in state.bindings:
            if state.lock is None:
                state.lock = anyio.Lock()
            _check_asks_not_for_itself(state)
            async with state.lock:
                if state.user is MISSING:
                    token = _asking.set((*_asking.get(), (state.lock, self._plan)))
                    try:
                        state.user = await self._plan.user(self)
                    finally:
                        with suppress(ValueError):  # closed in another context
                            _asking.reset(token)
        return state.bindings.get("current_user", state.user)

    def user_at_once(self) -> Any:
        """The current user for a synchronous provider.

        Raises UserNotResolvedError if it takes an `await` to find out.
        """
        state = self._shared()
        if state.user is MISSING and "current_user" not in state.bindings:
            user = self._plan.user_at_once(self.request)
            if user is MISSING:
                _check_asks_not_for_itself(state)
                raise UserNotResolvedError(
                    f"The current user of {self.target_name} is not known yet; `await ctx.current_user()` first."
                )
            state.user = user
        return state.bindings.get("current_user", state.user)

    def begin_run(self) -> Callable[[], None]:
        """Called when the target's turn comes: gives what takes back, if this run fails, what it has set.

        For a subclass to override whose answer is more than a result: the response of a route.
        """
        return _nothing_to_take_back

    def bound(self, key: str) -> Any:
        """What is bound to a key on this invocation or its request, else MISSING."""
        bindings = self._bindings
        if bindings is not None and key in bindings:
            return bindings[key]
        root = self._root or self
        state = root._request_state
        if state is None:
            request = root._request
            if request is None:
                return MISSING
            # A dependency may have bound something before there was an invocation, or a handler in its midst.
            scope: Any = getattr(request, "scope", None)
            state = scope.get(_SCOPE_KEY) if _is_mapping(scope) else None
            if state is None:
                return MISSING
            root._request_state = state
        return state.bindings.get(key, MISSING)

    def bound_keys(self) -> list[str]:
        """The keys that are bound on this invocation or its request."""
        return [*(self._bindings or ()), *self._shared().bindings]

    def _shared(self) -> RequestState:
        root = self._root or self
        state = root._request_state
        if state is None:
            state = root._request_state = RequestState.of(root._request) or RequestState()
        return state

    def __repr__(self) -> str:
        source = "" if self.source is None else f" ({self.source})"
        return f"<{InvocationContext.__name__} {self.target_name}{source}>"
