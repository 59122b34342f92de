"""`registry.problems()`: errors, and what is legal and yet surely not meant; `validate` raises and warns."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from interceptors import (
    Entry,
    InjectionError,
    InterceptorRegistry,
    InterceptorWarning,
    InvocationSource,
    UnknownGroupWarning,
    UnknownKeyError,
    UnknownSourceWarning,
    UnreachedGlobalWarning,
    intercept,
    skip_interceptors,
)
from tests.unit.helpers import passing, place, recording

A, B, C = (recording(name, []) for name in "ABC")


class Service:
    async def work(self) -> None: ...


def warned(registry: InterceptorRegistry) -> list[str]:
    """What `problems` yields, `validate` says."""
    problems = list(registry.problems())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.validate()
    assert [str(warning.message) for warning in caught] == [str(problem) for problem in problems]
    assert all(isinstance(problem, InterceptorWarning) for problem in problems)
    return [f"{type(problem).__name__}: {problem}" for problem in problems]


def test_nothing_is_wrong_with_an_empty_registry() -> None:
    """Nor with one without calls."""
    registry = InterceptorRegistry(ordered_groups=["auth"])
    assert warned(registry) == []
    registry.add_global(A, source="route", group="auth")
    assert warned(registry) == []


# -- sources -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "wrong", "meant"),
    [
        ("routes", "routes", "route"),
        ("Route", "Route", "route"),
        (("job", "proxies"), "proxies", "proxy"),
        (["conector"], "conector", "connector"),
        ({" event"}, " event", "event"),
        (("route", "EVENT"), "EVENT", "event"),
        (("Connector",), "Connector", "connector"),
        ("websocket", "websocket", "route"),
        (("proxy", "WS"), "WS", "route"),
        ("http", "http", "route"),
    ],
)
def test_a_source_that_nothing_has_is_told_with_the_near_one(source: Any, wrong: str, meant: str) -> None:
    """The global never runs there; the warning names it and its place, what it says, and what to write."""
    registry = InterceptorRegistry()
    registry.add_global(A, source=source)
    registry.add_global(B, source="route")

    text = (
        f"UnknownSourceWarning: The global interceptor A ({place(A)}) is limited to the source {wrong!r}, which no call has, "
        f"so it does not run where {meant!r} is the source. Write source={meant!r}."
    )
    assert warned(registry) == [text]
    (warning,) = registry.problems()
    assert isinstance(warning, UnknownSourceWarning)
    assert (warning.name, warning.meant) == (wrong, meant)


@pytest.mark.parametrize(
    "source", ["job", ("job", "nightly"), "cron", (), "", None, ("route", "proxy"), "grpc", "celery"]
)
def test_a_source_of_ones_own_is_none(source: Any) -> None:
    """Whatever it is called."""
    registry = InterceptorRegistry()
    registry.add_global(A, source=source)

    assert warned(registry) == []


async def test_a_source_that_a_call_has_is_known() -> None:
    """So it is no slip itself, and others may be one of it."""
    registry = InterceptorRegistry()
    registry.add_global(A, source="routes")
    registry.add_global(B, source="qeue")
    door = Entry(registry, Service(), "work", source="queue")
    await registry.invoke(Service(), "work", source=InvocationSource("routes"))

    assert [(type(problem), problem.meant) for problem in registry.problems()] == [(UnknownSourceWarning, "queue")]  # type: ignore[attr-defined]
    assert door.source_type == "queue"


def test_a_global_is_named_by_what_its_key_is_bound_to() -> None:
    """Or by the key, where that is bound nowhere, which is an error besides."""
    registry = InterceptorRegistry()
    registry.bind("audit", A)
    registry.add_global("audit", source="routes")
    registry.add_global("nowhere", source="routes")
    problems = list(registry.problems())

    assert [type(problem) for problem in problems] == [UnknownKeyError, UnknownSourceWarning, UnknownSourceWarning]
    assert f"The global interceptor A ({place(A)}) is limited" in str(problems[1])
    assert "The global interceptor 'nowhere' (no source file) is limited" in str(problems[2])


def test_errors_come_first_and_all_of_them() -> None:
    """`validate` raises the first."""

    class Needy:
        def __init__(self, missing: int) -> None: ...

        async def intercept(self, ctx: Any, next: Any) -> None: ...

    registry = InterceptorRegistry()
    registry.add_global(A, source="routes")
    registry.add_global(Needy)
    registry.add_global("nowhere")

    assert [type(problem) for problem in registry.problems()] == [InjectionError, UnknownKeyError, UnknownSourceWarning]
    with pytest.raises(InjectionError):
        registry.validate()


# -- groups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["Auth", "auht", "auths", " auth"])
def test_a_group_that_is_nearly_an_ordered_one_is_told(group: str) -> None:
    """It would stand in front of all the ordered ones."""
    registry = InterceptorRegistry(ordered_groups=["log", "auth"])
    registry.add_global(A, group=group)
    registry.add_global(B, group="auth")

    assert warned(registry) == [
        (
            f"UnknownGroupWarning: The global interceptor A ({place(A)}) is in the group {group!r}, which is not in "
            f"ordered_groups, so it stands in front of those that are. Write group='auth', or put {group!r} into ordered_groups."
        )
    ]


@pytest.mark.parametrize("parameter", ["before", "after"])
def test_a_constraint_on_a_group_that_is_nearly_one_is_told(parameter: str) -> None:
    """It would order nothing; ordered groups and those of globals exist, also if they have no interceptor yet."""
    registry = InterceptorRegistry(ordered_groups=["cache"])
    registry.add_global(A, group="auth")
    registry.add_global(B, group="metrics", **{parameter: ("auht", "Cache", "auth", "cache", "later", "")})
    found = warned(registry)

    assert len(found) == 2
    assert (
        f"interceptor B ({place(B)}) is ordered by {parameter}='auht', a group that does not exist. Write" in found[0]
    )
    assert found[1].endswith(f"Write {parameter}='cache'.")


@pytest.mark.parametrize("on", ["method", "class", "base", "function"])
def test_a_skip_of_a_group_that_is_nearly_one_is_told(on: str) -> None:
    """It would skip nothing; once for each place, however many calls it concerns."""
    skip = skip_interceptors(group=["auht", "own", "auth"])

    class Base:
        async def work(self) -> None: ...

        async def other(self) -> None: ...

    class Derived(Base): ...

    async def function() -> None: ...

    holder: Any = {"method": Base.work, "class": Derived, "base": Base, "function": function}[on]
    skip(holder)
    registry = InterceptorRegistry()
    registry.add_global(A, group="auth")
    doors = [Entry(registry, Derived(), name) for name in ("work", "other")] + [Entry(registry, function)]

    name = holder.__qualname__.rpartition("<locals>.")[2]
    assert warned(registry) == [
        (
            f"UnknownGroupWarning: @skip_interceptors(group='auht') on {name} ({place(holder)}) names a group that does not "
            f"exist, and skips nothing. Write group='auth'."
        )
    ]
    assert len(doors) == 3


def test_a_group_of_its_own_is_none() -> None:
    """Groups that look alike may both be ordered; nothing is told without an order."""
    registry = InterceptorRegistry(ordered_groups=["auth", "Auth", "phase1"])
    for group in ("auth", "Auth", "phase2", "", "metrics"):
        registry.add_global(recording(group, []), group=group)
    assert warned(registry) == []

    registry = InterceptorRegistry()
    for group in ("auth", "Auth"):
        registry.add_global(recording(group, []), group=group)
    assert warned(registry) == []


# -- globals that never run --------------------------------------------------------------------------------------------


def skipping() -> Any:
    @skip_interceptors(A)
    async def function() -> None: ...

    return function


def skipping_group() -> Any:
    @skip_interceptors(group="x")
    @intercept(passing)
    async def function() -> None: ...

    return function


def skipping_all() -> Any:
    class Controller:
        @skip_interceptors()
        async def work(self) -> None: ...

    return Controller.work


def plain() -> Any:
    async def function() -> None: ...

    return function


def naming_it() -> Any:
    @intercept(A)
    async def function() -> None: ...

    return function


def broken() -> Any:
    @intercept("nowhere")
    async def function() -> None: ...

    return function


@pytest.mark.parametrize(
    ("routes", "is_told"),
    [
        ([skipping], True),
        ([skipping_group, skipping_all, skipping], True),
        ([skipping, plain], False),
        ([broken, plain], False),
        ([broken], True),
        ([skipping, naming_it], False),
        ([], False),
    ],
)
def test_a_global_limited_to_routes_that_runs_around_none_is_told(
    routes: list[Callable[[], Any]], is_told: bool
) -> None:
    """If there are routes at all; wherever it stands in a chain it runs."""
    registry = InterceptorRegistry()
    registry.add_global(A, group="x", source=["route", "route"])
    registry.add_global(B, source=("route", "job"))
    registry.add_global(C)
    kept = [Entry(registry, make(), source="route") for make in routes]
    others = [Entry(registry, skipping(), source="job"), Entry(registry, skipping(), source=None)]
    told = [problem for problem in registry.problems() if isinstance(problem, UnreachedGlobalWarning)]

    assert [problem.interceptor for problem in told] == ([A] if is_told else [])
    assert all(
        re.match(rf"The global interceptor A \({re.escape(place(A))}\) is limited to routes", str(p)) for p in told
    )
    assert (len(kept), len(others)) == (len(routes), 2)


def test_each_such_global_is_told() -> None:
    """By itself, and also where it was skipped by its key."""
    registry = InterceptorRegistry()
    registry.add_global(A, source="route", key="a")
    registry.add_global(B, source="route")
    kept = Entry(registry, skip_interceptors("a", B)(plain()), source="route")

    assert [type(problem) for problem in registry.problems()] == [UnreachedGlobalWarning] * 2
    assert kept.source_type == "route"


def test_a_group_warning_carries_its_facts() -> None:
    """As all errors and warnings do."""
    registry = InterceptorRegistry(ordered_groups=["auth"])
    registry.add_global(A, group="Auth")
    (warning,) = registry.problems()

    assert isinstance(warning, UnknownGroupWarning)
    assert (warning.name, warning.meant) == ("Auth", "auth")
