"""What a call is called in LoopBack 3: `Customer.find`, `Customer.prototype.patchAttributes`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from interceptors.calling import written
from interceptors.context import InvocationContext
from interceptors.decorators import annotate
from interceptors.describing import check_name, location, name_of
from interceptors.errors import InvalidTargetError
from interceptors.kinds import is_function

__all__ = ["RemoteMethod", "method_of", "remote_method"]

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class RemoteMethod:
    """The method of a remote call, as hooks see it."""

    name: str
    """The last segment: `patchAttributes`."""
    string_name: str
    """The whole name, which patterns match: `Customer.prototype.patchAttributes`."""
    is_static: bool
    """False if the last segment but one is `prototype`."""
    model: str | None
    """The first segment of a controller's method; None for a function route."""


@written('@remote_method("findById")')
def remote_method(name: str) -> Callable[[F], F]:
    """Name a method as LoopBack 3 did: `"findById"`, `"prototype.patchAttributes"`; a function route with its model.

    Raises ValueError for empty segments or `*`, WrongCallError without parentheses, InvalidTargetError on a class.
    """
    check_name(name, "remote method")

    def decorate(target: F) -> F:
        if not is_function(target):
            raise InvalidTargetError(
                f"@remote_method cannot be used on {name_of(target)} ({location(target)}); put it on a method or a "
                f'function. A model is named by `@controller(model="Order")`.',
                target,
            )
        return annotate(remote_method=name)(target)

    return decorate


def method_of(context: type[InvocationContext]) -> RemoteMethod:
    """The remote method that a plan's contexts describe. Raises ValueError for a model's name with a wildcard."""
    name: str = context.annotations.get("remote_method", context.method_name)
    owner = context.target_class
    model: str | None = None
    if owner is not None:
        model = str(
            context.annotations.get("remote_model") or owner.__name__.removesuffix("Controller") or owner.__name__
        )
        name = f"{model}.{name}"
    segments = name.split(".")
    return RemoteMethod(segments[-1], name, segments[-2:-1] != ["prototype"], model)
