"""Engine, sessions and SQL files: the one way to the database.

Every request has one session and one transaction. Its provider (in ``app.idempotency.dependencies``) commits
when the handler has returned and before the response leaves: a failed COMMIT is an error to the client too,
never a lost "201".
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.config import Settings
from app.embedded import EmbeddedPostgres
from app.exceptions import ConfigurationError, DatabaseUnavailableError, TrideskError

logger = logging.getLogger(__name__)

MINIMUM_SERVER = 160_000  # server_version_num
MINIMUM_PGVECTOR = (0, 8, 4)
CONNECT_TIMEOUT = 5.0  # seconds
CHECKOUT_TIMEOUT = 10.0  # seconds for a connection from the pool that answers a ping
COMMAND_TIMEOUT = 300.0  # seconds; a stuck connection must not hold a worker for ever

AWAY_SQLSTATES = ("08", "57P", "53300")
AWAY_ERRNOS = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.ENOENT,  # no socket file: the server has not been started
    errno.EPIPE,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}


class Database:
    """The engine of one process and, without ``DATABASE_URL``, its share in the embedded Postgres."""

    def __init__(
        self, settings: Settings, *, embedded: EmbeddedPostgres | None = None, schema: str | None = None
    ) -> None:
        self.settings = settings
        self.schema = schema  # a schema of its own, as evaluation uses; None: public
        self._embedded = embedded
        if settings.database_url is None and embedded is None:
            self._embedded = EmbeddedPostgres(settings.data_dir)
        self._engine: AsyncEngine | None = None
        self._sessions: async_sessionmaker[AsyncSession] | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether Tridesk runs the server itself."""
        return self._embedded is not None

    def dsn(self, purpose: str = "app") -> str:
        """libpq URL for ``app``, ``owner`` (migrations) or ``listen`` (LISTEN needs a direct connection)."""
        if self._embedded is not None:
            return self._embedded.dsn("owner" if purpose == "owner" else "app")
        url = self.settings.database_url
        if purpose == "owner":
            url = self.settings.migration_database_url or url
        if purpose == "listen":
            url = self.settings.listen_database_url or url
        if url is None:
            raise ConfigurationError("DATABASE_URL is not set")
        return url

    def start_server(self) -> None:
        """Start (or join) the embedded server; nothing to do with a server of your own. Blocks."""
        if self._embedded is not None:
            self._embedded.start()

    def open(self) -> None:
        """Make the engine; connections are opened when first used."""
        self._engine = create_engine(
            self.dsn(), pool_size=self.settings.database_pool_size, schema=self.schema
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def start(self) -> None:
        """Embedded server up, engine open."""
        await asyncio.to_thread(self.start_server)
        self.open()

    async def stop(self) -> None:
        """Close the connections, then leave the embedded server; the last one out stops it."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = self._sessions = None
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.release)

    @property
    def engine(self) -> AsyncEngine:
        """The engine; only after ``start`` or ``open``."""
        if self._engine is None:
            raise DatabaseUnavailableError("The database is not open.")
        return self._engine

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed at the end of the block, rolled back by an exception.

        Connecting or a statement that takes too long is a ``DatabaseUnavailableError``.
        """
        if self._sessions is None:
            raise DatabaseUnavailableError("The database is not open.")
        try:
            async with self._sessions() as session, session.begin():
                async with asyncio.timeout(CHECKOUT_TIMEOUT):  # a server that hangs, hangs the ping
                    await session.connection()
                yield session
        except TimeoutError as error:  # the driver's own, which says nothing of a database
            raise DatabaseUnavailableError("The database does not answer in time.") from error

    async def ping(self) -> None:
        """One round trip; ``DatabaseUnavailableError`` when there is no answer in ``CONNECT_TIMEOUT``."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT), self.engine.connect() as connection:
                await connection.execute(text("select 1"))
        except Exception as error:
            await self.revive()
            raise DatabaseUnavailableError("The database does not answer.") from error

    async def revive(self) -> None:
        """See that somebody restarts the embedded server; raises nothing, a server of your own is yours."""
        if self._embedded is None:
            return
        try:
            await asyncio.to_thread(self._embedded.ensure)
        except (TrideskError, OSError) as error:
            logger.warning("the embedded Postgres cannot be revived: %s", error)

    async def check_server(self) -> tuple[str, str]:
        """(server version, pgvector version); ``ConfigurationError`` says what is too old and what to do."""
        async with self.engine.connect() as connection:
            number = int((await connection.execute(text("show server_version_num"))).scalar_one())
            server = str((await connection.execute(text("show server_version"))).scalar_one())
            pgvector = (
                await connection.execute(text("select extversion from pg_extension where extname = 'vector'"))
            ).scalar_one_or_none()
        if number < MINIMUM_SERVER:
            raise ConfigurationError(f"Postgres {server} is too old: Tridesk needs 16 or newer")
        if pgvector is None:
            raise ConfigurationError(
                "pgvector is not installed in this database: run `tridesk migrate` as its owner"
            )
        if tuple(int(part) for part in pgvector.split(".")[:3]) < MINIMUM_PGVECTOR:
            raise ConfigurationError(
                f"pgvector {pgvector} is too old: install 0.8.4 or newer, then ALTER EXTENSION vector UPDATE"
            )
        return server, pgvector


def create_engine(
    dsn: str,
    *,
    pool_size: int = 5,
    schema: str | None = None,
    command_timeout: float | None = COMMAND_TIMEOUT,
    **options: Any,
) -> AsyncEngine:
    """An asyncpg engine. Statement names are unique so that it also works behind a transaction pooler.

    The URL goes to the driver as it is: SQLAlchemy would take ``sslmode`` and its like for Python arguments.
    """

    def connect(**_: Any) -> Any:
        return asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT,
            command_timeout=command_timeout,
            server_settings=server_settings(schema),
        )

    return create_async_engine(
        "postgresql+asyncpg://",
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_TIMEOUT,
        pool_pre_ping=True,
        connect_args={
            "async_creator_fn": connect,
            "prepared_statement_name_func": lambda: f"__tridesk_{uuid4()}__",
        },
        **options,
    )


def server_settings(schema: str | None) -> dict[str, str]:
    """What a connection says when it opens: names are looked up in ``schema`` first; extensions in public."""
    return {"search_path": f"{schema},public"} if schema else {}


def is_database_away(error: BaseException | None) -> bool:
    """Whether an error means that the server is gone, rather than that a statement is wrong.

    An error of our own tree says itself what it is about: a model endpoint that refuses the connection has
    the same cause as a database that does.
    """
    while error is not None:
        if isinstance(error, TrideskError):
            return isinstance(error, DatabaseUnavailableError)
        if _says_away(error):
            return True
        error = getattr(error, "orig", None) or error.__cause__
    return False


def is_connection_lost(error: BaseException) -> bool:
    """Whether it is away, or the driver found a connection of ours gone or in the middle of something.

    For who only tries again and logs: to a request such an error may as well be a mistake of ours.
    """
    return is_database_away(error) or isinstance(
        error, TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError
    )


def _says_away(error: BaseException) -> bool:
    match error:
        case PoolTimeoutError() | socket.gaierror():
            return True
        case DBAPIError(connection_invalidated=True):
            return True
        case asyncpg.PostgresError():
            return (error.sqlstate or "").startswith(AWAY_SQLSTATES)
        case OSError():  # with a file name it is about a file
            return error.errno in AWAY_ERRNOS and error.filename is None
        case asyncpg.InterfaceError():
            return "clos" in str(error)
    return False


@cache
def load_sql(path: Path) -> str:
    """The text of a .sql file, read once."""
    return path.read_text(encoding="utf-8")
