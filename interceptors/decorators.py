"""The decorators. They check and record, and return the very object that they were given."""

from collections.abc import Callable, Iterable
from inspect import isfunction
from typing import Any, TypeVar

from interceptors.describing import location, name_of
from interceptors.errors import InvalidInterceptorError
from interceptors.kinds import InterceptorOrKey, check_interceptor
from interceptors.metadata import GlobalOptions, metadata_of, record

__all__ = ["annotate", "global_interceptor", "intercept", "names", "skip_interceptors"]

T = TypeVar("T")


def intercept(*interceptors: InterceptorOrKey, inherit: bool = True) -> Callable[[T], T]:
    """Put interceptors around a method, around all methods of a class, or around a function route.

    The first one is outermost. Stacked decorators add up, and a subclass or an override adds to what its base has;
    `inherit=False` starts afresh at this level. Calling the method directly runs none of them.

    Raises InvalidInterceptorError for what is no interceptor, InvalidTargetError on a property.
    """
    for interceptor in interceptors:
        check_interceptor(interceptor)

    def decorate(target: T) -> T:
        known = metadata_of(target)
        record("intercept", target, intercepts=(interceptors, *known.intercepts), inherit=inherit and known.inherit)
        return target

    return decorate


def skip_interceptors(*interceptors: InterceptorOrKey, group: str | Iterable[str] = ()) -> Callable[[T], T]:
    """Leave out interceptors of this level and of the levels outside it: by object, by key, or globals by group.

    Without arguments everything from further out is left out. A more local `@intercept` brings an interceptor back.
    A key that nothing is bound to is no error: what it names may not be installed.
    """
    for interceptor in interceptors:
        check_interceptor(interceptor)
    groups = names(group)
    skips_all = not interceptors and group == ()

    def decorate(target: T) -> T:
        known = metadata_of(target)
        record(
            "skip_interceptors",
            target,
            skips=(*interceptors, *known.skips),
            skipped_groups=(*groups, *known.skipped_groups),
            skips_all=skips_all or known.skips_all,
        )
        return target

    return decorate


def annotate(**annotations: Any) -> Callable[[T], T]:
    """Give data to interceptors: `@annotate(roles=["admin"])` is `ctx.annotations["roles"]`; method over class over base."""

    def decorate(target: T) -> T:
        record("annotate", target, annotations={**metadata_of(target).annotations, **annotations})
        return target

    return decorate


def global_interceptor(
    group: str = "",
    *,
    key: str | None = None,
    source: str | Iterable[str] | None = None,
    before: str | Iterable[str] = (),
    after: str | Iterable[str] = (),
) -> Callable[[T], T]:
    """Mark a class or function as a global interceptor that `registry.discover(package)` finds.

    The arguments are those of `registry.add_global`. A subclass of a marked class is not marked.
    """
    options = GlobalOptions(
        group=group,
        key=key,
        source=source if source is None or isinstance(source, str) else tuple(source),
        before=names(before),
        after=names(after),
    )

    def decorate(target: T) -> T:
        if not (isinstance(target, type) or isfunction(target)):
            raise InvalidInterceptorError(
                f"{name_of(target)} ({location(target)}) is neither a class nor a function; only these can be marked.",
                target,
            )
        check_interceptor(target)
        record("global_interceptor", target, global_options=options)
        return target

    return decorate


def names(given: str | Iterable[str]) -> tuple[str, ...]:
    """One name or several: `"auth"` is `("auth",)`, not four letters."""
    return (given,) if isinstance(given, str) else tuple(given)
