"""For people who test their own interceptors: a context without a server, fakes in place, and what ran.

    async def test_audit_keeps_the_result() -> None:
        ctx = make_context({"order_id": 7}, user="alice")
        assert await run_interceptor(audit, ctx, returns="paid") == "paid"

`pytest_plugins = ["interceptors.testing"]` in a conftest.py gives the same as fixtures: `make_context`,
`run_interceptor`, `override_interceptor`, `without_interceptors` and `record_layers`; what a test has overridden is put
back at its end.
"""

from collections.abc import Awaitable, Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from inspect import Parameter, Signature
from typing import Any, overload
from urllib.parse import unquote

import pytest

from interceptors.calling import check_words, written
from interceptors.candidates import identities_in, make_part
from interceptors.chain import fold
from interceptors.compiler import Layer, Replacement, layers_of, resolver
from interceptors.context import MISSING, InvocationContext, InvocationSource, Running
from interceptors.decorators import annotate
from interceptors.describing import location, name_of, suggest
from interceptors.entry import Entry
from interceptors.errors import NothingReplacedError, WrongCallError
from interceptors.kinds import InterceptorFunction, InterceptorOrKey, check_interceptor, identity
from interceptors.plan import Plan
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["make_context", "override", "record", "run_interceptor", "without"]


def make_context(
    args: Mapping[str, Any] | None = None,
    *,
    target: object = None,
    method: str | None = None,
    source: InvocationSource | None = None,
    request: object = None,
    response: object = None,
    user: object = MISSING,
    annotations: Mapping[str, Any] | None = None,
    bindings: Mapping[str, Any] | None = None,
    registry: InterceptorRegistry | None = None,
    verb: str | None = None,
    path: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> InvocationContext:
    """A context as an interceptor gets it, without a server.

    `args` are the arguments of the call. Without `target` (an object and the name of its `method`, or a function) the
    target is a fake that takes them and does nothing. `user` is the current user, `bindings` what outer layers bound.
    With `verb`, `path` (it may have a query string) or `headers` there are a request and a response as on a route.
    Raises WrongCallError.
    """
    mappings: dict[str, Any] = {"args": args, "annotations": annotations, "bindings": bindings, "headers": headers}
    for name, given in mappings.items():
        if given is not None and not isinstance(given, Mapping):
            example = 'make_context({"order_id": 7}, headers={"x-user": "ada"})'
            raise WrongCallError(f"make_context takes a mapping as {name!r}, not {given!r}. Write `{example}`.", given)
    if method is not None and target is None:
        raise WrongCallError(
            f"make_context was given the method {method!r} without its `target`. For the verb of a request write "
            f"`verb={method!r}`.",
            method,
        )
    registry = registry or InterceptorRegistry()
    if target is None:
        call = Target("target", _fake_target(args or {}, annotations or {}), binds=False)
    else:
        call = Target.of(target, method)
    # Not an entry's: what is tested is one interceptor, so the target has no chain that could be wrong.
    ctx = Plan(call, (), registry.registrations.injector, source).context_class()
    ctx._target = None if method is None else target
    if request is None and (verb, path, headers) != (None, None, None):
        request, response = _http(verb or "GET", path or "/", headers or {}, response)
    ctx._request = request
    ctx._response = response
    ctx._keywords = dict(args or {})
    if user is not MISSING:
        ctx.bind_request("current_user", user)
    for key, value in (bindings or {}).items():
        ctx.bind(key, value)
    return ctx


@written("run_interceptor(audit, ctx)", "ctx", "registry")
async def run_interceptor(
    interceptor: InterceptorOrKey,
    ctx: InvocationContext | None = None,
    *,
    returns: object = None,
    raises: BaseException | None = None,
    target: Callable[[], Awaitable[Any]] | None = None,
    registry: InterceptorRegistry | None = None,
) -> Any:
    """Run one interceptor around a fake target that returns or raises what it is told, or around `target()`.

    A class gets its constructor's parameters, and a key is resolved, through `registry`.
    """
    registry = registry or InterceptorRegistry()

    async def fake() -> Any:
        if raises is not None:
            raise raises
        return returns

    call = target or fake
    layers = layers_of(registry.registrations, interceptor, lambda: "run_interceptor")
    run = fold([function for _, function in layers], lambda _: call())
    ctx = ctx or make_context(registry=registry)
    with Running(ctx):  # not `entry.run`: this chain is not the one of the context's target
        return await run(ctx)


@overload
def override(
    registry: InterceptorRegistry, interceptor: InterceptorOrKey, fake: InterceptorOrKey
) -> AbstractContextManager[None]: ...
@overload
def override(registry: InterceptorRegistry, *, fake: InterceptorOrKey, group: str) -> AbstractContextManager[None]: ...
@written("override(registry, audit, fake)")
@contextmanager
def override(
    registry: InterceptorRegistry,
    interceptor: "InterceptorOrKey | None" = None,
    fake: "InterceptorOrKey | None" = None,
    *,
    group: str | None = None,
) -> Generator[None]:
    """Run `fake` in the place of an interceptor in every chain of the registry; of all globals of a `group` together.

    The interceptor is named by itself or by its key. Of two overrides of one the later counts, and each ends for
    itself, in whatever order. Raises UnknownKeyError, and NothingReplacedError if there is no such group or, at the
    end, if the interceptor is in no chain.
    """
    if fake is None or (interceptor is None) is (group is None):
        raise TypeError("Write override(registry, interceptor, fake), or override(registry, fake=fake, group=name).")
    check_interceptor(fake)
    registry.resolve(fake, lambda: "override")
    with ExitStack() as stack:
        first, *others = [interceptor] if interceptor is not None else _in_group(registry, group)
        stack.enter_context(_replaced(registry, first, fake))
        for other in others:
            stack.enter_context(_replaced(registry, other, None))
        yield


@written("without(registry, audit)")
@contextmanager
def without(
    registry: InterceptorRegistry, *interceptors: InterceptorOrKey, group: str | Iterable[str] = ()
) -> Generator[None]:
    """Leave interceptors, or the globals of one or more groups, out of every chain of the registry.

    Raises UnknownKeyError, and NothingReplacedError if there is no such group or, at the end, if one is in no chain.
    """
    left_out = [*interceptors, *(each for name in check_words(group, "group") for each in _in_group(registry, name))]
    if not left_out:
        raise TypeError("Write without(registry, interceptor), or without(registry, group=name).")
    with ExitStack() as stack:
        for interceptor in left_out:
            stack.enter_context(_replaced(registry, interceptor, None))
        yield


@written("record(registry)")
@contextmanager
def record(registry: InterceptorRegistry) -> Generator[list[str]]:
    """The names of the layers that ran, in the order in which they were entered."""
    ran: list[str] = []

    def noting(name: str, function: InterceptorFunction) -> InterceptorFunction:
        def run(ctx: Any, next: Any) -> Awaitable[Any]:
            ran.append(name)
            return function(ctx, next)

        return run

    def observer(target: Target, source_type: str | None, layers: Sequence[Layer]) -> list[InterceptorFunction]:
        return [
            layer.function if layer.part is None else noting(name_of(layer.part), layer.function) for layer in layers
        ]

    with registry.observe(observer):
        yield ran


@contextmanager
def _replaced(
    registry: InterceptorRegistry, interceptor: InterceptorOrKey, by: "InterceptorOrKey | None"
) -> Generator[None]:
    same = identity(registry.resolve(interceptor, lambda: "override"))
    replacement = Replacement(same, by, is_used=same in _of_globals(registry))
    with registry.replacing(replacement):
        yield
    if not (replacement.is_used or any(same in _of_chain(entry) for entry in registry.doors.all())):
        name = name_of(interceptor)
        raise NothingReplacedError(
            f"{name} ({location(interceptor)}) is in no chain of the registry, so nothing was replaced. Name the very "
            f'object that is declared, or its key: `override(registry, "auth", fake)`.',
            name,
        )


def _in_group(registry: InterceptorRegistry, group: "str | None") -> list[InterceptorOrKey]:
    found = [entry.interceptor for entry in registry.registrations.globals if entry.group == group]
    if not found:
        known = [entry.group for entry in registry.registrations.globals]
        raise NothingReplacedError(
            f"No global interceptor is in the group {group!r}.{suggest(str(group), known)}", str(group)
        )
    return found


def _of_globals(registry: InterceptorRegistry) -> Iterator[Hashable]:
    """What runs as a global somewhere: each, and what a `Chain` is made of."""
    for entry in registry.registrations.globals:
        part = make_part(entry.interceptor, lambda: "a global interceptor", resolver(registry.registrations))
        yield from identities_in(part)


def _of_chain(entry: Entry) -> Iterator[Hashable]:
    """What a known chain is made of, whether it has run since or not."""
    for candidate in entry.explain().chain:
        yield from identities_in(candidate)


def _http(verb: str, path: str, headers: Mapping[str, str], response: object) -> tuple[Any, Any]:
    from starlette.requests import Request  # noqa: PLC0415 (only here a web framework is needed)
    from starlette.responses import Response  # noqa: PLC0415

    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": verb.upper(),
        "scheme": "http",
        "server": ("testserver", 80),
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "state": {},
    }
    return Request(scope), Response() if response is None else response


def _fake_target(args: Mapping[str, object], annotations: Mapping[str, object]) -> Any:
    async def target(**_: object) -> None:
        """Does nothing."""

    target.__signature__ = Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in args])  # type: ignore[attr-defined]
    return annotate(**annotations)(target)


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(name="make_context")
def _make_context() -> Callable[..., InvocationContext]:
    return make_context


@pytest.fixture(name="run_interceptor")
def _run_interceptor() -> Callable[..., Awaitable[Any]]:
    return run_interceptor


@pytest.fixture
def _entered() -> Iterator[Callable[[AbstractContextManager[Any]], Any]]:
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def override_interceptor(_entered: Any) -> Callable[[InterceptorRegistry, InterceptorOrKey, InterceptorOrKey], None]:
    """`override`, until the end of the test."""
    return lambda registry, interceptor, fake: _entered(override(registry, interceptor, fake))


@pytest.fixture
def without_interceptors(_entered: Any) -> Callable[..., None]:
    """`without`, until the end of the test."""

    def leave_out(
        registry: InterceptorRegistry, *interceptors: InterceptorOrKey, group: str | Iterable[str] = ()
    ) -> None:
        _entered(without(registry, *interceptors, group=group))

    return leave_out


@pytest.fixture
def record_layers(_entered: Any) -> Callable[[InterceptorRegistry], list[str]]:
    """`record`, until the end of the test."""
    return lambda registry: _entered(record(registry))
