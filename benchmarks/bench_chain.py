"""A call through 0 to 30 layers that do nothing: what a call costs, and what one more layer adds to it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

from benchmarks import peers
from benchmarks.measure import Effort, Series, Work, alternate
from benchmarks.table import Row, at_least, at_most
from interceptors import Chain, InterceptorRegistry, intercept

__all__ = ["rows", "rows_of", "subjects"]

TITLE = "chain"
FULL, QUICK = Effort(51, 0.008), Effort(9, 0.003)

DEPTHS = (0, 1, 3, 10, 30)

HAND, LAMBDAS, KOA = "hand-nested coroutines", "nested lambdas", "koa-style closures"
CHAIN, INVOKE, PROXY = "Chain by hand", "registry.invoke", "proxy"
OURS = (CHAIN, INVOKE, PROXY)

Call = Callable[[], Any]
Key = tuple[str, int]


def rows(effort: Effort) -> list[Row]:
    """Measured in time."""
    return rows_of(alternate(subjects(), effort), "s")


def subjects() -> dict[Key, Work]:
    """Every engine at every depth, checked: all of them run the same layers in the same order."""
    for depth in DEPTHS:
        for engine, make in _ENGINES.items():
            log: list[int] = []
            call = make([_recording(engine, number, log) for number in range(depth)])
            expected = [*range(depth), *reversed(range(depth))]
            if (result := _drive(call())) != 7 or log != expected:
                raise AssertionError(f"{engine} with {depth} layers: result {result}, layers {log}")
    return {
        (engine, depth): _work(make([_no_op(engine) for _ in range(depth)]))
        for engine, make in _ENGINES.items()
        for depth in DEPTHS
    }


def rows_of(figures: Mapping[Key, Series], unit: str) -> list[Row]:
    """The table of one measurement; budgets 1 and 2."""
    hop_limit = at_most(2.2 if unit == "s" else 2.4)
    call_limits = {INVOKE: at_most(3.2), PROXY: at_most(3.5)}

    def hop(engine: str, depth: int) -> Series:
        return (figures[engine, depth] - figures[engine, 0]) / depth

    table: list[Row] = []
    for engine in _ENGINES:
        for depth in DEPTHS:
            figure, base = figures[engine, depth], figures[HAND, depth]
            limit = call_limits.get(engine) if depth == 3 else None
            table.append(Row(f"{engine}, {_layers(depth)}", figure, unit, figure / base, limit))
        for depth in DEPTHS[1:]:
            limit = hop_limit if engine in OURS and depth >= 10 else None
            name = f"{engine}, a hop of {depth}"
            table.append(Row(name, hop(engine, depth), unit, hop(engine, depth) / hop(HAND, depth), limit))
    for engine in OURS:
        mine = hop(engine, 30)
        table.append(Row(f"{engine}, its hop / nested lambdas'", None, "", mine / hop(LAMBDAS, 30), at_most(1.0)))
        table.append(Row(f"koa-style closures' hop / {engine}'s", None, "", hop(KOA, 30) / mine, at_least(1.7)))
    return table


def _layers(depth: int) -> str:
    return "1 layer" if depth == 1 else f"{depth} layers"


# -- the engines, each a call without arguments ------------------------------------------------------------------------


async def _target(value: Any) -> Any:
    return value


def _by_hand(wraps: Sequence[Any]) -> Call:
    run = peers.hand_nested(wraps, _target)
    return lambda: run(7)


def _by_lambdas(layers: Sequence[Any]) -> Call:
    run = peers.nested_lambdas(layers, _target)
    return lambda: run(7)


def _by_koa(layers: Sequence[Any]) -> Call:
    run = peers.koa(layers, _target)
    return lambda: run(7)


def _by_chain(layers: Sequence[Any]) -> Call:
    chain = Chain(layers)
    return lambda: chain(7, lambda: _target(7))


def _by_invoke(layers: Sequence[Any]) -> Call:
    registry, service = InterceptorRegistry(), _service(layers)
    return lambda: registry.invoke(service, "echo", 7)


def _by_proxy(layers: Sequence[Any]) -> Call:
    proxy = InterceptorRegistry().intercepted(_service(layers))
    return lambda: proxy.echo(7)


_ENGINES: dict[str, Callable[[Sequence[Any]], Call]] = {
    HAND: _by_hand,
    LAMBDAS: _by_lambdas,
    KOA: _by_koa,
    CHAIN: _by_chain,
    INVOKE: _by_invoke,
    PROXY: _by_proxy,
}


def _service(layers: Sequence[Any]) -> Any:
    class Service:
        @intercept(*layers)
        async def echo(self, value: int) -> int:
            return value

    return Service()


# -- layers ------------------------------------------------------------------------------------------------------------


def _no_op(engine: str) -> Any:
    def wrap(inner: Any) -> Any:
        async def layer(value: Any) -> Any:
            return await inner(value)

        return layer

    async def layer(ctx: Any, next: Any) -> Any:
        return await next()

    return wrap if engine == HAND else layer


def _recording(engine: str, number: int, log: list[int]) -> Any:
    def wrap(inner: Any) -> Any:
        async def layer(value: Any) -> Any:
            log.append(number)
            result = await inner(value)
            log.append(number)
            return result

        return layer

    async def layer(ctx: Any, next: Any) -> Any:
        log.append(number)
        result = await next()
        log.append(number)
        return result

    return wrap if engine == HAND else layer


# -- driving -----------------------------------------------------------------------------------------------------------


def _work(call: Call) -> Work:
    def work(count: int) -> None:
        for _ in repeat(None, count):
            try:  # noqa: SIM105 (suppress would be most of the figure)
                call().send(None)
            except StopIteration:
                pass

    return work


def _drive(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("nothing here should suspend")
