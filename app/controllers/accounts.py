"""Who may buy."""

from typing import Annotated

from anyio import to_thread
from dependency_injector.wiring import Provide
from fastapi import Depends, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import WrongPasswordError
from app.interceptors.no_store import no_store
from app.interceptors.transaction import Transaction
from app.passwords import Passwords
from app.repositories.accounts import AccountRepository
from app.schemas import Account, AccountWithToken, Credentials, NewAccount, problems
from app.security import bearer
from app.tokens import hash_token, new_token
from interceptors import annotate, intercept
from interceptors.fastapi import controller, get, post


@controller(prefix="/accounts", tags=["accounts"])
@intercept(no_store)
class AccountController:
    """Accounts and their tokens."""

    def __init__(
        self,
        accounts: Annotated[AccountRepository, Provide["accounts"]],
        passwords: Annotated[Passwords, Provide["passwords"]],
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords

    @post("", status_code=status.HTTP_201_CREATED, responses=problems(409))
    @intercept(Transaction)
    async def sign_up(
        self, account: NewAccount, session: Annotated[AsyncSession, Provide["session"]]
    ) -> AccountWithToken:
        """Open a customer's account; the token in the answer is not shown again."""
        token = new_token()
        added = await self._accounts.add(session, account.name, "customer", hash_token(token))
        return AccountWithToken(**added.model_dump(), token=token)

    @post("/token", responses=problems(401))
    @intercept(Transaction)
    async def sign_in(
        self, credentials: Credentials, session: Annotated[AsyncSession, Provide["session"]]
    ) -> AccountWithToken:
        """Give a user's account a new token; the one it had is void."""
        account_id, stored = await self._accounts.password_hash(session, credentials.email)
        right = await to_thread.run_sync(self._passwords.match, credentials.password, stored)
        if account_id is None or not right:
            raise WrongPasswordError
        token = new_token()
        account = await self._accounts.change_token(session, account_id, hash_token(token))
        return AccountWithToken(**account.model_dump(), token=token)

    @get("/me", dependencies=[Depends(bearer)], responses=problems(401))
    @annotate(roles=["customer", "clerk"])
    async def me(self, user: Annotated[Account, Provide["current_user"]]) -> Account:
        """Show whose token this is."""
        return user

    @get("", dependencies=[Depends(bearer)], responses=problems(401, 403))
    @annotate(roles=["clerk"])
    async def all(self) -> list[Account]:
        """List all accounts."""
        return await self._accounts.all()
