"""Arguments that hooks assigned, validated as FastAPI would have: by pydantic, lax."""

from datetime import date
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Body, Depends, Query
from pydantic import BaseModel, Field, field_validator

from interceptors.arguments import Arguments, ArgumentSpec
from interceptors.errors import InvalidArgumentError
from interceptors.remoting.validation import ArgumentValidator
from interceptors.signatures import read_function

if TYPE_CHECKING:
    from decimal import Decimal as Elsewhere


class Item(BaseModel):
    """A model of the application's."""

    name: Annotated[str, Field(max_length=3)]
    price: int = 1

    @field_validator("price")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value < 0:
            raise ValueError("has to be positive")
        return value


class Session:
    """Something that pydantic has no schema for."""


def validated(function: Any, **values: Any) -> dict[str, Any]:
    """The values of a function's arguments after all of these were assigned."""
    parameters = read_function(function).visible
    args = Arguments(ArgumentSpec(function.__name__, parameters), dict(values))
    ArgumentValidator({p.name: p for p in parameters}).validate(args, values)
    return dict(args.items())


def detail(function: Any, **values: Any) -> list[dict[str, Any]]:
    """The detail of the error."""
    with pytest.raises(InvalidArgumentError) as caught:
        validated(function, **values)
    return caught.value.detail


def number(n: int) -> None: ...
def text(q: Annotated[str, Query(max_length=3)]) -> None: ...
def text_by_default(q: str = Query(default="", max_length=3)) -> None: ...
def day(on: date) -> None: ...
def body(item: Item) -> None: ...
def items(wanted: Annotated[list[Item], Body()]) -> None: ...
def anything(value) -> None: ...  # type: ignore[no-untyped-def]
def session(session: Session, sessions: list[Session], either: "Session | None" = None) -> None: ...
def dependency(item: Annotated[Item, Depends(body)], other: Item = Depends(body)) -> None: ...
def unknown(a: "Elsewhere", b: "list[Elsewhere]", c: list["Elsewhere"]) -> None: ...
def several(*numbers: int, **options: int) -> None: ...
def untyped_rest(*values, **options) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "given", "taken"),
    [
        (number, {"n": "5"}, {"n": 5}),
        (number, {"n": 5.0}, {"n": 5}),
        (text, {"q": "abc"}, {"q": "abc"}),
        (text_by_default, {"q": "abc"}, {"q": "abc"}),
        (day, {"on": "2024-02-29"}, {"on": date(2024, 2, 29)}),
        (body, {"item": {"name": "abc"}}, {"item": Item(name="abc")}),
        (items, {"wanted": ({"name": "a"},)}, {"wanted": [Item(name="a")]}),
        (anything, {"value": "5"}, {"value": "5"}),
        (
            dependency,
            {"item": {"name": "a"}, "other": {"name": "b"}},
            {"item": Item(name="a"), "other": Item(name="b")},
        ),
        (several, {"numbers": ("1", 2), "x": "3"}, {"numbers": (1, 2), "x": 3}),
        (untyped_rest, {"values": ("1",), "x": "3"}, {"values": ("1",), "x": "3"}),
    ],
)
def test_a_value_becomes_what_is_declared(function: Any, given: dict[str, Any], taken: dict[str, Any]) -> None:
    """By the annotation, and by what stands beside it or in the default."""
    assert validated(function, **given) == taken


def test_an_object_of_a_model_is_taken_as_it_is() -> None:
    """The very object; what was changed in it is not validated again."""
    item = Item(name="abc")
    item.name = "far too long"
    assert validated(body, item=item)["item"] is item


def test_what_pydantic_has_no_schema_for_is_taken_as_it_is() -> None:
    """A session of a database, say; also inside something else."""
    given = {"session": object(), "sessions": [1], "either": 5}
    assert validated(session, **given) == given


def test_an_annotation_that_cannot_be_evaluated_is_no_schema() -> None:
    """A name that only a type checker knows."""
    given = {"a": object(), "b": 1, "c": "x"}
    assert validated(unknown, **given) == given


@pytest.mark.parametrize(
    ("function", "given", "errors"),
    [
        (
            number,
            {"n": "x"},
            [
                {
                    "type": "int_parsing",
                    "loc": ["args", "n"],
                    "msg": "Input should be a valid integer, unable to parse string as an integer",
                    "input": "x",
                }
            ],
        ),
        (
            text,
            {"q": "abcd"},
            [
                {
                    "type": "string_too_long",
                    "loc": ["args", "q"],
                    "msg": "String should have at most 3 characters",
                    "input": "abcd",
                }
            ],
        ),
        (
            items,
            {"wanted": [{"name": "a"}, {"name": "abcd", "price": -1}]},
            [
                {
                    "type": "string_too_long",
                    "loc": ["args", "wanted", 1, "name"],
                    "msg": "String should have at most 3 characters",
                    "input": "abcd",
                },
                {
                    "type": "value_error",
                    "loc": ["args", "wanted", 1, "price"],
                    "msg": "Value error, has to be positive",
                    "input": -1,
                },
            ],
        ),
    ],
)
def test_what_does_not_fit_is_an_error_like_fastapis(
    function: Any, given: dict[str, Any], errors: list[dict[str, Any]]
) -> None:
    """Type, place from "args" on, message and input; nothing else."""
    assert detail(function, **given) == errors


@pytest.mark.parametrize("function", [text_by_default, text])
def test_what_stands_in_the_default_counts_too(function: Any) -> None:
    """`q: str = Query(max_length=3)` as `q: Annotated[str, Query(max_length=3)]`."""
    assert [error["type"] for error in detail(function, q="abcd")] == ["string_too_long"]


def test_the_rest_of_the_arguments_is_validated_one_by_one() -> None:
    """What `*numbers` and `**options` take."""
    assert [error["loc"] for error in detail(several, numbers=(1, "x"))] == [["args", "numbers", 1]]
    assert [error["loc"] for error in detail(several, x="y")] == [["args", "x"]]


def three(a: int, b: int, c: int) -> None: ...


def test_all_errors_come_at_once() -> None:
    """In the order in which the arguments were assigned."""
    with pytest.raises(InvalidArgumentError) as caught:
        validated(three, c="x", a="y", b="5")
    error = caught.value
    assert [e["loc"] for e in error.detail] == [["args", "c"], ["args", "a"]]
    assert isinstance(error, ValueError)
    assert error.status_code == 400
    problem = "Input should be a valid integer, unable to parse string as an integer"
    assert str(error) == f"args.c: {problem}; args.a: {problem}"


def test_only_what_was_assigned_is_validated() -> None:
    """FastAPI has validated the others."""
    parameters = dict(signature(three).parameters)
    args = Arguments(ArgumentSpec("three", list(parameters.values())), {"a": "1", "b": "2", "c": "3"})
    ArgumentValidator(parameters).validate(args, ["b"])
    assert dict(args.items()) == {"a": "1", "b": 2, "c": "3"}


def test_a_schema_is_built_once() -> None:
    """When it is first needed."""
    built = []

    class Counting:
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            built.append(source)
            return handler(int)

    parameter = Parameter("n", Parameter.POSITIONAL_OR_KEYWORD, annotation=Counting)
    validator = ArgumentValidator({"n": parameter})
    assert built == []
    for value in ("1", "2"):
        args = Arguments(ArgumentSpec("f", [parameter]), {"n": value})
        validator.validate(args, ["n"])
        assert args["n"] == int(value)
    assert built == [Counting]
