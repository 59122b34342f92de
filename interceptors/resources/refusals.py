"""Refusals: errors made into answers, as far as they are not the application's own to answer."""

import logging
from typing import Any

from fastapi import HTTPException
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.orm.exc import StaleDataError
from starlette.requests import Request
from starlette.responses import Response

from interceptors.events.undocumented import sqlstate_of
from interceptors.resources.bodies import InvalidBody
from interceptors.resources.errors import ApiError
from interceptors.resources.rendering import json_answer

__all__ = ["answer_to"]

_log = logging.getLogger("interceptors.resources")


def answer_to(error: Exception, request: Request) -> Response | None:
    """The answer that an error stands for; None if it is the application's to answer."""
    if isinstance(error, HTTPException) or _has_handler(error, request):
        return None
    if isinstance(error, ApiError):
        return json_answer({"error": error.message}, error.status, error.headers)
    if isinstance(error, InvalidBody):
        return json_answer({"errors": error.errors}, 400)
    refusal = _refused_by_database(error)
    if refusal is not None:
        return json_answer({"error": refusal[1]}, refusal[0])
    app_handlers = request.app.exception_handlers
    if Exception in app_handlers or 500 in app_handlers:
        return None
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return json_answer({"error": "Internal server error"}, 500)


def _has_handler(error: Exception, request: Request) -> bool:
    """Has the application an exception handler for an error of this kind (not for any whatsoever)?"""
    handlers = request.app.exception_handlers
    bases = type(error).__mro__
    return any(base in handlers for base in bases[: bases.index(Exception)])


_UNIQUE = 409, "A row with such a value exists already"
_FOREIGN = 409, "A row that this one refers to does not exist, or other rows still refer to this one"
_REFUSED = "The database refuses a value"
_MISSING = 400, "A value that is required is missing"
_CHANGED = "The row has been changed meanwhile"

_CONSTRAINTS: dict[Any, tuple[int, str]] = {
    "23505": _UNIQUE,
    "23503": _FOREIGN,
    1062: _UNIQUE,
    1586: _UNIQUE,
    1216: _FOREIGN,
    1217: _FOREIGN,
    1451: _FOREIGN,
    1452: _FOREIGN,
    "SQLITE_CONSTRAINT_UNIQUE": _UNIQUE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": _UNIQUE,
    "SQLITE_CONSTRAINT_ROWID": _UNIQUE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": _FOREIGN,
    "23502": _MISSING,
    1048: _MISSING,
    1364: _MISSING,
    "SQLITE_CONSTRAINT_NOTNULL": _MISSING,
}
"""SQLSTATEs of PostgreSQL, error numbers of MySQL and MariaDB, names of SQLite."""


def _refused_by_database(error: Exception) -> tuple[int, str] | None:
    """The status and the text of an error that the client's data have caused."""
    if isinstance(error, StaleDataError):
        return 409, _CHANGED
    if isinstance(error, OverflowError) and "SQLite" in str(error):  # the driver's own, which SQLAlchemy lets through
        return 400, _REFUSED
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        if error.orig is None or isinstance(error.orig, SQLAlchemyError):
            return None
        _log.warning("A value cannot be bound", exc_info=error)  # by a type of the application's own, perhaps
        return 400, _REFUSED
    if not isinstance(error, DBAPIError):
        return None
    sqlstate = sqlstate_of(error)
    if isinstance(error, IntegrityError):
        first = error.orig.args[0] if error.orig is not None and error.orig.args else None
        for code in (sqlstate, getattr(error.orig, "sqlite_errorname", None), first):
            if code in _CONSTRAINTS:
                return _CONSTRAINTS[code]
        return 400, _REFUSED  # CHECK
    # asyncpg reports some values that it cannot even send as an error of no particular class.
    if isinstance(error, DataError) or str(sqlstate).startswith("22"):
        return 400, _REFUSED
    return None
