"""The registry: what interceptors there are, and invoking methods through their chains."""

import warnings
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from threading import RLock
from types import ModuleType
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

from dependency_injector import containers

from interceptors.calling import check_words, written
from interceptors.candidates import Explanation, GlobalEntry
from interceptors.compiler import Observer, Registrations, Replacement, explain, layers_of, resolver
from interceptors.context import MISSING, InvocationSource, innermost
from interceptors.current import Cell, current
from interceptors.debug import warn_of_forgotten_return
from interceptors.decorators import check_sources
from interceptors.describing import location, name_of
from interceptors.discovery import find_marked
from interceptors.entry import Entry
from interceptors.errors import (
    DuplicateKeyError,
    InterceptorWarning,
    NothingDiscoveredWarning,
    UnknownKeyError,
    WrongCallError,
)
from interceptors.injection import Injector
from interceptors.kinds import InterceptorOrKey, check_interceptor, identity
from interceptors.metadata import changes
from interceptors.methods import Methods
from interceptors.ordering import check_ordered, order_groups
from interceptors.oversights import find_oversights
from interceptors.proxies import check_no_proxy, make_proxy
from interceptors.requirements import Requirement
from interceptors.sharing import KnownDoors
from interceptors.target import Target, check_method_name

__all__ = ["InterceptorRegistry"]

T = TypeVar("T")


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
        self.container = container
        self.ordered_groups = check_ordered(ordered_groups)
        self.debug = debug
        self.version = 0
        """Rises with every change: a chain that was compiled before is compiled again."""
        self.registrations = Registrations(
            Injector(container, current_user), observers=(warn_of_forgotten_return(),) if debug else ()
        )
        """All that is known at this moment; each change makes new ones."""
        self.doors: KnownDoors[Entry] = KnownDoors()
        """The doors that lead into its chains, as long as somebody has them."""
        self._lock = RLock()  # around each change; nothing else is acquired in it
        self._globals: tuple[GlobalEntry, ...] = ()  # in the order in which they were registered
        self._methods = Methods(self)
        self._called = self._methods.known
        self.proxy_classes: WeakValueDictionary[tuple[type, type], type] = WeakValueDictionary()
        """By (class, class or metaclass) of an object; each lives as long as there are proxies of it."""
        self.requirements: tuple[Requirement, ...] = ()
        """What every route of an application has to run."""
        order_groups((), self.ordered_groups)

    # -- what there is -------------------------------------------------------------------------------------------------

    @written('registry.bind("caching", Caching)')
    def bind(self, key: str, interceptor: InterceptorOrKey) -> None:
        """Bind a key for `@intercept("key")`; binding it again replaces it, from the next invocation on.

        Raises InvalidInterceptorError.
        """
        check_interceptor(key)
        check_interceptor(interceptor)
        with self._lock:
            self._change(bindings={**self.registrations.bindings, key: interceptor})

    @written('registry.unbind("caching")')
    def unbind(self, key: str) -> None:
        """Forget a key, and the global interceptor that is bound to it. Raises UnknownKeyError."""
        with self._lock:
            bindings = dict(self.registrations.bindings)
            if key not in bindings:
                remedy = "Only what registry.bind bound can be unbound."
                raise UnknownKeyError(key, "registry.unbind", bindings, remedy)
            del bindings[key]
            self._change([entry for entry in self._globals if entry.key != key], bindings=bindings)

    @written('registry.add_global(audit, group="logging")', "group", "key")
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

        `before` and `after` name groups, and order whole groups. With `key` it is also bound to that key; the same one
        again, under its key, has its group and sources from then on. Raises InvalidInterceptorError, DuplicateKeyError
        if another one has the key, and GroupOrderError if the order becomes contradictory.
        """
        check_interceptor(interceptor)
        if key is not None:
            check_interceptor(key)
        groups = check_words(before, "before"), check_words(after, "after")
        entry = GlobalEntry(key or interceptor, group, key, check_sources(source), *groups)
        with self._lock:
            others = [known for known in self._globals if key is None or known.key != key]
            bindings = self._with_key(key, interceptor, self.registrations.bindings)
            self._change([*others, entry], bindings=bindings)

    def remove_global(self, interceptor: InterceptorOrKey) -> None:
        """Remove a global interceptor, named by its key or by itself. Raises UnknownKeyError if it is none."""
        with self._lock:
            kept = [entry for entry in self._globals if not self._is_named(entry, interceptor)]
            if len(kept) == len(self._globals):
                known = [entry.key for entry in self._globals if entry.key]
                name = interceptor if isinstance(interceptor, str) else name_of(interceptor)
                raise UnknownKeyError(name, "registry.remove_global", known, "It is no global interceptor.")
            self._change(kept)

    @written('registry.discover("app.interceptors")')
    def discover(self, package: str | ModuleType) -> list[Any]:
        """Import a package with everything in it and add what is marked with `@global_interceptor`.

        Modules named `test_*` and `conftest` are left alone; what is global already is not added again. Returns what was
        added, in the order of module names and of the lines in them; warns if there is nothing to be found.
        Raises DuplicateKeyError, and then nothing is added, and UnknownPackageError.
        """
        found = list(find_marked(package))
        if not found:
            self._warn_of_nothing(package)
        with self._lock:
            known = {self._meaning(entry.interceptor) for entry in self._globals}
            added = {identity(each): (each, options) for each, options in found if identity(each) not in known}
            bindings = self.registrations.bindings
            for interceptor, options in added.values():
                bindings = self._with_key(options.key, interceptor, bindings)
            for interceptor, options in added.values():
                self.add_global(interceptor, **asdict(options))
        return [interceptor for interceptor, _ in added.values()]

    @written('registry.require("auth", unless="public", exempt=["GET /health"])', "group", "unless")
    def require(
        self,
        interceptor: "InterceptorOrKey | None" = None,
        *,
        group: str | None = None,
        unless: str | None = None,
        exempt: Iterable[str] = (),
    ) -> None:
        """Let an application only start if every route of it runs an interceptor, or a global of a group.

        A part of a `Chain` counts. `unless` names an annotation that excuses a route where it is true, `exempt` are routes
        by verb and path, or by path. Every route counts: WebSockets, Starlette's own, mounted applications; not those of
        FastAPI's documentation. At the start a MissingLayerError names those that do not, an UnknownRouteError an exemption
        of nothing. Raises InvalidInterceptorError, and WrongCallError without an interceptor or a group, or with both.
        """
        if (interceptor is None) == (group is None):
            raise WrongCallError(
                'registry.require takes an interceptor, or its key, or a group: registry.require("auth"), '
                'registry.require(group="security")',
                interceptor,
            )
        if interceptor is not None:
            check_interceptor(interceptor)
        with self._lock:
            self.requirements += (Requirement(interceptor, group, unless, check_words(exempt, "exempt")),)

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
            key: Any = method
        elif isinstance(source, InvocationSource):
            key = method, source.type
        else:
            raise TypeError(f'`source` takes an InvocationSource, not {source!r}: InvocationSource("job")')
        try:
            called = self._called[key][type(target)]
        except KeyError:
            check_method_name(method)
            check_no_proxy(target)
            called = self._methods.of(target, method, source)
        # `Method.context` and `interceptors.entry.run` written out, as in a proxy and for the same reason.
        function, latest, context_class, run = called.known
        found = MISSING
        try:
            found = getattr(target, method)
            is_known = found.__func__ is function and found.__self__ is target and latest is changes.latest
        except AttributeError:  # no bound method
            is_known = False
        outer = current.get()
        if is_known:
            ctx = context_class()
            ctx._method = found
            ctx._positional = args
            ctx._keywords = kwargs
            if request is not None:
                ctx._request = request
            elif outer is not None and (invocation := innermost()) is not None:
                ctx._root = invocation._root or invocation
        else:
            ctx = called.context(target, found, args, kwargs, request)
            run = ctx._plan.run
        if source is not None:
            ctx._source = source
        cell: Cell = [ctx, outer]
        token = current.set(cell)
        try:
            return await run(ctx)
        finally:
            cell[0] = None
            try:  # noqa: SIM105 (as above)
                current.reset(token)
            except ValueError:  # closed in another context
                pass

    def intercepted(self, target: T) -> T:
        """A proxy whose public `async def` methods run through their chains; everything else passes straight through.

        Raises InvalidTargetError if a plain `def` or generator method is decorated: use `registry.invoke` for it.
        """
        return make_proxy(self, target)

    # -- looking -------------------------------------------------------------------------------------------------------

    def explain(self, target: Any, method: str | None = None, source: str | None = None) -> Explanation:
        """Every interceptor declared for a method of a class, or for a function: what runs, and why the others don't."""
        source_type = source.type if isinstance(source, InvocationSource) else source
        return explain(self.registrations, Target.of(target, method), source_type)

    def problems(self) -> Iterator[Exception]:
        """Everything that is wrong with the global interceptors: errors, then warnings, none of them raised.

        Errors: keys, constructors. Warnings: a source or a group that is a near miss of one that exists, in a skip of a
        call that there is, too; a global that is limited to routes and runs around none.
        """
        yield from self.errors()
        yield from self.oversights()

    def errors(self) -> Iterator[Exception]:
        """The errors of `problems()`, which an application tells before those of its routes."""
        for entry in self.registrations.globals:
            try:
                layers_of(self.registrations, entry.interceptor, lambda: "a global interceptor")
            except Exception as error:  # noqa: BLE001 (a signature or a type of the user's may raise anything)
                yield error

    def oversights(self) -> Iterator[InterceptorWarning]:
        """The warnings of `problems()`, which need the doors of an application's routes: so they come last."""
        yield from find_oversights(self._globals, self.ordered_groups, self.doors.all(), self._meant)

    def validate(self) -> None:
        """Resolve every key of the global interceptors and check every constructor; warn of what is surely not meant.

        Raises the first error of `problems()`: UnknownKeyError, InjectionError or InvalidInterceptorError.
        """
        for problem in self.problems():
            if not isinstance(problem, Warning):
                raise problem
            warnings.warn(problem, stacklevel=2)

    def observe(self, observer: Observer) -> AbstractContextManager[None]:
        """Ask `observer(target, source_type, layers)` for the functions of each chain that is compiled in the block.

        For what watches chains run: tracing, metrics, an inspector. `layers` are what runs, outermost first, with
        `.candidate`, `.part` and `.function`; it gives a function `(ctx, next)` for each of them, in their order. One
        more in front stands around the invocation, another one at the end around the call. Without an observer a chain
        is what it would be without this method.
        """
        if not callable(observer):
            raise WrongCallError(
                f"registry.observe takes a function of (target, source_type, layers), not {observer!r}.", observer
            )
        return self._while_added("observers", observer)

    def replacing(self, replacement: Replacement) -> AbstractContextManager[None]:
        """Run something else in the place of an interceptor in the block; what `interceptors.testing` stands on."""
        return self._while_added("replacements", replacement)

    def resolve(self, interceptor: InterceptorOrKey, asked_by: Callable[[], str]) -> Any:
        """What a key is bound to; `asked_by` says for the UnknownKeyError who wanted it."""
        return resolver(self.registrations)(interceptor, asked_by)

    # -- changing ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _while_added(self, field: Literal["observers", "replacements"], one: object) -> Generator[None]:
        def change_to(known: tuple[object, ...]) -> None:
            changed: dict[str, Any] = {field: known}
            self._change(**changed)

        with self._lock:
            change_to((*getattr(self.registrations, field), one))
        try:
            yield
        finally:
            with self._lock:
                change_to(_without(getattr(self.registrations, field), one))

    def _with_key(
        self, key: str | None, interceptor: InterceptorOrKey, bindings: Mapping[str, InterceptorOrKey]
    ) -> Mapping[str, InterceptorOrKey]:
        """Two interceptors under one key are refused: one would be lost, maybe the one that authenticates."""
        if key is None:
            return bindings
        first = bindings.get(key, interceptor)
        if self._meaning(first) != self._meaning(interceptor):
            both = " and ".join(f"{name_of(each)} ({location(each)})" for each in (first, interceptor))
            raise DuplicateKeyError(
                f"Two interceptors are declared under the key {key!r}: {both}. Give one of them another key. To replace "
                f"what is bound to a key write registry.bind({key!r}, ...), to take the first one out "
                f"registry.unbind({key!r}).",
                key,
                first,
                interceptor,
            )
        return {**bindings, key: interceptor}

    def _warn_of_nothing(self, package: str | ModuleType) -> None:
        name = package if isinstance(package, str) else package.__name__
        warnings.warn(
            f"registry.discover found nothing in {name!r} that is marked. Put `@global_interceptor()` above what shall run "
            f"around every invocation, at the top of a module, or name the package in which such modules are.",
            NothingDiscoveredWarning,
            stacklevel=4,  # `discover`, and what checks how it is called
        )

    def _change(self, entries: Iterable[GlobalEntry] | None = None, **changed: Any) -> None:
        if entries is not None:
            changed["globals"] = self._sort(entries := tuple(entries))
            self._globals = entries
        self.version += 1
        self.registrations = replace(self.registrations, **changed)
        changes.note()

    def _sort(self, entries: tuple[GlobalEntry, ...]) -> tuple[GlobalEntry, ...]:
        constraints: dict[tuple[str, str], str] = {}
        for entry in entries:
            for other in entry.before:
                constraints[entry.group, other] = f"before={other!r} of {name_of(entry.interceptor)}"
            for other in entry.after:
                constraints[other, entry.group] = f"after={other!r} of {name_of(entry.interceptor)}"
        order = order_groups((entry.group for entry in entries), self.ordered_groups, constraints)
        return tuple(sorted(entries, key=lambda entry: order.index(entry.group)))

    def _is_named(self, entry: GlobalEntry, interceptor: InterceptorOrKey) -> bool:
        declared = [text for text in (entry.key, entry.interceptor) if isinstance(text, str)]
        return (isinstance(interceptor, str) and interceptor in declared) or self._meaning(
            entry.interceptor
        ) == self._meaning(interceptor)

    def _meaning(self, interceptor: InterceptorOrKey) -> Hashable:
        """What tells what it stands for from others."""
        meant = self._meant(interceptor)
        return meant if isinstance(meant, str) else identity(meant)

    def _meant(self, interceptor: InterceptorOrKey) -> Any:
        """What it stands for; a key that is bound nowhere, for itself."""
        try:
            return self.resolve(interceptor, lambda: "")
        except UnknownKeyError as error:
            return error.key


def _without(some: tuple[T, ...], one: T) -> tuple[T, ...]:
    """All but one, the very object, which may be among them more than once."""
    index = next(index for index, each in enumerate(some) if each is one)
    return (*some[:index], *some[index + 1 :])
