"""The steps of an operation: the life cycle of its handler, with the hooks and events that there are."""

from collections.abc import Mapping
from typing import TypeAlias

from starlette.responses import Response

from interceptors.events import EventError
from interceptors.resources import actions
from interceptors.resources.context import ResourceContext
from interceptors.resources.emissions import Emission
from interceptors.resources.hooks import ResourceHook
from interceptors.resources.life_cycles import LIFE_CYCLES, Action, OperationStep
from interceptors.resources.names import fallback
from interceptors.resources.operation import Operation

__all__ = ["EmissionsByPoint", "HooksByPoint", "compile_steps"]

HooksByPoint: TypeAlias = Mapping[str, ResourceHook]
"""The hooks of one model, by point."""

EmissionsByPoint: TypeAlias = Mapping[str, Emission]
"""The events of one model, by point."""

_WRITES = (actions.insert_row, actions.update_row, actions.delete_row)


def compile_steps(operation: Operation, hooks: HooksByPoint, emissions: EmissionsByPoint) -> tuple[OperationStep, ...]:
    """What is awaited in its turn. Raises EventError for a stored event of a handler without a transaction."""
    steps: list[OperationStep] = []
    for each in LIFE_CYCLES[operation.handler]:
        if isinstance(each, str):
            steps += _steps_at(each, operation, hooks, emissions)
        else:
            step = _run_action(each)
            steps.append(_then_commit(step) if each in _WRITES and not operation.in_transaction else step)
    return tuple(steps)


def _steps_at(
    point: str, operation: Operation, hooks: HooksByPoint, emissions: EmissionsByPoint
) -> list[OperationStep]:
    """The hook of a point and its event, where PATCH takes that of UPDATE if it has none: each for itself."""
    steps: list[OperationStep] = []
    hook = hooks.get(point) or hooks.get(fallback(point))
    if hook is not None:
        step = _run_hook(hook)
        steps.append(step if operation.in_transaction else _then_commit(step))
    emission = emissions.get(point) or emissions.get(fallback(point))
    if emission is not None:
        if emission.is_stored and not operation.in_transaction:
            handler = emission.handler
            raise EventError(
                f"{handler.title} handles {handler.event} durably, but {operation.handler} of "
                f"{operation.description.resource.__name__} runs without a transaction; say @event(durable=False), or "
                f"turn the transaction on."
            )
        steps.append(_run_action(emission))
    return steps


def _run_action(action: Action) -> OperationStep:
    """An action as a step."""

    async def step(ctx: ResourceContext) -> None:
        await action(ctx)

    return step


def _run_hook(hook: ResourceHook) -> OperationStep:
    """A hook as a step: what it returns counts only if it is a response."""

    async def step(ctx: ResourceContext) -> Response | None:
        result = await hook(ctx)
        return result if isinstance(result, Response) else None

    return step


def _then_commit(step: OperationStep) -> OperationStep:
    """Without a transaction: what a step has done stays done, also if it was its last."""

    async def committed(ctx: ResourceContext) -> Response | None:
        response = await step(ctx)
        if response is None or response.status_code < 400:
            await ctx.session.commit()
        return response

    return committed
