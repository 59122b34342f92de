"""The decorators. They check and record, and return the very object that they were given."""

from collections.abc import Callable, Iterable
from inspect import isfunction
from typing import Any, TypeVar

from interceptors.calling import Decorator, check_words, is_decorated, written
from interceptors.describing import location, name_of
from interceptors.errors import InvalidInterceptorError
from interceptors.kinds import InterceptorOrKey, check_interceptor
from interceptors.metadata import GlobalOptions, metadata_of, record

__all__ = ["annotate", "check_sources", "global_interceptor", "intercept", "skip_interceptors"]

T = TypeVar("T")


@written("@intercept(audit)", "inherit")
def intercept(*interceptors: InterceptorOrKey, inherit: bool = True) -> Callable[[T], T]:
    """Put interceptors around a method, around all methods of a class, or around a function route.

    The first one is outermost. Stacked decorators add up, and a subclass or an override adds to what its base has;
    `inherit=False` starts afresh at this level. Calling the method directly runs none of them. An empty list is a list:
    `@intercept()` adds nothing.

    Raises InvalidInterceptorError for what is no interceptor, WrongCallError without parentheses, InvalidTargetError on
    a property.
    """
    _check_all("@intercept(audit)", interceptors)

    def decorate(target: T) -> T:
        known = metadata_of(target)
        record("intercept", target, intercepts=(interceptors, *known.intercepts), inherit=inherit and known.inherit)
        return target

    return Decorator("@intercept(audit)", decorate, interceptors)


def skip_interceptors(*interceptors: InterceptorOrKey, group: str | Iterable[str] | None = None) -> Callable[[T], T]:
    """Leave out interceptors of this level and of the levels outside it: by object, by key, or globals by group.

    Without arguments everything from further out is left out; an empty list of groups leaves out nothing. A more local
    `@intercept` brings an interceptor back. A key that nothing is bound to is no error: what it names may not be installed.

    Raises InvalidInterceptorError for what is no interceptor, WrongCallError without parentheses, InvalidTargetError on
    a property.
    """
    _check_all("@skip_interceptors(audit)", interceptors)
    groups = () if group is None else check_words(group, "group")
    skips_all = not interceptors and group is None

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

    return Decorator("@skip_interceptors(audit)", decorate, interceptors)


@written('@annotate(roles=["admin"])')
def annotate(**annotations: Any) -> Callable[[T], T]:
    """Give data to interceptors: `@annotate(roles=["admin"])` is `ctx.annotations["roles"]`; method over class over base.

    Raises WrongCallError without parentheses, InvalidTargetError on a property.
    """

    def decorate(target: T) -> T:
        record("annotate", target, annotations={**metadata_of(target).annotations, **annotations})
        return target

    return decorate


@written('@global_interceptor(group="auth")', "group", "key")
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

    Raises InvalidInterceptorError for what is no interceptor, is written inside a class, where it is not looked for, or is
    marked already; WrongCallError without parentheses.
    """
    options = GlobalOptions(
        group=group,
        key=key,
        source=check_sources(source),
        before=check_words(before, "before"),
        after=check_words(after, "after"),
    )
    if key is not None:
        check_interceptor(key)

    def decorate(target: T) -> T:
        problem = _why_not_global(target, options)
        if problem is not None:
            raise InvalidInterceptorError(f"{name_of(target)} ({location(target)}) {problem}", target)
        check_interceptor(target)
        record("global_interceptor", target, global_options=options)
        return target

    return decorate


def check_sources(source: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """The source types that a global is limited to; None for all. Raises WrongCallError."""
    return None if source is None or source == "" else check_words(source, "source")


def _why_not_global(target: object, options: GlobalOptions) -> str | None:
    if not (isinstance(target, type) or isfunction(target)):
        return "is neither a class nor a function; only these can be marked."
    if "." in target.__qualname__.rpartition("<locals>.")[2]:
        return "is written inside a class, where registry.discover does not look; move it to the top of its module."
    if metadata_of(target).global_options not in (None, options):
        return "is marked with @global_interceptor already; take one of the two out."
    return None


def _check_all(example: str, interceptors: tuple[object, ...]) -> None:
    """Raises InvalidInterceptorError for what is none, which is what a bare decorator gets most of the time."""
    for interceptor in interceptors:
        try:
            check_interceptor(interceptor)
        except InvalidInterceptorError as error:
            if len(interceptors) > 1 or not is_decorated(interceptor):
                raise
            hint = f"If {example.partition('(')[0]} stands above it without its parentheses, write `{example}`."
            raise InvalidInterceptorError(f"{error} {hint}", interceptor) from None
