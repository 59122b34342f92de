"""What the tests of remoting hooks share: calls that are remote without a server, and warnings as they are given."""

import warnings
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from interceptors import InterceptorRegistry, InvocationContext, InvocationSource
from interceptors.remoting import RemoteHooks
from interceptors.testing import make_context, run_interceptor

REMOTE = InvocationSource("route")


def context(name: str = "User.find", **options: Any) -> InvocationContext:
    """The context of a remote call whose name is `name`."""
    annotations = {"remote_method": name, **options.pop("annotations", {})}
    return make_context(source=REMOTE, annotations=annotations, **options)


async def call(
    hooks: RemoteHooks,
    name: str = "User.find",
    *,
    ctx: InvocationContext | None = None,
    target: Callable[[], Awaitable[Any]] | None = None,
    returns: Any = "found",
    raises: BaseException | None = None,
) -> Any:
    """A remote call of a fake method that returns or raises what it is told."""
    return await run_interceptor(hooks, ctx or context(name), returns=returns, raises=raises, target=target)


async def invoke(hooks: Any, target: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
    """A remote call of a method of an object, through a registry whose only global is `hooks`."""
    registry = InterceptorRegistry()
    registry.add_global(hooks)
    return await registry.invoke(target, method, *args, source=REMOTE, **kwargs)


@contextmanager
def warned() -> Generator[list[warnings.WarningMessage]]:
    """The warnings that were given inside, each of them, in order."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def texts(caught: list[warnings.WarningMessage]) -> list[str]:
    """What was warned."""
    return [str(warning.message) for warning in caught]
