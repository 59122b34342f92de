"""The probe: on a FastAPI that does not do what we know of it no application starts."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import anyio.to_thread
import pytest
from fastapi import APIRouter, FastAPI, routing
from fastapi.routing import APIWebSocketRoute
from starlette.requests import HTTPConnection

from interceptors import InterceptorRegistry, InvocationContext, Next
from interceptors.errors import IncompatibleLibraryError
from interceptors.fastapi import install, probe
from tests.integration.support import ask, started
from tests.unit.fastapi.serving import app_of

run = routing.run_endpoint_function


def calls(how: Callable[..., Any], *, below: str = "") -> Callable[[pytest.MonkeyPatch], None]:
    """A FastAPI that calls the handlers of these paths in another way."""

    async def called(*, dependant: Any, values: dict[str, Any], is_coroutine: bool) -> Any:
        async def as_ever() -> Any:
            return await run(dependant=dependant, values=values, is_coroutine=is_coroutine)

        return await (how(as_ever, values) if dependant.path.endswith(below) else as_ever())

    return lambda patch: patch.setattr(routing, "run_endpoint_function", called)


async def never(as_ever: Any, values: Any) -> Any:
    return "well"


async def twice(as_ever: Any, values: Any) -> Any:
    await as_ever()
    return await as_ever()


async def in_a_thread(as_ever: Any, values: Any) -> Any:
    return await anyio.to_thread.run_sync(lambda: asyncio.run(as_ever()))


async def wrongly(as_ever: Any, values: Any) -> Any:
    raise LookupError("another FastAPI")


def without(name: str) -> Callable[..., Any]:
    async def called(as_ever: Any, values: Any) -> Any:
        values["_interceptors_request"].scope.pop(name, None)
        return await as_ever()

    return called


async def talks_by_itself(self: Any, scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.send", "text": "well"})


def sockets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(APIWebSocketRoute, "handle", talks_by_itself, raising=False)


def keeps_its_list(patch: pytest.MonkeyPatch) -> None:
    """An included router that puts new pictures into the list that it gave before."""
    make, given = Included.effective_candidates, dict[int, list[Any]]()

    def candidates(self: Any) -> list[Any]:
        found = given.setdefault(id(self), [])
        found[:] = make(self)
        return found

    patch.setattr(Included, "effective_candidates", candidates)


def an_included_router() -> Any:
    outer = APIRouter()
    outer.include_router(APIRouter())
    return outer.routes[0]


Included: Any = type(an_included_router())

OTHERS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "coroutines pass the door": (calls(never, below="/coroutine"), "route GET /coroutine: ran []"),
    "functions pass the door": (calls(never, below="/def"), "route GET /def: ran []"),
    "generators pass the door": (calls(never, below="/generator"), "route GET /generator: ran []"),
    "events pass the door": (calls(never, below="/events"), "route GET /events: ran []"),
    "WebSockets pass the door": (sockets, "route WEBSOCKET /socket: ran []"),
    "included routers pass the door": (calls(never, below="/inner/def"), "route GET /nested/inner/def: ran []"),
    "route classes pass the door": (calls(never, below="/made/generator"), "route GET /made/generator: ran []"),
    "methods pass the door": (calls(never, below="/method/generator"), "route GET /method/generator: ran []"),
    "layers run twice": (calls(twice, below="/made/def"), "True, True), ('route GET /made/def', True"),
    "layers run in a thread": (calls(in_a_thread, below="/inner/coroutine"), "/inner/coroutine', False, True)]"),
    "handlers are called wrongly": (calls(wrongly, below="/def"), "(LookupError: another FastAPI)"),
    "an inclusion is unknown": (
        calls(without("fastapi")),
        "/nested/inner/coroutine: ran [('route GET /coroutine', True, True)]",
    ),
    "handlers of exceptions are unknown": (calls(without("starlette.exception_handlers")), "True, False)]"),
    "streams are not closed": (calls(without("fastapi_inner_astack")), "(KeyError: 'fastapi_inner_astack')"),
    "routes that are added later are not seen": (keeps_its_list, "route GET /nested/inner/later: ran []"),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_a_fastapi_that_works_otherwise_stops_the_start(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its version and by what was asked. Without a lifespan every request is refused."""
    change, text = OTHERS[other]
    monkeypatch.setattr(probe._Probed, "is_well", False)
    change(monkeypatch)
    app = app_of()
    for _ in range(2):
        with pytest.raises(IncompatibleLibraryError, match=f"fastapi {version('fastapi')} ") as caught:
            await ask(app, "/")
    assert text in caught.value.name
    with pytest.raises(IncompatibleLibraryError):
        async with started(app):
            pass


async def test_what_others_have_put_into_fastapi_finds_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at any request; logfire looks for it there wherever FastAPI solves dependencies."""
    monkeypatch.setattr(probe._Probed, "is_well", False)
    solve, seen = routing.solve_dependencies, set[type]()

    def solving(*, request: HTTPConnection, **options: Any) -> Any:
        seen.add(type(request.app))
        return solve(request=request, **options)

    monkeypatch.setattr(routing, "solve_dependencies", solving)
    async with started(app_of()):
        assert seen == {FastAPI}


async def test_a_registry_may_be_installed_on_every_application_that_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a plugin of a test suite: the application of the probe is not one of these."""
    ran: list[str] = []

    async def layer(ctx: InvocationContext, next: Next) -> Any:
        ran.append(str(ctx.source))
        return await next()

    initialise = FastAPI.__init__

    def installing(app: FastAPI, **options: Any) -> None:
        initialise(app, **options)
        registry = InterceptorRegistry()
        registry.add_global(layer)
        install(app, registry)

    monkeypatch.setattr(FastAPI, "__init__", installing)
    monkeypatch.setattr(probe._Probed, "is_well", False)
    app = FastAPI()
    app.get("/x")(lambda: 1)
    assert (await ask(app, "/x")).json() == 1
    assert ran == ["route GET /x"]
