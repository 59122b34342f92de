"""What values a column takes: the type that path parameters, query strings and request bodies are parsed by."""

import re
from base64 import b64decode, b64encode
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import sqlalchemy.types as sql
from pydantic import AfterValidator, AwareDatetime, EncodedBytes, EncoderProtocol, Field, StringConstraints
from pydantic_core import PydanticCustomError

from interceptors.resources.undocumented import decorated_type, enum_values
from interceptors.resources.vocabulary import ColumnType

__all__ = ["is_comparable", "is_sortable", "is_text", "value_type"]


def value_type(type_: ColumnType, *, limit_text: bool = False) -> Any:
    """A type for pydantic, such that no value which it lets through is one that a driver chokes on.

    `limit_text`: text may be no longer than the column.
    """
    type_ = _said(type_)
    if isinstance(type_, sql.Enum):
        values = enum_values(type_)
        return Literal[values] if isinstance(values, tuple) else values
    python = _python_type(type_)
    if python is str:
        return _text(type_, limit_text=limit_text)
    if python is datetime:
        # A driver would drop the offset, or refuse it; UTC is what a column without time zone is meant to hold.
        aware = isinstance(type_, sql.DateTime) and type_.timezone
        return Annotated[AwareDatetime, AfterValidator(_utc)] if aware else Annotated[datetime, AfterValidator(_naive)]
    if python is Decimal:
        # 65 digits: what MariaDB's decimals have. "1e999999999" would be written out digit by digit.
        digits = max(65, getattr(type_, "precision", None) or 0)
        return Annotated[Decimal, Field(allow_inf_nan=False, max_digits=digits)]
    if isinstance(type_, sql.Float) and (isinstance(type_, sql.REAL) or (type_.precision or 53) <= 24):
        return Annotated[float, Field(allow_inf_nan=False, ge=-_LARGEST_SINGLE, le=_LARGEST_SINGLE)]
    return _TYPES.get(python, python)


def is_text(type_: ColumnType) -> bool:
    """Can it be compared with a pattern?"""
    return isinstance(_said(type_), sql.String) and not isinstance(_said(type_), sql.Enum)


def is_comparable(type_: ColumnType) -> bool:
    """Can what a client sends be compared with it, in every database? JSON, arrays and unknown types cannot."""
    type_ = _said(type_)
    return isinstance(type_, sql.Enum) or _python_type(type_) not in (Any, list, dict)


def is_sortable(type_: ColumnType) -> bool:
    """Has it an order in every database? Asks the database's type, whatever a TypeDecorator makes of its values."""
    while isinstance(type_, sql.TypeDecorator):
        type_ = decorated_type(type_)
    return is_comparable(type_)


def _said(type_: ColumnType) -> ColumnType:
    """The type that says what values are: a TypeDecorator that does not is taken for what it decorates."""
    while isinstance(type_, sql.TypeDecorator) and _python_type(type_) is Any:
        type_ = decorated_type(type_)
    return type_


def _text(type_: ColumnType, *, limit_text: bool) -> Any:
    if isinstance(type_, sql.Uuid):
        return Annotated[str, AfterValidator(_uuid_text)]
    length = getattr(type_, "length", None)
    if limit_text and isinstance(length, int):
        return Annotated[str, StringConstraints(max_length=length), AfterValidator(_storable)]
    return Annotated[str, AfterValidator(_storable)]


def _storable(value: str) -> str:
    """JSON can spell both; PostgreSQL has no NUL in text, and half a surrogate pair is in no UTF-8."""
    if _UNSTORABLE.search(value):
        raise ValueError("text may have neither NUL nor half of a surrogate pair in it")
    return value


def _uuid_text(value: str) -> str:
    return str(UUID(value))


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def _naive(value: datetime) -> datetime:
    return value if value.tzinfo is None else _utc(value).replace(tzinfo=None)


def _without_offset(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("a time of day has no offset")
    return value


def _python_type(type_: ColumnType) -> Any:
    if isinstance(type_, sql.JSON):  # any JSON value, though SQLAlchemy says dict
        return Any
    try:
        found = type_.python_type
    except NotImplementedError:
        return Any
    return found if isinstance(found, type) and (found in _PLAIN or issubclass(found, Enum)) else Any


_LARGEST_SINGLE = 3.4028234663852886e38
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class _Base64(EncoderProtocol):
    """Bytes in JSON. Unlike pydantic's own, it skips no character that is not of the alphabet."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            return b64decode(data, validate=True)
        except ValueError:
            raise PydanticCustomError("base64_decode", "Input should be valid base64") from None

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return b64encode(value)

    @classmethod
    def get_json_format(cls) -> Literal["base64"]:
        return "base64"


_PLAIN = (str, int, float, bool, bytes, Decimal, datetime, date, time, timedelta, UUID, list, dict)
_TYPES: dict[Any, Any] = {
    # 64 bits: what the widest integer column of a database holds.
    int: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)],
    float: Annotated[float, Field(allow_inf_nan=False)],
    bytes: Annotated[bytes, EncodedBytes(encoder=_Base64)],
    time: Annotated[time, AfterValidator(_without_offset)],
    # Where a database has no intervals SQLAlchemy stores 1970 plus the interval, which has to be a date.
    timedelta: Annotated[timedelta, Field(ge=date.min - date(1970, 1, 1), le=date.max - date(1970, 1, 1))],
}
