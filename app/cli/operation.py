"""`doctor` and `openapi`: is all well, and the contract as a file."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import rich_click as click
from rich.console import Console
from sqlalchemy import text

from app.cli.common import quiet_settings, run
from app.config import Settings
from app.database import Database
from app.exceptions import ConfigurationError, TrideskError
from app.main import create_app
from app.migrations import head_revision
from app.rag.registry import find_model
from app.rag.runtime import model_identity, open_completer, open_embedder


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is well, what was seen or is to be done."""

    check: str
    ok: bool
    detail: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, as_json: bool) -> None:
    """Check settings, database, schema and models, and say what to do. Exit code 1 when something is wrong."""
    findings = run(_examine())
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for each in findings:
            mark = "[green]ok  [/green]" if each.ok else "[red]FAIL[/red]"
            console.print(f"{mark} {each.check:<10} ", end="")
            console.print(each.detail, markup=False)
    if not all(each.ok for each in findings):
        sys.exit(1)


async def _examine() -> list[Finding]:
    findings = [Finding("python", ok=sys.version_info[:2] >= (3, 11), detail=platform.python_version())]
    try:
        settings = quiet_settings()
    except ConfigurationError as error:
        return [*findings, Finding("settings", ok=False, detail=error.detail)]
    changed = {k: v for k, v in settings.describe().items() if v != Settings().describe()[k]}
    shown = ", ".join(f"{name}={value}" for name, value in changed.items())
    findings.append(Finding("settings", ok=True, detail=shown or "all defaults"))
    database = Database(settings)
    try:
        findings += await _examine_database(settings, database)
    finally:
        await database.stop()
    return findings + await _examine_models(settings)


async def _examine_database(settings: Settings, database: Database) -> list[Finding]:
    server = await _check("database", lambda: _server(database))
    if not server.ok:
        return [server]
    return [
        server,
        await _check("schema", lambda: _schema(database)),
        await _check("vectors", lambda: _model_registered(settings, database)),
    ]


async def _server(database: Database) -> str:
    await database.start()
    await database.ping()
    server, pgvector = await database.check_server()
    kind = "embedded" if database.is_embedded else "your own"
    return f"Postgres {server} ({kind}), pgvector {pgvector}"


async def _schema(database: Database) -> str:
    async with database.session() as session:
        if not await session.scalar(text("select to_regclass('alembic_version') is not null")):
            raise ConfigurationError("no schema yet: run `tridesk migrate`")
        revision = await session.scalar(text("select version_num from alembic_version"))
    if revision != head_revision():
        raise ConfigurationError(f"revision {revision}, this program needs {head_revision()}: run `tridesk migrate`")
    return f"revision {revision}"


async def _model_registered(settings: Settings, database: Database) -> str:
    name, dimensions = await model_identity(settings)
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
            return "none: answers quote the documents; set CHAT_MODEL and OPENAI_BASE_URL to have them written"
        try:
            return await completer.check()
        finally:
            await completer.aclose()

    return list(await asyncio.gather(_check("embedding", embedding), _check("chat", chat)))


async def _check(name: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, ok=True, detail=await look())
    except TrideskError as error:
        return Finding(name, ok=False, detail=error.detail or error.title)
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever it finds
        return Finding(name, ok=False, detail=f"{type(error).__name__}: {error}")


@click.command()
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write to a file instead of standard output.")
def openapi(output: str | None) -> None:
    """Print the OpenAPI 3.1 document that clients are generated from."""
    document = json.dumps(create_app(Settings()).openapi_schema.to_schema(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(document)
    else:
        with click.open_file(output, "w", encoding="utf-8") as file:
            file.write(document + "\n")
