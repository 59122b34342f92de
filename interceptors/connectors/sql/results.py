"""What a SQL statement and its result look like to a hook, and what stands for a result."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, final

__all__ = ["Kind", "SQLRequest", "SQLResult", "as_result", "kind_of", "taken_over"]

Kind: TypeAlias = Literal["select", "insert", "update", "delete", "other"]

_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|[()]|\w+", re.DOTALL)
_KINDS: dict[str, Kind] = {"select": "select", "insert": "insert", "update": "update", "delete": "delete"}


@dataclass
class SQLRequest:
    """A statement as the driver gets it: its placeholders, its values. `many`: `params` is a list of lists or dicts.

    Assigned to `ctx.req`, it takes over `many`, `kind` and `dialect` where they were left at their defaults.
    """

    sql: str
    params: list[Any] | dict[str, Any] = field(default_factory=list[Any])
    many: bool = False
    kind: Kind = "other"
    dialect: str = ""


@final
@dataclass(init=False)
class SQLResult:
    """What a statement gave, before SQLAlchemy's result types.

    `rows` is None where there are none or they are not read: streams, INSERT, UPDATE, DELETE (also with RETURNING).
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] | None
    rowcount: int | None

    def __init__(
        self, columns: Sequence[str] = (), rows: Iterable[Sequence[Any]] | None = (), rowcount: int | None = None
    ) -> None:
        self.columns = tuple(columns)
        self.rows = None if rows is None else [_row(row, len(self.columns)) for row in rows]
        self.rowcount = rowcount


def taken_over(value: object, old: SQLRequest) -> SQLRequest:
    """What a request stands for that replaces an old one."""
    if not isinstance(value, SQLRequest):
        raise TypeError(f"ctx.req takes a SQLRequest, not {type(value).__name__}: {value!r:.80}")
    return replace(
        value,
        many=value.many or old.many,
        kind=old.kind if value.kind == "other" else value.kind,
        dialect=value.dialect or old.dialect,
    )


def _row(row: Sequence[object], columns: int) -> tuple[Any, ...]:
    if isinstance(row, Mapping):
        raise TypeError("A row of SQLResult is a sequence of values; for dicts assign the list of dicts itself.")
    values = tuple(row)
    if columns and len(values) != columns:
        raise TypeError(f"A row of SQLResult has {len(values)} values for {columns} columns: {values!r}")
    return values


def as_result(value: Any, columns: Sequence[str], required: Sequence[str]) -> SQLResult:
    """What a result value stands for: a SQLResult, a list of dicts, a row count, or None or [] for no rows.

    `columns` are the statement's as far as they are known; all of `required` have to be in an answer's rows.
    """
    match value:
        case SQLResult():
            return _in_order(value, columns, required)
        case bool():
            pass
        case int():
            return SQLResult(columns, None, value)
        case None | [] | ():
            return SQLResult(columns, (), 0)
        case [*rows] if all(isinstance(row, Mapping) for row in rows):
            return _of_dicts(cast("list[Mapping[str, Any]]", rows), required)
        case _:
            pass
    raise TypeError(
        f"A result of SQL is a SQLResult, a list of dicts, an int (the row count), or None or [] (no rows), "
        f"not {type(value).__name__}: {value!r:.80}"
    )


def _of_dicts(rows: "list[Mapping[str, Any]]", required: Sequence[str]) -> SQLResult:
    columns = (*required, *(name for name in rows[0] if name not in required))
    for row in rows:
        if set(row) != set(columns):
            raise TypeError(f"Every dict has to have the columns {', '.join(columns)}, not {', '.join(map(str, row))}")
    return SQLResult(columns, ([row[name] for name in columns] for row in rows), len(rows))


def _in_order(result: SQLResult, columns: Sequence[str], required: Sequence[str]) -> SQLResult:
    """The columns in the order of the statement. Columns of other names stand for the statement's by their places."""
    if not result.columns:
        return SQLResult(columns, result.rows, result.rowcount)
    if not result.rows or not required or result.columns[: len(required)] == tuple(required):
        return result
    missing = [name for name in required if name not in result.columns]
    if missing and len(result.columns) == len(required):
        return result
    if missing:
        raise TypeError(f"The statement has the columns {', '.join(required)}; this result lacks {', '.join(missing)}")
    ordered = (*required, *(name for name in result.columns if name not in required))
    places = [result.columns.index(name) for name in ordered]
    return SQLResult(ordered, [[row[place] for place in places] for row in result.rows], result.rowcount)


def kind_of(sql: str) -> Kind:
    """The kind of a statement, by its first word; of WITH by the first verb outside parentheses."""
    depth = 0
    common = False
    for token in _TOKEN.finditer(sql):
        word = token[0].lower()
        if word in "()":
            depth += 1 if word == "(" else -1
        elif word[0] in "'\"`" or word[:2] in ("--", "/*"):
            continue
        elif not common:
            common = word == "with"
            if not common:
                return _KINDS.get(word, "other")
        elif depth == 0 and word in _KINDS:
            return _KINDS[word]
    return "other"
