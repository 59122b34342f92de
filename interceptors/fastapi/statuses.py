"""Answers for errors that carry their own status; see `interceptors.status`."""

from typing import Any

from fastapi import HTTPException
from fastapi.encoders import jsonable_encoder

from interceptors.status import status_of

__all__ = ["raise_status"]


def raise_status(error: Exception, scope: Any) -> None:
    """Raise the HTTPException that an error stands for, unless the application has a handler for the error itself."""
    found = status_of(error)
    if found is None:
        return
    handlers, _ = scope.get("starlette.exception_handlers", ({}, {}))
    bases = type(error).__mro__
    if not any(base in handlers for base in bases[: bases.index(Exception)]):
        status, detail = found
        raise HTTPException(status, jsonable_encoder(detail)) from error
