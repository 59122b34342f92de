"""A bookshop of its own for every test."""

import asyncio
import shutil
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
from app.database import prepare
from app.main import create_app
from app.seeds import DEMO_CLERK_TOKEN, DEMO_CUSTOMER_TOKEN
from app.settings import Settings


def database_url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture(scope="session")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a new shop, made once and copied for each test; `test_server.py` starts without one."""
    file = tmp_path_factory.mktemp("new") / "shop.db"
    shop = Container(settings=providers.Object(Settings(database_url=database_url(file))))

    async def make() -> None:
        shop.outbox()  # whose table it has, too
        await prepare(shop.engine(), shop.sessions())
        await shop.engine().dispose()

    asyncio.run(make())
    return file


@pytest.fixture
def container(new_shop: Path, tmp_path: Path) -> Container:
    file = shutil.copy(new_shop, tmp_path / "shop.db")
    settings = Settings(database_url=database_url(file), mailbox=tmp_path / "mailbox")
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
