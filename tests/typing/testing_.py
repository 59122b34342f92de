"""The types of `interceptors.testing`."""

from contextlib import AbstractContextManager
from typing import Any, assert_type

from interceptors import InterceptorRegistry, InvocationContext, InvocationSource, Next, compose
from interceptors.testing import make_context, override, record, run_interceptor, without


async def log(ctx: InvocationContext, next: Next) -> object:
    return await next()


class Service:
    async def work(self, order_id: int) -> str:
        return ""


async def target() -> str:
    return "result"


def contexts(registry: InterceptorRegistry) -> None:
    assert_type(make_context(), InvocationContext)
    ctx = make_context(
        {"order_id": 5},
        target=Service(),
        method="work",
        source=InvocationSource("job"),
        request=object(),
        response=None,
        user="alice",
        annotations={"role": "admin"},
        bindings={"tenant": 5},
        registry=registry,
    )
    assert_type(ctx, InvocationContext)
    make_context({5: "order_id"})  # type: ignore[dict-item]
    make_context(source="job")  # type: ignore[arg-type]


async def running(registry: InterceptorRegistry, ctx: InvocationContext) -> None:
    assert_type(await run_interceptor(log), Any)
    assert_type(await run_interceptor(log, ctx, returns=5), Any)
    assert_type(await run_interceptor("caching", raises=ValueError(), registry=registry), Any)
    assert_type(await run_interceptor(compose(log), target=target), Any)
    await run_interceptor(5)  # type: ignore[arg-type]
    await run_interceptor(log, raises="error")  # type: ignore[arg-type]


def replacing(registry: InterceptorRegistry) -> None:
    with override(registry, log, "fake") as nothing, without(registry, log, "caching") as also_nothing:
        assert_type(nothing, None)
        assert_type(also_nothing, None)
    with record(registry) as ran:
        assert_type(ran, list[str])
    manager: AbstractContextManager[list[str], bool | None] = record(registry)
    assert_type(manager.__enter__(), list[str])
    override(registry, log)  # type: ignore[call-overload]
    override(registry, log, 5)  # type: ignore[call-overload]
    override(registry, fake=log, group="audit")
    without(log)  # type: ignore[arg-type]
