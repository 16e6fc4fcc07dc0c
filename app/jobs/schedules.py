"""What is to be done again and again, by one worker of all at a time.

A schedule's turn is taken with an advisory lock of a connection that is kept for nothing else. Whoever is
killed loses it at once; a schedule that was started and not finished while nobody holds its lock was cut off,
and runs again. pgqueuer's own schedules count in minutes, and wait 30 seconds for a dead worker.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from croniter import croniter  # type: ignore[import-untyped]  # ships no types

from app.database import CONNECT_TIMEOUT, Database, server_settings
from app.exceptions import ConfigurationError, DatabaseUnavailableError
from app.jobs.failures import as_text

logger = logging.getLogger(__name__)

LOCKS = 0x74647363  # "tdsc": the first half of the advisory locks' keys
LOOK = 5.0  # seconds, at most, between two looks at the table: how soon a dead worker's turn is taken over
SHORTEST = 0.05  # seconds between two looks, however little a schedule waits
COMMAND_SECONDS = 10.0

REGISTER = "insert into job_schedule (name) select unnest($1::text[]) on conflict do nothing"
READ = """
select name, created_at, started_at, coalesce(finished_at >= started_at, started_at is null) as finished,
       clock_timestamp() as now
from job_schedule where name = any ($1)
"""
LOCK = "select pg_try_advisory_lock($1, $2)"
UNLOCK = "select pg_advisory_unlock($1, $2)"
# Under the lock: somebody may have had the turn between our look and our lock.
BEGIN = """
update job_schedule set started_at = clock_timestamp()
where name = $1 and started_at is not distinct from $2 returning true
"""
END = """
update job_schedule
set finished_at = clock_timestamp(), error = $2,
    failures = case when $2::text is null then 0 else failures + 1 end
where name = $1
"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``run`` every so often: after a ``timedelta`` since the last start, or by a cron expression in UTC.

    It never overlaps itself. After a pause, however long, it runs once; so does one whose worker was killed:
    ``run`` may be cut off anywhere and must bear being repeated. An interval's first run is at once. What it
    raises is logged, counted in ``job_schedule``, and tried again at its next turn.
    """

    name: str
    every: timedelta | str
    run: Callable[[], Awaitable[object]]

    def __post_init__(self) -> None:
        if isinstance(self.every, str) and not croniter.is_valid(self.every):
            raise ConfigurationError(f"schedule {self.name}: {self.every!r} is not a cron expression")
        if isinstance(self.every, timedelta) and self.every <= timedelta(0):
            raise ConfigurationError(f"schedule {self.name}: {self.every} is no time between two runs")

    @property
    def lock(self) -> int:
        """The second half of its advisory lock's key, a signed 32-bit integer."""
        return zlib.crc32(self.name.encode()) - 2**31

    def due(self, *, created_at: datetime, started_at: datetime | None, finished: bool) -> datetime:
        """When it is to run next, given its last run in whichever process."""
        if started_at is not None and not finished:
            return started_at  # cut off
        if isinstance(self.every, str):
            following: datetime = croniter(self.every, started_at or created_at).get_next(datetime)
            return following
        return created_at if started_at is None else started_at + self.every


class Timetable:
    """The service that runs schedules, in as many processes as there are workers."""

    name = "schedules"

    def __init__(self, database: Database, schedules: Sequence[Schedule]) -> None:
        self._database = database
        self._schedules = {each.name: each for each in schedules}
        if len(self._schedules) != len(schedules):
            raise ConfigurationError("two schedules have the same name")
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Run what is due until ``stopping``, then let what is under way finish.

        When the connection is lost, and with it the locks, what is under way is cancelled:
        ``DatabaseUnavailableError``.
        """
        try:
            await self._run(await self._connect(), stopping)
        except TimeoutError as error:  # the driver's own, which says nothing of a database
            raise DatabaseUnavailableError("The database does not answer in time.") from error

    async def _run(self, connection: Any, stopping: asyncio.Event) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        signals = [asyncio.create_task(each.wait()) for each in (stopping, lost)]
        try:
            await connection.execute(REGISTER, list(self._schedules))
            while not stopping.is_set():
                seconds = await self._begin_due(connection)
                await self._wait(seconds, *signals)
                await self._end_finished(connection, lost)
            while self._running:
                await self._wait(None, signals[1])
                await self._end_finished(connection, lost)
        finally:
            await _cancel(*signals, *self._running.values())
            self._running.clear()
            connection.terminate()

    async def _connect(self) -> Any:
        return await asyncpg.connect(
            self._database.dsn("listen"),
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_SECONDS,
            server_settings=server_settings(self._database.schema),
        )

    async def _begin_due(self, connection: Any) -> float:
        """Start what is due and free; seconds until something may be due."""
        seconds = LOOK
        for row in await connection.fetch(READ, list(self._schedules)):
            schedule = self._schedules[row["name"]]
            if schedule.name in self._running:
                continue
            due = schedule.due(
                created_at=row["created_at"], started_at=row["started_at"], finished=row["finished"]
            )
            if due > row["now"]:
                seconds = min(seconds, (due - row["now"]).total_seconds())
            elif await self._take(connection, schedule, row["started_at"]):
                task = asyncio.create_task(_run(schedule), name=f"schedule {schedule.name}")
                self._running[schedule.name] = task
        return max(seconds, SHORTEST)

    async def _take(self, connection: Any, schedule: Schedule, started_at: datetime | None) -> bool:
        if not await connection.fetchval(LOCK, LOCKS, schedule.lock):
            return False
        if await connection.fetchval(BEGIN, schedule.name, started_at):
            return True
        await connection.execute(UNLOCK, LOCKS, schedule.lock)
        return False

    async def _wait(self, seconds: float | None, *signals: asyncio.Task[Any]) -> None:
        await asyncio.wait(
            {*signals, *self._running.values()}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )

    async def _end_finished(self, connection: Any, lost: asyncio.Event) -> None:
        """Write how those that have ended did, and give their locks back."""
        if lost.is_set():
            raise DatabaseUnavailableError("The connection that holds the schedules' locks was lost.")
        for name in [name for name, task in self._running.items() if task.done()]:
            (error,) = await asyncio.gather(self._running.pop(name), return_exceptions=True)
            await connection.execute(END, name, None if error is None else as_text(error))
            await connection.execute(UNLOCK, LOCKS, self._schedules[name].lock)


async def _run(schedule: Schedule) -> None:
    try:
        await schedule.run()
    except Exception:
        logger.exception("schedule %s failed", schedule.name)
        raise


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
