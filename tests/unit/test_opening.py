"""What a method gives that can be awaited or entered: the layers run around either, and end before the block begins."""

import asyncio
import functools
from collections.abc import Generator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

import pytest

from interceptors import InterceptorRegistry, intercept

EVENTS: list[str] = []


async def layer(ctx: Any, next: Any) -> Any:
    EVENTS.append("in")
    try:
        return await next()
    finally:
        EVENTS.append("out")


async def failing(ctx: Any, next: Any) -> Any:
    await next()
    raise LookupError("after the method")


class Cursor:
    """As of a database driver: awaited, or entered."""

    def __await__(self) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(0).__await__()
        EVENTS.append("awaited")
        return "rows"

    async def __aenter__(self) -> str:
        EVENTS.append("entered")
        return "cursor"

    async def __aexit__(self, *error: object) -> bool:
        EVENTS.append(f"left {error[1]!r}")
        return True


def as_a_driver(function: Any) -> Any:
    """Makes what drivers make of `async def`: a `def` whose result can be awaited or entered."""

    @functools.wraps(function)
    def opens(*args: Any) -> Any:
        return Cursor()

    return opens


class Database:
    @intercept(layer)
    @as_a_driver
    async def execute(self, sql: str) -> str: ...  # type: ignore[empty-body]

    @intercept(failing)
    @as_a_driver
    async def fails(self) -> str: ...  # type: ignore[empty-body]

    @intercept(layer)
    @as_a_driver
    async def itself(self) -> Any: ...

    @intercept(layer)
    async def slow(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def database() -> Any:
    EVENTS.clear()
    return InterceptorRegistry().intercepted(Database())


async def test_it_is_awaited_within_the_layers(database: Any) -> None:
    assert await database.execute("select") == "rows"
    assert EVENTS == ["in", "awaited", "out"]


async def test_it_is_a_coroutine_for_tasks(database: Any) -> None:
    assert await asyncio.create_task(database.execute("select")) == "rows"
    assert EVENTS == ["in", "awaited", "out"]


async def test_it_is_entered_within_the_layers_and_left_after_the_block(database: Any) -> None:
    async with database.execute("select") as cursor:
        EVENTS.append(cursor)
        raise ValueError("in the block")  # the cursor swallows it
    assert EVENTS == ["in", "entered", "out", "cursor", "left ValueError('in the block')"]


async def test_what_was_entered_is_left_when_a_layer_raises(database: Any) -> None:
    with pytest.raises(LookupError):
        async with database.fails():
            EVENTS.append("never")
    assert EVENTS == ["entered", "left LookupError('after the method')"]


async def test_an_attribute_before_that_says_what_it_is(database: Any) -> None:
    opening = database.execute("select")
    with pytest.raises(
        AttributeError, match=r"What execute gives .* can be awaited or entered .* no 'fetchone' before"
    ):
        opening.fetchone()
    opening.close()
    assert EVENTS == []


async def test_an_error_thrown_into_it_passes_the_layers(database: Any) -> None:
    opening = database.execute("select")
    opening.send(None)
    with pytest.raises(KeyError):
        opening.throw(KeyError("thrown"))
    assert EVENTS == ["in", "out"]


async def test_a_coroutine_may_be_closed_in_another_context_than_it_was_started_in(database: Any) -> None:
    for name in ("slow", "execute"):
        EVENTS.clear()
        coroutine = database.slow() if name == "slow" else database.execute("select")
        Context().run(coroutine.send, None)
        Context().run(coroutine.close)
        assert EVENTS == ["in", "out"]


async def test_a_manager_of_contextlib_is_entered_where_a_layer_gives_it_back() -> None:
    class Store:
        @asynccontextmanager
        async def transaction(self) -> Any:
            EVENTS.append("begin")
            yield "transaction"
            EVENTS.append("commit")

    EVENTS.clear()
    async with InterceptorRegistry().intercepted(Store()).transaction() as given:
        EVENTS.append(given)
    assert EVENTS == ["begin", "transaction", "commit"]
