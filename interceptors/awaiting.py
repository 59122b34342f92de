"""Layers that do not await `next()` themselves: `return next()`, as in LoopBack, and `next` that is handed on.

Nearly all layers write `await next()`. That can be seen in their code, once, and then nothing stands between them and
`next`. Around all others a frame of ours awaits what they return, and names them if they give `next` an argument.
"""

import dis
import inspect
from collections.abc import Awaitable
from contextlib import suppress
from functools import lru_cache
from types import CodeType
from typing import Any

from interceptors.current import current
from interceptors.describing import location, name_of
from interceptors.kinds import InterceptorFunction, Next, is_function_like

__all__ = ["awaiting"]


def awaiting(interceptor: object, function: InterceptorFunction) -> InterceptorFunction:
    """The function of a layer, so that what it gets from `next()` and returns is awaited in any case."""
    return function if _awaits_next(interceptor) else _awaited(interceptor, function)


def _awaited(interceptor: object, function: InterceptorFunction) -> InterceptorFunction:
    title = f"next() in {name_of(interceptor)}"

    async def run(ctx: object, next: Next) -> Any:
        given: list[object] = []  # what came from further in
        cell = current.get()

        async def inner() -> Any:
            # Whoever awaits it, in whatever task: what runs further in belongs to the same invocation as this layer.
            token = None if current.get() is cell else current.set(cell)
            try:
                result = await next()
            finally:
                if token is not None:
                    with suppress(ValueError):  # closed in another context, which has nothing to put back
                        current.reset(token)
            given.append(result)
            return result

        inner.__qualname__ = title  # Python warns by this name if nobody ever awaits it

        def checked_next(*arguments: object, **named: object) -> Awaitable[Any]:
            if arguments or named:
                raise TypeError(
                    f"{name_of(interceptor)} ({location(interceptor)}) gave `next` an argument; it takes no arguments: "
                    f"write `await next()`. What the layers share is in the context."
                )
            return inner()

        result = await function(ctx, checked_next)
        if result is checked_next:
            raise TypeError(
                f"{name_of(interceptor)} ({location(interceptor)}) returned `next` itself; write `return await next()`."
            )
        # What the method itself returned is never awaited, a future for example.
        while inspect.isawaitable(result) and not any(result is each for each in given):
            result = await result
        return result

    return run


def _awaits_next(interceptor: object) -> bool:
    """Is every use of `next` an `await next()`? False where the code does not tell."""
    if isinstance(interceptor, type):
        static = inspect.getattr_static(interceptor, "intercept", None)
        is_bound = not isinstance(static, staticmethod)
        function = getattr(static, "__func__", static)
    else:
        own = interceptor if is_function_like(interceptor) else getattr(interceptor, "intercept", None)
        is_bound = inspect.ismethod(own)
        function = getattr(own, "__func__", own)
    code = function.__code__ if inspect.isfunction(function) else None
    return code is not None and _code_awaits(code, 2 if is_bound else 1)


@lru_cache(maxsize=1024)  # one interceptor is a layer of many chains
def _code_awaits(code: CodeType, position: int) -> bool:
    if not code.co_flags & inspect.CO_COROUTINE or code.co_argcount <= position:
        return False
    name = code.co_varnames[position]
    if name in code.co_cellvars:  # an inner function has it
        return False
    instructions = [each for each in dis.get_instructions(code) if each.opname not in ("PUSH_NULL", "PRECALL")]
    for index, each in enumerate(instructions):
        names = each.argrepr.split(", ") if "_FAST" in each.opname else []  # one instruction may load two variables
        if name in names:
            is_load = each.opname.startswith("LOAD_FAST") or each.opname.endswith("LOAD_FAST")
            following = [(after.opname, after.arg) for after in instructions[index + 1 : index + 3]]
            is_awaited = following[:1] == [("CALL", 0)] and [each[0] for each in following[1:]] == ["GET_AWAITABLE"]
            if not (is_load and is_awaited and names.index(name) == len(names) - 1):
                return False
    return True
