"""Related rows: as dicts, by one query for each relation and level."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    configure_mappers,
    foreign,
    mapped_column,
    relationship,
    remote,
    with_loader_criteria,
)

from interceptors.resources.conditions import With
from interceptors.resources.description import Description, Relation
from interceptors.resources.errors import ApiError, ResourceError
from interceptors.resources.relations import check_relation, load_relations
from tests.unit.resources.query_support import LIBRARY, parse

Author, Book, Profile, Tag = LIBRARY.Author, LIBRARY.Book, LIBRARY.Profile, LIBRARY.Tag


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    made = create_async_engine("sqlite+aiosqlite://")
    async with made.begin() as connection:
        await connection.run_sync(LIBRARY.metadata.create_all)
    yield made
    await made.dispose()


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as filling:
        filling.add_all([Author(id=1, name="Ada", secret="s"), Author(id=2, name="Bob", mentor_id=1), Author(id=3)])
        filling.add_all([Tag(id=1, word="old"), Tag(id=2, word="new")])
        await filling.flush()
        filling.add_all([Book(id=n, author_id=(n % 2) + 1, title=title, price=n) for n, title in enumerate("acb", 1)])
        filling.add_all([Book(id=4), Profile(id=1, author_id=1, text="x"), Profile(id=2, author_id=1, text="y")])
        await filling.flush()
        pairs = [(1, 2), (1, 1), (3, 1)]
        await filling.execute(LIBRARY.book_tags.insert(), [{"book_id": b, "tag_id": t} for b, t in pairs])
        await filling.commit()
    async with AsyncSession(engine) as made:
        yield made


@pytest.fixture
def statements(engine: AsyncEngine, session: AsyncSession) -> list[str]:
    """What the database was asked."""
    found: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: found.append(args[2]))
    return found


async def loaded(session: AsyncSession, model: Any, text: str) -> list[dict[str, Any]]:
    """Every row of a model, with these relations."""
    description: Description = getattr(LIBRARY, model.__name__.lower())
    names = list(description.columns)
    query = sa.select(*description.columns.values()).order_by(description.key_column)
    rows = [dict(zip(names, row, strict=True)) for row in await session.execute(query)]
    await load_relations(session, description, rows, parse(description, with_=text).with_)
    return rows


async def test_one_to_many_is_a_list_in_the_relationship_s_order(session: AsyncSession) -> None:
    """Of dicts with every column, deferred ones too; an empty list where there is nothing."""
    ada, bob, other = await loaded(session, Author, "books")
    assert ada["books"] == [{"id": 2, "author_id": 1, "title": "c", "price": 2}]
    assert [book["title"] for book in bob["books"]] == ["b", "a"]
    assert other["books"] == []


async def test_many_to_one_is_a_dict_or_none(session: AsyncSession) -> None:
    """Hidden columns are in it: they are removed when the answer is made."""
    books = await loaded(session, Book, "author{name}")
    assert [book["author"] and book["author"]["name"] for book in books] == ["Bob", "Ada", "Bob", None]
    assert books[1]["author"]["secret"] == "s"
    assert set(books[1]["author"]) == set(LIBRARY.author.columns)


async def test_one_to_one_is_the_first_by_its_key(session: AsyncSession) -> None:
    """Or None."""
    profiles = [row["profile"] for row in await loaded(session, Author, "profile")]
    assert profiles == [{"id": 1, "author_id": 1, "text": "x"}, None, None]


async def test_many_to_many_from_both_ends(session: AsyncSession) -> None:
    """By the key, or by what the relationship says, a column of the secondary table for instance."""
    books = await loaded(session, Book, "tags")
    assert [[tag["word"] for tag in book["tags"]] for book in books] == [["old", "new"], [], ["old"], []]
    assert books[0]["tags"][0] == {"id": 1, "word": "old", "loud": "OLD"}
    assert [[book["id"] for book in tag["books"]] for tag in await loaded(session, Tag, "books")] == [[1, 3], [1]]


async def test_relations_to_the_model_itself(session: AsyncSession) -> None:
    """Both ends."""
    rows = await loaded(session, Author, "mentor,pupils{mentor}")
    assert [row["mentor"] and row["mentor"]["name"] for row in rows] == [None, "Ada", None]
    assert [[each["mentor"]["name"] for each in row["pupils"]] for row in rows] == [["Ada"], [], []]


async def test_each_relation_and_level_is_one_query(session: AsyncSession, statements: list[str]) -> None:
    """However many rows there are; none where no row has a key."""
    rows = await loaded(session, Author, "books{tags|author{profile}},mentor")
    assert rows[0]["books"][0]["author"]["profile"]["text"] == "x"
    assert len(statements) == 6
    statements.clear()
    await load_relations(session, LIBRARY.author, [], [With("books", [], [With("author")])])
    await load_relations(session, LIBRARY.book, [{"id": 1, "author_id": None}], [With("author", [], [With("books")])])
    assert statements == []


async def test_the_key_breaks_ties(session: AsyncSession, statements: list[str]) -> None:
    """Of the relationship's own order, and where it has none."""
    await loaded(session, Author, "books")
    assert statements[-1].endswith("ORDER BY books.title DESC, books.id")
    await loaded(session, Book, "tags")
    assert statements[-1].endswith("ORDER BY tags.id")


async def test_many_keys_are_asked_for_in_parts(session: AsyncSession, statements: list[str]) -> None:
    """No statement has more parameters than a database takes, and none is asked for twice."""
    rows = [{"id": n % 1_200} for n in range(2_400)]
    await load_relations(session, LIBRARY.author, rows, [With("books")])
    assert len(statements) == 3
    assert [len(row["books"]) for row in rows[:4]] == [0, 1, 2, 0]
    assert rows[1_202]["books"] == rows[2]["books"]


async def test_each_row_has_dicts_of_its_own(session: AsyncSession) -> None:
    """What a serializer changes in one must not show in another."""
    books = await loaded(session, Book, "author{profile|books}")
    first, third = books[0]["author"], books[2]["author"]
    assert first == third
    assert first is not third
    assert first["books"][0] is not third["books"][0]
    assert not list(session.identity_map.values())


async def test_rows_that_multiply_are_refused(session: AsyncSession) -> None:
    """A client cannot ask for an answer that grows with every level."""
    session.add_all([Book(id=n, author_id=3, title="x") for n in range(10, 60)])
    await session.flush()
    rows: list[dict[str, Any]] = [{"id": 3}]
    deep = "books{author{books{author{books}}}}"
    with pytest.raises(ApiError, match="with asks for more than 100000 rows") as raised:
        await load_relations(session, LIBRARY.author, rows, parse(LIBRARY.author, with_=deep).with_)
    assert raised.value.status == 400
    await load_relations(session, LIBRARY.author, rows, parse(LIBRARY.author, with_="books{author{books}}").with_)
    assert len(rows[0]["books"][49]["author"]["books"]) == 50


async def test_loader_criteria_of_the_session_hold(session: AsyncSession) -> None:
    """A tenant that an application adds to every query is not by-passed by `with`."""

    def only_cheap(state: Any) -> None:
        state.statement = state.statement.options(
            with_loader_criteria(Book, Book.id < 3), with_loader_criteria(Tag, Tag.word == "old")
        )

    event.listen(Session, "do_orm_execute", only_cheap)
    try:
        rows = await loaded(session, Author, "books{tags}")
    finally:
        event.remove(Session, "do_orm_execute", only_cheap)
    assert [[book["id"] for book in row["books"]] for row in rows] == [[2], [1], []]
    assert [tag["word"] for tag in rows[1]["books"][0]["tags"]] == ["old"]


async def test_a_hook_s_unknown_relation_is_named(session: AsyncSession) -> None:
    """With the nearest."""
    with pytest.raises(ResourceError, match="'bok' is not one of its `relations`. Did you mean 'book"):
        await load_relations(session, LIBRARY.author, [], [With("bok")])


# -- what `relations` may name -----------------------------------------------------------------------------------------


def test_plain_relationships_can_be_loaded() -> None:
    """Of every direction."""
    for description in (LIBRARY.author, LIBRARY.book, LIBRARY.profile, LIBRARY.tag):
        for relation in description.relations.values():
            check_relation(relation)


class Base(DeclarativeBase):
    pass


pairs = sa.Table(
    "pairs",
    Base.metadata,
    sa.Column("left_id", sa.ForeignKey("lefts.id")),
    sa.Column("right_id", sa.ForeignKey("rights.id")),
    sa.Column("kind", sa.Integer),
)


class Right(Base):
    __tablename__ = "rights"
    __table_args__ = (sa.ForeignKeyConstraint(["one", "two"], ["lefts.one", "lefts.two"]),)
    id: Mapped[int] = mapped_column(primary_key=True)
    left_id: Mapped[int] = mapped_column(sa.ForeignKey("lefts.id"))
    one: Mapped[int]
    two: Mapped[int]


class Left(Base):
    __tablename__ = "lefts"
    id: Mapped[int] = mapped_column(primary_key=True)
    one: Mapped[int]
    two: Mapped[int]
    plain = relationship(Right, primaryjoin=lambda: Left.id == Right.left_id)
    told = relationship(Right, primaryjoin=lambda: remote(foreign(Right.one)) == Left.id, viewonly=True)
    composite = relationship(Right, foreign_keys=[Right.one, Right.two], viewonly=True)
    narrowed = relationship(Right, primaryjoin=lambda: sa.and_(Left.id == Right.left_id, Right.one > 1), viewonly=True)
    compared = relationship(Right, primaryjoin=lambda: Left.id > foreign(Right.left_id), viewonly=True)
    computed = relationship(Right, primaryjoin=lambda: Left.id == sa.func.abs(foreign(Right.left_id)), viewonly=True)
    narrowed_pairs = relationship(
        Right,
        secondary=pairs,
        secondaryjoin=lambda: sa.and_(pairs.c.right_id == Right.id, pairs.c.kind == 1),
        viewonly=True,
    )


_alias = aliased(Right)
Left.alias = relationship(_alias, primaryjoin=lambda: Left.id == foreign(_alias.left_id), viewonly=True)


class Narrow(Base):
    __table__ = sa.Table(
        "narrow",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("left_id", sa.ForeignKey("lefts.id")),
    )
    __mapper_args__ = {"exclude_properties": ["left_id"]}


Left.narrow = relationship(Narrow, primaryjoin=lambda: Left.id == foreign(Narrow.__table__.c.left_id), viewonly=True)


def of_left(name: str) -> Relation:
    class Owner:
        pass

    configure_mappers()
    description = Description(Owner, Left)
    found = description.mapper.relationships[name]
    return Relation(name, found, Description(Owner, found.mapper.class_))


@pytest.mark.parametrize("name", ["plain", "told"])
def test_a_written_out_pair_is_plain(name: str) -> None:
    """Whoever wrote the equality."""
    check_relation(of_left(name))


@pytest.mark.parametrize("name", ["composite", "narrowed", "compared", "computed", "narrowed_pairs", "alias"])
def test_more_than_an_equality_of_two_columns_is_refused(name: str) -> None:
    """It would be loaded wrongly."""
    with pytest.raises(
        ResourceError, match=f"Left.{name} .*test_relations.py:.* more than one equality of two columns"
    ):
        check_relation(of_left(name))


def test_a_column_that_is_not_mapped_is_refused() -> None:
    """The key could not be read."""
    with pytest.raises(ResourceError, match="Left.narrow .* narrow.left_id is no attribute of Narrow"):
        check_relation(of_left("narrow"))
