"""Validating the arguments that before hooks assigned, as FastAPI would have: by pydantic, lax."""

from collections.abc import Iterable, Mapping
from inspect import Parameter
from typing import Annotated, Any, TypeAlias

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from interceptors.arguments import Arguments
from interceptors.errors import InvalidArgumentError

__all__ = ["ArgumentValidator"]

Validating: TypeAlias = TypeAdapter[Any]


class ArgumentValidator:
    """Validates the arguments of one method; a schema is built when it is first needed."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self._parameters = parameters
        self._adapters: dict[str, Validating | None] = {}

    def validate(self, arguments: Arguments, assigned: Iterable[str]) -> None:
        """Replace each assigned value by its validated form; what pydantic has no schema for is taken as it is.

        Raises InvalidArgumentError with the errors of all of them.
        """
        errors: list[dict[str, Any]] = []
        for name in assigned:
            adapter = self._adapter(name)
            if adapter is None:
                continue
            try:
                arguments[name] = adapter.validate_python(arguments[name])
            except ValidationError as error:
                errors += [
                    {"type": e["type"], "loc": ["args", name, *e["loc"]], "msg": e["msg"], "input": e["input"]}
                    for e in error.errors(include_url=False, include_context=False)
                ]
        if errors:
            raise InvalidArgumentError(errors)

    def _adapter(self, name: str) -> Validating | None:
        if name not in self._adapters:
            extra = next((p for p in self._parameters.values() if p.kind is Parameter.VAR_KEYWORD), None)
            self._adapters[name] = _adapter_of(self._parameters.get(name, extra))
        return self._adapters[name]


def _adapter_of(parameter: Parameter | None) -> Validating | None:
    # Text is an annotation that could not be evaluated: its name exists for type checkers only.
    if parameter is None or parameter.annotation is Parameter.empty or isinstance(parameter.annotation, str):
        return None
    annotation: Any = parameter.annotation
    if parameter.kind is Parameter.VAR_POSITIONAL:
        annotation = tuple[annotation, ...]
    if isinstance(parameter.default, FieldInfo):  # `q: str = Query(max_length=3)`
        annotation = Annotated[annotation, parameter.default]
    try:
        adapter: Validating = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None
    return adapter if adapter.pydantic_complete else None
