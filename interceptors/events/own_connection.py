"""The relay's own connection, beside the pool: deliveries never wait for it, and it never waits for them."""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import anyio
from sqlalchemy import Engine, Table, false, literal, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from interceptors.events.one_writer import Writer
from interceptors.events.own_session import Sessions
from interceptors.events.pool import engine_of, has_one_connection
from interceptors.events.sql import is_lost_race

__all__ = ["OwnConnection"]

_CLOSING = 1.0
_ENDING = 5.0
_LONG = 30.0
"""After how long servers and what is between may have closed a connection that was not used."""
_Opened: TypeAlias = Callable[[AsyncConnection], Awaitable[None]]


class OwnConnection:
    """One connection for all short transactions of a dispatcher's relay and deliveries, which take turns at it.

    It is opened when it is needed, and again after an error. `patience`: how many seconds a transaction may take.
    `writer`: whose turn it is to write on SQLite. A transaction is not cancelled with the task that runs it.
    """

    def __init__(self, sessions: Sessions, table: Table, patience: float, writer: Writer | None) -> None:
        self._sessions = sessions
        self._table = table
        bind = engine_of(sessions, table)
        self._beside = None if has_one_connection(bind) else bind
        # A statement of SQLite's is not cancelled: its driver runs in a thread, and waits no longer than its `timeout`.
        self._patience = patience if writer is None else math.inf
        self._writer = writer
        self._turn = anyio.Lock()
        self._engine: AsyncEngine | None = None
        self._connection: AsyncConnection | None = None
        self._scopes: set[anyio.CancelScope] = set()
        self._is_ending = self._is_given_up = False
        self._used = 0.0
        self._opened: _Opened | None = None

    @asynccontextmanager
    async def transaction(self, *, writes: bool = True) -> AsyncGenerator[AsyncConnection]:
        """A transaction, committed at the end. Raises what the database raises, and TimeoutError."""
        patience = 0.0 if self._is_given_up else min(self._patience, _ENDING) if self._is_ending else self._patience
        with anyio.move_on_after(patience, shield=True) as scope:
            self._scopes.add(scope)
            try:
                begun = self._written() if writes else self._begun()
                async with self._turn, begun as connection:
                    yield connection
            finally:
                self._scopes.discard(scope)
        if scope.cancelled_caught:
            raise TimeoutError("the database has not answered")

    @asynccontextmanager
    async def _written(self) -> AsyncGenerator[AsyncConnection]:
        if self._writer is None:
            async with self._begun() as connection:
                yield connection
            return
        async with self._writer.turn(), self._begun() as connection:
            # On SQLite one that reads first may not wait for the right to write, one that writes first may.
            await connection.execute(update(self._table).where(false()).values(claim=0))
            driver = (await connection.get_raw_connection()).driver_connection
            if driver is not None and not driver.in_transaction:  # the application begins by listeners of its engine's
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @asynccontextmanager
    async def _begun(self) -> AsyncGenerator[AsyncConnection]:
        bind = self._beside
        if bind is None:
            async with self._sessions() as session:
                yield await session.connection(bind_arguments={"clause": self._table})
                await session.commit()
            return
        try:
            connection = await self._open_connection(bind)
            async with connection.begin():
                yield connection
        except BaseException as error:
            if not is_lost_race(error):
                await self._drop()
            raise

    async def _open_connection(self, bind: Engine) -> AsyncConnection:
        """The connection; opened anew if it was not used for long and does not answer any more."""
        connection, used = self._connection, self._used
        self._used = anyio.current_time()
        if connection is None:
            return await self._open(bind)
        if self._used - used < _LONG:
            return connection
        try:
            async with connection.begin():
                await connection.execute(select(literal(1)))
        except SQLAlchemyError:
            await self._drop()
        return self._connection or await self._open(bind)

    async def _open(self, bind: Engine) -> AsyncConnection:
        if self._engine is None:
            # The same way to connect as the pool's, and its listeners, but not its connections.
            options = bind.get_execution_options()
            self._engine = create_async_engine(bind.url, pool=bind.pool.recreate(), execution_options=options)
        self._connection = await self._engine.connect()
        if self._writer is None:
            # At a higher level waiting for each other would end in errors, and MariaDB would lock gaps.
            _ = await self._connection.execution_options(isolation_level="READ COMMITTED")
        if self._opened is not None:
            await self._opened(self._connection)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with anyio.move_on_after(_CLOSING, shield=True), suppress(SQLAlchemyError, OSError):
                await connection.invalidate()
                await connection.close()

    async def on_open(self, opened: _Opened) -> None:
        """Have something called with the connection, and with each one that is opened later, until it is closed.

        Raises what it raises; the connection is opened anew then.
        """
        async with self._turn:
            self._opened = opened
            if self._connection is not None:
                try:
                    await opened(self._connection)
                except BaseException:
                    await self._drop()
                    raise

    def hurry(self) -> None:
        """Wait for the database no longer than one waits at the end, until it is closed."""
        if self._writer is None:
            self._is_ending = True
            end = anyio.current_time() + _ENDING
            for scope in self._scopes:
                scope.deadline = min(scope.deadline, end)

    def give_up(self) -> None:
        """Do not wait for a database that hangs any more, until it is closed."""
        if self._writer is None:
            self._is_given_up = True
            for scope in self._scopes:
                scope.cancel()

    async def close(self) -> None:
        """Give the connection back; it may be used again."""
        with anyio.CancelScope(shield=True):
            self._is_ending = self._is_given_up = False
            self._opened = None
            await self._drop()
            engine, self._engine = self._engine, None
            if engine is not None:
                await engine.dispose()
