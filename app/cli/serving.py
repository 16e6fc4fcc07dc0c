"""`up`, `serve`, `worker`, `migrate`: running Tridesk."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import rich_click as click
import uvicorn
from rich.console import Console

from app.cli.common import open_database, read_settings, run
from app.config import Settings
from app.database import Database
from app.exceptions import TrideskError
from app.identity import SYSTEM
from app.jobs import Worker
from app.main import create_app, job_handlers
from app.rag.runtime import Rag, open_rag
from app.rag.schemas import AnswerView
from app.rag.streaming import Asking
from app.sample import Sample, load_sample
from app.setup import bring_up_to_date

DRAIN_SECONDS = 20  # that requests under way have to end
console = Console(stderr=False, highlight=False, soft_wrap=True)


class _Interrupted(TrideskError):
    """Ctrl-C before the server was ready."""


class _Server(uvicorn.Server):
    """uvicorn, telling when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]  # sockets are passed on
        """Open the port, then say at which address."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104 - compared, not bound
            self._ready(f"http://{shown}:{port}")


@click.command()
def up() -> None:
    """Everything at once: database, migrations, sample company, server.

    Prints the address, a demo key a role and a first answer with its sources, then serves until Ctrl-C.
    """
    settings = read_settings()
    wanted = settings.database_url is None if settings.sample_company is None else settings.sample_company
    run(_up(settings, with_sample=wanted))


async def _up(settings: Settings, *, with_sample: bool) -> None:
    database = Database(settings)
    loaded: list[tuple[Sample, AnswerView]] = []

    async def prepare(rag: Rag) -> None:
        if with_sample:
            sample = await load_sample(database, settings.data_dir, progress)
            question = Asking(database=database, rag=rag, principal=SYSTEM, question=sample.first_question)
            loaded.append((sample, await question.answer()))

    def progress(ready: int, total: int) -> None:
        if server is not None and server.should_exit:
            raise _Interrupted
        if total:
            status.update(f"Sample company: {ready} of {total} pages ready")

    server: _Server | None = None
    try:
        with console.status("Starting Postgres") as status:
            await database.start()
            status.update("Bringing the database up to date")
            await bring_up_to_date(settings, database)
            status.update("Loading the models")

            def announce(address: str) -> None:
                status.stop()
                _announce(address, loaded)

            server = _make_server(settings, announce, database=database, prepare=prepare)
            await _serve(server)
    finally:
        await database.stop()


@click.command()
def serve() -> None:
    """Serve the API, with a job worker inside unless WORKER_IN_SERVER is false.

    The database must be up to date (`tridesk migrate`); the embedded one is brought so.
    """
    settings = read_settings()
    run(_serve_only(settings))


async def _serve_only(settings: Settings) -> None:
    if settings.database_url is None:
        async with open_database(settings) as database:
            await _serve(_make_server(settings, _say_address, database=database))
    else:
        await _serve(_make_server(settings, _say_address))


def _make_server(
    settings: Settings,
    ready: Callable[[str], None],
    *,
    database: Database | None = None,
    prepare: Callable[[Rag], Awaitable[None]] | None = None,
) -> _Server:
    app = create_app(settings, database=database, prepare=prepare)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
    )
    return _Server(config, ready)


async def _serve(server: _Server) -> None:
    """Serve until SIGINT or SIGTERM; uvicorn drains, then raises the signal again, which is the end we want."""
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        await server.serve()
    if not server.started and not server.should_exit:
        raise TrideskError("the server could not start; the log above says why")


def _say_address(address: str) -> None:
    console.print(f"Tridesk serves at {address}; documentation at {address}/schema")


def _announce(address: str, loaded: list[tuple[Sample, AnswerView]]) -> None:
    console.print(f"\n[bold]Tridesk is ready at {address}[/bold]   documentation: {address}/schema\n")
    for sample, answer in loaded:
        for role, key in sample.keys.items():
            console.print(f"  {role:<9}{key}")
        console.print(f"  (also in {sample.keys_path})\n")
        console.print(f"[bold]{answer.question}[/bold]")
        console.print(answer.text, markup=False)
        for number, citation in enumerate(answer.citations, start=1):
            if citation.__class__.__name__ == "ChunkCitation":
                place = " > ".join((citation.title, *citation.heading_path))  # type: ignore[union-attr]
                console.print(f"  [{number}] {place}", markup=False)
        console.print()
    console.print("Press Ctrl-C to stop.")


@click.command()
def worker() -> None:
    """Run jobs only; as many such processes as you like beside the server."""
    settings = read_settings()
    run(_work(settings))


async def _work(settings: Settings) -> None:
    async with open_database(settings) as database, open_rag(settings, database) as rag:
        jobs = Worker(database, job_handlers(rag), concurrency=settings.worker_concurrency)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        jobs.start()
        console.print("Worker is running; Ctrl-C finishes the jobs under way and stops.")
        await stop.wait()
        await jobs.stop()


@click.command()
def migrate() -> None:
    """Bring the database to the current schema, as MIGRATION_DATABASE_URL (the owner)."""
    settings = read_settings()

    async def work() -> None:
        database = Database(settings)
        try:
            await database.start()
            await bring_up_to_date(settings, database)
        finally:
            await database.stop()

    run(work())
    console.print("The database is up to date.")
