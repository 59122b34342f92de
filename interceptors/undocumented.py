"""What we use of dependency-injector although its documentation does not have it; see `interceptors.libraries`."""

from types import FunctionType
from typing import Any

from dependency_injector import providers, wiring

from interceptors.libraries import Library

__all__ = ["ProvidersMap", "is_marker", "key_of", "modified", "wired_function"]

_library = Library("dependency-injector")

# Without these a provider that is named on the container's class is not the registry's container's own copy of it.
ProvidersMap: Any = _library.needed(wiring, "ProvidersMap", "find the container's own copy of a provider")
_library.needed(ProvidersMap, "resolve_provider", "find the container's own copy of a provider")

# `Provide[...]` is documented, and not that these are classes whose instances it gives. Otherwise no marker is found: what
# is to be injected would be the client's to give.
_MARKERS: Any = (wiring.Provide, wiring.Provider, wiring.Closing)
_EXAMPLE: Any = wiring.Provide["key", wiring.as_int()]
_library.confirm(type(_EXAMPLE) in _MARKERS, "wiring.Provide", "tell markers from other values")


def is_marker(candidate: object) -> bool:
    """Is it `Provide[...]`, `Provider[...]` or `Closing[...]`?"""
    return issubclass(type(candidate), _MARKERS)


# Without this nobody knows what a marker asks for.
_library.confirm(_library.needed(_EXAMPLE, "provider", "read a marker") == "key", "Provide.provider", "read a marker")


def key_of(marker: Any) -> Any:
    """What a marker names: a key, or a provider."""
    return marker.provider


# Without these `as_int()` and its like are passed over.
_library.needed(_library.needed(_EXAMPLE, "modifier", "apply as_int()"), "modify", "apply as_int()")


def modified(marker: Any, provider: providers.Provider[Any], known: Any) -> Any:
    """The provider as the marker's modifier, such as `as_int()`, makes it; `known` is the container's ProvidersMap."""
    modifier = marker.modifier
    return provider if modifier is None else modifier.modify(provider, providers_map=known)


# Without these a layer around what `@inject` made sees markers, which are true, in the place of values.
_PURPOSE = "show what @inject injects"
_get_callable = _library.needed(_library.needed(wiring, "_patched_registry", _PURPOSE), "get_callable", _PURPOSE)
_patched = _library.needed(wiring, "PatchedCallable", _PURPOSE)
_library.needed(_patched, "injections", _PURPOSE)
_library.needed(_patched, "closing", _PURPOSE)


def wired_function(candidate: object) -> Any:
    """What `@inject` knows of the function that it made: `injections` and `closing`, by parameter; None for another."""
    return _get_callable(candidate) if isinstance(candidate, FunctionType) else None
