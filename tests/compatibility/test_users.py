"""fastapi-users: its routers, and its dependency that says who asks, behave in the same way."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, Strategy
from fastapi_users.password import PasswordHelperProtocol

from tests.compatibility.support import (
    Ask,
    Order,
    Recorded,
    Shop,
    asks_below,
    every_start,
    same,
)


@dataclass
class User:
    id: uuid.UUID
    email: str
    hashed_password: str
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False


class Seen(schemas.BaseUser[uuid.UUID]): ...


class Registered(schemas.BaseUserCreate): ...


class Changed(schemas.BaseUserUpdate): ...


class Database:
    """In memory; the first user has the identity 1."""

    def __init__(self) -> None:
        self.users: list[User] = []

    async def get(self, id: uuid.UUID) -> User | None:
        return next((user for user in self.users if user.id == id), None)

    async def get_by_email(self, email: str) -> User | None:
        return next((user for user in self.users if user.email == email), None)

    async def create(self, values: dict[str, Any]) -> User:
        self.users.append(User(uuid.UUID(int=len(self.users) + 1), **values))
        return self.users[-1]

    async def update(self, user: User, values: dict[str, Any]) -> User:
        vars(user).update(values)
        return user

    async def delete(self, user: User) -> None:
        self.users.remove(user)


class Plain(PasswordHelperProtocol):
    """Hashing takes time, and is not what is tried here."""

    def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
        return plain_password == hashed_password, None

    def hash(self, password: str) -> str:
        return password

    def generate(self) -> str:
        return "generated"


class Tokens(Strategy[User, uuid.UUID]):
    """A token is the identity of the user."""

    async def read_token(self, token: str | None, user_manager: Any) -> User | None:
        return None if token is None else await user_manager.user_db.get(uuid.UUID(token))

    async def write_token(self, user: User) -> str:
        return str(user.id)

    async def destroy_token(self, token: str, user: User) -> None: ...


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = verification_token_secret = "s" * 32
    happened: list[str]

    async def on_after_register(self, user: User, request: Any = None) -> None:
        self.happened.append(f"{user.email} registered at {request.url.path}")

    async def on_after_login(self, user: User, request: Any = None, response: Any = None) -> None:
        self.happened.append(f"{user.email} logged in, {response.status_code}")

    async def on_after_update(self, user: User, update_dict: Any, request: Any = None) -> None:
        self.happened.append(f"{user.email} changed")


class Users:
    """The library with a database of its own."""

    def __init__(self) -> None:
        self.database, self.happened = Database(), list[str]()
        tokens = Tokens()
        self.backend = AuthenticationBackend("tokens", BearerTransport("auth/login"), lambda: tokens)
        self.library = FastAPIUsers[User, uuid.UUID](self.manager, [self.backend])

        def who(user: Annotated[User, Depends(self.library.current_user(active=True))]) -> str:
            return user.email

        self.shop = Shop(who=Annotated[str, Depends(who)])

    async def manager(self) -> AsyncIterator[Manager]:
        manager = Manager(self.database, Plain())
        manager.happened = self.happened
        yield manager

    def set_up(self, app: FastAPI) -> Recorded:
        users = self.library
        app.include_router(users.get_auth_router(self.backend), prefix="/auth")
        app.include_router(users.get_register_router(Seen, Registered), prefix="/auth")
        app.include_router(users.get_users_router(Seen, Changed), prefix="/users")
        return self.recorded

    def recorded(self) -> Any:
        found = list(self.happened), list(self.database.users)
        self.happened.clear()
        self.database.users.clear()
        return found


ADA = {"authorization": f"Bearer {uuid.UUID(int=1)}"}
WHO = {"email": "ada@example.com", "password": "lovelace"}
ASKS = [
    Ask("/auth/register", 201, "/auth/register", verb="POST", body={"json": WHO}),
    Ask("/auth/register", 400, "/auth/register", verb="POST", body={"json": WHO}),
    Ask("/auth/register", 422, verb="POST", body={"json": {"email": "ada"}}),
    Ask("/auth/login", 400, "/auth/login", verb="POST", body={"data": {"username": "ada", "password": "?"}}),
    Ask(
        "/auth/login",
        200,
        "/auth/login",
        verb="POST",
        body={"data": {"username": WHO["email"], "password": WHO["password"]}},
    ),
    Ask("/users/me", 401),
    Ask("/users/me", 200, "/users/me", headers=ADA),
    Ask("/users/me", 200, "/users/me", headers=ADA, verb="PATCH", body={"json": {"password": "byron"}}),
    Ask(f"/users/{uuid.UUID(int=1)}", 403, headers=ADA),
    *[
        ask._replace(headers={} if ask.status == 401 else ADA)
        for ask in [*asks_below(""), *asks_below("/v1/shelf"), Ask("/openapi.json")]
    ],
    Ask("/auth/logout", 204, "/auth/logout", headers=ADA, verb="POST"),
]


@every_start
async def test_users_register_log_in_and_ask(order: Order, lifespan: bool) -> None:
    """With a new user in each run. Our layer runs around its handlers, too."""
    users = Users()
    seen = await same(users.shop, order, users.set_up, lifespan=lifespan, asks=ASKS)
    assert seen.recorded[0] == [
        "ada@example.com registered at /auth/register",
        "ada@example.com logged in, 200",
        "ada@example.com changed",
    ]
