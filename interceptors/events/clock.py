"""The database's clock: several machines share a table, and their own clocks differ."""

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["now"]


class now(FunctionElement[float]):  # noqa: N801 (a function in SQL)
    """Seconds since 1970 when the statement runs, with fractions."""

    type = Double[float]()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgresql(element: object, compiler: object, **options: object) -> str:
    # `now()` is the transaction's start, which may be long ago.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(now, "mysql", "mariadb")
def _mysql(element: object, compiler: object, **options: object) -> str:
    # UNIX_TIMESTAMP(NOW(6)) is ambiguous in the hour that comes twice in autumn.
    return "(UNIX_TIMESTAMP() + MICROSECOND(NOW(6)) / 1e6)"


@compiles(now, "sqlite")
def _sqlite(element: object, compiler: object, **options: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
