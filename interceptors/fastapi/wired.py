"""Handlers that dependency-injector has wired: `@inject`, and parameters with `Depends(Provide[...])`.

FastAPI gives such a parameter the marker itself, and the wrapper that `@inject` made puts the value in its place, behind
all layers. Here that is done in front of them, so that `ctx.args` has values, as it has those of other dependencies.
"""

import inspect
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from interceptors.entry import Entry
from interceptors.undocumented import is_marker, wired_function

__all__ = ["with_values"]


def with_values(door: Callable[..., Any], entry: Entry, *, in_a_thread: bool) -> Callable[..., Any]:
    """The door itself, unless `@inject` made its handler; `in_a_thread`: FastAPI calls that, and so what it needs, there.

    A parameter with `Closing[...]` stays a marker: only the wrapper closes what it has opened. So does one that the
    container has no provider for, and without layers all is left to the wrapper.
    """
    known = map(wired_function, entry.target.functions)
    wired = next((found for found in known if found is not None), None)
    if wired is None:
        return door

    async def resolving(*args: Any, **values: Any) -> Any:
        asked = {
            name: provider
            for name, provider in wired.injections.items()  # replaced when the container is wired once more
            if name not in wired.closing and is_marker(values.get(name))
        }
        if asked and not entry.is_bare:
            values |= await (run_in_threadpool(_called, asked) if in_a_thread else _awaited(asked))
        return await door(*args, **values)

    return resolving


def _called(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: provider() for name, provider in asked.items()}


async def _awaited(asked: dict[str, Any]) -> dict[str, Any]:
    # One after the other: of several that are made at once an error would leave some that nobody awaits.
    found: dict[str, Any] = {}
    for name, provider in asked.items():
        value = provider()
        found[name] = await value if inspect.isawaitable(value) else value
    return found
