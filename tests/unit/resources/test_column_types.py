"""Which values a column takes from a client."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from interceptors.resources.column_types import is_comparable, is_sortable, is_text, value_type
from tests.unit.resources.query_support import Colour


class Shouted(sa.TypeDecorator[str]):
    impl = sa.String
    cache_ok = True


class Moment(sa.TypeDecorator[datetime]):
    impl = sa.DateTime(timezone=True)
    cache_ok = True


class Painted(sa.TypeDecorator[Colour]):
    impl = sa.Enum(Colour)
    cache_ok = True


class Twice(sa.TypeDecorator[datetime]):
    impl = Moment
    cache_ok = True


class Written(sa.TypeDecorator[int]):
    """A number in a text column."""

    impl = sa.String
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        return int


class Listed(sa.TypeDecorator[Any]):
    impl = sa.JSON
    cache_ok = True


class Unheard(sa.types.UserDefinedType[Any]):
    cache_ok = True


class Silent(Unheard):
    @property
    def python_type(self) -> Any:
        raise NotImplementedError


def parsed(type_: Any, value: Any, **options: Any) -> Any:
    return TypeAdapter(value_type(type_, **options)).validate_python(value)


@pytest.mark.parametrize(
    ("type_", "sent", "value"),
    [
        (sa.String(3), "longer", "longer"),
        (sa.DateTime(), "2026-01-01T01:00:00+01:00", datetime(2026, 1, 1)),
        (sa.DateTime(), "2026-01-01T01:00:00", datetime(2026, 1, 1, 1)),
        (sa.DateTime(timezone=True), "2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        (sa.Numeric(80, 2), "1" * 70, Decimal("1" * 70)),
        (sa.Interval(), "P1D", timedelta(days=1)),
        (sa.Float(), 1e39, 1e39),
        (sa.Float(53), 1e39, 1e39),
        (sa.REAL(), 1e38, 1e38),
        (sa.Uuid(as_uuid=False), "0" * 32, "00000000-0000-0000-0000-000000000000"),
        (sa.Enum(Colour), "red", Colour.RED),
        (sa.Enum("a", "b"), "b", "b"),
        (sa.JSON(), {"a": [1]}, {"a": [1]}),
        (Unheard(), "x", "x"),
        (Silent(), "x", "x"),
        (Shouted(), "x", "x"),
        (Moment(), "2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        (Twice(), "2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        (Painted(), "red", Colour.RED),
        (Written(), 7, 7),
        (Listed(), [1], [1]),
        (sa.Time(), "10:00:00", time(10)),
    ],
    ids=repr,
)
def test_what_is_taken_is_what_a_driver_takes(type_: Any, sent: Any, value: Any) -> None:
    """A time with an offset is made UTC; unknown types take anything; a TypeDecorator what its own or the inner type does."""
    assert parsed(type_, sent) == value


@pytest.mark.parametrize(
    ("type_", "sent"),
    [
        (sa.String(), "\0"),
        (sa.String(), "a\udfff"),
        (sa.Numeric(10, 2), "1" * 66),
        (sa.Float(), "inf"),
        (sa.REAL(), 1e39),
        (sa.Float(24), -1e39),
        (sa.Integer(), -(2**63) - 1),
        (sa.DateTime(timezone=True), "2026-01-01T01:00:00"),
        (sa.DateTime(), "0001-01-01T00:00:00+01:00"),
        (sa.Time(), "10:00:00+01:00"),
        (sa.Interval(), "-P2000000D"),
        (Shouted(), 7),
        (Moment(), "2026-01-01T01:00:00"),
        (Painted(), "RED"),
        (Written(), "x"),
        (sa.Uuid(as_uuid=False), "0"),
        (sa.Enum(Colour), "RED"),
        (sa.Enum("a", "b"), "c"),
    ],
    ids=repr,
)
def test_what_a_driver_chokes_on_is_refused(type_: Any, sent: Any) -> None:
    """By pydantic's own error, which nothing else escapes."""
    with pytest.raises(ValidationError):
        parsed(type_, sent)


def test_text_may_be_limited_to_the_column() -> None:
    """For bodies; a comparison with longer text is merely false."""
    assert parsed(sa.String(3), "abc", limit_text=True) == "abc"
    assert parsed(sa.String(), "abcd", limit_text=True) == "abcd"
    with pytest.raises(ValidationError):
        parsed(sa.String(3), "abcd", limit_text=True)
    with pytest.raises(ValidationError):
        parsed(sa.String(3), "a\0", limit_text=True)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (sa.Text(), (True, True, True)),
        (sa.Enum("a"), (False, True, True)),
        (sa.Integer(), (False, True, True)),
        (sa.JSON(), (False, False, False)),
        (sa.ARRAY(sa.Integer), (False, False, False)),
        (Unheard(), (False, False, False)),
        (Shouted(), (True, True, True)),
        (Painted(), (False, True, True)),
        (Written(), (False, True, True)),
        (Twice(), (False, True, True)),
        (Listed(), (False, False, False)),
        (sa.types.NullType(), (False, False, False)),
    ],
    ids=repr,
)
def test_what_can_be_done_with_a_type(type_: Any, expected: Any) -> None:
    """A pattern, a comparison, an order: what every database can."""
    assert (is_text(type_), is_comparable(type_), is_sortable(type_)) == expected


def test_bytes_are_base64_in_both_directions() -> None:
    """What an answer holds a body takes, with + and /; what is no base64 is refused, not skipped."""
    adapter = TypeAdapter(value_type(sa.LargeBinary()))
    assert adapter.dump_json(b"\xff\xfe\x00") == b'"//4A"'
    assert adapter.validate_json('"//4A"') == b"\xff\xfe\x00"
    for text in ("__4A", "\u20ac", "a", "//4A\n\n!"):
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
