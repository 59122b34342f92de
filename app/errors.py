"""What can go wrong in a bookshop, in the shop's words. HTTP is not mentioned here: `interceptors/error_mapping.py` is."""


class BookshopError(Exception):
    """The base of the errors that a customer may read."""


class NotFoundError(BookshopError):
    """There is no such thing, or it is none of the user's business."""

    def __init__(self, what: str, key: int) -> None:
        super().__init__(f"There is no {what} {key}.")


class OutOfStockError(BookshopError):
    """Fewer copies are left than were asked for."""

    def __init__(self, title: str, wanted: int, left: int) -> None:
        super().__init__(f"{wanted} of {title!r} wanted, {left} left.")


class NameTakenError(BookshopError):
    """Another account has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The name {name!r} is taken.")


class BookExistsError(BookshopError):
    """The book is in the catalogue already."""

    def __init__(self, title: str, author: str) -> None:
        super().__init__(f"{title!r} by {author} is in the catalogue already.")


class SupplierError(BookshopError):
    """The supplier refuses an order, or cannot take it; the message is the supplier's."""


class NotSignedInError(BookshopError):
    """The call needs a user, and nobody is signed in."""

    def __init__(self) -> None:
        super().__init__("Send a valid token: 'Authorization: Bearer <token>'.")


class WrongPasswordError(BookshopError):
    """No user has this address and this password; which of the two is wrong is not said."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class NotAllowedError(BookshopError):
    """The user is known, and may not do this."""

    def __init__(self, roles: list[str]) -> None:
        super().__init__(f"Only for: {', '.join(roles)}.")
