"""Is anybody there?"""

from typing import Annotated

from dependency_injector.wiring import Provide
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.interceptors.access_log import access_log
from app.interceptors.no_store import no_store
from app.schemas import Health
from interceptors import intercept, skip_interceptors


# Asked every few seconds: it would drown the log.
@skip_interceptors(access_log)
@intercept(no_store)
async def health(engine: Annotated[AsyncEngine, Provide["health_engine"]]) -> Health:
    """Say that the application and its database answer."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return Health()
