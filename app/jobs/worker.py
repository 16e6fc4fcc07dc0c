"""Running jobs: one pgqueuer consumer a process, which survives the database going away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import AsyncpgPoolDriver, Job
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.settings import db_settings
from pgqueuer.queries import Queries

from app.database import CONNECT_TIMEOUT, Database, is_connection_lost, server_settings
from app.jobs.execution import LAST_ATTEMPT, Attempts, JobHandler, Observe
from app.jobs.schedules import Schedule, Timetable
from app.jobs.services import FIRST_RESTART, LONGEST_RESTART, Service, keep_running, pause

logger = logging.getLogger(__name__)

HEARTBEAT_TIMEOUT = timedelta(seconds=10)  # a killed worker's jobs are taken up again after this
POLL = timedelta(seconds=5)  # NOTIFY wakes the worker; this bounds a lost one and a dead worker's jobs

# A failure is held for good only at the last attempt. One held before could not be queued for its next
# attempt, because the database went away just then: it has that attempt to come.
RECOVER = """
update pgqueuer set status = 'queued', attempts = attempts + 1, execute_after = now(), updated = now()
where status = 'failed' and attempts < $1 and entrypoint = any ($2)
"""


class Worker:
    """Takes jobs from the queue until stopped, and runs what belongs beside them.

    ``handlers``: entrypoint to coroutine function. One that raises is tried again, ``LAST_ATTEMPT`` times;
    then its job is held as failed. It may run twice at once when its worker was cut off for
    ``HEARTBEAT_TIMEOUT`` and lives on: handlers are idempotent. ``services`` run as long as the worker does;
    ``schedules`` by one worker of all at a time. ``observe`` is told how each attempt ended.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, JobHandler],
        *,
        concurrency: int,
        services: Sequence[Service] = (),
        schedules: Sequence[Schedule] = (),
        observe: Observe = lambda entrypoint, outcome, seconds: None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._concurrency = max(1, concurrency)
        self._services = [*services, *([Timetable(database, schedules)] if schedules else [])]
        self._stopping = asyncio.Event()
        self._attempts = Attempts(database=database, stopping=self._stopping, observe=observe)
        self._consumer: QueueManager | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run in the background of this event loop."""
        self._task = asyncio.create_task(self.run(), name="job worker")

    async def stop(self) -> None:
        """Finish the jobs under way, and one just being fetched; take no others. Services end, too."""
        self._stopping.set()
        if self._consumer is not None:
            self._consumer.shutdown.set()
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        """Consume until ``stop``; a lost database is waited for."""
        async with asyncio.TaskGroup() as group:
            for service in self._services:
                group.create_task(keep_running(service, self._database, self._stopping))
            group.create_task(self._keep_consuming())

    async def _keep_consuming(self) -> None:
        delay = FIRST_RESTART
        while not self._stopping.is_set():
            try:
                await self._consume()
                delay = FIRST_RESTART
                await pause(self._stopping, 0.1)
            except Exception as error:
                logger.warning(
                    "job worker cannot reach the queue: %s; trying again",
                    type(error).__name__,
                    exc_info=None if is_connection_lost(error) else error,
                )
                await self._database.revive()
                await pause(self._stopping, delay)
                delay = min(delay * 2, LONGEST_RESTART)

    async def _consume(self) -> None:
        """Take jobs until stopped or until a connection is lost."""
        async with self._connected() as driver:
            consumer = self._consumer
            if consumer is None or self._stopping.is_set():
                return
            # The consumer probes its listener as soon as it starts, on another connection. A listener that is
            # there already is joined without a round trip, so the probe cannot come before the ear.
            await driver.add_listener(db_settings().channel, _ignore)
            for entrypoint, handler in self._handlers.items():
                executor = self._attempts.executor(handler)
                consumer.entrypoint(
                    entrypoint, accepts_context=False, on_failure="hold", executor_factory=executor
                )(_never_called)
            if self._stopping.is_set():
                return
            await consumer.run(
                dequeue_timeout=POLL,
                batch_size=1,
                max_concurrent_tasks=max(2, self._concurrency),
                shutdown_on_listener_failure=True,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
            )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncpgPoolDriver]:
        """A new consumer's connections. It ends as soon as one of them is lost.

        The listener keeps one; the others dequeue, beat and write the outcome. None is closed for idling, so
        one that ends was taken away: the notifications of the meantime may be lost with it.
        """
        shutdown = asyncio.Event()

        async def watch(connection: Any) -> None:
            connection.add_termination_listener(lambda _: shutdown.set())

        async with (
            asyncpg.create_pool(
                self._database.dsn("listen"),
                min_size=2,
                max_size=4,
                timeout=CONNECT_TIMEOUT,
                command_timeout=30,
                max_inactive_connection_lifetime=0,
                server_settings=server_settings(self._database.schema),
                init=watch,
            ) as pool,
            AsyncpgPoolDriver(pool) as driver,
        ):
            await pool.execute(RECOVER, LAST_ATTEMPT, list(self._handlers))
            self._consumer = QueueManager(Queries(driver))
            self._consumer.shutdown = shutdown
            yield driver


def _ignore(payload: str | bytes | bytearray) -> None:
    """The consumer has a listener of its own."""


async def _never_called(job: Job) -> None:
    """pgqueuer wants a function with each entrypoint; ours stands in the executor."""
