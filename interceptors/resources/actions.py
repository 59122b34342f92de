"""What a handler does itself between its hooks. Each action reads the context and leaves what it found there."""

from typing import cast

from interceptors.resources import store
from interceptors.resources.bodies import Body
from interceptors.resources.context import ResourceContext, operation_of, work_of
from interceptors.resources.errors import ApiError
from interceptors.resources.filters import apply_conditions, page_of
from interceptors.resources.relations import load_relations

__all__ = [
    "delete_row",
    "find_all",
    "find_by_key",
    "find_one",
    "find_page",
    "find_parents",
    "insert_row",
    "take_body",
    "update_row",
]


async def find_parents(ctx: ResourceContext) -> None:
    """Every row that the path names must exist and belong to the one before it."""
    for parent in operation_of(ctx).parents:
        if (await ctx.session.execute(parent.query(ctx.params))).first() is None:
            raise ApiError("The resource is not found", 404)


async def take_body(ctx: ResourceContext) -> None:
    """The accepted and validated fields of the body."""
    operation = operation_of(ctx)
    body = cast("Body", operation.body)  # the life cycles that have this action are those with a body
    ctx.form_data = await body.read(ctx.request, ctx.item, operation.link_value(ctx.params))


async def insert_row(ctx: ResourceContext) -> None:
    """Write a new row and read it."""
    description = operation_of(ctx).description
    instance = store.make(description, ctx.form_data)
    ctx.session.add(instance)
    await ctx.session.flush()
    ctx.item = await store.reload(ctx.session, instance, description)
    work_of(ctx).key = ctx.item[description.key]


async def find_page(ctx: ResourceContext) -> None:
    """One page of rows, and how many there are."""
    description, conditions = operation_of(ctx).description, ctx.conditions
    query = apply_conditions(ctx.query, conditions, description)
    total = await store.count(ctx.session, query, description)
    found = await store.rows(ctx.session, page_of(query, conditions), description)
    await load_relations(ctx.session, description, found, conditions.with_)
    ctx.result = {"data": found, "pagination": pagination(total, conditions.page, conditions.per_page, len(found))}


def pagination(total: int, page: int, per_page: int, rows: int) -> dict[str, object]:
    """Where a page stands. `from` counts from 0; `to` is the position after the last row that is really there."""
    last = -(-total // per_page)
    first = (page - 1) * per_page
    return {
        "total": total,
        "lastPage": last,
        "perPage": per_page,
        "currentPage": page,
        "from": first,
        "to": first + rows,
        "prevPage": page - 1 if page > 1 else None,
        "nextPage": page + 1 if page < last else None,
    }


async def find_all(ctx: ResourceContext) -> None:
    """Every row."""
    description = operation_of(ctx).description
    found = await store.rows(ctx.session, apply_conditions(ctx.query, ctx.conditions, description), description)
    await load_relations(ctx.session, description, found, ctx.conditions.with_)
    ctx.result = found


async def find_one(ctx: ResourceContext) -> None:
    """The row of the key."""
    operation = operation_of(ctx)
    description = operation.description
    query = apply_conditions(ctx.query, ctx.conditions, description)
    query = query.where(description.key_column == operation.key_value(ctx.params))
    found = (await store.rows(ctx.session, query.limit(1), description))[:1]
    if not found:
        raise _missing(ctx)
    await load_relations(ctx.session, description, found, ctx.conditions.with_)
    ctx.item = found[0]


async def find_by_key(ctx: ResourceContext) -> None:
    """The row that will be changed."""
    operation = operation_of(ctx)
    found = await store.fetch(ctx.session, ctx.query, operation.description, operation.key_value(ctx.params))
    if found is None:
        raise _missing(ctx)
    work_of(ctx).instance, work_of(ctx).key = found, operation.key_value(ctx.params)
    ctx.item = store.as_dict(found, operation.description)


async def update_row(ctx: ResourceContext) -> None:
    """Write what was sent, if the row still matches the query; then read it."""
    description = operation_of(ctx).description
    if ctx.form_data and await _may_write(ctx):
        store.assign(description, work_of(ctx).instance, ctx.form_data)
        await ctx.session.flush()
        ctx.item = await store.reload(ctx.session, work_of(ctx).instance, description)
        return
    found = await store.rows(
        ctx.session, description.select.where(description.key_column == work_of(ctx).key), description
    )
    if not found:  # somebody else has deleted it meanwhile
        raise _missing(ctx)
    ctx.item = found[0]


async def delete_row(ctx: ResourceContext) -> None:
    """Delete the row if it still matches the query."""
    if await _may_write(ctx):
        await ctx.session.delete(work_of(ctx).instance)
        await ctx.session.flush()


async def _may_write(ctx: ResourceContext) -> bool:
    """A query that nobody has narrowed needs no second look: its row was found by it."""
    operation = operation_of(ctx)
    if ctx.query is work_of(ctx).first_query:
        return True
    key = operation.key_value(ctx.params)
    return await store.still_matching(ctx.session, ctx.query, operation.description, key)


def _missing(ctx: ResourceContext) -> ApiError:
    return ApiError(f"The item is not found on {ctx.model.__name__}.", 404)
