"""From what is declared to a plan: resolve the keys, merge, flatten the chains, wrap, fold.

It works on what a registry knew at one moment, which never changes. So a plan is as old as exactly that, whatever
another thread does to the registry in the meantime.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from interceptors.candidates import Candidate, Explanation, GlobalEntry, Part, Resolve, find_candidates, make_part
from interceptors.chain import Chain
from interceptors.context import InvocationSource
from interceptors.errors import UnknownKeyError
from interceptors.injection import Injector
from interceptors.kinds import InterceptorFunction, InterceptorOrKey, identity, is_provider
from interceptors.layers import layer_function
from interceptors.metadata import changes
from interceptors.plan import Plan
from interceptors.target import Target

__all__ = [
    "Layer",
    "Observer",
    "Registrations",
    "Replacement",
    "compile_plan",
    "explain",
    "layers_of",
    "leaves",
    "resolver",
]


@final
@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a chain that is compiled, for observers."""

    candidate: Candidate | None
    """How it was declared; None for what another observer has put around an invocation or a call."""
    part: Any
    """The interceptor: of a `Chain` each of its own; None where `candidate` is."""
    function: InterceptorFunction
    """What runs: `function(ctx, next)`."""


Observer: TypeAlias = Callable[[Target, "str | None", Sequence[Layer]], Sequence[InterceptorFunction]]
"""Gets the target, the source type and the layers of a chain, outermost first, and gives the functions to fold.

One for each layer; then one more stands around the invocation, or two more: around the invocation and around the call.
"""


@final
@dataclass(eq=False, slots=True)
class Replacement:
    """What runs in the place of an interceptor for a while; for tests."""

    identity: Hashable
    by: "InterceptorOrKey | None"
    """None: nothing does."""
    is_used: bool = False
    """Has it changed a chain?"""


@final
@dataclass(frozen=True, eq=False, slots=True)
class Registrations:
    """All that a registry knows at one moment."""

    injector: Injector
    bindings: Mapping[str, InterceptorOrKey] = field(default_factory=dict[str, InterceptorOrKey])
    globals: tuple[GlobalEntry, ...] = ()
    """Sorted: the first is outermost."""
    observers: tuple[Observer, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    """Of two for one interceptor the later counts."""


def compile_plan(registered: Registrations, target: Target, source: InvocationSource | None) -> Plan:
    """The chain of a target, ready to run. Raises what there is to find wrong with it."""
    source_type, revision = None if source is None else source.type, changes.count
    layers = [
        Layer(candidate, part, layer_function(part, registered.injector))
        for candidate in find_candidates(registered.globals, target, source_type, resolver(registered))
        if candidate.runs
        for part in leaves(registered, candidate)
    ]
    for observer in registered.observers:
        layers = _observed(layers, observer(target, source_type, layers))
    return Plan(target, [layer.function for layer in layers], registered.injector, source, registered, revision)


def explain(registered: Registrations, target: Target, source_type: str | None) -> Explanation:
    """Every interceptor that is declared for a target: what runs, and why the others do not."""
    found = find_candidates(registered.globals, target, source_type, resolver(registered))
    return Explanation(target.title, source_type, tuple(found))


def layers_of(
    registered: Registrations, interceptor: InterceptorOrKey, asked_by: Callable[[], str]
) -> list[tuple[Any, InterceptorFunction]]:
    """What one interceptor is made of, and the function of each: a `Chain` is several. Checks keys and constructors."""
    part = make_part(interceptor, asked_by, resolver(registered))
    return [(leaf, layer_function(leaf, registered.injector)) for leaf in leaves(registered, part)]


def resolver(registered: Registrations) -> Resolve:
    """Resolves keys: what one is bound to, here or in the container; of a provider, the container's own copy."""
    bindings, injector = registered.bindings, registered.injector

    def resolve(interceptor: InterceptorOrKey, asked_by: Callable[[], str]) -> Any:
        seen: list[str] = []
        while isinstance(interceptor, str):
            key = interceptor
            found = bindings[key] if key in bindings else injector.provider(key)
            if found is None or key in seen:
                remedy = "Bind it with registry.bind, or give the container such a provider."
                raise UnknownKeyError(key, asked_by(), [*bindings, *injector.keys()], remedy)
            seen.append(key)
            interceptor = found
        return injector.own(interceptor) if is_provider(interceptor) else interceptor

    return resolve


def leaves(registered: Registrations, part: Part | Candidate, within: tuple[Replacement, ...] = ()) -> Iterator[Any]:
    """Take a chain apart; leave out or replace what a test has replaced. What replaces something may run it in turn."""
    same = identity(part.interceptor)
    for replacement in reversed(registered.replacements):
        if same == replacement.identity and not any(same == outer.identity for outer in within):
            replacement.is_used = True
            if replacement.by is not None:
                by = make_part(replacement.by, lambda: "override", resolver(registered))
                yield from leaves(registered, by, (*within, replacement))
            return
    if part.parts:
        for each in part.parts:
            yield from leaves(registered, each, within)
    elif not isinstance(part.interceptor, Chain):  # an empty one is no layer
        yield part.interceptor


def _observed(layers: Sequence[Layer], functions: Sequence[InterceptorFunction]) -> list[Layer]:
    """The layers with the functions that an observer gave for them, and its own around them."""
    before, after = len(functions) > len(layers), len(functions) > len(layers) + 1
    if len(functions) - len(layers) not in (0, 1, 2):
        raise ValueError(
            f"An observer of {len(layers)} layers gave {len(functions)} functions; give one for each layer."
        )
    known: list[tuple[Candidate | None, Any]] = [(layer.candidate, layer.part) for layer in layers]
    places = [*([(None, None)] * before), *known, *([(None, None)] * after)]
    return [Layer(candidate, part, run) for (candidate, part), run in zip(places, functions, strict=True)]
