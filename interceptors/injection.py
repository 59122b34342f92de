"""The bridge to dependency-injector: keys, markers, constructors.

Every injected parameter becomes one plain function `ctx -> value`, compiled at start-up. A value that takes an `await`
(an asynchronous provider, a provider that needs the current user) comes as `Pending`, and only then is anything awaited.
"""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from dependency_injector import containers, providers

from interceptors.bindings import (
    InvocationBindings,
    bindings_of,
    called_as,
    check_container,
    check_kept,
    handed_out,
    is_awaited,
)
from interceptors.constructors import Attribute, check_constructor, check_instance, leading, marked_attributes
from interceptors.context import MISSING, InvocationContext
from interceptors.describing import location
from interceptors.errors import InjectionError, UnknownKeyError
from interceptors.kinds import is_provider
from interceptors.signatures import InjectedParameter, SpecialType, TargetSignature
from interceptors.undocumented import ProvidersMap, key_of, modified
from interceptors.users import Users

__all__ = ["Getter", "Injector", "Pending", "settle"]

Getter: TypeAlias = Callable[[InvocationContext], Any]
"""Gives an injected value, or a `Pending`."""


class Pending:
    """A value that has to be awaited first: `start` begins to, so that one which nobody wants leaves nothing behind."""

    __slots__ = ("start",)

    def __init__(self, start: Callable[[], Awaitable[Any]]) -> None:
        self.start = start


async def settle(value: object) -> Any:
    """The value itself, awaited if it is pending."""
    return await value.start() if type(value) is Pending else value


class Injector:
    """Resolves keys, markers and constructors against one dependency-injector container, or none."""

    def __init__(self, container: containers.Container | None, current_user: Any) -> None:
        if container is not None:
            check_container(container, current_user)
        self.container = container
        self._constructors: WeakKeyDictionary[type, TargetSignature] = WeakKeyDictionary()
        self._attributes: WeakKeyDictionary[type, dict[str, Attribute]] = WeakKeyDictionary()
        self._getters: dict[str, tuple[Any, Getter]] = {}  # of the keys that contexts are asked for
        self._map: Any = None if container is None else ProvidersMap(container)
        self.users = Users(current_user, self.own)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def provider(self, key: str) -> Any:
        """The provider at a dotted path of the container, or None."""
        found: Any = self.container
        for name in key.split("."):
            try:
                found = getattr(found, name)
            except AttributeError:
                return None
        return found if is_provider(found) else None

    def own(self, provider: Any) -> Any:
        """The container's own copy of a provider that was named on the container's class."""
        if self._map is None:
            return provider
        found = self._map.resolve_provider(provider)
        return provider if found is None else found

    def keys(self) -> list[str]:
        """The keys that the container has, one level of nested containers included."""
        return [] if self.container is None else list(_paths(self.container))

    async def get(self, ctx: InvocationContext, key: str, default: Any) -> Any:
        """The value of a key that is bound neither on the invocation nor on its request."""
        if key in _SPECIAL_GETTERS:
            return await settle(_SPECIAL_GETTERS[key](ctx))
        provider = self.provider(key)
        if provider is None:
            if default is MISSING:
                raise UnknownKeyError(key, f"ctx.get in {ctx.target_name}", self._known_keys(ctx), _BIND_IT)
            return default
        known, getter = self._getters.get(key, (None, None))
        if known is not provider or getter is None:
            getter = self.from_provider(provider)
            self._getters[key] = provider, getter
        return await settle(getter(ctx))

    # -- parameters ----------------------------------------------------------------------------------------------------

    def constructor(self, cls: type, role: str) -> tuple[Getter, bool]:
        """How to build a class, and whether anything is injected. Checked here: nothing is left to the first request.

        Raises what `check_constructor` raises.
        """
        signature = self._constructors.get(cls)
        if signature is None:
            signature = self._constructors[cls] = check_constructor(cls, role)
        getters = self.getters(signature.injected, f"{cls.__qualname__}.__init__", cls)
        by_position = leading(signature)
        make = partial(_make, cls, [(each.name, each.default) for each in by_position]) if by_position else cls
        return _builder(make, getters) if getters else lambda ctx: cls(), bool(getters)

    def check_instance(self, instance: object, role: str) -> None:
        """Raises InjectionError for an attribute of an object that is still a marker."""
        cls = type(instance)
        found = self._attributes.get(cls)
        if found is None:
            found = self._attributes[cls] = marked_attributes(cls)
        check_instance(instance, role, found)

    def getters(self, injected: list[InjectedParameter], owner: str, where: object) -> list[tuple[str, Getter]]:
        """One getter for each injected parameter."""
        return [(p.parameter.name, self._getter(p, owner.rpartition("<locals>.")[2], where)) for p in injected]

    def _getter(self, injected: InjectedParameter, owner: str, where: object) -> Getter:
        marker, name = injected.marker, injected.parameter.name
        if isinstance(marker, SpecialType):
            return _SPECIAL_GETTERS[marker.name]
        kind = type(marker).__name__
        if kind not in ("Provide", "Provider"):
            raise InjectionError(
                f"The parameter {name!r} of {owner} ({location(where)}) is marked {marker!r}; only `Provide` and "
                f"`Provider` are injected. Close resources where they are opened, or in an interceptor around the call.",
                owner,
                name,
            )
        call = kind == "Provide"
        target = key_of(marker)
        if isinstance(target, str):
            return self._from_key(target, marker, owner, name, call=call)
        if not isinstance(target, providers.Provider):
            raise InjectionError(
                f"The parameter {name!r} of {owner} ({location(where)}) is marked {marker!r}, which names no provider.",
                owner,
                name,
            )
        provider = modified(marker, self.own(target), self._map)
        return self.from_provider(provider) if call else lambda ctx: handed_out(ctx, provider)

    def _from_key(self, key: str, marker: object, owner: str, parameter: str, *, call: bool) -> Getter:
        provider = InvocationBindings.providers.get(key) or self.provider(key)
        made = None if provider is None else modified(marker, provider, self._map)
        provided: Getter | None = None
        if call and made is provider and key in _SPECIAL_GETTERS:
            provided = _SPECIAL_GETTERS[key]
        elif made is not None:
            provided = self.from_provider(made) if call else lambda ctx: handed_out(ctx, made)

        def get(ctx: InvocationContext) -> Any:
            value = ctx.bound(key)
            if value is not MISSING:
                return value if call else lambda: value
            if provided is None:
                asked_by = f"the parameter {parameter!r} of {owner}"
                raise UnknownKeyError(key, asked_by, self._known_keys(ctx), _BIND_IT)
            return provided(ctx)

        return get

    def from_provider(self, provider: providers.Provider[Any]) -> Getter:
        """The value of a provider; the current user is resolved first if it takes part in it.

        Raises InjectionError for what is made once, and would keep something of the first invocation.
        """
        bindings = bindings_of(provider)
        if bindings:
            check_kept(provider)

        def get(ctx: InvocationContext) -> Any:
            value: Any = called_as(ctx, provider)
            return Pending(lambda: value) if is_awaited(provider, value) else value

        async def after_user(ctx: InvocationContext) -> Any:
            await ctx.current_user()
            return await settle(get(ctx))

        return (lambda ctx: Pending(partial(after_user, ctx))) if "current_user" in bindings else get

    def _known_keys(self, ctx: InvocationContext) -> list[str]:
        return [*self.keys(), *_SPECIAL_GETTERS, *ctx.bound_keys()]


_BIND_IT = "Give the container such a provider, or bind the key with ctx.bind or ctx.bind_request further out."

_SPECIAL_GETTERS: dict[str, Getter] = {
    "request": lambda ctx: ctx.request,
    "response": lambda ctx: ctx.injected_response,
    "context": lambda ctx: ctx,
    "current_user": lambda ctx: Pending(ctx.current_user),
}


def _builder(make: Callable[..., object], getters: list[tuple[str, Getter]]) -> Getter:
    def build(ctx: InvocationContext) -> Any:
        values: dict[str, Any] = {}
        pending = False
        for name, get in getters:
            value = values[name] = get(ctx)
            pending = pending or type(value) is Pending
        return Pending(partial(_build_later, make, values)) if pending else make(**values)

    return build


async def _build_later(make: Callable[..., object], values: dict[str, Any]) -> Any:
    return make(**{name: await settle(value) for name, value in values.items()})


def _make(cls: type, by_position: list[tuple[str, Any]], /, **values: object) -> Any:
    """Where some parameters are positional-only; those that are not injected have their defaults."""
    return cls(*[values.pop(name, default) for name, default in by_position], **values)


def _paths(container: Any, prefix: str = "") -> Iterator[str]:
    for name, provider in container.providers.items():
        yield prefix + name
        if not prefix and isinstance(provider, providers.Container):
            yield from _paths(provider, f"{name}.")
