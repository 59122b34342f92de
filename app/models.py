"""The tables.

A model called `...Row` stays inside: clients see a schema instead. The others are resources: clients see them, under their
names, as `app/resources/` says.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, Dialect, ForeignKey, String, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from app.search import fold
from app.tokens import hash_token, new_token


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime; SQLite itself forgets the time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC; a value without a time zone (one of a filter, made from the column's type) is UTC already."""
        return value and (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The base of all tables."""


class BookRow(Base):
    """A title in the catalogue and the copies that are left of it."""

    __tablename__ = "books"
    __table_args__ = (UniqueConstraint("title", "author"), CheckConstraint("stock >= 0"))

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author: Mapped[str]
    year: Mapped[int]
    price_cents: Mapped[int]
    cost_cents: Mapped[int]
    stock: Mapped[int]
    # What a search looks at: SQLite itself cannot compare without regard to accents.
    words: Mapped[str]

    def __init__(self, **columns: Any) -> None:
        super().__init__(words=fold(f"{columns['title']} {columns['author']}"), **columns)


class AccountRow(Base):
    """Somebody who may sign in; the token itself is not stored."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)


class User(Base):
    """A person who signs up with an e-mail address; what the person does in the shop is done by the account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str]
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=lambda: datetime.now(UTC))
    account: Mapped[AccountRow] = relationship()

    def __init__(self, **columns: Any) -> None:
        if "account" not in columns:
            # Written together with the user. Nobody has its token: signing in gives another.
            token_hash = hash_token(new_token())
            columns["account"] = AccountRow(name=columns["email"], role="customer", token_hash=token_hash)
        super().__init__(**columns)


class Order(Base):
    """What an account bought at one time."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lines: Mapped[list["OrderLine"]] = relationship(order_by="OrderLine.id", lazy="selectin")


class OrderLine(Base):
    """One title of an order, at the price of that day."""

    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    quantity: Mapped[int]
    price_cents: Mapped[int]
