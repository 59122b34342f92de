"""`check`: the checks that an application makes at its start, hooks that never run, and the lock file."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
from fastapi import FastAPI

from interceptors.cli.dead_hooks import find_dead_hooks
from interceptors.cli.loading import load_application
from interceptors.cli.lock import Chains, chains_of, read_lock, write_lock
from interceptors.cli.lock_differences import differences
from interceptors.cli.output import UsageError, complain, describe, one_line, say
from interceptors.cli.routes import api_routes, applications, chains_in, opaque_mounts
from interceptors.errors import IncompatibleLibraryError, MissingLayerError, UnreachedRouteWarning
from interceptors.fastapi.found_routes import registry_of
from interceptors.fastapi.listed_routes import RouteEntry, routes_of_others
from interceptors.fastapi.probe import probe
from interceptors.fastapi.problems import find_problems
from interceptors.fastapi.required import missing_layers
from interceptors.requirements import Requirement

__all__ = ["check_application"]


def check_application(
    application: str, *, lock: Path | None, verify: Path | None, require: Requirement | None = None
) -> bool:
    """Print what is wrong with an application; write or compare its chains. True if there is nothing to complain of.

    Raises UsageError if the question is wrong, CommandError if the lock file cannot be written.
    """
    if lock is not None and verify is not None:
        raise UsageError("--lock writes the file that --verify compares with; give one of them")
    locked = None if verify is None else read_lock(verify)
    app = load_application(application)
    entries = list(api_routes(app))
    broken = list(_broken_chains(entries))
    found = [*_start_up_problems(app), *broken, *find_dead_hooks(app, entries)]
    if require is not None:
        for problem in missing_layers(app, registry_of(app), require):
            found += _described(problem)
    problems = list(dict.fromkeys(map(one_line, found)))  # an interceptor is wrong in every chain that it is in
    # A chain that cannot be put together cannot be written down or compared either.
    is_asked_for = (lock or verify) is not None and not broken
    chains: Chains = chains_of([*entries, *routes_of_others(app)]) if is_asked_for else {}
    if lock is not None and not problems:
        write_lock(lock, chains)
    changes: list[str] = []
    if locked is not None and not broken:
        changes = list(differences(locked.chains, locked.as_it_would_be(chains)))
        if not locked.is_current:
            complain(f"{verify} is of version {locked.version}, which says less: write it anew with --lock {verify}")
    notes = (
        f"note: nobody can look into {mount.title}, so what is in it is not checked" for mount in opaque_mounts(app)
    )
    summary = f"{len(entries)} routes, {len(problems)} problems"
    say(*(f"problem: {problem}" for problem in problems), *map(one_line, notes), summary, *changes)
    return not problems and not changes


def _start_up_problems(app: FastAPI) -> Iterator[str]:
    """What the start-up checks of an application and of those on it find; without a registry what is never reached."""
    try:
        anyio.run(probe)
    except IncompatibleLibraryError as error:
        yield describe(error)
    for part in applications(app):
        for problem in find_problems(part, registry_of(part)):
            if _counts(problem):
                yield from _described(problem)


def _described(problem: Exception) -> Iterator[str]:
    if isinstance(problem, UnreachedRouteWarning):
        yield from (f"{type(problem).__name__}: no chain runs around {function}" for function in problem.functions)
    elif isinstance(problem, MissingLayerError):
        yield from (f"{type(problem).__name__}: {reason}" for reason in problem.reasons)
    else:
        yield describe(problem)


def _counts(problem: Exception) -> bool:
    """A warning does, too, unless Python is told to ignore it: `python -W ignore::...`, `warnings.filterwarnings`."""
    if not isinstance(problem, Warning):
        return True
    with warnings.catch_warnings(record=True) as caught, suppress(Warning):
        warnings.warn(problem, stacklevel=1)
        return bool(caught)
    return True  # it is an error by the filter


def _broken_chains(entries: Iterable[RouteEntry]) -> Iterator[str]:
    """Chains that cannot be compiled, also those of a registry that is not installed on the application."""
    for chain in chains_in(entries):
        try:
            chain.check()
        except Exception as error:  # noqa: BLE001 (whatever the application's own code raises is a finding)
            yield describe(error)
