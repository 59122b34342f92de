"""The base class of resources: its options, and the handlers as methods that can be decorated and overridden."""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

from fastapi import params
from pydantic import BaseModel

from interceptors.resources.context import ResourceContext
from interceptors.resources.life_cycles import perform
from interceptors.resources.names import Handler

__all__ = ["Resource"]


class Resource:
    """A mapped class with REST routes. Subclasses set options; `@intercept` works on them and their handlers.

    >>> class UserResource(Resource):
    ...     model = User
    ...     fillable = {"email", "name"}
    ...     hidden = {"secret"}
    """

    model: ClassVar[type]
    """The mapped class; its primary key is one column."""
    handlers: ClassVar[Collection[Handler]] = frozenset(Handler) - {Handler.ALL}
    """What clients may do."""
    path: ClassVar[str | None] = None
    """The last segment of the path; the plural of the model's name in kebab-case without it."""
    fillable: ClassVar[Collection[str] | Mapping[str, Collection[str]] | None] = None
    """The fields that are taken from bodies, or `{"POST": ..., "PUT": ..., "PATCH": ...}`; the schema's without it."""
    validation: ClassVar[type[BaseModel] | Mapping[str, type[BaseModel]] | None] = None
    """The schema of bodies, or one per verb (PATCH falls back to PUT's); made from the columns without it."""
    hidden: ClassVar[Collection[str]] = ()
    """Columns that never leave: not in answers, nor in events, nor as names in a query string."""
    nested: ClassVar[Collection[str]] = ()
    """One-to-many relationships that have routes of their own: `/users/{user_id}/posts`."""
    relations: ClassVar[Collection[str]] = ()
    """Relationships that a client may load with `with`."""
    # Any: a checker takes a function of a class for a method, and this one is never bound.
    serializer: ClassVar[Any] = None
    """`def f(item: dict, request: Request) -> dict`, called as a function, or a pydantic model."""
    dependencies: ClassVar[Sequence[params.Depends] | Mapping[Handler, Sequence[params.Depends]]] = ()
    """FastAPI dependencies that run before anything of the resource."""
    transaction: ClassVar[bool | Mapping[Handler, bool] | None] = None
    """Is a request one transaction? By default writes are."""
    tags: ClassVar[list[str | Enum] | None] = None
    """OpenAPI tags; the path without them."""
    top_level: ClassVar[bool] = False
    """Keep the routes at the top although another resource nests this one."""

    async def insert(self, ctx: ResourceContext) -> Any:
        """POST: gives the new row."""
        return await perform(ctx)

    async def paginate(self, ctx: ResourceContext) -> Any:
        """GET of the collection: gives `{"data": [...], "pagination": {...}}`."""
        return await perform(ctx)

    async def all(self, ctx: ResourceContext) -> Any:
        """GET of `/all`: gives a list of rows."""
        return await perform(ctx)

    async def show(self, ctx: ResourceContext) -> Any:
        """GET of one row: gives it."""
        return await perform(ctx)

    async def update(self, ctx: ResourceContext) -> Any:
        """PUT: gives the new row."""
        return await perform(ctx)

    async def patch(self, ctx: ResourceContext) -> Any:
        """PATCH: gives the new row."""
        return await perform(ctx)

    async def delete(self, ctx: ResourceContext) -> Any:
        """DELETE: gives the old row; the answer is empty."""
        return await perform(ctx)
