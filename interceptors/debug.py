"""What `InterceptorRegistry(debug=True)` watches for. Results are the same with and without it."""

import warnings
from collections.abc import Hashable
from typing import Any

from interceptors.compiler import Observer
from interceptors.describing import file_and_line, location, name_of
from interceptors.errors import ForgottenReturnWarning
from interceptors.kinds import InterceptorFunction, Next, identity

__all__ = ["warn_of_forgotten_return"]


def warn_of_forgotten_return() -> Observer:
    """An observer that reports each interceptor once that returned `None` while the layer inside returned a value."""
    reported: dict[Hashable, object] = {}  # with the object, as an id is free again when its object is gone

    def watch(interceptor: object, function: InterceptorFunction) -> InterceptorFunction:
        async def run(ctx: object, next: Next) -> Any:
            inner: Any = None

            async def seen() -> Any:
                nonlocal inner
                inner = await next()
                return inner

            result = await function(ctx, seen)
            if result is None and inner is not None and identity(interceptor) not in reported:
                reported[identity(interceptor)] = interceptor
                _warn(interceptor, ctx)
            return result

        return run

    return lambda target, source_type, layers: [watch(layer.part, layer.function) for layer in layers]


def _warn(interceptor: Any, ctx: Any) -> None:
    name, line = file_and_line(interceptor) or ("<unknown>", 0)
    warnings.warn_explicit(
        f"{name_of(interceptor)} ({location(interceptor)}) returned None around {ctx.target_name} although the layer "
        f"inside it returned a value; write `return await next()`.",
        ForgottenReturnWarning,
        name,
        line,
    )
