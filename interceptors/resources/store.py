"""The statements of the handlers: plain SQLAlchemy, reads by columns, writes through the ORM.

Rows come as dicts of column attributes, so that changing them reaches the answer and never the database.
"""

from collections.abc import Mapping
from inspect import Parameter, signature

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from interceptors.resources.description import Description
from interceptors.resources.errors import ResourceError, suggest_all
from interceptors.resources.vocabulary import Query, Row

__all__ = ["assign", "count", "fetch", "make", "reload", "rows", "still_matching"]


async def rows(session: AsyncSession, query: Query, description: Description) -> list[Row]:
    """The rows of a query, whatever columns it names itself."""
    columns = description.columns
    found = await session.execute(query.with_only_columns(*columns.values(), maintain_column_froms=True))
    return [dict(zip(columns, row, strict=True)) for row in found]


async def count(session: AsyncSession, query: Query, description: Description) -> int:
    """How many rows the query gives, duplicates from joins and DISTINCT as they are. A LIMIT is the page's business."""
    keys = query.with_only_columns(description.key_column, maintain_column_froms=True)
    keys = keys.order_by(None).limit(None).offset(None)
    return int((await session.execute(select(func.count()).select_from(keys.subquery()))).scalar_one())


async def fetch(session: AsyncSession, query: Query, description: Description, key: object) -> object:
    """The mapped object of a key as the query gives it, or None."""
    statement: Query = query.where(description.key_column == key).with_only_columns(
        description.model, maintain_column_froms=True
    )
    statement = statement.options(*description.loading).execution_options(populate_existing=True)
    return (await session.scalars(statement)).unique().first()


async def still_matching(session: AsyncSession, query: Query, description: Description, key: object) -> bool:
    """Does the row match the query as the before hook left it? From now on it is locked, where databases lock rows."""
    column = description.key_column
    matching = query.where(column == key).with_only_columns(column, maintain_column_froms=True).order_by(None)
    if session.get_bind().dialect.name in (
        "mysql",
        "mariadb",
    ):  # an ordinary read would see the transaction's first snapshot
        matching = matching.with_for_update()
    locked = await session.execute(select(column).where(column == key).with_for_update())
    return locked.first() is not None and (await session.execute(matching)).first() is not None


def make(description: Description, values: Mapping[str, object]) -> object:
    """A new mapped object. Its constructor gets what it takes, the rest is set."""
    _check_names(description, values)
    taken, takes_any = _constructor(description.model)
    arguments = {name: value for name, value in values.items() if takes_any or name in taken}
    arguments |= {name: None for name, required in taken.items() if required and name not in arguments}
    made = description.model(**arguments)
    assign(description, made, {name: value for name, value in values.items() if name not in arguments})
    return made


def assign(description: Description, instance: object, values: Mapping[str, object]) -> None:
    """Set attributes, so that validators and `onupdate` do their work. Raises ResourceError for what is no column."""
    _check_names(description, values)
    for name, value in values.items():
        setattr(instance, name, value)


async def reload(session: AsyncSession, instance: object, description: Description) -> Row:
    """The row of a mapped object as the database has it now."""
    await session.refresh(instance, description.columns)
    return as_dict(instance, description)


def as_dict(instance: object, description: Description) -> Row:
    """The column attributes of a mapped object."""
    return {name: getattr(instance, name) for name in description.columns}


def _check_names(description: Description, values: Mapping[str, object]) -> None:
    for name in values:
        if name not in description.writable:
            raise ResourceError(
                f"`form_data` has {name!r}, which is no column of {description.name}; a before hook has to take it out."
                f"{suggest_all(str(name), sorted(description.writable))}"
            )


def _constructor(model: type) -> tuple[dict[str, bool], bool]:
    """The parameters of a constructor and whether they are required, and whether it takes any keyword."""
    parameters = list(signature(model).parameters.values())
    named = {p.name: p.default is Parameter.empty for p in parameters if p.kind in _BY_NAME}
    return named, any(p.kind is Parameter.VAR_KEYWORD for p in parameters)


_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
