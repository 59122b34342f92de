"""What runs just now, for providers: `InvocationBindings`, and calling a provider so that they mean a given invocation.

They read which invocation runs in this task. An invocation may be awaited in a task of somebody else's, so whoever has
its context in hand calls providers with it: `called_as(ctx, provider)`.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from dependency_injector import containers, providers

from interceptors.context import InvocationContext, running
from interceptors.current import Cell, current
from interceptors.describing import location, name_of
from interceptors.errors import DuplicateKeyError, InjectionError, WrongCallError

__all__ = [
    "InvocationBindings",
    "bindings_of",
    "called_as",
    "check_container",
    "check_kept",
    "handed_out",
    "is_awaited",
]


def _request() -> Any:
    return running().request


def _response() -> Any:
    return running().injected_response


def _current_user() -> Any:
    return running().user_at_once()


def _provider(function: Callable[[], object]) -> providers.Provider[Any]:
    provider: providers.Callable[Any] = providers.Callable(function)
    # dependency-injector remembers from the first call whether a provider is asynchronous; these four never are.
    provider.disable_async_mode()
    return provider


class InvocationBindings(containers.DeclarativeContainer):
    """What runs just now, for providers of your own: `providers.Factory(Audit, request=InvocationBindings.request)`.

    Raises OutsideInvocationError where no invocation runs.
    """

    context = _provider(running)
    request = _provider(_request)
    response = _provider(_response)
    current_user = _provider(_current_user)


_FUNCTIONS = {"context": running, "request": _request, "response": _response, "current_user": _current_user}


# -- calling as an invocation ------------------------------------------------------------------------------------------


def called_as(ctx: InvocationContext, function: Callable[..., object], *args: object, **kwargs: object) -> Any:
    """Call a provider or a function for which this invocation is the one that runs, whatever task this is.

    So it is, too, when what this gives is awaited.
    """
    cell = current.get()
    if cell is not None and cell[0] is ctx:
        return function(*args, **kwargs)
    return _called(ctx, function, *args, **kwargs)


def _called(ctx: InvocationContext, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # The cell is not emptied before what was called has ended: a task that an asynchronous dependency runs in has it.
    cell: Cell = [ctx, None]
    token = current.set(cell)
    has_ended = True
    try:
        value = function(*args, **kwargs)
        has_ended = not is_awaited(function, value)
        return value if has_ended else _awaited(cell, value)
    finally:
        current.reset(token)
        if has_ended:
            cell[0] = None


async def _awaited(cell: Cell, awaitable: Awaitable[object]) -> Any:
    token = current.set(cell)
    try:
        return await awaitable
    finally:
        cell[0] = None
        with suppress(ValueError):  # closed in another context, which has nothing to put back
            current.reset(token)


def is_awaited(function: object, value: object) -> bool:
    """Is this what a call gave to be awaited? A provider knows; it may also give something awaitable as a value."""
    return inspect.isawaitable(value) and (
        not isinstance(function, providers.Provider) or function.is_async_mode_enabled()
    )


def handed_out(ctx: InvocationContext, provider: providers.Provider[Any]) -> providers.Provider[Any]:
    """What `Provider[...]` injects: where invocation bindings take part, a provider that stands for this invocation.

    It gives its request, user and so on wherever it is called, also later.
    """
    return providers.Callable(partial(_called, ctx, provider)) if bindings_of(provider) else provider


# -- what a provider is made of ----------------------------------------------------------------------------------------


def bindings_of(provider: providers.Provider[Any]) -> set[str]:
    """Which invocation bindings take part in a provider, also those that it is given to call by itself."""
    return {name for part in _parts(provider) if (name := _binding(part)) is not None}


def _parts(provider: providers.Provider[Any]) -> list[Any]:
    return [provider, *provider.traverse()]


def _binding(provider: object) -> str | None:
    function: object = getattr(provider, "provides", None)
    return next((name for name, known in _FUNCTIONS.items() if known is function), None)


def check_container(container: object, current_user: object) -> None:
    """Raises what is wrong with the providers of a container where invocations take part.

    WrongCallError for what is no container; InjectionError, see `check_kept`; DuplicateKeyError for a provider with the
    name of one of ours, by which it could not be reached, unless it stands for that or is the registry's `current_user`.
    """
    if inspect.isclass(container) and issubclass(container, containers.Container):
        name = container.__name__
        raise WrongCallError(f"`container` is the class {name}; give an instance: {name}()", container)
    if not isinstance(container, containers.Container):
        raise WrongCallError(
            f"`container` takes a container of dependency-injector, not {container!r}: InterceptorRegistry(Container()). "
            f"Interceptors are given to registry.add_global or registry.bind.",
            container,
        )
    parts: list[Any] = list(container.traverse())
    for part in parts:
        check_kept(part)
    for name, own in InvocationBindings.providers.items():
        provider: Any = container.providers.get(name)
        if provider is not None and provider is not current_user and not _stands_for(provider, name):
            raise DuplicateKeyError(
                f"The container has a provider {name!r}, of {name_of(provider)} ({location(provider)}), but this key means "
                f"the {name} of the invocation. Call it by another name, or write `{name} = InvocationBindings.{name}`.",
                name,
                own,
                provider,
            )


def _stands_for(provider: Any, name: str) -> bool:
    """A container may have one of ours under its name; a placeholder may be given it."""
    while provider.overridden:
        provider = provider.overridden[-1]
    return _binding(provider) == name


def check_kept(provider: providers.Provider[Any]) -> None:
    """Raises InjectionError if what is made once would keep something of the invocation that happened to come first."""
    for part in filter(_is_made_once, _parts(provider)):
        for name in _bindings_called_by(part):
            raise InjectionError(
                f"The {type(part).__name__} of {name_of(part)} ({location(part)}) is made once, with "
                f"`InvocationBindings.{name}`: everybody would get that of the first invocation. Make it a Factory, or "
                f"give it the provider, which it calls when it needs to: `InvocationBindings.{name}.provider`.",
                name_of(part),
                name,
            )


def _is_made_once(provider: object) -> bool:
    return isinstance(provider, providers.BaseSingleton | providers.Resource)


def _bindings_called_by(provider: Any) -> Iterator[str]:
    """The invocation bindings that are called when a provider is; not those that are handed on to be called later."""
    seen: set[int] = set()
    waiting = [provider]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or (providers.is_delegated(part) and part is not provider):
            continue
        seen.add(id(part))
        name = _binding(part)
        if name is not None:
            yield name
        waiting += () if isinstance(part, providers.Delegate) else part.related
