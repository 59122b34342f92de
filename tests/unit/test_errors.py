"""The exceptions and warnings: one class per mistake, also the builtin that fits, facts as attributes."""

import builtins
import inspect
import re

import pytest

from interceptors import errors
from interceptors.errors import (
    GroupOrderError,
    InjectionError,
    InterceptorError,
    InterceptorWarning,
    InvalidInterceptorError,
    InvalidTargetError,
    UnknownHookError,
    UnknownKeyError,
    UnreachedInterceptorError,
)

CLASSES = [thing for thing in vars(errors).values() if inspect.isclass(thing) and thing.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_descends_from_one_of_the_two_bases(cls: type) -> None:
    """Whoever catches InterceptorError, or filters InterceptorWarning, catches all that the library says."""
    assert issubclass(cls, InterceptorError) is not issubclass(cls, InterceptorWarning)


def test_the_module_docstring_draws_the_tree() -> None:
    """The tree in the docstring names every class, and its builtin is what the class descends from."""
    line = re.compile(r"^ {4}(?:[|`]- )?(\w+)(?: \((\w+)\))?", re.MULTILINE)
    drawn = dict(line.findall(errors.__doc__ or ""))

    assert set(drawn) == {cls.__name__ for cls in CLASSES}
    for name, builtin in drawn.items():
        if builtin:
            assert issubclass(getattr(errors, name), getattr(builtins, builtin))


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if issubclass(cls, InterceptorError)])
def test_every_error_is_a_builtin_too(cls: type) -> None:
    """Each error but their base is also the builtin exception that fits, a TypeError or a LookupError for example."""
    general = (object, BaseException, Exception)
    fitting = [base for base in cls.__mro__ if base.__module__ == "builtins" and base not in general]
    assert (cls is InterceptorError) is (fitting == [])


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if issubclass(cls, InterceptorWarning)])
def test_every_warning_is_shown_by_default(cls: type) -> None:
    """Warnings are UserWarnings, which Python shows wherever they come from."""
    assert issubclass(cls, UserWarning)


def test_errors_carry_their_facts() -> None:
    """What a message says in words a handler finds as attributes."""
    thing = object()

    assert InvalidInterceptorError("text", thing).interceptor is thing
    assert InvalidTargetError("text", thing).target is thing
    assert UnreachedInterceptorError("text", thing).endpoint is thing
    injection = InjectionError("text", "Audit", "clock")
    assert (str(injection), injection.owner, injection.parameter) == ("text", "Audit", "clock")
    order = GroupOrderError("text", ["a", "b", "a"])
    assert (str(order), order.cycle) == ("text", ("a", "b", "a"))


def test_an_unknown_key_names_itself_who_asked_and_what_looks_alike() -> None:
    """The message of an UnknownKeyError has the key, who asked, the nearest keys and the remedy, in this order."""
    error = UnknownKeyError("cachign", "@intercept on show", ["caching", "catching", "auth", "caching"], "Bind it.")

    assert (error.key, error.asked_by, list(error.nearest)) == (
        "cachign",
        "@intercept on show",
        ["caching", "catching"],
    )
    assert str(error) == (
        "No key 'cachign' is bound (asked for by @intercept on show). Did you mean 'caching' or 'catching'? Bind it."
    )


def test_an_unknown_key_guesses_nothing_where_nothing_looks_alike() -> None:
    """Without a near key the message leaves the guess out."""
    error = UnknownKeyError("cache", "someone", ["zzz"], "Bind it.")

    assert (list(error.nearest), str(error)) == ([], "No key 'cache' is bound (asked for by someone). Bind it.")


def test_an_unknown_hook_names_what_there_is() -> None:
    """The message of an UnknownHookError has the name, what looks alike, and all that there are."""
    error = UnknownHookError("befor execute", "event", ["before execute", "after execute"])

    assert (error.name, error.nearest[0]) == ("befor execute", "before execute")
    assert str(error) == (
        "There is no event 'befor execute'. Did you mean 'before execute' or 'after execute'? There are: "
        "'before execute', 'after execute'."
    )
    assert str(UnknownHookError("x", "hook", ["loaded"])) == "There is no hook 'x'. There are: 'loaded'."
