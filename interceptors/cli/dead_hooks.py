"""Hooks that never run. Whose hooks these are is not known here: interceptors that can tell are asked."""

from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from fastapi import FastAPI

from interceptors.candidates import Candidate, Part, make_part
from interceptors.cli.output import describe
from interceptors.cli.routes import applications, candidates_of, chains_in
from interceptors.compiler import leaves
from interceptors.context import InvocationContext
from interceptors.entry import Entry, Registered
from interceptors.fastapi.found_routes import registry_of
from interceptors.fastapi.listed_routes import RouteEntry
from interceptors.fastapi.sources import ROUTE
from interceptors.kinds import identity, is_provider
from interceptors.plan import Plan

__all__ = ["find_dead_hooks"]

_METHOD = "find_problems"

Contexts: TypeAlias = list[type[InvocationContext]]
"""What interceptors see of routes: a plan's context class holds the names and annotations of one."""


class _Holder(NamedTuple):
    interceptor: Any
    asked: Any
    """The object to ask, or None if it cannot tell."""
    contexts: Contexts


def find_dead_hooks(app: FastAPI, entries: Iterable[RouteEntry]) -> Iterator[str]:
    """What interceptors with a method `find_problems(contexts)` say about the routes whose chains hold them."""
    found: dict[Hashable, _Holder] = {}

    def note(registry: Registered, declared: Part | Candidate, contexts: Contexts) -> None:
        for part in leaves(registry.registrations, declared):
            if identity(part) not in found:
                found[identity(part)] = _Holder(part, _able(part), [])
            found[identity(part)].contexts.extend(contexts)

    for part in applications(app):
        registry = registry_of(part)
        if registry is not None:  # a global hook may be in no chain at all
            for entry in registry.registrations.globals:
                if entry.applies_to(ROUTE):
                    with suppress(Exception):  # what is wrong with it is reported elsewhere, also below
                        note(registry, make_part(entry.interceptor, lambda: "", registry.resolve), [])
    unclear: Contexts = []  # routes whose chains may hold anything
    for chain in chains_in(entries):
        contexts = _contexts(chain)
        try:
            for candidate in candidates_of(chain):
                if candidate.runs:
                    note(chain.registry, candidate, contexts)
        except Exception:  # noqa: BLE001 (whatever the application's own code raises is a finding)
            unclear += contexts
    for holder in found.values():
        if holder.asked is not None:
            try:
                yield from holder.asked.find_problems([*holder.contexts, *unclear])
            except Exception as error:  # noqa: BLE001 (as above)
                yield describe(error)


def _contexts(chain: Entry) -> Contexts:
    with suppress(Exception):
        return [chain.context_type]
    with suppress(Exception):  # the chain is broken, but the method is there
        return [Plan(chain.target, (), chain.registry.registrations.injector).context_class]
    return []


def _able(interceptor: Any) -> Any:
    """The object to ask, or None; a provider gives it."""
    if is_provider(interceptor) and hasattr(getattr(interceptor, "provides", None), _METHOD):
        with suppress(Exception):  # it may need a request
            return interceptor()
    return interceptor if hasattr(interceptor, _METHOD) and not isinstance(interceptor, type) else None
