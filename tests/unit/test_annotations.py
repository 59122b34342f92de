"""What an annotation means: aliases of every kind are looked through to the end."""

import sys
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Annotated, Any, ForwardRef, Optional, TypeVarTuple, Union, Unpack

import pytest
from dependency_injector.wiring import Provide
from starlette.requests import Request
from typing_extensions import TypeAliasType, TypeVar

from interceptors import InterceptorRegistry, InvocationContext
from tests.type_statements import type_statements
from tests.unit import annotated_elsewhere
from tests.unit.helpers import call

ALIASES = type_statements(
    """
type Key = Annotated[Any, Provide["key"]]
type Again = Key
type Deep = Again
type Of[T] = Annotated[T, Provide["key"]]
type OfOf[T] = Of[T]
type Two[A, B] = Annotated[dict[A, B], "a note", Provide["key"]]
type Maybe[T] = T | None
type Noted[T] = Annotated[T, "a note"]
type Either = int | Again
type Session = Annotated[AsyncSession, Provide["key"]]
type SessionAgain = Session
type MaybeSession = AsyncSession | None | Session
type OfSession = Annotated[list[AsyncSession], Provide["key"]]
type Asked = Request
type Context = Noted[InvocationContext]
type Plain[T] = list[T]
type Same[T] = T
type Endless = Endless | Others
type Others = Endless | None
""",
    Annotated=Annotated,
    Any=Any,
    Provide=Provide,
    Request=Request,
    InvocationContext=InvocationContext,
)
globals().update(ALIASES)
Itself = Optional["Itself"]


def target_with(annotation: Any) -> Callable[..., Any]:
    """A function with one parameter, which has a default for when it is not injected."""

    async def target(value="an argument") -> Any:
        return value

    target.__annotations__ = {"value": annotation}
    return target


@pytest.mark.parametrize(
    "text",
    [
        "Key",
        "Again",
        "Deep",
        "Of[str]",
        "OfOf[list[str]]",
        "Two[str, int]",
        "Maybe[Key]",
        "Maybe[Maybe[Annotated[Any, Provide['key']]]]",
        "Noted[Of[int]]",
        "Either | None",
        "Annotated[Deep, 'a note']",
        "Annotated[Of[str], 'a note'] | None",
        "Union[int, Of[str]]",
        "Same[Deep]",
        "Session",
        "SessionAgain",
        "MaybeSession",
        "OfSession",
        "Optional['Deep']",
        "Optional[ForwardRef('Of[str]')]",
        "Maybe['Deep']",
    ],
)
async def test_a_marker_is_found_behind_any_alias(text: str) -> None:
    """Of an alias, in an alias's argument, in a union, in text, over a name that exists for type checkers only."""
    for annotation in (eval(text), text, ForwardRef(text)):
        assert await call(target_with(annotation), bind={"key": "injected"}) == "injected"


@pytest.mark.parametrize(
    "text", ["Asked", "Maybe[Asked]", "Maybe[Noted[Request]]", "Annotated[Asked, 'a note'] | None"]
)
async def test_the_request_is_found_behind_any_alias(text: str) -> None:
    """It is recognised by its type."""
    request = Request({"type": "http", "headers": []})

    assert await call(target_with(eval(text)), request=request) is request


@pytest.mark.parametrize("text", ["Context", "Maybe[Context]", "Maybe['InvocationContext']", "Optional[Context]"])
async def test_so_is_the_context(text: str) -> None:
    """Also where the alias's argument is text."""
    assert isinstance(await call(target_with(eval(text))), InvocationContext)


@pytest.mark.parametrize(
    "text", ["Plain[str]", "Plain[Key]", "Maybe[int]", "Noted[str]", "list[Deep]", "Optional['Plain']"]
)
async def test_an_alias_without_a_marker_is_an_argument(text: str) -> None:
    """So is one that has it inside of another type, where nothing could be injected."""
    assert await call(target_with(eval(text))) == "an argument"


@pytest.mark.parametrize("text", ["Endless", "Itself", "Maybe[Endless]"])
async def test_an_alias_of_itself_is_an_argument(text: str) -> None:
    """It names nothing to inject, and reading it ends."""
    assert await call(target_with(eval(text))) == "an argument"


async def test_text_in_an_alias_is_read_where_the_alias_is_written() -> None:
    """The module of the alias has the name, that of the function has not."""
    assert await call(target_with(annotated_elsewhere.Alias), bind={"key": "injected"}) == "injected"


async def test_text_is_read_before_a_bare_name_is_taken_for_ours() -> None:
    """A class that is called Request where the function is written is no request."""
    assert await call(annotated_elsewhere.takes_its_own_request, 5) == 5


async def test_variables_of_an_alias_may_have_defaults() -> None:
    """Used bare or with fewer arguments, the alias stands for its value with the defaults."""
    A, B = TypeVar("A"), TypeVar("B", default=Annotated[str, Provide["key"]])
    Pair = TypeAliasType("Pair", Union[A, B], type_params=(A, B))

    assert await call(target_with(Pair), bind={"key": "injected"}) == "injected"
    assert await call(target_with(Pair[int, str])) == "an argument"


async def test_what_is_no_plain_variable_of_an_alias_stays_open() -> None:
    """`*Ts` and what comes after it; what comes before it is substituted."""
    A, Ts = TypeVar("A"), TypeVarTuple("Ts")
    Many = TypeAliasType("Many", Annotated[tuple[A, Unpack[Ts]], Provide["key"]] | A, type_params=(A, Ts))

    for annotation in (Many[int, str, float], Many[int], Many):
        assert await call(target_with(annotation), bind={"key": "injected"}) == "injected"


async def test_an_alias_over_a_name_for_type_checkers_is_left_as_it_is() -> None:
    """Python remembers the value of a `type` statement, and others than we ask for it when the name exists."""
    if sys.version_info < (3, 12):  # the value is not lazy there
        return
    names = type_statements("type Late = Annotated[Later, Provide['key']]", Annotated=Annotated, Provide=Provide)

    assert await call(target_with(names["Late"]), bind={"key": "injected"}) == "injected"
    with pytest.raises(NameError):
        _ = names["Late"].__value__
    names["Later"] = int
    assert names["Late"].__value__.__origin__ is int


async def test_an_alias_that_nothing_can_be_known_of_is_an_argument() -> None:
    """Whatever happens when it is asked for its value; and its own name says nothing."""

    class TypeAliasType:
        __slots__ = ("compute",)
        __name__ = "Request"

        @property
        def __value__(self) -> Any:
            raise NameError

    assert await call(target_with(TypeAliasType())) == "an argument"


async def test_a_lazy_alias_is_computed_with_the_names_that_are_missing() -> None:
    """As a `type` statement keeps a function that computes its value; one that fails for another reason tells nothing."""

    class TypeAliasType:  # so that it runs before Python 3.12, too
        __slots__ = ("compute",)

        def __init__(self, compute: Callable[[], Any]) -> None:
            self.compute = compute

        @property
        def __value__(self) -> Any:
            return self.compute()

    known = TypeAliasType(lambda: Annotated[OnlyForCheckers, Provide["key"]])  # noqa: F821
    broken = TypeAliasType(lambda: Annotated[OnlyForCheckers, 1 / 0])  # noqa: F821

    assert await call(target_with(known), bind={"key": "injected"}) == "injected"
    assert await call(target_with(broken)) == "an argument"


async def test_aliases_are_looked_through_in_a_constructor() -> None:
    """Of an interceptor: in a written one, in a dataclass's fields, in its `InitVar`s."""

    class Written:
        def __init__(self, value: Maybe[Deep]) -> None:  # noqa: F821
            self.value = value

    @dataclass
    class Fields:
        value: OfOf[str]  # noqa: F821

    @dataclass
    class InitVars:
        given: InitVar[Noted[Deep]]  # noqa: F821

        def __post_init__(self, given: Any) -> None:
            self.value = given

    async def intercept(self: Any, ctx: Any, next: Any) -> Any:
        return self.value

    async def target() -> None: ...

    for cls in (Written, Fields, InitVars):
        cls.intercept = intercept
        registry = InterceptorRegistry()
        registry.bind("layer", cls)

        async def bind(ctx: Any, next: Any) -> Any:
            ctx.bind("key", "injected")
            return await next()

        registry.add_global(bind)
        registry.add_global("layer")
        assert await call(target, registry=registry) == "injected"
