"""What is fixed about a call: which function it is, what it is called with, and how it is called."""

import functools
import re
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import anyio
import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide

import interceptors
from interceptors import (
    InterceptorRegistry,
    InvalidTargetError,
    InvocationBindings,
    InvocationContext,
    Next,
    OutsideInvocationError,
    compose,
    intercept,
)
from interceptors.testing import make_context, run_interceptor
from tests.unit.helpers import call, on_both_backends, passing, place, recording


class Callable:
    async def __call__(self, value: int) -> Any:
        return "called", value


class Service:
    attribute = 5
    callable = Callable()
    EVENTS: list[str] = []

    @property
    def status(self) -> str:
        return "fine"

    async def work(self, value: int = 1) -> Any:
        return "worked", value

    async def combine(self, first: int, second: int) -> Any:
        return first, second

    partial = functools.partialmethod(combine, 1)

    def plain(self, value: int = 1) -> Any:
        return threading.get_ident(), value

    def gives_awaitable(self) -> Any:
        return self.work(7)

    def generator(self) -> Iterator[int]:
        yield from (1, 2)

    async def async_generator(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    @functools.wraps(work)
    def wrapped(self, *args: Any) -> Any:
        return self.work(*args)

    @staticmethod
    async def static(value: int) -> Any:
        return "static", value

    @staticmethod
    def plain_static(value: int) -> Any:
        return "plain static", value

    @classmethod
    async def of_class(cls, value: int) -> Any:
        return cls, value


class Derived(Service): ...


def given(*interceptors: Any) -> InterceptorRegistry:
    registry = InterceptorRegistry()
    for interceptor in interceptors or (passing,):
        registry.add_global(interceptor)
    return registry


@on_both_backends
async def test_methods_of_every_kind_can_be_invoked() -> None:
    """Instance, static and class methods, objects with `__call__`, partial and wrapped methods."""
    registry = given()
    service = Derived()

    assert await registry.invoke(service, "work") == ("worked", 1)
    assert await registry.invoke(service, "work", 2) == ("worked", 2)
    assert await registry.invoke(service, "work", value=3) == ("worked", 3)
    assert await registry.invoke(service, "static", 4) == ("static", 4)
    assert await registry.invoke(service, "plain_static", 4) == ("plain static", 4)
    assert await registry.invoke(service, "of_class", 5) == (Derived, 5)
    assert await registry.invoke(service, "callable", 6) == ("called", 6)
    assert await registry.invoke(service, "partial", 7) == (1, 7)
    assert await registry.invoke(service, "wrapped", 8) == ("worked", 8)
    assert await registry.invoke(Derived, "static", 9) == ("static", 9)
    assert await registry.invoke(Derived, "of_class", 10) == (Derived, 10)


@on_both_backends
async def test_the_arguments_of_methods_of_every_kind_can_be_changed() -> None:
    """What a layer assigns reaches the target, whatever kind it is."""

    async def change(ctx: InvocationContext, next: Next) -> Any:
        ctx.args[0] += 100
        return await next()

    registry = given(change)
    service = Service()

    assert await registry.invoke(service, "work", 1) == ("worked", 101)
    assert await registry.invoke(service, "static", 1) == ("static", 101)
    assert await registry.invoke(Service, "of_class", 1) == (Service, 101)
    assert await registry.invoke(service, "callable", 1) == ("called", 101)
    assert (await registry.invoke(service, "plain", 1))[1] == 101


@on_both_backends
async def test_a_plain_method_runs_inline() -> None:
    """A `def` target is called in the same thread; what it returns is awaited if that can be."""
    registry = given()

    assert (await registry.invoke(Service(), "plain"))[0] == threading.get_ident()
    assert await registry.invoke(Service(), "gives_awaitable") == ("worked", 7)


@on_both_backends
async def test_a_generator_method_gives_its_iterator() -> None:
    """`invoke` hands on what calling it gives; nothing of its body has run yet."""
    registry = given()
    iterator = await registry.invoke(Service(), "generator")
    async_iterator = await registry.invoke(Service(), "async_generator")

    assert list(iterator) == [1, 2]
    assert [item async for item in async_iterator] == [1, 2]


@on_both_backends
async def test_a_function_that_belongs_to_one_object_can_be_invoked() -> None:
    """What is callable on the object alone is a target, with the interceptors of its class."""
    events: list[str] = []

    @intercept(recording("class", events))
    class Holder:
        def __init__(self) -> None:
            async def own(value: int) -> Any:
                return InvocationBindings.context().target, value

            self.own = own
            self.number = 5

        def __getattr__(self, name: str) -> Any:
            if name != "dynamic":
                raise AttributeError(name)
            return self.own

    holder = Holder()
    registry = given()

    assert await registry.invoke(holder, "own", 1) == (holder, 1)
    assert await registry.invoke(holder, "dynamic", 2) == (holder, 2)
    assert events == [">class", "<class"] * 2
    with pytest.raises(InvalidTargetError, match="Holder has no method 'number'"):
        await registry.invoke(holder, "number")


@pytest.mark.parametrize("name", ["work", "partial", "static", "of_class", "callable"])
@on_both_backends
async def test_an_objects_own_function_of_a_methods_name_is_the_one_that_is_called(name: str) -> None:
    """Python's look-up decides, at the time of the call; layers see the arguments of what is called."""
    seen: list[dict[str, Any]] = []

    async def look(ctx: InvocationContext, next: Next) -> Any:
        seen.append(dict(ctx.args.items()))
        return await next()

    service = Service()
    registry = given(look)
    await registry.invoke(service, name, 5)

    async def fake(given: int = 2) -> Any:
        return "faked", given

    setattr(service, name, fake)

    assert await registry.invoke(service, name, 5) == ("faked", 5)
    assert seen[1:] == [{"given": 5}]


NOT_METHODS = {
    "nowhere": "Service has no method 'nowhere' ({place}).",
    "attribute": "Service.attribute is no method ({place}).",
    "status": "Service.status is no method ({place}).",
}


@pytest.mark.parametrize("name", NOT_METHODS)
@on_both_backends
async def test_what_is_no_method_is_refused(name: str) -> None:
    """A missing name, a value and a property; the message has the class's place, for objects and classes alike."""
    text = NOT_METHODS[name].format(place=place(Service))
    for target in (Service(), Service):
        with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$") as caught:
            await given().invoke(target, name)
        assert caught.value.target is Service
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$"):
        given().explain(Service, name)


@on_both_backends
async def test_an_instance_method_needs_an_instance() -> None:
    """Invoked on the class it is refused, also when it has been invoked on an instance before."""
    registry = given()
    text = "Service.work is an instance method; invoke it on an instance."

    await registry.invoke(Service(), "work")
    for _ in range(2):
        with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$"):
            await registry.invoke(Service, "work", Service())


@pytest.mark.parametrize("way", ["invoke", "a proxy", "explain"])
@on_both_backends
async def test_a_decorated_implementation_of_a_dispatched_method_is_refused(way: str) -> None:
    """Its argument says that it is called, after all layers have run: so its own never would."""

    class Dispatched:
        @functools.singledispatchmethod
        async def work(self, value: Any) -> str:
            return "any"

        @work.register
        @intercept(passing)
        async def of_int(self, value: int) -> str:
            return "int"

    registry = given()
    text = f"Dispatched.of_int ({place(Dispatched.of_int)}) has interceptors, but it is called by Dispatched.work"
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}.* Decorate Dispatched.work") as caught:
        if way == "explain":
            registry.explain(Dispatched, "work")
        elif way == "invoke":
            await registry.invoke(Dispatched(), "work", "text")
        else:
            await registry.intercepted(Dispatched()).work("text")
    assert caught.value.target is Dispatched


def test_what_is_no_function_needs_the_name_of_a_method() -> None:
    """Explaining an object that cannot be called says what is missing."""
    for thing, name in ((5, "int"), (Service(), "Service"), ("text", "'text'")):
        text = f"{name} is no function; give the name of a method, too."
        with pytest.raises(InvalidTargetError, match=f"^{re.escape(text)}$"):
            given().explain(thing)


def test_functions_partials_builtins_and_callable_objects_can_be_explained() -> None:
    """Whatever FastAPI takes for an endpoint; a callable object is explained like its `__call__`."""

    async def function() -> None: ...

    registry = given()

    assert registry.explain(function).target == "function"
    assert registry.explain(len).target == "len"
    assert registry.explain(functools.partial(function)).target == "partial"
    assert registry.explain(Service().work).target == "Service.work"
    assert registry.explain(Callable()).target == "Callable.__call__"


def test_a_callable_object_has_the_interceptors_of_its_class_and_of_its_call() -> None:
    """`@intercept` on the class of the object, or on its `__call__`, is not lost."""

    @intercept(recording("class", []))
    class Handler:
        @intercept(recording("call", []))
        async def __call__(self) -> None: ...

    names = [candidate.name for candidate in InterceptorRegistry().explain(Handler()).chain]

    assert names == ["class", "call"]


# -- what is injected into the target ----------------------------------------------------------------------------------


@on_both_backends
async def test_parameters_are_injected_wherever_they_stand() -> None:
    """Before, between and after arguments, positional-only, before `*args`, keyword-only."""

    async def first(user: Annotated[str, Provide["user"]], amount: int) -> Any:
        return user, amount

    async def positional_only(user: Annotated[str, Provide["user"]], /, amount: int) -> Any:
        return user, amount

    async def between(amount: int, user: Annotated[str, Provide["user"]], /, other: int = 2) -> Any:
        return amount, user, other

    async def before_variable(amount: int, user: Annotated[str, Provide["user"]], *rest: int, **extra: int) -> Any:
        return amount, user, rest, extra

    async def keyword_only(*rest: int, user: Annotated[str, Provide["user"]]) -> Any:
        return rest, user

    bind = {"user": "alice"}
    assert await call(first, 1, bind=bind) == ("alice", 1)
    assert await call(first, amount=1, bind=bind) == ("alice", 1)
    assert await call(positional_only, 1, bind=bind) == ("alice", 1)
    assert await call(between, 1, 3, bind=bind) == (1, "alice", 3)
    assert await call(between, 1, bind=bind) == (1, "alice", 2)
    assert await call(before_variable, 1, bind=bind) == (1, "alice", (), {})
    assert await call(before_variable, 1, 2, 3, x=4, bind=bind) == (1, "alice", (2, 3), {"x": 4})
    assert await call(keyword_only, 1, 2, bind=bind) == ((1, 2), "alice")


@on_both_backends
async def test_parameters_are_injected_after_the_layers_have_run() -> None:
    """Each time the target is reached, with what is bound then."""
    seen: list[Any] = []

    class Target:
        async def work(self, user: Annotated[str, Provide["user"]], ctx: InvocationContext) -> None:
            seen.append((user, ctx.target is self))

    async def bind(ctx: InvocationContext, next: Next) -> Any:
        for user in ("alice", "bob"):
            ctx.bind("user", user)
            await next()

    await given(bind).invoke(Target(), "work")

    assert seen == [("alice", True), ("bob", True)]


# -- layers ------------------------------------------------------------------------------------------------------------


@on_both_backends
async def test_layers_of_every_kind_run_in_their_place() -> None:
    """Functions, objects, classes, chains and keys, in the order of the list."""
    events: list[str] = []

    class Layer:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await recording("class", events)(ctx, next)

    class Object(Layer):
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await recording("object", events)(ctx, next)

    registry = InterceptorRegistry()
    registry.bind("key", recording("key", events))
    for interceptor in (
        recording("function", events),
        compose(Layer, compose("key"), Object()),
        recording("last", events),
    ):
        registry.add_global(interceptor)
    await registry.invoke(Service(), "work")

    entered = [event[1:] for event in events if event.startswith(">")]
    assert entered == ["function", "class", "key", "object", "last"]


async def test_a_static_intercept_runs_through_a_registry_too() -> None:
    """A class whose `intercept` is a static method is built like any other."""

    class Static:
        @staticmethod
        async def intercept(ctx: Any, next: Next) -> Any:
            return "static"

    assert await run_interceptor(Static) == "static"


def test_the_context_of_a_plan_is_a_class_of_its_own() -> None:
    """What is fixed about a call stands on a subclass, so that one call costs nothing for it."""
    ctx = make_context(target=Service, method="work")

    assert isinstance(ctx, InvocationContext)
    assert type(ctx).__name__ == "InvocationContext"
    assert type(ctx).target_name == "Service.work"


@on_both_backends
async def test_cancellation_passes_through_an_invocation_unharmed() -> None:
    """Every layer's `finally` runs, `invoke` and a proxy swallow nothing, and nothing is current afterwards."""
    events: list[str] = []

    class Waiting:
        async def work(self, scope: anyio.CancelScope) -> None:
            events.append("waiting")
            scope.cancel()
            await anyio.sleep_forever()

    class Layer:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await recording("class", events)(ctx, next)

    registry = given(recording("function", events), Layer, providers.Factory(Layer))
    for call_it in (partial(registry.invoke, Waiting(), "work"), registry.intercepted(Waiting()).work):
        events.clear()
        with anyio.CancelScope() as scope:
            await call_it(scope)
        assert scope.cancelled_caught
        assert events == [">function", ">class", ">class", "waiting", "<class", "<class", "<function"]
        with pytest.raises(OutsideInvocationError):
            InvocationBindings.context()


@on_both_backends
async def test_a_traceback_shows_the_lines_of_interceptors_of_every_kind() -> None:
    """Between them stands at most one frame of the library for the whole invocation."""

    async def function(ctx: Any, next: Next) -> Any:
        return await next()  # function

    class Layer:
        async def intercept(self, ctx: Any, next: Next) -> Any:
            return await next()  # class

    class Failing:
        async def work(self) -> None:
            raise ValueError  # target

    registry = given(function, Layer, Layer(), providers.Factory(Layer), compose(function))
    for call_it in (partial(registry.invoke, Failing(), "work"), registry.intercepted(Failing()).work):
        with pytest.raises(ValueError) as caught:
            await call_it()
        frames = traceback.extract_tb(caught.value.__traceback__)
        own = [(frame.line or "").partition("# ")[2] for frame in frames if frame.filename == __file__][1:]
        assert own == ["function", "class", "class", "class", "function", "target"]
        library = Path(interceptors.__file__).parent
        assert len([frame for frame in frames if library in Path(frame.filename).parents]) == 1


# -- next() again ------------------------------------------------------------------------------------------------------


class Session:
    made: ClassVar[list["Session"]] = []

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.made.append(self)


@pytest.mark.parametrize("kind", ["parameter", "inner interceptor", "object of a provider", "key of the invocation"])
async def test_a_retry_works_with_what_was_bound_for_it(kind: str) -> None:
    """What is built or injected further in is built again: the first attempt's session has been rolled back."""
    committed: list[list[str]] = []
    failures = [ValueError()]

    async def retries(ctx: InvocationContext, next: Next) -> Any:
        try:
            return await next()
        except ValueError:
            return await next()

    async def transaction(ctx: InvocationContext, next: Next) -> Any:
        session = Session()
        ctx.bind("session", session)
        result = await next()
        committed.append(session.rows)
        return result

    def work(session: Session) -> str:
        session.rows.append("row")
        if failures:
            raise failures.pop()
        return "saved"

    class Writes:
        def __init__(self, session: Annotated[Session, Provide["session"]]) -> None:
            self.session = session

        async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
            work(self.session)
            return await next()

    class Container(containers.DeclarativeContainer):
        writes = providers.Factory(
            Writes, session=providers.Callable(lambda ctx: ctx.bound("session"), InvocationBindings.context)
        )

    class Service:
        @intercept(*{"inner interceptor": [Writes], "object of a provider": ["writes"]}.get(kind, []))
        async def save(self, ctx: InvocationContext, session: Annotated[Session, Provide["session"]]) -> str:
            if kind == "parameter":
                return work(session)
            return work(await ctx.get("session")) if kind == "key of the invocation" else "saved"

    registry = InterceptorRegistry(Container())
    registry.add_global(retries)
    registry.add_global(transaction)
    assert await registry.invoke(Service(), "save") == "saved"
    assert committed == [["row"]]


async def test_an_object_that_stands_for_a_function_is_not_taken_for_another_of_its_class() -> None:
    """What is known of `__call__` of the class says nothing of what the object stands for, and has recorded on it."""

    class Around:
        async def __call__(self) -> str:
            return "called"

    log: list[str] = []

    @intercept(recording("A", log))
    async def function() -> str:
        return "function"

    registry, plain = InterceptorRegistry(), Around()
    standing = functools.update_wrapper(Around(), function)
    for each in (plain, standing, plain, standing):
        assert await registry.invoke(each, "__call__") == "called"
    assert log == [">A", "<A"] * 2
