"""One request in process to a resource without hooks, with hooks, and to the route that one would write by hand.

The database is SQLite in memory, a thread beside this one: what counts is the time that passes, and most of it is
SQLAlchemy's. Both sides send the same statements, but for one: PUT of a resource reads the row again, as the other does.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.bench_http import SCOPE, new_event_loop
from benchmarks.measure import WALL, Effort, Work, alternate
from benchmarks.table import Row
from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher
from interceptors.resources import Resource, Resources

__all__ = ["rows"]

TITLE = "resources"
FULL, QUICK = Effort(21, 0.1), Effort(5, 0.03)

REQUESTS = {
    "SHOW": ("GET", "/users/7", b"", b""),
    "PAGINATE": ("GET", "/users", b"page=2&per_page=10", b""),
    "INSERT": ("POST", "/users", b"", b'{"name": "Ada", "email": "ada@example.org"}'),
    "UPDATE": ("PUT", "/users/7", b"", b'{"name": "Grace", "email": "grace@example.org"}'),
}
BY_HAND, RESOURCE, HOOKS, EVENT = "by hand", "resource", "2 hooks", "2 hooks, 1 event"


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(100))


class NewUser(BaseModel):
    name: str
    email: str | None = None


class UserOut(NewUser):
    model_config = ConfigDict(from_attributes=True)
    id: int


class Page(BaseModel):
    data: list[UserOut]
    total: int


def rows(effort: Effort) -> list[Row]:
    """Ratios are of the time of one request, to the route by hand."""
    loop = new_event_loop()
    table: list[Row] = []
    for handler in REQUESTS:
        kinds = [BY_HAND, RESOURCE, HOOKS, *([EVENT] if handler in ("INSERT", "UPDATE") else [])]
        subjects = {kind: _work(loop, handler, loop.run_until_complete(_application(kind))) for kind in kinds}
        figures = alternate(subjects, effort, WALL)
        table += [Row(f"{handler}, {kind}", one, "s", one / figures[BY_HAND]) for kind, one in figures.items()]
        table.append(Row(f"{handler}, one hook more", (figures[HOOKS] - figures[RESOURCE]) / 2, "s"))
    return table


def _work(loop: Any, handler: str, app: FastAPI) -> Work:
    request = _request(app, handler)
    loop.run_until_complete(request())

    async def repeat(n: int) -> None:
        for _ in range(n):
            await request()

    return lambda n: loop.run_until_complete(repeat(n))


def _request(app: FastAPI, handler: str) -> Callable[[], Awaitable[None]]:
    method, path, query, body = REQUESTS[handler]
    headers = [*SCOPE["headers"], (b"content-type", b"application/json")]
    scope = {
        **SCOPE,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": headers,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] not in (200, 201):
            raise AssertionError(f"{handler}: {message}")

    return lambda: app(dict(scope), receive, send)


async def _application(kind: str) -> FastAPI:
    engine = create_async_engine("sqlite+aiosqlite://")
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as session:
        session.add_all(User(name=f"user {n}", email=f"{n}@example.org") for n in range(100))
    app = FastAPI(openapi_url=None)
    if kind == BY_HAND:
        _add_routes(app, sessions)
    else:
        await _add_resource(app, sessions, kind)
    return app


async def _add_resource(app: FastAPI, sessions: async_sessionmaker[AsyncSession], kind: str) -> None:
    class UserResource(Resource):
        model = User
        validation = NewUser

    registry = InterceptorRegistry()
    events = EventDispatcher(registry)
    resources = Resources(registry, sessions, events)
    resources.add(UserResource)
    if kind != RESOURCE:
        names = ("show", "paginate", "insert", "update")

        @resources.hook(User, *(f"on_{when}_{name}" for name in names for when in ("before", "after")))
        async def nothing(ctx: Any) -> None:
            pass

    if kind == EVENT:

        @resources.event(User, "on_after_insert", "on_after_update")
        async def happened(item: Any) -> None:
            pass

        await events.__aenter__()  # for as long as the process lives
    app.include_router(resources.router())


def _add_routes(app: FastAPI, sessions: async_sessionmaker[AsyncSession]) -> None:
    async def get_session():
        async with sessions() as session:
            yield session

    Session = Annotated[AsyncSession, Depends(get_session)]

    @app.get("/users/{id}")
    async def show(id: int, session: Session) -> UserOut:
        user = await session.get(User, id)
        if user is None:
            raise HTTPException(404)
        return UserOut.model_validate(user)

    @app.get("/users")
    async def paginate(session: Session, page: int = 1, per_page: int = 10) -> Page:
        total = (await session.execute(select(func.count()).select_from(User))).scalar_one()
        found = await session.scalars(select(User).order_by(User.id).limit(per_page).offset((page - 1) * per_page))
        return Page(data=[UserOut.model_validate(user) for user in found], total=total)

    @app.post("/users", status_code=201)
    async def insert(body: NewUser, session: Session) -> UserOut:
        user = User(**body.model_dump())
        session.add(user)
        await session.flush()
        await session.refresh(user)
        await session.commit()
        return UserOut.model_validate(user)

    @app.put("/users/{id}")
    async def update(id: int, body: NewUser, session: Session) -> UserOut:
        user = await session.get(User, id)
        if user is None:
            raise HTTPException(404)
        for name, value in body.model_dump(exclude_unset=True).items():
            setattr(user, name, value)
        await session.flush()
        await session.refresh(user)
        await session.commit()
        return UserOut.model_validate(user)
