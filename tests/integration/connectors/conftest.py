"""The servers that a test session starts itself."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import PyMongoError

from tests.integration.connectors.mongo_support import Server, no_server


@pytest.fixture(scope="session")
def mongo_url(request: pytest.FixtureRequest) -> str:
    """The URL in INTERCEPTORS_TEST_MONGODB_URL, or that of a SecantusDB of this session's own."""
    url = os.environ.get("INTERCEPTORS_TEST_MONGODB_URL")
    if url is None:
        return request.getfixturevalue("mongo_own").url
    with MongoClient[Any](url, serverSelectionTimeoutMS=20_000) as client:
        try:
            client.admin.command("ping")
        except PyMongoError as error:
            no_server(f"no MongoDB server at {url} ({error})")
    return url


@pytest.fixture(scope="session")
def mongo_own() -> Iterator[Server]:
    """A SecantusDB that can be told to fail."""
    with _started() as server:
        yield server


@pytest.fixture
def mongo_doomed() -> Iterator[Server]:
    """A SecantusDB that the test may kill."""
    with _started() as server:
        yield server


@pytest.fixture
async def mongo_client(mongo_url: str) -> AsyncIterator[AsyncMongoClient[Any]]:
    """A client without hooks."""
    async with AsyncMongoClient[Any](mongo_url, serverSelectionTimeoutMS=60_000) as client:
        yield client


def _started() -> Server:
    server = Server()
    if not server.is_installed:
        no_server("SecantusDB is not installed (pip install 'interceptors[dev]', Python < 3.14)")
    server.start()
    return server
