"""Starting an application: importing the library, creating the routes, computing the chains.

The chains are computed as the application does it when it starts. Their baseline is FastAPI's own creation of as many
plain routes: one second for 1,000 chains, where FastAPI takes 0.57 s for the routes, is a ratio of 1.75.
"""

import subprocess
import sys
from functools import partial
from typing import Any

from fastapi import FastAPI

from benchmarks.bench_http import start
from benchmarks.measure import CPU, WALL, Effort, Series, Work, alternate
from benchmarks.table import Row, at_most
from interceptors import InterceptorRegistry, intercept
from interceptors.fastapi import controller, get, install

__all__ = ["rows"]

TITLE = "start-up"
FULL, QUICK = Effort(5, 0), Effort(3, 0)  # each once a round: a start-up is no loop

ROUTES = 1000
PER_CONTROLLER = 10
GLOBALS = 50
LINEAR = at_most(1.5)  # four times the chains: quadratic would be 4
GROUPS = ("errors", "log", "metrics", "auth", "cache")


def rows(effort: Effort) -> list[Row]:
    """Budget 8. Quick: a fifth of the routes."""
    routes = ROUTES if effort.rounds > QUICK.rounds else ROUTES // 5
    return [*_imports(effort), *_creation(effort, routes), *_chains(effort, routes)]


def _imports(effort: Effort) -> list[Row]:
    modules = {"import fastapi": "fastapi", "import interceptors.fastapi": "interceptors.fastapi"}
    works: dict[str, Work] = {name: partial(_import, module) for name, module in modules.items()}
    figures = alternate(works, effort, WALL)
    return [Row(name, figure, "s", figure / figures["import fastapi"]) for name, figure in figures.items()]


def _import(module: str, count: int) -> None:
    for _ in range(count):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def _creation(effort: Effort, routes: int) -> list[Row]:
    plain, ours = f"{routes} plain routes", f"install of {routes} routes"
    controllers = _controllers(routes)

    def create(count: int) -> None:
        for _ in range(count):
            _plain(routes)

    def create_ours(count: int) -> None:
        for _ in range(count):
            install(FastAPI(), InterceptorRegistry(), controllers)

    figures = alternate({plain: create, ours: create_ours}, effort)
    return [Row(name, figure, "s", figure / figures[plain]) for name, figure in figures.items()]


def _chains(effort: Effort, routes: int) -> list[Row]:
    half, twice = routes // 2, 2 * routes
    works: dict[Any, Work] = {"plain": lambda count: _plain(routes)}
    for number in (half, routes, twice):
        works[number] = _computation(number, _functions)
    works["classes"] = _computation(routes, _classes)
    figures = alternate(works, effort, CPU)

    def row(name: str, key: Any, number: int) -> Row:
        base = figures["plain"] / (routes / number)
        ratio = figures[key] / base
        return Row(name, figures[key], "s", ratio, at_most(1.75))

    def growth(small: int, large: int) -> Series:
        return figures[large] / figures[small] / (large / small)

    return [
        row(f"{half} chains, {GLOBALS} globals", half, half),
        row(f"{routes} chains, {GLOBALS} globals", routes, routes),
        row(f"{twice} chains, {GLOBALS} globals", twice, twice),
        row(f"{routes} chains, {GLOBALS} globals, half classes", "classes", routes),
        Row(f"a chain of {routes} against one of {half}", None, "", growth(half, routes), LINEAR),
        Row(f"a chain of {twice} against one of {half}", None, "", growth(half, twice), LINEAR),
    ]


def _computation(routes: int, make: Any) -> Work:
    """Computing every chain of an application of so many routes, checked."""
    registry = InterceptorRegistry(ordered_groups=GROUPS)
    for number, interceptor in enumerate(make()):
        registry.add_global(interceptor, group=GROUPS[number % len(GROUPS)])
    app, controllers = FastAPI(), _controllers(routes)
    install(app, registry, controllers)
    length = len(registry.explain(controllers[-1], "method0", "route").chain)
    if length != GLOBALS + 2 or len(app.routes) < routes:
        raise AssertionError(f"{len(app.routes)} routes, {length} layers")

    def compute(count: int) -> None:
        for _ in range(count):
            start(app)
            registry.bind("unused", _interceptor())  # whatever changes a registry makes it forget its chains

    return compute


def _plain(routes: int) -> FastAPI:
    app = FastAPI()
    for number in range(routes):
        app.get(f"/{number}/{{item}}")(_handler(0))
    return app


def _controllers(routes: int) -> list[type]:
    return [_controller(number) for number in range(routes // PER_CONTROLLER)]


def _controller(number: int) -> type:
    methods = {
        f"method{index}": get(f"/{number}/{index}/{{item}}")(intercept(_interceptor())(_handler(1)))
        for index in range(PER_CONTROLLER)
    }
    return controller()(intercept(_interceptor())(type(f"Controller{number}", (), methods)))


def _handler(skip: int) -> Any:
    async def method(self: Any, item: int, query: str = "") -> dict[str, int]:
        return {"item": item}

    async def function(item: int, query: str = "") -> dict[str, int]:
        return {"item": item}

    return method if skip else function


def _functions() -> list[Any]:
    return [_interceptor() for _ in range(GLOBALS)]


def _classes() -> list[Any]:
    return [_interceptor_class() if number % 2 else _interceptor() for number in range(GLOBALS)]


def _interceptor() -> Any:
    async def interceptor(ctx: Any, next: Any) -> Any:
        return await next()

    return interceptor


def _interceptor_class() -> Any:
    class Interceptor:
        async def intercept(self, ctx: Any, next: Any) -> Any:
            return await next()

    return Interceptor
