"""Jobs in the same Postgres: enqueued in the caller's transaction, run by a worker after its commit."""

from app.jobs.queue import enqueue
from app.jobs.worker import JobHandler, Worker

__all__ = ["JobHandler", "Worker", "enqueue"]
