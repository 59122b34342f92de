"""What OpenAPI says about the routes of a resource."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from interceptors.resources.column_types import value_type
from interceptors.resources.description import Description, snake_case
from interceptors.resources.names import Handler
from interceptors.resources.operation import Operation
from interceptors.resources.query_parameters import query_parameters

__all__ = ["document", "operation_id"]


class ResourceProblem(BaseModel):
    """Why a request was refused."""

    error: str


class ResourceFieldProblems(BaseModel):
    """What is wrong with the fields of a body."""

    errors: dict[str, list[str]]


class ResourcePagination(BaseModel):
    """Where a page stands: `from` counts from 0, `to` is the position after the last row of the page."""

    model_config = ConfigDict(populate_by_name=True)

    total: int
    lastPage: int  # noqa: N815 (the names of Axe API)
    perPage: int  # noqa: N815
    currentPage: int  # noqa: N815
    from_: int = Field(alias="from")
    to: int
    prevPage: int | None  # noqa: N815
    nextPage: int | None  # noqa: N815


def document(operation: Operation) -> dict[str, Any]:
    """The keyword arguments of `add_api_route` that describe an operation."""
    description, handler = operation.description, operation.handler
    status = {Handler.INSERT: 201, Handler.DELETE: 204}.get(handler, 200)
    responses: dict[int | str, dict[str, object]] = {
        400: {"model": ResourceProblem},
        "default": {"model": ResourceProblem},
    }
    if operation.body is not None:
        responses[400] = {"model": ResourceProblem | ResourceFieldProblems}
    if operation.parameters:
        responses[404] = {"model": ResourceProblem}
    if handler.is_write:
        responses[409] = {"model": ResourceProblem}
    if handler is not Handler.DELETE:
        responses[status] = {"model": _answer(description, handler)}
    parameters = [*_path_parameters(operation), *_query_parameters(operation)]
    return {
        "status_code": status,
        "responses": responses,
        "response_model": None,
        "summary": f"{handler.method.title()} {description.name}",
        "openapi_extra": {"parameters": parameters} if parameters else None,
    }


def operation_id(handler: Handler, path: str) -> str:
    """`insert_users_posts`: the handler and the words of the path."""
    words = [segment for segment in path.split("/") if segment and not segment.startswith("{")]
    return "_".join([handler.method, *(snake_case(word.replace("-", "_")) for word in words)])


def _path_parameters(operation: Operation) -> list[dict[str, object]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": description.key_type.json_schema()}
        for name, description in operation.parameters.items()
    ]


def _query_parameters(operation: Operation) -> list[dict[str, object]]:
    handler = operation.handler
    if handler.is_write:
        return []
    return query_parameters(
        operation.description, paging=handler is Handler.PAGINATE, sorting=handler is not Handler.SHOW
    )


def _answer(description: Description, handler: Handler) -> Any:
    row: Any = description.models.get("row") or description.models.setdefault("row", _row(description))
    rows: Any = list[row]
    if handler is Handler.PAGINATE:
        page = create_model(f"{row.__name__}Page", data=(rows, ...), pagination=(ResourcePagination, ...))
        return description.models.setdefault("page", page)
    return rows if handler is Handler.ALL else row


def _row(description: Description) -> type[BaseModel]:
    """A row as it is answered. No column is sure to be there: `fields` may leave it out."""
    serializer: Any = description.option("serializer")
    if isinstance(serializer, type):
        return _without(serializer, description.hidden)
    fields: dict[str, Any] = {}
    for name in description.visible:
        column = description.column(name)
        kind: Any = value_type(column.type)
        fields[name] = (kind | None if getattr(column, "nullable", True) and kind is not Any else kind, _maybe())
    return create_model(description.name, **fields)


def _without(model: type[BaseModel], hidden: frozenset[str]) -> type[BaseModel]:
    if not hidden & model.model_fields.keys():
        return model
    kept: dict[str, Any] = {n: (f.annotation, f) for n, f in model.model_fields.items() if n not in hidden}
    return create_model(model.__name__, **kept)


def _maybe() -> Any:
    return Field(default_factory=lambda: None)
