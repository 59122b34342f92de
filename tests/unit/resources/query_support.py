"""Mapped classes with every kind of column and relation, on tables of one's own."""

import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

from interceptors.resources.conditions import Conditions
from interceptors.resources.description import Description, Relation
from interceptors.resources.query_string import parse_conditions


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def exact_text(length: int = 50) -> Any:
    """Text that every database compares by its code points."""
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mysql", "mariadb")
    )


@dataclass
class Library:
    """The classes, and their resources' descriptions by the class's name in lower case."""

    metadata: sa.MetaData
    Author: Any
    Book: Any
    Profile: Any
    Tag: Any
    Kinds: Any
    book_tags: sa.Table
    author: Description
    book: Description
    profile: Description
    tag: Description
    kinds: Description


def library(prefix: str = "") -> Library:
    """New classes on tables whose names start with the prefix."""

    class Base(DeclarativeBase):
        pass

    book_tags = sa.Table(
        f"{prefix}book_tags",
        Base.metadata,
        sa.Column("book_id", sa.ForeignKey(f"{prefix}books.id"), primary_key=True),
        sa.Column("tag_id", sa.ForeignKey(f"{prefix}tags.id"), primary_key=True),
    )

    class Author(Base):
        __tablename__ = f"{prefix}authors"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant: Mapped[int] = mapped_column(default=1)
        name: Mapped[str | None] = mapped_column(exact_text())
        age: Mapped[int | None]
        active: Mapped[bool | None]
        credit: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
        born: Mapped[date | None]
        secret: Mapped[str | None] = mapped_column(exact_text())
        mentor_id: Mapped[int | None] = mapped_column(sa.ForeignKey(f"{prefix}authors.id"))
        books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.title.desc()")
        profile: Mapped["Profile | None"] = relationship(back_populates="author")
        mentor: Mapped["Author | None"] = relationship(remote_side="Author.id", back_populates="pupils")
        pupils: Mapped[list["Author"]] = relationship(back_populates="mentor")

    class Book(Base):
        __tablename__ = f"{prefix}books"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int | None] = mapped_column(sa.ForeignKey(f"{prefix}authors.id"))
        title: Mapped[str | None] = mapped_column(exact_text())
        price: Mapped[int | None] = mapped_column(deferred=True)
        author: Mapped[Author | None] = relationship(back_populates="books")
        tags: Mapped[list["Tag"]] = relationship(secondary=book_tags, back_populates="books")

    class Profile(Base):
        __tablename__ = f"{prefix}profiles"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(sa.ForeignKey(f"{prefix}authors.id"))
        text: Mapped[str | None] = mapped_column(exact_text())
        author: Mapped[Author] = relationship(back_populates="profile")

    class Tag(Base):
        __tablename__ = f"{prefix}tags"
        id: Mapped[int] = mapped_column(primary_key=True)
        word: Mapped[str] = mapped_column(exact_text())
        loud = column_property(sa.func.upper(word))
        books: Mapped[list[Book]] = relationship(
            secondary=book_tags, back_populates="tags", order_by=book_tags.c.book_id
        )

    class Kinds(Base):
        __tablename__ = f"{prefix}kinds"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None] = mapped_column(exact_text())
        small: Mapped[int | None] = mapped_column(sa.SmallInteger)
        whole: Mapped[int | None]
        big: Mapped[int | None] = mapped_column(sa.BigInteger)
        real: Mapped[float | None]
        single: Mapped[float | None] = mapped_column(sa.Float(24))
        number: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
        flag: Mapped[bool | None]
        blob: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
        day: Mapped[date | None]
        moment: Mapped[datetime | None]
        instant: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
        clock: Mapped[time | None]
        span: Mapped[timedelta | None]
        key: Mapped[UUID | None]
        key_text: Mapped[str | None] = mapped_column(sa.Uuid(as_uuid=False))
        colour: Mapped[Colour | None] = mapped_column(sa.Enum(Colour, name=f"{prefix}colour"))
        word: Mapped[str | None] = mapped_column(sa.Enum("one", "two", name=f"{prefix}word"))
        data: Mapped[Any | None] = mapped_column(sa.JSON)

    classes = SimpleNamespace(Author=Author, Book=Book, Profile=Profile, Tag=Tag, Kinds=Kinds)
    described = {
        name: Description(
            type(f"{name}Resource", (), {}), model, frozenset({"secret"}) if model is Author else frozenset()
        )
        for name, model in vars(classes).items()
    }
    for name, relations in _RELATIONS.items():
        for relation, target in relations.items():
            found = described[name].mapper.relationships[relation]
            described[name].relations[relation] = Relation(relation, found, described[target])
    return Library(
        Base.metadata,
        book_tags=book_tags,
        **vars(classes),
        **{name.lower(): each for name, each in described.items()},
    )


_RELATIONS = {
    "Author": {"books": "Book", "profile": "Profile", "mentor": "Author", "pupils": "Author"},
    "Book": {"author": "Author", "tags": "Tag"},
    "Profile": {"author": "Author"},
    "Tag": {"books": "Book"},
}

LIBRARY = library()


def parse(
    description: Description = LIBRARY.author, *, paging: bool = True, sorting: bool = True, **sent: str
) -> Conditions:
    """Parse these parameters; a trailing underscore lets `with_` be written."""
    items = [(name.removesuffix("_"), value) for name, value in sent.items()]
    return parse_conditions(items, description, paging=paging, sorting=sorting)
