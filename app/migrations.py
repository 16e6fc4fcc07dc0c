"""Bringing a database to the current schema; the scripts are in db/migrations."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from app.database import Database

MIGRATION_LOCK = 0x7472_6964_6573_6B  # "tridesk": two servers that start at once migrate one after the other
MODEL_MODULES = (
    "app.identity.models",
    "app.events.models",
    "app.limits.models",
    "app.privacy.models",
    "app.idempotency.models",
    "app.webhooks.models",
    "app.jobs.models",
    "app.conversations.models",
    "app.sla.models",
    "app.mail.models",
    "app.presence.models",
    "app.rag.models",
    "app.matching.models",
    "app.technical.models",
    "app.billing.models",
    "app.features.models",
)
_in_this_process = threading.Lock()
INI = Path(__file__).parent.parent / "alembic.ini"


def alembic_config(**attributes: Any) -> Config:
    """alembic's configuration; ``dsn`` (the owner's), ``app_role`` and ``schema`` reach its env.py."""
    config = Config(INI)
    config.attributes.update(attributes)
    return config


def migrate(database: Database, *, revision: str = "head") -> None:
    """Bring the database to ``revision`` (``head``, or ``base`` to take everything down). Blocks."""
    app_role = urlsplit(database.dsn("app")).username
    config = alembic_config(
        dsn=database.dsn("owner"), app_role=unquote(app_role) if app_role else None, schema=database.schema
    )
    move = command.downgrade if revision == "base" else command.upgrade
    with _in_this_process:  # alembic keeps what it works on in module globals
        move(config, revision)


def head_revision() -> str:
    """The newest revision among the scripts."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def run_script(op: Operations, sql: str) -> None:
    """Execute several statements at once, in the migration's transaction.

    The driver prepares what SQLAlchemy sends, and only one statement can be prepared; its plain protocol
    takes a script. SQLAlchemy opens the transaction at its own first statement, so one goes ahead.
    """
    bind = op.get_bind()
    bind.exec_driver_sql("select 1")
    bind.connection.dbapi_connection.run_async(lambda driver: driver.execute(sql))  # type: ignore[union-attr]  # asyncpg's
