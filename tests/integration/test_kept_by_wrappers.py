"""What stands for a handler has all that the handler has, less what is injected: others read it and act on it."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Annotated, Any, get_type_hints

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket, WebSocketException
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from interceptors import InterceptorRegistry, InvocationContext
from interceptors.fastapi import controller, create_router, get, install, intercepted_route, websocket
from tests.integration.support import started

Who = Annotated[Any, Provide["current_user"]]
MARKS = {"roles": ["admin"], "version": (1, 2), "_of_library": object()}


def marked(thing: Any) -> Any:
    """What a library's decorator leaves on a handler."""
    vars(thing).update(MARKS)
    return thing


# Handlers with a parameter that FastAPI must not see: something of ours stands for them.


async def coroutine(q: int, who: Who) -> list[int]:
    """Of a coroutine."""
    return [q]


def function(q: int, who: Who) -> list[int]:
    """Of a function."""
    return [q]


async def stream(q: int, who: Who) -> AsyncIterator[int]:
    """Of a stream."""
    yield q


def items(q: int, who: Who) -> Iterator[int]:
    """Of a generator."""
    yield q


async def postponed(q: "int", who: "Who") -> "list[int]":
    """Of postponed annotations."""
    return [q]


class Callable_:
    """Of an object."""

    async def __call__(self, q: int, who: Who) -> list[int]:
        """Of a call."""
        return [q]


def decorated(function: Any) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


HANDLERS: dict[str, Callable[[], Any]] = {
    "coroutine": lambda: fresh(coroutine),
    "function": lambda: fresh(function),
    "stream": lambda: fresh(stream),
    "generator": lambda: fresh(items),
    "postponed": lambda: fresh(postponed),
    "wraps": lambda: decorated(fresh(coroutine)),
    "object": Callable_,
    "partial": lambda: partial(coroutine),
}


def fresh(function: Any) -> Any:
    """The same function once more, so that marks of one test are none of another's."""
    made = type(function)(function.__code__, function.__globals__, function.__name__)
    made.__annotations__, made.__doc__, made.__qualname__ = (
        dict(function.__annotations__),
        function.__doc__,
        function.__qualname__,
    )
    return made


def on_the_application(app: FastAPI, registry: InterceptorRegistry, handler: Any) -> None:
    install(app, registry)
    app.get("/x")(handler)


def on_a_router(app: FastAPI, registry: InterceptorRegistry, handler: Any) -> None:
    install(app, registry)
    router = APIRouter(route_class=intercepted_route(registry))
    router.get("/x")(handler)
    app.include_router(router)


def in_a_controller(app: FastAPI, registry: InterceptorRegistry, handler: Any) -> None:
    install(app, registry)
    cls = controller()(type("C", (), {"handler": staticmethod(get("/x")(handler))}))
    app.include_router(create_router(cls, registry))


def place_of(function: Any) -> tuple[str, int, str]:
    """Where a function is written, as libraries see it that unwrap what stands for it: logfire shows it in its spans."""
    code = inspect.unwrap(function).__code__
    return code.co_filename, code.co_firstlineno, code.co_qualname


PLACES = [on_the_application, on_a_router, in_a_controller]
ROWS = [
    (kind, place)
    for kind in HANDLERS
    for place in PLACES
    if place is not in_a_controller or kind not in ("object", "partial")
]


@pytest.mark.parametrize(("kind", "place"), ROWS)
async def test_attributes_and_annotations_are_the_handlers(kind: str, place: Any) -> None:
    """Attributes, the very same objects; names, text and module; annotations, evaluated too; the rest of the signature."""
    handler, seen = marked(HANDLERS[kind]()), list[Any]()

    def note(connection: HTTPConnection) -> None:
        seen.append(connection.scope["endpoint"])

    app = FastAPI(dependencies=[Depends(note)])
    place(app, InterceptorRegistry(), handler)
    async with started(app) as client:
        assert (await client.get("/x?q=1")).text.strip() in ("[1]", "1")
    [endpoint] = seen
    assert {name: getattr(endpoint, name) for name in MARKS} == MARKS
    assert endpoint.roles is MARKS["roles"]
    names = ("__doc__", "__module__") + (("__name__",) if inspect.isfunction(handler) else ())
    assert {name: getattr(endpoint, name) for name in names} == {name: getattr(handler, name) for name in names}
    written = handler.__call__ if kind == "object" else coroutine if kind == "partial" else handler
    hints = {name: hint for name, hint in get_type_hints(written, include_extras=True).items() if name != "who"}
    shown = {name: hint for name, hint in get_type_hints(endpoint, include_extras=True).items() if name[0] != "_"}
    assert shown == hints
    parameters = [name for name in inspect.signature(endpoint).parameters if not name.startswith("_")]
    assert parameters == ["q"]
    assert place_of(endpoint) == place_of(written)


@pytest.mark.parametrize("place", [on_the_application, on_a_router])
@pytest.mark.parametrize("kind", HANDLERS)
async def test_so_is_what_is_put_on_it_above_the_decorator_of_the_route(kind: str, place: Any) -> None:
    """As in plain FastAPI, where the order does not matter: until the application starts."""
    handler = HANDLERS[kind]()

    def guard(connection: HTTPConnection) -> None:
        if getattr(connection.scope["endpoint"], "roles", None) == ["admin"]:
            raise HTTPException(403)

    app = FastAPI(dependencies=[Depends(guard)])
    place(app, InterceptorRegistry(), handler)
    marked(handler)
    async with started(app) as client:
        assert (await client.get("/x?q=1")).status_code == 403


async def talk(socket: WebSocket, who: Who) -> None:
    await socket.accept()
    await socket.close()


async def test_a_websocket_method_has_its_marks_for_a_dependency() -> None:
    """A dependency denies by what it reads from the endpoint."""
    talking = marked(fresh(talk))

    class Talks:
        async def open(self, socket: WebSocket) -> None:
            await socket.accept()

    cls = type("C", (), {"talk": staticmethod(websocket("/marked")(talking)), "open": websocket("/open")(Talks.open)})

    def guard(connection: HTTPConnection) -> None:
        if hasattr(connection.scope["endpoint"], "roles"):
            raise WebSocketException(4003)

    app = FastAPI(dependencies=[Depends(guard)])
    install(app, InterceptorRegistry(), [controller()(cls)])
    said: dict[str, list[Any]] = {"/marked": [], "/open": []}
    for path, heard in said.items():

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            heard.append(message.get("code", message["type"]))  # noqa: B023 (called below)

        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": [], "subprotocols": []}
        await app(scope, receive, send)
    assert said == {"/marked": [4003], "/open": ["websocket.accept"]}


# -- route classes of the user's ---------------------------------------------------------------------------------------


def refuse() -> None:
    raise HTTPException(403)


def reads_an_attribute(endpoint: Any) -> bool:
    return "admin" in getattr(endpoint, "roles", ())


def reads_the_signature(endpoint: Any) -> bool:
    return list(inspect.signature(endpoint).parameters)[:1] == ["q"]


def reads_the_annotations(endpoint: Any) -> bool:
    return get_type_hints(endpoint).get("q") is int


def reads_what_is_wrapped(endpoint: Any) -> bool:
    return (inspect.unwrap(endpoint).__module__, endpoint.__module__) == (__name__, __name__)


class Guarding(APIRoute):
    """Looks at the endpoint when it is made, and decides upon that."""

    reads: Any

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        if type(self).reads(endpoint):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(refuse)]
        super().__init__(path, endpoint, **options)


def of_a_router(app: FastAPI, registry: InterceptorRegistry, cls: type[APIRoute], handler: Any) -> None:
    on_a_router_of(app, intercepted_route(registry, cls), handler)


def of_one_route(app: FastAPI, registry: InterceptorRegistry, cls: type[APIRoute], handler: Any) -> None:
    app.router.add_api_route("/x", handler, route_class_override=intercepted_route(registry, cls))


def of_a_controller(app: FastAPI, registry: InterceptorRegistry, cls: type[APIRoute], handler: Any) -> None:
    made = controller(route_class=cls)(type("C", (), {"handler": staticmethod(get("/x")(handler))}))
    app.include_router(create_router(made, registry))


def of_the_application(app: FastAPI, registry: InterceptorRegistry, cls: type[APIRoute], handler: Any) -> None:
    app.router.route_class = cls
    install(app, registry)
    app.add_api_route("/x", handler)


def on_a_router_of(app: FastAPI, cls: type[APIRoute], handler: Any) -> None:
    router, outer = APIRouter(route_class=cls), APIRouter()
    router.get("/x")(handler)
    outer.include_router(router)
    app.include_router(outer)


@pytest.mark.parametrize(
    "reads", [reads_an_attribute, reads_the_signature, reads_the_annotations, reads_what_is_wrapped]
)
@pytest.mark.parametrize("place", [of_a_router, of_one_route, of_a_controller, of_the_application])
async def test_a_route_class_sees_the_handler_in_its_constructor(place: Any, reads: Any) -> None:
    """Whatever it reads there; for handlers that something of ours stands for, and for others."""
    kinds = [kind for kind in HANDLERS if place is not of_a_controller or kind not in ("object", "partial")]
    for kind in kinds[:2] if reads is reads_what_is_wrapped else kinds:
        app = FastAPI()
        cls = type("Own", (Guarding,), {"reads": staticmethod(reads)})
        place(app, InterceptorRegistry(), cls, marked(HANDLERS[kind]()))
        async with started(app) as client:
            assert (await client.get("/x?q=1")).status_code == 403, kind


def plainly(endpoint: Any) -> Any:
    """FastAPI takes it for what it finds at the end of `__wrapped__`."""

    @wraps(endpoint)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return endpoint(*args, **kwargs)

    return wrapper


def of_its_kind(endpoint: Any) -> Any:
    @wraps(endpoint)
    async def awaits(*args: Any, **kwargs: Any) -> Any:
        return await endpoint(*args, **kwargs)

    @wraps(endpoint)
    async def iterates(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for item in endpoint(*args, **kwargs):
            yield item

    return awaits if inspect.iscoroutinefunction(endpoint) else iterates


def wrapping(around: Any) -> type[APIRoute]:
    """A route class that puts something around the endpoint."""

    class Wrapping(APIRoute):
        def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
            super().__init__(path, around(endpoint), **options)

    return Wrapping


@pytest.mark.parametrize("around", [plainly, of_its_kind])
@pytest.mark.parametrize("place", [of_a_router, of_one_route, of_a_controller, of_the_application])
async def test_a_route_class_may_put_something_around_the_handler(place: Any, around: Any) -> None:
    """What stands for a `def`, a generator, an object is called in the right way; its layers deny, set headers, answer."""

    async def layer(ctx: Any, next: Any) -> Any:
        ctx.response.headers["x-layer"] = "1"
        if "deny" in ctx.request.query_params:
            raise HTTPException(403)
        return PlainTextResponse("own") if "own" in ctx.request.query_params else await next()

    for kind, make in HANDLERS.items():
        if place is of_a_controller and kind in ("object", "partial"):
            continue
        app, registry = FastAPI(), InterceptorRegistry()
        registry.add_global(layer)
        place(app, registry, wrapping(around), make())
        async with started(app) as client:
            answers = [await client.get(f"/x?q=1{more}") for more in ("", "&deny=1", "&own=1")]
        assert [answer.status_code for answer in answers] == [200, 403, 200], kind
        assert answers[0].text.strip() in ("[1]", "1") and answers[2].text == "own", kind
        assert [answer.headers.get("x-layer") for answer in answers[::2]] == ["1", "1"], kind


@pytest.mark.parametrize("around", [plainly, of_its_kind])
@pytest.mark.parametrize("kind", HANDLERS)
async def test_what_stands_for_a_handler_may_be_put_elsewhere(kind: str, around: Any) -> None:
    """With something around it, on an application that knows nothing of us: it is awaited, and runs its chain."""
    registry, app, elsewhere = InterceptorRegistry(), FastAPI(), FastAPI()
    ran: list[str] = []

    async def layer(ctx: Any, next: Any) -> Any:
        ran.append(ctx.method_name)
        return await next()

    registry.add_global(layer)
    on_the_application(app, registry, HANDLERS[kind]())
    [route] = [route for route in app.routes if isinstance(route, APIRoute)]
    elsewhere.add_api_route("/x", around(route.endpoint))
    async with started(elsewhere) as client:
        assert (await client.get("/x?q=1")).text.strip() in ("[1]", "1")
    assert len(ran) == 1


# -- what FastAPI calls ------------------------------------------------------------------------------------------------


async def read(q: int) -> list[int]:
    """Reads."""
    return [q]


def read_in_thread(q: int) -> list[int]:
    """Reads in a thread."""
    return [q]


def read_items(q: int) -> Iterator[int]:
    """Reads one by one."""
    yield q


class Reader:
    """Reads."""

    def __call__(self, q: int) -> list[int]:
        return [q]


@pytest.mark.parametrize(
    "handler",
    [read, read_in_thread, read_items, Reader(), partial(read_in_thread)],
    ids=["async", "in a thread", "stream", "object", "partial"],
)
async def test_the_door_has_what_the_handler_has(handler: Any) -> None:
    """It is what stands on the dependant, where libraries look; and it never unwraps to a `def`, as FastAPI awaits it."""
    app, registry = FastAPI(), InterceptorRegistry()
    handler = marked(fresh(handler) if inspect.isfunction(handler) else handler)
    app.add_api_route("/x", handler)
    install(app, registry)
    async with started(app):
        pass
    [route] = [route for route in app.routes if isinstance(route, APIRoute)]
    door = route.dependant.call
    assert route.endpoint is handler
    assert door is not handler
    assert {name: vars(door)[name] for name in MARKS} == MARKS
    assert (door.__doc__, door.__module__) == (handler.__doc__, handler.__module__)
    assert door.__name__ == getattr(handler, "__name__", type(handler).__name__)
    assert list(inspect.signature(door).parameters) == ["q"]
    assert inspect.iscoroutinefunction(inspect.unwrap(door))
    written = handler.__call__ if isinstance(handler, Reader) else getattr(handler, "func", handler)
    assert place_of(door) == place_of(written)


class Counting:
    """An iterator that nobody can close."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> "Counting":
        return self

    async def __anext__(self) -> int:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


def counting(endpoint: Any) -> Any:
    """Something around a stream that gives an iterator of its own, whatever the endpoint gives."""

    @wraps(endpoint)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return Counting() if kwargs.get("q") == 3 else endpoint(*args, **kwargs)

    return wrapper


async def test_all_items_of_a_stream_come_through_what_a_route_class_has_put_around_it() -> None:
    """The first is waited for, the others follow; an iterator that cannot be closed is none that must be."""

    async def three(q: int, ctx: InvocationContext) -> AsyncIterator[int]:
        for item in range(3):
            yield item * q

    app = FastAPI()
    of_a_router(app, InterceptorRegistry(), wrapping(counting), three)
    async with started(app) as client:
        assert (await client.get("/x?q=2")).text.split() == ["0", "2", "4"]
        assert (await client.get("/x?q=3")).text.split() == ["2", "1", "0"]
