"""What several commands need: settings with logging, an opened database, running coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from app.config import Settings
from app.database import Database
from app.logs import configure_logging
from app.setup import bring_up_to_date

T = TypeVar("T")


def read_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with logging applied."""
    settings = Settings.from_environment(**overrides)
    configure_logging(settings)
    return settings


def quiet_settings() -> Settings:
    """The settings for a command whose output is its own; only warnings are logged."""
    return read_settings(log_level="WARNING")


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """A started database; an embedded one is brought up to date, since nobody else would."""
    database = Database(settings)
    try:
        await database.start()
        if database.is_embedded:
            await bring_up_to_date(settings, database)
        yield database
    finally:
        await database.stop()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; with uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - only part of the server's requirements
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)
