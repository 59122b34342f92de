"""A bookshop of its own for every test."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from dependency_injector import providers
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.container import Container
from app.main import create_app
from app.seeds import DEMO_CLERK_TOKEN, DEMO_CUSTOMER_TOKEN
from app.settings import Settings


@pytest.fixture
def container(tmp_path: Path) -> Container:
    url = f"sqlite+aiosqlite:///{tmp_path / 'var' / 'shop.db'}"
    settings = Settings(database_url=url, mailbox=tmp_path / "mailbox")
    # The cheapest argon2 there is: how much work the real one is has nothing to do with what is tested.
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    return Container(settings=providers.Object(settings), password_hash=providers.Object(cheap))


@pytest.fixture
def no_relay(container: Container) -> None:
    """What is stored stays stored: nobody in this process looks after it."""
    container.settings.override(providers.Object(replace(container.settings(), relay=False)))


@pytest.fixture
def app(container: Container) -> FastAPI:
    return create_app(container)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client,
    ):
        yield client


@pytest.fixture
def customer() -> dict[str, str]:
    return {"Authorization": f"Bearer {DEMO_CUSTOMER_TOKEN}"}


@pytest.fixture
def clerk() -> dict[str, str]:
    return {"Authorization": f"Bearer {DEMO_CLERK_TOKEN}"}
