"""The query string in OpenAPI's words."""

import re
from collections.abc import Mapping

from interceptors.resources.column_types import is_sortable
from interceptors.resources.description import Description

__all__ = ["query_parameters"]


def query_parameters(description: Description, *, paging: bool, sorting: bool) -> list[dict[str, object]]:
    """The parameter objects of a route; the same arguments as for `parse_conditions`."""
    columns = list(description.visible)
    parameters: list[dict[str, object]] = []
    if paging:
        parameters.append(_parameter("page", "The page, from 1.", {"type": "integer", "minimum": 1, "default": 1}))
        size = {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
        parameters.append(_parameter("per_page", "Rows on a page.", size))
    if not columns:
        return parameters
    sortable = [name for name in columns if is_sortable(description.column(name).type)]
    if sorting and sortable:
        text = "Columns to order by, comma separated; a minus before one is descending."
        parameters.append(_parameter("sort", text, _list_of(f"[+-]?{_one_of(sortable)}"), f"-{sortable[0]}"))
    text = "Columns of the answer, comma separated; all without it."
    parameters.append(_parameter("fields", text, _list_of(_one_of([*columns, "*"])), ",".join(columns[:2])))
    parameters.append(_parameter("q", _Q, {"type": "string"}, f'{{"{columns[0]}$not": null}}'))
    if description.relations:
        text = (
            f"Relations to load: {', '.join(description.relations)}; columns and relations of theirs stand in braces, as "
            f"in posts{{title|comments{{id}}}},author."
        )
        parameters.append(_parameter("with", text, {"type": "string"}, next(iter(description.relations))))
    return parameters


def _parameter(
    name: str, description: str, schema: Mapping[str, object], example: str | None = None
) -> dict[str, object]:
    parameter: dict[str, object] = {"name": name, "in": "query", "required": False, "description": description}
    return parameter | {"schema": schema} | ({} if example is None else {"example": example})


def _one_of(names: list[str]) -> str:
    return f"({'|'.join(re.escape(name) for name in names)})"


def _list_of(item: str) -> dict[str, object]:
    return {"type": "string", "pattern": f"^{item}(,{item})*$"}


_Q = (
    'A filter: a JSON object whose keys are columns, all of which must hold, as in {"name": "Ada", "age$gte": 18}; or an '
    "array of such objects and arrays, which are groups. Suffixes: $not, $gt, $gte, $lt, $lte, $like, $notLike, $iLike, "
    "$notILike (* is the wildcard), $in, $notIn, $between, $notBetween. A key that begins with $or. is joined by OR to "
    "what precedes it; AND binds tighter."
)
