"""What the tests of model resources share: mapped classes on tables of their own, a site of them, and its journal."""

import asyncio
import os
import re
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from sqlalchemy import ForeignKey, MetaData, String, create_engine, event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher
from interceptors.resources import Handler, Resource, Resources
from tests.integration.connectors.servers import server_url
from tests.integration.connectors.sql_support import URLS
from tests.integration.support import started

UNIQUE = f"{os.getpid()}_{uuid.uuid4().hex[:6]}"


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = f"users_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    email: Mapped[str | None] = mapped_column(String(50), unique=True)
    age: Mapped[int | None]
    role: Mapped[str] = mapped_column(String(20), default="reader")
    secret: Mapped[str | None] = mapped_column(String(50))
    posts: Mapped[list["Post"]] = relationship(back_populates="user", order_by="Post.id", passive_deletes="all")


class Post(Base):
    __tablename__ = f"posts_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    title: Mapped[str] = mapped_column(String(20))
    note: Mapped[str | None] = mapped_column(String(50))
    stars: Mapped[int] = mapped_column(default=0)
    user: Mapped[User] = relationship(back_populates="posts")
    comments: Mapped[list["Comment"]] = relationship(order_by="Comment.id", passive_deletes="all")


class Comment(Base):
    __tablename__ = f"comments_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey(Post.id))
    text: Mapped[str] = mapped_column(String(50))


class UserResource(Resource):
    model = User
    handlers = tuple(Handler)
    fillable = {"name", "email", "age", "secret"}
    hidden = {"secret"}
    nested = ("posts",)
    relations = ("posts",)


class PostResource(Resource):
    model = Post
    handlers = tuple(Handler)
    fillable = {"user_id", "title", "note", "stars"}
    hidden = {"note"}
    nested = ("comments",)
    relations = ("comments", "user")
    top_level = True


class CommentResource(Resource):
    model = Comment
    handlers = tuple(Handler)
    fillable = {"post_id", "text"}
    top_level = True


RESOURCES = (UserResource, PostResource, CommentResource)


def only(*handlers: Handler) -> tuple[type[Resource], ...]:
    """Users and their posts, with these handlers alone: FastAPI takes milliseconds for each route."""

    class Users(UserResource):
        pass

    class Posts(PostResource):
        nested = ()
        relations = ("user",)

    Users.handlers = Posts.handlers = handlers
    return Users, Posts


# -- databases ---------------------------------------------------------------------------------------------------------


@dataclass
class Database:
    """A database with the tables of one `metadata`, empty."""

    name: str
    url: str
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    async def add(self, *rows: Any) -> None:
        """Store mapped objects; those of one class get their keys in this order."""
        async with self.sessions() as session, session.begin():
            session.add_all(rows)

    async def values(self, column: Any) -> list[Any]:
        """What a column holds, as somebody else sees it, in the order of the primary key."""
        async with self.sessions() as session:
            key = column.class_.__mapper__.primary_key[0]
            return list(await session.scalars(select(column).order_by(key)))

    async def count(self, model: Any) -> int:
        """How many rows a table has."""
        async with self.sessions() as session:
            return int(await session.scalar(select(func.count()).select_from(model)) or 0)

    @property
    def taken(self) -> int:
        """How many connections somebody holds."""
        return int(self.engine.pool.checkedout())  # type: ignore[attr-defined]


def _honest_sqlite(engine: Engine) -> None:
    """Foreign keys are checked, and savepoints and reads are in a transaction, which Python's driver leaves out."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("foreign_keys=ON", "synchronous=OFF", "busy_timeout=20000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


@cache
def _empty_file(metadata: MetaData) -> bytes:
    """What a file of SQLite's with these tables holds: made once, then copied. Readers do not wait for writers."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            metadata.create_all(connection)
        engine.dispose()
        return path.read_bytes()


@asynccontextmanager
async def database_of(
    name: str, folder: Path, *, metadata: MetaData = Base.metadata, **options: Any
) -> AsyncIterator[Database]:
    """A database of a kind; its tables are made now and dropped afterwards."""
    url = server_url(name, URLS[name]) if name in URLS else f"sqlite+aiosqlite:///{folder / 'test.db'}"
    engine = create_async_engine(url, **options)
    if name == "sqlite":
        _honest_sqlite(engine.sync_engine)
        (folder / "test.db").write_bytes(_empty_file(metadata))
    else:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
    try:
        yield Database(name, url, engine, async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()
        if name != "sqlite":
            engine = create_async_engine(url)
            async with engine.begin() as connection:
                await connection.run_sync(metadata.drop_all)
            await engine.dispose()


# -- a site ------------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """An application of resources under /api; its options are those of `Resources`."""

    database: Database
    resources_added: tuple[type[Resource], ...] = RESOURCES
    transaction: bool | None = None
    event_facts: Any = None
    container: Any = None
    registry: InterceptorRegistry = field(init=False)
    events: EventDispatcher = field(init=False)
    resources: Resources = field(init=False)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        self.registry = InterceptorRegistry(self.container)
        self.events = EventDispatcher(self.registry, sessions=self.database.sessions)
        self.app = FastAPI()
        self.renew()

    def use(self, *resources: type[Resource]) -> None:
        """Have these resources, and no hooks and events yet."""
        self.resources_added = resources
        self.renew()

    def renew(self) -> None:
        """Have no hooks and events yet, and read the options again."""
        self.resources = Resources(
            self.registry, self.database.sessions, self.events, self.transaction, event_facts=self.event_facts
        )
        self.resources.add(*self.resources_added)

    def hook(self, model: type, *names: str) -> Callable[[Any], Any]:
        return self.resources.hook(model, *names)

    def event(self, model: type, *names: str, **options: Any) -> Callable[[Any], Any]:
        return self.resources.event(model, *names, **options)

    def router(self) -> APIRouter:
        return self.resources.router()

    @asynccontextmanager
    async def client(self, *, raise_app_exceptions: bool = True) -> AsyncIterator[AsyncClient]:
        """The site runs; when it is left, what was emitted has been handled."""
        self.app.include_router(self.router(), prefix="/api")
        async with started(self.app, raise_app_exceptions=raise_app_exceptions) as client:
            client.base_url = f"{client.base_url}/api"  # type: ignore[assignment]
            yield client
        assert self.database.taken == 0


@asynccontextmanager
async def served_at_once(app: FastAPI) -> AsyncIterator[int]:
    """The application on a real socket that does not wait for more to send, which would take 40 ms; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=5))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            await task


# -- the journal -------------------------------------------------------------------------------------------------------

_TABLES = {model.__tablename__: model.__name__ for model in (User, Post, Comment)}


def watch(database: Database, journal: list[str]) -> None:
    """Note statements as `select Post`, `count Post`, `insert Post` ..., and how transactions end."""
    engine = database.engine.sync_engine

    @event.listens_for(engine, "before_cursor_execute")
    def statement(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        verb = text.split(maxsplit=1)[0].lower()
        if verb not in ("select", "insert", "update", "delete"):
            return
        tables = re.findall(r"(?:FROM|INTO|UPDATE) (\w+)", text)
        model = next((_TABLES[table] for table in tables if table in _TABLES), None)
        if model is not None:
            journal.append(f"{'count' if 'count(' in text else verb} {model}")

    event.listen(engine, "commit", lambda connection: journal.append("commit"))
    event.listen(engine, "rollback", lambda connection: journal.append("rollback"))


def taking(names: Any, note: Callable[[dict[str, Any]], Any], *, called: str) -> Any:
    """A function with exactly these parameters, as if somebody had written it; `note` gets them."""

    async def function(**values: Any) -> None:
        note(values)

    function.__signature__ = Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = called
    return function
