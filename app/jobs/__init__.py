"""Jobs in the same Postgres: enqueued in the caller's transaction, run by a worker after its commit."""

from app.jobs.execution import LAST_ATTEMPT, JobHandler
from app.jobs.queue import enqueue, enqueue_all
from app.jobs.schedules import Schedule
from app.jobs.services import Service
from app.jobs.worker import Worker

__all__ = ["LAST_ATTEMPT", "JobHandler", "Schedule", "Service", "Worker", "enqueue", "enqueue_all"]
