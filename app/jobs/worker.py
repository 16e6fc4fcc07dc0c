"""Running jobs: one pgqueuer consumer a process, which survives the database going away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import asyncpg
from pgqueuer import AsyncpgPoolDriver, PgQueuer
from pgqueuer.domain.settings import db_settings
from pgqueuer.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.models import Job

from app.database import Database

logger = logging.getLogger(__name__)

JobHandler = Callable[[bytes, int], Awaitable[None]]  # (payload, attempts so far)

HEARTBEAT_TIMEOUT = timedelta(seconds=10)  # a killed worker's jobs are taken up again after this
POLL = timedelta(seconds=10)  # NOTIFY wakes the worker; this only bounds a lost notification
MAX_ATTEMPTS = 6
LONGEST_RECONNECT = 10.0  # seconds between attempts to reach the database


def _ignore(payload: str | bytes | bytearray) -> None:
    """The consumer has a listener of its own."""


class _Executor(DatabaseRetryEntrypointExecutor):
    """Retries with exponential backoff: 2, 4, 8, 16, 32 seconds."""

    def __init__(self, parameters: EntrypointExecutorParameters) -> None:
        super().__init__(parameters, max_attempts=MAX_ATTEMPTS - 1, initial_delay=timedelta(seconds=2))


class Worker:
    """Takes jobs from the queue until stopped; ``handlers`` maps an entrypoint to its coroutine function."""

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
        """Finish the jobs under way, take no new ones."""
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
            except Exception as error:  # noqa: BLE001 - whatever broke the consumer, jobs must go on
                logger.warning("job worker lost its database connection: %s; trying again", type(error).__name__)
                try:
                    await asyncio.wait_for(self._stopping.wait(), timeout=delay)
                except TimeoutError:
                    delay = min(delay * 2, LONGEST_RECONNECT)

    async def _consume(self) -> None:
        # The listener keeps one connection; the others dequeue, beat and write the outcome.
        async with asyncpg.create_pool(
            self._database.dsn("listen"), min_size=2, max_size=4, timeout=5, command_timeout=30
        ) as pool, AsyncpgPoolDriver(pool) as driver:
            # The consumer probes its listener as soon as it starts, on another connection. A listener that is
            # there already is joined without a round trip, so the probe cannot come before the ear.
            await driver.add_listener(db_settings().channel, _ignore)
            consumer = PgQueuer(driver)
            for entrypoint, handler in self._handlers.items():
                consumer.entrypoint(
                    entrypoint, accepts_context=False, on_failure="hold", executor_factory=_Executor
                )(self._bind(handler))
            self._consumer = consumer
            if self._stopping.is_set():
                return
            await consumer.run(
                dequeue_timeout=POLL,
                batch_size=1,
                max_concurrent_tasks=max(2, self._concurrency),
                shutdown_on_listener_failure=True,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
            )

    @staticmethod
    def _bind(handler: JobHandler) -> Callable[[Job], Awaitable[None]]:
        async def run(job: Job) -> None:
            await handler(job.payload or b"", job.attempts)

        return run
