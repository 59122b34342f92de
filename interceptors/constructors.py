"""Classes whose instances are made for an invocation: what can never work about them is refused at start-up.

A marker that nobody looks at is an object, and an object is true: `if self.user` would let everybody in.
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from inspect import Parameter
from typing import Any, final

from dependency_injector import providers

from interceptors.annotations import evaluate, module_names, parts
from interceptors.describing import location, name_of
from interceptors.errors import InjectionError, InvalidInterceptorError, InvalidTargetError
from interceptors.signatures import TargetSignature, is_fastapi_marker, read_constructor, read_function
from interceptors.undocumented import is_marker

__all__ = [
    "Attribute",
    "check_attributes",
    "check_constructor",
    "check_instance",
    "check_provider",
    "leading",
    "marked_attributes",
]


@final
@dataclass(frozen=True, slots=True)
class Attribute:
    """A class attribute that is a marker, or is annotated with one."""

    name: str
    marker: Any
    annotation: Any
    base: type
    """Where it is written."""


def check_constructor(cls: type, role: str) -> TargetSignature:
    """What the constructor of a class takes, if we can build it.

    Raises InjectionError for a parameter or an attribute that nothing will give, InvalidTargetError for an abstract
    controller and InvalidInterceptorError for an abstract interceptor.
    """
    _check_concrete(cls, role)
    signature = read_constructor(cls)
    for parameter in signature.visible:
        if parameter.kind in _VARIABLE:
            continue
        if parameter.name in signature.foreign:
            how = "FastAPI's Depends works in a method's parameters, not in this constructor"
        elif parameter.default is Parameter.empty:
            how = "nothing gives it"
        else:
            continue
        raise InjectionError(
            f"The constructor parameter {parameter.name!r} of the {role} {_named(cls)} cannot be injected: "
            f'{how}. Annotate it `Annotated[T, Provide["key"]]` or give it a default.',
            name_of(cls),
            parameter.name,
        )
    _check_hidden(cls, role, signature)
    _check_agreement(cls, role, signature)
    check_attributes(cls, role, [injected.parameter for injected in signature.injected])
    return signature


def check_provider(provider: Any, role: str, owner: type | None = None) -> None:
    """What a provider will make, if it says so; `owner` is the class that its instances stand for.

    Raises what `check_constructor` raises.
    """
    if provider.overridden:
        provider = provider.overridden[-1]
    if not isinstance(provider, _MAKERS) or isinstance(provider, _TO_BE_OVERRIDDEN):
        if owner is not None:
            check_attributes(owner, role)
        return
    cls = provider.provides
    if isinstance(cls, type):
        _check_concrete(cls, role)
        _check_given(cls, role, provider)
        attributes = [Parameter(name, Parameter.KEYWORD_ONLY) for name in provider.attributes]
        check_attributes(cls, role, [*read_constructor(cls).parameters, *attributes])


def check_instance(instance: object, role: str, attributes: Mapping[str, Attribute]) -> None:
    """An object that the caller has built, and the `marked_attributes` of its class.

    Raises InjectionError for one that is still a marker, or not there.
    """
    for name, attribute in attributes.items():
        value = inspect.getattr_static(instance, name, attribute.marker)
        if inspect.ismemberdescriptor(value):  # of `__slots__`
            value = getattr(instance, name, attribute.marker)
        if _is_marker(value):
            raise _left_alone(type(instance), role, attribute)


_VARIABLE = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_MAKERS = (providers.Factory, providers.BaseSingleton)
_TO_BE_OVERRIDDEN = (providers.AbstractFactory, providers.AbstractSingleton)


# -- classes -----------------------------------------------------------------------------------------------------------


def _named(thing: object) -> str:
    return f"{name_of(thing)} ({location(thing)})"


def _check_concrete(cls: type, role: str) -> None:
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        what = f"is abstract: nothing implements {', '.join(map(repr, missing))}"
    elif any(base.__name__ == "Protocol" and base.__module__.startswith("typing") for base in cls.__bases__):
        what = "is a Protocol, which has no instances"
    else:
        return
    if role == "interceptor":
        remedy = "Implement it in a subclass and use that, or give an instance or a provider."
        raise InvalidInterceptorError(f"The interceptor {_named(cls)} {what}. {remedy}", cls)
    remedy = f"Implement it in a subclass and register that, or say what gives the instances: create_router({cls.__name__}, registry, provider=...)."
    raise InvalidTargetError(f"The {role} {_named(cls)} {what}. {remedy}", cls)


def _check_given(cls: type, role: str, provider: Any) -> None:
    """What a provider passes to a class: all that it needs, and nothing is left at a default that is a marker."""
    signature = read_constructor(cls)
    try:
        given = inspect.Signature(signature.parameters).bind(*provider.args, **provider.kwargs).arguments
    except TypeError as error:
        problem, name = f"{error}", ""
    else:
        ignored = (
            parameter
            for parameter in signature.parameters
            if _is_marker(parameter.default) and parameter.name not in given
        )
        found = next(ignored, None)
        # `@inject` gives what is marked.
        if found is None or hasattr(inspect.getattr_static(cls, "__init__"), "__wrapped__"):
            return
        problem, name = f"its parameter {found.name!r} stays the marker {type(found.default).__name__}", found.name
    raise InjectionError(
        f"The provider of the {role} {_named(cls)} does not give what its constructor needs: {problem}. Name it at the "
        f"provider, `Factory({cls.__name__}, name=...)`, or use the class itself, whose parameters are injected.",
        name_of(cls),
        name,
    )


# -- constructors ------------------------------------------------------------------------------------------------------


def _check_hidden(cls: type, role: str, signature: TargetSignature) -> None:
    """A constructor with `*args` or `**kwargs` shows nothing of what those that it passes them to would be given."""
    shown = {parameter.name for parameter in signature.parameters}
    variable = [parameter for parameter in signature.parameters if parameter.kind in _VARIABLE]
    inits = [init for init in (vars(base).get("__init__") for base in cls.__mro__) if inspect.isfunction(init)]
    for init in inits if variable else ():
        behind = read_function(init, skip=1)
        for injected in behind.injected:
            name = injected.parameter.name
            if name not in shown:
                taken = ", ".join(str(parameter.replace(annotation=Parameter.empty)) for parameter in variable)
                raise InjectionError(
                    f"The constructor of the {role} {_named(cls)} takes `{taken}`, which hides the parameter {name!r} of "
                    f"{_named(init)}: nothing would be injected. Write it in the constructor of {name_of(cls)}, too.",
                    name_of(cls),
                    name,
                )
        if not any(parameter.kind in _VARIABLE for parameter in behind.parameters):
            break  # what is further in is its own to give


def leading(signature: TargetSignature) -> list[Parameter]:
    """The parameters that are given by position: those up to the last injected one that is positional-only."""
    injected = {injected.parameter.name for injected in signature.injected}
    found = [parameter for parameter in signature.parameters if parameter.kind is Parameter.POSITIONAL_ONLY]
    while found and found[-1].name not in injected:
        found.pop()
    return found


def _check_agreement(cls: type, role: str, signature: TargetSignature) -> None:
    """Python passes the same arguments to `__new__` and to `__init__`."""
    names = [injected.parameter.name for injected in signature.injected]
    by_position = [parameter.name for parameter in leading(signature)]
    by_name = dict.fromkeys(name for name in names if name not in by_position)
    for name in ("__new__", "__init__") if type(cls).__call__ is type.__call__ else ():
        function = inspect.getattr_static(cls, name)
        function = getattr(function, "__func__", function)
        try:
            if inspect.isfunction(function):
                inspect.signature(function).bind(cls, *by_position, **by_name)
        except TypeError as error:
            raise InjectionError(
                f"The {role} {_named(cls)} cannot be built: {_named(function)} {error}. Python passes the same arguments "
                f"to `__new__` and `__init__`; give them the same parameters.",
                name_of(cls),
                name,
            ) from None


# -- attributes --------------------------------------------------------------------------------------------------------


def _is_marker(candidate: object) -> bool:
    return is_marker(candidate) or is_fastapi_marker(candidate)


def marked_attributes(cls: type) -> dict[str, Attribute]:
    """The attributes of a class that are markers, or are annotated with one; as the nearest class in the MRO has them."""
    found: dict[str, Attribute] = {}
    values: set[str] = set()
    annotated: set[str] = set()
    for base in cls.__mro__:
        own, annotations = vars(base), inspect.get_annotations(base)
        for name, value in own.items():
            if name not in values and _is_marker(value):
                found.setdefault(name, Attribute(name, value, annotations.get(name), base))
        names = {**module_names(base.__module__), **own}
        for name, annotation in annotations.items():
            meant, _ = evaluate(annotation, names)
            marker = None if isinstance(meant, InitVar) else next(filter(_is_marker, parts(meant, names)), None)
            if marker is not None and name not in values | annotated:
                found.setdefault(name, Attribute(name, marker, annotation, base))
        values |= own.keys()
        annotated |= annotations.keys()
    return found


def check_attributes(cls: type, role: str, given: Iterable[Parameter] | None = None) -> None:
    """Raises InjectionError for a marked attribute that no parameter sets which is `given` to the constructor.

    That is one of the same name, or of the same annotation; any will do where it is not said which are given.
    """
    parameters = read_constructor(cls).parameters if given is None else list(given)
    names = {parameter.name for parameter in parameters}
    for attribute in marked_attributes(cls).values():
        is_set = any(
            attribute.annotation is not None and parameter.annotation == attribute.annotation
            for parameter in parameters
        )
        if not (is_set or attribute.name in names or attribute.name.lstrip("_") in names):
            raise _left_alone(cls, role, attribute)


def _left_alone(cls: type, role: str, attribute: Attribute) -> InjectionError:
    name, base = attribute.name, attribute.base
    inherited = "" if base is cls else f", inherited from {_named(base)},"
    kind = type(attribute.marker).__name__
    if is_marker(attribute.marker):
        remedy = f"Take it in the constructor: `def __init__(self, {name}: Annotated[T, {attribute.marker!r}]) -> None`"
    elif role == "interceptor":
        remedy = f'Take it in the constructor: `def __init__(self, {name}: Annotated[T, Provide["{name}"]]) -> None`'
    else:
        remedy = f"Take it as a parameter of the methods: `{name}: Annotated[T, {kind}(...)]`"
    return InjectionError(
        f"The attribute {name!r} of the {role} {_named(cls)}{inherited} is marked `{kind}`, but attributes are not "
        f"injected: it would be the marker itself, which is always true, or not be there. {remedy}.",
        name_of(cls),
        name,
    )
