"""Hooks that never run. Whose hooks these are is not known here: interceptors that can tell are asked."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from interceptors.cli.output import describe
from interceptors.cli.routes import RouteEntry, candidates_of, endpoints_of
from interceptors.context import InvocationContext
from interceptors.fastapi.endpoint import Endpoint
from interceptors.fastapi.sources import ROUTE
from interceptors.kinds import is_provider
from interceptors.plan import Plan
from interceptors.registry import InterceptorRegistry

__all__ = ["find_dead_hooks"]

_METHOD = "find_problems"

Contexts: TypeAlias = list[type[InvocationContext]]
"""What interceptors see of routes: a plan's context class holds the names and annotations of one."""


def find_dead_hooks(registry: InterceptorRegistry | None, entries: Iterable[RouteEntry]) -> Iterator[str]:
    """What interceptors with a method `find_problems(contexts)` say about the routes whose chains hold them."""
    holders: dict[int, tuple[Any, Contexts]] = {}

    def note(registry: InterceptorRegistry, interceptor: Any, contexts: Contexts) -> None:
        for part in registry._parts(interceptor):
            if id(part) not in holders:
                holders[id(part)] = _able(part), []
            holders[id(part)][1].extend(contexts)

    if registry is not None:  # a global hook may be in no chain at all
        for entry in registry._globals:
            if entry.applies_to(ROUTE):
                with suppress(Exception):  # what is wrong with it is reported elsewhere, also below
                    note(registry, registry._resolve(entry.interceptor, lambda: ""), [])
    unclear: Contexts = []  # routes whose chains may hold anything
    for endpoint in endpoints_of(entries):
        contexts = _contexts(endpoint)
        try:
            for candidate in candidates_of(endpoint):
                if candidate.runs:
                    note(endpoint.registry, candidate.interceptor, contexts)
        except Exception:  # noqa: BLE001
            unclear += contexts
    for interceptor, contexts in holders.values():
        if interceptor is not None:
            try:
                yield from interceptor.find_problems([*contexts, *unclear])
            except Exception as error:  # noqa: BLE001
                yield describe(error)


def _contexts(endpoint: Endpoint) -> Contexts:
    with suppress(Exception):
        return [endpoint.plan().context_class]
    with suppress(Exception):  # the chain is broken, but the method is there
        return [Plan(endpoint.target, (), endpoint.registry._injector).context_class]
    return []


def _able(interceptor: Any) -> Any:
    """The object to ask, or None; a provider gives it."""
    if is_provider(interceptor) and hasattr(getattr(interceptor, "provides", None), _METHOD):
        with suppress(Exception):  # it may need a request
            return interceptor()
    return interceptor if hasattr(interceptor, _METHOD) and not isinstance(interceptor, type) else None
