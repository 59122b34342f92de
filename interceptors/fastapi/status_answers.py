"""Answers for errors that carry their own status; see `interceptors.carried_status`."""

import json
from typing import Any

from fastapi import HTTPException
from fastapi.encoders import jsonable_encoder

from interceptors.carried_status import take_status
from interceptors.fastapi.undocumented import handlers_in

__all__ = ["answer_of", "raise_status"]


def raise_status(error: Exception, scope: object) -> None:
    """Raise the HTTPException that an error stands for, if it stands for one."""
    answer = answer_of(error, scope)
    if answer is not None:
        raise answer from error


def answer_of(error: Exception, scope: Any) -> HTTPException | None:
    """The HTTPException that an error stands for; none if the application has a handler for the error itself."""
    found = take_status(error)
    handlers = handlers_in(scope)
    bases = type(error).__mro__
    if found is None or any(base in handlers for base in bases[: bases.index(Exception)]):
        return None
    answer = HTTPException(found[0], "")
    answer.detail = _jsonable(found[1])  # not in the constructor, which has a text of its own for None
    return answer


def _jsonable(detail: object) -> Any:
    """The detail as JSON can hold it: what it cannot, a bad argument for example, is shown as Python does."""
    parts: Any = detail
    if isinstance(detail, dict):
        return {_jsonable(str(key)): _jsonable(parts[key]) for key in parts}
    if isinstance(detail, list | tuple):
        return [_jsonable(value) for value in parts]
    try:
        encoded = jsonable_encoder(detail)
        json.dumps(encoded, allow_nan=False, ensure_ascii=False).encode()
    except Exception:  # noqa: BLE001 (whatever it is, the client gets its 4xx)
        return ascii(detail)
    return encoded
