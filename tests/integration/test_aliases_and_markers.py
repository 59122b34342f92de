"""Aliases over HTTP: what is injected by one is never asked of a client, wherever the alias stands."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Optional  # noqa: F401 (annotations are written as text here)

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide
from fastapi import Depends, FastAPI, HTTPException, Request, Response, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse

from interceptors import InjectionError, InterceptorRegistry, InvocationContext, intercept
from interceptors.fastapi import controller, create_router, get, install, websocket
from tests.integration.support import app_with
from tests.type_statements import type_statements

ALIASES = type_statements(
    """
type Repo = Annotated[Any, Provide["repo"]]
type Again = Repo
type Of[T] = Annotated[T, Provide["repo"]]
type Maybe[T] = T | None
type Asked = Request
type Missing = Annotated[OnlyForCheckers, Provide["repo"]]
type MissingAgain = Missing
""",
    Annotated=Annotated,
    Any=Any,
    Provide=Provide,
    Request=Request,
)
globals().update(ALIASES)
SPELLINGS = [
    "Annotated[Again, 'a note']",
    "Maybe[Of[str]]",
    "Of[list[int]] | None",
    "Maybe[Annotated[str, Provide['repo']]]",
    "Optional['Again']",
    "MissingAgain",
    "Maybe[Missing]",
]


class Container(containers.DeclarativeContainer):
    repo = providers.Object("repo")


def registry() -> InterceptorRegistry:
    return InterceptorRegistry(Container())


def annotated(function: Any, alias: Any) -> Any:
    """A function whose parameter `value` is annotated with an alias."""
    function.__annotations__["value"] = alias
    return function


def function(app: FastAPI, alias: Any) -> None:
    async def show(value) -> Any:
        return value

    install(app, registry())
    app.get("/")(annotated(show, alias))


def method(app: FastAPI, alias: Any) -> None:
    @controller()
    class Orders:
        @get("/")
        async def show(self, value) -> Any:
            return value

    annotated(Orders.show, alias)
    app.include_router(create_router(Orders, registry()))


def constructor(app: FastAPI, alias: Any) -> None:
    @controller()
    class Orders:
        def __init__(self, value) -> None:
            self.value = value

        @get("/")
        def show(self) -> Any:
            return self.value

    annotated(Orders.__init__, alias)
    install(app, registry(), [Orders])


def interceptor(app: FastAPI, alias: Any) -> None:
    class Layer:
        def __init__(self, value) -> None:
            self.value = value

        async def intercept(self, ctx: Any, next: Any) -> Any:
            return self.value

    annotated(Layer.__init__, alias)
    install(app, registry())
    app.get("/")(intercept(Layer)(lambda: "never reached"))


def stream(app: FastAPI, alias: Any) -> None:
    @controller()
    class Orders:
        @get("/")
        async def show(self, value) -> AsyncIterator[Any]:
            yield value

    annotated(Orders.show, alias)
    install(app, registry(), [Orders])


@pytest.mark.parametrize("place", [function, method, constructor, interceptor, stream])
@pytest.mark.parametrize("text", SPELLINGS)
def test_a_client_cannot_give_what_an_alias_injects(place: Any, text: str) -> None:
    """Nor is it asked to: there is no such parameter in OpenAPI."""
    app = FastAPI()
    place(app, eval(text))

    with TestClient(app) as client:
        for path in ("/", "/?value=of+the+client"):
            answer = client.get(path)
            assert (answer.status_code, answer.text.strip()) == (200, '"repo"')
    assert "parameters" not in app.openapi()["paths"]["/"]["get"]


@pytest.mark.parametrize("text", SPELLINGS)
def test_nor_in_a_websocket(text: str) -> None:
    """The method's parameter is injected as a route's is."""

    @controller()
    class Orders:
        @websocket("/")
        async def talk(self, socket: WebSocket, value) -> None:
            await socket.accept()
            await socket.send_json(value)
            await socket.close()

    annotated(Orders.talk, eval(text))

    with (
        TestClient(app_with(Orders, registry=registry())) as client,
        client.websocket_connect("/?value=client") as socket,
    ):
        assert socket.receive_json() == "repo"


@pytest.mark.parametrize("text", ["Maybe[Asked]", "Annotated[Asked, 'a note']", "Optional['Asked']"])
def test_the_request_behind_an_alias_is_the_request(text: str) -> None:
    """And no parameter of the query."""
    app = FastAPI()
    install(app, InterceptorRegistry())

    async def show(value) -> Any:
        return value.url.path

    app.get("/x")(annotated(show, eval(text)))

    with TestClient(app) as client:
        assert client.get("/x?value=y").json() == "/x"
    assert "parameters" not in app.openapi()["paths"]["/x"]["get"]


# -- what is FastAPI's -------------------------------------------------------------------------------------------------


def signed_in(request: Request) -> Request:
    if "x-key" not in request.headers:
        raise HTTPException(401)
    request.state.user = request.headers["x-key"]
    return request


def answered(request: Request) -> Response:
    return JSONResponse(signed_in(request).state.user)


Signed = type_statements(
    "type Signed = Annotated[Request, Depends(signed_in)]",
    Annotated=Annotated,
    Request=Request,
    Depends=Depends,
    signed_in=signed_in,
)["Signed"]


async def by_default(value: Request = Depends(signed_in)) -> Any:
    return value.state.user


async def by_security(value: Annotated[Request, Security(signed_in, scopes=["a"])]) -> Any:
    return value.state.user


async def by_alias(value: Signed) -> Any:
    return value.state.user


async def by_a_union(value: Annotated[Request | None, Depends(signed_in)]) -> Any:
    return value.state.user


async def by_a_response(value: Annotated[Response, Depends(answered)]) -> Any:
    return value


async def by_the_context(
    value: Annotated[InvocationContext, Depends(lambda request=Depends(signed_in): request)],
) -> Any:
    return value.state.user


@pytest.mark.parametrize(
    "handler", [by_default, by_security, by_alias, by_a_union, by_a_response, by_the_context], ids=lambda h: h.__name__
)
@pytest.mark.parametrize("place", ["function", "method"])
def test_a_parameter_with_a_marker_of_fastapis_is_fastapis(handler: Any, place: str) -> None:
    """Whatever its type: what it depends on is asked, and may refuse."""
    app = FastAPI()
    install(app, InterceptorRegistry())
    if place == "function":
        app.get("/")(handler)
    else:
        install(app, app.state.interceptors, [controller()(type("C", (), {"x": get("/")(staticmethod(handler))}))])

    with TestClient(app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers={"x-key": "ada"}).json() == "ada"


MODELS = """
from typing import Annotated, Optional

from fastapi import Body
from pydantic import BaseModel

class Request(BaseModel):
    n: int

class Response(Request): ...

async def show(value: {}):
    return value and value.n
"""


@pytest.mark.parametrize(
    "text", ["'Request | None' = None", "'Response'", "'Annotated[Request, Body()] | None' = None"]
)
def test_a_model_named_as_what_we_inject_is_a_model(text: str) -> None:
    """Text is read in the module of the function before its bare name is taken for ours."""
    answers = []
    for installed in (True, False):
        names: dict[str, Any] = {"__name__": "models"}
        exec(MODELS.format(text), names)
        app = FastAPI()
        if installed:
            install(app, InterceptorRegistry())
        app.post("/")(names["show"])
        with TestClient(app) as client:
            answers.append((client.post("/", json={"n": 3}).text, client.post("/", json={}).text, app.openapi()))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("text", ["Annotated[Missing, Depends(signed_in)]", "Signed", "'Signed | None'"])
def test_depends_in_a_constructor_is_refused_however_it_is_written(text: str) -> None:
    """Also where it has a default, which it would always be, and where its type is for type checkers only."""
    names = {"Annotated": Annotated, "Depends": Depends, "signed_in": signed_in, "Signed": Signed}
    exec(
        f"from __future__ import annotations\nclass Orders:\n    def __init__(self, user: {text} = None):\n        self.user = user",
        names,
    )
    Orders = names["Orders"]
    Orders.show = get("/")(lambda self: self.user)

    with pytest.raises(
        InjectionError, match="'user' of the controller Orders .* Depends works in a method's parameters"
    ):
        TestClient(app_with(controller()(Orders))).__enter__()
