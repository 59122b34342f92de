"""What the outbox's statements need and each database says in its own way."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Double, ScalarSelect, Text, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from interceptors.events.undocumented import sqlstate_of

__all__ = ["LostRaceError", "as_stored", "clock", "is_lost_race", "now", "padded"]

T = TypeVar("T")


class now(FunctionElement[float]):  # noqa: N801 (a function in SQL)
    """Seconds since 1970 when the statement runs, by the database's clock: several machines share a table."""

    type = Double[float]()
    inherit_cache = True


def clock() -> ScalarSelect[float]:
    """`now()` to compare with: asked once for a statement, so that an index is used, instead of for each row."""
    return select(now()).scalar_subquery()


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: object, **options: object) -> str:
    # `now()` is the transaction's start, which may be long ago.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(now, "mysql", "mariadb")
def _now_mysql(element: now, compiler: object, **options: object) -> str:
    # UNIX_TIMESTAMP(NOW(6)) is ambiguous in the hour that comes twice in autumn.
    return "(UNIX_TIMESTAMP() + MICROSECOND(NOW(6)) / 1e6)"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: object, **options: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


class as_stored(FunctionElement[str]):  # noqa: N801 (a function in SQL)
    """A JSON column as text, or on SQLite as bytes: one that cannot be read must not spoil the rows beside it."""

    type = Text()
    inherit_cache = True


@compiles(as_stored)
def _as_text(element: as_stored, compiler: SQLCompiler, **options: object) -> str:
    return f"CAST({compiler.process(element.clauses)} AS TEXT)"


@compiles(as_stored, "mysql", "mariadb")
def _as_char(element: as_stored, compiler: SQLCompiler, **options: object) -> str:
    return f"CAST({compiler.process(element.clauses)} AS CHAR)"


@compiles(as_stored, "sqlite")
def _as_bytes(element: as_stored, compiler: SQLCompiler, **options: object) -> str:
    return f"CAST({compiler.process(element.clauses)} AS BLOB)"


def padded(values: Sequence[T]) -> list[T]:
    """The values for an IN, the last one repeated up to a power of two: a database keeps the plans of few statements."""
    size = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (size - len(values))]


class LostRaceError(Exception):
    """Somebody else was quicker; look again later."""


_LOST_RACES = {"40001", "40P01", "55P03", 1020, 1205, 1213}
"""Serialization failure, deadlock, lock not available: PostgreSQL's names, then MariaDB's and MySQL's numbers."""


def is_lost_race(error: BaseException) -> bool:
    """Is it an error of two transactions that met, and not of the database?"""
    if not isinstance(error, DBAPIError):
        return isinstance(error, LostRaceError)
    origin = error.orig
    codes = {sqlstate_of(error), *getattr(origin, "args", ())[:1]}
    return bool(codes & _LOST_RACES) or "database is locked" in str(origin)
