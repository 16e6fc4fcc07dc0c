"""`worker` and `migrate`: jobs without a server, and the schema."""

from __future__ import annotations

import asyncio

from app.cli.common import make_database, open_database, read_settings
from app.cli.process import Interruption
from app.cli.terminal import output, steps
from app.main import make_worker
from app.rag.runtime import open_rag
from app.setup import bring_up_to_date


async def work(interruption: Interruption) -> None:
    """Run jobs until a signal, then finish those under way."""
    settings = read_settings()
    async with open_database(settings) as database, open_rag(settings, database) as rag:
        worker = make_worker(settings, database, rag)
        stop = asyncio.Event()
        worker.start()
        interruption.stop_by(lambda number: stop.set())
        output.print("Worker is running; Ctrl-C finishes the jobs under way and stops.")
        await stop.wait()
        output.print("Finishing the jobs under way; once more to stop at once.")
        await worker.stop()


async def migrate(interruption: Interruption) -> None:
    """Schema and embedding model, as the owner."""
    settings = read_settings()
    database, embedded = make_database(settings)
    with steps("Bringing the database up to date") as say:
        try:
            if embedded is not None:
                await embedded.start_async(progress=lambda line: say("Starting Postgres", line))
            database.open()
            await bring_up_to_date(settings, database)
        finally:
            await database.stop()
    output.print("The database is up to date.")
