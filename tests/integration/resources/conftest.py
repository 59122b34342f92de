"""The databases of the tests of model resources."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.resources.site_support import Database, Site, database_of


@pytest.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """On SQLite; elsewhere, too, with `@pytest.mark.parametrize("database", [...], indirect=True)`."""
    async with database_of(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def site(database: Database) -> Site:
    """Users with posts with comments."""
    return Site(database)
