"""`worker` and `migrate`: jobs without a server, and the schema."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from app.cli.common import make_database, read_settings
from app.cli.process import Interruption
from app.cli.terminal import output, steps
from app.config import Settings
from app.database import Database, is_database_away
from app.exceptions import TrideskError
from app.main import RETRY_START, make_worker
from app.rag.runtime import Rag, open_rag
from app.setup import bring_up_to_date, check_login

logger = logging.getLogger(__name__)


async def work(interruption: Interruption) -> None:
    """Run jobs until a signal, then finish those under way. A database that is away is waited for."""
    settings = read_settings()
    database, embedded = make_database(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.stop)
        if embedded is not None:
            await embedded.start_async()
        database.open()
        rag = await _reach(settings, database, stack)
        worker = make_worker(settings, database, rag)
        stop = asyncio.Event()
        worker.start()
        interruption.stop_by(lambda number: stop.set())
        output.print("Worker is running; Ctrl-C finishes the jobs under way and stops.")
        await stop.wait()
        output.print("Finishing the jobs under way; once more to stop at once.")
        await worker.stop()


async def _reach(settings: Settings, database: Database, stack: AsyncExitStack) -> Rag:
    """The opened rag room, as soon as there is a database for it.

    A database that is there and unfit is raised, unless it was waited for: whoever brings it back may mend it
    too, and the worker need not be started again. An embedded one is brought up to date, since nobody else
    would do it. Each reason to wait is said once.
    """
    said = ""
    while True:
        try:
            await (bring_up_to_date(settings, database) if database.is_embedded else check_login(database))
            return await stack.enter_async_context(open_rag(settings, database))
        except Exception as error:
            is_away = is_database_away(error)
            if not is_away and not (said and isinstance(error, TrideskError)):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
            if reason != said:
                said = reason
                logger.warning("%s: %s", "waiting for the database" if is_away else "not ready", reason)
        await database.revive()
        await asyncio.sleep(RETRY_START)


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
