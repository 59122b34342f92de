"""`registry.observe`: whoever watches chains run is asked when one is compiled; without one nothing is different."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from interceptors import InterceptorRegistry, InvocationSource, Next, compose, intercept
from interceptors.compiler import Layer
from interceptors.describing import name_of
from interceptors.kinds import InterceptorFunction
from interceptors.target import Target
from interceptors.testing import record
from tests.unit.helpers import on_both_backends, passing, recording


class Service:
    @intercept(compose(passing, "audit"))
    async def work(self, value: int = 1) -> int:
        return value


def given(**options: Any) -> InterceptorRegistry:
    registry = InterceptorRegistry(**options)
    registry.bind("audit", recording("audit", []))
    registry.add_global(recording("log", []), group="logs", source=("job", "route"))
    return registry


def watching(seen: list[str], name: str, *, before: int = 0, after: int = 0) -> Any:
    """An observer that notes what begins and ends: around each layer, the invocation, the call."""

    def noting(what: str, function: InterceptorFunction) -> InterceptorFunction:
        async def run(ctx: Any, next: Next) -> Any:
            seen.append(f"{name} {what}")
            result = await function(ctx, next)
            seen.append(f"{name} end {what}")
            return result

        return run

    def observer(target: Target, source_type: str | None, layers: Sequence[Layer]) -> list[InterceptorFunction]:
        own = [noting(name_of(layer.part) if layer.candidate else "other's", layer.function) for layer in layers]
        return [*[noting("invocation", passing)] * before, *own, *[noting("call", passing)] * after]

    return observer


async def test_an_observer_sees_invocation_layers_and_call() -> None:
    """Each layer by itself, those of a chain too, in the order in which they run."""
    registry, seen = given(), list[str]()
    with registry.observe(watching(seen, "o", before=1, after=1)):
        assert await registry.invoke(Service(), "work", source=InvocationSource("job")) == 1
    begun = [each for each in seen if "end" not in each]
    assert begun == ["o invocation", "o log", "o passing", "o audit", "o call"]
    assert [each.replace("end ", "") for each in seen[5:]] == begun[::-1]


async def test_it_is_told_how_each_layer_was_declared() -> None:
    """The candidate, the part of it that this layer is, and what runs; and for which target and source."""
    asked: list[Any] = []

    def observer(target: Target, source_type: str | None, layers: Sequence[Layer]) -> list[InterceptorFunction]:
        asked.append(
            (
                target.title,
                source_type,
                [(x.candidate.level, x.candidate.group, x.candidate.sources) for x in layers if x.candidate],
            )
        )
        return [layer.function for layer in layers]

    registry = given()
    with registry.observe(observer):
        for _ in range(3):
            await registry.invoke(Service(), "work", source=InvocationSource("job"))
        await registry.invoke(Service(), "work", source=InvocationSource("other"))
    parts = [("method", None, None)] * 2
    assert asked == [
        ("Service.work", "job", [("global", "logs", ("job", "route")), *parts]),
        ("Service.work", "other", parts),
    ]


@on_both_backends
async def test_several_observers_each_see_every_layer() -> None:
    """The later one around the earlier one's; each begins and ends by itself."""
    registry, seen = given(), list[str]()
    first, second = registry.observe(watching(seen, "a", before=1)), registry.observe(watching(seen, "b"))
    with ExitStack() as stack:
        stack.enter_context(second)
        with first:
            await registry.invoke(Service(), "work", source=InvocationSource("job"))
        assert [each for each in seen if "end" not in each] == [
            "a invocation", "a log", "b log", "a passing", "b passing", "a audit", "b audit",
        ]  # fmt: skip
        seen.clear()
        await registry.invoke(Service(), "work")
        assert seen[0] == "b log" and len(seen) == 6
    seen.clear()
    await registry.invoke(Service(), "work")
    assert seen == []


async def test_what_one_observer_puts_around_all_the_other_sees_as_no_layer() -> None:
    """It has no candidate and no part, so nobody takes it for an interceptor."""
    registry, seen = given(), list[str]()
    with (
        registry.observe(watching(seen, "a", before=1, after=1)),
        registry.observe(watching(seen, "b")),
        record(registry) as ran,
    ):
        await registry.invoke(Service(), "work")
    assert [each for each in seen if each.startswith("b") and "end" not in each] == [
        "b other's", "b log", "b passing", "b audit", "b other's",
    ]  # fmt: skip
    assert ran == ["log", "passing", "audit"]


@pytest.mark.parametrize("functions", [[], [passing] * 6])
async def test_an_observer_that_loses_a_layer_is_refused(functions: list[InterceptorFunction]) -> None:
    """One function for each layer, and at most two of its own."""
    registry = given()
    with registry.observe(lambda *_: functions), pytest.raises(ValueError, match="of 3 layers gave"):
        await registry.invoke(Service(), "work")


@on_both_backends
async def test_with_nobody_watching_not_one_call_is_made_more() -> None:
    """Counted, before anybody watched and after everybody has left."""
    registry, service = given(), Service()

    async def calls() -> int:
        count = 0

        def note(*_: Any) -> None:
            nonlocal count
            count += 1

        await registry.invoke(service, "work")
        sys.setprofile(note)
        try:
            await registry.invoke(service, "work")
        finally:
            sys.setprofile(None)
        return count

    before = await calls()
    with registry.observe(watching([], "o", before=1, after=1)):
        assert await calls() > before
    assert await calls() == before


async def test_the_version_rises_with_every_change() -> None:
    """Whoever keeps something of a registry sees by it that it is old."""
    registry = InterceptorRegistry()
    versions = [registry.version]

    def changed() -> None:
        versions.append(registry.version)

    registry.bind("a", passing)
    changed()
    registry.add_global("a")
    changed()
    with registry.observe(watching([], "o")):
        changed()
    changed()
    registry.remove_global("a")
    changed()
    registry.unbind("a")
    changed()
    assert versions == sorted(set(versions)) and len(versions) == 7
