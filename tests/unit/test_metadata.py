"""What the decorators recorded, read along the MRO: lists accumulate, the base's first; nothing is shared by accident."""

import functools
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from interceptors import InterceptorRegistry, annotate, intercept, skip_interceptors
from interceptors.metadata import functions_in, metadata_of, records_behind
from interceptors.target import Target
from tests.unit.helpers import names, recording

EVENTS: list[str] = []
A, B, C, D, E = (recording(name, EVENTS) for name in "ABCDE")


def chain(owner: type, method: str = "work") -> list[str]:
    return names(InterceptorRegistry(), owner, method)


def test_class_level_goes_before_method_level() -> None:
    """What stands on the class is further out than what stands on the method, for every method."""

    @intercept(A)
    class Service:
        @intercept(B)
        async def work(self) -> None: ...

        async def plain(self) -> None: ...

    assert (chain(Service), chain(Service, "plain")) == (["A", "B"], ["A"])


def test_the_lists_of_classes_accumulate_base_first() -> None:
    """A subclass adds to its base's list; what it names again moves to its own place."""

    @intercept(A, B)
    class Base:
        async def work(self) -> None: ...

    class Between(Base): ...

    @intercept(C, A)
    class Service(Between): ...

    assert chain(Service) == ["B", "C", "A"]
    assert chain(Base) == ["A", "B"]


def test_the_lists_of_a_method_accumulate_base_first() -> None:
    """An override adds to the list of the method that it overrides."""

    class Base:
        @intercept(A, B)
        async def work(self) -> None: ...

    class Service(Base):
        @intercept(C, A)
        async def work(self) -> None: ...

    assert chain(Service) == ["B", "C", "A"]
    assert chain(Base) == ["A", "B"]


def test_a_method_overridden_without_a_decorator_keeps_the_bases_list() -> None:
    """An auth interceptor is not lost by an override that says nothing."""

    class Base:
        @intercept(A)
        async def work(self) -> None: ...

    class Service(Base):
        async def work(self) -> None: ...

    assert chain(Service) == ["A"]


def test_an_inherited_method_gets_the_subclasss_class_level_list() -> None:
    """Class level is that of the class that is called, method level that of the method."""

    class Base:
        @intercept(A)
        async def work(self) -> None: ...

    @intercept(B)
    class Service(Base): ...

    assert (chain(Service), chain(Base)) == (["B", "A"], ["A"])


def test_inherit_false_starts_afresh_at_its_level() -> None:
    """`inherit=False` on a class drops the bases' class-level lists, on a method the overridden method's list."""

    @intercept(A)
    class Base:
        @intercept(B)
        async def work(self) -> None: ...

    @intercept(C, inherit=False)
    class Fresh(Base): ...

    class FreshMethod(Base):
        @intercept(D, inherit=False)
        async def work(self) -> None: ...

    class Later(FreshMethod):
        @intercept(E)
        async def work(self) -> None: ...

    assert chain(Fresh) == ["C", "B"]
    assert chain(FreshMethod) == ["A", "D"]
    assert chain(Later) == ["A", "D", "E"]


def test_one_inherit_false_among_stacked_decorators_is_enough() -> None:
    """It speaks about what is inherited, not about the decorators beside it."""

    class Base:
        @intercept(A)
        async def work(self) -> None: ...

    class Upper(Base):
        @intercept(B, inherit=False)
        @intercept(C)
        async def work(self) -> None: ...

    class Lower(Base):
        @intercept(B)
        @intercept(C, inherit=False)
        async def work(self) -> None: ...

    assert chain(Upper) == chain(Lower) == ["B", "C"]


def test_all_bases_of_a_diamond_count_once_in_mro_order() -> None:
    """Several inheritance follows the MRO backwards."""

    @intercept(A)
    class Root:
        @intercept(E)
        async def work(self) -> None: ...

    @intercept(B)
    class Left(Root): ...

    @intercept(C)
    class Right(Root): ...

    @intercept(D)
    class Service(Left, Right): ...

    assert chain(Service) == ["A", "C", "B", "D", "E"]


def test_a_mixins_method_brings_its_list_along() -> None:
    """A method of a mixin keeps its list in every class that mixes it in."""

    class Mixin:
        @intercept(A)
        async def work(self) -> None: ...

    class One(Mixin): ...

    @intercept(B)
    class Two(Mixin): ...

    assert (chain(One), chain(Two)) == (["A"], ["B", "A"])


def test_static_and_class_methods_accumulate_like_instance_methods() -> None:
    """The kind of method makes no difference to the lists."""

    @intercept(A)
    class Base:
        @intercept(B)
        @staticmethod
        async def work() -> None: ...

    class Service(Base):
        @classmethod
        @intercept(C)
        async def work(cls) -> None: ...

    assert chain(Service) == ["A", "B", "C"]


def test_decorating_a_subclass_leaves_the_base_alone() -> None:
    """Records are the class's own, never the base's changed in place."""

    @intercept(A)
    class Base:
        async def work(self) -> None: ...

    class Service(Base): ...

    intercept(B)(Service)

    assert (chain(Base), chain(Service)) == (["A"], ["A", "B"])


@pytest.mark.parametrize("value", [5, None, MagicMock()], ids=["number", "none", "mock"])
def test_other_attributes_of_a_class_say_nothing(value: Any) -> None:
    """An attribute that is no method has no record, not even a mock, which has every attribute."""

    class Base:
        work: Any = value

    class Service(Base):
        @intercept(A)
        async def work(self) -> None: ...

    assert chain(Service) == ["A"]


async def test_a_mock_can_be_a_target() -> None:
    """A mock has every attribute, but no record: it is called through the globals alone."""
    mock = AsyncMock(**{"work.return_value": 5})
    registry = InterceptorRegistry()
    registry.add_global(A)

    assert names(registry, mock) == ["A"]
    assert await registry.invoke(mock, "work", 1) == 5
    mock.work.assert_awaited_once_with(1)


LATE: dict[str, tuple[Any, str]] = {
    "interceptors": (intercept(C), "ABCDEX"),
    "interceptors instead of inherited ones": (intercept(C, inherit=False), "ABCDE"),
    "a skip": (skip_interceptors(D), "ABEX"),
    "a skipped group": (skip_interceptors(group="e"), "ABDX"),
    "all skipped": (skip_interceptors(), "AB"),
    "annotations": (annotate(late=True), "ABDEX"),
}


@pytest.mark.parametrize("is_method", [True, False])
@pytest.mark.parametrize("is_outside", [True, False])
@pytest.mark.parametrize("kind", LATE)
def test_what_a_function_and_its_wrapper_got_later_adds_up(kind: str, is_outside: bool, is_method: bool) -> None:
    """`functools.wraps` copies what was recorded by then; whatever came later, on either of them, is not lost."""

    class Base:
        @intercept(recording("X", EVENTS))
        async def work(self) -> None: ...

    @intercept(A)
    async def function(self: Any) -> None: ...

    @functools.wraps(function)
    async def wrapper(self: Any) -> None: ...

    late, expected = LATE[kind]
    late(wrapper if is_outside else function)
    annotate(other=True)(intercept(B)(function if is_outside else wrapper))
    target = (type("Service", (Base,), {"work": wrapper}), "work") if is_method else (wrapper, None)
    registry = InterceptorRegistry()
    registry.add_global(D)
    registry.add_global(E, group="e")

    found = names(registry, *target)
    assert "".join(sorted(found)) == (expected if is_method else expected.replace("X", ""))
    if kind == "interceptors":  # those of the wrapper are further out
        assert found[-3:] == (["C", "B", "A"] if is_outside else ["B", "C", "A"])
    assert Target.of(*target).annotations.keys() == {"other", *(["late"] if kind == "annotations" else [])}


class Wrapping:
    """As a library's decorator: an object that has what `functools.update_wrapper` copies."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)


class Forwarding:
    """Stands for another object, in whatever it is asked for; it has no `__dict__` of its own."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Unwilling:
    """As pydantic's stand-ins for what is not there yet."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        raise ValueError(name)


def test_what_an_object_forwards_to_is_looked_at() -> None:
    async def layer(ctx: Any, next: Any) -> Any: ...

    @intercept(layer)
    async def function() -> None: ...

    found = [record for _, _, record in records_behind(Forwarding(Wrapping(function)))]
    assert [record.intercepts for record in found] == [((layer,),)]


def test_an_object_that_raises_whatever_it_is_asked_for_has_nothing_recorded() -> None:
    assert list(records_behind(Unwilling())) == list(functions_in(Unwilling())) == []
    assert metadata_of(Unwilling()).intercepts == ()
