"""Bringing a database up to date: schema, the configured embedding model with its index, nothing twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.database import MINIMUM_SERVER, Database, create_engine, is_database_away
from app.events import advance_epoch
from app.exceptions import ConfigurationError, DatabaseUnavailableError
from app.matching.registry import prepare_vectors
from app.migrations import migrate
from app.rag.registry import register_model
from app.rag.runtime import model_identity
from app.rag.service import documents

logger = logging.getLogger(__name__)

# What Postgres says, by the start of its SQLSTATE, and what to do about it.
REFUSALS = {
    "28": "check the user and the password of {setting}",
    "3D000": "create it, or correct {setting}",
    "42501": "that needs the owner of the database: set MIGRATION_DATABASE_URL to the owner's URL",
    "0A000": "install pgvector on the server",  # an extension that is not there
    "58P01": "install pgvector on the server",
}


async def bring_up_to_date(settings: Settings, database: Database) -> None:
    """Migrate as the owner and register the embedding model; safe to repeat, and when two do it at once.

    A model beside others is a change of model: documents without its vectors are queued for it. Errors:
    ``ConfigurationError`` with what to do, ``DatabaseUnavailableError``.
    """
    engine = create_engine(database.dsn("owner"), schema=database.schema)
    setting = "MIGRATION_DATABASE_URL" if settings.migration_database_url else "DATABASE_URL"
    try:
        with explained(setting):
            await _check_version(engine)
            await asyncio.to_thread(migrate, database)
            name, dimensions = await model_identity(settings, database)
            async with engine.begin() as connection:
                changed = await register_model(connection, name=name, dimensions=dimensions)
                await prepare_vectors(connection, model=name)
                await advance_epoch(connection)
    finally:
        await engine.dispose()
    await check_login(database)
    if changed:
        async with database.session() as session:
            queued = await documents.requeue_all(session, model=name)
        logger.info("%s documents queued for the embedding model %s", queued, name)


async def check_login(database: Database) -> None:
    """One look at the server as the application's role: reachable, new enough, with pgvector.

    Errors: ``ConfigurationError`` with what to do, ``DatabaseUnavailableError`` with the reason.
    """
    with explained("DATABASE_URL"):
        await database.check_server()


@contextmanager
def explained(setting: str) -> Iterator[None]:
    """Errors of connecting and migrating as one line that says what to do; ``setting`` has the URL."""
    try:
        yield
    except CommandError as error:
        raise ConfigurationError(
            f"the database was migrated by a newer Tridesk: use that version ({error})"
        ) from error
    except (ConfigurationError, DatabaseUnavailableError):
        raise
    except TimeoutError as error:
        raise DatabaseUnavailableError("The database does not answer in time.") from error
    except Exception as error:
        refusal = _said_by_postgres(error)
        for state, advice in REFUSALS.items():
            if refusal is not None and (refusal.sqlstate or "").startswith(state):
                raise ConfigurationError(
                    f"Postgres refuses: {refusal}; {advice.format(setting=setting)}"
                ) from error
        if is_database_away(error):
            said = str(refusal or error).partition("\n")[0]
            raise DatabaseUnavailableError(f"The database does not answer: {said}") from error
        raise


def _said_by_postgres(error: BaseException | None) -> asyncpg.PostgresError | None:
    while error is not None and not isinstance(error, asyncpg.PostgresError):
        error = getattr(error, "orig", None) or error.__cause__
    return error


async def _check_version(engine: AsyncEngine) -> None:
    """Before the first migration, which an old server would refuse in its own words."""
    async with engine.connect() as connection:
        version = (await connection.execute(text("show server_version"))).scalar_one()
        number = int((await connection.execute(text("show server_version_num"))).scalar_one())
    if number < MINIMUM_SERVER:
        raise ConfigurationError(f"Postgres {version} is too old: Tridesk needs 16 or newer")
