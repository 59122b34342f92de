"""The registry: what interceptors there are, and invoking methods through their chains."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

from dependency_injector import containers

from interceptors.candidates import Candidate, Explanation, GlobalEntry, find_candidates
from interceptors.chain import Chain
from interceptors.context import InvocationSource, current
from interceptors.debug import warn_of_forgotten_return
from interceptors.decorators import names
from interceptors.describing import name_of
from interceptors.discovery import find_marked
from interceptors.errors import InvalidInterceptorError, InvalidTargetError, UnknownKeyError
from interceptors.injection import Injector
from interceptors.kinds import (
    Interceptor,
    InterceptorFunction,
    InterceptorOrKey,
    check_interceptor,
    identity,
    is_provider,
)
from interceptors.layers import layer_function
from interceptors.ordering import order_groups
from interceptors.plan import Plan, plan_key
from interceptors.proxies import is_proxy, make_proxy
from interceptors.target import Target

__all__ = ["InterceptorRegistry"]

T = TypeVar("T")

Wrapper: TypeAlias = Callable[[Interceptor, InterceptorFunction], InterceptorFunction]
"""Something that watches a layer run: gets the interceptor and its function, gives the function to run instead."""


class InterceptorRegistry:
    """Keys, global interceptors and their order, for one application; several may live in one process.

    `container`: an instance of a dependency-injector container, for keys and injected parameters.
    `ordered_groups`: the order of the groups of global interceptors, outermost first.
    `current_user`: who the user of a request is: a callable that gets the request (it may be async), or a provider.
    `debug`: warn about layers that forget to return what the layer inside them returned.
    """

    def __init__(
        self,
        container: containers.Container | None = None,
        *,
        ordered_groups: Iterable[str] = (),
        current_user: Any = None,
        debug: bool = False,
    ) -> None:
        if isinstance(ordered_groups, str):
            raise TypeError(f"`ordered_groups` takes a list of names: ({ordered_groups!r},)")
        self.container = container
        self.ordered_groups = tuple(ordered_groups)
        self.debug = debug
        self._injector = Injector(container, current_user)
        self._bindings: dict[str, InterceptorOrKey] = {}
        self._globals: list[GlobalEntry] = []
        self._sorted_globals: tuple[GlobalEntry, ...] = ()
        self._plans: dict[Any, Plan] = {}
        self._proxy_classes: dict[tuple[type, type], type] = {}
        self._wrappers: list[Wrapper] = [warn_of_forgotten_return()] if debug else []
        self._replaced: dict[Hashable, InterceptorOrKey | None] = {}
        order_groups((), self.ordered_groups)

    # -- what there is -------------------------------------------------------------------------------------------------

    def bind(self, key: str, interceptor: InterceptorOrKey) -> None:
        """Bind a key for `@intercept("key")`; binding it again replaces it, from the next invocation on.

        Raises InvalidInterceptorError.
        """
        check_interceptor(key)
        check_interceptor(interceptor)
        self._bindings[key] = interceptor
        self._changed()

    def unbind(self, key: str) -> None:
        """Forget a key, and the global interceptor that is bound to it. Raises UnknownKeyError."""
        if key not in self._bindings:
            raise UnknownKeyError(
                key, "registry.unbind", self._bindings, "Only what registry.bind bound can be unbound."
            )
        del self._bindings[key]
        self._globals = [entry for entry in self._globals if entry.key != key]
        self._changed()

    def add_global(
        self,
        interceptor: InterceptorOrKey,
        *,
        group: str = "",
        key: str | None = None,
        source: str | Iterable[str] | None = None,
        before: str | Iterable[str] = (),
        after: str | Iterable[str] = (),
    ) -> None:
        """Put an interceptor around every invocation, or around those of one or more source types.

        `before` and `after` name groups, and order whole groups. With `key` it is also bound to that key, and replaces
        the global that was. Raises InvalidInterceptorError, and GroupOrderError if the order becomes contradictory.
        """
        check_interceptor(interceptor)
        if key is not None:
            check_interceptor(key)
        sources = None if source is None or source == "" else names(source)
        entry = GlobalEntry(key or interceptor, group, key, sources, names(before), names(after))
        others = [known for known in self._globals if key is None or known.key != key]
        self._sorted_globals = self._sort([*others, entry])
        self._globals = [*others, entry]
        if key is not None:
            self._bindings[key] = interceptor
        self._changed()

    def remove_global(self, interceptor: InterceptorOrKey) -> None:
        """Remove a global interceptor, named by its key or by itself. Raises UnknownKeyError if it is none."""
        kept = [entry for entry in self._globals if not self._is_named(entry, interceptor)]
        if len(kept) == len(self._globals):
            known = [entry.key for entry in self._globals if entry.key]
            name = interceptor if isinstance(interceptor, str) else name_of(interceptor)
            raise UnknownKeyError(name, "registry.remove_global", known, "It is no global interceptor.")
        self._globals = kept
        self._changed()

    def discover(self, package: str | ModuleType) -> list[Any]:
        """Import a package with everything in it and add what is marked with `@global_interceptor`.

        Modules named `test_*` and `conftest` are left alone; what is global already is not added again.
        Returns what was added, in the order of module names and of the lines in them.
        """
        known = {self._meaning(entry.interceptor) for entry in self._globals}
        added: list[Any] = []
        for interceptor, options in find_marked(package):
            if identity(interceptor) in known:
                continue
            known.add(identity(interceptor))
            added.append(interceptor)
            self.add_global(
                interceptor,
                group=options.group,
                key=options.key,
                source=options.source,
                before=options.before,
                after=options.after,
            )
        return added

    # -- invoking ------------------------------------------------------------------------------------------------------

    async def invoke(
        self,
        target: Any,
        method: str,
        /,
        *args: Any,
        source: InvocationSource | None = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Call a method of an object through its chain; of a class, a static or class method.

        An invocation inside another one belongs to the same request, unless `request` starts afresh. A `def` method
        runs inline. Raises InvalidTargetError if there is no such method.
        """
        if source is None:
            plan = self._plans.get((type(target), method, None)) or self._plan_of(target, method, None)
        elif isinstance(source, InvocationSource):
            plan = self._plans.get((type(target), method, source.type)) or self._plan_of(target, method, source.type)
        else:
            raise TypeError(f'`source` takes an InvocationSource, not {source!r}: InvocationSource("job")')
        ctx = plan.context_class()
        ctx._target = target
        ctx._positional = args
        ctx._keywords = kwargs
        if source is not None:
            ctx._source = source
        if request is not None:
            ctx._request = request
        elif (outer := current.get(None)) is not None:
            ctx._root = outer._root or outer
        token = current.set(ctx)
        try:
            return await plan.run(ctx)
        finally:
            current.reset(token)

    def intercepted(self, target: T) -> T:
        """A proxy whose public `async def` methods run through their chains; everything else passes straight through.

        Raises InvalidTargetError if a plain `def` or generator method is decorated: use `registry.invoke` for it.
        """
        return make_proxy(self, target)

    # -- looking -------------------------------------------------------------------------------------------------------

    def explain(self, target: Any, method: str | None = None, source: str | None = None) -> Explanation:
        """Every interceptor declared for a method of a class, or for a function: what runs, and why the others don't."""
        return self._explain(Target.of(target, method), source.type if isinstance(source, InvocationSource) else source)

    def validate(self) -> None:
        """Resolve every key of the global interceptors and check every constructor.

        Raises UnknownKeyError, InjectionError or InvalidInterceptorError.
        """
        for entry in self._globals:
            for part in self._parts(self._resolve(entry.interceptor, lambda: "a global interceptor")):
                layer_function(part, self._injector)

    # -- plans ---------------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._sorted_globals = self._sort(self._globals)
        self._plans.clear()

    def _sort(self, entries: list[GlobalEntry]) -> tuple[GlobalEntry, ...]:
        constraints: dict[tuple[str, str], str] = {}
        for entry in entries:
            for other in entry.before:
                constraints[entry.group, other] = f"before={other!r} of {name_of(entry.interceptor)}"
            for other in entry.after:
                constraints[other, entry.group] = f"after={other!r} of {name_of(entry.interceptor)}"
        order = order_groups((entry.group for entry in entries), self.ordered_groups, constraints)
        return tuple(sorted(entries, key=lambda entry: order.index(entry.group)))

    def _plan_of(self, target: Any, method: str, source_type: str | None) -> Plan:
        """The plan of a call by name, kept per class; not kept for a function that belongs to one object alone."""
        is_class = isinstance(target, type)
        owner: type = target if is_class else type(target)
        key = plan_key(target, method, source_type)
        plan = self._plans.get(key)
        if plan is None:
            if not hasattr(owner, method) and callable(own := getattr(target, method, None)):
                return self._plan(Target(method, own, owner), source_type)
            if is_proxy(target):
                message = f"This {target.__class__.__name__} is a proxy already: await its method, or invoke the object itself."
                raise InvalidTargetError(message, target)
            found = Target.method(owner, method)
            if is_class and not found.is_fixed:
                raise InvalidTargetError(f"{found.title} is an instance method; invoke it on an instance.", owner)
            plan = self._plans[key] = self._plan(found, source_type)
        return plan

    def _kept_plan(self, target: Target, source_type: str) -> Plan:
        """The plan of a target that is called from one place only, which keeps the target as its key."""
        plan = self._plans.get(target)
        if plan is None:
            plan = self._plans[target] = self._plan(target, source_type)
        return plan

    def _plan(self, target: Target, source_type: str | None) -> Plan:
        """Compile the chain of a target. Raises what there is to find wrong with it."""
        layers: list[InterceptorFunction] = []
        for candidate in self._candidates(target, source_type):
            for part in self._parts(candidate.interceptor) if candidate.runs else ():
                function = layer_function(part, self._injector)
                for wrap in self._wrappers:
                    function = wrap(part, function)
                layers.append(function)
        return Plan(target, layers, self._injector)

    def _explain(self, target: Target, source_type: str | None) -> Explanation:
        return Explanation(target.title, source_type, tuple(self._candidates(target, source_type)))

    def _candidates(self, target: Target, source_type: str | None) -> list[Candidate]:
        return find_candidates(
            self._sorted_globals, target.owner, target.name, target.function, source_type, self._resolve
        )

    def _parts(self, interceptor: Any, within: frozenset[Hashable] = frozenset()) -> Iterator[Any]:
        """Take a chain apart, its keys resolved; leave out or replace what a test has overridden."""
        replaced, opened = ("replaced", identity(interceptor)), ("opened", identity(interceptor))
        if replaced[1] in self._replaced and replaced not in within:  # what replaces it may run it in turn
            yield from self._parts(self._replaced[replaced[1]], within | {replaced})
        elif isinstance(interceptor, Chain):
            if opened in within:
                raise InvalidInterceptorError(f"{interceptor!r} contains itself, by a key.", interceptor)
            for part in interceptor.interceptors:
                yield from self._parts(self._resolve(part, lambda: repr(interceptor)), within | {opened})
        elif interceptor is not None:
            yield interceptor

    def _resolve(self, interceptor: InterceptorOrKey, asked_by: Callable[[], str]) -> Any:
        """What a key is bound to, here or in the container, and the container's own copy of a provider."""
        seen: list[str] = []
        while isinstance(interceptor, str):
            key = interceptor
            found = self._bindings[key] if key in self._bindings else self._injector.provider(key)
            if found is None or key in seen:
                remedy = "Bind it with registry.bind, or give the container such a provider."
                raise UnknownKeyError(key, asked_by(), [*self._bindings, *self._injector.keys()], remedy)
            seen.append(key)
            interceptor = found
        return self._injector.own(interceptor) if is_provider(interceptor) else interceptor

    def _is_named(self, entry: GlobalEntry, interceptor: InterceptorOrKey) -> bool:
        declared = [text for text in (entry.key, entry.interceptor) if isinstance(text, str)]
        return (isinstance(interceptor, str) and interceptor in declared) or self._meaning(
            entry.interceptor
        ) == self._meaning(interceptor)

    def _meaning(self, interceptor: InterceptorOrKey) -> Hashable:
        """The identity of what it stands for; a key that is bound nowhere stands for itself."""
        try:
            return identity(self._resolve(interceptor, lambda: ""))
        except UnknownKeyError as error:
            return error.key
