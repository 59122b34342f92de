"""Any tree of routers, whatever was done first: each route has its path, its dependencies and its layers, once and in order."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from interceptors import InterceptorRegistry, InvocationContext, Next, intercept, skip_interceptors
from interceptors.fastapi import install, intercepted_route

ROUTERS = range(4)
"""The first is the application; a router is included in those before it."""


@dataclass(frozen=True)
class Router:
    """How a router is made."""

    prefix: str
    depends: bool
    route_class: str


@dataclass(frozen=True)
class Route:
    """A function is declared on a router."""

    router: int
    kind: str
    own: tuple[str, ...]
    depends: bool


@dataclass(frozen=True)
class Include:
    """A router is included in another one."""

    outer: int
    inner: int
    prefix: str
    depends: bool


@dataclass(frozen=True)
class Decorate:
    """`intercept` stands around a router; None: `skip_interceptors` of the global one."""

    router: int
    layer: str | None


@dataclass(frozen=True)
class Install:
    """The registry is put on the application."""


Step = Route | Include | Decorate | Install

layers = st.sampled_from("xyz")
routes = st.builds(
    Route,
    st.sampled_from(ROUTERS),
    st.sampled_from(["async def", "def", "stream", "websocket"]),
    st.lists(layers, max_size=2, unique=True).map(tuple),
    st.booleans(),
)
inclusions = st.tuples(st.sampled_from(ROUTERS), st.sampled_from(ROUTERS)).filter(lambda pair: pair[0] < pair[1])
includes = st.builds(
    lambda pair, prefix, depends: Include(*pair, prefix, depends),
    inclusions,
    st.sampled_from(["", "/a"]),
    st.booleans(),
)
decorations = st.builds(Decorate, st.sampled_from(ROUTERS[1:]), layers | st.none())
steps = st.lists(routes | includes | includes | decorations, min_size=1, max_size=14)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Router], list[Step], int]:
    """The routers, what is done with them, and before which step the application starts: after `install`."""
    made = [
        Router(
            prefix, draw(st.booleans()), draw(st.sampled_from(["plain", "own", "intercepted"])) if prefix else "plain"
        )
        for prefix in ("", *(draw(st.sampled_from([f"/r{number}", "/r"])) for number in ROUTERS[1:]))
    ]
    done: list[Step] = draw(steps)
    installed = draw(st.integers(0, len(done)))
    done.insert(installed, Install())
    return made, done, draw(st.integers(installed + 1, len(done)))


# -- the model ---------------------------------------------------------------------------------------------------------


def expected(routers: list[Router], done: list[Step]) -> dict[tuple[bool, str], list[str]]:
    """What a request of each path leaves in the log; of two routes with one path the first is served."""
    found: dict[tuple[bool, str], list[str]] = {}
    on = {n: [step for step in done if isinstance(step, Decorate) and step.router == n] for n in ROUTERS}

    def walk(number: int, path: str, asked: list[str], chain: list[str]) -> None:
        router = routers[number]
        path, asked = path + router.prefix, [*asked, *[f"router {number}"] * router.depends]
        # Of several decorators on one router the one that is applied last stands outside.
        named = [step.layer for step in reversed(on[number])]
        for layer in [name for name in named if name is not None]:
            chain = [*(name for name in chain if name != layer), layer]
        if None in named:
            chain = [name for name in chain if name != "global"]
        for place, step in enumerate(done):
            if isinstance(step, Include) and step.outer == number:
                walk(step.inner, path + step.prefix, [*asked, *[f"inclusion {place}"] * step.depends], chain)
            if isinstance(step, Route) and step.router == number:
                around = [*(name for name in chain if name not in step.own), *step.own]
                is_socket = step.kind == "websocket"
                class_first = ["class"] * (router.route_class == "own" and not is_socket)
                log = [*class_first, *asked, *[f"route {place}"] * step.depends, *around, "handler"]
                found.setdefault((is_socket, f"{path}/{place}"), log)

    walk(0, "", [], ["global"])
    return found


# -- the same as an application ----------------------------------------------------------------------------------------


def noting(log: list[str], name: str) -> Callable[[InvocationContext, Next], Awaitable[Any]]:
    async def interceptor(ctx: InvocationContext, next: Next) -> Any:
        log.append(name)
        return await next()

    return interceptor


def needed(log: list[str], name: str) -> Any:
    return Depends(lambda: log.append(name))


def handler(log: list[str], kind: str) -> Any:
    async def coroutine() -> int:
        log.append("handler")
        return 1

    def plain() -> int:
        log.append("handler")
        return 1

    async def stream() -> AsyncIterator[int]:
        log.append("handler")
        yield 1

    async def websocket(socket: WebSocket) -> None:
        log.append("handler")
        await socket.accept()
        await socket.send_text("1")
        await socket.close()

    return {"async def": coroutine, "def": plain, "stream": stream, "websocket": websocket}[kind]


class Shop:
    """Does the steps, with a registry or without."""

    def __init__(self, log: list[str], routers: list[Router], *, intercepts: bool) -> None:
        self.log, self.intercepts = log, intercepts
        self.layers = {name: noting(log, name) for name in ("global", *"xyz")}
        self.registry = InterceptorRegistry()
        self.registry.add_global(self.layers["global"])
        classes: dict[str, Any] = {"plain": APIRoute, "own": self._own_class(), "intercepted": APIRoute}
        if intercepts:
            classes["intercepted"] = intercepted_route(self.registry)
        asked = [[needed(log, f"router {number}")] * router.depends for number, router in enumerate(routers)]
        self.app = FastAPI(dependencies=asked[0])
        self.routers: list[Any] = [
            self.app,
            *(
                APIRouter(prefix=router.prefix, dependencies=dependencies, route_class=classes[router.route_class])
                for router, dependencies in zip(routers[1:], asked[1:], strict=True)
            ),
        ]

    def _own_class(self) -> type[APIRoute]:
        log = self.log

        class Own(APIRoute):
            def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
                handle = super().get_route_handler()

                async def around(request: Request) -> Response:
                    log.append("class")
                    return await handle(request)

                return around

        return Own

    def do(self, step: Step, place: int) -> None:
        if isinstance(step, Install):
            if self.intercepts:
                install(self.app, self.registry)
        elif isinstance(step, Decorate):
            layer = (
                skip_interceptors(self.layers["global"]) if step.layer is None else intercept(self.layers[step.layer])
            )
            layer(self.routers[step.router])
        elif isinstance(step, Include):
            asked = [needed(self.log, f"inclusion {place}")] * step.depends
            self.routers[step.outer].include_router(self.routers[step.inner], prefix=step.prefix, dependencies=asked)
        else:
            asked = [needed(self.log, f"route {place}")] * step.depends
            function = intercept(*(self.layers[name] for name in step.own))(handler(self.log, step.kind))
            add = self.routers[step.router].websocket if step.kind == "websocket" else self.routers[step.router].get
            add(f"/{place}", dependencies=asked)(function)


def ask(client: TestClient, path: str, *, is_socket: bool) -> str:
    if is_socket:
        with client.websocket_connect(path) as socket:
            return str(socket.receive_text())
    return client.get(path).text.strip()


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")  # a router that is included twice under one path
@given(histories())
def test_each_route_has_its_layers_once_and_in_order(history: tuple[list[Router], list[Step], int]) -> None:
    """Also what comes after the start; the document is that of FastAPI without us."""
    routers, done, start = history
    log: list[str] = []
    shop, plain = Shop(log, routers, intercepts=True), Shop([], routers, intercepts=False)
    for place, step in enumerate(done[:start]):
        shop.do(step, place)
    with TestClient(shop.app) as client:
        client.get("/nowhere")
        for place, step in list(enumerate(done))[start:]:
            shop.do(step, place)
        for (is_socket, path), seen in expected(routers, done).items():
            for _ in range(2):
                log.clear()
                assert ask(client, path, is_socket=is_socket) == "1", path
                assert log == seen, path
    for place, step in enumerate(done):
        plain.do(step, place)
    assert shop.app.openapi() == plain.app.openapi()
