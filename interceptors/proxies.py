"""Proxies: an object whose public `async def` methods run through their chains."""

import inspect
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from interceptors.context import InvocationSource
from interceptors.current import Cell, current
from interceptors.describing import function_behind, location
from interceptors.entry import Entry
from interceptors.errors import InvalidTargetError
from interceptors.kinds import is_async
from interceptors.metadata import method_levels
from interceptors.target import is_generator

__all__ = ["is_proxy", "make_proxy"]

T = TypeVar("T")


class Registry(Protocol):
    """What a proxy asks of its registry."""

    proxy_classes: dict[tuple[type, type], type]

    def entry_of(self, target: Any, method: str, source: InvocationSource | None = None) -> Entry: ...


_SOURCE = InvocationSource("proxy")

_NOT_FORWARDED = frozenset(
    {
        "__class__",
        "__class_getitem__",
        "__del__",
        "__delattr__",
        "__eq__",
        "__getattr__",
        "__getattribute__",
        "__init__",
        "__init_subclass__",
        "__ne__",
        "__new__",
        "__prepare__",
        "__setattr__",
        "__subclasshook__",
    }
)


def make_proxy(registry: Registry, target: T) -> T:
    """A stand-in for `target`, of the same type to `isinstance` and to type checkers."""
    if is_proxy(target):
        return target
    owner = target if isinstance(target, type) else type(target)
    key = (owner, type(target))
    proxy_class = registry.proxy_classes.get(key)
    if proxy_class is None:
        proxy_class = registry.proxy_classes[key] = _proxy_class(registry, target, owner, type(target))
    return cast("T", proxy_class(target))


def _proxy_class(registry: Registry, target: object, owner: type, seen_as: type) -> type:
    namespace: dict[str, Any] = {
        "__slots__": ("_Proxy__target", "__weakref__"),
        "__class__": property(lambda _: seen_as),
        "__doc__": owner.__doc__,
        "__module__": owner.__module__,
    }
    for name in dir(owner):
        raw = inspect.getattr_static(owner, name)
        if not name.startswith("_") and _is_intercepted(owner, name, raw):
            namespace[name] = _intercepted_method(registry, name, raw)
    # Python looks special methods up on the type, so the proxy's class has those that are not `object`'s.
    for name in dir(seen_as):
        raw = inspect.getattr_static(seen_as, name, None)
        if _is_special(name) and raw is not vars(object).get(name, _ABSENT):
            if raw is None:  # `__hash__ = None` says that there is none
                namespace[name] = None
            elif callable(raw):
                namespace[name] = _forwarded(seen_as, name)
    return type(owner.__name__, (_Proxy,), namespace)


_ABSENT = object()


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _NOT_FORWARDED


class _Proxy:
    """Everything but the intercepted methods passes through to the target, setting and deleting included."""

    __slots__ = ()

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_Proxy__target", target)

    def __getattr__(self, name: str) -> Any:
        return getattr(_target_of(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_target_of(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_target_of(self), name)

    def __repr__(self) -> str:
        return repr(_target_of(self))

    def __str__(self) -> str:
        return str(_target_of(self))

    def __dir__(self) -> list[str]:
        return dir(_target_of(self))

    def __eq__(self, other: object) -> bool:
        return bool(_target_of(self) == (_target_of(other) if is_proxy(other) else other))

    def __hash__(self) -> int:
        return hash(_target_of(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _target_of(self).__reduce_ex__(protocol)  # a copy is a copy of the object


def is_proxy(thing: object) -> bool:
    """Is it a proxy? `isinstance` sees the class of its target."""
    return issubclass(type(thing), _Proxy)


def _target_of(proxy: Any) -> Any:
    return proxy._Proxy__target


def _is_intercepted(owner: type, name: str, raw: Any) -> bool:
    """Public `async def` methods are; a decorated method that cannot be is refused, not passed by in silence."""
    function = function_behind(raw)
    if not inspect.isroutine(function):
        return False
    if is_async(function):
        return True
    if any(metadata.intercepts for _, metadata in method_levels(owner, name)):
        kind = "a generator" if is_generator(function) else "no `async def`"
        raise InvalidTargetError(
            f"{owner.__name__}.{name} ({location(function)}) has interceptors but is {kind}, so a proxy cannot run "
            f'them; make it `async def`, or call it with `await registry.invoke(target, "{name}")`.',
            owner,
        )
    return False


def _intercepted_method(registry: Registry, name: str, raw: Any) -> Any:
    entry_of = registry.entry_of

    async def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        # `interceptors.entry.run`, written out: awaiting that one would cost a second frame, at every resume, too.
        target = _target_of(self)
        ctx = entry_of(target, name, _SOURCE).context(args, kwargs)
        ctx._target = target
        cell: Cell = [ctx, current.get()]
        token = current.set(cell)
        try:
            return await ctx._plan.run(ctx)
        finally:
            cell[0] = None
            try:  # noqa: SIM105
                current.reset(token)
            except ValueError:
                pass

    wraps(function_behind(raw))(method)
    if _is_static(raw):  # as a method of the proxy it has a `self`, which its signature must show
        signature = inspect.signature(function_behind(raw))
        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        method.__signature__ = signature.replace(parameters=[itself, *signature.parameters.values()])  # type: ignore[attr-defined]
    return method


def _is_static(raw: object) -> bool:
    return isinstance(raw, staticmethod)


def _forwarded(seen_as: type, name: str) -> Any:
    def special(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(seen_as, name)(_target_of(self), *args, **kwargs)

    special.__name__ = name
    return special
