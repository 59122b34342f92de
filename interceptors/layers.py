"""What a layer is as a plain function of the context and `next`."""

from collections.abc import Awaitable
from typing import Any

from interceptors.awaiting import awaiting
from interceptors.chain import function_of
from interceptors.constructors import check_provider
from interceptors.context import InvocationContext
from interceptors.injection import Getter, Injector, Pending, settle
from interceptors.kinds import InterceptorFunction, check_interceptor, is_provider

__all__ = ["layer_function"]


def layer_function(interceptor: Any, injector: Injector) -> InterceptorFunction:
    """The `(ctx, next)` function of an interceptor that is resolved and no chain; its constructor is checked."""
    if is_provider(interceptor):
        provides = getattr(interceptor, "provides", None)
        if isinstance(provides, type):
            check_interceptor(provides)
        check_provider(interceptor, "interceptor")
        return awaiting(provides, _built(injector.from_provider(interceptor)))
    if isinstance(interceptor, type):
        return awaiting(interceptor, _built(injector.constructor(interceptor, "interceptor")[0]))
    injector.check_instance(getattr(interceptor, "__self__", interceptor), "interceptor")
    return function_of(interceptor)


def _built(build: Getter) -> InterceptorFunction:
    """An interceptor that is built, or asked of its provider, when its turn comes."""

    def run(ctx: InvocationContext, next: Any) -> Awaitable[Any]:
        interceptor = build(ctx)
        if type(interceptor) is Pending:
            return _run_later(interceptor, ctx, next)
        return _function_of_built(interceptor)(ctx, next)

    return run


async def _run_later(interceptor: Pending, ctx: InvocationContext, next: Any) -> Any:
    return await _function_of_built(await settle(interceptor))(ctx, next)


def _function_of_built(interceptor: Any) -> InterceptorFunction:
    intercept: InterceptorFunction | None = getattr(interceptor, "intercept", None)
    if intercept is None:  # a provider may give anything
        check_interceptor(interceptor)
        return function_of(interceptor)
    return intercept
