"""Runs migrations as the owner, one process at a time, each revision in its own transaction."""

from __future__ import annotations

import asyncio
import importlib

from alembic import context
from sqlalchemy import Connection, text

from app.database import create_engine
from app.migrations import MIGRATION_LOCK, MODEL_MODULES
from app.models import Base

for module in MODEL_MODULES:
    importlib.import_module(module)


def run(connection: Connection, schema: str | None) -> None:
    """Migrate on an open connection."""
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            version_table_schema=schema,  # by its bare name the one in public would be found, too
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


async def run_async(dsn: str, schema: str | None) -> None:
    """Connect and migrate."""
    engine = create_engine(dsn, schema=schema, command_timeout=None)  # an index may take its time
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run, schema)
    finally:
        await engine.dispose()


asyncio.run(run_async(context.config.attributes["dsn"], context.config.attributes.get("schema")))
