"""A bookshop of its own for every test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dependency_injector import providers
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.container import Container
from app.main import create_app
from app.seeds import DEMO_CLERK_TOKEN, DEMO_CUSTOMER_TOKEN
from app.settings import Settings


@pytest.fixture
def container(tmp_path: Path) -> Container:
    url = f"sqlite+aiosqlite:///{tmp_path / 'var' / 'shop.db'}"
    return Container(settings=providers.Object(Settings(database_url=url)))


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
