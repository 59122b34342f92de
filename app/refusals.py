"""Bad input gets a clear answer."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse


async def refuse_input(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong and where, without the input: it may be secret, or nothing that JSON can say (`NaN`)."""
    problems: Sequence[dict[str, Any]] = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in problems]
    return JSONResponse({"detail": detail}, status.HTTP_422_UNPROCESSABLE_CONTENT)
