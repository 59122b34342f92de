"""The function that FastAPI calls for a route of a resource: one request is one invocation of the chain."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from inspect import Parameter
from typing import Any

import anyio
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.requests import Request
from starlette.responses import Response

from interceptors.context import InvocationContext
from interceptors.describing import location, name_of
from interceptors.entry import Entry
from interceptors.fastapi.facades import hidden_parameters, show_as
from interceptors.fastapi.responses import merged
from interceptors.fastapi.sources import ROUTE
from interceptors.fastapi.status_answers import raise_status
from interceptors.fastapi.undocumented import picture_in_use, reading, without_body
from interceptors.kinds import is_async
from interceptors.registry import InterceptorRegistry
from interceptors.resources.context import ResourceContext
from interceptors.resources.errors import ResourceError
from interceptors.resources.life_cycles import prepare
from interceptors.resources.operation import Operation
from interceptors.resources.refusals import answer_to
from interceptors.resources.rendering import render
from interceptors.target import Target

__all__ = ["ResourceRoute", "resource_endpoint"]

_ROLLING_BACK = 5.0
"""Seconds: a connection that is dead must not hold a request that nobody waits for."""


def resource_endpoint(
    registry: InterceptorRegistry, sessions: async_sessionmaker[AsyncSession], operation: Operation
) -> Callable[..., Any]:
    """The endpoint of one route. Raises ResourceError for a handler that is no `async def`."""
    entry = Entry(registry, _target(operation), source=ROUTE)

    async def endpoint(*, _interceptors_request: Request, _interceptors_response: Response, **_: object) -> Any:
        request, response = _interceptors_request, _interceptors_response
        ctx: Any = entry.context((), {}, request, response)
        try:
            await prepare(operation, ctx, request)
            async with _session(sessions) as session:
                ctx.session = session
                result = await entry.run(ctx)
                ctx.settle()
                answer = merged(result if isinstance(result, Response) else render(ctx, result), response)
                # Before the answer: a client that reads its own write finds it.
                await (session.commit() if answer.status_code < 400 else session.rollback())
        except Exception as error:
            raise_status(error, request.scope)
            answer_to_error = answer_to(error, request)
            if answer_to_error is None:
                raise
            return answer_to_error
        return answer

    return show_as(endpoint, entry, [*_documented_body(operation), *hidden_parameters()])


@asynccontextmanager
async def _session(sessions: async_sessionmaker[AsyncSession]) -> AsyncGenerator[AsyncSession]:
    """The session of a request: rolled back by an exception, and always closed."""
    async with sessions() as session:
        try:
            yield session
        except BaseException:
            # After a COMMIT that failed, closing alone would give the connection back in the midst of its transaction.
            with anyio.move_on_after(_ROLLING_BACK, shield=True):
                await session.rollback()
            raise


def _target(operation: Operation) -> Target:
    context_class = type(
        ResourceContext.__name__, (ResourceContext,), {"_operation": operation, "__module__": __name__}
    )
    target = Target.method(
        operation.description.resource,
        operation.handler.method,
        builds=True,
        binds=False,
        context_class=context_class,
        finish=_call,
        leading=1,
    )
    if not is_async(target.function):
        raise ResourceError(
            f"{name_of(target.function)} ({location(target.function)}) overrides a handler and is no `async def`: "
            f"async def {target.name}(self, ctx): return await super().{target.name}(ctx)"
        )
    return target


async def _call(ctx: InvocationContext, function: Any, args: Iterable[object], kwargs: Mapping[str, object]) -> Any:
    # What the handler asks to be injected; the special parameters among it are for `ctx`.
    injected = {name: value for name, value in kwargs.items() if name not in ctx.args}
    return await function(ctx, *args, **injected)


def _documented_body(operation: Operation) -> list[Parameter]:
    if operation.body is None:
        return []
    return [Parameter("body", Parameter.KEYWORD_ONLY, annotation=operation.body.documented)]


class ResourceRoute(APIRoute):
    """A route whose body FastAPI documents and does not read: the handler does, when its turn comes."""

    def get_route_handler(self) -> Any:
        """FastAPI's own handler, for a route without a body."""
        with reading(without_body(picture_in_use(self), self), self):
            return super().get_route_handler()
