"""Who the user of a request is: the registry's `current_user`, else what an authentication middleware has found."""

import inspect
from collections.abc import Callable
from typing import Any, final

from interceptors.bindings import bindings_of, called_as
from interceptors.context import MISSING, InvocationContext
from interceptors.describing import location, name_of
from interceptors.errors import WrongCallError
from interceptors.kinds import is_provider
from interceptors.signatures import read_function
from interceptors.undocumented import is_marker

__all__ = ["Users"]

_WRITTEN = "Write `async def current_user(request): ...`, or give a provider: `current_user=container.user`"


@final
class Users:
    """Finds users. `ask` is the registry's `current_user`; `own` gives the container's own copy of a provider.

    Raises WrongCallError if `ask` is no function of the request and no provider.
    """

    def __init__(self, ask: Any, own: Callable[[Any], Any]) -> None:
        if is_provider(ask):
            _check_provider(ask)
        elif ask is not None:
            _check_callable(ask)
        self._ask = ask
        self._own = own

    def __str__(self) -> str:
        return f"{name_of(self._ask)} ({location(self._ask)})"

    def at_once(self, request: Any) -> Any:
        """The user if finding it needs no `await`, else MISSING."""
        return MISSING if self._ask is not None else _user_of_scope(request)

    async def find(self, ctx: InvocationContext) -> Any:
        """Ask who the user is. A callable is not called outside a request."""
        ask = self._ask
        if ask is None:
            return _user_of_scope(ctx.request)
        if is_provider(ask):
            found = called_as(ctx, self._own(ask))
        elif ctx.request is None:
            return None
        else:
            found = called_as(ctx, ask, ctx.request)
        return await found if inspect.isawaitable(found) else found


def _user_of_scope(request: object) -> Any:
    """The user that an authentication middleware of Starlette's found. One who does not say that he is, is nobody."""
    user = getattr(request, "scope", {}).get("user")
    return user if getattr(user, "is_authenticated", False) else None


def _check_provider(ask: Any) -> None:
    if "current_user" in bindings_of(ask):
        raise WrongCallError(
            f"`current_user` is a provider of {name_of(ask)} ({location(ask)}), which depends on the current user that it "
            f"is to find; let it depend on `InvocationBindings.request`.",
            ask,
        )


def _check_callable(ask: object) -> None:
    """A function that takes one argument, the request, and returns the user or an awaitable."""
    problem = _problem_of(ask)
    if problem is not None:
        raise WrongCallError(f"`current_user` is {problem}. {_WRITTEN}.", ask)


def _problem_of(ask: object) -> str | None:
    if is_marker(ask):
        return f"{ask!r}, a marker for parameters"
    if not callable(ask):
        return f"{ask!r}, which cannot be called with the request"
    place = f"{name_of(ask)} ({location(ask)})"
    inner = inspect.unwrap(ask)
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in (inner, ask)):
        return f"{place}, a generator, which would be the user itself"
    try:
        signature = inspect.signature(ask)
        signature.bind(object())
    except TypeError:
        return f"{place}, which cannot be called with the request alone"
    except ValueError:  # a builtin that does not say what it takes
        return None
    foreign = read_function(ask).foreign
    if foreign:
        return (
            f"{place}, whose parameter {min(foreign)!r} FastAPI would have to give; from a dependency of FastAPI's say "
            f'`bind_request(request, "current_user", user)`'
        )
    return None
