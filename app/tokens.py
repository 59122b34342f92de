"""Bearer tokens, of which the shop keeps only the hash."""

import hashlib
import secrets


def new_token() -> str:
    """Make a token that nobody guesses."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Give what is stored of a token: a fast hash is enough, since tokens are random."""
    return hashlib.sha256(token.encode()).hexdigest()
