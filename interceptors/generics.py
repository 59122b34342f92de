"""Generic base classes: what their type variables stand for in a class, `class Items(Crud[Item])`."""

import inspect
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from interceptors.annotations import bind_variables, evaluate, module_names, substitute
from interceptors.describing import function_behind
from interceptors.metadata import functions_in

__all__ = ["TypeNames", "names_of_fields", "names_of_function"]


class TypeNames:
    """What annotations within one base of a class mean: names for text, and what the base's variables stand for."""

    def __init__(self, names: Mapping[str, Any], variables: Mapping[Any, Any]) -> None:
        self.names = names
        self._variables = variables

    def substitute(self, annotation: Any) -> Any:
        """The annotation as it would be written out in the class."""
        return substitute(annotation, self._variables) if self._variables else annotation

    def evaluate(self, annotation: Any) -> tuple[Any, bool]:
        """The same of a postponed one, and whether all of its names exist."""
        value, exact = evaluate(annotation, self.names)
        return self.substitute(value), exact


def names_of_function(function: object, owner: type | None) -> TypeNames:
    """What annotations of a function mean; `owner` is the class that has or inherits it as a method."""
    innermost = inspect.unwrap(function_behind(function))
    outside = module_names(getattr(owner, "__module__", None))
    names = _with_parameters(getattr(innermost, "__globals__", outside), innermost)
    if owner is None or not _is_generic(owner):
        return TypeNames(names, {})
    written_in = _written_in(owner, innermost)
    return TypeNames(_with_parameters(names, written_in), _variables(owner).get(written_in, {}))


def names_of_fields(owner: type, constructor: object) -> Mapping[str, TypeNames]:
    """What annotations mean of the parameters that a dataclass, or another generated constructor, has from its fields."""
    if not _is_generic(owner):
        return {}
    written_in = _written_in(owner, constructor)
    if not any(hasattr(written_in, fields) for fields in ("__dataclass_fields__", "__attrs_attrs__")):
        return {}
    variables = _variables(owner)
    return {
        name: TypeNames(_with_parameters(module_names(base.__module__), base), variables.get(base, {}))
        for base in reversed(written_in.__mro__)
        for name in inspect.get_annotations(base)
    }


def _is_generic(owner: type) -> bool:
    """Has it or a base type variables? For all others, which are nearly all, nothing more has to be looked for."""
    return any(getattr(cls, "__parameters__", ()) for cls in owner.__mro__)


def _with_parameters(names: Mapping[str, object], thing: object) -> Mapping[str, Any]:
    """Names, and those of a class's or function's own type parameters (`class Crud[T]`), which are no module's."""
    parameters = getattr(thing, "__type_params__", ())
    return {**names, **{parameter.__name__: parameter for parameter in parameters}} if parameters else names


def _written_in(owner: type, function: object) -> type:
    """The class in which a method is written: the outermost base that has it, under whatever name."""
    for cls in reversed(owner.__mro__):
        if any(function is each for found in vars(cls).values() for each in functions_in(found)):
            return cls
    return owner


def _variables(owner: type) -> Mapping[type, Mapping[Any, Any]]:
    """What type variables stand for in each base; a base has been met by one further down when its turn comes."""
    found: dict[type, Mapping[Any, Any]] = {}
    for cls in owner.__mro__:
        names = _with_parameters(module_names(cls.__module__), cls)
        for base in vars(cls).get("__orig_bases__", cls.__bases__):
            origin = get_origin(base) or base
            parameters = getattr(origin, "__parameters__", ())
            given = [_given(argument, names, found.get(cls, {})) for argument in get_args(base)]
            found.setdefault(origin, bind_variables(parameters, given))
    return found


def _given(argument: object, names: Mapping[str, object], variables: Mapping[object, object]) -> Any:
    value, exact = evaluate(argument, names)
    return substitute(value, variables) if exact else argument
