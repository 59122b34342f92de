"""Handlers whose annotations are postponed, and name things that exist for type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from dependency_injector.wiring import Provide
from fastapi import Depends, Request
from pydantic import BaseModel

from interceptors import InvocationContext
from interceptors.fastapi import controller, post

if TYPE_CHECKING:
    from nowhere import Greeting


class Item(BaseModel):
    name: str


def dependency() -> str:
    return "dependency"


@controller()
class Controller:
    def __init__(self, greeting: Annotated[Greeting, Provide["greeting"]]) -> None:
        self.greeting = greeting

    @post("/")
    async def create(
        self,
        item: Item,
        q: Annotated[str, Depends(dependency)],
        request: Request,
        ctx: InvocationContext,
        ready: bool = True,
    ) -> dict[str, Any]:
        return {
            "name": item.name,
            "q": q,
            "greeting": self.greeting,
            "path": request.url.path == "/",
            "args": ctx.args.names,
            "ready": ready,
        }


async def function(
    item: Item,
    q: Annotated[str, Depends(dependency)],
    greeting: Annotated[Greeting | None, Provide["greeting"]],
    request: Request,
    ctx: InvocationContext,
) -> dict[str, Any]:
    return {
        "name": item.name,
        "q": q,
        "greeting": greeting,
        "path": request.url.path == "/function",
        "args": ctx.args.names,
    }


async def unknown_argument(item: Greeting) -> None: ...


async def unknown_result() -> Greeting: ...
