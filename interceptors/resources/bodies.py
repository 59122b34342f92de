"""Bodies: which fields a verb accepts, by which schema they are validated, and what of them is written."""

from collections.abc import Collection, Mapping
from copy import copy
from typing import Any, cast

import sqlalchemy as sql
from pydantic import AliasChoices, BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, from_json
from starlette.requests import Request

from interceptors.resources.column_types import value_type
from interceptors.resources.description import Description, is_model
from interceptors.resources.errors import ApiError, ResourceError, suggest_all
from interceptors.resources.vocabulary import Row

__all__ = ["Body", "InvalidBody"]

_WORDS = {"POST": "Insert", "PUT": "Update", "PATCH": "Patch"}
"""The verbs that have a body, and the words for them in the names of schemas."""


class InvalidBody(Exception):  # noqa: N818 (an answer, not an error of the library)
    """The fields of a body that do not validate: `{field: [messages]}`."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


class Body:
    """What one verb of one resource does with a body.

    `link` is the foreign key of a nested route, which comes from the path and never from the body; `place` names the
    route in the names of such schemas: `UserPosts`.
    """

    def __init__(self, description: Description, verb: str, link: str | None, place: str) -> None:
        self._description = description
        self._verb = verb
        self._link = link
        self._given = _schema_of(description, verb)
        fields = _accepted(description, verb, self._given)
        self._accepted = frozenset(fields - {link})
        self._nested = place if link in fields else ""
        if self._given is None:
            name = f"{self._nested or description.name}{_WORDS[verb]}"
            self._schema = _made_from_columns(description, name, self._accepted, requires=verb == "POST")
        else:
            self._schema = self._given
        items = self._schema.model_fields.items()
        self._public = {name: _keys(name, field)[0] for name, field in items}
        self._field_of = {key: name for name, field in items for key in _keys(name, field)}

    @property
    def documented(self) -> type[BaseModel]:
        """The schema as clients see it: the accepted fields alone, for PATCH all of them optional."""
        models, purpose = self._description.models, (self._verb, self._accepted)
        return models.get(purpose) or models.setdefault(purpose, self._documented())

    def _documented(self) -> type[BaseModel]:
        fields = self._schema.model_fields
        is_patch = self._verb == "PATCH"
        if self._given is None or (self._accepted == fields.keys() and not is_patch):
            return self._schema
        kept: dict[str, Any] = {
            name: (field.annotation, _optional(field) if is_patch else field)
            for name, field in fields.items()
            if name in self._accepted
        }
        return create_model(f"{self._nested}{self._schema.__name__}{'Patch' if is_patch else ''}", **kept)

    async def read(self, request: Request, item: Mapping[str, object] | None, link: object) -> Row:
        """The `form_data` of a request. Raises ApiError and InvalidBody."""
        body = await read_object(request)
        sent = {self._field_of[key]: value for key, value in body.items() if self._field_of.get(key) in self._accepted}
        data = dict(sent)
        if self._given is not None:
            if self._verb == "PATCH" and item is not None:
                data = {name: item[name] for name in self._schema.model_fields if name in item} | sent
            if self._link in self._schema.model_fields:
                data[self._link] = link
        try:
            validated = self._schema.model_validate(data, by_alias=False, by_name=True)
        except ValidationError as error:
            raise InvalidBody(self._messages(error)) from None
        return self._written(validated, sent, link)

    def _written(self, validated: BaseModel, sent: Mapping[str, object], link: object) -> Row:
        # Defaults of a given schema count when a row is made. A schema made from columns leaves them to the database.
        keeps_defaults = self._given is not None and self._verb == "POST"
        names = self._schema.model_fields.keys() if keeps_defaults else validated.model_fields_set
        # Not `model_dump()`, which would make of values what JSON wants: base64 of bytes, for example.
        values = {name: _plain(getattr(validated, name)) for name in self._schema.model_fields if name in names}
        if self._verb == "PATCH":
            values = {name: value for name, value in values.items() if name in sent}
        if self._link is not None:
            values.pop(self._link, None)
            if self._verb == "POST":
                values[self._link] = link
        return values

    def _messages(self, error: ValidationError) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in error.errors(include_url=False, include_context=False, include_input=False):
            first, *rest = each["loc"] or ("body",)
            path = ".".join(map(str, (self._public.get(str(first), first), *rest)))
            found.setdefault(path, []).append(each["msg"])
        return found


async def read_object(request: Request) -> dict[str, object]:
    """The JSON object that a request has as its body. Raises ApiError for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        # As FastAPI does: a page of another origin may send text/plain without being asked.
        raise ApiError("The body has to be a JSON object, sent as Content-Type: application/json")
    try:
        # Unlike `json.loads` it refuses NaN, half characters that no database takes, and what is nested too deeply.
        body = from_json(await request.body(), allow_inf_nan=False)
    except ValueError:
        raise ApiError("The body is no valid JSON") from None
    if not isinstance(body, dict):
        raise ApiError("The body has to be a JSON object")
    return cast("dict[str, object]", body)


def _schema_of(description: Description, verb: str) -> type[BaseModel] | None:
    schema: Any = description.option("validation")
    if _is_mapping(schema):
        by_verb = _by_verb(description, "validation", schema)
        schema = by_verb.get(verb, by_verb.get("PUT") if verb == "PATCH" else None)
    if schema is None or is_model(schema):
        found: type[BaseModel] | None = schema
        return found
    raise ResourceError(f"{description.place('validation')} has {schema!r}, which is no pydantic model.")


def _accepted(description: Description, verb: str, schema: type[BaseModel] | None) -> set[str]:
    given: Any = description.option("fillable")
    fields: set[str] = set() if schema is None else set(schema.model_fields)
    if given is None:
        return fields
    if _is_mapping(given):
        given = _by_verb(description, "fillable", given).get(verb, ())
    if isinstance(given, str):
        raise ResourceError(f"{description.place('fillable')} is a text; write a set: {{{given!r}}}")
    names: Collection[str] = given
    if schema is None:
        description.check_columns(names, "fillable")
    else:
        for name in names:
            if name not in fields and name not in description.columns:
                known = [*fields, *description.columns]
                raise ResourceError(
                    f"{description.place('fillable')} names {name!r}, which is neither a field of {schema.__name__} nor a "
                    f"column of {description.name}.{suggest_all(name, known)}"
                )
    return set(names)


def _is_mapping(given: object) -> bool:
    return isinstance(given, Mapping)


def _by_verb(description: Description, option: str, given: Any) -> Any:
    for verb in given:
        if verb not in _WORDS:
            raise ResourceError(f"{description.place(option)} has the verb {verb!r}.{suggest_all(str(verb), _WORDS)}")
    return given


def _made_from_columns(
    description: Description, title: str, names: Collection[str], *, requires: bool
) -> type[BaseModel]:
    """A schema of the columns: their type, the length of text, whether null is allowed, and what has to be there."""
    fields: dict[str, Any] = {}
    for name in description.columns:
        if name not in names or name not in description.writable:
            continue
        column = description.column(name)
        kind: Any = value_type(column.type, limit_text=True)
        if column.nullable and kind is not Any:
            kind |= None
        required = requires and not column.nullable and not _has_default(column)
        fields[name] = (kind, ... if required else Field(default_factory=_nothing))
    return create_model(title, **fields)


def _nothing() -> None:
    """The default of what need not be sent: a factory, because OpenAPI would show a value."""


def _has_default(column: sql.Column[Any]) -> bool:
    return (
        column.default is not None
        or column.server_default is not None
        or column.computed is not None
        or column.identity is not None
        or column.table.autoincrement_column is column
    )


def _plain(value: object) -> Any:
    """A field's value with dicts for models: what a JSON column can hold."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    items: Any = value
    return [_plain(each) for each in items] if isinstance(value, list) else items


def _optional(field: FieldInfo) -> FieldInfo:
    changed = copy(field)
    changed.default, changed.default_factory = PydanticUndefined, _nothing
    return changed


def _keys(name: str, field: FieldInfo) -> list[str]:
    """Under which keys of a body a field may stand."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias, field.alias]
    return [choice for choice in choices if isinstance(choice, str)] or [name]
