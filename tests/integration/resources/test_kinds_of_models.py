"""Mapped classes of every kind: what the ORM does for a model it does for its resource, too."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import CheckConstraint, ForeignKey, Integer, String, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    deferred,
    mapped_column,
    relationship,
    validates,
)

from interceptors import InterceptorRegistry
from interceptors.events import EventDispatcher, Outbox
from interceptors.resources import Handler, Resource, Resources
from tests.integration.resources.site_support import UNIQUE, Site, database_of
from tests.integration.support import started


class Base(DeclarativeBase):
    pass


class Animal(Base):
    __tablename__ = f"animals_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):
    __tablename__ = f"dogs_{UNIQUE}"

    id: Mapped[int] = mapped_column(ForeignKey(Animal.id), primary_key=True)
    barks: Mapped[bool] = mapped_column(default=True)
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Page(Base):
    __tablename__ = f"pages_{UNIQUE}"

    number: Mapped[int] = mapped_column("no", primary_key=True)
    title: Mapped[str] = mapped_column("page_title", String(20))
    body: Mapped[str | None] = deferred(mapped_column(String(100)))
    made: Mapped[datetime] = mapped_column(server_default=func.now())
    changes: Mapped[int] = mapped_column(default=0, onupdate=1)
    length: Mapped[int] = column_property(func.length(title.column, type_=Integer))
    lines: Mapped[list["Line"]] = relationship(cascade="all, delete-orphan")

    @validates("title")
    def tidy(self, key: str, value: str) -> str:
        return value.strip()


class Line(Base):
    __tablename__ = f"lines_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True)
    page_number: Mapped[int] = mapped_column(ForeignKey(Page.number))


class DataBase(MappedAsDataclass, DeclarativeBase):
    pass


class Point(DataBase):
    __tablename__ = f"points_{UNIQUE}"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    x: Mapped[int]
    y: Mapped[int] = mapped_column(default=0)
    label: Mapped[str] = mapped_column(String(20), default="none", init=False)


class DogResource(Resource):
    model = Dog
    fillable = {"name", "barks"}
    handlers = tuple(Handler)


class PageResource(Resource):
    model = Page
    fillable = {"title", "body"}
    nested = ("lines",)
    relations = ("lines",)


class LineResource(Resource):
    model = Line
    handlers = (Handler.INSERT, Handler.PAGINATE)


class PointResource(Resource):
    model = Point
    fillable = {"x", "y", "label"}


async def test_joined_inheritance(tmp_path: Path):
    """A row of two tables is written, read, narrowed and deleted as one."""
    async with database_of("sqlite", tmp_path, metadata=Base.metadata) as database:
        await database.add(Animal(name="cat"))
        async with Site(database, (DogResource,)).client() as client:
            made = (await client.post("/dogs", json={"name": "rex"})).json()
            assert made == {"id": 2, "barks": True, "name": "rex", "kind": "dog"}
            assert (await client.patch("/dogs/2", json={"name": "max", "barks": False})).json()["name"] == "max"
            found = (await client.get('/dogs?q={"name":"max","barks":false}')).json()
            assert (found["data"], found["pagination"]["total"]) == ([{**made, "name": "max", "barks": False}], 1)
            assert (await client.get("/dogs/1")).status_code == 404
            assert (await client.delete("/dogs/2")).status_code == 204
        assert (await database.count(Dog), await database.values(Animal.name)) == (0, ["cat"])


async def test_the_orm_does_its_work(tmp_path: Path):
    """Validators, defaults of both sides, `onupdate`, cascades, column names of their own, deferred and computed columns."""
    async with database_of("sqlite", tmp_path, metadata=Base.metadata) as database:
        async with Site(database, (PageResource, LineResource)).client() as client:
            made = (await client.post("/pages", json={"title": " one ", "body": "long"})).json()
            assert set(made) == {"number", "title", "body", "made", "changes", "length"}
            assert (made["number"], made["title"], made["body"], made["length"]) == (1, "one", "long", 3)
            assert datetime.fromisoformat(made["made"])
            assert (await client.post("/pages/1/lines", json={})).json() == {"id": 1, "page_number": 1}
            changed = (await client.put("/pages/1", json={"title": "three"})).json()
            assert changed == {**made, "title": "three", "length": 5, "changes": 1}
            assert (await client.get("/pages/1?with=lines")).json() == {
                **changed,
                "lines": [{"id": 1, "page_number": 1}],
            }
            assert (await client.get("/pages?sort=-length&fields=body")).json()["data"] == [{"body": "long"}]
            assert (await client.delete("/pages/1")).status_code == 204
        assert (await database.count(Page), await database.count(Line)) == (0, 0)


async def test_dataclasses(tmp_path: Path):
    """A mapped dataclass is made by its constructor; what that does not take is set."""
    async with database_of("sqlite", tmp_path, metadata=DataBase.metadata) as database:
        async with Site(database, (PointResource,)).client() as client:
            assert (await client.post("/points", json={"x": 1})).json() == {"id": 1, "x": 1, "y": 0, "label": "none"}
            made = (await client.post("/points", json={"x": 1, "y": 2, "label": "b"})).json()
            assert made == {"id": 2, "x": 1, "y": 2, "label": "b"}
            assert (await client.patch("/points/1", json={"y": 3})).json()["y"] == 3
            assert set((await client.post("/points", json={})).json()["errors"]) == {"x"}


@pytest.mark.parametrize("wrong", ["length", "made_up"])
async def test_expressions_are_not_written(tmp_path: Path, wrong: str):
    """A hook that sets a computed column makes the same mistake as one that sets an unknown one."""
    async with database_of("sqlite", tmp_path, metadata=Base.metadata) as database:
        site = Site(database, (PageResource, LineResource))

        @site.hook(Page)
        async def on_before_insert(form_data: dict[str, Any]) -> None:
            form_data[wrong] = 1

        async with site.client() as client:
            assert (await client.post("/pages", json={"title": "one"})).status_code == 500
        assert await database.count(Page) == 0


class _Named(DeclarativeBase): ...


class Label(_Named):
    __tablename__ = f"labels_{UNIQUE}"
    name: Mapped[str] = mapped_column(String(400), primary_key=True)
    __table_args__ = (CheckConstraint("name <> 'forbidden'"),)


class LabelResource(Resource):
    model = Label
    fillable = ("name",)


async def test_a_stored_event_of_a_row_with_a_long_key(tmp_path: Path):
    """Any primary key will do: two events of one row have one key of the outbox's, however long it is."""
    async with database_of("sqlite", tmp_path, metadata=_Named.metadata) as database:
        outbox = Outbox(database.sessions, metadata=_Named.metadata, table=f"long_keys_{UNIQUE}")
        async with database.engine.begin() as connection:
            await connection.run_sync(_Named.metadata.create_all)
        registry = InterceptorRegistry()
        resources = Resources(registry, database.sessions, EventDispatcher(registry, outbox=outbox, relay=False))
        resources.add(LabelResource)

        @resources.event(Label, "on_after_insert", "on_after_delete")
        async def stored() -> None:
            raise AssertionError

        app = FastAPI()
        app.include_router(resources.router())
        async with started(app) as client:
            refused = await client.post("/labels", json={"name": "forbidden"})  # by a CHECK
            assert (refused.status_code, refused.json()) == (400, {"error": "The database refuses a value"})
            for name in ("x" * 300, "y" * 300):
                assert (await client.post("/labels", json={"name": name})).status_code == 201
                assert (await client.delete(f"/labels/{name}")).status_code == 204
        async with database.sessions() as session:
            keys = list(await session.scalars(select(outbox.table.c.key).order_by(outbox.table.c.id)))
    first, again, second, _ = keys
    assert first == again != second
