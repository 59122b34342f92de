"""Proxies: an object whose public `async def` methods run through their chains."""

import inspect
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from interceptors.context import InvocationSource, current
from interceptors.errors import InvalidTargetError
from interceptors.kinds import function_behind, is_async, location
from interceptors.metadata import method_levels
from interceptors.plan import Plan, is_generator

__all__ = ["make_proxy"]

T = TypeVar("T")


class Planner(Protocol):
    """What a proxy asks of its registry."""

    _plans: dict[Any, Plan]
    _proxy_classes: dict[type, type]

    def _plan_of(self, target: Any, method: str, source_type: str | None) -> Plan: ...


_SOURCE = InvocationSource("proxy")

# Looked up on the type by Python itself, so a proxy class has to have them; `object`'s own are left to it.
_NOT_FORWARDED = frozenset(
    {
        "__class__",
        "__class_getitem__",
        "__del__",
        "__delattr__",
        "__dict__",
        "__doc__",
        "__getattr__",
        "__getattribute__",
        "__init__",
        "__init_subclass__",
        "__module__",
        "__new__",
        "__setattr__",
        "__slots__",
        "__subclasshook__",
        "__weakref__",
    }
)


def make_proxy(registry: Planner, target: T) -> T:
    """A stand-in for `target`, of the same type to `isinstance` and to type checkers."""
    owner = target if isinstance(target, type) else type(target)
    proxy_class = registry._proxy_classes.get(owner)
    if proxy_class is None:
        proxy_class = registry._proxy_classes[owner] = _proxy_class(registry, owner, type(target))
    return cast("T", proxy_class(target))


def _proxy_class(registry: Planner, owner: type, seen_as: type) -> type:
    namespace: dict[str, Any] = {
        "__slots__": ("_Proxy__target", "__weakref__"),
        "__class__": property(lambda self: seen_as),
        "__doc__": owner.__doc__,
        "__module__": owner.__module__,
    }
    for name in dir(owner):
        raw = inspect.getattr_static(owner, name)
        if not name.startswith("_") and _is_intercepted(owner, name, raw):
            namespace[name] = _intercepted_method(registry, owner, name, getattr(owner, name))
    for name in dir(seen_as):
        if name.startswith("__") and name.endswith("__") and name not in _NOT_FORWARDED and _is_own(seen_as, name):
            namespace[name] = _forwarded(name)
    return type(owner.__name__, (_Proxy,), namespace)


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


def _target_of(proxy: Any) -> Any:
    return proxy._Proxy__target


def _is_own(cls: type, name: str) -> bool:
    return getattr(cls, name) is not getattr(object, name, None)


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


def _intercepted_method(registry: Planner, owner: type, name: str, function: Any) -> Any:
    plans, key = registry._plans, (owner, name, _SOURCE.type)

    @wraps(function)
    async def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        # What `registry.invoke` does; awaiting that one would cost a second frame, at every resume, too.
        target = _target_of(self)
        plan = plans.get(key) or registry._plan_of(target, name, _SOURCE.type)
        ctx = plan.context_class()
        ctx._target = target
        ctx._source = _SOURCE
        ctx._positional = args
        ctx._keywords = kwargs
        outer = current.get(None)
        if outer is not None:
            ctx._root = outer._root or outer
        token = current.set(ctx)
        try:
            return await plan.run(ctx)
        finally:
            current.reset(token)

    return method


def _forwarded(name: str) -> Any:
    def special(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(_target_of(self), name)(*args, **kwargs)

    special.__name__ = name
    return special
