"""Reading signatures leniently: which parameters are injected, and by what; which ones a caller sees.

An annotation is evaluated on its own, and a name that exists only under `TYPE_CHECKING` stands for itself, so that
`Annotated[OrderRepository, Provide["orders"]]` can be read without importing `OrderRepository`.
"""

import builtins
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import Parameter
from types import UnionType
from typing import Annotated, Any, ForwardRef, Union, get_args, get_origin

from interceptors.undocumented import is_marker

__all__ = ["InjectedParameter", "SpecialType", "TargetSignature", "read_constructor", "read_function", "split"]


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


@dataclass(frozen=True, slots=True)
class TargetSignature:
    """A signature taken apart. `visible` holds what a caller or FastAPI gives, annotations evaluated where they can be."""

    parameters: list[Parameter]
    """All of them, as they are declared."""
    visible: list[Parameter]
    injected: list[InjectedParameter]
    return_annotation: Any


class _Unknown:
    """Stands for a name that does not exist at run time; survives whatever an annotation does with a type."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> "_Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unknown(name)

    def __getitem__(self, item: Any) -> "_Unknown":
        return self

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 (the | that it would be is this method)

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007

    def __call__(self) -> None:
        """Typing takes only what can be called for a type."""


class _Names(dict[str, Any]):
    """The names an annotation may use. Missing ones are invented, and `invented` says so."""

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(vars(builtins) | known)
        self.invented = False

    def __missing__(self, name: str) -> _Unknown:
        self.invented = True
        return _Unknown(name)


def read_function(function: Any, *, skip: int = 0) -> TargetSignature:
    """Take the signature of a function apart, without its first `skip` parameters: `self`, for example."""
    signature = inspect.signature(function)
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    parameters = list(signature.parameters.values())[skip:]
    return split(parameters, namespace, signature.return_annotation)


def read_constructor(cls: type) -> TargetSignature:
    """Take the signature of a class's constructor apart."""
    try:
        signature = inspect.signature(cls)
    except ValueError:  # a builtin without a signature takes nothing that we could give
        return TargetSignature([], [], [], None)
    module = sys.modules.get(cls.__module__)
    constructor: Any = inspect.getattr_static(cls, "__init__")
    namespace = getattr(inspect.unwrap(constructor), "__globals__", vars(module) if module else {})
    return split(list(signature.parameters.values()), namespace, None)


def split(parameters: list[Parameter], namespace: dict[str, Any], return_annotation: Any) -> TargetSignature:
    """Tell injected parameters from visible ones."""
    visible: list[Parameter] = []
    injected: list[InjectedParameter] = []
    for parameter in parameters:
        annotation, exact = _evaluate(parameter.annotation, namespace)
        marker = _marker_of(parameter.default, annotation)
        if marker is None:
            visible.append(parameter.replace(annotation=annotation) if exact else parameter)
        else:
            injected.append(InjectedParameter(parameter, marker))
    returned, exact = _evaluate(return_annotation, namespace)
    return TargetSignature(parameters, visible, injected, returned if exact else return_annotation)


def _evaluate(annotation: Any, namespace: dict[str, Any]) -> tuple[Any, bool]:
    """The value of a postponed annotation, and whether all of its names exist. What cannot be evaluated stays text."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation, True
    names = _Names(namespace)
    try:
        value = eval(annotation, {}, names)  # noqa: S307 (the user's own source text, as in typing.get_type_hints)
    except Exception:  # noqa: BLE001 (whatever an annotation does, it is FastAPI's to complain)
        return annotation, False
    if isinstance(value, str):
        return _evaluate(value, namespace)
    return value, not names.invented


def _marker_of(default: Any, annotation: Any) -> Any:
    """The dependency-injector marker in the default or the annotation, or the special type; None for a visible one."""
    if is_marker(default):
        return default
    for part in _parts(annotation):
        if is_marker(part):
            return part
    for part in _parts(annotation):
        special = _special_type(part)
        if special is not None:
            return special
    return None


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation, the members of its union and its metadata, aliases looked through."""
    if type(annotation).__name__ == "TypeAliasType":
        try:
            annotation = annotation.__value__
        except NameError:  # a `type` statement over a name that exists for type checkers only says nothing to us
            return
    if isinstance(annotation, str | ForwardRef):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = _Unknown(text.rpartition(".")[2])
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from get_args(annotation)[1:]
        yield from _parts(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _parts(member)
    else:
        yield annotation


def _special_type(part: Any) -> SpecialType | None:
    """Recognise `Request`, `Response` and `InvocationContext` without importing a web framework."""
    if isinstance(part, _Unknown):
        return _BY_BARE_NAME.get(part.name)
    if isinstance(part, type):
        for cls in part.__mro__:
            special = _SPECIAL_TYPES.get(f"{cls.__module__}.{cls.__qualname__}")
            if special is not None:
                return special
    return None
