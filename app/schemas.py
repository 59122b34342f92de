"""What the API takes and gives. Money is in integer cents; models are frozen, since the cache shares them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, computed_field

# SQLite's largest integer: a larger one must be the client's error, not the driver's.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
BookId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The book's number")]
OrderId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The order's number")]
Cents = Annotated[int, Field(ge=0, le=1_000_000)]
Quantity = Annotated[int, Field(ge=1, le=1_000)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# What browsers take for an address (HTML's `<input type="email">`), in one spelling.
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
    ),
]
# A secret prints as asterisks wherever it turns up. Hashing a very long one would keep a processor busy.
Password = Annotated[SecretStr, Field(min_length=8, max_length=200)]
Role = Literal["customer", "clerk"]


class Schema(BaseModel):
    """The base of all schemas."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class NewBook(Schema):
    """A book for the catalogue."""

    title: Text
    author: Text
    year: Annotated[int, Field(ge=-3000, le=2100)]
    price_cents: Cents
    cost_cents: Cents
    stock: Annotated[int, Field(ge=0, le=1_000)] = 0


class Book(Schema):
    """A book of the catalogue."""

    id: int
    title: str
    author: str
    year: int
    price_cents: int
    cost_cents: Annotated[int | None, Field(description="What the supplier takes; only clerks see it")] = None
    stock: int

    @computed_field  # type: ignore[prop-decorator]  # mypy takes no decorator above `property`
    @property
    def in_stock(self) -> bool:
        """Whether a copy can be bought now."""
        return self.stock > 0


class BookPage(Schema):
    """A page of a list of books."""

    items: tuple[Book, ...]
    page: int
    page_size: int
    total: int


class Delivery(Schema):
    """Copies that arrived from the supplier."""

    quantity: Quantity


class Reorder(Schema):
    """What was ordered from the supplier, and where the supplier keeps the order."""

    book_id: int
    quantity: int
    days: Annotated[int, Field(description="When it comes")]
    location: str


class NewOrderLine(Schema):
    """What is wanted of one title."""

    book_id: Id
    quantity: Quantity = 1


class NewOrder(Schema):
    """What a customer wants."""

    lines: Annotated[list[NewOrderLine], Field(min_length=1, max_length=50)]


class PlacedLine(Schema):
    """One title of an order."""

    book_id: int
    quantity: int
    price_cents: int


class PlacedOrder(Schema):
    """A placed order."""

    id: int
    account_id: int
    placed_at: datetime
    lines: tuple[PlacedLine, ...]

    @computed_field  # type: ignore[prop-decorator]  # mypy takes no decorator above `property`
    @property
    def total_cents(self) -> int:
        """What the customer pays."""
        return sum(line.quantity * line.price_cents for line in self.lines)


class NewAccount(Schema):
    """Somebody who signs up."""

    name: Text


class Account(Schema):
    """An account, as everybody who may see it sees it. Also the current user."""

    id: int
    name: str
    role: Role


class AccountWithToken(Account):
    """A new account, with its token: this is the only time that it is shown."""

    token: str


class NewUser(Schema):
    """A person who signs up."""

    email: Email
    name: Text
    password: Password


class UserChange(Schema):
    """What users may change of themselves; a password that is not sent stays."""

    name: Text
    password: Password | None = None


class Credentials(Schema):
    """What a user signs in with."""

    email: Email
    password: SecretStr


class Mail(Schema):
    """A mail that was put into the mailbox."""

    name: str
    to: str
    subject: str
    text: str


class Health(Schema):
    """That the application and its database answer."""

    status: Literal["ok"] = "ok"


class Problem(Schema):
    """Why a call was refused."""

    code: str
    message: str


class ProblemBody(Schema):
    """The body of a refused call."""

    detail: Problem


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document in OpenAPI with which statuses a route may refuse."""
    return {status: {"model": ProblemBody} for status in statuses}
