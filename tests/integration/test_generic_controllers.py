"""A controller of a generic base class is as one that is written out: parameters, answers, options, OpenAPI, injection."""

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel

from interceptors import InterceptorRegistry, intercept
from interceptors.fastapi import controller, create_router, get, install, post

T = TypeVar("T")
K = TypeVar("K")


class Tea(BaseModel):
    name: str


class Price(BaseModel):
    amount: int


class Page(BaseModel, Generic[T]):
    items: list[T]


class Answering(Generic[T]):
    """Its variable is in the options and within a generic model."""

    @get("", response_model=Page[T], responses={409: {"model": list[T]}, 410: {"description": "gone"}})
    async def index(self) -> Any:
        return {"items": [{"name": "green", "secret": 1}]}


class WrittenOutAnswering:
    @get("", response_model=Page[Tea], responses={409: {"model": list[Tea]}, 410: {"description": "gone"}})
    async def index(self) -> Any:
        return {"items": [{"name": "green", "secret": 1}]}


class Postponed(Generic[K, T]):
    """Its annotations are text, and `Annotated`."""

    @get("/{key}")
    async def show(
        self, key: "K", more: "Annotated[list[K], Query(max_length=2)]", default: "K | None" = None
    ) -> "Page[T]":
        return Page(items=[]) if key else Page(items=[])


class WrittenOutPostponed:
    @get("/{key}")
    async def show(
        self, key: int, more: Annotated[list[int], Query(max_length=2)], default: int | None = None
    ) -> Page[Tea]:
        return Page(items=[])


class Base(Generic[T]):
    @post("")
    async def create(self, item: T) -> T:
        return item


class Named(Base["Tea"]):
    """The argument is text."""


class Both(Base[Tea], Postponed[int, Tea]):
    """Two bases, of which both have a variable T, and one has two."""


class WrittenOutBoth(WrittenOutPostponed):
    @post("")
    async def create(self, item: Tea) -> Tea:
        return item


class Crossed(Generic[T, K]):
    @get("/{key}")
    async def show(self, key: T, other: K) -> dict[str, str]:
        return {type(key).__name__: type(other).__name__}


class Uncrossed(Crossed[K, T], Generic[T, K]):
    """Hands its variables on in another order."""


class WrittenOutCrossed:
    @get("/{key}")
    async def show(self, key: int, other: str) -> dict[str, str]:
        return {type(key).__name__: type(other).__name__}


def passing_on(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapped


class Wrapped(Base[Tea]):
    """A function of the base with something around it, in the class itself."""

    create = passing_on(Base.create)


WRITTEN_OUT: dict[str, tuple[Any, Any, str]] = {
    "in the options": (Answering[Tea], WrittenOutAnswering, ""),
    "text": (Postponed[int, Tea], WrittenOutPostponed, "/3?more=1"),
    "text as the argument": (Named, type("Plain", (), {"create": WrittenOutBoth.create}), ""),
    "two generic bases": (Both, WrittenOutBoth, "/3?more=x"),
    "another order": (Uncrossed[str, int], WrittenOutCrossed, "/3?other=4"),
    "wrapped in the subclass": (Wrapped, type("Plain", (), {"create": WrittenOutBoth.create}), ""),
}


def served(base: Any, path: str) -> Iterator[Any]:
    app = FastAPI()
    cls: Any = controller(prefix="/x")(_named("Items", base))
    app.include_router(create_router(cls, InterceptorRegistry()))
    with TestClient(app) as client:
        for answer in (client.get(f"/x{path}"), client.post("/x", json={"name": "green"}), client.post("/x", json={})):
            yield answer.status_code, answer.json()
    yield app.openapi()


def _named(name: str, base: Any) -> type:
    class Items(base):  # type: ignore[misc]
        pass

    Items.__name__ = Items.__qualname__ = name
    return Items


@pytest.mark.parametrize("kind", WRITTEN_OUT)
def test_a_controller_of_a_generic_base_is_as_one_that_is_written_out(kind: str) -> None:
    generic, written_out, path = WRITTEN_OUT[kind]
    assert list(served(generic, path)) == list(served(written_out, path))


class Repository:
    def __init__(self, name: str) -> None:
        self.name = name


class Special(Repository):
    pass


class Container(containers.DeclarativeContainer):
    special = providers.Factory(Special, "special")


@dataclass
class FromFields(Generic[T]):
    repository: Annotated[T, Provide["special"]]

    @get("")
    async def name(self) -> str:
        return f"{type(self.repository).__name__} {getattr(self.repository, 'name', '')}"


@dataclass
class WhateverFields(Generic[T]):
    """What is injected is in the argument alone."""

    repository: T

    @get("")
    async def name(self) -> str:
        return f"{type(self.repository).__name__} {getattr(self.repository, 'name', '')}"


class Whatever(Generic[T]):
    def __init__(self, repository: T) -> None:
        self.repository = repository

    @get("")
    async def name(self) -> str:
        return f"{type(self.repository).__name__} {getattr(self.repository, 'name', '')}"


Provided = Annotated[Special, Provide["special"]]


@dataclass
class MoreWhateverFields(WhateverFields[Provided]):
    again: Provided


@dataclass
class MoreFields(FromFields[Special]):
    again: Annotated[Repository, Provide["special"]]


class Injected(Generic[T]):
    def __init__(self, repository: "Annotated[T, Provide['special']]") -> None:
        self.repository = repository

    @get("")
    async def name(self) -> str:
        return f"{type(self.repository).__name__} {getattr(self.repository, 'name', '')}"


@pytest.mark.parametrize(
    "base",
    [
        FromFields[Special],
        MoreFields,
        Injected[Special],
        WhateverFields[Provided],
        MoreWhateverFields,
        Whatever[Provided],
    ],
    ids=[
        "marked field",
        "inherited field",
        "marked parameter",
        "field of the argument",
        "inherited field of it",
        "parameter of it",
    ],
)
def test_constructors_of_generic_bases_are_injected(base: Any) -> None:
    app = FastAPI()
    install(app, InterceptorRegistry(Container()), [controller(prefix="/x")(_named("Items", base))])
    with TestClient(app) as client:
        assert client.get("/x").json() == "Special special"


def test_the_same_inherited_method_has_the_types_of_each_class_in_one_application() -> None:
    seen: list[type] = []

    async def look(ctx: Any, next: Any) -> Any:
        seen.append(type(ctx.args["item"]))
        return await next()

    @controller(prefix="/teas")
    @intercept(look)
    class Teas(Base[Tea]):
        pass

    @controller(prefix="/prices")
    @intercept(look)
    class Prices(Base[Price]):
        pass

    app = FastAPI()
    install(app, InterceptorRegistry(), [Teas, Prices])
    with TestClient(app) as client:
        assert client.post("/teas", json={"name": "green"}).json() == {"name": "green"}
        assert client.post("/prices", json={"name": "green"}).status_code == 422
        assert client.post("/prices", json={"amount": 2}).json() == {"amount": 2}
    assert seen == [Tea, Price]


TYPE_PARAMETERS = """
from __future__ import annotations

class Crud[T]:
    @post("")
    async def create(self, item: T, more: list[T] | None = None) -> T:
        return item

class Pairs[K, T](Crud[T]):
    @get("/{key}")
    async def show(self, key: K) -> K:
        return key

class Teas(Pairs[int, Tea]):
    pass
"""


class WrittenOutTeas:
    @get("/{key}")
    async def show(self, key: int) -> int:
        return key

    @post("")
    async def create(self, item: Tea, more: list[Tea] | None = None) -> Tea:
        return item


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters")
def test_type_parameters_are_known_in_postponed_annotations() -> None:
    """They are names of the class alone, and of no module."""
    names: dict[str, Any] = {"__name__": __name__, "post": post, "get": get, "Tea": Tea}
    exec(TYPE_PARAMETERS, names)
    assert list(served(names["Teas"], "/3")) == list(served(WrittenOutTeas, "/3"))
