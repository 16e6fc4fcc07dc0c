"""What several commands need: settings with logging, an opened database, text that a terminal may show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.logs import configure_logging
from app.setup import bring_up_to_date, check_login

Progress = Callable[[str], None]


def read_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with logging applied."""
    settings = Settings.from_environment(**overrides)
    configure_logging(settings)
    return settings


def quiet_settings() -> Settings:
    """The settings for a command whose output is its own; only warnings are logged."""
    return read_settings(log_level="WARNING", log_format="text")


def make_database(settings: Settings) -> tuple[Database, EmbeddedPostgres | None]:
    """The database, and the embedded server apart: it can tell how its start is getting on."""
    if settings.database_url is not None:
        return Database(settings), None
    embedded = EmbeddedPostgres(settings.data_dir)
    return Database(settings, embedded=embedded), embedded


@asynccontextmanager
async def open_database(settings: Settings, *, progress: Progress | None = None) -> AsyncIterator[Database]:
    """A started database that accepts our login; an embedded one is brought up to date: nobody else would.

    ``progress`` gets a line whenever a slow start has news.
    """
    database, embedded = make_database(settings)
    try:
        if embedded is not None:
            await embedded.start_async(progress=progress)
        database.open()
        if embedded is not None:
            await bring_up_to_date(settings, database)
        else:
            await check_login(database)
        yield database
    finally:
        await database.stop()


def printable(text: str) -> str:
    """Text without what would steer a terminal or cannot be encoded; line breaks stay."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
