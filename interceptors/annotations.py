"""What an annotation means: postponed text is evaluated, aliases are looked through, type variables are substituted.

An annotation is evaluated on its own, and a name that exists only under `TYPE_CHECKING` stands for itself, so that
`Annotated[OrderRepository, Provide["orders"]]` can be read without importing `OrderRepository`.
"""

import builtins
import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import InitVar
from types import FunctionType, UnionType
from typing import Annotated, Any, ClassVar, Final, ForwardRef, TypeVar, TypeVarTuple, Union, cast, get_args, get_origin

__all__ = ["Unknown", "bind_variables", "evaluate", "module_names", "parts", "substitute"]

_MOST_OPENED = 200  # aliases and texts within one annotation; where there are more, one stands for itself


class Unknown:
    """Stands for a name that does not exist at run time; survives whatever an annotation does with a type."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> "Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(name)

    def __getitem__(self, item: Any) -> "Unknown":
        return self

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 (the | that it would be is this method)

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007 (as above)

    def __call__(self) -> None:
        """Typing takes only what can be called for a type."""


class _Names(dict[str, Any]):
    """The names an annotation may use. Missing ones are invented, and `invented` says so."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        super().__init__({**vars(builtins), **known})
        self.invented = False

    def __missing__(self, name: str) -> Unknown:
        self.invented = True
        return Unknown(name)


def module_names(name: str | None) -> dict[str, Any]:
    """The names of a module; none if nobody has imported it."""
    module = sys.modules.get(name or "")
    return {} if module is None else vars(module)


def evaluate(annotation: object, names: Mapping[str, object]) -> tuple[Any, bool]:
    """The value of a postponed annotation, and whether all of its names exist. What cannot be evaluated stays text."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation, True
    known = _Names(names)
    try:
        value = eval(annotation, {}, known)  # noqa: S307 (the user's own source text, as in typing.get_type_hints)
    except Exception:  # noqa: BLE001 (whatever an annotation does, it is FastAPI's to complain)
        return annotation, False
    if isinstance(value, str) and value != annotation:
        return evaluate(value, names)
    return value, not known.invented


# -- looking through ---------------------------------------------------------------------------------------------------


def parts(annotation: object, names: Mapping[str, object]) -> Iterator[Any]:
    """What an annotation is made of: its metadata, the members of its union; aliases and text are looked through."""
    waiting = [(annotation, names)]
    opened = 0
    while waiting and opened < _MOST_OPENED:
        part, names = waiting.pop()
        origin = get_origin(part)
        if _is_alias(part) or _is_alias(origin):
            opened += 1
            waiting.append(_opened(part, origin, names))
        elif isinstance(part, str | ForwardRef):
            opened += 1
            value, _ = evaluate(part, names)
            waiting.append((Unknown(value.rpartition(".")[2]) if isinstance(value, str) else value, names))
        elif origin is Annotated:
            inner, *metadata = get_args(part)
            yield from metadata
            waiting.append((inner, names))
        elif origin in (Union, UnionType, ClassVar, Final):
            waiting += [(member, names) for member in reversed(get_args(part))]
        elif isinstance(part, InitVar):
            waiting.append((cast("Any", part).type, names))
        else:
            yield part


def _is_alias(candidate: object) -> bool:
    """By name, as there are two of them: what a `type` statement makes, and `typing_extensions.TypeAliasType`."""
    return type(candidate).__name__ == "TypeAliasType"


def _opened(part: Any, origin: Any, names: Mapping[str, object]) -> tuple[Any, Mapping[str, Any]]:
    """What an alias stands for, its variables substituted, and the names that text in it may use."""
    alias = origin if _is_alias(origin) else part
    try:
        value = alias.__value__
    except Exception:  # noqa: BLE001 (as above)
        value = _value_with_inventions(alias)
    given = [evaluate(argument, names)[0] for argument in get_args(part)]
    variables = bind_variables(getattr(alias, "__type_params__", ()), given)
    return substitute(value, variables), {**names, **module_names(getattr(alias, "__module__", None))}


def _value_with_inventions(alias: object) -> Any:
    """The value of a `type` statement over names that exist for type checkers only.

    It is computed by a function that has no public name, which is run once more with such names invented; the alias
    itself is left alone, as it remembers its value. Where there is no such function nothing is known of the alias.
    """
    try:
        compute = next(found for found in gc.get_referents(alias) if isinstance(found, FunctionType))
        return FunctionType(compute.__code__, _Names(compute.__globals__), closure=compute.__closure__)()
    except Exception:  # noqa: BLE001 (as above)
        return Unknown("")


# -- type variables ----------------------------------------------------------------------------------------------------


def bind_variables(variables: Iterable[object], values: Iterable[object]) -> dict[Any, Any]:
    """What type variables stand for: what they are given in this order, else their defaults. Others are left out."""
    given = list(values)
    bound: dict[Any, Any] = {}
    for position, variable in enumerate(variables):
        if not isinstance(variable, TypeVar):  # `*Ts` and `**P` stay open, and so does what comes after them
            break
        has_default = getattr(variable, "has_default", None)
        if position < len(given):
            bound[variable] = given[position]
        elif has_default is not None and has_default():
            bound[variable] = substitute(getattr(variable, "__default__"), bound)  # noqa: B009 (Python 3.13's)
    return bound


def substitute(annotation: Any, variables: Mapping[object, object]) -> Any:
    """The same annotation with type variables replaced, also within other types; those that stand for nothing stay."""
    if isinstance(annotation, TypeVar):
        return variables.get(annotation, annotation)
    parameters = _parameters(annotation)
    if variables.keys().isdisjoint(parameters):
        return annotation
    values: list[Any] = []
    for parameter in parameters:
        values += parameter if isinstance(parameter, TypeVarTuple) else [variables.get(parameter, parameter)]
    return annotation[tuple(values)]


def _parameters(annotation: object) -> Iterable[Any]:
    """The type variables in a type. A class has none: `Page` is not `Page[T]`, unless pydantic has made it of that."""
    if isinstance(annotation, type):
        parameters: Iterable[Any] = getattr(annotation, "__pydantic_generic_metadata__", {}).get("parameters", ())
    else:
        parameters = getattr(annotation, "__parameters__", ())
    return parameters
