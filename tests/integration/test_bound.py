"""`bound("session", get_session)`: what FastAPI's dependencies give reaches what is injected."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Security, WebSocket
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer, SecurityScopes
from fastapi.testclient import TestClient

from interceptors import InterceptorRegistry, InvocationContext, UnreachedInterceptorError, WrongCallError, intercept
from interceptors.fastapi import bound, controller, create_router, get, install, websocket
from tests.integration.support import Next, ask, ask_quietly, client_of, started


class Session:
    def __init__(self, log: list[str]) -> None:
        self.log, self.is_open = log, True
        log.append("open")


def sessions(log: list[str]) -> Callable[[], AsyncIterator[Session]]:
    async def get_session() -> AsyncIterator[Session]:
        session = Session(log)
        try:
            yield session
            log.append("commit")
        except BaseException as error:
            log.append(f"rollback {type(error).__name__}")
            raise
        finally:
            session.is_open = False

    return get_session


class Layer:
    def __init__(self, session: Annotated[Session, Provide["session"]]) -> None:
        self.session = session

    async def intercept(self, ctx: InvocationContext, next: Next) -> Any:
        assert await ctx.get("session") is self.session
        self.session.log.append("layer")
        return await next()


def only(place: str, at: str, made: Any) -> dict[str, Any]:
    return {"dependencies": [made]} if place == at else {}


def shop(place: str, dependency: Any) -> FastAPI:
    """A controller whose constructor is injected with what is bound in one of the places."""
    made, registry = bound("session", dependency), InterceptorRegistry()
    registry.add_global(Layer)

    @controller(**only(place, "controller", made))
    class Orders:
        def __init__(self, session: Annotated[Session, Provide["session"]]) -> None:
            self.session = session

        @get("/x", **only(place, "route", made))
        async def x(
            self, given: Any = made if place == "parameter" else Depends(lambda: None), fail: bool = False
        ) -> bool:
            self.session.log.append("handler")
            if fail:
                raise HTTPException(409)
            return self.session.is_open and given in {None, self.session}

        @websocket("/talk", **only(place, "route", made))
        async def talk(
            self, socket: WebSocket, given: Any = made if place == "parameter" else Depends(lambda: None)
        ) -> None:
            await socket.accept()
            await socket.send_json(self.session.is_open)

    app, router = FastAPI(**only(place, "application", made)), APIRouter(**only(place, "router", made))
    router.include_router(create_router(Orders, registry))
    app.include_router(router, **only(place, "inclusion", made))
    install(app, registry)
    return app


@pytest.mark.parametrize("place", ["application", "router", "inclusion", "controller", "route", "parameter"])
async def test_wherever_depends_stands(place: str) -> None:
    """Constructors of layers and controllers have the value; it is closed, and told of an error, as FastAPI does it."""
    log: list[str] = []
    app = shop(place, sessions(log))
    assert (await ask(app, "/x")).json() is True
    assert log == ["open", "layer", "handler", "commit"]
    log.clear()
    assert (await ask(app, "/x?fail=1")).status_code == 409
    assert log == ["open", "layer", "handler", "rollback HTTPException"]
    log.clear()
    with TestClient(app) as client, client.websocket_connect("/talk") as socket:
        assert socket.receive_json() is True
    assert log == ["open", "layer", "commit"]


def generator() -> Iterator[Session]:
    yield Session([])


async def coroutine() -> Session:
    return Session([])


def plain() -> Session:
    return Session([])


class Made(Session):
    def __init__(self) -> None:
        super().__init__([])


class Maker:
    def __call__(self) -> Session:
        return Session([])

    def make(self) -> Session:
        return Session([])


@pytest.mark.parametrize(
    "dependency",
    [
        *(sessions([]), generator, coroutine, plain, Made, Maker(), Maker().make),
        *(Depends(plain), Depends(sessions([]), scope="function"), Security(plain, scopes=["a"])),
    ],
    ids=["agen", "gen", "coroutine", "def", "class", "object", "bound method", "Depends", "until the end", "Security"],
)
async def test_whatever_fastapi_takes_for_a_dependency(dependency: Any) -> None:
    """A function, a class, an object, and what `Depends` and `Security` make of one."""
    assert (await ask(shop("router", dependency), "/x")).json() is True


def limited(
    scopes: SecurityScopes,
    token: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))],
    key: Annotated[str, Security(APIKeyHeader(name="x-key"))],
    x_tenant: Annotated[int, Header(description="Whose.")],
    limit: int = 3,
) -> list[Any]:
    return [token, key, x_tenant, limit, scopes.scopes]


@pytest.mark.parametrize("place", ["dependencies", "parameter"])
@pytest.mark.parametrize("made", [Depends(limited), Security(limited, scopes=["orders"])], ids=["Depends", "Security"])
async def test_the_document_and_the_answers_are_those_of_depends(place: str, made: Any) -> None:
    """Parameters, security and its scopes included, and what is wrong with a request."""

    def api(given: Any) -> FastAPI:
        app = FastAPI()
        install(app, InterceptorRegistry())

        @app.get("/x", **only(place, "dependencies", given))
        async def x(asked: Any = given if place == "parameter" else Depends(lambda: None)) -> Any:
            return asked

        return app

    ours, theirs = api(bound("limits", made)), api(made)
    assert ours.openapi() == theirs.openapi()
    assert "security" in ours.openapi()["paths"]["/x"]["get"]
    good = {"authorization": "Bearer t", "x-key": "k", "x-tenant": "4"}
    for headers in (good, {**good, "x-tenant": "four"}, {"x-key": "k"}):
        answers = [await ask(app, "/x?limit=5", headers=headers) for app in (ours, theirs)]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].json() == answers[1].json()


async def test_a_dependency_that_refuses_binds_nothing_and_runs_no_layer() -> None:
    """The chain is never entered."""
    seen: list[Session] = []

    def refusing(refuse: bool = True) -> Session:
        if refuse:
            raise HTTPException(401)
        seen.append(Session([]))
        return seen[0]

    app = shop("application", refusing)
    assert (await ask(app, "/x")).status_code == 401
    assert seen == []
    assert (await ask(app, "/x?refuse=0")).json() is True
    assert seen[0].log == ["open", "layer", "handler"]


async def test_what_a_test_overrides_is_bound() -> None:
    """`dependency_overrides` names the dependency, as it always does."""
    log: list[str] = []
    app = shop("router", sessions(log))
    get_session = sessions(log)
    app = shop("router", get_session)
    fake: list[str] = []
    app.dependency_overrides[get_session] = sessions(fake)
    assert (await ask(app, "/x")).json() is True
    assert (log, fake) == ([], ["open", "layer", "handler", "commit"])


async def test_it_is_asked_once_however_often_it_is_bound_and_asked_for() -> None:
    """Two keys, a place outside and one inside, and plain `Depends` share the value of the request, and no other's."""
    made: list[str] = []

    async def tenant(x_tenant: Annotated[str, Header()]) -> str:
        made.append(x_tenant)
        await asyncio.sleep(0)
        return x_tenant

    registry = InterceptorRegistry()
    app = FastAPI(dependencies=[bound("tenant", tenant)])
    install(app, registry)

    @app.get("/x", dependencies=[bound("tenant", tenant), bound("owner", tenant)])
    async def x(
        given: Annotated[str, Depends(tenant)],
        one: Annotated[str, Provide["tenant"]],
        other: Annotated[str, Provide["owner"]],
    ) -> list[str]:
        return [given, one, other]

    names = [str(number) for number in range(200)]
    async with started(app), client_of(app) as client:
        answers = await asyncio.gather(*(client.get("/x", headers={"x-tenant": name}) for name in names))
    assert [answer.json() for answer in answers] == [[name] * 3 for name in names]
    assert sorted(made) == sorted(names)


async def test_the_current_user_may_be_bound() -> None:
    """A security scheme that documents itself is the application's `current_user`."""

    async def user(token: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))]) -> str:
        return token.upper()

    app = FastAPI(dependencies=[bound("current_user", user)])
    install(app, InterceptorRegistry(current_user=lambda request: "another"))

    @app.get("/x")
    async def x(ctx: InvocationContext) -> Any:
        return await ctx.current_user()

    assert (await ask(app, "/x", headers={"authorization": "Bearer ada"})).json() == "ADA"
    assert (await ask_quietly(app, "/x")).status_code == 401


async def test_a_decorated_dependency_is_refused_as_it_is_in_depends() -> None:
    """Interceptors do not run around dependencies, and nobody is let believe it."""

    @intercept(Layer)
    async def get_session() -> str:
        return "session"

    app = FastAPI(dependencies=[bound("session", get_session)])
    app.get("/x")(lambda: 1)
    install(app, InterceptorRegistry())
    with pytest.raises(UnreachedInterceptorError, match="get_session"):
        async with started(app):
            pass


@pytest.mark.parametrize(
    "arguments",
    [("session",), (plain,), ("session", 3), (plain, "session"), ("session", Depends()), ("s", Provide["session"])],
    ids=["no dependency", "no key", "a value", "swapped", "empty Depends", "a marker"],
)
def test_what_is_no_key_or_no_dependency_is_refused(arguments: Any) -> None:
    """Where it is declared, and the message says how it is written."""
    with pytest.raises(WrongCallError, match=r'Write `bound\("session", get_session\)`'):
        bound(*arguments)
