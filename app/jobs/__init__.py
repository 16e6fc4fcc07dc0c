"""Jobs in the same Postgres: enqueued in the caller's transaction, run by a worker after its commit."""

from app.jobs.queue import enqueue, enqueue_all
from app.jobs.worker import LAST_ATTEMPT, JobHandler, Worker

__all__ = ["LAST_ATTEMPT", "JobHandler", "Worker", "enqueue", "enqueue_all"]
