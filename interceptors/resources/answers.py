"""Answers: rows made into what clients may see, and errors made into answers."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from starlette.requests import Request
from starlette.responses import Response

from interceptors.resources.bodies import InvalidBody
from interceptors.resources.conditions import With
from interceptors.resources.context import ResourceContext
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError
from interceptors.resources.names import Handler

__all__ = ["answer_to", "concealed", "has_handler", "json_answer", "render"]

_log = logging.getLogger("interceptors.resources")


def json_answer(content: Any, status: int) -> Response:
    """A JSON response of whatever pydantic can write."""
    body = to_json(content, bytes_mode="base64", inf_nan_mode="null")
    return Response(body, status, media_type="application/json")


# -- rows --------------------------------------------------------------------------------------------------------------


def render(ctx: ResourceContext, result: Any) -> Response:
    """The answer to a request: what left the chain, serialized, without what is hidden or was not asked for."""
    operation = ctx._operation
    if operation.handler is Handler.DELETE:
        return Response(status_code=204)
    description, conditions = operation.description, ctx.conditions
    fields, with_ = ([], []) if conditions is None else (conditions.fields, conditions.with_)

    def one(row: Any) -> Any:
        return serialized(row, description, ctx.request, fields, with_)

    if isinstance(result, dict) and operation.handler is Handler.PAGINATE and isinstance(result.get("data"), list):
        content: Any = {**result, "data": [one(row) for row in result["data"]]}
    elif isinstance(result, list):
        content = [one(row) for row in result]
    else:
        content = one(result)
    return json_answer(content, 201 if operation.handler is Handler.INSERT else 200)


def serialized(
    row: Any, description: Description, request: Request, fields: Collection[str], with_: Sequence[With]
) -> Any:
    """A row as a client sees it: serializer, then `hidden` removed, then columns that `fields` does not name."""
    if isinstance(row, BaseModel):
        row = row.model_dump(by_alias=True)
    if not isinstance(row, dict):
        return row
    item = _with_relations(
        row, description, with_, lambda other, target, each: serialized(other, target, request, each.fields, each.with_)
    )
    if description.serializer is not None:
        item = description.serializer(item, request)
    return {name: value for name, value in item.items() if not _left_out(name, description, fields)}


def concealed(row: Any, description: Description, with_: Sequence[With]) -> Any:
    """A row without hidden columns, for an event."""
    if not isinstance(row, dict):
        return row
    item = _with_relations(row, description, with_, lambda other, target, each: concealed(other, target, each.with_))
    return {name: value for name, value in item.items() if name not in description.hidden}


def _left_out(name: str, description: Description, fields: Collection[str]) -> bool:
    return name in description.hidden or (bool(fields) and name in description.columns and name not in fields)


def _with_relations(
    row: dict[str, Any], description: Description, with_: Sequence[With], change: Any
) -> dict[str, Any]:
    """A copy of a row whose related rows have been changed, too."""
    item = dict(row)
    for each in with_:
        target = description.relations[each.name].target
        related = item.get(each.name)
        if isinstance(related, list):
            item[each.name] = [change(other, target, each) for other in related]
        elif related is not None:
            item[each.name] = change(related, target, each)
    return item


# -- errors ------------------------------------------------------------------------------------------------------------


def answer_to(error: Exception, request: Request) -> Response | None:
    """The answer that an error stands for; None if it is the application's to answer."""
    if isinstance(error, HTTPException) or has_handler(error, request):
        return None
    if isinstance(error, ApiError):
        return json_answer({"error": error.message}, error.status)
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


def has_handler(error: Exception, request: Request) -> bool:
    """Has the application an exception handler for an error of this kind (not for any whatsoever)?"""
    handlers = request.app.exception_handlers
    bases = type(error).__mro__
    return any(base in handlers for base in bases[: bases.index(Exception)])


_UNIQUE = "A row with such a value exists already"
_FOREIGN = "A row that this one refers to does not exist, or other rows still refer to this one"
_REFUSED = "The database refuses a value"
_CHANGED = "The row has been changed meanwhile"

_CONSTRAINTS: dict[Any, str] = {
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
}
"""SQLSTATEs of PostgreSQL, error numbers of MySQL and MariaDB, names of SQLite."""


def _refused_by_database(error: Exception) -> tuple[int, str] | None:
    """The status and the text of an error that the client's data have caused."""
    if isinstance(error, StaleDataError):
        return 409, _CHANGED
    if not isinstance(error, DBAPIError):
        return None
    sqlstate = getattr(error.orig, "sqlstate", None)
    if isinstance(error, IntegrityError):
        first = error.orig.args[0] if error.orig is not None and error.orig.args else None
        for code in (sqlstate, getattr(error.orig, "sqlite_errorname", None), first):
            if code in _CONSTRAINTS:
                return 409, _CONSTRAINTS[code]
        return 400, _REFUSED  # NOT NULL, CHECK
    # asyncpg reports some values that it cannot even send as an error of no particular class.
    if isinstance(error, DataError) or str(sqlstate).startswith("22"):
        return 400, _REFUSED
    return None
