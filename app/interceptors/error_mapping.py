"""The shop's errors become HTTP's."""

from fastapi import HTTPException, status

from app import errors
from app.schemas import Problem
from interceptors import InvocationContext, Next, global_interceptor

ANSWERS: dict[type[errors.BookshopError], tuple[int, str]] = {
    errors.NotSignedInError: (status.HTTP_401_UNAUTHORIZED, "not_signed_in"),
    errors.WrongPasswordError: (status.HTTP_401_UNAUTHORIZED, "wrong_password"),
    errors.NotAllowedError: (status.HTTP_403_FORBIDDEN, "not_allowed"),
    errors.NotFoundError: (status.HTTP_404_NOT_FOUND, "not_found"),
    errors.OutOfStockError: (status.HTTP_409_CONFLICT, "out_of_stock"),
    errors.NameTakenError: (status.HTTP_409_CONFLICT, "name_taken"),
    errors.SupplierError: (status.HTTP_409_CONFLICT, "supplier"),
    errors.BookExistsError: (status.HTTP_409_CONFLICT, "book_exists"),
}


@global_interceptor(group="errors", source="route")
async def map_errors(ctx: InvocationContext, next: Next) -> object:
    """Answer an error of the shop with its status and a `Problem`."""
    try:
        return await next()
    except errors.BookshopError as error:
        code, name = ANSWERS[type(error)]
        headers = {"WWW-Authenticate": "Bearer"} if code == status.HTTP_401_UNAUTHORIZED else None
        raise HTTPException(code, Problem(code=name, message=str(error)).model_dump(), headers) from error
