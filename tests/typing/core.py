"""The core's types: decorators keep what they decorate, a proxy has the type of its object, contexts are typed."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, ParamSpec, Protocol, TypeVar, assert_type

from dependency_injector import containers, providers

from interceptors import (
    AlreadyInstalledError,
    Arguments,
    Candidate,
    Chain,
    Explanation,
    GroupOrderError,
    InjectionError,
    Interceptor,
    InterceptorError,
    InterceptorFunction,
    InterceptorOrKey,
    InterceptorRegistry,
    InvalidInterceptorError,
    InvalidTargetError,
    InvocationBindings,
    InvocationContext,
    InvocationSource,
    Next,
    UnknownKeyError,
    UnreachedInterceptorError,
    annotate,
    compose,
    global_interceptor,
    intercept,
    skip_interceptors,
)

P = ParamSpec("P")
R = TypeVar("R")


# -- interceptors ------------------------------------------------------------------------------------------------------


async def log(ctx: InvocationContext, next: Next) -> object:
    """A function; its result is whatever it says."""
    assert_type(next, Callable[[], Awaitable[Any]])
    assert_type(await next(), Any)
    return await next()


async def typed(ctx: InvocationContext, next: Next) -> str:
    result: str = await next()
    return result


async def any_context(ctx: Any, next: Callable[[], Awaitable[Any]]) -> None: ...


class Audit:
    """A class, and an object, with `intercept`."""

    def __init__(self, name: str = "audit") -> None:
        self.name = name

    async def intercept(self, ctx: InvocationContext, next: Next) -> object:
        return await next()

    async def method(self, ctx: InvocationContext, next: Next) -> object:
        return await next()


class Static:
    @staticmethod
    async def intercept(ctx: InvocationContext, next: Next) -> object:
        return await next()


class Empty: ...


def plain(ctx: InvocationContext, next: Next) -> str:
    return "not awaitable"


async def one_argument(ctx: InvocationContext) -> None: ...


ACCEPTED: tuple[InterceptorOrKey, ...] = (
    log,
    typed,
    any_context,
    Audit,
    Audit(),
    Audit().method,
    Static,
    Static(),
    Chain(),
    "caching",
    providers.Singleton(Audit),
)
FUNCTION: InterceptorFunction = log
INTERCEPTOR: Interceptor = Audit

WRONG_FUNCTION: InterceptorOrKey = plain  # type: ignore[assignment]
WRONG_ARGUMENTS: InterceptorOrKey = one_argument  # type: ignore[assignment]
WRONG_OBJECT: InterceptorOrKey = Empty()  # type: ignore[assignment]
WRONG_CLASS: InterceptorOrKey = Empty  # type: ignore[assignment]
WRONG_VALUE: InterceptorOrKey = 5  # type: ignore[assignment]
A_KEY_IS_NO_INTERCEPTOR: Interceptor = "caching"  # type: ignore[assignment]


# -- chains ------------------------------------------------------------------------------------------------------------


async def chains(ctx: InvocationContext, next: Next) -> None:
    chain = Chain([log, Audit, Audit(), "caching"])
    assert_type(chain, Chain)
    assert_type(compose(log, Audit, chain), Chain)
    assert_type(chain.interceptors, tuple[InterceptorOrKey, ...])
    running: Awaitable[Any] = chain(ctx, next)
    assert_type(await running, Any)
    assert_type(await chain(ctx, next), Any)
    assert_type(await chain.intercept(ctx, next), Any)
    assert_type(await chain("any context", next), Any)
    Chain([plain])  # type: ignore[list-item]
    compose(5)  # type: ignore[arg-type]
    chain.interceptors = ()  # type: ignore[misc]


# -- decorators --------------------------------------------------------------------------------------------------------


class Show(Protocol):
    """A function with these parameters, by these names."""

    def __call__(self, order_id: int, /, amount: int = 1, *, note: str) -> Coroutine[Any, Any, str]: ...


@intercept(log, Audit, "caching", inherit=False)
@skip_interceptors(log, "metrics", group="auth")
@skip_interceptors(group=["a", "b"])
@annotate(roles=["admin"], anything=5)
async def show(order_id: int, /, amount: int = 1, *, note: str) -> str:
    return note


@global_interceptor(group="auth", key="log", source=("route", "job"), before="log", after=["a", "b"])
async def marked(ctx: InvocationContext, next: Next) -> int:
    return 1


@global_interceptor()
class MarkedClass(Audit): ...


@intercept()
@annotate()
class Service:
    def __init__(self, name: str) -> None:
        self.name = name

    @intercept(log)
    async def work(self, order_id: int, *, note: str = "") -> list[str]:
        return [self.name]

    @intercept(log)
    @staticmethod
    async def static(order_id: int) -> bytes:
        return b""

    @classmethod
    @intercept(log)
    async def of_class(cls, order_id: int) -> float:
        return 0.5

    @property
    def status(self) -> str:
        return "fine"

    def plain(self) -> int:
        return 1


async def anything() -> None: ...


def parameters_of(function: Callable[P, Awaitable[R]]) -> Callable[P, R]:
    raise NotImplementedError


async def decorators() -> None:
    same: Show = show
    assert_type(await same(1, note="n"), str)
    assert_type(await show(1, 2, note="n"), str)
    assert_type(parameters_of(show)(1, amount=2, note="n"), str)
    assert_type(Service, type[Service])
    assert_type(MarkedClass(), MarkedClass)
    assert_type(await marked(InvocationContext(), anything), int)
    service = Service("name")
    assert_type(service, Service)
    assert_type(await service.work(1, note="n"), list[str])
    assert_type(await Service.static(1), bytes)
    assert_type(await Service.of_class(1), float)
    assert_type(parameters_of(service.work)(1, note="n"), list[str])
    await show("1", note="n")  # type: ignore[arg-type]
    await show(order_id=1, note="n")  # type: ignore[call-arg]
    await service.work()  # type: ignore[call-arg]
    Service(5)  # type: ignore[arg-type]
    intercept(5)  # type: ignore[arg-type]
    intercept(log, inherit="no")  # type: ignore[arg-type]
    skip_interceptors(5)  # type: ignore[arg-type]
    skip_interceptors(group=5)  # type: ignore[arg-type]
    global_interceptor(group=5)  # type: ignore[arg-type]
    annotate(5)  # type: ignore[call-arg]


# -- the registry ------------------------------------------------------------------------------------------------------


class Container(containers.DeclarativeContainer):
    audit = providers.Factory(Audit)


def user_of(request: object) -> str:
    return "alice"


async def registries(module: ModuleType) -> None:
    registry = InterceptorRegistry(Container(), ordered_groups=["auth", "log"], current_user=user_of, debug=True)
    registry.bind("caching", Audit)
    registry.bind("other", "caching")
    registry.bind("chain", compose(log))
    registry.bind("provider", Container.audit)
    registry.add_global(log, group="log", key="log", source="route", before="auth", after=("a", "b"))
    registry.add_global("caching", source=["route", "job"])
    registry.unbind("caching")
    registry.remove_global(log)
    registry.remove_global("log")
    assert_type(registry.discover("app.interceptors"), list[Any])
    assert_type(registry.discover(module), list[Any])
    assert_type(registry.ordered_groups, tuple[str, ...])
    assert_type(registry.debug, bool)

    service = Service("name")
    assert_type(await registry.invoke(service, "work", 1, note="n"), Any)
    assert_type(await registry.invoke(service, "work", 1, source=InvocationSource("job"), request=object()), Any)
    proxy = registry.intercepted(service)
    assert_type(proxy, Service)
    assert_type(await proxy.work(1), list[str])
    assert_type(registry.intercepted(Service), type[Service])

    explanation = registry.explain(Service, "work", source="route")
    assert_type(explanation, Explanation)
    assert_type(registry.explain(show), Explanation)
    assert_type((explanation.target, explanation.source), tuple[str, str | None])
    assert_type(explanation.candidates, tuple[Candidate, ...])
    assert_type(explanation.chain, tuple[Candidate, ...])
    for candidate in explanation.candidates:
        assert_type((candidate.level, candidate.group, candidate.key), tuple[str, str | None, str | None])
        assert_type((candidate.runs, candidate.reason, candidate.name), tuple[bool, str | None, str])
        assert_type(candidate.file_and_line, tuple[str, int] | None)

    registry.bind(5, log)  # type: ignore[arg-type]
    registry.bind("key", plain)  # type: ignore[arg-type]
    registry.add_global(5)  # type: ignore[arg-type]
    registry.add_global(log, "group")  # type: ignore[call-arg]
    await registry.invoke(service, 5)  # type: ignore[arg-type]
    await registry.invoke(service, "work", source="job")  # type: ignore[arg-type]
    await registry.invoke(target=service, method="work")  # type: ignore[call-arg]
    await proxy.work("1")  # type: ignore[arg-type]
    InterceptorRegistry(debug="yes")  # type: ignore[arg-type]


# -- the context -------------------------------------------------------------------------------------------------------


async def contexts(ctx: InvocationContext) -> None:
    assert_type(ctx.target, Any)
    assert_type(ctx.target_class, type | None)
    assert_type((ctx.method_name, ctx.target_name), tuple[str, str])
    assert_type(ctx.args, Arguments)
    assert_type(ctx.source, InvocationSource | None)
    assert_type(ctx.annotations, Mapping[str, Any])
    assert_type(ctx.state, dict[str, Any])
    assert_type((ctx.request, ctx.response), tuple[Any, Any])
    assert_type(await ctx.get("key"), Any)
    assert_type(await ctx.get("key", default=None), Any)
    assert_type(await ctx.current_user(), Any)
    ctx.bind("key", 5)
    ctx.bind_request("key", 5)
    ctx.bind(5, "key")  # type: ignore[arg-type]
    ctx.args = 5  # type: ignore[misc, assignment]
    ctx.annotations["roles"] = []  # type: ignore[index]
    await ctx.get()  # type: ignore[call-arg]


def arguments(args: Arguments) -> None:
    assert_type(args[0], Any)
    assert_type(args["order"], Any)
    assert_type(args.names, tuple[str, ...])
    assert_type(args.items(), list[tuple[str, Any]])
    assert_type(args.get("order"), Any)
    assert_type(args.get("order", 5), Any)
    assert_type(len(args), int)
    assert_type(iter(args), Iterator[Any])
    assert_type("order" in args, bool)
    args[0] = args["order"] = 5
    args[0.5]  # type: ignore[index]
    args.get(0)  # type: ignore[arg-type]


def sources(source: InvocationSource) -> None:
    assert_type((source.type, source.value), tuple[str, Any])
    InvocationSource("job")
    InvocationSource("job", 5)
    InvocationSource(5)  # type: ignore[arg-type]
    source.type = "other"  # type: ignore[misc]


def bindings() -> None:
    providers.Factory(Audit, InvocationBindings.request)
    assert_type(InvocationBindings.context, providers.Provider[Any])
    assert_type(InvocationBindings.request, providers.Provider[Any])
    assert_type(InvocationBindings.response, providers.Provider[Any])
    assert_type(InvocationBindings.current_user, providers.Provider[Any])


# -- errors ------------------------------------------------------------------------------------------------------------


def errors(
    interceptor: InvalidInterceptorError,
    target: InvalidTargetError,
    injection: InjectionError,
    key: UnknownKeyError,
    order: GroupOrderError,
    unreached: UnreachedInterceptorError,
    installed: AlreadyInstalledError,
) -> None:
    assert_type((interceptor.interceptor, target.target, unreached.endpoint), tuple[object, object, object])
    assert_type((injection.owner, injection.parameter), tuple[str, str])
    assert_type((key.key, key.asked_by), tuple[str, str])
    assert_type(key.nearest, Sequence[str])
    assert_type(order.cycle, tuple[str, ...])
    bases: list[InterceptorError] = [interceptor, target, injection, key, order, unreached, installed]
    builtins: tuple[TypeError, TypeError, TypeError, LookupError, ValueError, RuntimeError, RuntimeError] = (
        interceptor,
        target,
        injection,
        key,
        order,
        unreached,
        installed,
    )
    assert_type(bases[0], InterceptorError)
    assert_type(len(builtins), int)
