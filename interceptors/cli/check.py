"""`check`: the checks that an application makes at its start, hooks that never run, and the lock file."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI

from interceptors.cli.dead_hooks import find_dead_hooks
from interceptors.cli.loading import load_application
from interceptors.cli.lock import chains_of, differences, read_lock, write_lock
from interceptors.cli.output import UsageError, describe, one_line, say
from interceptors.cli.routes import RouteEntry, api_routes, endpoints_of
from interceptors.errors import InterceptorWarning
from interceptors.fastapi.install import check_routes
from interceptors.fastapi.sources import all_routes
from interceptors.registry import InterceptorRegistry

__all__ = ["check_application"]


def check_application(application: str, *, lock: Path | None, verify: Path | None) -> bool:
    """Print what is wrong with an application; write or compare its chains. True if there is nothing to complain of.

    Raises UsageError if the question is wrong, CommandError if the lock file cannot be written.
    """
    if lock is not None and verify is not None:
        raise UsageError("--lock writes the file that --verify compares with; give one of them")
    locked = None if verify is None else read_lock(verify)
    app = load_application(application)
    entries = list(api_routes(app))
    registry: InterceptorRegistry | None = getattr(app.state, "interceptors", None)
    broken = list(_broken_chains(entries))
    found = [*_start_up_problems(app, registry), *broken, *find_dead_hooks(registry, entries)]
    problems = list(dict.fromkeys(map(one_line, found)))  # an interceptor is wrong in every chain that it is in
    if lock is not None and not problems:
        write_lock(lock, chains_of(entries))
    # A chain that cannot be put together cannot be compared either.
    changes = [] if locked is None or broken else list(differences(locked, chains_of(entries)))
    say(*(f"problem: {problem}" for problem in problems), f"{len(entries)} routes, {len(problems)} problems", *changes)
    return not problems and not changes


def _start_up_problems(app: FastAPI, registry: InterceptorRegistry | None) -> Iterator[str]:
    """What `check_routes` raises or warns of, route by route: it stops at the first problem."""
    if registry is not None:
        for routes in ([], *([route] for route in all_routes(app.routes))):
            yield from _problems(SimpleNamespace(routes=routes), registry)


def _problems(part: Any, registry: InterceptorRegistry) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        try:
            check_routes(part, registry)
        except Exception as error:  # noqa: BLE001 (whatever compiling a chain raises is a finding)
            return [describe(error)]
    return [f"{c.category.__name__}: {c.message}" for c in caught if issubclass(c.category, InterceptorWarning)]


def _broken_chains(entries: Iterable[RouteEntry]) -> Iterator[str]:
    """Chains that cannot be compiled, also those of a registry that is not installed on the application."""
    for endpoint in endpoints_of(entries):
        try:
            endpoint.plan()
        except Exception as error:  # noqa: BLE001
            yield describe(error)
