"""One attempt of a job: waiting out a database that is away, retrying later, keeping why it failed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from pgqueuer.errors import RetryRequested
from pgqueuer.executors import AbstractEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.models import Context, Job

from app.database import Database, is_database_away
from app.exceptions import DatabaseUnavailableError
from app.jobs.constants import Outcome
from app.jobs.failures import JobFailedError, as_text
from app.jobs.services import pause

logger = logging.getLogger(__name__)

JobHandler: TypeAlias = Callable[[bytes, int], Awaitable[None]]  # (payload, attempts so far)
Observe: TypeAlias = Callable[[str, Outcome, float], None]  # (entrypoint, outcome, seconds)

LAST_ATTEMPT = 5  # what a handler is told when it is not tried again after this
FIRST_RETRY = timedelta(seconds=2)  # doubled each time: 2, 4, 8, 16, 32 seconds
FIRST_LOOK = 0.2  # seconds until a database that is away is looked at again; doubled each time
LONGEST_LOOK = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What the attempts of a worker's jobs share."""

    database: Database
    stopping: asyncio.Event
    observe: Observe

    def executor(self, handler: JobHandler) -> Callable[[EntrypointExecutorParameters], _Executor]:
        """Makes pgqueuer's executor of a handler."""
        return lambda parameters: _Executor(parameters, self, handler)

    async def make(self, handler: JobHandler, job: Job) -> None:
        """Run the handler; again, while it is the database's fault, which is away.

        No outcome can be written down then, and none of the job's attempts is its fault.
        """
        delay = FIRST_LOOK
        while True:
            try:
                return await handler(job.payload or b"", job.attempts)
            except Exception as error:
                if not is_database_away(error) or not await self._database_back(delay):
                    raise
                delay = min(delay * 2, LONGEST_LOOK)

    async def _database_back(self, delay: float) -> bool:
        """Wait for the database, ``delay`` seconds at least; False when the worker is stopped before."""
        while not self.stopping.is_set():
            await pause(self.stopping, delay)
            try:
                await self.database.ping()
            except DatabaseUnavailableError:
                delay = min(delay * 2, LONGEST_LOOK)
            else:
                return True
        return False


class _Executor(AbstractEntrypointExecutor):
    """Retries with exponential backoff; the queue is told of an error what ``as_text`` leaves of it.

    The queue stores stacks, and with them whatever an error quotes: it gets one that quotes nothing, and the
    log has the real one.
    """

    def __init__(
        self, parameters: EntrypointExecutorParameters, attempts: Attempts, handler: JobHandler
    ) -> None:
        super().__init__(parameters)
        self._attempts = attempts
        self._handler = handler

    async def execute(self, job: Job, context: Context) -> None:
        """One attempt; ``RetryRequested`` or, after the last one, ``JobFailedError``."""
        began = time.monotonic()
        outcome = Outcome.successful
        try:
            await self._attempts.make(self._handler, job)
        except Exception as error:  # noqa: BLE001 - whatever it was, the job is tried again
            outcome = Outcome.failed if job.attempts >= LAST_ATTEMPT else Outcome.retried
            failure = _failure(job, error, outcome)
        except BaseException:
            outcome = Outcome.canceled
            raise
        finally:
            self._attempts.observe(job.entrypoint, outcome, time.monotonic() - began)
        if outcome is not Outcome.successful:
            raise failure


def _failure(job: Job, error: Exception, outcome: Outcome) -> Exception:
    text = as_text(error)
    if outcome is Outcome.failed:
        logger.error("job %s (%s) failed for good", job.id, job.entrypoint, exc_info=error)
        return JobFailedError(text)
    logger.info("job %s (%s) failed, to be tried again: %s", job.id, job.entrypoint, text)
    return RetryRequested(delay=FIRST_RETRY * 2**job.attempts, reason=text)
