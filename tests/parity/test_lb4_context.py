"""LoopBack 4, section 1F: the invocation context, F62 to F73.

| rule | what does not apply, and why |
|---|---|
| F62, F72 | Making and closing a context: the library does both, and there is nothing to close. |
| F66 | `.prototype.`: Python's own form is `OrderController.show`. |
| F69 | `invokeTargetMethod`: see F53. |
| F71 | Views, subscriptions, configuration, parents: the container's, or none; what remains is `bind` and `get`. |
"""

import gc

import anyio
import pytest
from dependency_injector import containers, providers

from interceptors import (
    InterceptorRegistry,
    InvalidTargetError,
    InvocationContext,
    InvocationSource,
    UnknownKeyError,
    annotate,
    intercept,
)

SEEN = []


async def sees(ctx, next):
    SEEN.append(ctx)
    return await next()


async def sees_too(ctx, next):
    SEEN.append(ctx)
    return await next()


@intercept(sees)
@annotate(roles=["user"], area="shop")
class Service:
    @annotate(roles=["admin"])
    async def work(self, number=1):
        return number

    @staticmethod
    async def static():
        return "static"

    @classmethod
    async def of_class(cls):
        return "class"


class Sub(Service):
    """Inherits everything."""


@pytest.fixture(autouse=True)
def seen():
    SEEN.clear()
    return SEEN


async def test_f62_interceptors_get_an_invocation_context(seen):
    """F62: every invocation has an InvocationContext of its own, the same one in all of its layers and in the target."""

    class Asks:
        @intercept(sees, sees_too)
        async def work(self, ctx: InvocationContext):
            return ctx

    registry = InterceptorRegistry()
    first, second = await registry.invoke(Asks(), "work"), await registry.invoke(Asks(), "work")
    assert seen == [first, first, second, second]
    assert first is not second
    assert all(isinstance(ctx, InvocationContext) for ctx in seen)


async def test_f63_the_target(seen):
    """F63: `ctx.target` is the object for an instance method, the class for static and class methods.

    Differs: a static method that is invoked on an object has that object; for a function route it is the function (F87).
    """
    service, registry = Service(), InterceptorRegistry()
    await registry.invoke(service, "work")
    await registry.invoke(Service, "static")
    await registry.invoke(Service, "of_class")
    assert [ctx.target for ctx in seen] == [service, Service, Service]


async def test_f64_method_arguments_and_source(seen):
    """F64: the context tells the method's name, the arguments and who started the call."""
    source = InvocationSource("job", 7)
    await InterceptorRegistry().invoke(Service(), "work", 5, source=source)
    await InterceptorRegistry().invoke(Service(), "work")
    assert [(ctx.method_name, ctx.args["number"], ctx.source) for ctx in seen] == [
        ("work", 5, source),
        ("work", 1, None),
    ]
    for name in ("args", "source", "target", "request", "response"):
        with pytest.raises(AttributeError):
            setattr(seen[0], name, None)


async def test_f65_the_class_of_the_target(seen):
    """F65: `ctx.target_class` is the class of the object, or the class itself."""
    registry = InterceptorRegistry()
    await registry.invoke(Sub(), "work")
    await registry.invoke(Sub, "static")
    await registry.invoke(Sub, "of_class")
    assert [ctx.target_class for ctx in seen] == [Sub, Sub, Sub]


async def test_f66_the_name_of_the_target(seen):
    """F66: `ctx.target_name` is the class and the method: `Sub.work`."""
    registry = InterceptorRegistry()
    await registry.invoke(Sub(), "work")
    await registry.invoke(Sub, "static")
    assert [ctx.target_name for ctx in seen] == ["Sub.work", "Sub.static"]


async def test_f67_a_context_describes_itself(seen):
    """F67: a context's string form has the source and the target, or only the target where there is no source."""
    registry = InterceptorRegistry()
    await registry.invoke(Service(), "work", source=InvocationSource("job", "nightly"))
    await registry.invoke(Service(), "work")
    with_source, without = map(str, seen)
    assert "Service.work" in with_source
    assert "job nightly" in with_source
    assert "Service.work" in without
    assert "None" not in without


async def test_f68_the_method_has_to_exist(seen):
    """F68: a method that does not exist is an error that names it."""
    with pytest.raises(InvalidTargetError, match="Service.*'nope'") as caught:
        await InterceptorRegistry().invoke(Service(), "nope")
    assert caught.value.target is Service
    with pytest.raises(InvalidTargetError, match="nope"):
        InterceptorRegistry().explain(Service, "nope")
    assert seen == []


async def test_f70_the_list_can_be_looked_at(seen):
    """F70: an interceptor can find out what the chain around it is.

    Differs: with `registry.explain(ctx.target_class, ctx.method_name, ctx.source)`.
    """
    registry = InterceptorRegistry()
    told = []

    async def explains(ctx, next):
        explanation = registry.explain(ctx.target_class, ctx.method_name, ctx.source)
        told.extend(candidate.interceptor for candidate in explanation.chain)
        return await next()

    registry.add_global(explains, source="job")
    await registry.invoke(Service(), "work", source=InvocationSource("job"))
    assert told == [explains, sees]


async def test_f71_bind_and_get():
    """F71: `get` looks at the invocation, then at the request, then in the container; `default=` makes it optional."""

    class Container(containers.DeclarativeContainer):
        word = providers.Object("container")
        nested = providers.Container(
            type("Nested", (containers.DeclarativeContainer,), {"word": providers.Object("nested")})
        )
        counted = providers.Factory(object)
        single = providers.Singleton(object)

    class Asks:
        async def work(self, ctx: InvocationContext):
            assert await ctx.get("word") == "container"
            assert await ctx.get("nested.word") == "nested"
            assert await ctx.get("counted") is not await ctx.get("counted")
            assert await ctx.get("single") is await ctx.get("single")
            ctx.bind_request("word", "request")
            assert await ctx.get("word") == "request"
            ctx.bind("word", "invocation")
            assert await ctx.get("word") == "invocation"
            ctx.bind("nothing", None)
            assert await ctx.get("nothing", "default") is None
            assert await ctx.get("nowhere", None) is None
            assert await ctx.get("nowhere", default="default") == "default"
            with pytest.raises(UnknownKeyError, match="nowhere"):
                await ctx.get("nowhere")
            return "done"

    assert await InterceptorRegistry(Container()).invoke(Asks(), "work") == "done"


@pytest.mark.parametrize("fails", [False, True])
async def test_f72_a_context_can_be_read_when_its_invocation_is_over(seen, fails):
    """F72: bindings and state are still readable afterwards, on success and on failure, and never reach another invocation.

    Differs: nothing has to be closed; what nobody holds is freed at once, without the garbage collector.
    """

    class Binds:
        @intercept(sees)
        async def work(self, ctx: InvocationContext):
            ctx.bind("word", "bound")
            ctx.bind_request("other", "shared")
            ctx.state["word"] = "state"
            if fails:
                raise ConnectionError

    registry = InterceptorRegistry()
    try:
        await registry.invoke(Binds(), "work")
    except ConnectionError:
        assert fails
    (ctx,) = seen
    assert (await ctx.get("word"), await ctx.get("other"), ctx.state) == ("bound", "shared", {"word": "state"})

    class Asks:
        async def work(self, ctx: InvocationContext):
            return await ctx.get("word", None), await ctx.get("other", None), ctx.state

    assert await registry.invoke(Asks(), "work") == (None, None, {})


async def test_f72_a_context_is_freed_at_once(seen):
    """F72: an invocation leaves no reference cycle behind."""
    registry = InterceptorRegistry()
    alive = []

    class Canary:
        def __del__(self):
            alive.remove(self.number)

        def __init__(self, number):
            self.number = number
            alive.append(number)

    async def binds(ctx, next):
        ctx.bind("canary", Canary(1))
        ctx.state["canary"] = Canary(2)
        ctx.bind_request("canary", Canary(3))
        return await next()

    class Binds:
        @intercept(binds)
        async def work(self, number):
            assert sorted(alive) == [1, 2, 3]

    gc.disable()
    try:
        await registry.invoke(Binds(), "work", 1)
        assert alive == []
    finally:
        gc.enable()


async def test_f73_invocations_of_a_request_share_what_is_bound_on_it():
    """F73: what other invocations of the same request are to see is bound on the request, not on the invocation.

    Differs: with `ctx.bind_request`; outside HTTP the outermost invocation plays the request's part.
    """
    registry = InterceptorRegistry()

    class Inner:
        async def work(self, ctx: InvocationContext):
            found = await ctx.get("own", None), await ctx.get("shared", None), dict(ctx.state)
            ctx.bind("own", "inner")
            ctx.bind_request("shared", "inner")
            return found

    class Outer:
        async def work(self, ctx: InvocationContext):
            ctx.bind("own", "outer")
            ctx.bind_request("shared", "outer")
            ctx.state["own"] = "outer"
            found = [await registry.invoke(Inner(), "work")]

            async def child():
                found.append(await registry.intercepted(Inner()).work())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(child)
            return found, await ctx.get("own"), await ctx.get("shared"), ctx.state

    assert await registry.invoke(Outer(), "work") == (
        [(None, "outer", {}), (None, "inner", {})],
        "outer",
        "inner",
        {"own": "outer"},
    )
    assert await registry.invoke(Inner(), "work") == (None, None, {})


async def test_f73_annotations_are_read_only_and_the_method_s_win(seen):
    """F73: data for interceptors is declared with `@annotate`; method over class over base.

    Differs: LoopBack has no such decorator; its interceptors read metadata by themselves.
    """
    registry = InterceptorRegistry()
    await registry.invoke(Sub(), "work")
    await registry.invoke(Sub(), "static")
    assert [dict(ctx.annotations) for ctx in seen] == [
        {"roles": ["admin"], "area": "shop"},
        {"roles": ["user"], "area": "shop"},
    ]
    with pytest.raises(TypeError):
        seen[0].annotations["roles"] = []
