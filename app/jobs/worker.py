"""Running jobs: one pgqueuer consumer a process, which survives the database going away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import AsyncpgPoolDriver, PgQueuer
from pgqueuer.domain.settings import db_settings
from pgqueuer.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.models import Job

from app.database import Database, is_database_away, server_settings
from app.exceptions import DatabaseUnavailableError

logger = logging.getLogger(__name__)

JobHandler = Callable[[bytes, int], Awaitable[None]]  # (payload, attempts so far)

HEARTBEAT_TIMEOUT = timedelta(seconds=10)  # a killed worker's jobs are taken up again after this
POLL = timedelta(
    seconds=5
)  # NOTIFY wakes the worker; this bounds a lost notification and a dead worker's jobs
LAST_ATTEMPT = 5  # what a handler is told when it is not tried again after this
FIRST_RETRY = timedelta(seconds=2)  # doubled each time: 2, 4, 8, 16, 32 seconds
LONGEST_RECONNECT = 10.0  # seconds between attempts to reach the database

# A failure is held for good only at the last attempt. One held before could not be queued for its next
# attempt, because the database went away just then: it has that attempt to come.
RECOVER = """
update pgqueuer set status = 'queued', attempts = attempts + 1, execute_after = now(), updated = now()
where status = 'failed' and attempts < $1 and entrypoint = any ($2)
"""


def _ignore(payload: str | bytes | bytearray) -> None:
    """The consumer has a listener of its own."""


class _Executor(DatabaseRetryEntrypointExecutor):
    """Retries with exponential backoff."""

    def __init__(self, parameters: EntrypointExecutorParameters) -> None:
        super().__init__(parameters, max_attempts=LAST_ATTEMPT, initial_delay=FIRST_RETRY)


class Worker:
    """Takes jobs from the queue until stopped; ``handlers`` maps an entrypoint to its coroutine function.

    A handler that raises is tried again, ``LAST_ATTEMPT`` times; then its job is held as failed. It may run
    twice at once when its worker was cut off for ``HEARTBEAT_TIMEOUT`` and lives on: handlers are idempotent.
    """

    def __init__(self, database: Database, handlers: Mapping[str, JobHandler], *, concurrency: int) -> None:
        self._database = database
        self._handlers = handlers
        self._concurrency = max(1, concurrency)
        self._stopping = asyncio.Event()
        self._consumer: PgQueuer | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run in the background of this event loop."""
        self._task = asyncio.create_task(self.run(), name="job worker")

    async def stop(self) -> None:
        """Finish the jobs under way, and one just being fetched; take no others."""
        self._stopping.set()
        if self._consumer is not None:
            self._consumer.shutdown.set()
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        """Consume until ``stop``; a lost database is waited for."""
        delay = 0.5
        while not self._stopping.is_set():
            try:
                await self._consume()
                delay = 0.5
                await self._pause(0.1)
            except Exception as error:  # noqa: BLE001 - whatever broke the consumer, jobs must go on
                logger.warning("job worker cannot reach the queue: %s; trying again", type(error).__name__)
                await self._database.revive()
                await self._pause(delay)
                delay = min(delay * 2, LONGEST_RECONNECT)

    async def _consume(self) -> None:
        """Take jobs until stopped or until a connection is lost."""
        consumers: list[PgQueuer] = []

        def lost(connection: Any) -> None:
            for each in consumers:
                each.shutdown.set()

        async def watch(connection: Any) -> None:
            connection.add_termination_listener(lost)

        # The listener keeps one connection; the others dequeue, beat and write the outcome. None is closed
        # for idling, so one that ends was taken away: the notifications of the meantime may be lost with it.
        async with (
            asyncpg.create_pool(
                self._database.dsn("listen"),
                min_size=2,
                max_size=4,
                timeout=5,
                command_timeout=30,
                max_inactive_connection_lifetime=0,
                server_settings=server_settings(self._database.schema),
                init=watch,
            ) as pool,
            AsyncpgPoolDriver(pool) as driver,
        ):
            await pool.execute(RECOVER, LAST_ATTEMPT, list(self._handlers))
            # The consumer probes its listener as soon as it starts, on another connection. A listener that is
            # there already is joined without a round trip, so the probe cannot come before the ear.
            await driver.add_listener(db_settings().channel, _ignore)
            consumer = self._consumer = PgQueuer(driver)
            consumers.append(consumer)
            for entrypoint, handler in self._handlers.items():
                consumer.entrypoint(
                    entrypoint, accepts_context=False, on_failure="hold", executor_factory=_Executor
                )(self._bind(handler))
            if self._stopping.is_set():
                return
            await consumer.run(
                dequeue_timeout=POLL,
                batch_size=1,
                max_concurrent_tasks=max(2, self._concurrency),
                shutdown_on_listener_failure=True,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
            )

    def _bind(self, handler: JobHandler) -> Callable[[Job], Awaitable[None]]:
        async def run(job: Job) -> None:
            delay = 0.2
            while True:
                try:
                    return await handler(job.payload or b"", job.attempts)
                except Exception as error:
                    # While the database is away no outcome can be written down, and none of the job's
                    # attempts is its fault: it waits here and runs again.
                    if not is_database_away(error) or not await self._database_back(delay):
                        raise
                    delay = min(delay * 2, LONGEST_RECONNECT)

        return run

    async def _database_back(self, delay: float) -> bool:
        """Wait for the database, ``delay`` seconds at least; False when the worker is stopped before."""
        while not self._stopping.is_set():
            await self._pause(delay)
            try:
                await self._database.ping()
            except DatabaseUnavailableError:
                delay = min(delay * 2, LONGEST_RECONNECT)
            else:
                return True
        return False

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)
        except TimeoutError:
            return
