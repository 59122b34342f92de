"""`python -m app.prepare`: create what is missing in the database, before workers start."""

import asyncio

from app.database import prepare
from app.main import shop


async def main() -> None:
    """Create it."""
    await prepare(shop.engine(), shop.sessions())
    await shop.engine().dispose()


if __name__ == "__main__":
    asyncio.run(main())
