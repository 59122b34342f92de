"""Bodies: which fields a verb accepts, by which schema they are validated, and what of them is written."""

import json
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from pydantic import AliasChoices, BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from starlette.requests import Request

from interceptors.resources.column_types import value_type
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError, ResourceError, suggest

__all__ = ["VERBS", "Body", "InvalidBody"]

VERBS = ("POST", "PUT", "PATCH")


class InvalidBody(Exception):  # noqa: N818 (an answer, not an error of the library)
    """The fields of a body that do not validate: `{field: [messages]}`."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


class Body:
    """What one verb of one resource does with a body.

    `link` is the foreign key of a nested route: it comes from the path and never from the body.
    """

    def __init__(self, description: Description, verb: str, link: str | None) -> None:
        self._verb = verb
        self._link = link
        self._given = _schema_of(description, verb)
        self._accepted = _accepted(description, verb, self._given) - {link}
        if self._given is None:
            self._schema = _made_from_columns(description, verb, self._accepted)
        else:
            self._schema = self._given
        fields = self._schema.model_fields
        self._public = {name: _alias(field) or name for name, field in fields.items()}
        self._field_of = {key: name for name, field in fields.items() for key in _keys(name, field)}

    @property
    def documented(self) -> type[BaseModel]:
        """The schema as clients see it: the accepted fields alone; for PATCH all of them optional."""
        fields = self._schema.model_fields
        if self._verb != "PATCH" and set(fields) == self._accepted:
            return self._schema
        kept = {
            name: (field.annotation, _optional(field) if self._verb == "PATCH" else field)
            for name, field in fields.items()
            if name in self._accepted
        }
        suffix = self._verb.title() if self._verb not in self._schema.__name__.upper() else ""
        definitions: dict[str, Any] = kept
        return create_model(f"{self._schema.__name__}{suffix}", **definitions)

    async def read(self, request: Request, item: Mapping[str, Any] | None, link: Any) -> dict[str, Any]:
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

    def _written(self, validated: BaseModel, sent: Mapping[str, Any], link: Any) -> dict[str, Any]:
        # Defaults of a given schema count when a row is made. A schema made from columns leaves them to the database.
        values = validated.model_dump(exclude_unset=self._given is None or self._verb != "POST")
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


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request has as its body. Raises ApiError for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        # As FastAPI does: a page of another origin may send text/plain without being asked.
        raise ApiError("The body has to be a JSON object, sent as Content-Type: application/json")
    try:
        body = json.loads(await request.body(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ApiError("The body is no valid JSON") from None
    if not isinstance(body, dict):
        raise ApiError("The body has to be a JSON object")
    return body


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _schema_of(description: Description, verb: str) -> type[BaseModel] | None:
    given: Any = description.option("validation")
    if not isinstance(given, Mapping):
        return _checked_schema(description, given)
    _check_verbs(description, "validation", given)
    found: Any = given.get(verb, given.get("PUT") if verb == "PATCH" else None)
    return _checked_schema(description, found)


def _checked_schema(description: Description, schema: Any) -> type[BaseModel] | None:
    if schema is None or (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return schema
    raise ResourceError(f"{description.place('validation')} has {schema!r}, which is no pydantic model.")


def _accepted(description: Description, verb: str, schema: type[BaseModel] | None) -> set[str]:
    given: Any = description.option("fillable")
    fields = set() if schema is None else set(schema.model_fields)
    if given is None:
        return fields
    if isinstance(given, Mapping):
        _check_verbs(description, "fillable", given)
        given = given.get(verb, ())
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
                    f"column of {description.name}.{suggest(name, known)}"
                )
    return set(names)


def _check_verbs(description: Description, option: str, given: Mapping[Any, Any]) -> None:
    for verb in given:
        if verb not in VERBS:
            raise ResourceError(f"{description.place(option)} has the verb {verb!r}.{suggest(str(verb), VERBS)}")


def _made_from_columns(description: Description, verb: str, names: Collection[str]) -> type[BaseModel]:
    """A schema of the columns: their type, the length of text, whether null is allowed, and what POST requires."""
    fields: dict[str, Any] = {}
    for name in description.columns:
        if name not in names or name not in description.writable:
            continue
        column = description.column(name)
        kind: Any = value_type(column.type, limit_text=True)
        if column.nullable:
            kind = kind | None if kind is not Any else Any
        required = verb == "POST" and not column.nullable and not _has_default(column)
        fields[name] = (kind, ... if required else Field(default_factory=_nothing))
    return create_model(f"{description.name}{_WORDS[verb]}", **fields)


_WORDS = {"POST": "Insert", "PUT": "Update", "PATCH": "Patch"}


def _nothing() -> None:
    """The default of what need not be sent: a factory, because OpenAPI would show a value."""


def _has_default(column: Any) -> bool:
    return (
        column.default is not None
        or column.server_default is not None
        or column.computed is not None
        or column.identity is not None
        or column.table.autoincrement_column is column
    )


def _optional(field: FieldInfo) -> FieldInfo:
    changed = FieldInfo.merge_field_infos(field, default_factory=_nothing)
    changed.default = Field(default_factory=_nothing).default
    return changed


def _alias(field: FieldInfo) -> str | None:
    alias = field.validation_alias or field.alias
    if isinstance(alias, AliasChoices):
        return next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else None


def _keys(name: str, field: FieldInfo) -> list[str]:
    """Under which keys of a body a field may stand."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias, field.alias]
    found = [choice for choice in choices if isinstance(choice, str)]
    return found or [name]
