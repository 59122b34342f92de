"""Targets and interceptors whose annotations are postponed, and name things that exist for type checkers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional

from dependency_injector.wiring import Provide

if TYPE_CHECKING:
    import nowhere
    from nowhere import Repository
    from starlette import requests
    from starlette.requests import Request
    from starlette.responses import Response

    from interceptors import InvocationContext, Next

Repo = Annotated["Repository", Provide["repo"]]
MaybeRepo = Optional[Annotated["Repository", Provide["repo"]]]


async def by_marker(
    amount: int,
    plain: Annotated[Repository, Provide["repo"]],
    optional: Annotated[Repository | None, Provide["repo"]],
    optional_outside: Annotated[Repository, Provide["repo"]] | None,
    reversed_union: Annotated[None | Repository, Provide["repo"]],
    of_int: Annotated[int | Repository, Provide["repo"]],
    generic: Annotated[Repository[int], Provide["repo"]],
    of_list: Annotated[list[Repository], Provide["repo"]],
    of_module: Annotated[nowhere.deeper.Repository, Provide["repo"]],
    alias: Repo,
    optional_alias: MaybeRepo,
    text: Annotated["Repository", Provide["repo"]],
    text_in_text: "Annotated[Repository, Provide['repo']]",
    default: Repository = Provide["repo"],
) -> Any:
    return [value for name, value in locals().items() if name != "amount"]


async def by_type(
    request: Request,
    optional: Request | None,
    of_module: requests.Request,
    annotated: Annotated[Request, "a note"],
    text: "Request",
    response: Response,
    ctx: InvocationContext,
    amount: int = 1,
) -> Any:
    return request, optional, of_module, annotated, text, response, ctx.args.names


async def visible(repository: Repository, maybe: Repository | None = None) -> Any:
    return repository, maybe


class Injected:
    def __init__(self, repo: Annotated[Repository, Provide["repo"]], ctx: InvocationContext) -> None:
        self.repo = repo
        self.ctx = ctx

    async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
        return self.repo, self.ctx is ctx, await next()


@dataclass
class InjectedDataclass:
    repo: Annotated[Repository, Provide["repo"]]
    request: Request | None
    number: int = 5

    async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
        return self.repo, self.request, self.number, await next()
