"""What stands in a proxy in the place of a method: one that runs its chain, or one that passes through to the object.

A class may change, and each object may have its own under a name: so which of them it is, is asked again at each call.
"""

import inspect
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, suppress
from functools import wraps
from types import CoroutineType
from typing import Any, TypeAlias, final

from interceptors.context import MISSING, InvocationSource, innermost
from interceptors.current import Cell, current
from interceptors.entry import Entry, Registered, run
from interceptors.errors import InvalidTargetError
from interceptors.kinds import class_of, is_async
from interceptors.metadata import changes, mark_as_reached, stands_for_another
from interceptors.methods import Method
from interceptors.opening import OpenedContext, Opening, await_or_enter
from interceptors.target import Target
from interceptors.verdict import is_of_class, runs_chain

__all__ = ["Member", "Passage", "SpecialPassage", "described", "passing", "refusing", "running", "special"]

Member: TypeAlias = Callable[..., Any]
"""A function for the class of a proxy: its first argument is the proxy."""

_SOURCE = InvocationSource("proxy")


# -- running the chain -------------------------------------------------------------------------------------------------


def running(registry: Registered, name: str, function: object, *, of_one: bool = False) -> Member:
    """A method that runs its chain. `function` is the one behind it; `of_one` object alone, whose proxy keeps this."""
    if is_async(function) and not inspect.iscoroutinefunction(function):  # a `def` behind `functools.wraps`
        options = {"context_class": OpenedContext, "finish": await_or_enter}
        return _opening(Method(registry, name, _SOURCE, of_one=of_one, **options))
    return _awaiting(Method(registry, name, _SOURCE, of_one=of_one))


def _awaiting(method: Method) -> Member:
    name = method.name

    async def call(self: Any, /, *args: object, **kwargs: object) -> Any:
        # `Method.context` and `interceptors.entry.run` written out: a call of the one, and awaiting the other at every
        # resume, would be a fifth of what a proxy costs.
        target = self._Proxy__target
        found = getattr(target, name)
        function, latest, context_class, run = method.known
        try:
            is_known = found.__func__ is function and found.__self__ is target and latest is changes.latest
        except AttributeError:  # no bound method
            is_known = False
        outer = current.get()
        if is_known:
            ctx = context_class()
            ctx._method = found
            ctx._positional = args
            ctx._keywords = kwargs
            if outer is not None and (invocation := innermost()) is not None:
                ctx._root = invocation._root or invocation
        else:
            ctx = method.context(target, found, args, kwargs)
            run = ctx._plan.run
        cell: Cell = [ctx, outer]
        token = current.set(cell)
        try:
            result = await run(ctx)
        finally:
            cell[0] = None
            try:  # noqa: SIM105 (as above)
                current.reset(token)
            except ValueError:  # closed in another context
                pass
        return self if result is target else result

    return call


def _opening(method: Method) -> Member:
    async def run_chain(
        proxy: Any, stacks: list[AsyncExitStack], args: tuple[object, ...], kwargs: dict[str, Any]
    ) -> Any:
        target = proxy._Proxy__target
        ctx: Any = method.context(target, getattr(target, method.name), args, kwargs)
        ctx.stack = stacks.pop() if stacks else None
        result = await run(ctx)
        return proxy if result is target else result

    def call(self: Any, /, *args: object, **kwargs: object) -> Opening:
        stacks: list[AsyncExitStack] = []
        return Opening(run_chain(self, stacks, args, kwargs), stacks, method.name)

    return call


def refusing(error: InvalidTargetError) -> Member:
    """In the place of what cannot be intercepted, and was found only when it was reached."""

    def call(self: Any, /, *args: object, **kwargs: object) -> Any:
        raise error

    return call


# -- passing through ---------------------------------------------------------------------------------------------------


@final
class Passage:
    """Whether calls of a method pass through to the object: it is the class's, and nothing is declared for it."""

    __slots__ = ("_entry", "_known", "_method", "_revision")

    def __init__(self, registry: Registered, name: str) -> None:
        self._method = Method(registry, name, _SOURCE)
        self._entry: Entry | None = None
        self._revision = -1
        self._known: tuple[Any, int] = (None, -1)

    def is_open(self, holder: Any, found: Any) -> bool:
        """Raises InvalidTargetError if it is decorated and nothing that is awaited."""
        function, revision = self._known
        if getattr(found, "__func__", MISSING) is function and found.__self__ is holder and revision == changes.count:
            return True
        revision = changes.count  # read before what it counts
        entry = self._method.entry(holder, found)
        if entry is self._entry and revision == self._revision:
            return True
        name = self._method.name
        of_class = is_of_class(holder, name, inspect.getattr_static(class_of(holder), name, None))
        if not entry.target.is_shared or runs_chain(entry.target, found, of_class=of_class):
            return False
        self._entry, self._revision = entry, revision
        if entry.target.is_plain:
            self._known = (entry.target.function, revision)
        return True


def passing(passage: Passage, name: str, function: object) -> Member:
    """A method that passes through; where it gives the object itself, the caller gets the proxy."""

    def call(self: Any, /, *args: object, **kwargs: object) -> Any:
        target = self._Proxy__target
        found = getattr(target, name)
        if passage.is_open(target, found):
            return _handed(self, target, found(*args, **kwargs))
        return self._Proxy__reach(name, found)(*args, **kwargs)

    async def call_later(self: Any, /, *args: object, **kwargs: object) -> Any:
        target = self._Proxy__target
        found = getattr(target, name)
        if passage.is_open(target, found):
            result = await found(*args, **kwargs)
            return self if result is target else result
        return await self._Proxy__reach(name, found)(*args, **kwargs)

    return call_later if inspect.iscoroutinefunction(function) else call


@final
class SpecialPassage:
    """Whether calls of a special method pass through. Python looks it up on the class, so that what an object has is none."""

    __slots__ = ("_name", "_owner", "_revision", "_target")

    def __init__(self, owner: type, name: str) -> None:
        self._owner = owner
        self._name = name
        self._target: Target | None = None
        self._revision = -1

    def is_open(self, holder: object) -> bool:
        """Raises InvalidTargetError if it is decorated and nothing that is awaited."""
        is_own = self._name == "__call__" and stands_for_another(holder)
        return not (is_own and runs_chain(Target.at(holder, self._name), holder)) and self.is_open_in_class()

    def is_open_in_class(self) -> bool:
        """The same of all objects of the class."""
        if self._target is not None and self._revision == changes.count and not self._target.is_stale:
            return True
        revision = changes.count  # read before what it counts
        target = Target.method(self._owner, self._name)
        if runs_chain(target, target.function):
            return False
        self._target, self._revision = target, revision
        return True


def special(passage: SpecialPassage, owner: type, name: str, function: object, run_chain: Member) -> Member:
    """A special method that passes through, or by `run_chain` if it is decorated by now."""

    def call(self: Any, /, *args: object, **kwargs: object) -> Any:
        target = self._Proxy__target
        if not passage.is_open(target):
            return run_chain(self, *args, **kwargs)
        return _handed(self, target, getattr(owner, name)(target, *args, **kwargs))

    async def call_later(self: Any, /, *args: object, **kwargs: object) -> Any:
        target = self._Proxy__target
        if not passage.is_open(target):
            return await run_chain(self, *args, **kwargs)
        result = await getattr(owner, name)(target, *args, **kwargs)
        return self if result is target else result

    def call_await(self: Any, /) -> Generator[Any, Any, Any]:
        target = self._Proxy__target
        passage.is_open(target)
        generator: Generator[Any, Any, Any] = getattr(owner, name)(target)
        result = yield from generator
        return self if result is target else result

    if name == "__await__":
        return call_await
    return call_later if inspect.iscoroutinefunction(function) else call


def _handed(proxy: Any, target: Any, result: Any) -> Any:
    """What a caller gets. A `def` may also give the coroutine of an `async def` that returns the object."""
    if result is target:
        return proxy
    return _handed_later(proxy, target, result) if type(result) is CoroutineType else result


async def _handed_later(proxy: Any, target: Any, coroutine: Any) -> Any:
    result = await coroutine
    return proxy if result is target else result


# -- describing --------------------------------------------------------------------------------------------------------


def described(member: Member, function: Any, *, bound: Any = None) -> Member:
    """Give a member the name, text and signature of the function behind it; of a `bound` one, which takes no object."""
    wraps(function)(member)
    mark_as_reached(member)
    with suppress(TypeError, ValueError):  # what is written in C may have no signature
        if bound is not None:  # as a method of the proxy it has a `self`, which its signature must show
            signature = inspect.signature(bound)
            itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
            member.__signature__ = signature.replace(  # type: ignore[attr-defined]
                parameters=[itself, *signature.parameters.values()]
            )
    return member
