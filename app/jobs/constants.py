"""Names of the jobs room."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands. One that succeeded is gone."""

    queued = "queued"
    running = "running"
    scheduled = "scheduled"
    failed = "failed"


class Outcome(StrEnum):
    """How an attempt ended."""

    successful = "successful"
    retried = "retried"
    failed = "failed"
    canceled = "canceled"
