"""Undocumented names of SQLAlchemy in events: the code of an error of PostgreSQL's."""

from importlib.metadata import version
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, InvalidRequestError, StatementError

from interceptors.errors import IncompatibleLibraryError
from interceptors.events.sql import is_lost_race
from interceptors.events.undocumented import sqlstate_of
from tests.unit.vanishing import hide


class OfServer(Exception):
    sqlstate = "40001"


def adapted() -> DBAPIError:
    """What SQLAlchemy raises for an error of asyncpg's."""
    return DBAPIError("SELECT", {}, AsyncAdapt_asyncpg_dbapi.OperationalError("lost", OfServer("lost")))


def test_the_code_of_an_error() -> None:
    """As the driver has it; MariaDB's and SQLite's have none, and nor has what came from no driver."""
    assert sqlstate_of(adapted()) == "40001"
    assert sqlstate_of(DBAPIError("SELECT", {}, OfServer())) == "40001"
    assert sqlstate_of(DBAPIError("SELECT", {}, Exception(1205))) is None
    for origin in (None, InvalidRequestError("x")):
        error: Any = StatementError("x", "SELECT", {}, origin)
        assert sqlstate_of(error) is None


def test_a_code_with_another_name_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost race would be taken for a database that is down."""
    assert is_lost_race(adapted())
    error = adapted()
    hide(monkeypatch, AsyncAdapt_asyncpg_dbapi.OperationalError, "sqlstate")
    with pytest.raises(IncompatibleLibraryError, match=f"sqlalchemy {version('sqlalchemy')} .*sqlstate"):
        is_lost_race(error)
