"""LoopBack 4, section 1D: the source filter, F39 to F43. All of it applies."""

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from interceptors import InterceptorRegistry, InvocationSource, intercept
from interceptors.fastapi import controller, get, install


def noting(log, name):
    async def interceptor(ctx, next):
        log.append((name, str(ctx.source)))
        return await next()

    return interceptor


class Service:
    async def work(self):
        return "worked"


async def is_run(options, source):
    """Does a global registered with `options` run for this source?"""
    log = []
    registry = InterceptorRegistry()
    registry.add_global(noting(log, "g"), **options)
    told = [c.runs for c in registry.explain(Service, "work", source=source).candidates]
    await registry.invoke(Service(), "work", source=None if source is None else InvocationSource(source))
    assert told == [bool(log)]
    return bool(log)


@pytest.mark.parametrize("source", [None, "job", ("job", "route"), [], ()], ids=repr)
async def test_f39_without_a_source_every_global_runs(source):
    """F39: an invocation without a source gets every global, whatever its source says, even an empty list."""
    assert await is_run({"source": source}, None)


@pytest.mark.parametrize("source", ["job", ("route", "job"), ["job"], {"job"}], ids=repr)
async def test_f40_a_global_for_this_source_runs(source):
    """F40: a global applies if its source is the invocation's source type, or a list that holds it."""
    assert await is_run({"source": source}, "job")


@pytest.mark.parametrize("source", ["jo", "jobs", ("route", "proxy"), [], ()], ids=repr)
async def test_f41_a_global_for_other_sources_does_not_run(source):
    """F41: a source that is another one, a list without it or an empty list excludes the global."""
    assert not await is_run({"source": source}, "job")


async def test_f42_an_empty_source_is_no_filter():
    """F42: `source=""` is the same as none: the global always applies."""
    assert await is_run({"source": ""}, "job")
    assert await is_run({}, "job")


async def test_f43_the_source_types():
    """F43: "route" and "proxy" are built in, any other is the caller's; the filter concerns globals, local ones always run.

    Differs: `str(ctx.source)` of a route is `route GET /hello/{name}`, and a proxy has no resolution path to tell.
    """
    log = []

    @controller()
    class Hello:
        @get("/hello/{name}")
        @intercept(noting(log, "local"))
        async def hello(self, name: str):
            return name

    app, registry = FastAPI(), InterceptorRegistry()
    registry.add_global(noting(log, "for routes"), source="route")
    registry.add_global(noting(log, "for proxies"), source=["proxy", "job"])
    install(app, registry, controllers=[Hello])

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/hello/you")).json() == "you"
    route = "route GET /hello/{name}"
    assert log == [("for routes", route), ("local", route)]
    log.clear()
    await registry.intercepted(Hello()).hello("you")
    assert log == [("for proxies", "proxy"), ("local", "proxy")]
    log.clear()
    await registry.invoke(Hello(), "hello", "you", source=InvocationSource("job", "nightly"))
    assert log == [("for proxies", "job nightly"), ("local", "job nightly")]
    with pytest.raises(TypeError, match="InvocationSource"):
        await registry.invoke(Hello(), "hello", "you", source="job")
