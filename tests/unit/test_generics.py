"""What is said of an alias of a generic class, which is no class of its own."""

from typing import Any, Generic, TypeVar

import pytest
from fastapi import FastAPI

from interceptors import InterceptorRegistry, InvalidInterceptorError, WrongCallError, intercept
from interceptors.fastapi import controller, create_router, get, install

T = TypeVar("T")


class Guard(Generic[T]):
    async def intercept(self, ctx: Any, next: Any) -> Any:
        return await next()


@controller()
class Crud(Generic[T]):
    @get("/x")
    async def show(self) -> None: ...


def test_an_interceptor_is_given_as_a_class() -> None:
    with pytest.raises(InvalidInterceptorError, match=r"Guard\[str\].*`class MyGuard\(Guard\[\.\.\.\]\)`"):
        intercept(Guard[str])


def test_a_controller_is_given_as_a_class() -> None:
    registry, alias = InterceptorRegistry(), Crud[str]
    with pytest.raises(WrongCallError, match=r"Crud\[str\], which is no class .* `class Mine\(Crud\[\.\.\.\]\)`"):
        create_router(alias, registry)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(WrongCallError, match="takes classes"):
        install(FastAPI(), registry, [alias])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
