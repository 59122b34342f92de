"""Passwords, of which the shop keeps only a slow hash."""

import secrets
from functools import cached_property

from pwdlib import PasswordHash
from pydantic import SecretStr


class Passwords:
    """Hashes and compares. Both keep a processor busy on purpose: call them in a thread."""

    def __init__(self, hasher: PasswordHash) -> None:
        self._hasher = hasher

    def hash(self, password: SecretStr) -> str:
        """Give what is stored of a password."""
        return self._hasher.hash(password.get_secret_value())

    def match(self, password: SecretStr, stored: str | None) -> bool:
        """Say whether it is the password. Takes as long where nothing is stored: time must not tell who is a user."""
        right = self._hasher.verify(password.get_secret_value(), stored or self._nobodys)
        return right and stored is not None

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())
