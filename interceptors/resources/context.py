"""The context of a request to a resource: an `InvocationContext` that also knows the row, the query and the session."""

from typing import Any, ClassVar, final

from sqlalchemy.ext.asyncio import AsyncSession

from interceptors.arguments import Arguments
from interceptors.fastapi.sources import RouteContext
from interceptors.resources.conditions import Conditions
from interceptors.resources.names import Handler
from interceptors.resources.operation import Operation
from interceptors.resources.vocabulary import Query, Row

__all__ = ["ResourceContext", "Work", "operation_of", "work_of"]


@final
class Work:
    """What the actions of one request share, and hooks do not see."""

    __slots__ = ("first_query", "instance", "key")

    def __init__(self) -> None:
        self.first_query: Query | None = None
        """`ctx.query` as it was made: as long as it is this one nobody has narrowed it."""
        self.instance: object = None
        """The mapped object of the row that is changed."""
        self.key: object = None
        """The primary key of the row that is written."""


class _Special:
    """An attribute that is an argument, too: `ctx.form_data` is `ctx.args["form_data"]`. None until it is known."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, ctx: "ResourceContext | None", owner: type | None = None) -> Any:
        return self if ctx is None else ctx._keywords.get(self.name)

    def __set__(self, ctx: "ResourceContext", value: object) -> None:
        ctx._keywords[self.name] = value


def _special() -> Any:
    return _Special()


class ResourceContext(RouteContext):
    """One request to a resource. What hooks replace is replaced here: `ctx.query = ctx.query.where(...)`."""

    _operation: ClassVar[Operation]

    session: AsyncSession
    """The request's session. Its transaction is the request's, unless the resource turned that off."""
    params: dict[str, Any]
    """The path parameters, typed."""

    # Declared as what they hold while a hook runs that gets them.
    form_data: Row = _special()
    """What will be written: columns by name."""
    item: Row = _special()
    """The row as a dict."""
    result: Any = _special()
    """What PAGINATE and ALL found."""
    query: Query = _special()
    """`select(Model)`, limited to the parent: a `Select`, which is immutable, so replace it."""
    conditions: Conditions = _special()
    """What the query string said; applied to the query after the before hook."""

    def __init__(self) -> None:
        self._keywords = {}
        self._work = Work()

    @property
    def args(self) -> Arguments:
        """The special parameters of the handler by name, as far as they are known yet."""
        return Arguments(self._operation.arguments, self._keywords)

    @property
    def model(self) -> type:
        """The mapped class."""
        return self._operation.model

    @property
    def handler(self) -> Handler:
        """What the request does."""
        return self._operation.handler

    @property
    def relation(self) -> str | None:
        """The relationship by which the route is nested; None at the top."""
        return self._operation.relation

    @property
    def parent_model(self) -> type | None:
        """The mapped class that the route is nested in; None at the top."""
        return self._operation.parent_model

    @property
    def in_transaction(self) -> bool:
        """Is everything of the request one transaction? Otherwise each hook and write is committed when it is done."""
        return self._operation.in_transaction

    @property
    def database(self) -> AsyncSession:
        """Axe API's name for the session."""
        return self.session


def operation_of(ctx: ResourceContext) -> Operation:
    """The operation that a request is one of."""
    return ctx._operation


def work_of(ctx: ResourceContext) -> Work:
    """What the actions of a request share."""
    return ctx._work
