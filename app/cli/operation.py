"""`doctor` and `openapi`: is all well, and the contract as a file."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import click
from sqlalchemy import text

from app.cli.common import make_database, printable
from app.cli.terminal import output
from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.exceptions import ConfigurationError, DatabaseUnavailableError, TrideskError
from app.jobs.service import count_failed
from app.logs import configure_logging
from app.main import create_app
from app.migrations import head_revision
from app.rag.registry import find_model
from app.rag.runtime import model_identity, open_completer, open_embedder
from app.setup import explained


class UnwellError(click.ClickException):
    """Something is wrong, and has been said."""

    def __init__(self) -> None:
        super().__init__("")

    def show(self, file: IO[Any] | None = None) -> None:
        """Nothing more to say."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is well, what was seen or is to be done."""

    check: str
    ok: bool
    detail: str


async def doctor(*, as_json: bool) -> None:
    """Print what was looked at; exit code 1 when something is wrong."""
    findings = await _examine()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        for each in findings:
            mark = "[green]ok  [/green]" if each.ok else "[red]FAIL[/red]"
            output.print(f"{mark} {each.check:<10} ", end="")
            output.print(printable(each.detail), markup=False)
    if not all(each.ok for each in findings):
        raise UnwellError


async def _examine() -> list[Finding]:
    findings = [await _check("python", _python)]
    try:
        settings = Settings.from_environment()
        configure_logging(replace(settings, log_level="WARNING", log_format="text"))
    except ConfigurationError as error:
        return [*findings, Finding("settings", ok=False, detail=error.detail)]
    changed = {k: v for k, v in settings.describe().items() if v != Settings().describe()[k]}
    shown = ", ".join(f"{name}={value}" for name, value in changed.items())
    findings.append(Finding("settings", ok=True, detail=shown or "all defaults"))
    findings.append(await _check("data_dir", lambda: _folder(settings.data_dir)))
    database, embedded = make_database(settings)
    try:
        findings += await _examine_database(settings, database, embedded)
    finally:
        await database.stop()
    return findings + await _examine_models(settings)


async def _python() -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise ConfigurationError(
            f"{platform.python_version()}: Tridesk runs on 3.11 to 3.13, use one of those"
        )
    return platform.python_version()


async def _folder(path: Path) -> str:
    return await asyncio.to_thread(_check_folder, path)


def _check_folder(path: Path) -> str:
    existing = next((each for each in (path, *path.absolute().parents) if each.exists()), path)
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise ConfigurationError(f"{path} cannot be written: change its owner, or set another DATA_DIR")
    return str(path.absolute())


async def _examine_database(
    settings: Settings, database: Database, embedded: EmbeddedPostgres | None
) -> list[Finding]:
    server = await _check("database", lambda: _server(database, embedded))
    if not server.ok:
        return [server]
    return [
        server,
        await _check("schema", lambda: _schema(database)),
        await _check("vectors", lambda: _model_registered(settings, database)),
        await _check("jobs", lambda: _jobs(database)),
    ]


async def _server(database: Database, embedded: EmbeddedPostgres | None) -> str:
    if embedded is not None:
        await embedded.start_async()
    database.open()
    with explained("DATABASE_URL"):
        server, pgvector = await database.check_server()
    return f"Postgres {server} ({'embedded' if embedded else 'your own'}), pgvector {pgvector}"


async def _schema(database: Database) -> str:
    async with database.session() as session:
        if not await session.scalar(text("select to_regclass('alembic_version') is not null")):
            raise ConfigurationError("no schema yet: run `tridesk migrate`")
        revision = await session.scalar(text("select version_num from alembic_version"))
    if revision != head_revision():
        raise ConfigurationError(
            f"revision {revision}, this program needs {head_revision()}: run `tridesk migrate`"
        )
    return f"revision {revision}"


async def _jobs(database: Database) -> str:
    async with database.session() as session:
        if not await session.scalar(text("select to_regclass('pgqueuer') is not null")):
            return "none yet"
        failed = await count_failed(session)
    return f"{failed} failed: see GET /v1/jobs?status=failed" if failed else "none failed"


async def _model_registered(settings: Settings, database: Database) -> str:
    name, dimensions = await model_identity(settings, database)
    async with database.session() as session:
        if await find_model(session, name) is None:
            raise ConfigurationError(f"{name} is not registered: run `tridesk migrate`")
    return f"{name}, {dimensions} dimensions"


async def _examine_models(settings: Settings) -> list[Finding]:
    async def embedding() -> str:
        embedder = await open_embedder(settings)
        try:
            return await embedder.check()
        finally:
            await embedder.aclose()

    async def chat() -> str:
        completer = open_completer(settings)
        if completer is None:
            return (
                "none: answers quote the documents; set CHAT_MODEL and OPENAI_BASE_URL to have them written"
            )
        try:
            return await completer.check()
        finally:
            await completer.aclose()

    return list(await asyncio.gather(_check("embedding", embedding), _check("chat", chat)))


async def _check(name: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, ok=True, detail=await look())
    except DatabaseUnavailableError as error:
        return Finding(name, ok=False, detail=f"{error.detail} Start it, or correct DATABASE_URL.")
    except TrideskError as error:
        return Finding(name, ok=False, detail=error.detail or error.title)
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever it finds
        return Finding(name, ok=False, detail=f"{type(error).__name__}: {error}")


def openapi(path: str | None) -> None:
    """Print the document, or write it to a file; the same bytes every time, whatever the settings."""
    document = json.dumps(create_app(Settings()).openapi_schema.to_schema(), indent=2, ensure_ascii=False)
    with click.open_file(path or "-", "w", encoding="utf-8") as file:
        file.write(document + "\n")
