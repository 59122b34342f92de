"""Tables of handlers, to compare what an intercepted application does with what plain FastAPI does.

Each handler of a table is a function. Its source text, with `self` put in front of its parameters, makes the method of
a controller; compiled under `from __future__ import annotations` it makes the postponed variant of both.
"""

import __future__

import inspect
import json
import re
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI

from interceptors import InvocationContext, intercept
from interceptors.fastapi import controller, delete, get, head, options, patch, post, put

VERBS: dict[str, Any] = {
    "get": get,
    "post": post,
    "put": put,
    "patch": patch,
    "delete": delete,
    "head": head,
    "options": options,
}


@dataclass
class Case:
    """One handler, and what its route decorator is given."""

    verb: str
    path: str
    options: dict[str, Any]
    function: Callable[..., Any]
    source: str

    def made(self, *, method: bool = False, postponed: bool = False) -> Any:
        """The handler anew: as a method, or with postponed annotations."""
        first = "self, " if method else ""
        source = re.sub(r"def (\w+)\(", rf"def \1({first}", self.source, count=1)
        flags = __future__.annotations.compiler_flag if postponed else 0
        code = compile(source, self.function.__code__.co_filename, "exec", flags=flags, dont_inherit=True)
        namespace: dict[str, Any] = {}
        exec(code, self.function.__globals__, namespace)
        return namespace[self.function.__name__]


class Table(dict[str, Case]):
    """Handlers by their names."""

    def case(self, verb: str, path: str, **options: Any) -> Callable[[Any], Any]:
        """Put a function on the table."""

        def add(function: Any) -> Any:
            source = textwrap.dedent(inspect.getsource(function))
            start = re.search(r"^(async )?def ", source, re.MULTILINE)
            assert start
            self[function.__name__] = Case(verb, path, options, function, source[start.start() :])
            return function

        return add


async def passing(ctx: InvocationContext, next: Callable[[], Awaitable[Any]]) -> Any:
    """What an application does does not depend on a layer that does nothing."""
    return await next()


def add_all(router: Any, cases: Iterable[Case], **how: bool) -> None:
    """Declare the handlers as functions on a router or an application."""
    for each in cases:
        getattr(router, each.verb)(each.path, **each.options)(each.made(**how))


def controller_of(cases: Iterable[Case], router: dict[str, Any], *, postponed: bool = False) -> type:
    """A controller with all these handlers as methods, each behind a layer."""
    namespace: dict[str, Any] = {}
    for each in cases:
        method = each.made(method=True, postponed=postponed)
        namespace[method.__name__] = VERBS[each.verb](each.path, **each.options)(intercept(passing)(method))
    return controller(**router)(type("Controller", (), namespace))


@cache
def forgets_items() -> bool:
    """FastAPI 0.137.0 forgets a stream's items when its router is included. `install` includes none, so it knows them."""
    app, router = FastAPI(), APIRouter()

    @router.get("/x")
    async def numbers() -> AsyncIterator[int]:
        yield 1

    app.include_router(router)
    return '"itemSchema": {}' in json.dumps(app.openapi())


def comparable(cases: Iterable[Case]) -> list[Case]:
    """Those that may be compared with what an included router does."""
    return [each for each in cases if not (forgets_items() and "yield" in each.source)]
