"""Rows as clients and event handlers may see them."""

from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from interceptors.resources.conditions import With
from interceptors.resources.context import ResourceContext, operation_of
from interceptors.resources.description import Description
from interceptors.resources.names import Handler
from interceptors.resources.vocabulary import Row

__all__ = ["concealed", "json_answer", "render"]


def json_answer(content: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response of whatever pydantic can write."""
    body = to_json(content, bytes_mode="base64", inf_nan_mode="null")
    return Response(body, status, headers, media_type="application/json")


def render(ctx: ResourceContext, result: object) -> Response:
    """The answer to a request: what left the chain, serialized, without what is hidden or was not asked for."""
    if ctx.handler is Handler.DELETE:
        return Response(status_code=204)
    fields, with_ = _asked_for(ctx)
    description = operation_of(ctx).description
    content = _each_row(ctx, result, lambda row: _serialized(row, description, ctx.request, fields, with_))
    return json_answer(content, 201 if ctx.handler is Handler.INSERT else 200)


def concealed(ctx: ResourceContext, value: object) -> object:
    """A row, or all rows of a result, without hidden columns: for events."""
    _, with_ = _asked_for(ctx)
    return _each_row(ctx, value, lambda row: _concealed(row, operation_of(ctx).description, with_))


def _asked_for(ctx: ResourceContext) -> tuple[Sequence[str], Sequence[With]]:
    """The fields and relations that the request names; a write has none."""
    return ([], []) if ctx.handler.is_write else (ctx.conditions.fields, ctx.conditions.with_)


def _each_row(ctx: ResourceContext, value: object, change: Callable[[Row], object]) -> object:
    """Change every row of a result. What is neither a row nor rows is a layer's own, and stays as it is."""
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True)
    row: Any = value
    if isinstance(value, list):
        return [_each_row(ctx, each, change) for each in row]
    if not isinstance(value, dict):
        return row
    if ctx.handler is Handler.PAGINATE and isinstance(row.get("data"), list) and "pagination" in row:
        return {**row, "data": [change(each) for each in row["data"]]}
    return change(row)


def _serialized(
    row: Row, description: Description, request: Request, fields: Collection[str], with_: Sequence[With]
) -> Row:
    """Serializer, then `hidden` removed, then columns that `fields` does not name; what a serializer added stays."""

    def related(other: Row, target: Description, each: With) -> Row:
        return _serialized(other, target, request, each.fields, each.with_)

    item = _with_relations(row, description, with_, related)
    if description.serializer is not None:
        item = description.serializer(item, request)
    left_out = description.hidden
    if fields:
        left_out |= description.columns.keys() - set(fields)
    return _without(item, left_out)


def _concealed(row: Row, description: Description, with_: Sequence[With]) -> Row:
    def related(other: Row, target: Description, each: With) -> Row:
        return _concealed(other, target, each.with_)

    item = _with_relations(row, description, with_, related)
    return _without(item, description.hidden)


def _without(item: Row, left_out: Collection[str]) -> Row:
    """What is left, bytes as bodies take them: pydantic writes the other base64, which has - and _ for + and /."""
    return {
        name: b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in item.items()
        if name not in left_out
    }


def _with_relations(
    row: Row, description: Description, with_: Sequence[With], change: Callable[[Row, Description, With], Row]
) -> Row:
    """A copy of a row whose related rows have been changed."""
    item = dict(row)
    for each in with_:
        target = description.relations[each.name].target
        related = item.get(each.name)
        if isinstance(related, list):
            item[each.name] = [change(other, target, each) for other in cast("list[Row]", related)]
        elif related is not None:
            item[each.name] = change(related, target, each)
    return item
