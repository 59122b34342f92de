"""Helpers for people who test their own interceptors: a context without a server, fakes in place, and what ran."""

import re
from typing import Annotated, Any
from unittest.mock import AsyncMock

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide

from interceptors import (
    Entry,
    InterceptorRegistry,
    InvalidTargetError,
    InvocationBindings,
    InvocationContext,
    InvocationSource,
    Next,
    UnknownKeyError,
    annotate,
    compose,
    intercept,
)
from interceptors.errors import NothingReplacedError
from interceptors.testing import make_context, override, record, run_interceptor, without
from tests.unit.helpers import on_both_backends, passing

pytest_plugins = ["pytester"]


def tag(text: str) -> Any:
    async def interceptor(ctx: Any, next: Next) -> Any:
        return f"{text} {await next()}"

    interceptor.__name__ = interceptor.__qualname__ = text
    return interceptor


LOG, CACHE, FAKE = tag("log"), tag("cache"), tag("fake")


class Limit:
    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limit)

    __hash__ = None  # type: ignore[assignment]

    async def intercept(self, ctx: Any, next: Next) -> Any:
        return f"{self.number} {await next()}"


class Service:
    @annotate(role="admin")
    @intercept("cache")
    async def work(self, order_id: int = 1) -> str:
        return "worked"


class Container(containers.DeclarativeContainer):
    greeting = providers.Object("hello")


def given() -> InterceptorRegistry:
    registry = InterceptorRegistry(Container())
    registry.add_global(LOG)
    registry.bind("cache", CACHE)
    return registry


# -- make_context ------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_a_context_needs_no_server_and_no_target() -> None:
    """Without a target a fake takes the arguments that are given."""
    ctx = make_context({"order_id": 7})

    assert (ctx.args["order_id"], ctx.args[0], len(ctx.args)) == (7, 7, 1)
    assert (ctx.target_name, ctx.method_name, ctx.target_class) == ("target", "target", None)
    assert (ctx.source, ctx.request, ctx.response, ctx.annotations, ctx.state) == (None, None, None, {}, {})
    assert await ctx.current_user() is None
    assert await ctx.target() is None


@on_both_backends
async def test_a_context_has_all_that_it_is_given() -> None:
    """Source, request, response, user, annotations, bindings, and the registry's container."""
    source, request, response = InvocationSource("job"), object(), object()
    ctx = make_context(
        source=source,
        request=request,
        response=response,
        user="alice",
        annotations={"role": "admin"},
        bindings={"tenant": 5},
        registry=given(),
    )

    assert (ctx.source, ctx.request, ctx.response) == (source, request, response)
    assert (await ctx.current_user(), ctx.annotations["role"], await ctx.get("tenant")) == ("alice", "admin", 5)
    assert await ctx.get("greeting") == "hello"


@on_both_backends
async def test_the_user_may_be_nobody() -> None:
    """`user=None` is an anonymous user: nobody is asked."""

    def never(request: Any) -> Any:
        raise AssertionError

    registry = InterceptorRegistry(current_user=never)

    assert await make_context(user=None, request=object(), registry=registry).current_user() is None


def test_a_context_is_that_of_a_method_or_a_function() -> None:
    """A method is given by its object and name, or bound; its annotations and defaults are those it has."""
    service = Service()
    for ctx in (make_context(target=service, method="work"), make_context(target=service.work)):
        assert (ctx.target, ctx.target_class, ctx.target_name) == (service, Service, "Service.work")
        assert (ctx.annotations, ctx.args.items()) == ({"role": "admin"}, [("order_id", 1)])

    async def function(a: int, b: int = 2) -> None: ...

    ctx = make_context({"a": 1}, target=function)
    assert (ctx.target, ctx.target_name, ctx.args.items()) == (function, "function", [("a", 1), ("b", 2)])


def test_a_context_checks_its_arguments_and_target() -> None:
    """What the target does not take or have is refused as in an invocation."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        _ = make_context({"other": 1}, target=Service(), method="work").args
    with pytest.raises(InvalidTargetError):
        make_context(target=Service(), method="nowhere")
    with pytest.raises(InvalidTargetError):
        make_context(target=Service())


@pytest.mark.parametrize(
    ("given", "verb", "url", "headers"),
    [
        ({"headers": {"X-User": "ada"}}, "GET", "http://testserver/", {"x-user": "ada"}),
        ({"verb": "post", "path": "/orders/7?page=2"}, "POST", "http://testserver/orders/7?page=2", {}),
        ({"path": "/b%C3%BCcher"}, "GET", "http://testserver/bücher", {}),
    ],
)
async def test_a_context_may_have_a_request_and_a_response(given: Any, verb: str, url: str, headers: Any) -> None:
    """As on a route, without a server: from its verb, its path and its headers."""
    ctx = make_context({"order_id": 7}, user="ada", **given)
    assert (ctx.request.method, str(ctx.request.url), dict(ctx.request.headers)) == (verb, url, headers)
    ctx.response.headers["x-layer"] = "seen"
    ctx.response.set_cookie("seen", "1")
    assert await ctx.current_user() == "ada" and ctx.request.query_params.get("page") in (None, "2")


def test_a_context_without_http_has_neither_and_ones_own_stay() -> None:
    """As outside of a route; what the test made itself is what the interceptor gets."""
    assert (make_context().request, make_context().response) == (None, None)
    own = make_context(headers={}, response="mine")
    assert own.response == "mine" and make_context(request="mine", verb="PUT").request == "mine"


# -- run_interceptor ---------------------------------------------------------------------------------------------------


@on_both_backends
async def test_an_interceptor_runs_around_a_result_an_error_or_a_target() -> None:
    """The fake target returns or raises what it is told; a target of one's own is called."""

    async def catch(ctx: Any, next: Next) -> Any:
        try:
            return await next()
        except ValueError as error:
            return f"caught {error}"

    async def target() -> str:
        return "from the target"

    assert await run_interceptor(LOG, returns="paid") == "log paid"
    assert await run_interceptor(passing) is None
    assert await run_interceptor(catch, raises=ValueError("no")) == "caught no"
    assert await run_interceptor(LOG, target=target) == "log from the target"
    error = ValueError("the same")
    with pytest.raises(ValueError, match="the same") as caught:
        await run_interceptor(passing, raises=error)
    assert caught.value is error


@on_both_backends
async def test_the_interceptor_gets_the_context_and_it_is_current() -> None:
    """`InvocationBindings` give it while the interceptor runs, and no longer."""
    seen: list[Any] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append((ctx, InvocationBindings.context()))
        return await next()

    ctx = make_context({"order_id": 7})
    await run_interceptor(look, ctx)
    await run_interceptor(look)

    assert seen[0] == (ctx, ctx)
    assert seen[1][0] is seen[1][1] is not ctx


@on_both_backends
async def test_interceptors_of_every_kind_can_be_run() -> None:
    """A class is injected and a key resolved through the registry; a chain runs as a whole."""

    class Greeting:
        def __init__(self, greeting: Annotated[str, Provide["greeting"]]) -> None:
            self.greeting = greeting

        async def intercept(self, ctx: Any, next: Next) -> Any:
            return f"{self.greeting} {await next()}"

    registry = given()

    assert await run_interceptor(Greeting, returns="you", registry=registry) == "hello you"
    assert await run_interceptor("cache", returns="you", registry=registry) == "cache you"
    assert await run_interceptor(compose(LOG, "cache"), returns="you", registry=registry) == "log cache you"
    assert await run_interceptor(compose(), returns="you") == "you"
    with pytest.raises(UnknownKeyError, match="asked for by run_interceptor"):
        await run_interceptor("cache")


# -- override, without, record -----------------------------------------------------------------------------------------


@on_both_backends
async def test_a_fake_runs_in_the_place_of_an_interceptor() -> None:
    """Named by itself or by its key, in every chain of the registry, until the block ends."""
    registry = given()
    service = Service()
    usual = "log cache worked"

    assert await registry.invoke(service, "work") == usual
    with override(registry, LOG, FAKE):
        assert await registry.invoke(service, "work") == "fake cache worked"
        assert await registry.intercepted(service).work() == "fake cache worked"
    with override(registry, "cache", FAKE):
        assert await registry.invoke(service, "work") == "log fake worked"
    with override(registry, CACHE, FAKE):
        assert await registry.invoke(service, "work") == "log fake worked"
    assert await registry.invoke(service, "work") == usual


@on_both_backends
async def test_a_fake_may_be_a_key_a_chain_or_a_wrapper_of_what_it_replaces() -> None:
    """A chain may hold the very interceptor that it stands for, which then runs as it is."""
    registry = given()
    registry.bind("fake", FAKE)
    service = Service()

    with override(registry, LOG, "fake"):
        assert await registry.invoke(service, "work") == "fake cache worked"
    with override(registry, LOG, compose(FAKE, LOG, FAKE)):
        assert await registry.invoke(service, "work") == "fake log fake cache worked"
    with override(registry, LOG, compose(CACHE)), override(registry, CACHE, FAKE):
        assert await registry.invoke(service, "work") == "fake fake worked"


@on_both_backends
async def test_overrides_can_be_nested() -> None:
    """The inner one counts; each puts back what was before it, also after an error."""
    registry = given()
    service = Service()

    with override(registry, LOG, tag("outer")):
        with pytest.raises(ZeroDivisionError), override(registry, LOG, FAKE):
            assert await registry.invoke(service, "work") == "fake cache worked"
            raise ZeroDivisionError
        assert await registry.invoke(service, "work") == "outer cache worked"
    assert await registry.invoke(service, "work") == "log cache worked"


@on_both_backends
async def test_what_is_in_a_chain_can_be_overridden() -> None:
    """A chain is replaced as a whole, or an interceptor within it."""
    chain = compose(LOG, "cache")
    registry = InterceptorRegistry()
    registry.bind("cache", CACHE)
    registry.add_global(chain)

    class Target:
        async def work(self) -> str:
            return "worked"

    with override(registry, "cache", FAKE):
        assert await registry.invoke(Target(), "work") == "log fake worked"
    with override(registry, chain, FAKE):
        assert await registry.invoke(Target(), "work") == "fake worked"


@on_both_backends
async def test_interceptors_can_be_left_out() -> None:
    """Several at a time, by itself or by key; a chain goes as a whole."""
    registry = given()
    service = Service()

    with without(registry, LOG):
        assert await registry.invoke(service, "work") == "cache worked"
        with without(registry, "cache"):
            assert await registry.invoke(service, "work") == "worked"
    with without(registry, LOG, CACHE):
        assert await registry.invoke(service, "work") == "worked"
    assert await registry.invoke(service, "work") == "log cache worked"


@on_both_backends
async def test_what_is_bound_nowhere_cannot_be_overridden() -> None:
    """A wrong key in a test is an error of the test; what was entered before is left again."""
    registry = given()
    with pytest.raises(UnknownKeyError, match="No key 'cach' is bound .asked for by override.. Did you mean 'cache'"):
        with override(registry, "cach", FAKE):
            pass
    with pytest.raises(UnknownKeyError), override(registry, LOG, "nowhere"):
        pass
    with pytest.raises(UnknownKeyError), without(registry, LOG, "nowhere"):
        pass
    assert await registry.invoke(Service(), "work") == "log cache worked"


@on_both_backends
async def test_a_record_has_the_names_of_the_layers_that_ran() -> None:
    """In the order in which they were entered, as often as they were, until the block ends."""
    registry = given()

    async def retry(ctx: Any, next: Next) -> Any:
        await next()
        return await next()

    class Layer:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await next()

    class Target:
        @intercept(retry, Layer, compose("cache"))
        async def work(self) -> str:
            return "worked"

    with record(registry) as ran:
        assert await registry.invoke(Target(), "work") == "log cache worked"
        assert [name.rpartition(".")[2] for name in ran] == ["log", "retry", "Layer", "cache", "Layer", "cache"]
        with record(registry) as inner:
            await registry.invoke(Service(), "work")
        assert inner == ["log", "cache"] == ran[-2:]
    await registry.invoke(Service(), "work")

    assert len(ran) == 8


@on_both_backends
async def test_a_record_names_the_fakes_that_ran() -> None:
    """What stands in is what ran."""
    registry = given()
    with record(registry) as ran, override(registry, LOG, FAKE), without(registry, CACHE):
        await registry.invoke(Service(), "work")

    assert ran == ["fake"]


@on_both_backends
async def test_a_provider_is_recorded_by_the_name_of_what_it_provides() -> None:
    """The same name as in `registry.explain`."""

    class Layer:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await next()

    class Target:
        async def work(self) -> None: ...

    registry = InterceptorRegistry()
    registry.add_global(providers.Singleton(Layer))
    with record(registry) as ran:
        await registry.invoke(Target(), "work")

    assert ran == [registry.explain(Target, "work").chain[0].name]


async def test_overrides_end_in_any_order_and_the_later_one_counts() -> None:
    """Each takes back its own: two tests that overlap leave nothing behind."""
    registry = given()

    async def ran() -> Any:
        return await registry.invoke(Service(), "work")

    async def other(ctx: Any, next: Next) -> Any:
        return f"other {await next()}"

    first, second, third = override(registry, LOG, FAKE), without(registry, LOG), override(registry, LOG, other)
    for each in (first, second, third):
        each.__enter__()
    assert await ran() == "other cache worked"
    second.__exit__(None, None, None)
    assert await ran() == "other cache worked"
    third.__exit__(None, None, None)
    assert await ran() == "fake cache worked"
    first.__exit__(None, None, None)
    assert await ran() == "log cache worked"


async def test_what_replaces_an_interceptor_may_run_it_in_turn_and_be_replaced_itself() -> None:
    """A spy around the real one; and an override of what an override has put there."""
    registry = given()
    spied: list[str] = []

    async def spy(ctx: Any, next: Next) -> Any:
        spied.append("spied")
        return await next()

    with override(registry, LOG, compose(spy, LOG)):
        assert await registry.invoke(Service(), "work") == "log cache worked"
        with override(registry, spy, FAKE):
            assert await registry.invoke(Service(), "work") == "fake log cache worked"
    assert spied == ["spied"]


@pytest.mark.parametrize("how", ["never declared", "only bound", "an equal one", "another factory's"])
async def test_to_replace_what_is_in_no_chain_is_an_error(how: str) -> None:
    """A test that thinks that it has switched something off says so."""

    def retry(times: int) -> Any:
        async def retrying(ctx: Any, next: Next) -> Any:
            return await next()

        return retrying

    registry = given()
    registry.bind("only bound", FAKE)
    wrong: Any = {"never declared": FAKE, "only bound": "only bound", "an equal one": Limit(1)}.get(how, retry(3))
    registry.add_global(Limit(1))
    for begin in (lambda: without(registry, wrong), lambda: override(registry, wrong, FAKE)):
        with pytest.raises(NothingReplacedError, match="is in no chain of the registry") as info, begin():
            await registry.invoke(Service(), "work")
        assert re.search("fake|only bound|Limit|retrying", info.value.name)


async def test_an_error_of_the_block_is_not_hidden_by_ours() -> None:
    """What went wrong first is what a test has to tell."""
    with pytest.raises(ZeroDivisionError), without(given(), FAKE):
        raise ZeroDivisionError


async def test_what_is_in_a_chain_somewhere_can_be_replaced() -> None:
    """A global of other source types, a part of one, and what a method declares whose chain is compiled in the block."""
    registry = given()

    async def local(ctx: Any, next: Next) -> Any:
        return f"local {await next()}"

    class Local:
        @intercept(compose(local))
        async def work(self) -> str:
            return "worked"

    part = Limit(2)
    registry.add_global(compose(part), source="route")
    with without(registry, part), override(registry, local, FAKE):
        assert await registry.invoke(Local(), "work", source=InvocationSource("job")) == "log fake worked"


@pytest.mark.parametrize("way", ["door", "proxy", "invoke"])
async def test_what_is_in_a_known_chain_can_be_replaced_though_that_does_not_run(way: str) -> None:
    """A method's own layer, a part of one, what a key of it is bound to: a fixture may replace more than a test runs."""
    registry, part, local = given(), tag("part"), tag("local")

    class Local:
        @intercept(local, compose(part), "cache")
        async def work(self) -> str:
            return "worked"

    calls: dict[str, Any] = {
        "door": Entry(registry, Local(), "work"),
        "proxy": registry.intercepted(Local()).work,
        "invoke": lambda: registry.invoke(Local(), "work"),
    }
    assert await calls[way]() == "log local part cache worked"
    for each in (local, part, "cache", CACHE):
        with without(registry, each), override(registry, LOG, FAKE):
            pass
    assert await calls[way]() == "log local part cache worked"


async def test_a_group_can_be_left_out_or_replaced_as_one() -> None:
    """Of several interceptors in it the fake runs once."""
    registry = given()
    for number in (1, 2):
        registry.add_global(Limit(number), group="limits")

    async def ran() -> Any:
        return await registry.invoke(Service(), "work")

    assert await ran() == "log 1 2 cache worked"
    with without(registry, group="limits"):
        assert await ran() == "log cache worked"
    with override(registry, fake=FAKE, group="limits"):
        assert await ran() == "log fake cache worked"
    with pytest.raises(NothingReplacedError, match="'limit'. Did you mean 'limits'"), without(registry, group="limit"):
        pass
    with pytest.raises(NothingReplacedError), override(registry, fake=FAKE, group="nothing"):
        pass


def test_a_call_that_replaces_nothing_says_how_it_is_written() -> None:
    """Neither an interceptor nor a group, or both, or no fake."""
    registry = given()
    wrong: list[Any] = [
        lambda: without(registry),
        lambda: override(registry, LOG),
        lambda: override(registry, fake=FAKE),
        lambda: override(registry, LOG, FAKE, group="limits"),
    ]
    for begin in wrong:
        with pytest.raises(TypeError, match="registry, "), begin():
            pass


async def test_a_mock_can_stand_in() -> None:
    """It is called as a function, whatever attributes a mock makes up; it gets the context and `next`."""
    registry = given()
    for mock in (AsyncMock(return_value="mocked"), AsyncMock(spec=LOG, return_value="mocked")):
        with override(registry, LOG, mock):
            assert await registry.invoke(Service(), "work") == "mocked"
        ctx, next = mock.await_args.args
        assert ctx.target_name == "Service.work" and await next() == "cache worked"


# -- fixtures ----------------------------------------------------------------------------------------------------------

TESTS = """
import pytest
from interceptors import InterceptorRegistry

async def log(ctx, next):
    return f"log {await next()}"

async def cache(ctx, next):
    return f"cache {await next()}"

async def fake(ctx, next):
    return f"fake {await next()}"

class Service:
    async def work(self):
        return "worked"

records = []
registry = InterceptorRegistry()
registry.add_global(log)
registry.add_global(cache)

async def test_functions(make_context, run_interceptor):
    assert await run_interceptor(log, make_context({"a": 1}), returns="x") == "log x"

async def test_fakes(override_interceptor, without_interceptors, record_layers):
    ran = record_layers(registry)
    override_interceptor(registry, log, fake)
    without_interceptors(registry, cache)
    assert await registry.invoke(Service(), "work") == "fake worked"
    assert ran == ["fake"]
    records.append(ran)

async def test_all_is_put_back():
    assert await registry.invoke(Service(), "work") == "log cache worked"
    assert records == [["fake"]]
"""


def test_the_fixtures_put_back_what_a_test_has_changed(pytester: pytest.Pytester) -> None:
    """`pytest_plugins = ["interceptors.testing"]` gives fixtures of the same names, which undo themselves."""
    pytester.makeconftest('pytest_plugins = ["interceptors.testing"]')
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess(
        "-p",
        "no:cacheprovider",
        "-p",
        "no:anyio",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ).assert_outcomes(passed=3)
