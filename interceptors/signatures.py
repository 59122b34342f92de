"""Reading signatures leniently: which parameters are injected, and by what; which ones a caller sees."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from types import CodeType
from typing import Any

from interceptors.annotations import Unknown, parts
from interceptors.generics import TypeNames, names_of_fields, names_of_function
from interceptors.kinds import is_of_module
from interceptors.undocumented import is_marker

__all__ = [
    "InjectedParameter",
    "SpecialType",
    "TargetSignature",
    "is_fastapi_marker",
    "name_of_itself",
    "read_constructor",
    "read_function",
]


@dataclass(frozen=True, slots=True)
class SpecialType:
    """An injected parameter that is recognised by its type: `name` is `request`, `response` or `context`."""

    name: str


_SPECIAL_TYPES = {
    "starlette.requests.Request": SpecialType("request"),
    "starlette.responses.Response": SpecialType("response"),
    "interceptors.context.InvocationContext": SpecialType("context"),
}
_BY_BARE_NAME = {key.rpartition(".")[2]: special for key, special in _SPECIAL_TYPES.items()}


@dataclass(frozen=True, slots=True)
class InjectedParameter:
    """A parameter that we give: `marker` is a dependency-injector marker or a `SpecialType`."""

    parameter: Parameter
    marker: Any
    annotation: Any = None
    """Evaluated; None where it has names that do not exist at run time."""


@dataclass(frozen=True, slots=True)
class TargetSignature:
    """A signature taken apart. `visible` holds what a caller or FastAPI gives, annotations evaluated where they can be."""

    parameters: list[Parameter]
    """All of them, as they are declared."""
    visible: list[Parameter]
    injected: list[InjectedParameter]
    return_annotation: Any
    foreign: set[str] = field(default_factory=set[str])
    """The visible ones that have a marker of FastAPI's own."""


def read_function(function: Any, owner: type | None = None, *, skip: int = 0) -> TargetSignature:
    """Take the signature of a function apart, without its first `skip` parameters: `self`, for example.

    `owner` is the class that has it as a method, and says what type variables of its generic bases stand for.
    """
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[skip:]
    return _split(parameters, names_of_function(function, owner), {}, signature.return_annotation)


def read_constructor(cls: type) -> TargetSignature:
    """Take the signature of a class's constructor apart."""
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except ValueError:  # a builtin without a signature takes nothing that we could give
        return TargetSignature([], [], [], None)
    constructor: Any = inspect.getattr_static(cls, "__init__")
    is_variable = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters)
    if is_variable and inspect.isfunction(constructor) and getattr(cls, "__signature__", None) is None:
        # What a metaclass or `__new__` takes so is passed on to `__init__`.
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
    return _split(parameters, names_of_function(constructor, cls), names_of_fields(cls, constructor), None)


def _split(
    parameters: list[Parameter], common: TypeNames, of_fields: Mapping[str, TypeNames], return_annotation: object
) -> TargetSignature:
    """Tell injected parameters from visible ones."""
    visible: list[Parameter] = []
    injected: list[InjectedParameter] = []
    foreign: set[str] = set()
    for parameter in parameters:
        names = of_fields.get(parameter.name, common)
        annotation, exact = names.evaluate(parameter.annotation)
        found = [parameter.default, *parts(annotation, names.names)]
        marker = next((part for part in found if is_marker(part)), None)
        if marker is None and any(is_fastapi_marker(part) for part in found):
            foreign.add(parameter.name)
        elif marker is None:
            marker = next((special for special in map(_special_type, found[1:]) if special is not None), None)
        if marker is None:
            visible.append(parameter.replace(annotation=annotation) if exact else parameter)
        else:
            injected.append(InjectedParameter(parameter, marker, annotation if exact else None))
    returned, exact = common.evaluate(return_annotation)
    return TargetSignature(parameters, visible, injected, returned if exact else return_annotation, foreign)


def name_of_itself(function: Any) -> str | None:
    """The name by which a handler's method takes its object, where a wrapper of it may look for `request` in what it gets.

    FastAPI gives a handler everything by name, and wrappers made for it count on that: slowapi's `@limit` takes what comes
    by position, if anything does, for the first of all parameters. So there the object goes by name, too. None where nothing
    is wrapped or asked for, or where a wrapper does not hand on what it gets under any name.
    """
    codes: list[CodeType] = []
    while inspect.isfunction(function):
        codes.append(function.__code__)
        function = vars(function).get("__wrapped__")
    if function is not None or len(codes) < 2:
        return None
    innermost = codes[-1]
    names = innermost.co_varnames[: innermost.co_argcount + innermost.co_kwonlyargcount]
    hand_on = all(
        code.co_varnames[:1] == names[:1] if code.co_argcount else code.co_flags & inspect.CO_VARKEYWORDS
        for code in codes
    )
    by_name = hand_on and not any(code.co_posonlyargcount for code in codes)
    return names[0] if by_name and "request" in names[1:] else None


def is_fastapi_marker(candidate: object) -> bool:
    """Is it `Depends(...)`, `Security(...)`, `Body(...)` or the like? Recognised without importing a web framework."""
    return is_of_module(candidate, "fastapi.params")


def _special_type(part: object) -> SpecialType | None:
    """Recognise `Request`, `Response` and `InvocationContext` without importing a web framework."""
    if isinstance(part, Unknown):
        return _BY_BARE_NAME.get(part.name)
    if isinstance(part, type):
        for cls in part.__mro__:
            special = _SPECIAL_TYPES.get(f"{cls.__module__}.{cls.__qualname__}")
            if special is not None:
                return special
    return None
