"""Handlers as many people write them: every annotation postponed, some names only for type checkers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Optional

from dependency_injector.wiring import Provide, Provider
from fastapi import Depends, Response, WebSocket
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from interceptors import InvocationContext
from interceptors.fastapi import controller, get, post, websocket

if TYPE_CHECKING:
    from datetime import time as Clock
    from decimal import Decimal as Repository

    from starlette.requests import Request

Injected = Annotated["Repository", Provide["repository"]]
Maybe = Annotated[Optional["Clock"], Provide["clock"]]
Alias = TypeAliasType("Alias", Annotated[str, Provide["repository"]])


class Item(BaseModel):
    """What is sent and received."""

    name: str


def needed(number: int = 7) -> int:
    """A dependency of FastAPI's."""
    return number


Needed = Annotated[int, Depends(needed)]


@controller(prefix="/postponed")
class PostponedController:
    """All kinds of postponed parameters."""

    def __init__(self, repository: Annotated[Repository, Provide["repository"]], clock: Maybe = None) -> None:
        self.repository = repository
        self.clock = clock

    @get("/markers/{name}")
    async def markers(
        self,
        name: str,
        direct: Annotated[Repository, Provide["repository"]],
        union: Annotated[Repository | None, Provide["repository"]],
        aliased: Injected,
        statement: Alias,
        given: Annotated[Callable[[], Repository], Provider["repository"]],
        number: Needed,
        request: Request,
        response: Response | None,
        ctx: InvocationContext,
        default: Repository = Provide["repository"],
    ) -> dict[str, Any]:
        """Everything that can be injected."""
        response.headers["x-context"] = ctx.target_name
        return {
            "name": name,
            "values": [direct, union, aliased, statement, given(), default, self.repository, self.clock],
            "number": number,
            "path": request.url.path,
        }

    @post("/items")
    async def create(self, item: Item, request: Request) -> Item:
        """A body whose type is postponed."""
        return item

    @get("/stream")
    async def stream(self, count: int, repository: Annotated[Repository, Provide["repository"]]) -> AsyncIterator[Item]:
        """A stream whose item type is postponed."""
        for number in range(count):
            yield Item(name=f"{repository} {number}")

    @websocket("/socket")
    async def socket(self, socket: WebSocket, repository: Annotated[Repository, Provide["repository"]]) -> None:
        """A conversation whose socket is postponed."""
        await socket.accept()
        await socket.send_text(str(repository))
        await socket.close()


def louder(function: Any) -> Any:
    """A decorator of the user's, around a handler of another module."""

    @wraps(function)
    async def loud(*args: Any, **kwargs: Any) -> Any:
        return (await function(*args, **kwargs)).upper()

    return loud


async def greet(item: Item, number: Needed, repository: Annotated[Repository, Provide["repository"]]) -> str:
    """A function whose annotations only this module understands."""
    return f"{item.name} {number} {repository}"


def local_handler() -> Any:
    """A handler with an annotation that nobody can evaluate: it is postponed and its class is local."""

    class Local(BaseModel):
        n: int

    async def handler(local: Local) -> int:
        return local.n

    return handler
