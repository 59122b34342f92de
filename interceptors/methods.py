"""Calls of methods by their names: which chain belongs to what an object has under one at this moment."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeAlias, cast, final

from interceptors.context import InvocationContext, InvocationSource
from interceptors.entry import Entry, Registered
from interceptors.kinds import class_of
from interceptors.metadata import changes
from interceptors.plan import Plan
from interceptors.target import Target

__all__ = ["Method", "Methods", "QuickCall"]

QuickCall: TypeAlias = tuple[Any, object, Callable[[], InvocationContext], Callable[[Any], Any]]
"""(function, `changes.latest`, context class, run): the chain of exactly that function as long as nothing changes."""

_NOTHING: QuickCall = (object(), None, InvocationContext, lambda _: None)


@final
class Method:
    """The calls of what the objects of a class, or the class, have under a name, from one type of source.

    `of_one`: of one object alone. `options` say how it is called, as those of a `Target`.
    """

    __slots__ = ("_kept", "_of_one", "_options", "_source", "known", "name", "registry")

    def __init__(
        self,
        registry: Registered,
        name: str,
        source: InvocationSource | None,
        *,
        of_one: bool = False,
        **options: Any,
    ) -> None:
        self.registry = registry
        self.name = name
        self.known: QuickCall = _NOTHING
        """For a caller in a hurry: what to run for a bound method of this function, if that is still the latest change."""
        self._source = source
        self._of_one = of_one
        self._options = options
        self._kept: Entry | None = None

    def entry(self, holder: Any, found: Any) -> Entry:
        """The door to what was found. It is kept, but for what belongs to one object alone: that one must not live on.

        Raises InvalidTargetError if it cannot be called.
        """
        kept = self._kept
        if kept is not None and not kept.target.is_stale and kept.target.fits(holder, found):
            return kept
        target = Target.at(holder, self.name, found, **self._options)
        entry = Entry(self.registry, target, source=self._source)
        if self._of_one or target.is_shared:
            self._kept = entry
        return entry

    def context(
        self, holder: Any, found: Any, args: tuple[Any, ...], kwargs: dict[str, Any], request: Any = None
    ) -> InvocationContext:
        """The context of one call of what was found."""
        latest = changes.latest  # before all that it stands for
        entry = self.entry(holder, found)
        ctx = entry.context(args, kwargs, request)
        ctx._target, ctx._method = holder, found
        plan = cast("Plan", ctx._plan)
        if plan.target.is_plain:
            self.known = (plan.target.function, latest, plan.context_class, plan.run)
        return ctx


_KEPT = 1000
"""Classes, names and source types that are made at run time must not fill the memory."""


@final
class Methods:
    """The methods that a registry was asked for by name, but for those that have not been looked for the longest."""

    __slots__ = ("_added", "_lock", "_registry", "known")

    def __init__(self, registry: Registered) -> None:
        self.known: dict[Any, dict[Any, Method]] = {}
        """By name, or by name and source type; then by the class of the object. `of` finds and adds all others."""
        self._registry = registry
        self._lock = Lock()
        self._added: deque[tuple[Any, Any]] = deque()

    def of(self, target: Any, name: str, source: InvocationSource | None) -> Method:
        """The method of an object, or of a class, which is another one than that of its instances."""
        outer: Any = name if source is None else (name, source.type)
        inner: Any = (target,) if isinstance(target, type) else class_of(target)
        with self._lock:
            methods = self.known.setdefault(outer, {})
            method = methods.get(inner)
            if method is None:
                method = methods[inner] = Method(self._registry, name, source and InvocationSource(source.type))
                self._added.append((outer, inner))
                if len(self._added) > _KEPT:
                    self._forget(*self._added.popleft())
        return method

    def _forget(self, outer: object, inner: object) -> None:
        methods = self.known[outer]
        del methods[inner]
        if not methods:
            del self.known[outer]
