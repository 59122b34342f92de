"""Undocumented names of FastAPI and Starlette: whichever is renamed, nothing is served, and the version is named."""

from importlib.metadata import version
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from interceptors.errors import IncompatibleLibraryError
from interceptors.fastapi import undocumented
from tests.unit.vanishing import asked_for, import_again, remove, titles

ASKED = asked_for(undocumented)


def refuses(name: str) -> None:
    with pytest.raises(IncompatibleLibraryError, match=f"fastapi {version('fastapi')} ") as caught:
        import_again(undocumented)
    assert name in caught.value.name


@pytest.mark.parametrize(("owner", "name"), ASKED, ids=titles(ASKED))
def test_a_renamed_name_stops_the_import(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the name, what it is needed for, the version, and what to install."""
    remove(monkeypatch, owner, name)
    refuses(name)


class Opaque:
    """An included router that takes no attributes."""

    __slots__ = ("effective_candidates", "include_context", "original_router")

    def __init__(self, included: Any) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(included, name))


def opaque(outer: APIRouter) -> list[Any]:
    return [Opaque(included) for included in outer.routes]


def copies(outer: APIRouter) -> list[Any]:
    """As before FastAPI 0.137."""
    return [APIRoute("/", refuses, response_model=None) for _ in range(2)]


@pytest.mark.parametrize(
    ("others", "name"), [(copies, "APIRouter.include_router"), (opaque, "_IncludedRouter.__dict__")]
)
def test_routers_that_are_included_otherwise_stop_the_import(
    others: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As routes of their own, or as something that cannot tell of routes to come."""
    include = APIRouter.include_router

    def otherwise(self: APIRouter, router: APIRouter, **options: Any) -> None:
        include(self, router, **options)
        self.routes[:] = others(self)

    monkeypatch.setattr(APIRouter, "include_router", otherwise)
    refuses(name)


def test_a_router_that_does_not_call_its_stack_stops_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no lifespan runs nothing would be checked, and no router that is included be reached."""

    async def call(self: APIRouter, scope: Any, receive: Any, send: Any) -> None: ...

    monkeypatch.setattr(APIRouter, "__call__", call)
    refuses("Router.middleware_stack")
