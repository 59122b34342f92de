"""The engines that ours is measured against: what one writes by hand.

Each takes the layers, outermost first, and a target, and gives a function of one value.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

__all__ = ["Layer", "Run", "Wrap", "hand_nested", "koa", "nested_lambdas"]

Run = Callable[[Any], Awaitable[Any]]
Layer = Callable[[Any, Callable[[], Awaitable[Any]]], Awaitable[Any]]
Wrap = Callable[[Run], Run]


def hand_nested(wraps: Sequence[Wrap], target: Run) -> Run:
    """Coroutine functions that await each other. There is no `next`, hence no choice: this is the limit, not a rival."""
    for wrap in reversed(wraps):
        target = wrap(target)
    return target


def nested_lambdas(layers: Sequence[Layer], target: Run) -> Run:
    """`lambda value: a(value, lambda: b(value, lambda: target(value)))`, as one writes it in a module."""
    names = {f"layer{number}": layer for number, layer in enumerate(layers)}
    source = "target(value)"
    for name in reversed(names):
        source = f"{name}(value, lambda: {source})"
    run: Run = eval(f"lambda value: {source}", {**names, "target": target})
    return run


def koa(layers: Sequence[Layer], target: Run) -> Run:
    """The usual port of koa-compose: a dispatcher with an index, and a closure for each `next`."""
    last = len(layers)

    async def run(value: Any) -> Any:
        reached = -1

        async def dispatch(index: int) -> Any:
            nonlocal reached
            if index <= reached:
                raise RuntimeError("next() called multiple times")
            reached = index
            if index == last:
                return await target(value)
            return await layers[index](value, lambda: dispatch(index + 1))

        return await dispatch(0)

    return run
