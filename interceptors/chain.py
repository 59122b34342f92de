"""The onion: interceptors around a call. Everything in the library that calls `next` runs through `fold`."""

from collections.abc import Awaitable, Callable, Iterable
from types import MethodType
from typing import Any, TypeAlias, final

from interceptors.awaiting import awaiting
from interceptors.describing import location, name_of
from interceptors.errors import InvalidInterceptorError, WrongCallError
from interceptors.kinds import (
    InterceptorFunction,
    InterceptorOrKey,
    Next,
    check_interceptor,
    is_function_like,
    is_provider,
)

__all__ = ["Chain", "Step", "compose", "fold", "function_of"]

Step: TypeAlias = Callable[[Any], Awaitable[Any]]
"""A layer and everything further in, as a plain function of the context."""


def _layer(interceptor: InterceptorFunction, inner: Step) -> Step:
    # A plain function that returns the interceptor's own coroutine, and a `next` that is `inner` bound to the context:
    # no frame of ours is left while something is awaited, and without state of its own `next` can be called again.
    bind: Callable[[Any], Next] = getattr(inner, "__get__")  # noqa: B009 (quicker than MethodType(inner, ctx))

    def step(ctx: object) -> Awaitable[Any]:
        return interceptor(ctx, bind(ctx))

    return step


def _layer_by_hand(interceptor: InterceptorFunction, inner: Step) -> Step:
    # The same for a chain whose target is only known when it is run: what goes from step to step is (context, next).
    def step(call: tuple[object, Next]) -> Awaitable[Any]:
        return interceptor(call[0], MethodType(inner, call))

    return step


def fold(
    interceptors: Iterable[InterceptorFunction],
    target: Step,
    layer: Callable[[InterceptorFunction, Step], Step] = _layer,
) -> Step:
    """Put interceptors around `target`, the first one outermost. Done once, run many times."""
    for interceptor in reversed(tuple(interceptors)):
        target = layer(interceptor, target)
    return target


@final
class Chain:
    """An immutable list of interceptors that is an interceptor itself: `await Chain([log, cache])(ctx, next)`.

    When it is run by hand a class is built without arguments, and a key or a provider is an `InvalidInterceptorError`,
    as only a registry can resolve it. A registry takes a chain apart, and counts it as one interceptor.
    """

    __slots__ = ("_interceptors", "_run")

    def __init__(self, interceptors: Iterable[InterceptorOrKey] = ()) -> None:
        if isinstance(interceptors, str) or not isinstance(interceptors, Iterable):
            raise WrongCallError(
                f"Chain takes a list, not {name_of(interceptors)} ({location(interceptors)}): Chain([log, cache]), or "
                f"compose(log, cache)",
                interceptors,
            )
        self._interceptors: tuple[InterceptorOrKey, ...] = tuple(interceptors)
        for interceptor in self._interceptors:
            check_interceptor(interceptor)
        self._run: Step | None = None

    @property
    def interceptors(self) -> tuple[InterceptorOrKey, ...]:
        """What it is made of, outermost first."""
        return self._interceptors

    def __call__(self, ctx: Any, next: Next) -> Awaitable[Any]:
        run = self._run
        if run is None:
            run = self._run = fold(map(function_of, self.interceptors), _call_next, _layer_by_hand)
        return run((ctx, next))

    async def intercept(self, ctx: Any, next: Next) -> Any:
        """The same as calling the chain; it makes a chain an object with `intercept`."""
        return await self(ctx, next)

    def __repr__(self) -> str:
        return f"Chain([{', '.join(map(name_of, self.interceptors))}])"


def compose(*interceptors: InterceptorOrKey) -> Chain:
    """`compose(a, b)` is `Chain([a, b])`."""
    return Chain(interceptors)


def _call_next(call: tuple[object, Next]) -> Awaitable[Any]:
    return call[1]()


def function_of(interceptor: InterceptorOrKey) -> InterceptorFunction:
    """The `(ctx, next)` function of an interceptor that needs no registry."""
    if isinstance(interceptor, Chain):
        return interceptor
    if isinstance(interceptor, str) or is_provider(interceptor):
        raise InvalidInterceptorError(
            f"{name_of(interceptor)} ({location(interceptor)}) can only be resolved by a registry; "
            f"in a chain that is run by hand give the interceptor itself.",
            interceptor,
        )
    if isinstance(interceptor, type):
        return awaiting(interceptor, _built_at_its_turn(interceptor))
    return awaiting(interceptor, _as_function(interceptor))


def _built_at_its_turn(interceptor: Any) -> InterceptorFunction:
    def run(ctx: Any, next: Next) -> Awaitable[Any]:
        result: Awaitable[Any] = interceptor().intercept(ctx, next)
        return result

    return run


def _as_function(interceptor: Any) -> InterceptorFunction:
    # A function may have attributes of any name: of a mock `intercept` is one.
    function: InterceptorFunction = interceptor if is_function_like(interceptor) else interceptor.intercept
    return function
