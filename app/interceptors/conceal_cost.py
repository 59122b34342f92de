"""What a book costs the shop is for clerks."""

from collections.abc import AsyncIterator

from app.schemas import Book, BookPage
from interceptors import InvocationContext, Next


async def conceal_cost(ctx: InvocationContext, next: Next) -> object:
    """Take `cost_cents` out of a book, a page of books or a stream of books."""
    result: Book | BookPage | AsyncIterator[Book] | None = await next()
    user = await ctx.current_user()
    if user is not None and user.role == "clerk":
        return result
    match result:
        case Book():
            return _conceal(result)
        case BookPage():
            return result.model_copy(update={"items": tuple(_conceal(book) for book in result.items)})
        case AsyncIterator():
            return _conceal_each(result)
        case _:
            return result


def _conceal(book: Book) -> Book:
    return book.model_copy(update={"cost_cents": None})


async def _conceal_each(books: AsyncIterator[Book]) -> AsyncIterator[Book]:
    async for book in books:
        yield _conceal(book)
