"""A route with ten matching remoting hooks against the same route with ten interceptors."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from benchmarks.bench_http import new_event_loop, work
from benchmarks.measure import Effort, Work, alternate
from benchmarks.table import Row
from interceptors import InterceptorRegistry
from interceptors.fastapi import controller, get, install
from interceptors.remoting import RemoteHooks

__all__ = ["rows"]

TITLE = "remoting"
FULL, QUICK = Effort(31, 0.025), Effort(7, 0.012)


def rows(effort: Effort) -> list[Row]:
    """Ratios are of requests per second, to the route with ten interceptors."""
    figures = alternate(_subjects(), effort)
    base = figures["10 interceptors"]
    return [Row(name, figure, "s", base / figure) for name, figure in figures.items()]


def _subjects() -> dict[str, Work]:
    loop = new_event_loop()
    builds: dict[str, Callable[[InterceptorRegistry], None]] = {
        "10 interceptors": _interceptors,
        "RemoteHooks without a matching hook": lambda registry: registry.add_global(RemoteHooks()),
        "10 remoting hooks, `async def` with (ctx)": _hooks(_async_hook),
        "10 remoting hooks, `def` with (ctx, next)": _hooks(_callback_hook),
    }
    return {name: work(loop, _application(build)) for name, build in builds.items()}


def _application(build: Callable[[InterceptorRegistry], None]) -> FastAPI:
    @controller()
    class CustomerController:
        @get("/hello")
        async def find(self):
            return {"message": "hello", "n": 1}

    app, registry = FastAPI(openapi_url=None), InterceptorRegistry()
    build(registry)
    install(app, registry, [CustomerController])
    return app


def _interceptors(registry: InterceptorRegistry) -> None:
    def layer() -> Any:
        async def nothing(ctx: Any, next: Any) -> Any:
            return await next()

        return nothing

    for _ in range(10):
        registry.add_global(layer())


def _hooks(make: Callable[[], Any]) -> Callable[[InterceptorRegistry], None]:
    def build(registry: InterceptorRegistry) -> None:
        hooks = RemoteHooks()
        for _ in range(5):
            hooks.before_remote("Customer.find", make())
            hooks.after_remote("Customer.**", make())
        registry.add_global(hooks)

    return build


def _async_hook() -> Any:
    async def hook(ctx: Any) -> None:
        pass

    return hook


def _callback_hook() -> Any:
    def hook(ctx: Any, next: Any) -> None:
        next()

    return hook
