"""Accounts in the database."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Sessions
from app.errors import NameTakenError
from app.models import AccountRow, User
from app.schemas import Account, Role


class AccountRepository:
    """Finds and adds accounts."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def by_token_hash(self, token_hash: str) -> Account | None:
        """Find whose token this is."""
        async with self._sessions() as session:
            row = await session.scalar(select(AccountRow).where(AccountRow.token_hash == token_hash))
            return Account.model_validate(row) if row else None

    async def all(self) -> list[Account]:
        """List all accounts."""
        async with self._sessions() as session:
            rows = await session.scalars(select(AccountRow).order_by(AccountRow.id))
            return [Account.model_validate(row) for row in rows]

    async def add(self, session: AsyncSession, name: str, role: Role, token_hash: str) -> Account:
        """Add an account within the caller's transaction."""
        row = AccountRow(name=name, role=role, token_hash=token_hash)
        session.add(row)
        try:
            await session.flush()
        except IntegrityError as error:
            raise NameTakenError(name) from error
        return Account.model_validate(row)

    async def password_hash(self, session: AsyncSession, email: str) -> tuple[int | None, str | None]:
        """Give the account and the password's hash of the user with this address, if there is one."""
        user = await session.scalar(select(User).where(User.email == email))
        return (user.account_id, user.password_hash) if user else (None, None)

    async def change_token(self, session: AsyncSession, account_id: int, token_hash: str) -> Account:
        """Give an account another token, within the caller's transaction; the one it had is void."""
        row = await session.get_one(AccountRow, account_id)
        row.token_hash = token_hash
        return Account.model_validate(row)
