"""What runs beside the jobs for as long as the worker does: dispatchers, listeners, the timetable."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from app.database import Database, is_database_away

logger = logging.getLogger(__name__)

FIRST_RESTART = 0.5  # seconds before a service that failed runs again; doubled each time
LONGEST_RESTART = 10.0
STOP_SECONDS = 10.0  # a service that has not ended so long after the stop is cancelled


class Service(Protocol):
    """Something that a worker keeps running."""

    @property
    def name(self) -> str:
        """For the log."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until ``stopping`` is set, then return; may be called again after it raised."""


async def keep_running(service: Service, database: Database, stopping: asyncio.Event) -> None:
    """Run a service until ``stopping``; when it raises or ends by itself, run it again, later each time.

    A database that is away is one line in the log, anything else has its stack. Backoff starts anew once the
    service has run for longer than its longest pause.
    """
    delay = FIRST_RESTART
    while not stopping.is_set():
        began = time.monotonic()
        try:
            await _run(service, stopping)
            if not stopping.is_set():
                logger.warning("service %s ended by itself; starting it again", service.name)
        except Exception as error:
            if is_database_away(error):
                logger.warning("service %s: the database is away; trying again", service.name)
                await database.revive()
            else:
                logger.exception("service %s failed; starting it again", service.name)
        if time.monotonic() - began > LONGEST_RESTART:
            delay = FIRST_RESTART
        await pause(stopping, delay)
        delay = min(delay * 2, LONGEST_RESTART)


async def _run(service: Service, stopping: asyncio.Event) -> None:
    running = asyncio.create_task(service.run(stopping), name=f"service {service.name}")
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await asyncio.wait({running}, timeout=STOP_SECONDS)
        if not running.done():
            logger.warning("service %s did not stop in %s s; cutting it off", service.name, STOP_SECONDS)
            return
        running.result()
    finally:
        stopped.cancel()
        if not running.done():
            running.cancel()
            await asyncio.wait({running})


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, but not beyond ``stopping``."""
    try:
        await asyncio.wait_for(stopping.wait(), timeout=seconds)
    except TimeoutError:
        return
