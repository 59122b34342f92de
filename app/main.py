"""The application: `app` for a server, `events` for a relay, `broker` for workers; importing them connects nothing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from app.container import Container
from app.controllers.accounts import AccountController
from app.controllers.books import BookController
from app.controllers.mails import MailController
from app.controllers.orders import OrderController
from app.controllers.reorders import ReorderController
from app.controllers.stock import StockController
from app.database import prepare
from app.health import health
from app.refusals import refuse_input
from interceptors.fastapi import install

DESCRIPTION = (
    "A small bookshop whose logging, errors, authorization, caching and transactions are interceptors; users and orders "
    "are resources, and mails follow from events."
)


def create_app(shop: Container) -> FastAPI:
    """Put the application together; nothing connects before it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        engine = shop.engine()
        shop.statements()
        await prepare(engine, shop.sessions())
        try:
            yield
        finally:
            await shop.supplier().close()
            await shop.health_engine().dispose()
            await engine.dispose()

    app = FastAPI(title="Bookshop", description=DESCRIPTION, lifespan=lifespan)
    install(
        app,
        shop.registry(),
        controllers=[
            BookController,
            StockController,
            ReorderController,
            OrderController,
            AccountController,
            MailController,
        ],
    )
    # The router's lifespan is the dispatcher's: it ends, and waits for what runs, before the engine does.
    app.include_router(shop.resources().router(), prefix="/api")
    app.get("/health", tags=["health"])(health)
    app.add_exception_handler(RequestValidationError, refuse_input)
    return app


shop = Container()
app = create_app(shop)
events = shop.events()
broker = shop.broker()
