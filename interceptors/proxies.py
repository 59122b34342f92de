"""Proxies: an object whose public `async def` methods, and what else is decorated, run through their chains."""

import inspect
from functools import cached_property, partial, partialmethod, singledispatchmethod
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakValueDictionary

from interceptors.describing import function_behind
from interceptors.entry import Registered
from interceptors.errors import InvalidTargetError
from interceptors.kinds import class_of
from interceptors.members import Member, Passage, SpecialPassage, described, passing, refusing, running, special
from interceptors.target import Target
from interceptors.verdict import check_accessors, has_decorated_call, is_handed_on, is_method, is_of_class, runs_chain

__all__ = ["check_no_proxy", "is_proxy", "make_proxy"]

T = TypeVar("T")


class Registry(Registered, Protocol):
    """What a proxy asks of its registry."""

    @property
    def proxy_classes(self) -> "WeakValueDictionary[tuple[type, type], type]": ...
    def intercepted(self, target: T, /) -> T: ...


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

_METHODS = (FunctionType, staticmethod, classmethod, partialmethod, singledispatchmethod)


def make_proxy(registry: Registry, target: T) -> T:
    """A stand-in for `target`, of the same type to `isinstance` and to type checkers."""
    if is_proxy(target):
        return target
    owner = class_of(target)
    key = (owner, type(target))
    proxy_class = registry.proxy_classes.get(key)
    if proxy_class is None:
        proxy_class = registry.proxy_classes[key] = _proxy_class(registry, owner, type(target))
    return cast("T", proxy_class(target))


def _proxy_class(registry: Registry, owner: type, seen_as: type) -> type:
    namespace: dict[str, Any] = {
        "__slots__": ("_Proxy__own", "_Proxy__target", "__weakref__"),
        "__class__": property(lambda _: seen_as),
        "__doc__": owner.__doc__,
        "__module__": owner.__module__,
        "_Proxy__passing": {},
        "_Proxy__registry": registry,
    }
    for name in _names(owner):
        member = _running_member(registry, owner, name)
        if member is not None and (owner is seen_as or not _is_special(name)):
            namespace[name] = member
    # Python looks special methods up on the type, so the proxy's class has those that are not `object`'s.
    for name in _names(seen_as):
        if _is_special(name) and name not in _NOT_FORWARDED and name not in namespace:
            raw = inspect.getattr_static(seen_as, name)
            if raw is None:  # `__hash__ = None` says that there is none
                namespace[name] = None
            elif _is_called(seen_as, name, raw):
                namespace[name] = _special_member(registry, seen_as, name, raw)
    return type(owner.__name__, (_Proxy,), namespace)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _names(cls: type) -> dict[str, None]:
    """What a class and its bases define; the proxy has its own of what `object` defines."""
    return {name: None for base in cls.__mro__ if base is not object for name in vars(base)}


def _is_called(cls: type, name: str, raw: Any) -> bool:
    return not isinstance(raw, staticmethod | classmethod | property | type) and callable(getattr(cls, name, None))


def _running_member(registry: Registry, owner: type, name: str) -> Member | None:
    """For a method whose chain runs; None for anything else: the object is asked for it at each access.

    Raises InvalidTargetError if it is decorated and cannot be intercepted.
    """
    raw: Any = inspect.getattr_static(owner, name)
    if isinstance(raw, property | cached_property):
        check_accessors(owner, name, cast("Any", raw))
        return None
    is_callable = isinstance(raw, _METHODS) or (callable(raw) and not inspect.isclass(raw))
    if not is_callable or has_decorated_call(raw) or (target := Target.find(owner, name)) is None:
        return None
    is_bound = hasattr(cast("Any", raw), "__get__")
    function: Any = raw.func if isinstance(raw, singledispatchmethod) else function_behind(raw)
    if not runs_chain(target, function, of_class=is_method(raw)) or not is_bound:
        return None
    if name in _NOT_FORWARDED:
        raise InvalidTargetError(f"{target.title} has interceptors, but nothing can run them around it.", owner)
    bound: Any = function if isinstance(raw, staticmethod) else None
    if isinstance(raw, partialmethod):
        bound = partial(target.function, None)
    return described(running(registry, name, function), function, bound=bound)


def _special_member(registry: Registry, owner: type, name: str, raw: Any) -> Member:
    function, passage = function_behind(raw), SpecialPassage(owner, name)
    passage.is_open_in_class()  # else what is decorated and cannot be intercepted would be refused at the first call only
    return described(special(passage, owner, name, function, running(registry, name, function)), function)


class _Proxy:
    """Everything but the intercepted methods passes through to the target, setting and deleting included."""

    __slots__ = ()

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_Proxy__target", target)
        object.__setattr__(self, "_Proxy__own", {})

    def __getattr__(self, name: str) -> Any:
        target = _target_of(self)
        value = getattr(target, name)
        if value is target:
            return self
        return self.__reach(name, value) if callable(value) and not isinstance(value, type) else value

    def __reach(self, name: str, value: Any) -> Any:
        return _reached(self, name, value)

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


def check_no_proxy(target: object) -> None:
    """Refuse to call a method of a proxy by its name: its layers would run twice."""
    if is_proxy(target):
        message = f"This {target.__class__.__name__} is a proxy already: await its method, or invoke the object itself."
        raise InvalidTargetError(message, target)


def _target_of(proxy: Any) -> Any:
    return proxy._Proxy__target


def _reached(proxy: Any, name: str, value: Any) -> Any:
    """What a proxy gives for something that can be called and that its class has no member for.

    What the class has got meanwhile, what the object has for itself, and methods that pass through.
    """
    function = value.__func__ if type(value) is MethodType else function_behind(value)
    known: tuple[Any, Passage, Member] | None = proxy._Proxy__passing.get(name)
    try:
        if known is not None and known[0] is function and known[1].is_open(_target_of(proxy), value):
            return MethodType(known[2], proxy)
        return _looked_at(proxy, name, value, function)
    except InvalidTargetError as error:
        return MethodType(described(refusing(error), function, bound=value), proxy)


def _looked_at(proxy: Any, name: str, value: Any, function: Any) -> Any:
    """The same, looked at more closely. Raises InvalidTargetError for what is decorated and cannot be intercepted."""
    holder, registry = _target_of(proxy), proxy._Proxy__registry
    owner = class_of(holder)
    kept = proxy._Proxy__own.get(name)
    raw = inspect.getattr_static(owner, name, None)
    if has_decorated_call(value):
        if kept is None or kept[0] is not value:
            kept = proxy._Proxy__own[name] = (value, registry.intercepted(value))
        return kept[1]
    if raw is value and not runs_chain(Target.method(owner, name), value):
        return value  # of a class, which is called with an object
    target = Target.at(holder, name, value)
    of_class = is_of_class(holder, name, raw)
    if runs_chain(target, value, of_class=of_class):
        member = _running_member(registry, owner, name) if of_class else None
        if member is not None:  # the class has got it meanwhile
            setattr(cast("Any", type(proxy)), name, member)
            return MethodType(member, proxy)
        if kept is None or kept[0] is not function:
            member = described(running(registry, name, function, of_one=True), function, bound=value)
            kept = proxy._Proxy__own[name] = (function, member)
        return MethodType(kept[1], proxy)
    if not target.is_shared or not is_handed_on(function):
        return value
    passage = Passage(registry, name)
    member = described(passing(passage, name, function), function, bound=value)
    proxy._Proxy__passing[name] = (function, passage, member)
    return MethodType(member, proxy)
