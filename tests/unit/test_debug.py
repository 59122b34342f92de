"""`InterceptorRegistry(debug=True)`: a layer that loses the result of the layer inside is reported, and nothing changes."""

import gc
import re
import warnings
from typing import Any

import pytest

from interceptors import ForgottenReturnWarning, InterceptorRegistry, InvocationContext, Next, compose, intercept
from tests.unit.helpers import on_both_backends, passing, place, recording


async def forgetful(ctx: InvocationContext, next: Next) -> None:
    await next()


class Forgetful:
    async def intercept(self, ctx: InvocationContext, next: Next) -> None:
        await next()


class Service:
    async def work(self, value: Any = 5) -> Any:
        return value

    async def fail(self) -> Any:
        raise ValueError("from the target")


def given(*interceptors: Any, debug: bool = True) -> InterceptorRegistry:
    registry = InterceptorRegistry(debug=debug)
    for interceptor in interceptors:
        registry.add_global(interceptor)
    return registry


async def test_a_lost_result_is_reported_with_name_place_target_and_remedy() -> None:
    """The warning stands at the interceptor's own line."""
    text = (
        f"forgetful ({place(forgetful)}) returned None around Service.work although the layer inside it returned a "
        "value; write `return await next()`."
    )
    with pytest.warns(ForgottenReturnWarning, match=f"^{re.escape(text)}$") as caught:
        assert await given(forgetful).invoke(Service(), "work") is None
    assert f"{caught[0].filename}:{caught[0].lineno}" == place(forgetful)


@pytest.mark.parametrize("interceptor", [Forgetful, Forgetful(), compose(forgetful)], ids=["class", "object", "chain"])
async def test_interceptors_of_every_kind_are_watched(interceptor: Any) -> None:
    """A chain is watched layer by layer."""
    with pytest.warns(ForgottenReturnWarning, match=r"^(Forgetful|forgetful) \("):
        await given(interceptor).invoke(Service(), "work")


async def test_an_interceptor_without_a_source_file_is_reported_all_the_same() -> None:
    """Where nothing is known about the place the warning says so."""
    with pytest.warns(ForgottenReturnWarning, match=r"^Made \(no source file\) returned None") as caught:
        await given(type("Made", (Forgetful,), {})).invoke(Service(), "work")
    assert caught[0].filename == "<unknown>"


async def test_an_interceptor_is_reported_once() -> None:
    """However many invocations, methods and chains it is in."""
    registry = given(passing, forgetful)
    with pytest.warns(ForgottenReturnWarning) as caught:
        for _ in range(3):
            await registry.invoke(Service(), "work")
            await registry.intercepted(Service()).work()
        registry.bind("other", passing)
        await registry.invoke(Service(), "work")
    assert len(caught) == 1


async def test_each_interceptor_is_reported() -> None:
    """Another interceptor has a report of its own, also where the first is long forgotten."""
    registry = given()

    class Target:
        @intercept("key")
        async def work(self) -> int:
            return 1

    with pytest.warns(ForgottenReturnWarning) as caught:
        for _ in range(5):  # each collection takes half a second where many modules are loaded

            async def fresh(ctx: InvocationContext, next: Next) -> None:
                await next()

            registry.bind("key", fresh)
            del fresh
            gc.collect()
            await registry.invoke(Target(), "work")
    assert len(caught) == 5


async def test_each_registry_reports_for_itself() -> None:
    """What one registry has reported another one reports again: there is no module-level state."""
    for _ in range(2):
        with pytest.warns(ForgottenReturnWarning):
            await given(forgetful).invoke(Service(), "work")


async def test_only_a_lost_value_is_reported() -> None:
    """Not None around None, not an answer of its own, not an error, not a layer that never called next."""

    async def answer(ctx: InvocationContext, next: Next) -> str:
        await next()
        return "mine"

    async def deny(ctx: InvocationContext, next: Next) -> None:
        return None

    async def swallow(ctx: InvocationContext, next: Next) -> None:
        try:
            await next()
        except ValueError:
            return None

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await given(forgetful).invoke(Service(), "work", None) is None
        assert await given(answer).invoke(Service(), "work") == "mine"
        assert await given(deny).invoke(Service(), "work") is None
        assert await given(swallow).invoke(Service(), "fail") is None
        assert await given(passing).invoke(Service(), "work") == 5


async def test_without_debug_nothing_is_reported() -> None:
    """The watch costs nothing where it is off."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await given(forgetful, debug=False).invoke(Service(), "work") is None


@pytest.mark.filterwarnings("ignore::interceptors.errors.ForgottenReturnWarning")
@on_both_backends
async def test_results_are_the_same_with_and_without_debug() -> None:
    """Results, errors, the order of layers and repeated calls of next do not change."""

    async def twice(ctx: InvocationContext, next: Next) -> list[Any]:
        return [await next(), await next()]

    outcomes: list[Any] = []
    for debug in (False, True):
        events: list[str] = []
        registry = given(recording("a", events), twice, recording("b", events), forgetful, debug=debug)
        outcomes.append((await registry.invoke(Service(), "work"), events))
        error = given(passing, recording("c", events), debug=debug)
        with pytest.raises(ValueError, match="from the target") as caught:
            await error.invoke(Service(), "fail")
        outcomes[-1] += (type(caught.value), caught.value.__cause__, caught.value.__context__)

    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == [None, None]
