"""Public functions that say how they are written when they are called wrongly, decorators without parentheses above all.

Python's own words ("takes 0 positional arguments but 1 was given") do not, and a decorator factory that is used bare would
take what it decorates for its argument and put a function of its own in the place.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar, Union, final, get_args, get_origin

from interceptors.describing import location, name_of, nearest
from interceptors.errors import WrongCallError

__all__ = ["Decorator", "check_not_bare", "check_words", "is_decorated", "written"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def written(example: str, *checked: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Refuse wrong calls of a function with a WrongCallError that shows how it is written.

    Looked at are the number and names of the arguments, and whether those of the parameters that have no default, or are
    named in `checked`, are of the class they are annotated with. `{}` in the example stands for the object of a method.
    It costs microseconds, so it is for what runs when an application is put together.

    >>> @written('@get("/path")')
    ... def get(path: str, *, tags: list[str] | None = None): ...
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            problem = _problem(signature, checked, args, kwargs)
            if problem is not None:
                _refuse(function, example, problem, args, kwargs)
            return function(*args, **kwargs)

        return call

    return wrap


def check_words(given: object, parameter: str) -> tuple[str, ...]:
    """One name or several: `"auth"` is `("auth",)`, not four letters. Raises WrongCallError for anything else."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, bytes | bytearray):
        try:
            words: tuple[Any, ...] = tuple(given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        except TypeError:
            words = (given,)
        if all(isinstance(word, str) for word in words):
            return words
    raise WrongCallError(
        f'`{parameter}` takes a name or several names, not {_described(given)}. Write `{parameter}="name"` or '
        f'`{parameter}=["one", "other"]`.',
        given,
    )


def is_decorated(thing: object) -> bool:
    """May it be what a bare decorator stands above?"""
    return inspect.isroutine(thing) or isinstance(thing, type | property | staticmethod | classmethod)


@final
class Decorator:
    """What `@intercept(...)` gives: called with one thing, it decorates it.

    An object and no function, because `intercept` cannot always tell `@intercept` above `async def f(a, b)` from
    `intercept(audit)`. So what would be a function of ours in the place of theirs says what it is wherever it is met: where
    it is called, where FastAPI reads its signature, and in the class in which it stands.
    """

    def __init__(self, example: str, decorate: Callable[[Any], Any], given: tuple[object, ...]) -> None:
        self._example = example
        self._decorate = decorate
        self._given = given

    if TYPE_CHECKING:

        def __call__(self, target: T, /) -> T: ...

    else:

        def __call__(self, *targets: Any, **options: Any) -> Any:
            if len(targets) != 1 or options:
                self._refuse()
            return self._decorate(targets[0])

    def __set_name__(self, owner: type, name: str) -> None:
        # A decorator may be kept in a class under a name of its own; one that was given what is written there may not.
        given = self._given[0] if len(self._given) == 1 else None
        if getattr(given, "__qualname__", None) == f"{owner.__qualname__}.{name}":
            self._refuse()

    @property
    def __signature__(self) -> Signature:
        # Asked for by FastAPI when it makes a route or a dependency of it.
        self._refuse()

    def __repr__(self) -> str:
        return f"<decorator {self._example.partition('(')[0]}({', '.join(map(name_of, self._given))})>"

    def _refuse(self) -> NoReturn:
        about = ", ".join(f"{name_of(each)} ({location(each)})" for each in self._given)
        raise WrongCallError(
            f"{self._example.partition('(')[0]}(...) was given {about or 'nothing'} and is a decorator: it takes the one "
            f"thing that it decorates. If it stands above that without parentheses, write `{self._example}`.",
            self._given[0] if self._given else None,
        )


def check_not_bare(thing: object) -> None:
    """Raises WrongCallError for what a decorator that was used without its parentheses has put in the place of a thing."""
    if isinstance(thing, Decorator):
        thing._refuse()


def _refuse(
    function: Callable[..., object], example: str, problem: str, args: tuple[object, ...], kwargs: dict[str, Any]
) -> NoReturn:
    is_method = next(iter(inspect.signature(function).parameters), "") == "self"
    shown = example.format(*args[:1]) if is_method else example
    given = args[is_method:]
    name = shown.partition("(")[0]
    if name.startswith("@") and len(given) == 1 and not kwargs and is_decorated(given[0]) and "(" in shown:
        problem = f"stands without its parentheses above {name_of(given[0])} ({location(given[0])})"
    raise WrongCallError(f"{name} {problem}. Write `{shown}`.", given[0] if given else None)


def _problem(
    signature: Signature, checked: tuple[str, ...], args: tuple[object, ...], kwargs: dict[str, Any]
) -> str | None:
    """What is wrong with a call, in words that follow the function's name."""
    parameters = signature.parameters
    unknown = [name for name in kwargs if name not in parameters]
    if unknown and not any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
        near = nearest(unknown[0], parameters)
        return f"does not take {unknown[0]!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        return f"is called wrongly: {str(error).replace('positional ', '')}"
    for name, value in given.items():
        parameter = parameters[name]
        is_needed = parameter.default is Parameter.empty and parameter.kind is not Parameter.VAR_KEYWORD
        if name == "self" or not (name in checked or is_needed):
            continue
        for each in value if parameter.kind is Parameter.VAR_POSITIONAL else (value,):
            if not _fits(each, parameter.annotation):
                return f"takes {_kinds(parameter.annotation)} as {name!r}, not {_described(each)}"
    return None


def _fits(value: object, annotation: object) -> bool:
    """Is it what the annotation says? Only the plain ones are looked at."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(annotation))
    if origin is Literal:
        return type(value) in {type(each) for each in get_args(annotation)}
    if origin is type:
        return isinstance(value, type)
    return isinstance(value, annotation) if isinstance(annotation, type) and annotation is not Any else True


def _kinds(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_kinds(each) for each in get_args(annotation))
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(repr, get_args(annotation)))}"
    if annotation is type or get_origin(annotation) is type:
        return "a class"
    return {str: "a text", type(None): "None"}.get(annotation) or _article(annotation.__name__)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _described(given: object) -> str:
    if get_origin(given) is not None:
        return f"{given!r}, which is no class of its own: write `class Mine({name_of(get_origin(given))}[...])`"
    if is_decorated(given):
        return f"{name_of(given)} ({location(given)})"
    return repr(given) if isinstance(given, str | bytes | int | float | None) else _article(type(given).__name__)
