"""Bringing a database up to date: schema, the configured embedding model with its index, nothing twice."""

from __future__ import annotations

import asyncio
import logging

from alembic.util import CommandError

from app.config import Settings
from app.database import Database, create_engine, is_database_away
from app.exceptions import ConfigurationError, DatabaseUnavailableError
from app.migrations import migrate
from app.rag.registry import register_model
from app.rag.runtime import model_identity
from app.rag.service import documents

logger = logging.getLogger(__name__)


async def bring_up_to_date(settings: Settings, database: Database) -> None:
    """Migrate as the owner and register the embedding model; safe to repeat, and when two do it at once.

    A model beside others is a change of model: every document is queued for it.
    """
    try:
        await asyncio.to_thread(migrate, database)
    except CommandError as error:
        raise ConfigurationError(f"the database is of a newer Tridesk: {error}") from error
    except Exception as error:
        if is_database_away(error):
            raise DatabaseUnavailableError(f"The database does not answer: {error}") from error
        raise
    name, dimensions = await model_identity(settings)
    engine = create_engine(database.dsn("owner"), schema=database.schema)
    try:
        async with engine.begin() as connection:
            changed = await register_model(connection, name=name, dimensions=dimensions)
    finally:
        await engine.dispose()
    if changed:
        async with database.session() as session:
            queued = await documents.requeue_all(session)
        logger.info("%s documents queued for the embedding model %s", queued, name)
