"""Calls of methods by their names: what a registry keeps of them, and for how long."""

import gc
import itertools
import weakref
from typing import Any

import pytest

from interceptors import InterceptorRegistry, InvocationSource
from tests.unit.helpers import recording


async def work(self: Any) -> str:
    return "done"


NUMBERS = itertools.count()


class Type(str):
    """The name of a source type, made at run time."""

    __slots__ = ("__weakref__",)


def of_a_new_class() -> tuple[Any, InvocationSource | None, Any]:
    cls = type("Service", (), {"work": work})
    return cls(), None, weakref.ref(cls)


def of_a_new_source() -> tuple[Any, InvocationSource | None, Any]:
    name = Type(f"job {next(NUMBERS)}")
    return Service(), InvocationSource(name), weakref.ref(name)


class Service:
    work = work


@pytest.mark.parametrize("make", [of_a_new_class, of_a_new_source])
async def test_what_is_made_for_one_call_does_not_stay_for_ever(make: Any) -> None:
    """Of classes and source types that are made at run time only the last ones are kept, with their chains."""
    registry, kept = InterceptorRegistry(), []
    for _ in range(1100):
        target, source, reference = make()
        kept.append(reference)
        assert await registry.invoke(target, "work", source=source) == "done"
    del target, source
    gc.collect()
    assert 0 < sum(reference() is not None for reference in kept) <= 1000


async def test_what_has_been_forgotten_is_known_again_when_it_is_called() -> None:
    """Its chain is compiled anew, with whatever stands in it by then."""
    registry, events = InterceptorRegistry(), list[str]()
    service = Service()
    await registry.invoke(service, "work")
    for _ in range(1000):
        await registry.invoke(of_a_new_class()[0], "work")
    registry.add_global(recording("A", events))
    assert await registry.invoke(service, "work") == "done"
    assert events == [">A", "<A"]
