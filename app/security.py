"""Who is asking."""

from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer

from app.repositories.accounts import AccountRepository
from app.schemas import Account
from app.tokens import hash_token

# As a route's dependency it documents itself in OpenAPI; it denies nobody, `authorize` does.
bearer = HTTPBearer(auto_error=False, description="The token of your account, or one of the two demo tokens.")


class Authenticator:
    """The registry's `current_user`: asked once per request, and only if somebody wants to know."""

    def __init__(self, accounts: AccountRepository) -> None:
        self._accounts = accounts

    async def __call__(self, request: HTTPConnection) -> Account | None:
        """Give the account whose token the request carries."""
        credentials = await bearer(request)
        if credentials is None:
            return None
        return await self._accounts.by_token_hash(hash_token(credentials.credentials))
