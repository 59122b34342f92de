"""For people who test their own interceptors: a context without a server, fakes in place, and what ran.

    async def test_audit_keeps_the_result() -> None:
        ctx = make_context({"order_id": 7}, user="alice")
        assert await run_interceptor(audit, ctx, returns="paid") == "paid"

`pytest_plugins = ["interceptors.testing"]` in a conftest.py gives the same as fixtures: `make_context`,
`run_interceptor`, `override_interceptor`, `without_interceptors` and `record_layers`; what a test has overridden is put
back at its end.
"""

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from inspect import Parameter, Signature
from typing import Any

import pytest

from interceptors.chain import fold
from interceptors.context import MISSING, InvocationContext, InvocationSource, current
from interceptors.decorators import annotate
from interceptors.describing import name_of
from interceptors.kinds import InterceptorFunction, InterceptorOrKey, check_interceptor, identity
from interceptors.layers import layer_function
from interceptors.plan import Plan
from interceptors.registry import InterceptorRegistry
from interceptors.target import Target

__all__ = ["make_context", "override", "record", "run_interceptor", "without"]


def make_context(
    args: Mapping[str, Any] | None = None,
    *,
    target: Any = None,
    method: str | None = None,
    source: InvocationSource | None = None,
    request: Any = None,
    response: Any = None,
    user: Any = MISSING,
    annotations: Mapping[str, Any] | None = None,
    bindings: Mapping[str, Any] | None = None,
    registry: InterceptorRegistry | None = None,
) -> InvocationContext:
    """A context as an interceptor gets it, without a server.

    `args` are the arguments of the call. Without `target` (an object and the name of its `method`, or a function) the
    target is a fake that takes them and does nothing. `user` is the current user, `bindings` what outer layers bound.
    """
    registry = registry or InterceptorRegistry()
    if target is None:
        call = Target("target", _fake_target(args or {}, annotations or {}), binds=False)
    else:
        call = Target.of(target, method)
    ctx = Plan(call, (), registry._injector).context_class()
    ctx._target = None if method is None else target
    ctx._source = source
    ctx._request = request
    ctx._response = response
    ctx._keywords = dict(args or {})
    if user is not MISSING:
        ctx.bind_request("current_user", user)
    for key, value in (bindings or {}).items():
        ctx.bind(key, value)
    return ctx


async def run_interceptor(
    interceptor: InterceptorOrKey,
    ctx: InvocationContext | None = None,
    *,
    returns: Any = None,
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
    parts = registry._parts(registry._resolve(interceptor, lambda: "run_interceptor"))
    run = fold([layer_function(part, registry._injector) for part in parts], lambda _: call())
    ctx = ctx or make_context(registry=registry)
    token = current.set(ctx)
    try:
        return await run(ctx)
    finally:
        current.reset(token)


@contextmanager
def override(registry: InterceptorRegistry, interceptor: InterceptorOrKey, fake: InterceptorOrKey) -> Generator[None]:
    """Run `fake` in the place of an interceptor, named by itself or by its key, in every chain of the registry."""
    check_interceptor(fake)
    with _replaced(registry, interceptor, registry._resolve(fake, lambda: "override")):
        yield


@contextmanager
def without(registry: InterceptorRegistry, *interceptors: InterceptorOrKey) -> Generator[None]:
    """Leave interceptors out of every chain of the registry."""
    with ExitStack() as stack:
        for interceptor in interceptors:
            stack.enter_context(_replaced(registry, interceptor, None))
        yield


@contextmanager
def record(registry: InterceptorRegistry) -> Generator[list[str]]:
    """The names of the layers that ran, in the order in which they were entered."""
    ran: list[str] = []

    def watch(interceptor: Any, function: InterceptorFunction) -> InterceptorFunction:
        def run(ctx: Any, next: Any) -> Awaitable[Any]:
            ran.append(name_of(interceptor))
            return function(ctx, next)

        return run

    registry._wrappers.append(watch)
    registry._changed()
    try:
        yield ran
    finally:
        registry._wrappers.remove(watch)
        registry._changed()


@contextmanager
def _replaced(registry: InterceptorRegistry, interceptor: InterceptorOrKey, by: Any) -> Generator[None]:
    key = identity(registry._resolve(interceptor, lambda: "override"))
    before = registry._replaced.get(key, MISSING)
    registry._replaced[key] = by
    registry._changed()
    try:
        yield
    finally:
        if before is MISSING:
            del registry._replaced[key]
        else:
            registry._replaced[key] = before
        registry._changed()


def _fake_target(args: Mapping[str, Any], annotations: Mapping[str, Any]) -> Any:
    async def target(**_: Any) -> None:
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

    def leave_out(registry: InterceptorRegistry, *interceptors: InterceptorOrKey) -> None:
        _entered(without(registry, *interceptors))

    return leave_out


@pytest.fixture
def record_layers(_entered: Any) -> Callable[[InterceptorRegistry], list[str]]:
    """`record`, until the end of the test."""
    return lambda registry: _entered(record(registry))
